from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from brain_tumor.cases.sequences import Sequence
from brain_tumor.labels import Label, TumorType
from brain_tumor.phantoms.anatomy import tissue_maps
from brain_tumor.phantoms.artefacts import (
    add_rician_noise,
    bias_field,
    block_majority,
    block_mean,
    blur,
)
from brain_tumor.phantoms.contrast import render_contrast
from brain_tumor.phantoms.fields import (
    capsule_mm,
    coverage,
    ellipsoid_mm,
    smooth_minimum,
    smooth_noise,
    voxel_noise,
)
from brain_tumor.phantoms.plans import TumorPlan
from brain_tumor.phantoms.template import (
    displaced,
    identity_deformation,
    random_deformation,
)
from brain_tumor.phantoms.tissue import Grid, Tissue, TissueMaps
from brain_tumor.phantoms.tumours import core_mm, push_field, render_tumor

CENTRE = (30.0, -18.0, 24.0)


def points(*rows: tuple[float, float, float]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array(rows, dtype=np.float32)


def a_head() -> TissueMaps:
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [-78, -114, -76]
    grid = Grid((40, 51, 43), affine)
    return tissue_maps(grid, identity_deformation(), np.random.default_rng(0))


@lru_cache(maxsize=1)
def an_untouched_head() -> TissueMaps:
    return a_head()


# --- fields


def test_distance_to_a_sphere_is_exact() -> None:
    probes = points((5, 0, 0), (0, 0, 0), (1, 2, 2))
    np.testing.assert_allclose(ellipsoid_mm(probes, (0, 0, 0), (3, 3, 3)), [2, -3, 0], atol=1e-5)


def test_distance_to_an_ellipsoid_is_exact_on_its_axes_near_the_surface() -> None:
    probes = points((10.1, 0, 0), (0, 1.9, 0))
    np.testing.assert_allclose(ellipsoid_mm(probes, (0, 0, 0), (10, 2, 5)), [0.1, -0.1], atol=2e-3)


def test_distance_to_a_tapered_capsule() -> None:
    probes = points((5, 5, 0), (13, 0, 0), (-4, 0, 0))
    # Radius 2 at the start, 1 at the end, 1.5 half-way.
    np.testing.assert_allclose(
        capsule_mm(probes, (0, 0, 0), (10, 0, 0), 2, 1), [3.5, 2, 2], atol=1e-5
    )


def test_a_smooth_union_is_a_union_with_a_fillet() -> None:
    a, b = np.array([1, -5, 2], np.float32), np.array([9, 3, 2], np.float32)
    np.testing.assert_allclose(smooth_minimum(a, b, 4.0), [1, -5, 1])


def test_coverage_is_half_on_the_surface() -> None:
    shares = coverage(np.array([-2, -0.25, 0, 0.25, 2], np.float32), 1.0)
    np.testing.assert_allclose(shares, [1, 0.75, 0.5, 0.25, 0])


def test_noise_has_mean_0_and_standard_deviation_1() -> None:
    lattice = smooth_noise(np.random.default_rng(0), 5.0).values
    assert lattice.mean() == pytest.approx(0, abs=0.02)
    assert lattice.std() == pytest.approx(1, abs=0.03)
    grown = voxel_noise(np.random.default_rng(0), (40, 50, 60), (1.0, 1.0, 0.2))
    assert grown.shape == (40, 50, 60)
    assert grown.std() == pytest.approx(1, abs=0.03)


def test_noise_is_the_same_function_wherever_it_is_sampled() -> None:
    field = smooth_noise(np.random.default_rng(0), 5.0, channels=2)
    probes = np.random.default_rng(1).uniform(-60, 60, (50, 3)).astype(np.float32)
    np.testing.assert_array_equal(field(probes)[:, 7:9], field(probes[7:9]))
    shift = points((0.5, 0, 0))
    assert np.abs(field(probes + shift) - field(probes)).max() < 0.6


# --- the head


def test_a_deformation_and_its_inverse_cancel() -> None:
    head = random_deformation(np.random.default_rng(5))
    probes = np.random.default_rng(1).uniform(-60, 60, (50, 3)).astype(np.float32)
    moved = head.inverse(probes)
    assert np.linalg.norm(moved - probes, axis=1).mean() > 2
    np.testing.assert_allclose(head(moved), probes, atol=0.02)


def test_fractions_fill_the_voxels_and_never_more() -> None:
    total = an_untouched_head().fractions.sum(axis=0)
    assert total.min() > 0.999
    assert total.max() < 1.001


def test_fluid_grey_and_white_matter_rank_as_on_a_scanner() -> None:
    maps = an_untouched_head()
    ranks = {
        Sequence.T1: (Tissue.CSF, Tissue.GM, Tissue.WM),
        Sequence.T1C: (Tissue.CSF, Tissue.GM, Tissue.WM),
        Sequence.T2: (Tissue.WM, Tissue.GM, Tissue.CSF),
        Sequence.FLAIR: (Tissue.CSF, Tissue.WM, Tissue.GM),
    }
    for sequence, dark_to_bright in ranks.items():
        image = render_contrast(maps, sequence, np.random.default_rng(1)).ravel()[maps.voxels]
        means = [image[maps.fractions[tissue] > 0.85].mean() for tissue in dark_to_bright]
        assert means == sorted(means)
        assert means[1] > 1.02 * means[0]


def test_vessels_are_bright_after_contrast_and_dark_on_t2() -> None:
    maps = an_untouched_head()
    vessels, white = (maps.fractions[t] > 0.8 for t in (Tissue.VESSEL, Tissue.WM))
    assert vessels.sum() > 30
    t1c, t2 = (
        render_contrast(maps, s, np.random.default_rng(1)).ravel()[maps.voxels]
        for s in (Sequence.T1C, Sequence.T2)
    )
    assert t1c[vessels].mean() > 1.5 * t1c[white].mean()
    assert t2[vessels].mean() < 0.8 * t2[white].mean()


# --- tumours


def a_plan(**changes: float) -> TumorPlan:
    return TumorPlan(
        TumorType.GLIOMA,
        centre_mm=CENTRE,
        radius_mm=changes.get("radius_mm", 20.0),
        irregularity=changes.get("irregularity", 0.0),
        rim_mm=4.0,
        oedema_mm=changes.get("oedema_mm", 0.0),
        pushed_share=changes.get("pushed_share", 0.488),
    )


def test_mass_effect_keeps_the_volume_around_a_ball() -> None:
    # (1 - 0.488)^(1/3) = 0.8, so the surface of the ball came from 0.8 R: 4 mm nearer.
    # At 2 R: 40 - (40^3 - 0.488 * 20^3)^(1/3) = 40 - 39.170 = 0.830 mm.
    x, y, z = CENTRE
    push = push_field(a_plan(), identity_deformation())
    at = push(points((x - 20, y, z), (x - 40, y, z), (x, y, z))).T
    np.testing.assert_allclose(at, [[4, 0, 0], [0.830, 0, 0], [0, 0, 0]], atol=0.01)


def test_mass_effect_leaves_the_skull_alone_and_fades() -> None:
    push = push_field(a_plan(), identity_deformation())
    x, y, z = CENTRE
    lateral, far = points((78, y, z)), points((x - 84, y, z))
    assert np.abs(push(lateral)).max() < 0.05
    assert np.abs(push(far)).max() < 0.01


def test_mass_effect_of_a_long_tumour_ends_within_its_lattice() -> None:
    push = push_field(replace(a_plan(), elongation=(1.6, 0.8, 0.78)), identity_deformation())
    for axis in (1, 2, 3):
        assert not push.values.take([0, -1], axis=axis).any()


def test_displaced_heads_show_what_was_pushed() -> None:
    push = push_field(a_plan(), identity_deformation())
    x, y, z = CENTRE
    moved = displaced(identity_deformation(), push)(points((x - 20, y, z)))[0]
    np.testing.assert_allclose(moved, [x - 16, y, z], atol=0.4)


def test_irregular_borders_repeat_with_the_state_of_chance() -> None:
    probes = np.random.default_rng(1).uniform(-30, 30, (200, 3)).astype(np.float32) + points(CENTRE)
    ball = core_mm(a_plan(), probes, np.random.default_rng(0))
    np.testing.assert_allclose(
        ball, np.linalg.norm(probes - points(CENTRE), axis=1) - 20, atol=1e-4
    )
    rough = [core_mm(a_plan(irregularity=1.0), probes, np.random.default_rng(s)) for s in (0, 0, 1)]
    np.testing.assert_array_equal(rough[0], rough[1])
    assert np.abs(rough[0] - ball).mean() > 1
    assert np.abs(rough[0] - rough[2]).mean() > 1


def test_oedema_prefers_white_matter_to_cortex() -> None:
    maps = a_head()
    plan = a_plan(radius_mm=12.0, oedema_mm=14.0, pushed_share=0.0)
    labels = render_tumor(maps, plan, identity_deformation(), np.random.default_rng(3))
    before = an_untouched_head().fractions
    reach = np.linalg.norm(maps.points_mm - points(CENTRE), axis=1)
    around = (reach > 15) & (reach < 24)
    share = {
        tissue: np.mean(labels[around & (before[tissue] > 0.8)] == Label.ED)
        for tissue in (Tissue.WM, Tissue.GM, Tissue.CSF)
    }
    assert share[Tissue.WM] > 0.7
    assert share[Tissue.GM] < 0.7 * share[Tissue.WM]
    assert share[Tissue.CSF] == 0


# --- the scanner


def test_blur_spreads_a_point_and_keeps_a_plain_image() -> None:
    point = np.zeros((5, 1, 1), np.float32)
    point[2] = 1
    np.testing.assert_allclose(blur(point, 0.1).ravel(), [0, 0.1, 0.8, 0.1, 0])
    plain = np.full((3, 4, 5), 7, np.float32)
    np.testing.assert_allclose(blur(plain, 0.2), plain, rtol=1e-6)


def test_a_thick_voxel_measures_the_mean_and_keeps_the_commonest_label() -> None:
    image = np.arange(8, dtype=np.float32).reshape(1, 2, 4)
    np.testing.assert_array_equal(block_mean(image, (1, 2, 2)), [[[2.5, 4.5]]])
    labels = np.array([[[1, 1, 3, 2], [0, 1, 3, 2]]], np.uint8)
    np.testing.assert_array_equal(block_majority(labels, (1, 2, 2)), [[[1, 2]]])
    np.testing.assert_array_equal(block_majority(labels, (1, 1, 4)), [[[1], [0]]])


def test_noise_in_air_follows_rayleigh_and_in_tissue_gauss() -> None:
    shape = (60, 60, 60)
    air = add_rician_noise(np.zeros(shape, np.float32), 2.0, np.random.default_rng(0))
    assert air.mean() == pytest.approx(2 * np.sqrt(np.pi / 2), rel=0.01)
    tissue = add_rician_noise(np.full(shape, 100, np.float32), 2.0, np.random.default_rng(0))
    assert tissue.std() == pytest.approx(2.0, rel=0.02)
    assert tissue.mean() == pytest.approx(100.02, abs=0.05)


def test_the_bias_field_is_smooth_and_absent_at_strength_zero() -> None:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -60
    grid = Grid((61, 61, 61), affine)
    assert (bias_field(grid, 0.0, np.random.default_rng(0)) == 1).all()
    field = np.log(bias_field(grid, 0.1, np.random.default_rng(0)))
    assert 0.01 < field.std() < 0.3
    assert np.abs(np.diff(field, axis=0)).max() < 0.02
