from __future__ import annotations

import pytest
from brain_tumor.cases.sequences import (
    Sequence,
    names_other_image,
    recognise_sequence,
    without_suffix,
)
from hypothesis import given
from hypothesis import strategies as st

T1_NAMES = [
    # BraTS 2012-2020, 2021-2024
    "BraTS20_Training_001_t1.nii",
    "Brats18_2013_2_1_t1.nii.gz",
    "BraTS2021_00000_t1.nii.gz",
    "VSD.Brain.XX.O.MR_T1.54193.mha",
    "BraTS-GLI-00001-000-t1n.nii.gz",
    "BraTS-PED-00012-000-t1n.nii.gz",
    # other collections
    "UPENN-GBM-00001_11_T1.nii.gz",
    "UCSF-PDGM-0004_T1.nii.gz",
    "TCGA-DU-7294_1998.01.04_t1.nii.gz",
    "sub-01_ses-post_T1w.nii.gz",
    "sub-gd01_T1w.nii.gz",
    "t1.nii.gz",
    "T1.nrrd",
    "t1_brain.nii.gz",
    "rT1.nii",
    "wt1_mprage.nii",
    "t1_reg_to_t2.nii.gz",
    # SeriesDescriptions
    "T1W",
    "AX T1",
    "Ax T1 FLAIR",
    "SAG T1 MEMPRAGE",
    "t1_mprage_sag_p2_iso",
    "MPRAGE",
    "3D T1 TFE",
    "sT1W_3D_TFE",
    "Ax 3D T1 BRAVO",
    "t1_fl3d_tra",
    "T1 SE COR",
    "T1 pre",
    "T1 pre contrast",
    "AX T1 PRE GD",
    "T1 w/o contrast",
    "AX T1 W/O",
    "T1 non-contrast",
    "t1 nativ",
    "T1 post op",
    "T1_post-op_day1",
    "MP2RAGE UNI Images",
    "T1 star VIBE",
]
T1C_NAMES = [
    "BraTS20_Training_001_t1ce.nii",
    "BraTS2021_00000_t1ce.nii.gz",
    "BraTS-GLI-00001-000-t1c.nii.gz",
    "BraTS-MEN-00004-000-t1c.nii.gz",
    "VSD.Brain.XX.O.MR_T1c.54195.mha",
    "UPENN-GBM-00001_11_T1GD.nii.gz",
    "UCSF-PDGM-0004_T1c.nii.gz",
    "TCGA-02-0006_1996.08.23_t1Gd.nii.gz",
    "sub-01_ce-gadolinium_T1w.nii.gz",
    "sub-01_ses-pre_ce-gd_T1w.nii.gz",
    "ct1.nii.gz",
    "case7_CT1_n4.nii",
    "T1CE.nrrd",
    "t1gd.nii",
    "t1post.nii.gz",
    "T1_C.nii.gz",
    "T1PostContrast.nii.gz",
    "t1ce_to_flair.nii.gz",
    "T1 post",
    "AX T1 POST",
    "T1 POST GAD AX",
    "POST AX T1",
    "T1 post-contrast",
    "T1 +C",
    "Ax T1+C",
    "AX_T1_+C_FS",
    "T1 C+",
    "t1c+",
    "T1+ AX",
    "T1W CE",
    "T1W_CE_TRA",
    "CE-T1",
    "cet1w",
    "T1 Gd",
    "T1W_3D_TFE_GADO SENSE",
    "eT1W_3D_TFE_Gd",
    "T1 gadolinium",
    "T1 MPRAGE post",
    "T1_MPRAGE_SAG_POST",
    "t1_mprage_tra_p2_iso_KM",
    "MPRAGE GD",
    "Sag 3D T1 FSPGR POST GAD",
    "AXIAL T1 STEALTH POST",
    "Ax 3D BRAVO +C",
    "t1_vibe_fs_tra_contrast",
    "Ax T1 FLAIR +C",
    "T1 with contrast",
    "T1 enhanced",
    "T1 mdc",
]
T2_NAMES = [
    "BraTS20_Training_001_t2.nii",
    "BraTS-GLI-00001-000-t2w.nii.gz",
    "VSD.Brain.XX.O.MR_T2.54196.mha",
    "UPENN-GBM-00001_11_T2.nii.gz",
    "sub-01_T2w.nii.gz",
    "T2.nrrd",
    "t2_in_t1_space.nii.gz",
    "t2_tse",
    "t2_tse_tra_p2",
    "T2W_TSE",
    "WIP T2W_TSE SENSE",
    "AX T2 FSE",
    "Ax T2 FRFSE FS",
    "t2_blade_tra",
    "Ax T2 PROPELLER",
    "t2_spc_sag_iso",
    "CUBE T2",
    "T2 post gad",
    "T2FS",
]
FLAIR_NAMES = [
    "BraTS20_Training_001_flair.nii",
    "BraTS-GLI-00001-000-t2f.nii.gz",
    "VSD.Brain.XX.O.MR_Flair.54194.mha",
    "UPENN-GBM-00001_11_FLAIR.nii.gz",
    "sub-01_FLAIR.nii.gz",
    "flair_brain.nii.gz",
    "rFLAIR.nii",
    "flair_to_t1.nii.gz",
    "T2 FLAIR",
    "T2_FLAIR",
    "Ax T2 FLAIR FS",
    "T2W_FLAIR",
    "t2flair",
    "3D FLAIR",
    "3D_T2_FLAIR_SENSE",
    "Sag CUBE T2 FLAIR",
    "FLAIR_longTR SENSE",
    "sFLAIR",
    "FLAIR post",
    "dark-fluid",
    "t2_tirm_tra_dark-fluid",
    "t2_tirm_tra_dark fluid_3mm",
    "t2_spc_da-fl_sag_p2_iso",
    "darkfluid",
]
OTHER_NAMES = [
    "DWI",
    "ADC",
    "Apparent diffusion ADC (10^-6 mm2/s)",
    "ep2d_diff_3scan_trace_p2",
    "UCSF-PDGM-0004_ADC.nii.gz",
    "UPENN-GBM-00001_11_DTI_FA.nii.gz",
    "SWI",
    "SWI_T2",
    "mIP_Images(SW)",
    "T2*",
    "AX T2* GRE",
    "Ax_T2_star",
    "T2 GRE",
    "t2_fl2d_tra_hemo",
    "T2 FFE",
    "t2star_w",
    "ep2d_perf",
    "T1 DCE",
    "T1 perfusion",
    "T1 map",
    "T1_map.nii.gz",
    "T2 mapping",
    "T1rho",
    "t2map",
    "MP2RAGE INV1",
    "TOF 3D MRA",
    "T1 SUB",
    "AX T1 POST SUB",
    "subtraction T1",
    "BraTS20_Training_001_seg.nii",
    "BraTS-GLI-00001-000-seg.nii.gz",
    "UCSF-PDGM-0004_tumor_segmentation.nii.gz",
    "t1c_seg.nii.gz",
    "t1_mask.nii.gz",
    "flair_label.nrrd",
    "t1.seg.nrrd_labels",
    "3-plane localizer",
    "AAHead_Scout",
    "CT HEAD",
    "t2_ciss3d_tra",
    "T2 STIR",
    "t1_gm.nii.gz",
    "t1_to_mni_warp.nii.gz",
]
UNTOLD_NAMES = [
    "case_0000.nii.gz",
    "case_0001.nii.gz",
    "case_0002.nii.gz",
    "case_0003.nii.gz",
    "image.nii.gz",
    "patient1.nrrd",
    "T1_T2.nii.gz",
    "t1t2",
    "T1 PRE POST",
    "at10.nii.gz",
    "t12.nii.gz",
    "part1.nii.gz",
    "cat2.nii.gz",
    "GD POST",
    "ax_c",
    "t2_tirm_tra"[3:],
    "",
    "___",
    ".nii.gz",
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, Sequence.T1) for name in T1_NAMES),
        *((name, Sequence.T1C) for name in T1C_NAMES),
        *((name, Sequence.T2) for name in T2_NAMES),
        *((name, Sequence.FLAIR) for name in FLAIR_NAMES),
    ],
)
def test_a_name_in_use_tells_its_sequence(name: str, expected: Sequence) -> None:
    assert recognise_sequence(name) is expected
    assert not names_other_image(name)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_another_image_is_no_sequence_and_is_known_as_another(name: str) -> None:
    assert recognise_sequence(name) is None
    assert names_other_image(name)


@pytest.mark.parametrize("name", UNTOLD_NAMES)
def test_a_name_that_settles_nothing_is_not_guessed(name: str) -> None:
    assert recognise_sequence(name) is None
    assert not names_other_image(name)


@pytest.mark.parametrize("name", [*T1_NAMES, *T1C_NAMES, *T2_NAMES, *FLAIR_NAMES])
def test_recognition_ignores_case(name: str) -> None:
    assert recognise_sequence(name.upper()) is recognise_sequence(name.lower())


@given(st.text(max_size=40))
def test_any_text_is_answered(name: str) -> None:
    assert recognise_sequence(name) in {None, *Sequence}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AX T1", Sequence.T1C),
        ("T1 pre", Sequence.T1),
        ("T1 w/o contrast", Sequence.T1),
        ("t1 nativ", Sequence.T1),
        ("AX T1 POST", Sequence.T1C),
        ("AX T2 FLAIR", Sequence.FLAIR),
        ("AX T2", Sequence.T2),
        ("DWI", None),
    ],
)
def test_a_given_agent_makes_a_t1_contrast_enhanced_unless_its_name_denies_it(
    name: str, expected: Sequence | None
) -> None:
    assert recognise_sequence(name, agent_given=True) is expected


def test_channel_order_is_fixed() -> None:
    assert [s.value for s in Sequence] == ["t1", "t1c", "t2", "flair"]


def test_only_known_endings_are_removed() -> None:
    assert without_suffix("a.b_t1.NII.GZ") == "a.b_t1"
    assert without_suffix("TCGA_1998.01.04") == "TCGA_1998.01.04"
