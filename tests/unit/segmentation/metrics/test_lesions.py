"""Lesion-wise scores against lesions that are counted by hand and a literal second version."""

from __future__ import annotations

import numpy as np
import pytest
from brain_tumor.segmentation.metrics.lesions import BoolArray, LesionRule, Spacing, score_lesions
from scipy import ndimage

ISOTROPIC = (1.0, 1.0, 1.0)
COUNT_ALL = LesionRule(min_lesion_ml=0.0)
SIDE = 4  # 64 voxels of 1 mm3: more than the 50 mm3 that count


def boxes(*lows: tuple[int, int, int], side: int = SIDE, length: int = 40) -> BoolArray:
    mask = np.zeros((length, 24, 24), dtype=bool)
    for i, j, k in lows:
        mask[i : i + side, j : j + side, k : k + side] = True
    return mask


def test_a_missed_lesion_counts_as_zero_in_the_mean() -> None:
    reference = boxes((2, 2, 2), (20, 2, 2))
    scores = score_lesions(boxes((2, 2, 2)), reference, ISOTROPIC)
    assert (scores.reference_lesions, scores.found_lesions, scores.false_lesions) == (2, 1, 0)
    assert (scores.lesion_dice, scores.lesion_sensitivity) == (0.5, 0.5)


def test_a_false_lesion_lowers_dice_but_not_sensitivity() -> None:
    reference = boxes((2, 2, 2))
    scores = score_lesions(boxes((2, 2, 2), (20, 2, 2), (30, 2, 2)), reference, (1.0, 1.0, 2.0))
    assert scores.false_lesions == 2
    assert scores.false_lesions_ml == pytest.approx(2 * 0.128)
    assert scores.largest_false_lesion_ml == pytest.approx(0.128)
    assert scores.lesion_dice == pytest.approx(1 / 3)
    assert scores.lesion_sensitivity == 1.0


def test_a_lesion_of_one_voxel_is_ignored_unless_the_rule_counts_it() -> None:
    reference = boxes((2, 2, 2))
    reference[25, 12, 12] = True
    predicted = boxes((2, 2, 2))
    by_default = score_lesions(predicted, reference, ISOTROPIC)
    assert (by_default.reference_lesions, by_default.ignored_lesions) == (1, 1)
    assert by_default.lesion_dice == 1.0
    counted = score_lesions(predicted, reference, ISOTROPIC, COUNT_ALL)
    assert (counted.reference_lesions, counted.found_lesions) == (2, 1)
    assert counted.lesion_dice == 0.5


def test_a_lesion_of_exactly_the_least_volume_is_ignored() -> None:
    reference = boxes((2, 2, 2))
    rule = LesionRule(min_lesion_ml=0.064)
    assert score_lesions(reference, reference, ISOTROPIC, rule).ignored_lesions == 1


def test_finding_an_ignored_lesion_is_not_a_false_lesion() -> None:
    reference = np.zeros((20, 20, 20), dtype=bool)
    reference[10, 10, 10] = True
    scores = score_lesions(reference, reference, ISOTROPIC)
    assert (scores.reference_lesions, scores.false_lesions) == (0, 0)
    assert (scores.lesion_dice, scores.lesion_sensitivity) == (1.0, None)


def test_voxels_that_touch_at_a_corner_are_one_lesion() -> None:
    predicted = np.zeros((20, 20, 20), dtype=bool)
    predicted[5, 5, 5] = predicted[6, 6, 6] = True
    empty = np.zeros_like(predicted)
    assert score_lesions(predicted, empty, ISOTROPIC).false_lesions == 1
    predicted[6, 6, 6], predicted[7, 7, 7] = False, True
    assert score_lesions(predicted, empty, ISOTROPIC).false_lesions == 2


@pytest.mark.parametrize(
    ("steps", "spacing_mm", "lesions"),
    [(7, 1.0, 1), (8, 1.0, 2), (7, 2.0, 2), (3, 2.0, 1)],
)
def test_reference_parts_merge_when_dilations_of_three_mm_touch(
    steps: int, spacing_mm: float, lesions: int
) -> None:
    reference = np.zeros((30, 9, 9), dtype=bool)
    reference[4, 4, 4] = reference[4 + steps, 4, 4] = True
    scores = score_lesions(reference, reference, (spacing_mm, 1.0, 1.0), COUNT_ALL)
    assert scores.reference_lesions == lesions


@pytest.mark.parametrize(("gap_mm", "false_lesions"), [(3, 0), (4, 1)])
def test_a_piece_within_three_mm_belongs_to_the_lesion(gap_mm: int, false_lesions: int) -> None:
    reference = boxes((10, 10, 10))
    predicted = np.zeros_like(reference)
    predicted[13 + gap_mm, 10:14, 10:14] = True
    scores = score_lesions(predicted, reference, ISOTROPIC)
    assert scores.false_lesions == false_lesions
    assert scores.found_lesions == 1 - false_lesions
    assert scores.lesion_dice == 0.0


def test_a_bridge_counts_in_full_against_both_lesions() -> None:
    reference = boxes((2, 2, 2), (20, 2, 2))
    bridge = np.zeros_like(reference)
    bridge[2:24, 2:6, 2:6] = True  # 22 x 16 = 352 voxels, each lesion has 64
    scores = score_lesions(bridge, reference, ISOTROPIC)
    assert scores.lesion_dice == pytest.approx(2 * 64 / (64 + 352))


def test_small_false_pieces_can_be_left_out_by_the_rule() -> None:
    reference = boxes((2, 2, 2))
    predicted = reference.copy()
    predicted[30, 12, 12] = True
    rule = LesionRule(min_false_ml=0.01)
    assert score_lesions(predicted, reference, ISOTROPIC).false_lesions == 1
    assert score_lesions(predicted, reference, ISOTROPIC, rule).false_lesions == 0


def test_nothing_to_find_and_nothing_drawn_is_perfect() -> None:
    empty = np.zeros((5, 5, 5), dtype=bool)
    scores = score_lesions(empty, empty, ISOTROPIC)
    assert (scores.lesion_dice, scores.lesion_sensitivity) == (1.0, None)
    drawn = empty.copy()
    drawn[2, 2, 2] = True
    assert score_lesions(drawn, empty, ISOTROPIC).lesion_dice == 0.0


def literal_scores(
    predicted: BoolArray, reference: BoolArray, spacing_mm: Spacing, rule: LesionRule
) -> tuple[int, int, int, float]:
    """The definition word by word: one dilation and one comparison per lesion."""
    touching = np.ones((3, 3, 3))
    near = ndimage.distance_transform_edt(~reference, sampling=spacing_mm)
    groups, count = ndimage.label(near <= rule.merge_distance_mm, touching)
    pieces, piece_count = ndimage.label(predicted, touching)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    dice, found, used = [], 0, set()
    for number in range(1, count + 1):
        lesion = reference & (groups == number)
        reach = ndimage.distance_transform_edt(~lesion, sampling=spacing_mm)
        mine = set(np.unique(pieces[reach <= rule.merge_distance_mm])) - {0}
        used |= mine
        if lesion.sum() * voxel_ml <= rule.min_lesion_ml:
            continue
        drawn = np.isin(pieces, list(mine))
        dice.append(2 * (drawn & lesion).sum() / (drawn.sum() + lesion.sum()))
        found += bool(mine)
    false = piece_count - len(used)
    return len(dice), found, false, float(sum(dice)) / (len(dice) + false)


@pytest.mark.parametrize("seed", range(6))
def test_scores_agree_with_the_definition_word_by_word(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = [ndimage.gaussian_filter(rng.random((26, 24, 22)), 1.2) for _ in range(2)]
    reference = noise[0] > np.quantile(noise[0], 0.985)
    predicted = (noise[0] + noise[1]) > np.quantile(noise[0] + noise[1], 0.985)
    rule, spacing = LesionRule(1.6, 0.004, 0.0), (1.0, 0.8, 1.5)
    scores = score_lesions(predicted, reference, spacing, rule)
    lesions, found, false, dice = literal_scores(predicted, reference, spacing, rule)
    assert lesions > 2
    assert (scores.reference_lesions, scores.found_lesions) == (lesions, found)
    assert scores.false_lesions == false
    assert scores.lesion_dice == pytest.approx(dice)
