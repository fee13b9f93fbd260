"""One distribution from the slices of a case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def pool_slices(
    logits: npt.NDArray[Any], planes: Sequence[str], areas_mm2: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Mean of the slices' log-probabilities, large cross-sections first.

    Planes count the same however many slices they give; inside a plane a slice weighs as much as
    the square root of its area.

    Args:
        logits: Of each slice, (N, 3), N >= 1.
        planes: Plane of each slice, (N,).
        areas_mm2: Area of the tumour in each slice, (N,), each > 0.

    Returns:
        Shape (3,).

    Example:
        >>> even = np.log([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])
        >>> np.exp(pool_slices(even, ["axial", "coronal"], [400.0, 100.0])).round(3).tolist()
        [0.354, 0.354, 0.25]
    """
    scores = np.asarray(logits, dtype=np.float64)
    scores = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    plane, weights = np.asarray(planes), np.sqrt(areas_mm2)
    means = [
        np.average(scores[plane == one], axis=0, weights=weights[plane == one])
        for one in dict.fromkeys(planes)
    ]
    pooled: npt.NDArray[np.float64] = np.mean(means, axis=0)
    return pooled
