"""Working grids of a slice: resampling in mm, sampling at points, and octagonal morphology."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import csr_array

from brain_tumor.classification.outline import FloatArray, MaskArray

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
    index = points_mm / np.asarray(pixel_mm, dtype=float)
    mode, fill = ("nearest", 0.0) if outside is None else ("constant", outside)
    data = np.asarray(image, dtype=np.float32)
    values: FloatArray = ndimage.map_coordinates(
        data, np.moveaxis(index, -1, 0), order=1, mode=mode, cval=fill, output=np.float64
    )
    return values


def erode(mask: MaskArray, steps: int) -> MaskArray:
    """Erosion by an octagon of about `steps` pixels; outside the image counts as background."""
    return erosions(mask, (steps,))[0]


def erosions(mask: MaskArray, steps: Sequence[int]) -> tuple[MaskArray, ...]:
    """Erosions of one mask by several numbers of steps, each going on from the one before.

    Args:
        mask: Shape (rows, columns).
        steps: Numbers of steps, ascending.
    """
    box = _box(mask, 0)
    kept, done = mask[box], 0
    found: list[MaskArray] = []
    for goal in steps:
        kept, done = _shrink(kept, done, goal), goal
        whole = np.zeros_like(mask)
        whole[box] = kept
        found.append(whole)
    return tuple(found)


def dilate(mask: MaskArray, steps: int) -> MaskArray:
    """Dilation by an octagon of about `steps` pixels."""
    box = _box(mask, steps)
    whole = np.zeros_like(mask)
    whole[box] = _grow(mask[box], steps)
    return whole


def close_gaps(mask: MaskArray, steps: int) -> MaskArray:
    """Closing by an octagon: fills bays narrower than two times `steps` pixels."""
    box = _box(mask, 0)
    grown = _grow(np.pad(mask[box], steps), steps)
    whole = np.zeros_like(mask)
    whole[box] = _shrink(grown, 0, steps)[steps:-steps, steps:-steps]
    return whole


def fill_holes(mask: MaskArray) -> MaskArray:
    """The mask with everything that cannot be reached from the edge of the image."""
    box = _box(mask, 0)
    labels, _ = ndimage.label(np.pad(~mask[box], 1, constant_values=True))
    filled = np.zeros_like(mask)
    filled[box] = (labels != labels[0, 0])[1:-1, 1:-1]
    return filled


def biggest(mask: MaskArray) -> MaskArray:
    """Largest 4-connected component; empty if the mask is."""
    box = _box(mask, 0)
    labels, count = ndimage.label(mask[box])
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    component = np.zeros_like(mask)
    component[box] = labels == sizes.argmax()
    return component


def _box(mask: MaskArray, margin: int) -> tuple[slice, slice]:
    """The part of the image that holds the mask and a margin around it."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return slice(0, 0), slice(0, 0)
    first, left = max(int(rows[0]) - margin, 0), max(int(columns[0]) - margin, 0)
    return slice(first, int(rows[-1]) + 1 + margin), slice(left, int(columns[-1]) + 1 + margin)


def _grow(mask: MaskArray, steps: int) -> MaskArray:
    """Dilation by alternating crosses and squares, which together make an octagon."""
    grown = mask
    for step in range(steps):
        rows = grown.copy()
        rows[1:] |= grown[:-1]
        rows[:-1] |= grown[1:]
        # A cross widens the original columns, a square the already widened rows.
        source = grown if step % 2 == 0 else rows.copy()
        rows[:, 1:] |= source[:, :-1]
        rows[:, :-1] |= source[:, 1:]
        grown = rows
    return grown


def _shrink(mask: MaskArray, done: int, steps: int) -> MaskArray:
    """Erosion by the same octagon, from step `done` to `steps`; beyond the edge is background."""
    kept = mask
    for step in range(done, steps):
        rows = kept.copy()
        rows[1:] &= kept[:-1]
        rows[:-1] &= kept[1:]
        rows[:1] = rows[-1:] = False
        source = kept if step % 2 == 0 else rows.copy()
        rows[:, 1:] &= source[:, :-1]
        rows[:, :-1] &= source[:, 1:]
        rows[:, :1] = rows[:, -1:] = False
        kept = rows
    return kept
