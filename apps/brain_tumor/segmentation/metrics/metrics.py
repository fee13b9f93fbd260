"""Accuracy of a labelmap against a reference, per structure, in mm and mL.

Definitions
    Dice, IoU, sensitivity, specificity and precision count voxels of the whole image.
    HD95 and surface Dice are those of the library `surface_distance`, as in BraTS 2023: surface
    elements sit on voxel corners and are weighted by their area; HD95 is the larger of the two
    directed 95th percentiles. Percentiles of unweighted boundary voxels (MONAI, MedPy) differ by
    up to a voxel. Where a mask touches the edge of the image, the edge is part of its surface.
    Lesion-wise scores are in `lesions`, empty masks in `empty_masks`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
import surface_distance

from brain_tumor.errors import GeometryError
from brain_tumor.labels import IntegerArray, Label, Region, region_mask
from brain_tumor.segmentation.metrics.empty_masks import (
    DEFAULT_POLICY,
    EmptyMaskPolicy,
    MaskState,
    Metric,
    image_diagonal_mm,
    mask_state,
)
from brain_tumor.segmentation.metrics.lesions import (
    BoolArray,
    LesionRule,
    LesionScores,
    Spacing,
    score_lesions,
)

PERCENTILE = 95


class Structure(StrEnum):
    """What is scored: the nested regions, then the classes that are not a region themselves.

    ET is both a region and a class.
    """

    WT = "WT"
    TC = "TC"
    ET = "ET"
    NCR = "NCR"
    ED = "ED"


_CLASS_OF = MappingProxyType({Structure.NCR: Label.NCR, Structure.ED: Label.ED})


@dataclass(frozen=True)
class MetricSettings:
    """Everything that a score depends on besides the masks.

    Attributes:
        surface_tolerance_mm: Surfaces this close agree, for surface Dice. The default is about
            the voxel size of the working grid in plane.
        lesions: What counts as one lesion.
        policy: Answers for empty masks.
    """

    surface_tolerance_mm: float = 2.0
    lesions: LesionRule = field(default_factory=LesionRule)
    policy: EmptyMaskPolicy = DEFAULT_POLICY

    def to_json(self) -> dict[str, Any]:
        """Definitions for a report."""
        return {
            "hd95_mm": "surface_distance: area-weighted surface elements, larger direction",
            "surface_tolerance_mm": self.surface_tolerance_mm,
            "lesions": self.lesions.to_json(),
            "empty_masks": self.policy.to_json(),
        }


@dataclass(frozen=True)
class OverlapScores:
    """How far two masks agree, a slice or a volume; None where a metric is undefined.

    Attributes:
        state: Which masks hold anything.
        dice: 2 TP / (2 TP + FP + FN).
        iou: TP / (TP + FP + FN).
        sensitivity: TP / (TP + FN).
        specificity: TN / (TN + FP).
        precision: TP / (TP + FP).
        hd95_mm: 95th percentile Hausdorff distance.
        surface_dice: Share of both surfaces within the tolerance of the other.
    """

    state: MaskState
    dice: float | None
    iou: float | None
    sensitivity: float | None
    specificity: float | None
    precision: float | None
    hd95_mm: float | None
    surface_dice: float | None


@dataclass(frozen=True)
class MaskScores(OverlapScores):
    """Scores of one structure of one volume; None where a metric is undefined.

    Attributes:
        reference_ml: Reference volume.
        predicted_ml: Predicted volume; 0 if there is no prediction.
        absolute_volume_difference_ml: |predicted - reference|.
        relative_volume_difference: (predicted - reference) / reference.
        lesions: Lesion-wise scores.
    """

    reference_ml: float
    predicted_ml: float
    absolute_volume_difference_ml: float
    relative_volume_difference: float | None
    lesions: LesionScores

    def to_json(self) -> dict[str, Any]:
        """Plain, flat dictionary."""
        flat = {k: v for k, v in asdict(self).items() if k != "lesions"}
        return {**flat, "state": self.state.value, **self.lesions.to_json()}


@dataclass(frozen=True)
class _Counts:
    """Voxels of a pair of masks."""

    both: int
    predicted: int
    reference: int
    image: int

    def specificity(self) -> float | None:
        outside = self.image - self.reference
        false = self.predicted - self.both
        return (outside - false) / outside if outside else None


def structure_mask(labelmap: IntegerArray, structure: Structure) -> BoolArray:
    """Voxels of one structure.

    Args:
        labelmap: Integer labels of any shape, values from `Label`.
        structure: Structure to select.
    """
    if structure in _CLASS_OF:
        return np.asarray(labelmap == _CLASS_OF[structure], dtype=bool)
    return region_mask(labelmap, Region(structure.value))


def score_labelmaps(
    predicted: IntegerArray | None,
    reference: IntegerArray,
    spacing_mm: Spacing,
    settings: MetricSettings | None = None,
) -> dict[Structure, MaskScores]:
    """Score every structure of a labelmap.

    Args:
        predicted: Label values, shape (I, J, K), or None if there is no prediction: a failure,
            which gets the worst scores.
        reference: Label values, same shape.
        spacing_mm: Voxel size along I, J, K in mm.
        settings: Tolerance, lesion rule and policy.

    Raises:
        GeometryError: If the shapes differ, are not 3-D, or a spacing is not positive.
    """
    return {
        structure: score_masks(
            None if predicted is None else structure_mask(predicted, structure),
            structure_mask(reference, structure),
            spacing_mm,
            settings,
        )
        for structure in Structure
    }


def score_overlap(
    predicted: BoolArray | None,
    reference: BoolArray,
    spacing_mm: Sequence[float],
    settings: MetricSettings | None = None,
) -> OverlapScores:
    """Score how far a mask agrees with its reference, slice or volume.

    Args:
        predicted: Boolean mask, shape (I, J) or (I, J, K), or None if there is no prediction.
        reference: Boolean mask, same shape.
        spacing_mm: Pixel or voxel size along each axis in mm.
        settings: Tolerance and policy.

    Raises:
        GeometryError: If the shapes differ, are neither 2-D nor 3-D, or a spacing is not positive.

    References:
        Menze et al. 2015, doi:10.1109/TMI.2014.2377694 (regions); Nikolov et al. 2021,
        doi:10.2196/26151 (surface Dice); Maier-Hein et al. 2024, doi:10.1038/s41592-023-02151-z.
    """
    settings = settings or MetricSettings()
    _check(predicted, reference, spacing_mm)
    return _overlap(predicted, reference, _count(predicted, reference), spacing_mm, settings)


def score_masks(
    predicted: BoolArray | None,
    reference: BoolArray,
    spacing_mm: Spacing,
    settings: MetricSettings | None = None,
) -> MaskScores:
    """Score one mask of a volume: agreement, volumes and lesions.

    Args:
        predicted: Boolean mask, shape (I, J, K), or None if there is no prediction.
        reference: Boolean mask, same shape.
        spacing_mm: Voxel size along I, J, K in mm.
        settings: Tolerance, lesion rule and policy.

    Raises:
        GeometryError: If the shapes differ, are not 3-D, or a spacing is not positive.
    """
    settings = settings or MetricSettings()
    if reference.ndim != 3:
        raise GeometryError(f"reference mask has shape {reference.shape}; expected 3 dimensions")
    _check(predicted, reference, spacing_mm)
    counts = _count(predicted, reference)
    overlap = _overlap(predicted, reference, counts, spacing_mm, settings)
    found, wanted = counts.predicted, counts.reference
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    return MaskScores(
        **{one.name: getattr(overlap, one.name) for one in fields(overlap)},
        reference_ml=wanted * voxel_ml,
        predicted_ml=found * voxel_ml,
        absolute_volume_difference_ml=abs(found - wanted) * voxel_ml,
        relative_volume_difference=settings.policy.score(
            Metric.RELATIVE_VOLUME_DIFFERENCE, overlap.state, 0.0, lambda: found / wanted - 1.0
        ),
        lesions=score_lesions(predicted, reference, spacing_mm, settings.lesions, settings.policy),
    )


def _overlap(
    predicted: BoolArray | None,
    reference: BoolArray,
    counts: _Counts,
    spacing_mm: Sequence[float],
    settings: MetricSettings,
) -> OverlapScores:
    state = mask_state(None if predicted is None else counts.predicted, counts.reference)
    diagonal_mm = image_diagonal_mm(reference.shape, tuple(spacing_mm))
    total = counts.predicted + counts.reference
    hd95, surface_dice = None, None
    if predicted is not None and state is MaskState.BOTH_PRESENT:
        hd95, surface_dice = _surfaces(predicted, reference, spacing_mm, settings)
    values: dict[Metric, Callable[[], float | None]] = {
        Metric.DICE: lambda: 2 * counts.both / total,
        Metric.IOU: lambda: counts.both / (total - counts.both),
        Metric.SENSITIVITY: lambda: counts.both / counts.reference,
        Metric.SPECIFICITY: counts.specificity,
        Metric.PRECISION: lambda: counts.both / counts.predicted,
        Metric.HD95: lambda: hd95,
        Metric.SURFACE_DICE: lambda: surface_dice,
    }
    return OverlapScores(
        state=state,
        **{
            metric.value: settings.policy.score(metric, state, diagonal_mm, compute)
            for metric, compute in values.items()
        },
    )


def _count(predicted: BoolArray | None, reference: BoolArray) -> _Counts:
    wanted = int(np.count_nonzero(reference))
    if predicted is None:
        return _Counts(0, 0, wanted, reference.size)
    both = int(np.count_nonzero(predicted & reference))
    return _Counts(both, int(np.count_nonzero(predicted)), wanted, reference.size)


def _surfaces(
    predicted: BoolArray,
    reference: BoolArray,
    spacing_mm: Sequence[float],
    settings: MetricSettings,
) -> tuple[float, float]:
    distances = surface_distance.compute_surface_distances(reference, predicted, tuple(spacing_mm))
    hd95 = surface_distance.compute_robust_hausdorff(distances, PERCENTILE)
    dice = surface_distance.compute_surface_dice_at_tolerance(
        distances, settings.surface_tolerance_mm
    )
    return float(hd95), float(dice)


def _check(predicted: BoolArray | None, reference: BoolArray, spacing_mm: Sequence[float]) -> None:
    if reference.ndim not in (2, 3):
        raise GeometryError(
            f"reference mask has shape {reference.shape}; expected 2 or 3 dimensions"
        )
    if predicted is not None and predicted.shape != reference.shape:
        raise GeometryError(
            f"predicted mask has shape {predicted.shape}; expected {reference.shape} of the "
            "reference",
            remedy="Compare masks on one grid.",
        )
    axes = reference.ndim
    if len(spacing_mm) != axes or not all(np.isfinite(mm) and mm > 0 for mm in spacing_mm):
        raise GeometryError(f"voxel size is {spacing_mm} mm; expected {axes} positive numbers")
