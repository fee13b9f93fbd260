"""The outline of a tumour as a series.

The radial series r_i (distance to the centroid over the mean distance) is what shape descriptors
read; information-weighted boundary normalisation turns it into the series that the chaos
descriptors read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from brain_tumor.classification.features.outline import Boundary, FloatArray

WINDOW = 5
BASE_WEIGHT = 0.1
INFORMATION_NOISE = {"variance": 2.5e-5, "pairwise": 0.0, "curvature": 0.02}
"""Local information of a disc drawn on pixels, by measure; less than this counts as none."""
INFORMATION_SCALE = {"variance": 1e-4, "pairwise": 0.25, "curvature": 0.2}
"""Least range of local information above the noise that is stretched to [0, 1], by measure."""


class InformationMeasure(StrEnum):
    """What counts as local information in a window of the outline."""

    VARIANCE = "variance"
    PAIRWISE = "pairwise"
    CURVATURE = "curvature"


@dataclass(frozen=True, eq=False)
class BoundarySeries:
    """Radial series of an outline with its information weights.

    Attributes:
        radii: r_i, distance to the centroid over the mean distance, shape (n,).
        information: Local information before any scaling, shape (n,). Its level is what the
            scaling to [0, 1] of the published method loses.
        weights: w_i, mean 1, shape (n,).
        values: x_i = r_i w_i over its mean, shape (n,).
    """

    radii: FloatArray
    information: FloatArray
    weights: FloatArray
    values: FloatArray


def information_weighted_series(
    boundary: Boundary,
    *,
    measure: InformationMeasure = InformationMeasure.VARIANCE,
    strength: float = 1.0,
    window: int = WINDOW,
) -> BoundarySeries:
    """Information-weighted boundary normalisation.

    e_i is the local information of a circular window, scaled to [0, 1]; w_i = 0.1 + strength e_i
    over its mean; x_i = r_i w_i over its mean. A circle gives x = 1.

    Departures from the paper: information below `INFORMATION_NOISE` counts as none, and a range
    below `INFORMATION_SCALE` is not stretched to the whole of [0, 1]; otherwise a smooth outline
    would be weighted by the noise of its pixels.

    Args:
        boundary: Outline, uniform in arc length.
        measure: What counts as information.
        strength: Weight of the information; 0 gives the plain radial series.
        window: Points of a window, odd.

    References:
        XMorph, arXiv:2602.21178 (IWBN).
    """
    radii = boundary.radii_mm
    mean_radius = float(radii.mean())
    radii = radii / mean_radius
    raw = _local_information(boundary, radii, mean_radius, measure, window)
    low = max(float(raw.min()), INFORMATION_NOISE[measure.value])
    spread = max(float(raw.max()) - low, INFORMATION_SCALE[measure.value])
    weights = BASE_WEIGHT + strength * np.maximum(raw - low, 0.0) / spread
    weights /= weights.mean()
    values = radii * weights
    return BoundarySeries(radii, raw, weights, values / values.mean())


def _local_information(
    boundary: Boundary,
    radii: FloatArray,
    mean_radius_mm: float,
    measure: InformationMeasure,
    window: int,
) -> FloatArray:
    """Information of the circular window around each point, not scaled."""
    around = np.arange(window) - window // 2
    index = (np.arange(len(radii))[:, None] + around) % len(radii)
    if measure is InformationMeasure.VARIANCE:
        windows = radii[index.T]
        variance: FloatArray = ((windows - windows.mean(axis=0)) ** 2).mean(axis=0)
        return variance
    if measure is InformationMeasure.CURVATURE:
        curvature = boundary.curvature_per_mm * mean_radius_mm
        return np.asarray(curvature[index].var(axis=1))
    first, second = np.triu_indices(window, 1)
    values = radii[index]
    # Histogram entropy of the pairwise differences; a bin is 1 % of the mean radius.
    bins = np.minimum((np.abs(values[:, first] - values[:, second]) / 0.01).astype(int), 31)
    counts = np.zeros((len(radii), 32))
    np.add.at(counts, (np.arange(len(radii))[:, None], bins), 1.0)
    share = counts / len(first)
    entropy: FloatArray = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=1)
    return entropy
