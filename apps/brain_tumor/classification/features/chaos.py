"""Descriptors of chaos of a series: largest Lyapunov exponent and correlation dimension.

Every function takes one series, shape (n,), and returns NaN where the descriptor is undefined
(a constant or too short series). `periodic=True` reads the series as a closed curve: every delay
wraps round, so the result does not depend on the starting point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from brain_tumor.classification.features.delay_embedding import (
    MIN_LENGTH,
    decorrelation_delay,
    distance_blocks,
    embed,
    slope,
    varies,
)
from brain_tumor.classification.features.entropy import (
    approximate_entropy,
    entropies_of_closed,
    permutation_entropy,
    sample_entropy,
)
from brain_tumor.classification.features.outline import FloatArray

MIN_PAIRS = 200
PATTERN_DELAY = 4
"""Samples between the values of a permutation pattern. Fixed, because patterns of an outline of 256
points are steadier at 1/64 of a turn than at a delay that follows the autocorrelation."""


@dataclass(frozen=True)
class ChaosDescriptors:
    """Descriptors of one series, NaN where undefined.

    Attributes:
        lyapunov_per_sample: Largest Lyapunov exponent, 1/sample.
        approximate_entropy: Nats.
        sample_entropy: Nats.
        permutation_entropy: Order 3, 0 (monotone) to 1 (all patterns equally often).
        correlation_dimension: Grassberger-Procaccia.
        delay: Delay of the embedding, samples.
    """

    lyapunov_per_sample: float
    approximate_entropy: float
    sample_entropy: float
    permutation_entropy: float
    correlation_dimension: float
    delay: int


def chaos_descriptors(series: npt.ArrayLike, *, periodic: bool = False) -> ChaosDescriptors:
    """Lyapunov exponent, entropies and correlation dimension with one delay for all."""
    x = np.asarray(series, dtype=float)
    if not varies(x):
        return ChaosDescriptors(math.nan, math.nan, math.nan, math.nan, math.nan, 0)
    delay = decorrelation_delay(x, periodic=periodic)
    if periodic:
        approximate, sample = entropies_of_closed(x, order=2, tolerance=0.2)
    else:
        approximate, sample = approximate_entropy(x), sample_entropy(x)
    return ChaosDescriptors(
        lyapunov_per_sample=largest_lyapunov_exponent(x, delay=delay, periodic=periodic),
        approximate_entropy=approximate,
        sample_entropy=sample,
        permutation_entropy=permutation_entropy(x, delay=PATTERN_DELAY, periodic=periodic),
        correlation_dimension=correlation_dimension(x, delay=delay, periodic=periodic),
        delay=delay,
    )


def largest_lyapunov_exponent(
    series: npt.ArrayLike,
    *,
    dimension: int = 5,
    delay: int | None = None,
    theiler: int | None = None,
    steps: int | None = None,
    periodic: bool = False,
) -> float:
    """Largest Lyapunov exponent by the method of Rosenstein.

    Each delay vector is followed together with its nearest neighbour outside the Theiler window;
    the exponent is the slope of the mean log distance against time, over the part of the curve
    before it saturates (see `linear_region`).

    Args:
        series: Shape (n,).
        dimension: Dimension of the embedding.
        delay: Samples; by default the decorrelation delay.
        theiler: Neighbours closer in time than this are ignored; by default dimension x delay.
        steps: Samples that a pair is followed; by default 6 x delay, at least 15, at most n / 4.
        periodic: Whether the series is a closed curve.

    Returns:
        Exponent per sample, or NaN if undefined.

    References:
        Rosenstein et al. 1993, doi:10.1016/0167-2789(93)90009-P.
    """
    x = np.asarray(series, dtype=float)
    if not varies(x):
        return math.nan
    delay = delay or decorrelation_delay(x, periodic=periodic)
    curve = divergence_curve(
        x,
        dimension=dimension,
        delay=delay,
        theiler=dimension * delay if theiler is None else theiler,
        steps=steps or min(max(6 * delay, 15), max(15, len(x) // 4)),
        periodic=periodic,
    )
    region = linear_region(curve)
    if len(region) < 3:
        return math.nan
    return slope(region.astype(float), curve[region])


def divergence_curve(
    x: FloatArray, *, dimension: int, delay: int, theiler: int, steps: int, periodic: bool
) -> FloatArray:
    """Mean log distance of nearest neighbours after 0, 1, ... `steps` samples.

    Returns:
        Shape (steps + 1,); NaN where no pair was left to follow.
    """
    vectors = embed(x, dimension, delay, periodic=periodic)
    n = len(vectors)
    usable = n if periodic else n - steps
    if usable < MIN_LENGTH:
        return np.full(steps + 1, np.nan)
    nearest = np.empty(usable, dtype=int)
    for rows, distance in distance_blocks(vectors[:usable], "sqeuclidean"):
        unfit = _near_in_time(int(rows[0]), len(rows), usable, theiler, periodic=periodic)
        np.copyto(distance, np.inf, where=unfit)
        best = distance.argmin(axis=1)
        if distance[np.arange(len(rows)), best].min() <= 0.0:  # vectors that occur twice
            distance[distance <= 0.0] = np.inf
            best = distance.argmin(axis=1)
        nearest[rows] = np.where(np.isfinite(distance[np.arange(len(rows)), best]), best, -1)
    start = np.flatnonzero(nearest >= 0)
    span = steps + 1 + (dimension - 1) * delay
    series = np.tile(x, 1 + math.ceil(span / len(x))) if periodic else x
    courses = sliding_window_view(series, span)
    apart = (courses[start] - courses[nearest[start]]) ** 2
    squared = sum(apart[:, k * delay : k * delay + steps + 1] for k in range(dimension))
    counted = squared > 0.0
    count = counted.sum(axis=0)
    total = 0.5 * np.log(np.where(counted, squared, 1.0)).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def linear_region(curve: FloatArray, *, share: float = 0.7) -> npt.NDArray[np.intp]:
    """Samples of a divergence curve before it saturates.

    Args:
        curve: Mean log distance against time.
        share: The region ends where the curve first reaches this share of its whole rise.

    Returns:
        Indices from 0, at least three; none if the curve has gaps.
    """
    if len(curve) < 3 or not np.isfinite(curve).all():
        return np.empty(0, dtype=np.intp)
    target = curve[0] + share * (curve.max() - curve[0])
    reached = np.flatnonzero(curve > target)
    end = int(reached[0]) if len(reached) else len(curve)
    return np.arange(max(end, 3))


def correlation_dimension(
    series: npt.ArrayLike,
    *,
    dimension: int = 3,
    delay: int | None = None,
    theiler: int | None = None,
    shares: tuple[float, float] = (0.005, 0.1),
    periodic: bool = False,
) -> float:
    """Correlation dimension: slope of log C(r) against log r.

    C(r) is the share of pairs of delay vectors closer than r; the slope is fitted where C runs
    between `shares`, which excludes both noise and saturation at any scale of the series.

    References:
        Grassberger and Procaccia 1983, doi:10.1016/0167-2789(83)90298-1.
    """
    x = np.asarray(series, dtype=float)
    if not varies(x):
        return math.nan
    delay = delay or decorrelation_delay(x, periodic=periodic)
    theiler = dimension * delay if theiler is None else theiler
    vectors = embed(x, dimension, delay, periodic=periodic)
    pairs = []
    for rows, distance in distance_blocks(vectors, "sqeuclidean"):
        keep = _pairs_apart(int(rows[0]), len(rows), len(vectors), theiler, periodic=periodic)
        pairs.append(distance.astype(np.float32).take(keep))
    squared = np.concatenate(pairs)
    squared = squared[squared > 0.0]
    if len(squared) < MIN_PAIRS:
        return math.nan
    share = np.exp(np.linspace(math.log(shares[0]), math.log(shares[1]), 12))
    ranks = (share * len(squared)).astype(int)
    nearest = np.sort(np.partition(squared, ranks[-1])[: ranks[-1] + 1])
    radius = np.sqrt(nearest[ranks].astype(float))
    if radius[-1] <= radius[0] * 1.01:
        return math.nan
    return slope(np.log(radius), np.log(share))


@lru_cache(maxsize=64)
def _near_in_time(
    first: int, rows: int, count: int, window: int, *, periodic: bool
) -> npt.NDArray[np.bool_]:
    """Pairs no more than `window` samples apart, of `rows` samples from `first`: (rows, count).

    Outlines all have the same number of samples, so a mask serves many of them; do not write to it.
    """
    here = np.arange(first, first + rows, dtype=np.int32)
    apart = np.abs(here[:, None] - np.arange(count, dtype=np.int32))
    near: npt.NDArray[np.bool_] = apart <= window
    if periodic:
        near |= apart >= count - window
    return near


@lru_cache(maxsize=64)
def _pairs_apart(
    first: int, rows: int, count: int, window: int, *, periodic: bool
) -> npt.NDArray[np.int32]:
    """Pairs more than `window` samples apart, each once: places in such a block; care as above."""
    later = np.arange(count) > np.arange(first, first + rows)[:, None]
    apart = later & ~_near_in_time(first, rows, count, window, periodic=periodic)
    return np.flatnonzero(apart).astype(np.int32)
