from __future__ import annotations

import unicodedata
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from brain_tumor.cases.case_ids import case_id_from, check_case_id
from brain_tumor.cases.loading import LoadedCase, load_case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.errors import (
    FileFormatError,
    GeometryError,
    InputError,
    SequenceError,
    VolumeError,
)
from PIL import Image

from tests.helpers.dicom import write_dicom_series
from tests.helpers.volumes import GRIDS, SHAPE, grid, ramp_values, write_nifti

ALL = (Sequence.T1, Sequence.T1C, Sequence.T2, Sequence.FLAIR)
BASE = np.arange(1, 1 + np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)


def values_of(sequence: Sequence) -> np.ndarray:
    """Different voxels for every sequence, so that a mix-up shows."""
    return (BASE + 1000 * ALL.index(sequence)).astype(np.int16)


def write_case(folder: Path, names: dict[str, Sequence]) -> Path:
    for name, sequence in names.items():
        write_nifti(folder / name, values_of(sequence), GRIDS["flipped"])
    return folder


def assert_holds(loaded: LoadedCase, *sequences: Sequence) -> None:
    assert loaded.case.present == tuple(s for s in ALL if s in sequences)
    for sequence in sequences:
        np.testing.assert_array_equal(
            loaded.case.volumes[sequence].array, values_of(sequence), err_msg=sequence.value
        )


LAYOUTS = {
    "brats20": "BraTS20_001_t1.nii BraTS20_001_t1ce.nii BraTS20_001_t2.nii BraTS20_001_flair.nii",
    "brats23": "B-00001-000-t1n.nii.gz B-00001-000-t1c.nii.gz B-00001-000-t2w.nii.gz "
    "B-00001-000-t2f.nii.gz",
    "upenn": "U_11_T1.nii.gz U_11_T1GD.nii.gz U_11_T2.nii.gz U_11_FLAIR.nii.gz",
    "plain": "t1.nii.gz t1c.nii.gz t2.nii.gz flair.nii.gz",
    "folders": "T1/image.nii T1_POST/image.nii T2/image.nii FLAIR/image.nii",
    "kaggle": "x_t1.nii/a_brain.nii x_t1ce.nii/b_brain.nii x_t2.nii/c_brain.nii "
    "x_flair.nii/d_brain.nii",
    "bids": "anat/sub-1_T1w.nii.gz anat/sub-1_ce-gadolinium_T1w.nii.gz anat/sub-1_T2w.nii.gz "
    "anat/sub-1_FLAIR.nii.gz",
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_folder_of_sequences_is_a_case(tmp_path: Path, layout: str) -> None:
    folder = write_case(tmp_path / "case 7", dict(zip(layout.split(), ALL, strict=True)))
    loaded = load_case(folder)
    assert_holds(loaded, *ALL)
    assert loaded.case.case_id == "case-7"
    assert loaded.case.reference is Sequence.T1C
    np.testing.assert_array_equal(loaded.case.affine, GRIDS["flipped"])
    assert loaded.warnings == ()
    assert loaded.notes == ()


def test_a_segmentation_in_the_folder_is_left_aside(tmp_path: Path) -> None:
    write_case(tmp_path, {"a_t1ce.nii": Sequence.T1C, "a_seg.nii": Sequence.T2})
    loaded = load_case(tmp_path)
    assert_holds(loaded, Sequence.T1C)
    assert loaded.notes == ("not used: a_seg.nii",)


def test_an_unnamed_file_beside_named_ones_is_left_aside(tmp_path: Path) -> None:
    write_case(tmp_path, {"a_t2.nii": Sequence.T2, "thing.nii": Sequence.T1})
    loaded = load_case(tmp_path)
    assert_holds(loaded, Sequence.T2)
    assert loaded.notes == ("not used, no sequence in the name: thing.nii",)


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    write_case(tmp_path, {"a_t2.nii": Sequence.T2})
    (tmp_path / "._a_t2.nii").write_bytes(b"resource fork")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "b_t1.nii").write_bytes(b"resource fork")
    assert_holds(load_case(tmp_path), Sequence.T2)


def test_a_lone_file_named_by_its_sequence_is_that_sequence(tmp_path: Path) -> None:
    write_case(tmp_path, {"a_flair.nii.gz": Sequence.FLAIR})
    loaded = load_case(tmp_path / "a_flair.nii.gz")
    assert_holds(loaded, Sequence.FLAIR)
    assert loaded.case.case_id == "a_flair"
    assert loaded.case.reference is Sequence.FLAIR
    assert loaded.warnings == ()


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_lone_unnamed_volume_is_taken_as_t1c_and_says_so(tmp_path: Path, as_folder: bool) -> None:
    write_case(tmp_path / "x", {"scan.nii.gz": Sequence.T1C})
    loaded = load_case(tmp_path / "x" if as_folder else tmp_path / "x" / "scan.nii.gz")
    assert_holds(loaded, Sequence.T1C)
    assert len(loaded.warnings) == 1
    assert "taken as t1c" in loaded.warnings[0]


@pytest.mark.parametrize("name", ["a_seg.nii.gz", "a_ADC.nii.gz", "t1_map.nii"])
def test_a_lone_file_that_names_another_image_is_refused(tmp_path: Path, name: str) -> None:
    write_case(tmp_path, {name: Sequence.T1C})
    with pytest.raises(SequenceError, match="another image"):
        load_case(tmp_path / name)


def test_two_files_of_one_sequence_are_refused_by_name(tmp_path: Path) -> None:
    write_case(tmp_path / "c", {"a_t1ce.nii": Sequence.T1C, "a_t1gd.nii": Sequence.T1C})
    with pytest.raises(
        SequenceError, match=r"c holds 2 files of t1c: a_t1ce\.nii, a_t1gd\.nii; expected one"
    ):
        load_case(tmp_path / "c")


def test_a_bias_corrected_copy_gives_way_to_the_original(tmp_path: Path) -> None:
    write_case(tmp_path, {"U-1_T1c.nii.gz": Sequence.T1C, "U-1_T1c_bias.nii.gz": Sequence.T2})
    loaded = load_case(tmp_path)
    assert_holds(loaded, Sequence.T1C)
    assert loaded.notes == ("not used: U-1_T1c_bias.nii.gz, a variant of U-1_T1c.nii.gz",)


def test_names_that_tell_nothing_are_refused_with_what_was_found(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "c", {"c_0000.nii": Sequence.T1, "c_0001.nii": Sequence.T2})
    with pytest.raises(SequenceError, match=r"found c_0000\.nii, c_0001\.nii") as refused:
        load_case(folder)
    assert "t1, t1c, t2, flair" in refused.value.remedy


def test_a_folder_without_volumes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("T1", encoding="utf-8")
    with pytest.raises(SequenceError, match="found no volume"):
        load_case(tmp_path)


def test_paths_that_are_no_case_are_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("T1", encoding="utf-8")
    with pytest.raises(FileFormatError, match="no known format"):
        load_case(tmp_path / "readme.txt")
    with pytest.raises(FileFormatError, match="does not exist"):
        load_case(tmp_path / "nowhere")


def test_sequences_can_be_named_explicitly(tmp_path: Path) -> None:
    write_case(tmp_path / "c", {"c_0000.nii": Sequence.T2, "c_0001.nii": Sequence.FLAIR})
    write_case(tmp_path, {"elsewhere.nii": Sequence.T1})
    loaded = load_case(
        tmp_path / "c",
        sequences={
            Sequence.FLAIR: Path("c_0001.nii"),
            Sequence.T2: Path("c_0000.nii"),
            Sequence.T1: tmp_path / "elsewhere.nii",
        },
        case_id="mine",
        reference=Sequence.T2,
    )
    assert_holds(loaded, Sequence.T1, Sequence.T2, Sequence.FLAIR)
    assert (loaded.case.case_id, loaded.case.reference) == ("mine", Sequence.T2)


def test_one_file_for_two_sequences_is_refused(tmp_path: Path) -> None:
    write_case(tmp_path, {"a.nii": Sequence.T2})
    named = {Sequence.T1: Path("a.nii"), Sequence.T2: tmp_path / "a.nii"}
    with pytest.raises(SequenceError, match="the same file"):
        load_case(tmp_path, sequences=named)
    with pytest.raises(SequenceError, match="no sequence is named"):
        load_case(tmp_path, sequences={})


def test_a_4d_file_is_split_in_the_stated_order(tmp_path: Path) -> None:
    order = (Sequence.T2, Sequence.FLAIR, Sequence.T1C, Sequence.T1)
    stack = np.stack([values_of(s) for s in order], axis=-1)
    path = write_nifti(tmp_path / "BRATS_001.nii.gz", stack)
    loaded = load_case(path, channels=order)
    assert_holds(loaded, *ALL)
    assert loaded.case.case_id == "BRATS_001"


def test_a_4d_file_without_a_stated_order_is_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii.gz", np.stack([BASE] * 4, axis=-1))
    with pytest.raises(VolumeError, match="4 dimensions") as refused:
        load_case(path)
    assert "state their order" in refused.value.remedy


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (ALL[:3], "holds 4 volumes; expected 3"),
        ((Sequence.T1, Sequence.T1, Sequence.T2, Sequence.FLAIR), "expected different"),
        ((), "expected different sequences, at least one"),
    ],
)
def test_a_wrong_number_of_channels_is_refused(
    tmp_path: Path, order: tuple[Sequence, ...], words: str
) -> None:
    path = write_nifti(tmp_path / "a.nii.gz", np.stack([BASE] * 4, axis=-1))
    with pytest.raises(SequenceError, match=words):
        load_case(path, channels=order)


def test_siblings_on_another_grid_are_resampled_with_a_warning(tmp_path: Path) -> None:
    fine = grid((0.7, 0.8, 0.6), (-2.0, -2.0, -2.0))
    write_nifti(tmp_path / "a_t1c.nii", ramp_values(SHAPE, grid()).astype(np.float32))
    write_nifti(tmp_path / "a_t2.nii", ramp_values((30, 30, 30), fine).astype(np.float32), fine)
    loaded = load_case(tmp_path)
    volumes = loaded.case.volumes
    np.testing.assert_allclose(volumes[Sequence.T2].array, volumes[Sequence.T1C].array, rtol=1e-4)
    assert loaded.warnings == ("t2 was resampled to the grid of t1c",)


def test_a_sibling_that_covers_a_part_says_how_much(tmp_path: Path) -> None:
    tissue = np.zeros((10, 10, 10), np.float32)
    tissue[:, :, :] = np.linspace(50, 60, 10)
    write_nifti(tmp_path / "a_t1c.nii", tissue)  # brighter than the mean: k = 5 .. 9
    write_nifti(tmp_path / "a_t2.nii", tissue[:, :, :8])  # covers 3 of these 5
    loaded = load_case(tmp_path)
    assert loaded.warnings[1].startswith("t2 covers 60% of the tissue in t1c")


def test_sequences_of_two_patients_are_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a_t1c.nii", BASE)
    write_nifti(tmp_path / "a_t2.nii", BASE, grid(origin_mm=(300.0, 0.0, 0.0)))
    with pytest.raises(GeometryError, match="t2 covers 0% of the tissue in t1c"):
        load_case(tmp_path)


def test_a_bad_file_among_good_ones_is_named(tmp_path: Path) -> None:
    write_case(tmp_path, {"a_t1c.nii.gz": Sequence.T1C})
    (tmp_path / "a_t2.nii.gz").write_bytes(b"nonsense" * 100)
    with pytest.raises(FileFormatError, match=r"^a_t2\.nii\.gz: "):
        load_case(tmp_path)


def test_doubts_about_a_file_name_the_sequence_not_the_file(tmp_path: Path) -> None:
    image = nib.Nifti1Image(BASE, None)
    image.header["qform_code"] = image.header["sform_code"] = 0
    nib.save(image, tmp_path / "smith_t1c.nii")
    loaded = load_case(tmp_path)
    assert loaded.warnings[0].startswith("t1c: the header gives no orientation")
    assert "smith" not in " ".join(loaded.warnings)


def test_a_picture_is_a_case_of_one_slice(tmp_path: Path) -> None:
    Image.fromarray(BASE[:, :, 0].astype(np.uint8)).save(tmp_path / "slice.png")
    guessed = load_case(tmp_path / "slice.png")
    assert guessed.case.shape == (11, 9, 1)
    assert any("240 mm field of view assumed" in w for w in guessed.warnings)
    measured = load_case(tmp_path / "slice.png", pixel_mm=0.98)
    assert measured.case.spacing_mm[:2] == (0.98, 0.98)
    assert len(measured.warnings) == 1  # only that it is taken as t1c


def test_a_dicom_study_is_a_case(tmp_path: Path) -> None:
    folder = tmp_path / "study7"
    names = {"AX T1": Sequence.T1, "AX T1 POST": Sequence.T1C, "AX T2 TSE": Sequence.T2}
    for number, (description, sequence) in enumerate(names.items()):
        write_dicom_series(
            folder / f"s{number}",
            values_of(sequence),
            GRIDS["anisotropic"],
            description=description,
            number=number,
        )
    write_dicom_series(folder / "dwi", BASE, GRIDS["anisotropic"], description="ADC", number=8)
    write_nifti(folder / "tumour_seg.nii.gz", BASE)
    loaded = load_case(folder)
    assert_holds(loaded, Sequence.T1, Sequence.T1C, Sequence.T2)
    assert loaded.case.case_id == "study7"
    assert loaded.notes == ("not used: series 8 (ADC)", "not used: tumour_seg.nii.gz")


def test_the_finest_of_several_dicom_series_is_taken(tmp_path: Path) -> None:
    thick, fine = grid((0.5, 0.5, 5.0)), grid((1.0, 1.0, 1.0))
    for number, (affine, values) in enumerate([(thick, BASE), (fine, values_of(Sequence.T2))], 3):
        write_dicom_series(tmp_path, values, affine, description="AX T1 POST", number=number)
    loaded = load_case(tmp_path)
    assert loaded.case.spacing_mm == pytest.approx((1.0, 1.0, 1.0))
    assert "t1c is series 4 (AX T1 POST), the finest; not used: series 3" in loaded.notes[0]


def test_series_of_two_studies_are_refused(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "a", BASE, grid(), study_uid="1.2.3")
    write_dicom_series(tmp_path / "b", BASE, grid(), study_uid="1.2.4", description="T2")
    with pytest.raises(SequenceError, match="several studies"):
        load_case(tmp_path)


@pytest.mark.parametrize("name", ["DOE_JANE", "export H123456", "Jane"])
def test_a_folder_named_after_the_patient_does_not_name_the_case(tmp_path: Path, name: str) -> None:
    write_dicom_series(tmp_path / name, BASE, grid())
    case_id = load_case(tmp_path / name).case.case_id
    assert case_id.startswith("study-")
    assert "doe" not in case_id.lower()
    assert load_case(tmp_path / name).case.case_id == case_id


def test_a_folder_of_a_deidentified_study_names_the_case(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "DOE-1", BASE, grid(), PatientIdentityRemoved="YES")
    assert load_case(tmp_path / "DOE-1").case.case_id == "DOE-1"


@pytest.mark.parametrize(
    ("name", "case_id"),
    [
        ("BraTS20_Training_001", "BraTS20_Training_001"),
        ("Fall 7 (pre-op)", "Fall-7-pre-op"),
        ("Fall 7 (prä-op)", "Fall-7-pra-op-687c3c80"),
        ("김철수", "gimceolsu-f09c2129"),
        ("Пациент А", "Patsient-A-6a837116"),  # noqa: RUF001
        ("../../etc/passwd", "etc-passwd"),
        ("x_flair.nii", "x_flair"),
        ("a.nii.gz_copy", "a_copy"),
        ("日本", "case-cf2abf0c"),
        ("", "case"),
        (".hidden", "hidden"),
        ("a" * 64, "a" * 64),
        ("a" * 100, "a" * 55 + "-28165978"),
    ],
)
def test_names_become_valid_case_ids(name: str, case_id: str) -> None:
    assert case_id_from(name) == case_id
    assert check_case_id(case_id) == case_id


def test_different_names_have_different_ids() -> None:
    names = ["Müller", "Muller", "Mueller", "Möller", "김철수", "이영희", "박민수", "日本", "中国"]
    names += ["Пациент А", "Пациент Б", "x" * 70, "x" * 71, "x" * 64, "ひろし", "ヒロシ"]  # noqa: RUF001
    assert len({case_id_from(name) for name in names}) == len(names)


def test_a_name_has_one_id_however_its_accents_are_stored() -> None:
    for name in ("Müller", "김철수", "été"):
        forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")}
        assert len({case_id_from(form) for form in forms}) == 1


@pytest.mark.parametrize(
    "case_id", ["", "../a", "a/b", ".a", "-a", "a" * 65, "a.nii", "a.NII.gz", "a b", "a\n", "a."]
)
def test_ids_that_are_no_safe_file_name_are_refused(tmp_path: Path, case_id: str) -> None:
    with pytest.raises(InputError, match="case id"):
        check_case_id(case_id)
    write_case(tmp_path, {"a_t1c.nii": Sequence.T1C})
    with pytest.raises(InputError, match="case id"):
        load_case(tmp_path, case_id=case_id)
