"""Quick Dice for learning curves; the reported metrics are in `segmentation.metrics`."""

from __future__ import annotations

import numpy as np

from brain_tumor.labels import IntegerArray, Region, region_mask


def region_dice(predicted: IntegerArray, reference: IntegerArray) -> dict[Region, float]:
    """Dice per region; 1 when both are empty.

    Args:
        predicted: Label values.
        reference: Label values, same shape.
    """
    scores = {}
    for region in (Region.WT, Region.TC, Region.ET):
        a, b = region_mask(predicted, region), region_mask(reference, region)
        total = np.count_nonzero(a) + np.count_nonzero(b)
        scores[region] = 2 * np.count_nonzero(a & b) / total if total else 1.0
    return scores
