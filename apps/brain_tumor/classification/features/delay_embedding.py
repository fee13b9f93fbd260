"""Series and their delay vectors: what the chaos descriptors share."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from brain_tumor.classification.features.outline import FloatArray

MIN_LENGTH = 16
FLAT = 1e-9
"""Relative sd below which a series counts as constant."""
BLOCK = 1024


def varies(x: FloatArray) -> bool:
    """Whether a series is long enough and not constant."""
    if len(x) < MIN_LENGTH:
        return False
    centred = x - x.mean()
    largest = max(1.0, float(x.max()), -float(x.min()))
    return math.sqrt(float(centred @ centred) / len(x)) > FLAT * largest


def decorrelation_delay(x: FloatArray, *, periodic: bool = False) -> int:
    """First lag at which the autocorrelation falls below 1/e.

    Returns:
        Samples, 1 to n / 4; n / 4 if it never falls.
    """
    centred = x - x.mean()
    n = len(centred)
    spectrum = np.fft.rfft(centred, n if periodic else 2 * n)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: n // 4 + 1]
    below = np.flatnonzero(correlation < correlation[0] / math.e)
    return max(1, int(below[0])) if len(below) else max(1, n // 4)


def embed(x: FloatArray, dimension: int, delay: int, *, periodic: bool = False) -> FloatArray:
    """Delay vectors (x_i, x_{i+delay}, ...).

    Returns:
        Shape (n, dimension) if periodic, else (n - (dimension - 1) delay, dimension).
    """
    span = (dimension - 1) * delay
    count = len(x) if periodic else len(x) - span
    index = np.arange(max(count, 0))[:, None] + np.arange(dimension) * delay
    vectors: FloatArray = x[index % len(x)]
    return vectors


def slope(x: FloatArray, y: FloatArray) -> float:
    """Least-squares slope of y against x."""
    centred = x - x.mean()
    return float(centred @ y / (centred @ centred))


def distance_blocks(
    vectors: FloatArray, metric: str
) -> Iterator[tuple[npt.NDArray[np.intp], FloatArray]]:
    """Rows of the distance matrix, `BLOCK` at a time, so that memory stays bounded."""
    for first in range(0, len(vectors), BLOCK):
        rows = np.arange(first, min(first + BLOCK, len(vectors)))
        yield rows, cdist(vectors[rows], vectors, metric)
