"""Scores lesion by lesion, as in BraTS 2023, in mm."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.segmentation.metrics.empty_masks import (
    DEFAULT_POLICY,
    EmptyMaskPolicy,
    MaskState,
    Metric,
    mask_state,
)

BoolArray = npt.NDArray[np.bool_]
Spacing = tuple[float, float, float]
Box = tuple[slice, slice, slice]

CONNECTIVITY_26 = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class LesionRule:
    """What counts as one lesion.

    Attributes:
        merge_distance_mm: The reference is dilated by this distance; parts whose dilations touch
            are one lesion, and predicted pieces that reach into the dilation belong to it.
        min_lesion_ml: Reference lesions up to this volume are not counted; a prediction of one
            is neither found nor false. BraTS 2023 takes 50 mm3 for gliomas.
        min_false_ml: Predicted pieces below this volume are not counted as false lesions;
            0 counts every one, as BraTS 2023 does.
    """

    merge_distance_mm: float = 3.0
    min_lesion_ml: float = 0.05
    min_false_ml: float = 0.0

    def to_json(self) -> dict[str, float | int]:
        """Plain dictionary with the connectivity."""
        return {"connectivity": 26, **asdict(self)}


@dataclass(frozen=True)
class LesionScores:
    """Scores of one structure of one case.

    Attributes:
        reference_lesions: Reference lesions that count.
        found_lesions: Those of them that the prediction reaches.
        ignored_lesions: Reference lesions too small to count.
        false_lesions: Predicted pieces that reach no reference lesion.
        false_lesions_ml: Their total volume.
        largest_false_lesion_ml: Volume of the largest of them.
        lesion_dice: Mean over counted reference lesions and false lesions, the latter and missed
            ones as 0.
        lesion_sensitivity: Share of the counted reference lesions that is found.
    """

    reference_lesions: int
    found_lesions: int
    ignored_lesions: int
    false_lesions: int
    false_lesions_ml: float
    largest_false_lesion_ml: float
    lesion_dice: float | None
    lesion_sensitivity: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary."""
        return asdict(self)


def score_lesions(
    predicted: BoolArray | None,
    reference: BoolArray,
    spacing_mm: Spacing,
    rule: LesionRule | None = None,
    policy: EmptyMaskPolicy = DEFAULT_POLICY,
) -> LesionScores:
    """Compare two masks lesion by lesion.

    Departure from BraTS 2023: the reference is dilated by a distance in mm rather than by three
    steps in voxels, which is the same reach along the axes of a 1-mm grid and stays so on others.

    Args:
        predicted: Predicted mask, shape (I, J, K), or None if there is no prediction.
        reference: Reference mask, same shape.
        spacing_mm: Voxel size along I, J, K in mm.
        rule: What counts as one lesion.
        policy: Answers where no lesion counts.

    References:
        Saluja et al. 2023, BraTS 2023 lesion-wise performance metrics; Moawad et al. 2023,
        arXiv:2306.00838, section on evaluation.
    """
    rule = rule or LesionRule()
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    lesions, dilated = _lesions(reference, spacing_mm, rule.merge_distance_mm)
    drawn = np.zeros_like(reference) if predicted is None else predicted
    pieces, piece_count = _components(drawn)
    piece_sizes = np.bincount(pieces[drawn], minlength=piece_count + 1)

    count = int(dilated.max(initial=0))
    sizes = np.bincount(lesions[reference], minlength=count + 1)[1:]
    overlaps = np.bincount(lesions[reference & drawn], minlength=count + 1)[1:]
    touching = drawn & (dilated > 0)
    coded = dilated[touching].astype(np.int64) * (piece_count + 1) + pieces[touching]
    touched, by = np.divmod(np.unique(coded), piece_count + 1)
    drawn_sizes = np.bincount(touched, weights=piece_sizes[by], minlength=count + 1)[1:]
    dice = 2.0 * overlaps / (sizes + drawn_sizes)

    false = np.setdiff1d(np.arange(1, piece_count + 1), by)
    false_ml = piece_sizes[false] * voxel_ml
    false_ml = false_ml[false_ml >= rule.min_false_ml]
    counted = sizes * voxel_ml > rule.min_lesion_ml
    total, found = int(np.count_nonzero(counted)), int(np.count_nonzero(drawn_sizes[counted]))

    missing = predicted is None
    state = mask_state(None if missing else found + len(false_ml), total)

    def mean_dice() -> float:
        return float(dice[counted].sum()) / (total + len(false_ml))

    return LesionScores(
        reference_lesions=total,
        found_lesions=found,
        ignored_lesions=count - total,
        false_lesions=len(false_ml),
        false_lesions_ml=float(false_ml.sum()),
        largest_false_lesion_ml=float(false_ml.max(initial=0.0)),
        lesion_dice=policy.score(Metric.LESION_DICE, state, 0.0, mean_dice),
        lesion_sensitivity=policy.score(
            Metric.LESION_SENSITIVITY,
            state if total or missing else MaskState.REFERENCE_EMPTY,
            0.0,
            lambda: found / total,
        ),
    )


def _lesions(
    reference: BoolArray, spacing_mm: Spacing, distance_mm: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Lesion numbers on the reference and on its dilation; 0 elsewhere."""
    dilated = np.zeros(reference.shape, dtype=np.int32)
    box = _box(reference, spacing_mm, distance_mm)
    if box is not None:
        near = ndimage.distance_transform_edt(~reference[box], sampling=spacing_mm)
        dilated[box] = _label(near <= distance_mm)[0]
    return np.where(reference, dilated, 0), dilated


def _components(mask: BoolArray) -> tuple[npt.NDArray[np.int32], int]:
    numbers = np.zeros(mask.shape, dtype=np.int32)
    box = _box(mask, (1.0, 1.0, 1.0), 0.0)
    if box is None:
        return numbers, 0
    numbers[box], count = _label(mask[box])
    return numbers, count


def _label(mask: BoolArray) -> tuple[npt.NDArray[np.int32], int]:
    numbers, count = ndimage.label(mask, structure=CONNECTIVITY_26)
    return np.asarray(numbers, dtype=np.int32), int(count)


def _box(mask: BoolArray, spacing_mm: Spacing, margin_mm: float) -> Box | None:
    """Bounding box of a mask with a margin, or None if the mask is empty."""
    slices = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if used.size == 0:
            return None
        margin = int(np.ceil(margin_mm / spacing_mm[axis]))
        low, high = int(used[0]) - margin, int(used[-1]) + 1 + margin
        slices.append(slice(max(low, 0), min(high, mask.shape[axis])))
    return slices[0], slices[1], slices[2]
