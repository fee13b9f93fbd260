"""Heat volumes: scale, places in mm and shares, worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from brain_tumor.errors import GeometryError, InputError, VolumeError
from brain_tumor.explanation import type_heat
from brain_tumor.explanation.heat.methods import ClassTarget, HeatMethod
from brain_tumor.explanation.heat.volume import (
    dilate_mm,
    heat_near,
    heat_volume,
    peak_inside,
    peak_ras,
    share_inside,
)
from brain_tumor.labels import TumorType

SHAPE = (10, 12, 8)


def affine(kind="straight"):
    """Voxels of 2 x 1 x 5 mm; voxel 0 at (10, -20, 30)."""
    linear = np.diag([2.0, 1.0, 5.0])
    if kind == "flipped":
        linear = np.diag([-2.0, 1.0, -5.0])
    if kind == "oblique":  # turned by 90 degrees about z, then by a 3-4-5 angle about x
        turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        tilt = np.array([[1.0, 0.0, 0.0], [0.0, 0.6, -0.8], [0.0, 0.8, 0.6]])
        linear = tilt @ turn @ linear
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = (10.0, -20.0, 30.0)
    return matrix


def volume(places, kind="straight"):
    raw = np.zeros(SHAPE, dtype=np.float32)
    for place, value in places.items():
        raw[place] = value
    return heat_volume(raw, affine(kind), "gradcam++", "glioma")


def test_the_hottest_voxel_is_one_and_the_raw_maximum_is_kept():
    heat = volume({(1, 2, 3): 0.5, (4, 5, 6): 2.0})
    assert heat.values[1, 2, 3] == 0.25
    assert heat.values[4, 5, 6] == 1.0
    assert heat.raw_maximum == 2.0
    assert not heat.is_empty


def test_zero_stays_zero_when_every_voxel_is_warm():
    raw = np.full(SHAPE, 3.0, dtype=np.float32)
    raw[0, 0, 0] = 4.0
    heat = heat_volume(raw, affine(), "gradcam++", "glioma")
    # a minimum-maximum stretch would say 0
    assert heat.values[5, 5, 5] == 0.75


def test_an_empty_map_stays_empty():
    heat = volume({})
    assert heat.is_empty
    assert heat.values.max() == 0
    assert heat.to_uint8().max() == 0
    assert peak_ras(heat) is None
    assert share_inside(heat, np.ones(SHAPE, dtype=bool)) == 0.0
    assert peak_inside(heat, np.ones(SHAPE, dtype=bool)) is False


def test_heat_under_a_twentieth_of_the_hottest_voxel_is_none():
    raw = np.zeros(SHAPE, dtype=np.float32)
    raw[0, 0, :4] = (8.0, 0.41, 0.39, 0.01)
    heat = heat_volume(raw, affine(), "gradcam++", "glioma")
    np.testing.assert_allclose(heat.values[0, 0, :4], [1.0, 0.05125, 0.0, 0.0])
    assert np.count_nonzero(heat.values) == 2


def test_quantisation_is_off_by_at_most_half_a_step():
    raw = np.linspace(0.05, 1, 10 * 12 * 8, dtype=np.float32).reshape(SHAPE)
    raw[0, 0, 0] = 0
    heat = heat_volume(raw, affine(), "gradcam++", "glioma")
    stored = heat.to_uint8()
    assert stored.dtype == np.uint8
    assert stored.min() == 0
    assert stored.max() == 255
    assert np.abs(stored / 255 - raw).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_heat_below_zero_or_not_finite_is_refused(bad):
    with pytest.raises(VolumeError, match="expected finite values from 0 up"):
        volume({(0, 0, 0): bad})


def test_a_picture_is_refused():
    with pytest.raises(VolumeError, match="3-D"):
        heat_volume(np.zeros((4, 4)), affine(), "gradcam++", "glioma")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # voxel (4, 5, 6) lies 8, 5 and 30 mm along the axes
        ("straight", (18.0, -15.0, 60.0)),
        ("flipped", (2.0, -15.0, 0.0)),
        # turned: (-5, 8, 30); tilted: y = .6 * 8 - .8 * 30 = -19.2, z = .8 * 8 + .6 * 30 = 24.4
        ("oblique", (5.0, -39.2, 54.4)),
    ],
)
def test_the_peak_is_where_the_hottest_voxel_is(kind, expected):
    heat = volume({(4, 5, 6): 2.0, (1, 1, 1): 1.0}, kind)
    # 960 voxels: the hottest 0.1 % is one
    assert peak_ras(heat) == pytest.approx(expected)


def test_the_peak_is_the_centre_of_mass_of_the_hottest_group():
    raw = np.zeros((20, 20, 20), dtype=np.float32)
    raw[3, 3, 3], raw[4, 3, 3] = 1.0, 0.6  # centre of mass at 3 + 0.6 / 1.6
    raw[15:17, 15, 15] = 0.9  # another hot place, not as hot
    raw[10, 10, 10] = 0.5
    heat = heat_volume(raw, np.eye(4), "gradcam++", "glioma")
    # 8000 voxels: the hottest 8 are all four warm places; the group of the hottest voxel counts
    assert peak_ras(heat) == pytest.approx((3.375, 3.0, 3.0))


def test_the_peak_of_a_ring_is_on_the_ring():
    raw = np.zeros(SHAPE, dtype=np.float32)
    raw[2:5, 2:5, 3] = 1.0
    raw[3, 3, 3] = 0.0
    heat = heat_volume(raw, np.eye(4), "gradcam++", "glioma")
    assert heat_near(heat, peak_ras(heat), reach_mm=0.1) == 1.0


def test_share_inside_is_the_share_of_the_heat_not_of_the_voxels():
    heat = volume({(4, 5, 4): 3.0, (4, 6, 4): 1.0, (9, 0, 0): 1.0})
    tumour = np.zeros(SHAPE, dtype=bool)
    tumour[4, 5, 4] = True
    assert share_inside(heat, tumour) == pytest.approx(0.6)
    # the second voxel is 1 mm away, the third 5.9 cm
    assert share_inside(heat, tumour, reach_mm=1.0) == pytest.approx(0.8)
    assert share_inside(heat, tumour, reach_mm=0.9) == pytest.approx(0.6)


def test_inverted_polarity_is_caught():
    tumour = np.zeros(SHAPE, dtype=bool)
    tumour[3:6, 4:8, 2:5] = True
    right = np.where(tumour, 1.0, 0.05).astype(np.float32)
    heat = heat_volume(right, affine(), "gradcam++", "glioma")
    inverted = heat_volume(1 - right, affine(), "gradcam++", "glioma")
    assert share_inside(heat, tumour, reach_mm=0) > 0.4
    assert share_inside(inverted, tumour, reach_mm=0) == 0.0
    assert peak_inside(heat, tumour, reach_mm=0)
    assert not peak_inside(inverted, tumour, reach_mm=0)


def test_dilation_counts_mm_and_not_voxels():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[5, 6, 4] = True
    grown = dilate_mm(mask, (2.0, 1.0, 5.0), 5.0)
    assert grown[5, 6, 3]
    assert grown[5, 6, 5]
    assert not grown[5, 6, 2]
    assert grown[3, 6, 4]
    assert not grown[2, 6, 4]  # 6 mm
    assert grown[5, 1, 4]
    assert grown[5, 11, 4]
    assert grown[7, 9, 4]  # 4 and 3 mm: a 3-4-5 triangle
    assert not grown[7, 10, 4]
    # ellipse (2 di)^2 + dj^2 <= 25 in the plane: 11 + 2 * 9 + 2 * 7 for di = 0, 1, 2;
    # and one voxel in each neighbouring plane
    assert grown.sum() == 11 + 2 * 9 + 2 * 7 + 2


def test_dilation_of_nothing_is_nothing():
    assert not dilate_mm(np.zeros(SHAPE, dtype=bool), (1.0, 1.0, 1.0), 5.0).any()


def test_the_pointing_game_is_won_within_reach_of_the_outline():
    heat = volume({(4, 5, 4): 1.0})
    tumour = np.zeros(SHAPE, dtype=bool)
    tumour[4, 9, 4] = True  # 4 mm away
    assert peak_inside(heat, tumour)
    assert not peak_inside(heat, tumour, reach_mm=3.9)


def test_words_on_heat_of_a_type_tell_inside_from_near(monkeypatch):
    tumour = np.zeros(SHAPE, dtype=bool)
    tumour[4, 9, 4] = True
    heat = volume({(4, 5, 4): 1.0, (4, 9, 4): 0.5})  # the peak is 4 mm away
    nothing = SimpleNamespace(likeliest=None)
    monkeypatch.setattr(type_heat, "_case_heat", lambda *_: (heat, ()))
    found = type_heat.explain_type(None, None, tumour, nothing, "glioma", HeatMethod.GRADCAM)
    facts = found.facts
    assert (facts.peak_inside, facts.peak_near) == (False, True)
    assert facts.inside_share == pytest.approx(1 / 3)
    assert facts.near_share == pytest.approx(1.0)
    assert facts.agrees


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ("prediction", ClassTarget(1)),
        ("runner_up", ClassTarget(0, against=1)),  # glioma rather than meningioma
        ("glioma", ClassTarget(0)),
        ("pituitary", ClassTarget(2)),
    ],
)
def test_heat_of_the_runner_up_is_what_it_has_over_the_most_probable_type(asked, target):
    glioma, meningioma, pituitary = TumorType
    probabilities = {glioma: 0.3, meningioma: 0.6, pituitary: 0.1}
    found = SimpleNamespace(probabilities=probabilities, likeliest=meningioma)
    kind = type_heat.choose_type(found, asked)
    assert type_heat.class_target(found, kind, asked) == target


def test_a_mask_on_another_grid_is_refused():
    with pytest.raises(GeometryError, match="the heatmap has"):
        share_inside(volume({}), np.zeros((3, 3, 3), dtype=bool))


@pytest.mark.parametrize("kind", ["straight", "flipped", "oblique"])
def test_heat_near_a_point_is_the_mean_of_the_ball_around_it(kind):
    heat = volume({(4, 5, 4): 1.0, (4, 6, 4): 0.5, (4, 5, 6): 0.8}, kind)
    point = tuple(heat.affine[:3, :3] @ [4, 5, 4] + heat.affine[:3, 3])
    # within 1 mm: three voxels along the 1 mm axis, 1, 0.5 and 0
    assert heat_near(heat, point, reach_mm=1.0) == pytest.approx(0.5)
    assert heat_near(heat, point, reach_mm=0.5) == pytest.approx(1.0)


def test_heat_near_a_point_between_voxels_is_that_of_the_nearest():
    heat = volume({(4, 5, 4): 1.0})
    point = heat.affine @ [4.2, 5.0, 4.3, 1.0]
    assert heat_near(heat, tuple(point[:3]), reach_mm=0.1) == 1.0


def test_heat_near_a_point_off_the_grid_is_unknown():
    heat = volume({(0, 0, 0): 1.0})
    assert heat_near(heat, (0.0, 0.0, 0.0)) is None
    with pytest.raises(InputError, match="finite"):
        heat_near(heat, (0.0, float("nan"), 0.0))
