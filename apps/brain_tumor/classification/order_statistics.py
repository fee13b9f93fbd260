"""Median and quantiles of small samples: the values of NumPy without its overhead."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt


def median(values: npt.NDArray[np.floating[Any]]) -> float:
    """Median of a sample that is not empty and finite.

    Args:
        values: Shape (n,).

    Example:
        >>> median(np.array([4.0, 1.0, 3.0, 2.0]))
        2.5
    """
    half = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, half)[half])
    ordered = np.partition(values, (half - 1, half))
    return float((ordered[half - 1] + ordered[half]) / 2)


def quantile(values: npt.NDArray[np.floating[Any]], share: float) -> float:
    """Quantile of a sample that is not empty and finite, between its neighbours.

    Args:
        values: Shape (n,).
        share: 0 to 1.

    Example:
        >>> quantile(np.array([4.0, 0.0, 2.0]), 0.25)
        1.0
    """
    place = share * (len(values) - 1)
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    ordered = np.partition(values, (below, above))
    step, part = float(ordered[above] - ordered[below]), place - below
    # The nearer neighbour is the one to start from: that is how NumPy rounds.
    if part < 0.5:
        return float(ordered[below]) + step * part
    return float(ordered[above]) - step * (1.0 - part)
