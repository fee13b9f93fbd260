"""The mirror plane of the head in a slice, and how far the middle of the brain has moved off it.

Axial and coronal slices are nearly mirror-symmetric; sagittal ones are not and have no midline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.classification.features.grid import Places, sample
from brain_tumor.classification.features.head import GRID_MM, Head
from brain_tumor.classification.features.outline import FloatArray, MaskArray
from brain_tumor.segmentation.tumor_core.slices import Plane

ANGLES = 144
RADII_MM = np.arange(4.0, 120.0, 4.0)
LARGEST_TILT_DEG = 45.0
SIDEWAYS_MM = np.arange(-12.0, 12.5, 2.0)
LEAST_SYMMETRY = 0.4
LEAST_SYMMETRY_KNOWN_PLANE = 0.2
"""Least correlation of a slice with its mirror image; sagittal slices stay below the first. In a
slice known to be axial or coronal the second is enough."""

HALF_WIDTH_MM = 36.0
LARGEST_SHIFT_MM = 16.0
LATERAL_STEP_MM = 2.0
BAND_MM = 16.0
PLAIN_VARIANCE = 0.006
"""Variance of relative intensity that shape- and featureless brain has; damps its correlation."""
SHIFT_PENALTY_PER_MM = 0.015
"""Correlation that a shift must gain per mm, so that no shift is found without evidence."""
LEAST_MATCH = 0.5
"""Least local mirror correlation at which a level counts."""


@dataclass(frozen=True, eq=False)
class MirrorAxis:
    """Line about which the head is most symmetric.

    Attributes:
        point_mm: Point on the line, (row, column).
        direction: Unit vector along the line, towards the bottom of the image.
        symmetry: Correlation of the head's intensities with their mirror image, up to 1.
        symmetric: Whether the slice has a mirror plane at all.
    """

    point_mm: FloatArray
    direction: FloatArray
    symmetry: float
    symmetric: bool

    @property
    def across(self) -> FloatArray:
        """Unit vector across the line, towards the right of the image."""
        return np.array([-self.direction[1], self.direction[0]])


@dataclass(frozen=True)
class MidlineShift:
    """Largest displacement of the middle of the brain at the levels of the tumour.

    Attributes:
        shift_mm: Distance from the mirror axis, never negative.
        share_of_width: The same over the width of the brain at that level.
        place_mm: Where the middle is at that level, (row, column).
    """

    shift_mm: float
    share_of_width: float
    place_mm: FloatArray


def mirror_axis(head: Head, plane: Plane | None = None) -> MirrorAxis:
    """The line of best mirror symmetry, within 45 degrees of the image's vertical.

    Head outline and intensities are read on rays from the centre of the head; mirroring about a
    line through the centre is then a shift, and all lines are tried at once by one Fourier
    transform. The line is then moved sideways to the best fit. The tumour counts as brain.

    Args:
        head: Head of the slice.
        plane: Orientation of the slice, if it is known.
    """
    centre = centroid_of(head.head) * GRID_MM
    angles = np.arange(ANGLES) * (2.0 * math.pi / ANGLES)
    rays = np.stack([-np.cos(angles), np.sin(angles)], axis=1)
    points = centre + RADII_MM[:, None, None] * rays
    places = Places(head.head.shape, points, GRID_MM)
    outline = places.read(head.head, outside=0.0)
    tissue = np.where(head.tumour, 1.0, np.clip(head.relative, 0.0, 2.0)) * head.head
    values = places.read(tissue, outside=0.0)
    by_outline = _mirror_correlation(outline)
    mean = (values * outline * RADII_MM[:, None]).sum() / (outline * RADII_MM[:, None]).sum()
    by_intensity = _mirror_correlation((values - mean) * outline)
    # Rays i and s - i mirror each other about the line at half the angle of ray s.
    tilt = (np.arange(ANGLES) * (180.0 / ANGLES) + 90.0) % 180.0 - 90.0
    score = np.where(np.abs(tilt) <= LARGEST_TILT_DEG, by_outline + 0.1 * by_intensity, -1.0)
    best = int(score.argmax())
    lean = math.radians(tilt[best] + _peak_offset(score, best) * (180.0 / ANGLES))
    direction = np.array([math.cos(lean), -math.sin(lean)])
    centre, symmetry = _centred(head, np.asarray(tissue, dtype=float), centre, direction)
    enough = LEAST_SYMMETRY if plane is None else LEAST_SYMMETRY_KNOWN_PLANE
    return MirrorAxis(
        centre, direction, symmetry, symmetry >= enough and plane is not Plane.SAGITTAL
    )


def centroid_of(mask: MaskArray) -> FloatArray:
    """Mean row and column of a mask that is not empty."""
    sums = [mask.sum(axis=1 - axis) @ np.arange(mask.shape[axis]) for axis in (0, 1)]
    centroid: FloatArray = np.array(sums) / np.count_nonzero(mask)
    return centroid


def _centred(
    head: Head, tissue: FloatArray, centre_mm: FloatArray, direction: FloatArray
) -> tuple[FloatArray, float]:
    """A point on the line moved sideways to where the mirror image fits best, and the fit."""
    across = np.array([-direction[1], direction[0]])
    fits = _mirror_fit(head, tissue, centre_mm, across, SIDEWAYS_MM, stride=4)
    best = int(fits.argmax())
    offset = SIDEWAYS_MM[best]
    if 0 < best < len(fits) - 1:
        offset += _peak_offset(fits, best) * (SIDEWAYS_MM[1] - SIDEWAYS_MM[0])
    symmetry = _mirror_fit(head, tissue, centre_mm, across, np.array([offset]), stride=2)
    return centre_mm + offset * across, float(symmetry[0])


def _mirror_fit(
    head: Head,
    tissue: FloatArray,
    centre_mm: FloatArray,
    across: FloatArray,
    offsets_mm: FloatArray,
    *,
    stride: int,
) -> FloatArray:
    """Correlation of the head with its mirror image about parallel lines; air counts as 0.

    Returns:
        Shape (offsets,).
    """
    rows, columns = np.nonzero(head.head[::stride, ::stride])
    rows, columns = rows * stride, columns * stride
    here = np.stack([rows, columns], axis=1) * GRID_MM
    lateral = (here - centre_mm) @ across
    there = here + 2.0 * (offsets_mm[:, None] - lateral)[..., None] * across
    mirrored = sample(tissue, there, GRID_MM, outside=0.0)
    values = tissue[rows, columns]
    values = values - values.mean()
    mirrored = mirrored - mirrored.mean(axis=1, keepdims=True)
    power = np.sqrt((values**2).sum() * (mirrored**2).sum(axis=1))
    fit: FloatArray = mirrored @ values / np.maximum(power, 1e-12)
    return fit


def midline_shift(
    head: Head, axis: MirrorAxis, levels_mm: tuple[float, float]
) -> MidlineShift | None:
    """How far the middle of the brain lies off the mirror axis, at its worst.

    At every level along the axis the local mirror symmetry of the brain, tumour left out, is
    tried about points up to 16 mm to either side; the best match is where the middle is.

    Args:
        head: Head of the slice.
        axis: Its mirror axis.
        levels_mm: First and last level to look at, along the axis from its point.

    Returns:
        The largest shift, or None if no level has a clear middle.
    """
    reach = HALF_WIDTH_MM + LARGEST_SHIFT_MM
    lateral = np.arange(-reach, reach + 0.5, LATERAL_STEP_MM)
    levels = np.arange(levels_mm[0], levels_mm[1] + GRID_MM, GRID_MM)
    points = (
        axis.point_mm
        + levels[:, None, None] * axis.direction
        + lateral[None, :, None] * axis.across
    )
    inside = head.brain & ~head.tumour
    places = Places(inside.shape, points, GRID_MM)
    values = places.read(np.clip(head.relative, 0.0, 1.6))
    weights = places.read(inside, outside=0.0)
    match, coverage = _local_symmetry(values, weights)
    half = round(BAND_MM / GRID_MM / 2)
    shifts = np.arange(-LARGEST_SHIFT_MM, LARGEST_SHIFT_MM + 0.5, LATERAL_STEP_MM)
    best = (match - SHIFT_PENALTY_PER_MM * np.abs(shifts)).argmax(axis=1)
    clear = (match[np.arange(len(levels)), best] >= LEAST_MATCH) & (coverage >= 0.6)
    clear &= (best > 0) & (best < len(shifts) - 1)
    clear[:half] = clear[len(clear) - half :] = False
    if not clear.any():
        return None
    off = np.where(clear, shifts[best] + _between_samples(match, best) * LATERAL_STEP_MM, 0.0)
    level = int(np.where(clear, np.abs(off), -1.0).argmax())
    shift = abs(float(off[level]))
    width = float(sample(head.brain, _across(axis, levels[level]), GRID_MM, outside=0.0).sum())
    if width <= 0.0:
        return None
    place = axis.point_mm + levels[level] * axis.direction + off[level] * axis.across
    return MidlineShift(shift, shift / width, place)


def _between_samples(match: FloatArray, best: npt.NDArray[np.intp]) -> FloatArray:
    """Place of each level's maximum between the shifts tried, in steps, -0.5 to 0.5."""
    level = np.arange(len(match))
    inside = np.clip(best, 1, match.shape[1] - 2)
    before, at, after = (match[level, inside + k] for k in (-1, 0, 1))
    bend = before - 2.0 * at + after
    offset = 0.5 * (before - after) / np.where(bend < -1e-9, bend, -np.inf)
    between: FloatArray = np.clip(offset, -0.5, 0.5)
    return between


def _mirror_correlation(polar: FloatArray) -> FloatArray:
    """Correlation of a polar image with its mirror image, for every mirror line.

    Args:
        polar: Shape (radii, angles).

    Returns:
        Shape (angles,): entry s belongs to the line at half the angle s.
    """
    weights = RADII_MM
    spectrum = np.fft.rfft(polar, axis=1)
    correlation = np.fft.irfft(weights @ spectrum**2, polar.shape[1])
    power = float(weights @ (polar**2).sum(axis=1))
    result: FloatArray = correlation / power if power > 0.0 else np.zeros(polar.shape[1])
    return result


def _peak_offset(score: FloatArray, best: int) -> float:
    """Place of a maximum between samples, in samples."""
    before, at, after = (float(score[(best + k) % len(score)]) for k in (-1, 0, 1))
    bend = before - 2.0 * at + after
    return 0.5 * (before - after) / bend if before >= 0.0 and after >= 0.0 and bend < 0.0 else 0.0


def _across(axis: MirrorAxis, level_mm: float) -> FloatArray:
    """Points 1 mm apart across the head at one level."""
    offsets = np.arange(-120.0, 120.5, 1.0)
    points: FloatArray = axis.point_mm + level_mm * axis.direction + offsets[:, None] * axis.across
    return points


def _local_symmetry(values: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mirror correlation about each lateral position, for each level.

    Args:
        values: Intensities, shape (levels, lateral).
        weights: 1 inside brain and outside the tumour, else 0, same shape.

    Returns:
        Correlation, shape (levels, shifts), -1 where too little is left to compare, and the
        best coverage of each level, shape (levels,).
    """
    half = round(HALF_WIDTH_MM / LATERAL_STEP_MM)
    count = values.shape[1] - 2 * half
    middle = np.arange(count)[:, None] + half
    offset = np.arange(1, half + 1)
    left, right = values[:, middle - offset], values[:, middle + offset]
    weight = weights[:, middle - offset] * weights[:, middle + offset]
    band = max(1, round(BAND_MM / GRID_MM))
    totals = [
        ndimage.uniform_filter1d(product.sum(axis=2), band, axis=0, mode="constant")
        for product in (
            weight,
            weight * (left + right),
            weight * left * right,
            weight * (left**2 + right**2),
        )
    ]
    mass = np.maximum(totals[0], 1e-6)
    mean = totals[1] / (2.0 * mass)
    covariance = totals[2] / mass - mean**2
    variance = totals[3] / (2.0 * mass) - mean**2
    coverage = totals[0] / half
    correlation = np.where(coverage >= 0.5, covariance / (variance + PLAIN_VARIANCE), -1.0)
    return correlation, coverage.max(axis=1)
