"""Volumes whose header or voxels are not quite in order, brought in order and said so."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.cases.grid.grids import Shape, corners_mm
from brain_tumor.cases.grid.resampling import resample_array
from brain_tumor.cases.volume import Affine, ScalarArray, spacing_from_affine
from brain_tumor.errors import VolumeError

MAX_SHEAR = 1e-4
"""Largest cosine between axes that ITK, hence Slicer, reads as perpendicular."""
NEGLIGIBLE_SHEAR_MM = 0.1
"""Shear that moves no corner farther than this is taken out of the affine without resampling."""
MAX_ENCLOSED_SHARE = 0.01
"""Share of the voxels without a number that may lie inside the head, as holes of a mask do."""
OUTLIER_WIDTHS = 5.0
"""Values this many widths of the bulk (0.2 to 99.8 %) away from it are no anatomy."""
MAX_OUTLIER_SHARE = 1e-3
SMALLEST_HEAD_MM = 60.0
LARGEST_HEAD_MM = 600.0
_MIN_VOXELS_OF_A_HEAD = 32


def with_background(array: ScalarArray) -> tuple[ScalarArray, tuple[str, ...]]:
    """Array whose voxels without a number are background.

    Registration programs write NaN outside their mask. Voxels without a number that reach the
    volume's border, and few holes among them, become 0, or the minimum if that is below.

    Args:
        array: Intensities, shape (I, J, K); may hold NaN and infinity.

    Raises:
        VolumeError: If voxels inside the head are no numbers, or hardly any is.
    """
    bad = ~np.isfinite(array)
    count = int(np.count_nonzero(bad))
    if not count:
        return array, ()
    shell, _ = ndimage.label(np.pad(bad, 1, constant_values=True))
    enclosed = int(np.count_nonzero(bad & (shell != shell[0, 0, 0])[1:-1, 1:-1, 1:-1]))
    if enclosed > MAX_ENCLOSED_SHARE * count or count > 0.99 * array.size:
        raise VolumeError(f"volume holds {count} voxels that are NaN or infinite; expected none")
    background = min(0.0, float(array[~bad].min()))
    filled = np.where(bad, np.float32(background), array)
    return filled, (f"{count} voxels without a number (NaN or infinite) were taken as background",)


def on_perpendicular_axes(
    array: ScalarArray, affine: Affine
) -> tuple[ScalarArray, Affine, tuple[str, ...]]:
    """Volume on a grid whose axes are perpendicular, which ITK and Slicer can open.

    The first axis is kept, the second turned in their plane, the third put upright. Shear that
    moves no corner by 0.1 mm is taken out of the affine; otherwise voxels are interpolated
    (trilinear) on a grid of nearly the same voxel size that holds the whole volume.

    Args:
        array: Intensities, shape (I, J, K).
        affine: Voxel to RAS+ mm, not singular.

    Returns:
        Array, affine and what to warn of.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(directions.T @ directions - np.eye(3)).max() < MAX_SHEAR:
        return array, affine, ()
    shape: Shape = array.shape  # type: ignore[assignment]
    upright = _upright(affine)
    moved = corners_mm(shape, upright) - corners_mm(shape, affine)
    offset = moved.mean(axis=0)
    if np.linalg.norm(moved - offset, axis=1).max() < NEGLIGIBLE_SHEAR_MM:
        upright[:3, 3] -= offset
        return array, upright, ()
    steps = (np.linalg.inv(upright) @ affine)[:3, :3]
    corners = np.array(list(product(*((0, n - 1) for n in shape))), dtype=np.float64) @ steps.T
    low = np.floor(corners.min(axis=0) + 1e-6)
    size = np.ceil(corners.max(axis=0) - low - 1e-6).astype(int) + 1
    target = upright.copy()
    target[:3, 3] += upright[:3, :3] @ low
    new_shape = (int(size[0]), int(size[1]), int(size[2]))
    fill = min(0.0, float(array.min()))
    resampled = resample_array(array, affine, new_shape, target, fill=fill)
    warning = (
        "its axes are not perpendicular (a sheared affine); it was resampled to a perpendicular "
        "grid, which other programs can open"
    )
    return resampled, target, (warning,)


def _upright(affine: Affine) -> Affine:
    """Affine with perpendicular axes and the same origin."""
    first = affine[:3, 0] / np.linalg.norm(affine[:3, 0])
    second = affine[:3, 1] - (affine[:3, 1] @ first) * first
    third = affine[:3, 2] - (affine[:3, 2] @ first) * first
    second_unit = second / np.linalg.norm(second)
    third = third - (third @ second_unit) * second_unit
    upright = affine.copy()
    upright[:3, :3] = np.stack([affine[:3, 0], second, third], axis=1)
    return upright


def size_doubts(shape: tuple[int, ...], affine: Affine) -> tuple[str, ...]:
    """Warning if a volume is so small or large that its voxel size must be in another unit."""
    spacing = spacing_from_affine(affine)
    extents = sorted(n * mm for n, mm in zip(shape, spacing, strict=True))
    is_fine = sorted(shape)[1] >= _MIN_VOXELS_OF_A_HEAD
    if is_fine and not (extents[1] >= SMALLEST_HEAD_MM and extents[2] <= LARGEST_HEAD_MM):
        return (
            f"the volume measures {extents[2] / 10:.1f} cm; a head has about 20 cm, so the voxel "
            "size may be in another unit than mm",
        )
    return ()


def without_outliers(array: ScalarArray) -> tuple[ScalarArray, int]:
    """Array whose few voxels of impossible brightness are like their surroundings.

    Args:
        array: Finite intensities, shape (I, J, K).

    Returns:
        The same array if there is none, and how many there were.
    """
    low, high = np.percentile(array, [0.2, 99.8])
    reach = OUTLIER_WIDTHS * (high - low)
    outside = (array < low - reach) | (array > high + reach)
    count = int(np.count_nonzero(outside))
    if not 0 < count <= max(1, MAX_OUTLIER_SHARE * array.size) or reach == 0:
        return array, 0
    mended = np.clip(array, low, high).astype(np.float32)
    return np.where(outside, _around(mended, outside), array).astype(np.float32), count


def _around(array: ScalarArray, places: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Median of the 3 x 3 x 3 voxels around each place; anything elsewhere."""
    medians = array.copy()
    for i, j, k in np.argwhere(places):
        block = tuple(slice(max(0, n - 1), n + 2) for n in (i, j, k))
        sound = array[block][~places[block]]
        medians[i, j, k] = np.median(sound) if sound.size else np.median(array)
    return medians
