"""Entropies of a series: approximate, sample and permutation entropy.

Every function takes one series, shape (n,), and returns NaN where the entropy is undefined (a
constant or too short series, no matches). `periodic=True` reads the series as a closed curve.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.features.delay_embedding import distance_blocks, embed, varies
from brain_tumor.classification.features.outline import FloatArray


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
    if periodic:
        return entropies_of_closed(x, order=order, tolerance=tolerance)[0]
    radius = tolerance * float(x.std())
    phi = []
    for length in (order, order + 1):
        vectors = embed(x, length, 1)
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
    if periodic:
        return entropies_of_closed(x, order=order, tolerance=tolerance)[1]
    radius = tolerance * float(x.std())
    longer = embed(x, order + 1, 1)
    shorter = embed(x, order, 1)[: len(longer)]
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


def entropies_of_closed(x: FloatArray, *, order: int, tolerance: float) -> tuple[float, float]:
    """Approximate and sample entropy of a closed series, from the same matches."""
    # Delay vectors match where all their values do, so matches of vectors are shifted matches of
    # values, all on.
    values = np.concatenate([x, x[:order]])
    close = np.abs(values[:, None] - values) <= tolerance * float(x.std())
    n = len(x)
    shifted = [close[k : k + n, k : k + n] for k in range(order + 1)]
    within = np.logical_and.reduce(shifted[:order])
    # A product counts the matches of each vector faster than a sum; up to 2^24 it is exact.
    ones = np.ones(n, dtype=np.float32)
    shorter = within.astype(np.float32) @ ones
    longer = (within & shifted[order]).astype(np.float32) @ ones
    approximate = float(np.log(shorter.astype(float) / longer).mean())
    pairs = int(longer.sum()) - len(x)
    sample = math.log((int(shorter.sum()) - len(x)) / pairs) if pairs > 0 else math.nan
    return approximate, sample


def _match_counts(vectors: FloatArray, radius: float) -> npt.NDArray[np.intp]:
    """Vectors within `radius` of each vector by the largest coordinate, itself included."""
    counts = [
        np.count_nonzero(distance <= radius, axis=1)
        for _, distance in distance_blocks(vectors, "chebyshev")
    ]
    return np.concatenate(counts)
