"""The one place that says what a metric returns when a mask is empty or missing.

No metric decides alone: each hands its computation to `EmptyMaskPolicy.score`. A prediction that
was never made is a failure with the worst scores; it is never left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class MaskState(StrEnum):
    """Which of the two masks hold anything."""

    BOTH_PRESENT = "both present"
    BOTH_EMPTY = "both empty"
    PREDICTION_EMPTY = "prediction empty"
    REFERENCE_EMPTY = "reference empty"
    PREDICTION_MISSING = "prediction missing"


class Metric(StrEnum):
    """Metrics that an empty mask can leave without a value of their own."""

    DICE = "dice"
    IOU = "iou"
    SENSITIVITY = "sensitivity"
    SPECIFICITY = "specificity"
    PRECISION = "precision"
    HD95 = "hd95_mm"
    SURFACE_DICE = "surface_dice"
    RELATIVE_VOLUME_DIFFERENCE = "relative_volume_difference"
    LESION_DICE = "lesion_dice"
    LESION_SENSITIVITY = "lesion_sensitivity"


class Verdict(StrEnum):
    """Answers that are not a fixed number."""

    COMPUTED = "computed"
    IMAGE_DIAGONAL = "image diagonal in mm"
    UNDEFINED = "undefined"


Answer = float | Verdict
Row = Mapping[MaskState, Answer]

_OVERLAP: Row = {
    MaskState.BOTH_EMPTY: 1.0,
    MaskState.PREDICTION_EMPTY: 0.0,
    MaskState.REFERENCE_EMPTY: 0.0,
    MaskState.PREDICTION_MISSING: 0.0,
}
_FOUND_SHARE: Row = {
    MaskState.BOTH_EMPTY: Verdict.UNDEFINED,
    MaskState.PREDICTION_EMPTY: 0.0,
    MaskState.REFERENCE_EMPTY: Verdict.UNDEFINED,
    MaskState.PREDICTION_MISSING: 0.0,
}
_DEFAULT_TABLE: Mapping[Metric, Row] = MappingProxyType(
    {
        Metric.DICE: _OVERLAP,
        Metric.IOU: _OVERLAP,
        Metric.SURFACE_DICE: _OVERLAP,
        Metric.LESION_DICE: _OVERLAP,
        Metric.SENSITIVITY: _FOUND_SHARE,
        Metric.LESION_SENSITIVITY: _FOUND_SHARE,
        Metric.PRECISION: {
            MaskState.BOTH_EMPTY: Verdict.UNDEFINED,
            MaskState.PREDICTION_EMPTY: 0.0,
            MaskState.REFERENCE_EMPTY: 0.0,
            MaskState.PREDICTION_MISSING: 0.0,
        },
        Metric.SPECIFICITY: {
            MaskState.BOTH_EMPTY: Verdict.COMPUTED,
            MaskState.PREDICTION_EMPTY: Verdict.COMPUTED,
            MaskState.REFERENCE_EMPTY: Verdict.COMPUTED,
            MaskState.PREDICTION_MISSING: 0.0,
        },
        Metric.HD95: {
            MaskState.BOTH_EMPTY: 0.0,
            MaskState.PREDICTION_EMPTY: Verdict.IMAGE_DIAGONAL,
            MaskState.REFERENCE_EMPTY: Verdict.IMAGE_DIAGONAL,
            MaskState.PREDICTION_MISSING: Verdict.IMAGE_DIAGONAL,
        },
        Metric.RELATIVE_VOLUME_DIFFERENCE: {
            MaskState.BOTH_EMPTY: 0.0,
            MaskState.PREDICTION_EMPTY: -1.0,
            MaskState.REFERENCE_EMPTY: Verdict.UNDEFINED,
            MaskState.PREDICTION_MISSING: -1.0,
        },
    }
)


def mask_state(predicted_size: int | None, reference_size: int) -> MaskState:
    """State of a pair of masks.

    Args:
        predicted_size: Voxels (or lesions) predicted, None if there is no prediction.
        reference_size: Voxels (or lesions) of the reference.
    """
    if predicted_size is None:
        return MaskState.PREDICTION_MISSING
    if predicted_size and reference_size:
        return MaskState.BOTH_PRESENT
    if predicted_size:
        return MaskState.REFERENCE_EMPTY
    return MaskState.PREDICTION_EMPTY if reference_size else MaskState.BOTH_EMPTY


def image_diagonal_mm(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> float:
    """Length of the image's diagonal, voxels counted in full.

    The BraTS grid of 240 x 240 x 155 mm has 373.1 mm.

    Example:
        >>> image_diagonal_mm((3, 4, 12), (1.0, 1.0, 1.0))
        13.0
    """
    return math.sqrt(sum((n * mm) ** 2 for n, mm in zip(shape, spacing_mm, strict=True)))


@dataclass(frozen=True)
class EmptyMaskPolicy:
    """What each metric returns in each state other than both present.

    The default lets no metric gain from drawing nothing: overlap is 1 only if both masks are
    empty and 0 if one is, HD95 is then 0 or the diagonal of the image (as the 374 mm of BraTS),
    precision of an empty outline of an existing structure is 0. Shares of a reference that does
    not exist are undefined: None, and counted as such in every summary.

    Attributes:
        table: One answer per metric and state.
    """

    table: Mapping[Metric, Row] = field(default_factory=lambda: _DEFAULT_TABLE)

    def score(
        self,
        metric: Metric,
        state: MaskState,
        diagonal_mm: float,
        compute: Callable[[], float | None],
    ) -> float | None:
        """Value of a metric.

        Args:
            metric: Metric asked for.
            state: State of the two masks.
            diagonal_mm: See `image_diagonal_mm`.
            compute: The metric itself; called only where the policy leaves it to the metric.

        Returns:
            The value, or None where it is undefined.
        """
        if state is MaskState.BOTH_PRESENT:
            return compute()
        answer = self.table[metric][state]
        if not isinstance(answer, Verdict):
            return answer
        if answer is Verdict.IMAGE_DIAGONAL:
            return diagonal_mm
        return compute() if answer is Verdict.COMPUTED else None

    def to_json(self) -> dict[str, dict[str, float | str]]:
        """Plain dictionary: metric, state, answer."""
        return {
            metric.value: {
                state.value: answer.value if isinstance(answer, Verdict) else answer
                for state, answer in row.items()
            }
            for metric, row in self.table.items()
        }


DEFAULT_POLICY = EmptyMaskPolicy()
