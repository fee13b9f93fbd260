"""How a corrected labelmap differs from what the model proposed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.errors import GeometryError
from brain_tumor.labels import LABEL_STYLES, IntegerArray, Label
from brain_tumor.segmentation.metrics.overlap import dice


@dataclass(frozen=True)
class LabelChange:
    """Change of one label.

    Attributes:
        before_ml: Volume in the proposal.
        after_ml: Volume in the correction.
        added_ml: Volume that only the correction has.
        removed_ml: Volume that only the proposal has.
    """

    before_ml: float
    after_ml: float
    added_ml: float
    removed_ml: float


@dataclass(frozen=True)
class Change:
    """Change of a whole labelmap.

    Attributes:
        labels: Change per label name; labels that neither holds are left out.
        dice: Agreement of the tumour as a whole, 1 when both are empty.
        changed_ml: Volume of all voxels whose label changed.
        box: First and last changed voxel along I, J, K, both inside; None if nothing changed.
    """

    labels: dict[str, LabelChange]
    dice: float
    changed_ml: float
    box: tuple[tuple[int, int, int], tuple[int, int, int]] | None

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for the ledger and replies."""
        plain = asdict(self)
        if self.box is not None:
            plain["box"] = [list(corner) for corner in self.box]
        return plain


def compare(
    proposal: IntegerArray, correction: IntegerArray, spacing_mm: tuple[float, float, float]
) -> Change:
    """Change from a proposal to a correction.

    Args:
        proposal: Label values, shape (I, J, K).
        correction: Label values, same shape.
        spacing_mm: Voxel size along I, J, K in mm.

    Raises:
        GeometryError: If the shapes differ.

    Example:
        >>> before, after = np.zeros((2, 4, 4, 4), dtype=np.uint8)
        >>> after[1, 2, 3] = 3
        >>> change = compare(before, after, (10.0, 10.0, 10.0))
        >>> change.labels["enhancing tumour"].added_ml, change.box
        (1.0, ((1, 2, 3), (1, 2, 3)))
    """
    if proposal.shape != correction.shape:
        raise GeometryError(
            f"proposal has {proposal.shape} voxels, correction {correction.shape}; "
            "expected the same grid"
        )
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    labels = {}
    for label in Label:
        before, after = proposal == label, correction == label
        if label not in LABEL_STYLES or not (before.any() or after.any()):
            continue
        labels[LABEL_STYLES[label].name] = LabelChange(
            before_ml=_ml(before, voxel_ml),
            after_ml=_ml(after, voxel_ml),
            added_ml=_ml(after & ~before, voxel_ml),
            removed_ml=_ml(before & ~after, voxel_ml),
        )
    changed = proposal != correction
    return Change(
        labels=labels,
        dice=dice(proposal > 0, correction > 0),
        changed_ml=_ml(changed, voxel_ml),
        box=_box(changed),
    )


def _ml(mask: npt.NDArray[np.bool_], voxel_ml: float) -> float:
    return round(int(np.count_nonzero(mask)) * voxel_ml, 6)


def _box(
    mask: npt.NDArray[np.bool_],
) -> tuple[tuple[int, int, int], tuple[int, int, int]] | None:
    if not mask.any():
        return None
    low, high = [], []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        low.append(int(used[0]))
        high.append(int(used[-1]))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
