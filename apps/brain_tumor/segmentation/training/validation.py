"""Quick Dice for learning curves; the reported metrics are in `segmentation.metrics`."""

from __future__ import annotations

from brain_tumor.labels import IntegerArray, Region, region_mask
from brain_tumor.segmentation.metrics.overlap import dice


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
