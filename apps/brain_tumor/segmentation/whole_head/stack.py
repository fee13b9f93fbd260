"""A case as a stack of axial slices, the form in which the whole-head network reads it.

The stack keeps the native slices of a thick axial scan; a thin volume is averaged to slices of at
most 3 mm. It runs along the native axes, so that thick slices are never resampled obliquely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.geometry import axis_map
from brain_tumor.cases.grid.preprocessing import bounding_box, otsu_threshold, sample_on_grid
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Affine, ScalarArray, spacing_from_affine
from brain_tumor.errors import VolumeError

IN_PLANE_MM = 1.875
THICKEST_AVERAGE_MM = 3.0
SIDE_MULTIPLE = 16
MARGIN_MM = 8.0
LONGEST_SIDE_MM = 400.0
BACKGROUND = -2.0
LOWEST, HIGHEST = -2.5, 6.0
ROBUST_PERCENTILES = (0.5, 99.5)
HEAD_SHARE = 0.35
"""Share of the way from the darkest voxels to Otsu's threshold from which a voxel is head."""
MIN_FOREGROUND_VOXELS = 64

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SliceStack:
    """Axial slices of a case.

    Attributes:
        slices: Normalised intensities, shape (K, 4, I, J), channels in the order of `Sequence`;
            I grows to the right, J to the front, K upwards. `BACKGROUND` outside the head, 0
            throughout a missing sequence.
        foreground: Head or brain, shape (K, I, J).
        affine: Voxel centres (i, j, k) to RAS+ mm.
        present: Which channels hold a sequence.
    """

    slices: ScalarArray
    foreground: BoolArray
    affine: Affine
    present: tuple[bool, ...]

    @property
    def thickness_mm(self) -> float:
        """Distance of the slices."""
        return spacing_from_affine(self.affine)[2]


def to_slice_stack(case: Case) -> SliceStack:
    """Crop, resample and normalise a case for the whole-head network.

    Args:
        case: Any subset of sequences on one grid of any orientation and voxel size.

    Raises:
        VolumeError: If the reference volume is empty, no head, or larger than any head.
    """
    reference = case.volumes[case.reference]
    mask = head_mask(reference.array)
    if np.count_nonzero(mask) < MIN_FOREGROUND_VOXELS:
        raise VolumeError(
            f"{case.reference.value} holds {np.count_nonzero(mask)} voxels above background; "
            "expected a head or a brain"
        )
    turn = axis_map(case.shape, case.affine)
    oriented = turn.map_affine(case.affine)
    box = bounding_box(turn.apply(mask))
    affine, shape = _stack_grid(oriented, box)
    native_box = bounding_box(mask)
    sampled = {
        sequence: sample_on_grid(volume, affine, shape, native_box)
        for sequence, volume in case.volumes.items()
    }
    inside = np.any([head_mask(array) for array in sampled.values()], axis=0)
    slices = np.zeros((shape[2], len(Sequence), shape[0], shape[1]), dtype=np.float32)
    for channel, sequence in enumerate(Sequence):
        if sequence in sampled:
            slices[:, channel] = normalise(sampled[sequence], inside).transpose(2, 0, 1)
    present = tuple(sequence in case.volumes for sequence in Sequence)
    return SliceStack(slices, inside.transpose(2, 0, 1), affine, present)


def head_mask(array: ScalarArray) -> BoolArray:
    """Head or brain against air, whatever noise the air holds.

    Args:
        array: Intensities, shape (I, J, K).

    Returns:
        Boolean array of the same shape, filled slice by slice.

    Raises:
        VolumeError: If all voxels have one value.

    References:
        Otsu 1979, doi:10.1109/TSMC.1979.4310076.
    """
    sample = array[::2, ::2, ::2] if array.size > 100_000 else array
    low, high = np.percentile(sample, ROBUST_PERCENTILES)
    if high <= low:
        raise VolumeError(
            f"volume is empty: nearly every voxel is {low:g}",
            remedy="Choose a volume with signal.",
        )
    mask = array > low + HEAD_SHARE * (otsu_threshold(sample) - low)
    for k in range(mask.shape[2]):
        mask[:, :, k] = ndimage.binary_fill_holes(mask[:, :, k])
    return np.asarray(mask, dtype=bool)


def normalise(array: ScalarArray, foreground: BoolArray) -> ScalarArray:
    """Zero mean and unit deviation over the foreground, extremes clipped before they count.

    Args:
        array: Intensities of any shape.
        foreground: Boolean array of the same shape.

    Returns:
        Values from -2.5 to 6, `BACKGROUND` outside the foreground.
    """
    values = array[foreground]
    if values.size == 0:
        return np.full_like(array, BACKGROUND)
    low, high = np.percentile(values, ROBUST_PERCENTILES)
    values = np.clip(values, low, high)
    deviation = float(values.std())
    scaled = (array - float(values.mean())) / (deviation if deviation > 0 else 1.0)
    return np.where(foreground, np.clip(scaled, LOWEST, HIGHEST), BACKGROUND).astype(np.float32)


def _stack_grid(
    oriented: Affine, box: tuple[slice, slice, slice]
) -> tuple[Affine, tuple[int, int, int]]:
    """Grid along the native axes around a box of native voxels in RAS+ order."""
    spacing = np.array(spacing_from_affine(oriented))
    first = np.array([s.start for s in box], dtype=np.float64)
    last = np.array([s.stop - 1 for s in box], dtype=np.float64)
    averaged = max(1, int(THICKEST_AVERAGE_MM / spacing[2] + 1e-6))
    target = np.array([IN_PLANE_MM, IN_PLANE_MM, spacing[2] * averaged])
    extent = (last - first) * spacing
    if extent.max() > LONGEST_SIDE_MM:
        raise VolumeError(
            f"foreground spans {np.round(extent / 10).astype(int).tolist()} cm; "
            "expected a head (at most about 30 cm on a side)",
            remedy="Check the voxel size in the file's header and crop to the head.",
        )
    count = np.ceil((extent + 2 * MARGIN_MM) / target).astype(int) + 1
    count[:2] = -(-count[:2] // SIDE_MULTIPLE) * SIDE_MULTIPLE
    count[2] = -(-int(last[2] - first[2] + 1) // averaged)
    middle = (first + last) / 2
    start = middle - (count - 1) / 2 * target / spacing
    # slices that are not averaged stay where they are
    start[2] = first[2] + (averaged - 1) / 2
    step = np.eye(4)
    step[:3, :3] = np.diag(target / spacing)
    step[:3, 3] = start
    return oriented @ step, (int(count[0]), int(count[1]), int(count[2]))


def head_of_slice(channels: ScalarArray) -> BoolArray:
    """Head or brain of a normalised slice, holes filled.

    Args:
        channels: Shape (C, I, J); a missing sequence is 0 throughout and tells nothing.

    Returns:
        Boolean array of shape (I, J).
    """
    there = [channel for channel in channels if channel.any()]
    inside = np.any([channel > BACKGROUND + 0.5 for channel in there], axis=0)
    return np.asarray(ndimage.binary_fill_holes(inside), dtype=bool)


def with_neighbours(slices: ScalarArray, present: tuple[bool, ...]) -> ScalarArray:
    """Input of the network: every slice between its neighbours, and what is present.

    Args:
        slices: Shape (K, 4, I, J).
        present: Which channels hold a sequence.

    Returns:
        Shape (K, 16, I, J): the slice below, the slice, the slice above (repeated at the ends),
        then one constant map a sequence.
    """
    below = np.concatenate([slices[:1], slices[:-1]])
    above = np.concatenate([slices[1:], slices[-1:]])
    count, _, rows, columns = slices.shape
    flags = np.broadcast_to(
        np.array(present, dtype=np.float32)[None, :, None, None],
        (count, len(present), rows, columns),
    )
    return np.concatenate([below, slices, above, flags], axis=1)
