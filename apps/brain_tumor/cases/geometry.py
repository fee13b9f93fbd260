"""Grids in space: comparing, reorienting and resampling volumes.

An affine maps voxel centres (i, j, k) to RAS+ mm, as in nibabel. All affine maths is float64.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 (the name its documentation uses)
from nibabel.orientations import io_orientation

from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Affine, Volume
from brain_tumor.errors import GeometryError, SequenceError

logger = logging.getLogger(__name__)

Shape = tuple[int, int, int]
ScalarT = TypeVar("ScalarT", bound=np.generic)

GRID_TOLERANCE_MM = 0.5
"""Grids whose corners are this close are one grid."""
MIN_COVERED_SHARE = 0.5
"""Share of the reference's tissue that every sibling has to cover."""
REFERENCE_PREFERENCE = (Sequence.T1C, Sequence.FLAIR, Sequence.T2, Sequence.T1)
"""Which sequence becomes the reference when nobody says."""

_AXIS_CODES = ("RL", "AP", "SI")
_POSITIVE_CODES = "RAS"
_EXACT_TOLERANCE_VOXELS = 1e-3  # affines this close to whole voxels are moved, not interpolated
_COVERAGE_SAMPLES_PER_AXIS = 32


def corners_mm(shape: Shape, affine: Affine) -> npt.NDArray[np.float64]:
    """Centres of the eight corner voxels of a grid.

    Args:
        shape: Voxels along I, J, K.
        affine: Voxel to RAS+ mm.

    Returns:
        RAS+ mm, shape (8, 3).
    """
    return _apply_affine(np.asarray(affine, dtype=np.float64), _corner_indices(shape))


def grid_distance_mm(a: Volume, b: Volume) -> float:
    """Largest distance between corresponding corners of two grids, in mm.

    Infinite when the shapes differ. Distances do not cancel: a grid that is turned about its
    middle is as far away as its farthest corner.
    """
    if a.shape != b.shape:
        return float("inf")
    difference = corners_mm(a.shape, a.affine) - corners_mm(b.shape, b.affine)
    return float(np.linalg.norm(difference, axis=1).max())


def same_grid(a: Volume, b: Volume, tolerance_mm: float = GRID_TOLERANCE_MM) -> bool:
    """True when two volumes have one shape and every corner within the tolerance."""
    return grid_distance_mm(a, b) <= tolerance_mm


@dataclass(frozen=True)
class AxisMap:
    """Permutation and flips of the voxel axes; moves voxels, never changes a value.

    Attributes:
        axes: For each new axis, the old axis that runs along it.
        flips: For each new axis, True if it runs against the old one.
        shape: Shape of the arrays before the map.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    shape: Shape

    def apply(self, array: npt.NDArray[ScalarT]) -> npt.NDArray[ScalarT]:
        """View of an array of the old shape in the new axis order."""
        return array.transpose(self.axes)[self._slices]

    def undo(self, array: npt.NDArray[ScalarT]) -> npt.NDArray[ScalarT]:
        """Inverse of `apply`; also a view."""
        return array[self._slices].transpose(np.argsort(self.axes))

    def map_affine(self, affine: Affine) -> Affine:
        """Affine of `apply(array)` for an array with this affine."""
        new_to_old = np.zeros((4, 4))
        new_to_old[3, 3] = 1.0
        for new, (old, flipped) in enumerate(zip(self.axes, self.flips, strict=True)):
            new_to_old[old, new] = -1.0 if flipped else 1.0
            new_to_old[old, 3] = self.shape[old] - 1 if flipped else 0.0
        mapped: Affine = np.asarray(affine, dtype=np.float64) @ new_to_old
        return mapped

    @property
    def _slices(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flipped else 1) for flipped in self.flips)


def axis_map(shape: Shape, affine: Affine, codes: str = "RAS") -> AxisMap:
    """Axis map that brings a grid as close to the given orientation as flips and swaps can.

    Args:
        shape: Voxels along I, J, K.
        affine: Voxel to RAS+ mm; may be oblique.
        codes: Where the voxel indices grow to, one letter an axis: R or L, A or P, S or I.

    Raises:
        GeometryError: If the codes do not name three different axes.
    """
    worlds = [axis for code in codes for axis, pair in enumerate(_AXIS_CODES) if code in pair]
    if len(codes) != 3 or sorted(worlds) != [0, 1, 2]:
        raise GeometryError(
            f"orientation '{codes}' is unknown; expected three letters such as RAS",
            remedy="Name R or L, A or P, and S or I, each once.",
        )
    here = io_orientation(affine)  # type: ignore[no-untyped-call]
    axes = [int(np.flatnonzero(here[:, 0] == world)[0]) for world in worlds]
    flips = [
        bool((here[axis, 1] > 0) != (code in _POSITIVE_CODES))
        for axis, code in zip(axes, codes, strict=True)
    ]
    return AxisMap((axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]), shape)


def reorient(volume: Volume, codes: str = "RAS") -> tuple[Volume, AxisMap]:
    """Volume with its axes permuted and flipped towards an orientation.

    Args:
        volume: Volume of any orientation.
        codes: See `axis_map`.

    Returns:
        The same voxels at the same places in space, and the map whose `undo` brings arrays on
        the new grid back to the old one.
    """
    mapping = axis_map(volume.shape, volume.affine, codes)
    array = mapping.apply(volume.array)
    return Volume(array, mapping.map_affine(volume.affine)), mapping


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
    deviation = _apply_affine(mapping - whole, _corner_indices(shape))
    if np.abs(deviation).max() < _EXACT_TOLERANCE_VOXELS and _is_signed_permutation(whole):
        return _move_voxels(array, whole.astype(int), shape, fill)
    return _interpolate(array, mapping, shape, order, fill)


def resample_to(
    volume: Volume, shape: Shape, affine: Affine, *, order: int = 1, fill: float = 0.0
) -> Volume:
    """Volume on another grid; see `resample_array`."""
    return Volume(
        resample_array(volume.array, volume.affine, shape, affine, order=order, fill=fill), affine
    )


def covered_share(reference: Volume, sibling: Volume) -> float:
    """Share of the reference's tissue that lies inside the sibling's grid.

    Tissue is what is brighter than the reference's mean, so that the air around a head does not
    count. Looked up on a lattice of at most 32 voxels an axis.

    Returns:
        0 (apart) to 1 (covered).
    """
    steps = [max(1, -(-n // _COVERAGE_SAMPLES_PER_AXIS)) for n in reference.shape]
    lattice = reference.array[:: steps[0], :: steps[1], :: steps[2]]
    tissue = lattice > lattice.mean()
    if not tissue.any():
        tissue = np.ones_like(tissue)
    mapping = np.linalg.inv(sibling.affine) @ reference.affine @ np.diag([*steps, 1.0])
    size: Shape = lattice.shape  # type: ignore[assignment]
    inside = _inside(mapping, size, sibling.shape)
    return float(np.count_nonzero(inside & tissue) / np.count_nonzero(tissue))


def case_on_reference_grid(
    case_id: str,
    volumes: Mapping[Sequence, Volume],
    reference: Sequence | None = None,
    *,
    tolerance_mm: float = GRID_TOLERANCE_MM,
) -> Case:
    """Case with every sequence on the grid of the reference.

    Siblings within the tolerance keep their voxels; the others are resampled trilinearly.

    Args:
        case_id: Name of the case.
        volumes: One volume per sequence, each on its own grid.
        reference: Sequence whose grid is kept; default: the first present of t1c, flair, t2, t1.
        tolerance_mm: See `same_grid`.

    Raises:
        SequenceError: If there is no volume or the reference is missing.
        GeometryError: If a sibling covers less than half of the reference's tissue.
    """
    if not volumes:
        raise SequenceError(f"case {case_id} has no volumes; expected at least one sequence")
    chosen = reference or next(s for s in REFERENCE_PREFERENCE if s in volumes)
    if chosen not in volumes:
        present = ", ".join(s.value for s in volumes)
        raise SequenceError(f"reference {chosen.value} is missing; case {case_id} has {present}")
    base = volumes[chosen]
    aligned: dict[Sequence, Volume] = {}
    for sequence in Sequence:
        if sequence in volumes:
            aligned[sequence] = _on_grid_of(base, volumes[sequence], sequence, chosen, tolerance_mm)
    return Case(case_id, chosen, aligned)


def _on_grid_of(
    base: Volume, volume: Volume, sequence: Sequence, reference: Sequence, tolerance_mm: float
) -> Volume:
    if volume is base:
        return volume
    distance_mm = grid_distance_mm(base, volume)
    if distance_mm == 0.0:
        return volume
    if distance_mm <= tolerance_mm:
        return Volume(volume.array, base.affine)
    share = covered_share(base, volume)
    if share < MIN_COVERED_SHARE:
        raise GeometryError(
            f"{sequence.value} covers {share:.0%} of the tissue in {reference.value}; "
            f"expected at least {MIN_COVERED_SHARE:.0%}",
            remedy=f"Leave {sequence.value} out, or register it to {reference.value} first.",
        )
    logger.debug("resampling %s to the grid of %s", sequence.value, reference.value)
    return resample_to(volume, base.shape, base.affine)


def _apply_affine(
    affine: npt.NDArray[np.float64], points: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    moved: npt.NDArray[np.float64] = points @ affine[:3, :3].T + affine[:3, 3]
    return moved


def _corner_indices(shape: Shape) -> npt.NDArray[np.float64]:
    return np.array(list(product(*((0, n - 1) for n in shape))), dtype=np.float64)


def _is_signed_permutation(whole: npt.NDArray[np.float64]) -> bool:
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
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(mapping[:3, :3].ravel().tolist())
    transform.SetTranslation(mapping[:3, 3].tolist())
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([int(n) for n in shape])
    resampler.SetTransform(transform)
    resampler.SetInterpolator(sitk.sitkLinear if order else sitk.sitkNearestNeighbor)
    resampler.SetDefaultPixelValue(fill)
    # ITK's first axis runs fastest, as ours does in Fortran order
    image = resampler.Execute(sitk.GetImageFromArray(array.T))
    values: npt.NDArray[ScalarT] = sitk.GetArrayFromImage(image).T
    return values


def _inside(
    mapping: npt.NDArray[np.float64], shape: Shape, source_shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    """Target voxels whose centre lies in the source grid, its voxels' outer halves included."""
    inside = np.ones(shape, dtype=bool)
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    for row, size in zip(mapping[:3], source_shape, strict=True):
        index = row[0] * i + row[1] * j + (row[2] * k + row[3])
        inside &= (index >= -0.5) & (index <= size - 0.5)
    return inside
