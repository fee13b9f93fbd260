"""Slices as the tumour-core network sees them: planes, orientation, intensities.

One definition for training, evaluation and use. Slices are shown as radiologists see them, which
is also how the public slice collections store them:

* axial: rows run to posterior, columns to the patient's left;
* coronal: rows run to inferior, columns to the patient's left;
* sagittal: rows run to inferior, columns to posterior.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.volume import ScalarArray

AnyArray = npt.NDArray[Any]

PERCENTILE_STRIDE = 2  # percentiles come from every second row and column: four times faster
FOREGROUND_FRACTION = 0.08
MIN_FOREGROUND_PIXELS = 40
CLIP_LOW, CLIP_HIGH = -3.0, 5.0
CONSTANT_BACKGROUND_SHARE = 0.15
MAX_IN_PLANE_MM = 2.5
MIN_EXTENT_MM = 60.0
THIN_VOLUME_PIXEL_MM = 1.25
"""A volume that is read in several planes is read no finer: at 1.0 mm pieces appear in the throat
and the orbits of whole-head phantoms, which no training volume shows, and it takes longer."""

ORIENTATION = "LPI"
"""Axes of a volume before it is cut into slices; see `brain_tumor.cases.grid.geometry.axis_map`."""


class Plane(StrEnum):
    """Anatomical plane of a slice."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


SLICE_AXIS = {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}
"""Axis of an LPI array along which the slices of a plane are stacked."""


def plane_stack(lpi: AnyArray, plane: Plane) -> AnyArray:
    """Slices of one plane, shape (slices, rows, columns), of an LPI volume."""
    order = {Plane.AXIAL: (2, 1, 0), Plane.CORONAL: (1, 2, 0), Plane.SAGITTAL: (0, 2, 1)}[plane]
    return lpi.transpose(order)


def stack_to_lpi(stack: AnyArray, plane: Plane) -> AnyArray:
    """Inverse of `plane_stack`."""
    order = {Plane.AXIAL: (2, 1, 0), Plane.CORONAL: (2, 0, 1), Plane.SAGITTAL: (0, 2, 1)}[plane]
    return stack.transpose(order)


def resolved_planes(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> tuple[Plane, ...]:
    """Planes in which an LPI volume shows anatomy rather than interpolation.

    A plane counts when both its pixels are at most 2.5 mm and both its sides are at least 60 mm.
    The second rule also protects against thick-slice volumes whose header claims 1 mm. Where no
    plane qualifies, the plane with the largest slices is taken.

    Args:
        shape: Voxels along left, posterior, inferior.
        spacing_mm: Voxel size along the same axes.
    """
    planes = []
    for plane, axis in SLICE_AXIS.items():
        inside = [a for a in range(3) if a != axis]
        sides_mm = [shape[a] * spacing_mm[a] for a in inside]
        coarsest_mm = max(spacing_mm[a] for a in inside)
        if coarsest_mm <= MAX_IN_PLANE_MM and min(sides_mm) >= MIN_EXTENT_MM:
            planes.append(plane)
    if planes:
        return tuple(planes)
    pixels = {
        plane: int(np.prod([shape[a] for a in range(3) if a != axis]))
        for plane, axis in SLICE_AXIS.items()
    }
    return (max(pixels, key=lambda plane: pixels[plane]),)


def working_pixel_mm(pixel_mm: float, planes: tuple[Plane, ...]) -> float:
    """Pixel of a volume's slices as the network sees them, to outline and to learn from.

    Args:
        pixel_mm: Pixel that the network was trained on.
        planes: Planes in which the volume is read.

    Example:
        >>> working_pixel_mm(1.0, (Plane.AXIAL,)), working_pixel_mm(1.0, tuple(Plane))
        (1.0, 1.25)
    """
    return max(pixel_mm, THIN_VOLUME_PIXEL_MM) if len(planes) > 1 else pixel_mm


def tissue_box(array: ScalarArray, margin: int = 4) -> tuple[slice, slice, slice]:
    """Box around everything brighter than background, with a margin in voxels.

    Args:
        array: Intensities, shape (I, J, K).
        margin: Voxels kept on every side where the volume has them.

    Returns:
        One slice per axis; the whole volume if nothing stands out.
    """
    image = _lower_constant_background(array)
    low, high = float(image.min()), float(np.percentile(image[::2, ::2], 99.5))
    tissue = image > low + FOREGROUND_FRACTION * (high - low)
    box = []
    for axis, length in enumerate(array.shape):
        profile = np.count_nonzero(tissue, axis=tuple(a for a in range(3) if a != axis))
        filled = np.flatnonzero(profile > 0.001 * profile.max())
        first, last = (filled[0], filled[-1]) if len(filled) else (0, length - 1)
        box.append(slice(max(0, int(first) - margin), min(length, int(last) + 1 + margin)))
    return box[0], box[1], box[2]


def normalise_slices(slices: AnyArray) -> ScalarArray:
    """Bring every slice to one intensity scale, from the slice alone.

    Slices often reach us as 8-bit pictures, scaled one by one, so no statistic of a volume can be
    relied on. Foreground is what lies above 8 % of the way from the minimum to the 99.5th
    percentile; the result is (x - median) / (90th - 10th percentile) of the foreground, clipped
    to -3 ... 5. A constant background inside the range of the tissue (z-scored, skull-stripped
    volumes) is first moved below the tissue.

    Args:
        slices: Intensities of any scale, shape (N, H, W).

    Returns:
        float32, shape (N, H, W). A slice without foreground is all zeros.
    """
    normalised = np.zeros(slices.shape, dtype=np.float32)
    for index, raw in enumerate(slices):
        image = _lower_constant_background(np.asarray(raw, dtype=np.float32))
        sample = image[::PERCENTILE_STRIDE, ::PERCENTILE_STRIDE].ravel()
        low = float(sample.min())
        high = float(np.percentile(sample, 99.5))
        foreground = sample[sample > low + FOREGROUND_FRACTION * (high - low)]
        if foreground.size < MIN_FOREGROUND_PIXELS:
            continue
        p10, p50, p90 = np.percentile(foreground, (10, 50, 90))
        if p90 - p10 <= 0:
            continue
        np.clip((image - p50) / (p90 - p10), CLIP_LOW, CLIP_HIGH, out=normalised[index])
    return normalised


def _lower_constant_background(image: ScalarArray) -> ScalarArray:
    corner = image[(0,) * image.ndim]
    constant = image == corner
    share = float(np.count_nonzero(constant)) / image.size
    below = image < corner
    if share < CONSTANT_BACKGROUND_SHARE or np.count_nonzero(below) < 0.01 * image.size:
        return image
    return np.where(constant, np.float32(image[below].min()), image).astype(np.float32)
