"""Dice of two masks, where nothing else is asked; reported scores are in `segmentation.metrics`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brain_tumor.labels import IntegerArray, Region, region_mask


def dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Dice of two masks of one shape, 1 when both are empty."""
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2 * int(np.count_nonzero(a & b)) / total if total else 1.0


def region_dice(predicted: IntegerArray, reference: IntegerArray) -> dict[Region, float]:
    """Dice per region; 1 when both are empty.

    Args:
        predicted: Label values.
        reference: Label values, same shape.
    """
    scores = {}
    for region in (Region.WT, Region.TC, Region.ET):
        a, b = region_mask(predicted, region), region_mask(reference, region)
        scores[region] = dice(a, b)
    return scores
