from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
import torch
from brain_tumor.cases.sequences import Sequence
from brain_tumor.errors import GeometryError, InputError
from brain_tumor.labels import Label, TumorType
from brain_tumor.phantoms.fields import vector3
from brain_tumor.phantoms.phantom import Phantom, PhantomSpec, make_phantom
from brain_tumor.phantoms.plans import plan_tumor
from brain_tumor.phantoms.template import SELLA_MM, random_deformation, template
from scipy import ndimage

from tests.helpers.phantoms import (
    BALL,
    a_glioma_phantom,
    a_healthy_phantom,
    a_meningioma_phantom,
    a_phantom,
    a_pituitary_phantom,
    centroid_mm,
    coarse_spec,
    volume_ml,
)

T1C_ONLY = (Sequence.T1C,)
SEEDS = range(4)


def image(phantom: Phantom, sequence: Sequence) -> npt.NDArray[np.float32]:
    return phantom.case.volumes[sequence].array


def positions_mm(phantom: Phantom) -> npt.NDArray[np.float64]:
    """World position of every voxel, shape (I, J, K, 3)."""
    ijk = np.stack(np.indices(phantom.case.shape), axis=-1)
    affine = phantom.case.affine
    positions: npt.NDArray[np.float64] = ijk @ affine[:3, :3].T + affine[:3, 3]
    return positions


# --- the same again


def test_the_same_specification_gives_the_same_bytes() -> None:
    first, second = make_phantom(coarse_spec(seed=3)), make_phantom(coarse_spec(seed=3))
    assert first.labelmap.tobytes() == second.labelmap.tobytes()
    for sequence in Sequence:
        one, other = first.case.volumes[sequence], second.case.volumes[sequence]
        assert one.array.tobytes() == other.array.tobytes()
        assert one.affine.tobytes() == other.affine.tobytes()


def test_the_number_of_threads_does_not_change_a_phantom() -> None:
    threads = torch.get_num_threads()
    made = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            made.append(make_phantom(coarse_spec(seed=3, sequences=T1C_ONLY)))
    finally:
        torch.set_num_threads(threads)
    assert made[0].labelmap.tobytes() == made[1].labelmap.tobytes()
    assert image(made[0], Sequence.T1C).tobytes() == image(made[1], Sequence.T1C).tobytes()


def test_another_seed_is_another_head_with_a_tumour_elsewhere() -> None:
    one, other = a_glioma_phantom(), a_phantom(coarse_spec(seed=2))
    brains = [image(p, Sequence.T1) > 0 for p in (one, other)]
    overlap = 2 * (brains[0] & brains[1]).sum() / (brains[0].sum() + brains[1].sum())
    assert 0.8 < overlap < 0.99
    assert one.plan is not None
    assert other.plan is not None
    assert np.linalg.norm(np.subtract(one.plan.centre_mm, other.plan.centre_mm)) > 5


def test_a_sequence_is_the_same_whichever_others_are_rendered() -> None:
    alone = a_phantom(coarse_spec(sequences=T1C_ONLY))
    assert alone.case.present == T1C_ONLY
    np.testing.assert_array_equal(
        image(alone, Sequence.T1C), image(a_glioma_phantom(), Sequence.T1C)
    )


def test_a_tumour_changes_nothing_far_away() -> None:
    made = [
        a_phantom(coarse_spec(tumor, noise=0, bias=0, sequences=(Sequence.T2,)))
        for tumor in (TumorType.GLIOMA, None)
    ]
    assert made[0].plan is not None
    away = np.linalg.norm(positions_mm(made[0]) - made[0].plan.centre_mm, axis=-1)
    both = [image(p, Sequence.T2) for p in made]
    np.testing.assert_allclose(both[0][away > 85], both[1][away > 85], atol=0.2)
    assert np.abs(both[0] - both[1])[away < 15].mean() > 50


# --- the mask


def test_a_glioma_has_the_three_subregion_labels_and_nothing_else() -> None:
    phantom = a_glioma_phantom()
    assert phantom.tumor_type is TumorType.GLIOMA
    assert set(np.unique(phantom.labelmap)) == {0, Label.NCR, Label.ED, Label.ET}


def test_solid_tumours_have_no_necrosis() -> None:
    for phantom in (a_meningioma_phantom(), a_pituitary_phantom()):
        assert Label.ET in phantom.labelmap
        assert Label.NCR not in phantom.labelmap


def test_a_healthy_head_has_an_empty_mask_and_no_type() -> None:
    healthy = a_healthy_phantom()
    assert not healthy.labelmap.any()
    assert healthy.tumor_type is None
    assert healthy.plan is None


def test_a_ball_has_the_volume_and_the_centre_of_a_ball() -> None:
    # Core: 4/3 pi 16^3 = 17 157 mm^3; necrosis: 4/3 pi 12^3 = 7 238 mm^3.
    phantom = a_phantom(coarse_spec(spacing_mm=2.0, sequences=T1C_ONLY, plan=BALL))
    core = np.isin(phantom.labelmap, (Label.NCR, Label.ET))
    assert volume_ml(phantom, core) == pytest.approx(17.157, rel=0.02)
    assert volume_ml(phantom, phantom.labelmap == Label.NCR) == pytest.approx(7.238, rel=0.02)
    radius_mm = np.linalg.norm(positions_mm(phantom) - BALL.centre_mm, axis=-1)
    surface = np.abs(radius_mm - 16) < 0.01
    np.testing.assert_array_equal(core[~surface], radius_mm[~surface] < 16)
    np.testing.assert_allclose(centroid_mm(phantom, core), BALL.centre_mm, atol=0.1)
    assert Label.ED not in phantom.labelmap


def test_every_label_lies_inside_the_stripped_brain() -> None:
    for tumor in TumorType:
        phantom = a_phantom(coarse_spec(tumor))
        for sequence in Sequence:
            brain = image(phantom, sequence) > 0
            assert brain[phantom.labelmap > 0].all()
            assert not brain[[0, -1]].any()


@pytest.mark.parametrize("tumor", [TumorType.MENINGIOMA, TumorType.PITUITARY])
def test_stripping_the_skull_keeps_the_whole_tumour(tumor: TumorType) -> None:
    stripped, whole = (
        a_phantom(coarse_spec(tumor, skull_stripped=s, sequences=T1C_ONLY)) for s in (True, False)
    )
    kept, all_of_it = (volume_ml(p, p.labelmap == Label.ET) for p in (stripped, whole))
    assert kept == pytest.approx(all_of_it, rel=0.06)


def test_enhancing_rim_surrounds_the_necrosis() -> None:
    phantom = a_phantom(coarse_spec(spacing_mm=2.0, sequences=T1C_ONLY))
    necrosis = phantom.labelmap == Label.NCR
    shell = ndimage.binary_dilation(necrosis) & ~necrosis
    assert (phantom.labelmap[shell] == Label.ET).mean() > 0.99
    _, pieces = ndimage.label(necrosis | (phantom.labelmap == Label.ET))
    assert pieces == 1


# --- where tumours grow


@pytest.mark.parametrize("seed", SEEDS)
def test_a_meningioma_sits_broadly_on_the_inner_skull(seed: int) -> None:
    phantom = a_phantom(coarse_spec(TumorType.MENINGIOMA, seed=seed, sequences=T1C_ONLY))
    assert phantom.plan is not None
    outside = image(phantom, Sequence.T1C) == 0
    contact = (phantom.labelmap == Label.ET) & ndimage.binary_dilation(outside)
    # A ball whose centre is 0.6 R under a plane meets it in a disc of radius 0.8 R.
    disc_mm2 = np.pi * (0.8 * phantom.plan.radius_mm) ** 2
    assert contact.sum() * 4.0**2 > 0.4 * disc_mm2


def test_a_meningioma_beside_the_falx_keeps_to_its_side() -> None:
    beside = replace(
        BALL,
        tumor_type=TumorType.MENINGIOMA,
        rim_mm=None,
        centre_mm=(6.0, 20.0, 50.0),
        falx_side=1,
    )
    spec = replace(coarse_spec(TumorType.MENINGIOMA, plan=beside), variability=0.0)
    phantom = a_phantom(spec)
    x = positions_mm(phantom)[..., 0][phantom.labelmap == Label.ET]
    assert x.min() > 0
    assert x.max() == 18  # voxel centres are at -2, 2, 6, ..., 18, and 22 is on the surface


@pytest.mark.parametrize("seed", SEEDS)
def test_an_adenoma_grows_from_the_sella(seed: int) -> None:
    head = random_deformation(np.random.default_rng(seed))
    plan = plan_tumor(TumorType.PITUITARY, head, np.random.default_rng(seed))
    at = head(np.array([plan.centre_mm], dtype=np.float32))[0]
    assert np.linalg.norm(at - np.array(SELLA_MM)) < 4.0
    assert at[2] > SELLA_MM[2]


def test_an_adenoma_lies_in_the_midline_before_the_brain_stem() -> None:
    phantom = a_pituitary_phantom()
    x, y, z = centroid_mm(phantom, phantom.labelmap == Label.ET)
    assert abs(x) < 8
    assert -8 < y < 16
    assert -45 < z < -18


def test_the_sella_of_the_template_is_below_the_brain() -> None:
    column = np.array([[0, 4, z] for z in (-35, -25, -10)], dtype=np.float32)
    surface, _ = template().distances(column)
    assert surface[0] > 10
    assert 3 < surface[1] < surface[0]
    assert surface[2] < 0


# --- what they look like


@pytest.mark.parametrize("seed", SEEDS)
def test_the_enhancing_tumour_is_bright_after_contrast_only(seed: int) -> None:
    phantom = a_phantom(coarse_spec(seed=seed))
    labels = phantom.labelmap
    medians = {
        sequence: {
            value: float(np.median(image(phantom, sequence)[labels == value]))
            for value in (Label.NCR, Label.ED, Label.ET)
        }
        | {0: float(np.median(image(phantom, sequence)[(labels == 0) & _brain(phantom)]))}
        for sequence in Sequence
    }
    t1, t1c = medians[Sequence.T1], medians[Sequence.T1C]
    assert t1c[Label.ET] > 1.2 * max(t1c[0], t1c[Label.ED], t1c[Label.NCR])
    assert t1[Label.ET] < t1[0]
    assert t1c[Label.NCR] < 0.85 * t1c[Label.ED]
    flair, t2 = medians[Sequence.FLAIR], medians[Sequence.T2]
    assert flair[Label.ED] > 1.2 * flair[0]
    assert t2[Label.NCR] > t2[Label.ED] > 1.1 * t2[0]


def _brain(phantom: Phantom) -> npt.NDArray[np.bool_]:
    brain: npt.NDArray[np.bool_] = image(phantom, phantom.case.reference) > 0
    return brain


def test_solid_tumours_are_bright_after_contrast() -> None:
    for phantom in (a_meningioma_phantom(), a_pituitary_phantom()):
        tumour = phantom.labelmap == Label.ET
        centre = centroid_mm(phantom, tumour)
        near = np.linalg.norm(positions_mm(phantom) - centre, axis=-1) < 60
        tissue = near & ~tumour & (image(phantom, Sequence.T1) > 60)
        t1c = image(phantom, Sequence.T1C)
        assert np.median(t1c[tumour]) > 1.3 * np.median(t1c[tissue])


def test_a_head_with_skull_has_scalp_and_air_that_a_stripped_one_lacks() -> None:
    whole = a_phantom(coarse_spec(None, skull_stripped=False))
    stripped = a_healthy_phantom()
    x, y, z = whole.case.shape
    scalp = image(whole, Sequence.T1)[x // 2, :, z // 2]
    brain_level = np.median(image(stripped, Sequence.T1)[_brain(stripped)])
    assert scalp.max() > 0.8 * brain_level
    above = positions_mm(whole)[..., 2] > 106
    assert 0 < image(whole, Sequence.T1)[above].mean() < 0.1 * brain_level
    assert (image(stripped, Sequence.T1) == 0).mean() > 0.5
    assert y > stripped.case.shape[1]


def test_mass_effect_pushes_the_ventricle_aside() -> None:
    def ventricle_x(pushed_share: float) -> float:
        plan = replace(BALL, centre_mm=(34.0, -10.0, 22.0), pushed_share=pushed_share)
        spec = coarse_spec(spacing_mm=3.0, sequences=(Sequence.T2,), noise=0, bias=0, plan=plan)
        phantom = a_phantom(replace(spec, variability=0.0))
        x, y, z = np.moveaxis(positions_mm(phantom), -1, 0)
        t2 = image(phantom, Sequence.T2)
        box = (x > 2) & (x < 30) & (np.abs(y + 5) < 22) & (z > 8) & (z < 26)
        fluid = box & (phantom.labelmap == 0) & (t2 > 2 * np.median(t2[t2 > 0]))
        assert fluid.sum() > 20
        return float(x[fluid].mean())

    assert ventricle_x(0.9) < ventricle_x(0.0) - 1.0


# --- grids


def test_the_grid_is_the_one_asked_for() -> None:
    spec = replace(
        coarse_spec(sequences=T1C_ONLY), spacing_mm=(4.0, 3.0, 6.0), axcodes="PSL", oblique_deg=12
    )
    phantom = make_phantom(replace(spec, render_step_mm=6.0))
    assert phantom.case.spacing_mm == pytest.approx((4.0, 3.0, 6.0))
    assert nib.aff2axcodes(phantom.case.affine) == ("P", "S", "L")
    directions = phantom.case.affine[:3, :3] / phantom.case.spacing_mm
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-12)
    # The first axis is P, turned by 12 degrees about x and 6 about z: cos 12 along -y before.
    assert directions[2, 0] == pytest.approx(-np.sin(np.deg2rad(12)))


def test_an_oblique_thick_sliced_phantom_is_the_same_tumour_in_the_same_place() -> None:
    straight = a_phantom(coarse_spec(spacing_mm=2.0, sequences=T1C_ONLY, plan=BALL))
    spec = replace(
        straight.spec, spacing_mm=(2.0, 2.0, 6.0), oblique_deg=20.0, axcodes="LPS", noise=0.0
    )
    oblique = make_phantom(spec)
    assert oblique.case.shape[2] < 32
    for wanted, phantom in ((17.157, straight), (17.157, oblique)):
        core = np.isin(phantom.labelmap, (Label.NCR, Label.ET))
        assert volume_ml(phantom, core) == pytest.approx(wanted, rel=0.03)
        np.testing.assert_allclose(centroid_mm(phantom, core), BALL.centre_mm, atol=0.6)
    bright = image(oblique, Sequence.T1C)[oblique.labelmap == Label.ET]
    assert np.median(bright) > 1.2 * np.median(image(oblique, Sequence.T1C)[_brain(oblique)])


def test_flipped_axes_flip_the_labelmap() -> None:
    straight = a_phantom(coarse_spec(sequences=T1C_ONLY))
    flipped = make_phantom(replace(straight.spec, axcodes="LPS"))
    moved = flipped.labelmap[::-1, ::-1] != straight.labelmap
    assert moved.sum() < 0.002 * (straight.labelmap > 0).sum()
    assert flipped.case.affine[0, 0] == pytest.approx(-4.0)


def test_a_mirrored_head_has_its_tumour_on_the_other_side() -> None:
    straight = a_phantom(coarse_spec(sequences=T1C_ONLY))
    mirrored = make_phantom(replace(straight.spec, mirrored=True))
    moved = mirrored.labelmap[::-1] != straight.labelmap
    assert moved.sum() < 0.002 * (straight.labelmap > 0).sum()
    assert straight.plan is not None
    assert mirrored.plan is not None
    x, y, z = straight.plan.centre_mm
    assert vector3(mirrored.plan.centre_mm) == pytest.approx((-x, y, z))


# --- refusals


def test_a_reference_that_is_not_rendered_is_refused() -> None:
    with pytest.raises(InputError, match="reference t1c is not among the sequences"):
        PhantomSpec(sequences=(Sequence.T1,))


@pytest.mark.parametrize("axcodes", ["RAX", "RLS", "RA", ""])
def test_impossible_axis_codes_are_refused(axcodes: str) -> None:
    with pytest.raises(GeometryError, match="one of each of RL, AP, SI"):
        PhantomSpec(axcodes=axcodes)


@pytest.mark.parametrize("spacing", [0.0, -1.0, 21.0, float("nan")])
def test_impossible_voxel_sizes_are_refused(spacing: float) -> None:
    with pytest.raises(GeometryError, match="expected 0 to 20 mm"):
        PhantomSpec(spacing_mm=(1.0, 1.0, spacing))


def test_a_plan_of_another_type_is_refused() -> None:
    with pytest.raises(InputError, match="plan is of type glioma"):
        PhantomSpec(tumor=TumorType.MENINGIOMA, plan=BALL)
