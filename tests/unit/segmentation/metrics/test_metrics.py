"""Voxel, surface and volume metrics against values worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from brain_tumor.errors import GeometryError
from brain_tumor.labels import Label
from brain_tumor.segmentation.metrics.empty_masks import MaskState
from brain_tumor.segmentation.metrics.lesions import BoolArray
from brain_tumor.segmentation.metrics.metrics import (
    MetricSettings,
    Structure,
    score_labelmaps,
    score_masks,
    score_overlap,
    structure_mask,
)

ISOTROPIC = (1.0, 1.0, 1.0)


def a_box(
    low: tuple[int, int, int], size: tuple[int, int, int], shape: tuple[int, int, int] = (30,) * 3
) -> BoolArray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(a, a + n) for a, n in zip(low, size, strict=True))] = True
    return mask


CUBE = a_box((5, 5, 5), (10, 10, 10))
SHIFTED = a_box((9, 5, 5), (10, 10, 10))
EMPTY = np.zeros((30, 30, 30), dtype=bool)


def test_two_cubes_four_voxels_apart_have_the_overlap_worked_out_by_hand() -> None:
    scores = score_masks(SHIFTED, CUBE, (2.0, 2.0, 2.0))
    assert scores.state is MaskState.BOTH_PRESENT
    assert scores.dice == pytest.approx(0.6)
    assert scores.iou == pytest.approx(3 / 7)
    assert scores.sensitivity == pytest.approx(0.6)
    assert scores.precision == pytest.approx(0.6)
    assert scores.specificity == pytest.approx((27000 - 1000 - 400) / (27000 - 1000))


def test_two_cubes_four_voxels_apart_are_eight_mm_apart_at_two_mm() -> None:
    assert score_masks(SHIFTED, CUBE, (2.0, 2.0, 2.0)).hd95_mm == 8.0


def test_a_slice_is_scored_in_its_own_two_dimensions() -> None:
    reference, predicted = np.zeros((2, 40, 20), dtype=bool)
    reference[10:20, 5:15] = predicted[14:24, 5:15] = True
    scores = score_overlap(predicted, reference, (2.0, 1.0))
    assert (scores.dice, scores.iou) == (pytest.approx(0.6), pytest.approx(3 / 7))
    assert scores.hd95_mm == 8.0
    missed = score_overlap(np.zeros_like(reference), reference, (1.5, 2.0))
    assert missed.hd95_mm == pytest.approx((60**2 + 40**2) ** 0.5)
    with pytest.raises(GeometryError, match="expected 2 positive numbers"):
        score_overlap(predicted, reference, (1.0, 1.0, 1.0))


def test_sensitivity_and_precision_are_not_exchanged() -> None:
    part = a_box((5, 5, 5), (10, 10, 4))
    scores = score_masks(part, CUBE, ISOTROPIC)
    assert (scores.sensitivity, scores.precision) == (0.4, 1.0)


@pytest.mark.parametrize(("axis", "expected_mm"), [(0, 1.0), (1, 2.0), (2, 6.0)])
def test_distances_are_in_mm_along_each_axis(axis: int, expected_mm: float) -> None:
    shifted = np.roll(CUBE, 1, axis=axis)
    assert score_masks(shifted, CUBE, (1.0, 2.0, 6.0)).hd95_mm == expected_mm


def test_hd95_leaves_out_a_far_voxel_that_is_less_than_five_percent_of_the_surface() -> None:
    predicted = CUBE.copy()
    predicted[28, 28, 28] = True
    assert score_masks(predicted, CUBE, ISOTROPIC).hd95_mm == 0.0


def test_surface_dice_is_one_from_the_tolerance_at_which_the_surfaces_meet() -> None:
    def surface_dice(tolerance_mm: float) -> float | None:
        settings = MetricSettings(surface_tolerance_mm=tolerance_mm)
        return score_masks(SHIFTED, CUBE, (2.0, 2.0, 2.0), settings).surface_dice

    nearly = surface_dice(7.9)
    assert surface_dice(8.0) == 1.0
    assert nearly is not None
    assert nearly < 1.0


def test_surfaces_that_are_nowhere_near_have_surface_dice_zero() -> None:
    near, far = a_box((1, 1, 1), (3, 3, 3)), a_box((20, 20, 20), (3, 3, 3))
    assert score_masks(near, far, ISOTROPIC).surface_dice == 0.0


def test_volumes_are_in_ml_and_their_relative_difference_is_signed() -> None:
    reference = a_box((0, 0, 0), (10, 20, 30), (12, 22, 32))
    predicted = a_box((0, 0, 0), (10, 20, 15), (12, 22, 32))
    scores = score_masks(predicted, reference, (1.0, 2.0, 0.5))
    assert scores.reference_ml == pytest.approx(6.0)
    assert scores.predicted_ml == pytest.approx(3.0)
    assert scores.absolute_volume_difference_ml == pytest.approx(3.0)
    assert scores.relative_volume_difference == pytest.approx(-0.5)


def test_scores_do_not_depend_on_the_order_of_the_axes() -> None:
    rng = np.random.default_rng(3)
    predicted, reference = rng.random((2, 9, 10, 11)) > 0.7
    spacing = (1.0, 2.5, 0.5)
    turned = score_masks(
        predicted.transpose(2, 0, 1), reference.transpose(2, 0, 1), (0.5, 1.0, 2.5)
    )
    assert turned.to_json() == pytest.approx(score_masks(predicted, reference, spacing).to_json())


def test_both_empty_is_perfect_and_shares_of_nothing_are_undefined() -> None:
    scores = score_masks(EMPTY, EMPTY, ISOTROPIC)
    assert scores.state is MaskState.BOTH_EMPTY
    assert (scores.dice, scores.iou, scores.surface_dice, scores.hd95_mm) == (1.0, 1.0, 1.0, 0.0)
    assert (scores.sensitivity, scores.precision) == (None, None)
    assert scores.specificity == 1.0
    assert scores.relative_volume_difference == 0.0


def test_an_empty_prediction_gains_nothing_by_drawing_nothing() -> None:
    scores = score_masks(EMPTY, CUBE, (2.0, 2.0, 1.0))
    assert scores.state is MaskState.PREDICTION_EMPTY
    assert (scores.dice, scores.iou, scores.surface_dice) == (0.0, 0.0, 0.0)
    assert (scores.sensitivity, scores.precision, scores.specificity) == (0.0, 0.0, 1.0)
    assert scores.hd95_mm == pytest.approx((60**2 + 60**2 + 30**2) ** 0.5)  # 90 mm
    assert scores.relative_volume_difference == -1.0


def test_an_empty_reference_makes_every_voxel_drawn_false() -> None:
    scores = score_masks(CUBE, EMPTY, ISOTROPIC)
    assert scores.state is MaskState.REFERENCE_EMPTY
    assert (scores.dice, scores.precision, scores.sensitivity) == (0.0, 0.0, None)
    assert scores.hd95_mm == pytest.approx(30 * 3**0.5)
    assert scores.specificity == pytest.approx(26000 / 27000)
    assert scores.relative_volume_difference is None
    assert scores.lesions.false_lesions == 1


@pytest.mark.parametrize("reference", [CUBE, EMPTY], ids=["tumour", "no tumour"])
def test_a_missing_prediction_has_the_worst_scores_whatever_the_reference(
    reference: BoolArray,
) -> None:
    scores = score_masks(None, reference, ISOTROPIC)
    assert scores.state is MaskState.PREDICTION_MISSING
    assert (scores.dice, scores.iou, scores.surface_dice) == (0.0, 0.0, 0.0)
    assert (scores.sensitivity, scores.specificity, scores.precision) == (0.0, 0.0, 0.0)
    assert scores.hd95_mm == pytest.approx(30 * 3**0.5)
    assert (scores.lesions.lesion_dice, scores.lesions.lesion_sensitivity) == (0.0, 0.0)


def test_the_policy_answers_every_state_and_hd95_of_the_brats_grid_is_its_diagonal() -> None:
    table = MetricSettings().to_json()["empty_masks"]
    states = {s.value for s in MaskState} - {MaskState.BOTH_PRESENT.value}
    assert all(set(row) == states for row in table.values())
    assert table["hd95_mm"]["prediction empty"] == "image diagonal in mm"
    assert table["dice"]["both empty"] == 1.0


def test_structures_are_the_nested_regions_and_the_single_classes() -> None:
    labelmap = np.array([[[0, 1, 2, 2, 3, 3, 3, 3]]], dtype=np.uint8)
    sizes = {s.value: int(structure_mask(labelmap, s).sum()) for s in Structure}
    assert sizes == {"WT": 7, "TC": 5, "ET": 4, "NCR": 1, "ED": 2}


def test_labelmaps_are_scored_by_structure() -> None:
    reference = np.zeros((8, 8, 8), dtype=np.uint8)
    reference[2:4, 2:4, 2:4] = Label.NCR
    reference[4:6, 2:4, 2:4] = Label.ET
    predicted = np.where(reference == Label.NCR, Label.ET, reference).astype(np.uint8)
    scores = score_labelmaps(predicted, reference, ISOTROPIC)
    assert (scores[Structure.WT].dice, scores[Structure.TC].dice) == (1.0, 1.0)
    assert scores[Structure.ET].dice == pytest.approx(2 * 8 / (16 + 8))
    assert scores[Structure.NCR].dice == 0.0
    assert scores[Structure.ED].state is MaskState.BOTH_EMPTY


def test_scores_are_plain_json_with_lesions_beside_voxels() -> None:
    plain = json.loads(json.dumps(score_masks(CUBE, CUBE, ISOTROPIC).to_json()))
    assert (plain["dice"], plain["lesion_dice"], plain["state"]) == (1.0, 1.0, "both present")
    assert "lesions" not in plain


@pytest.mark.parametrize(
    ("predicted", "reference", "spacing", "sentence"),
    [
        (CUBE[:5], CUBE, ISOTROPIC, r"shape \(5, 30, 30\); expected \(30, 30, 30\)"),
        (CUBE[0], CUBE[0], ISOTROPIC, "expected 3 dimensions"),
        (CUBE, CUBE, (1.0, 0.0, 1.0), "expected 3 positive numbers"),
    ],
)
def test_masks_that_do_not_fit_together_are_refused(
    predicted: BoolArray,
    reference: BoolArray,
    spacing: tuple[float, float, float],
    sentence: str,
) -> None:
    with pytest.raises(GeometryError, match=sentence):
        score_masks(predicted, reference, spacing)
