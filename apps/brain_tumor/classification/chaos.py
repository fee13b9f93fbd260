"""Descriptors of irregularity of a series: Lyapunov exponent, entropies, correlation dimension.

Every function takes one series, shape (n,), and returns NaN where the descriptor is undefined
(a constant or too short series, no matches). `periodic=True` reads the series as a closed curve:
every delay wraps round, so the result does not depend on the starting point.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from brain_tumor.classification.boundary_series import FloatArray

MIN_LENGTH = 16
FLAT = 1e-9
"""Relative sd below which a series counts as constant."""
BLOCK = 1024
MIN_PAIRS = 200


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
    """All descriptors of this module, with the embedding shared between them."""
    x = np.asarray(series, dtype=float)
    if not varies(x):
        return ChaosDescriptors(math.nan, math.nan, math.nan, math.nan, math.nan, 0)
    delay = decorrelation_delay(x, periodic=periodic)
    return ChaosDescriptors(
        lyapunov_per_sample=largest_lyapunov_exponent(x, delay=delay, periodic=periodic),
        approximate_entropy=approximate_entropy(x, periodic=periodic),
        sample_entropy=sample_entropy(x, periodic=periodic),
        permutation_entropy=permutation_entropy(x, delay=max(1, delay // 2), periodic=periodic),
        correlation_dimension=correlation_dimension(x, delay=delay, periodic=periodic),
        delay=delay,
    )


def varies(x: FloatArray) -> bool:
    """Whether a series is long enough and not constant."""
    return len(x) >= MIN_LENGTH and bool(x.std() > FLAT * max(1.0, float(np.abs(x).max())))


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
    for rows, distance in _distance_blocks(vectors[:usable], "sqeuclidean"):
        distance[_near_in_time(rows, usable, theiler, periodic=periodic)] = np.inf
        distance[distance <= 0.0] = np.inf
        best = distance.argmin(axis=1)
        nearest[rows] = np.where(np.isfinite(distance[np.arange(len(rows)), best]), best, -1)
    start = np.flatnonzero(nearest >= 0)
    ahead = np.arange(steps + 1 + (dimension - 1) * delay)[:, None]
    apart = (x[(start + ahead) % len(x)] - x[(nearest[start] + ahead) % len(x)]) ** 2
    squared = sum(apart[k * delay : k * delay + steps + 1] for k in range(dimension))
    counted = squared > 0.0
    count = counted.sum(axis=1)
    total = 0.5 * np.log(np.where(counted, squared, 1.0)).sum(axis=1)
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


def approximate_entropy(
    series: npt.ArrayLike, *, order: int = 2, tolerance: float = 0.2, periodic: bool = False
) -> float:
    """Approximate entropy ApEn(order, tolerance x sd) in nats; self-matches count.

    References:
        Pincus 1991, doi:10.1073/pnas.88.6.2297.
    """
    x = np.asarray(series, dtype=float)
    if not varies(x):
        return math.nan
    radius = tolerance * float(x.std())
    phi = []
    for length in (order, order + 1):
        vectors = embed(x, length, 1, periodic=periodic)
        counts = _match_counts(vectors, radius)
        phi.append(float(np.log(counts / len(vectors)).mean()))
    return phi[0] - phi[1]


def sample_entropy(
    series: npt.ArrayLike, *, order: int = 2, tolerance: float = 0.2, periodic: bool = False
) -> float:
    """Sample entropy SampEn(order, tolerance x sd) in nats; NaN if nothing matches.

    References:
        Richman and Moorman 2000, doi:10.1152/ajpheart.2000.278.6.H2039.
    """
    x = np.asarray(series, dtype=float)
    if not varies(x):
        return math.nan
    radius = tolerance * float(x.std())
    longer = embed(x, order + 1, 1, periodic=periodic)
    shorter = embed(x, order, 1, periodic=periodic)[: len(longer)]
    matches = [int(_match_counts(v, radius).sum()) - len(v) for v in (shorter, longer)]
    if min(matches) <= 0:
        return math.nan
    return math.log(matches[0] / matches[1])


def permutation_entropy(
    series: npt.ArrayLike, *, order: int = 3, delay: int = 1, periodic: bool = False
) -> float:
    """Permutation entropy over ln(order!), 0 to 1.

    References:
        Bandt and Pompe 2002, doi:10.1103/PhysRevLett.88.174102.
    """
    x = np.asarray(series, dtype=float)
    if not varies(x):
        return math.nan
    ranks = np.argsort(embed(x, order, delay, periodic=periodic), axis=1, kind="stable")
    codes = ranks @ (order ** np.arange(order))
    share = np.bincount(codes) / len(codes)
    share = share[share > 0]
    return abs(float((share * np.log(share)).sum())) / math.log(math.factorial(order))


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
    for rows, distance in _distance_blocks(vectors, "sqeuclidean"):
        keep = ~_near_in_time(rows, len(vectors), theiler, periodic=periodic)
        keep &= np.arange(len(vectors)) > rows[:, None]
        pairs.append(distance[keep].astype(np.float32))
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


def slope(x: FloatArray, y: FloatArray) -> float:
    """Least-squares slope of y against x."""
    centred = x - x.mean()
    return float(centred @ y / (centred @ centred))


def _distance_blocks(
    vectors: FloatArray, metric: str
) -> Iterator[tuple[npt.NDArray[np.intp], FloatArray]]:
    """Rows of the distance matrix, `BLOCK` at a time, so that memory stays bounded."""
    for first in range(0, len(vectors), BLOCK):
        rows = np.arange(first, min(first + BLOCK, len(vectors)))
        yield rows, cdist(vectors[rows], vectors, metric)


def _near_in_time(
    rows: npt.NDArray[np.intp], count: int, window: int, *, periodic: bool
) -> npt.NDArray[np.bool_]:
    """Pairs no more than `window` samples apart, shape (rows, count)."""
    apart = np.abs(rows.astype(np.int32)[:, None] - np.arange(count, dtype=np.int32))
    near: npt.NDArray[np.bool_] = apart <= window
    if periodic:
        near |= apart >= count - window
    return near


def _match_counts(vectors: FloatArray, radius: float) -> npt.NDArray[np.intp]:
    """Vectors within `radius` of each vector by the largest coordinate, itself included."""
    counts = [
        np.count_nonzero(distance <= radius, axis=1)
        for _, distance in _distance_blocks(vectors, "chebyshev")
    ]
    return np.concatenate(counts)
