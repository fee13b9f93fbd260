"""Values of one grid on another."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK

from brain_tumor.cases.grid.grids import ScalarT, Shape, apply_affine, corner_indices
from brain_tumor.cases.volume import Affine, Volume

itk: Any = SimpleITK


STRIPPED_BACKGROUND_SHARE = 0.15
"""A volume with at least this share of voxels at its minimum has a masked background."""

_MIN_TISSUE_SHARE = 0.5
_EXACT_TOLERANCE_VOXELS = 1e-3  # affines this close to whole voxels are moved, not interpolated


def resample_array(
    array: npt.NDArray[ScalarT],
    affine: Affine,
    shape: Shape,
    target_affine: Affine,
    *,
    order: int = 1,
    fill: float = 0.0,
) -> npt.NDArray[ScalarT]:
    """Values of an array on another grid.

    Grids that differ by whole voxels, flips and axis swaps are copied without interpolation.
    Otherwise the value at a target voxel centre is interpolated between the voxel centres around
    it; up to half a voxel outside the outermost centres the edge value holds.

    Args:
        array: Values, shape (I, J, K); any numeric type but bool and float16.
        affine: Voxel to RAS+ mm of the array.
        shape: Target voxels along I, J, K.
        target_affine: Voxel to RAS+ mm of the target.
        order: 0 for labels (nearest voxel), 1 for intensities (trilinear).
        fill: Value of target voxels outside the array.

    Returns:
        Array of the target shape and of the same type; never the array itself.
    """
    # target voxel (i, j, k) lies at array index `mapping @ (i, j, k, 1)`
    mapping = np.linalg.inv(np.asarray(affine, np.float64)) @ np.asarray(target_affine, np.float64)
    whole = np.rint(mapping)
    deviation = apply_affine(mapping - whole, corner_indices(shape))
    if np.abs(deviation).max() < _EXACT_TOLERANCE_VOXELS and is_signed_permutation(whole):
        return _move_voxels(array, whole.astype(int), shape, fill)
    return _interpolate(array, mapping, shape, order, fill)


def resample_to(
    volume: Volume, shape: Shape, affine: Affine, *, order: int = 1, fill: float = 0.0
) -> Volume:
    """Volume on another grid; see `resample_array`."""
    return Volume(
        resample_array(volume.array, volume.affine, shape, affine, order=order, fill=fill), affine
    )


def resample_tissue(volume: Volume, shape: Shape, affine: Affine) -> Volume:
    """Intensities on another grid, with a background as sharp as it was.

    Where a brain was cut out, a trilinear value at its rim would be a mixture of tissue and
    nothing: a dark seam that later counts as tissue. There, the mean of the tissue alone is taken
    where it has the larger share of the weights, and the background elsewhere. Outside the volume
    is background, the darkest value.

    Args:
        volume: Any intensities.
        shape: Target voxels along I, J, K.
        affine: Voxel to RAS+ mm of the target.
    """
    array = volume.array
    low = float(array.min())
    values = resample_array(array, volume.affine, shape, affine, fill=low)
    tissue = array > low
    if 1.0 - float(tissue.mean()) < STRIPPED_BACKGROUND_SHARE or not tissue.any():
        return Volume(values, affine)
    share = resample_array(tissue.astype(np.float32), volume.affine, shape, affine)
    mixed = share < 1.0
    inside = mixed & (share >= _MIN_TISSUE_SHARE)
    values[inside] = low + (values[inside] - low) / share[inside]
    values[mixed & ~inside] = low
    return Volume(values, affine)


def is_signed_permutation(whole: npt.NDArray[np.float64]) -> bool:
    """True if a 4x4 matrix only swaps and flips axes, and moves the origin."""
    matrix = np.abs(whole[:3, :3])
    return bool((matrix.sum(axis=0) == 1).all() and (matrix.sum(axis=1) == 1).all())


def _move_voxels(
    array: npt.NDArray[Any], mapping: npt.NDArray[np.int_], shape: Shape, fill: float
) -> npt.NDArray[Any]:
    """Copy voxels along a signed permutation with whole offsets; see `resample_array`."""
    moved = np.full(shape, fill, dtype=array.dtype, order="F" if array.flags.f_contiguous else "C")
    order = [0, 0, 0]  # array axis that runs along each target axis
    sources: list[slice] = [slice(0)] * 3
    targets: list[slice] = [slice(0)] * 3
    for source_axis in range(3):
        target_axis = int(np.flatnonzero(mapping[source_axis, :3])[0])
        sign, offset = int(mapping[source_axis, target_axis]), int(mapping[source_axis, 3])
        size = array.shape[source_axis]
        # source index = sign * target index + offset has to stay inside 0 .. size - 1
        first, last = sorted((-offset * sign, (size - 1 - offset) * sign))
        first, last = max(first, 0), min(last, shape[target_axis] - 1)
        if first > last:
            return moved
        start, stop = sign * first + offset, sign * last + offset + sign
        order[target_axis] = source_axis
        sources[source_axis] = slice(start, None if stop < 0 else stop, sign)
        targets[target_axis] = slice(first, last + 1)
    moved[tuple(targets)] = array[tuple(sources)].transpose(order)
    return moved


def _interpolate(
    array: npt.NDArray[ScalarT],
    mapping: npt.NDArray[np.float64],
    shape: Shape,
    order: int,
    fill: float,
) -> npt.NDArray[ScalarT]:
    """ITK's resampling in voxel space: with unit spacing, the transform is the mapping itself."""
    transform = itk.AffineTransform(3)
    transform.SetMatrix(mapping[:3, :3].ravel().tolist())
    transform.SetTranslation(mapping[:3, 3].tolist())
    resampler = itk.ResampleImageFilter()
    resampler.SetSize([int(n) for n in shape])
    resampler.SetTransform(transform)
    resampler.SetInterpolator(itk.sitkLinear if order else itk.sitkNearestNeighbor)
    resampler.SetDefaultPixelValue(fill)
    # ITK's first axis runs fastest, as ours does in Fortran order
    image = resampler.Execute(itk.GetImageFromArray(array.T))
    values: npt.NDArray[ScalarT] = itk.GetArrayFromImage(image).T
    return values
