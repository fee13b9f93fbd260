"""Working grids of a slice: resampling in mm, sampling at points, pieces and holes of masks."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import csr_array

from brain_tumor.classification.features.outline import CROSS, FloatArray, MaskArray, filled

ImageArray = npt.NDArray[np.float32]
PixelSize = tuple[float, float]


def resample(image: npt.NDArray[np.generic], pixel_mm: PixelSize, target_mm: float) -> ImageArray:
    """Resample to square pixels.

    Each new pixel is a triangle-weighted mean, as wide as the coarser of the two grids, so fine
    images are averaged and coarse ones interpolated. The centre of pixel (0, 0) stays in place,
    so a point in mm is its index times the pixel size in both images.

    Args:
        image: Shape (rows, columns).
        pixel_mm: Height and width of its pixels.
        target_mm: Pixel size wanted.
    """
    data = np.asarray(image, dtype=np.float32)
    rows = _weights(data.shape[0], pixel_mm[0], target_mm)
    columns = _weights(data.shape[1], pixel_mm[1], target_mm)
    resampled: ImageArray = np.ascontiguousarray((columns @ (rows @ data).T).T)
    return resampled


@lru_cache(maxsize=64)
def _weights(count: int, pixel_mm: float, target_mm: float) -> csr_array:
    """Weights of old pixels (columns) in new ones (rows); a row has two to a handful."""
    old = np.arange(count) * pixel_mm
    new = np.arange(int(old[-1] / target_mm + 1e-6) + 1) * target_mm
    reach = max(pixel_mm, target_mm)
    weights = np.maximum(0.0, 1.0 - np.abs(new[:, None] - old) / reach)
    return csr_array((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


def sample(
    image: npt.NDArray[np.generic],
    points_mm: FloatArray,
    pixel_mm: float | PixelSize,
    *,
    outside: float | None = None,
) -> FloatArray:
    """Bilinear values at points.

    Args:
        image: Shape (rows, columns).
        points_mm: Shape (..., 2), (row, column) in mm.
        pixel_mm: Pixel size of the image.
        outside: Value beyond the image; the nearest pixel if None.

    Returns:
        Shape (...), float64.
    """
    return Places(image.shape, points_mm, pixel_mm).read(image, outside=outside)


class Places:
    """Points in an image, worked out once to be read in several images of the same grid.

    Args:
        shape: Rows and columns of the images.
        points_mm: Shape (..., 2), (row, column) in mm.
        pixel_mm: Pixel size of the images.
    """

    def __init__(
        self, shape: tuple[int, ...], points_mm: FloatArray, pixel_mm: float | PixelSize
    ) -> None:
        sizes = pixel_mm if isinstance(pixel_mm, tuple) else (pixel_mm, pixel_mm)
        firsts, self._parts, self._inside = [], [], np.True_
        for axis, (length, size) in enumerate(zip(shape, sizes, strict=True)):
            index = points_mm[..., axis] / size
            near = np.minimum(np.maximum(index, 0.0), length - 1.0)
            self._inside = self._inside & (near == index)
            first = np.minimum(near.astype(np.intp), max(length - 2, 0))
            firsts.append(first)
            self._parts.append(near - first)
        self._shape = tuple(shape)
        self._flat = firsts[0] * shape[1] + firsts[1]

    def read(self, image: npt.NDArray[np.generic], *, outside: float | None = None) -> FloatArray:
        """Bilinear values; see `sample`."""
        data = image.ravel()
        down = self._shape[1] if self._shape[0] > 1 else 0
        right = 1 if self._shape[1] > 1 else 0
        part_down, part_right = self._parts

        def along_row(flat: npt.NDArray[np.intp]) -> FloatArray:
            left, after = (data.take(at).astype(np.float64) for at in (flat, flat + right))
            return np.asarray(left + (after - left) * part_right)

        upper, lower = along_row(self._flat), along_row(self._flat + down)
        values: FloatArray = upper + (lower - upper) * part_down
        return values if outside is None else np.where(self._inside, values, outside)


def fill_holes(mask: MaskArray) -> MaskArray:
    """The mask with everything that cannot be reached from the edge of the image."""
    box = _box(mask)
    whole = np.zeros_like(mask)
    whole[box] = filled(mask[box])
    return whole


def biggest(mask: MaskArray) -> MaskArray:
    """Largest 4-connected component; empty if the mask is."""
    box = _box(mask)
    labels, count = ndimage.label(mask[box], structure=CROSS)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    component = np.zeros_like(mask)
    component[box] = labels == sizes.argmax()
    return component


def _box(mask: MaskArray) -> tuple[slice, slice]:
    """The part of the image that holds the mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


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
