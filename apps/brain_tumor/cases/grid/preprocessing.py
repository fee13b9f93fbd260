"""From a case to the working grid of the 3-D networks, and back.

Defined once; inference, training and evaluation all call it. The working grid is axis-aligned in
RAS+ mm and covers the head or brain only, at the voxel size of the BraTS volumes resampled to
128 x 128 x 128, on which the networks are trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import ndimage

from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.interpolation import interpolate
from brain_tumor.cases.grid.resampling import STRIPPED_BACKGROUND_SHARE
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Affine, ScalarArray, Volume, spacing_from_affine
from brain_tumor.errors import VolumeError

WORKING_SPACING_MM = (239 / 127, 239 / 127, 154 / 127)
"""240 x 240 x 155 voxels of 1 mm, corner voxel centres kept, on 128 x 128 x 128."""

MAX_Z_SCORE = 10.0
MARGIN_MM = 6.0
SHAPE_MULTIPLE = 16
MAX_WORKING_VOXELS = 6_000_000
MIN_FOREGROUND_VOXELS = 64

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class WorkingCase:
    """A case on the working grid.

    Attributes:
        channels: Normalised intensities, shape (4, I, J, K) in the order of `Sequence`; zero in
            the background and throughout a missing sequence.
        foreground: Head or brain, shape (I, J, K).
        affine: Working voxel centres to RAS+ mm.
        present: Which channels hold a sequence.
    """

    channels: ScalarArray
    foreground: BoolArray
    affine: Affine
    present: tuple[bool, ...]


def foreground_mask(array: ScalarArray) -> BoolArray:
    """Head or brain against background.

    A volume with a masked background (skull-stripped or defaced) keeps all voxels above its
    minimum; any other is cut at half of Otsu's threshold. Holes are filled slice by slice, so
    that dark sinuses and ventricles stay inside.

    Args:
        array: Intensities, shape (I, J, K).

    Returns:
        Boolean array of the same shape.

    Raises:
        VolumeError: If all voxels have one value.

    References:
        Otsu 1979, doi:10.1109/TSMC.1979.4310076.
    """
    low, high = float(array.min()), float(array.max())
    if high <= low:
        raise VolumeError(
            "volume is empty: every voxel has the same value",
            remedy="Choose a volume with signal.",
        )
    above = array > low
    if 1.0 - above.mean() >= STRIPPED_BACKGROUND_SHARE:
        return np.asarray(above, dtype=bool)
    sample = array[::2, ::2, ::2] if array.size > 100_000 else array
    mask = array > low + 0.5 * (otsu_threshold(sample) - low)
    for k in range(mask.shape[2]):
        mask[:, :, k] = ndimage.binary_fill_holes(mask[:, :, k])
    return np.asarray(mask, dtype=bool)


def otsu_threshold(values: ScalarArray) -> float:
    """Intensity between dark and bright; the middle of the gap where there is one.

    Args:
        values: Intensities of any shape; the extreme half percents are clipped first.

    References:
        Otsu 1979, doi:10.1109/TSMC.1979.4310076.
    """
    counts, edges = np.histogram(np.clip(values, *np.percentile(values, [0.5, 99.5])), bins=256)
    centres = 0.5 * (edges[1:] + edges[:-1])
    below = np.cumsum(counts)
    above = below[-1] - below
    mean_below = np.cumsum(counts * centres) / np.maximum(below, 1)
    total = float((counts * centres).sum())
    mean_above = (total - np.cumsum(counts * centres)) / np.maximum(above, 1)
    between = below * above * (mean_below - mean_above) ** 2
    # an empty gap between background and head is a plateau: its middle is the threshold
    return float(centres[between >= between.max() * (1 - 1e-9)].mean())


def bounding_box(mask: BoolArray, *, min_share: float = 0.002) -> tuple[slice, slice, slice]:
    """Box around a mask that ignores stray voxels.

    Args:
        mask: Boolean array, shape (I, J, K), at least one voxel set.
        min_share: A plane counts when it holds at least this share of the fullest plane.

    Returns:
        One slice per axis.
    """
    slices = []
    for axis in range(3):
        profile = mask.sum(axis=tuple(a for a in range(3) if a != axis))
        filled = np.flatnonzero(profile > min_share * profile.max())
        slices.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return slices[0], slices[1], slices[2]


def to_working_grid(
    case: Case,
    spacing_mm: tuple[float, float, float] = WORKING_SPACING_MM,
    multiple: int = SHAPE_MULTIPLE,
) -> WorkingCase:
    """Crop, resample and normalise a case.

    Each sequence is z-scored over its own foreground and clipped at +-10; the background is 0.

    Args:
        case: Any subset of sequences on one grid of any orientation and voxel size.
        spacing_mm: Voxel size of the grid; networks that were trained elsewhere have their own.
        multiple: Axes of the grid are multiples of this.

    Raises:
        VolumeError: If a sequence is empty or holds no brain.
    """
    reference = case.volumes[case.reference]
    mask = foreground_mask(reference.array)
    if np.count_nonzero(mask) < MIN_FOREGROUND_VOXELS:
        raise VolumeError(
            f"{case.reference.value} holds {np.count_nonzero(mask)} voxels above background; "
            "expected a head or a brain"
        )
    box = bounding_box(mask)
    affine, shape = _grid_around(box, case.affine, spacing_mm, multiple)
    channels = np.zeros((len(Sequence), *shape), dtype=np.float32)
    foreground = np.zeros(shape, dtype=bool)
    for channel, sequence in enumerate(Sequence):
        if sequence not in case.volumes:
            continue
        sampled = sample_on_grid(case.volumes[sequence], affine, shape, box)
        inside = foreground_mask(sampled)
        channels[channel] = zscore(sampled, inside)
        foreground |= inside
    present = tuple(s in case.volumes for s in Sequence)
    return WorkingCase(
        channels, foreground, affine, (present[0], present[1], present[2], present[3])
    )


def zscore(array: ScalarArray, foreground: BoolArray) -> ScalarArray:
    """Zero mean and unit deviation over the foreground, 0 outside, clipped at +-10.

    Args:
        array: Intensities of any shape.
        foreground: Boolean array of the same shape.
    """
    values = array[foreground]
    if values.size == 0:
        return np.zeros_like(array)
    deviation = float(values.std())
    scaled = (array - float(values.mean())) / (deviation if deviation > 0 else 1.0)
    clipped = np.clip(scaled, -MAX_Z_SCORE, MAX_Z_SCORE)
    return np.where(foreground, clipped, 0.0).astype(np.float32)


def sample_on_grid(
    volume: Volume,
    affine: Affine,
    shape: tuple[int, int, int],
    box: tuple[slice, slice, slice] | None = None,
) -> ScalarArray:
    """Trilinear values of a volume at the voxel centres of another grid.

    Voxels much finer than the target are averaged first, so that nothing aliases. Points outside
    the volume take the volume's minimum.

    Args:
        volume: Source.
        affine: Target voxel centres to RAS+ mm.
        shape: Target shape.
        box: Part of the source that is enough; saves time.

    Returns:
        float32 array of the target shape.
    """
    array, source = volume.array, volume.affine
    if box is not None:
        start = np.array([s.start for s in box], dtype=np.float64)
        array = array[box]
        source = source @ _translation(start)
    factors = tuple(
        max(1, int(target / own + 0.01))
        for own, target in zip(
            spacing_from_affine(source), _spacing_along(source, affine), strict=True
        )
    )
    low = float(array.min())
    tensor = torch.from_numpy(np.ascontiguousarray(array - low))[None, None]
    if max(factors) > 1:
        factors = tuple(min(f, n) for f, n in zip(factors, array.shape, strict=True))
        tensor = F.avg_pool3d(tensor, factors)
        shift = (np.array(factors, dtype=np.float64) - 1) / 2
        source = source @ _translation(shift) @ np.diag([*factors, 1.0])
    sampled = interpolate(tensor[0], source, affine, shape)[0]
    return np.asarray(sampled.numpy() + low, dtype=np.float32)


def to_native_grid(
    maps: torch.Tensor, working_affine: Affine, case_affine: Affine, shape: tuple[int, int, int]
) -> tuple[torch.Tensor, tuple[slice, slice, slice]]:
    """Trilinear values of working-grid maps at native voxel centres.

    Args:
        maps: Shape (C, I, J, K) on the working grid, float32.
        working_affine: Working voxel centres to RAS+ mm.
        case_affine: Native voxel centres to RAS+ mm.
        shape: Native shape.

    Returns:
        Maps of shape (C, i, j, k) for the part of the native grid that the working grid covers,
        and that part as one slice per axis.
    """
    corners = np.array(list(product(*((0, n - 1) for n in maps.shape[1:]))), dtype=np.float64)
    native = _apply(np.linalg.inv(case_affine) @ working_affine, corners)
    low = np.clip(np.floor(native.min(axis=0)), 0, np.array(shape) - 1).astype(int)
    high = np.clip(np.ceil(native.max(axis=0)) + 1, low + 1, shape).astype(int)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    part_shape = (int(high[0] - low[0]), int(high[1] - low[1]), int(high[2] - low[2]))
    target = case_affine @ _translation(low.astype(np.float64))
    part = interpolate(maps, working_affine, target, part_shape)
    return part, (box[0], box[1], box[2])


def _grid_around(
    box: tuple[slice, slice, slice],
    affine: Affine,
    spacing_mm: tuple[float, float, float],
    multiple: int,
) -> tuple[Affine, tuple[int, int, int]]:
    corners = np.array(list(product(*((s.start, s.stop - 1) for s in box))), dtype=np.float64)
    world = _apply(affine, corners)
    low, high = world.min(axis=0) - MARGIN_MM, world.max(axis=0) + MARGIN_MM
    spacing = np.array(spacing_mm)
    count = np.ceil((high - low) / spacing).astype(int) + 1
    padded = -(-count // multiple) * multiple
    most = MAX_WORKING_VOXELS * float(np.prod(WORKING_SPACING_MM) / np.prod(spacing))
    if int(np.prod(padded)) > most:
        extent = np.round((high - low) / 10).astype(int).tolist()
        raise VolumeError(
            f"foreground spans {extent} cm; expected a head (at most about 30 cm on a side)",
            remedy="Check the voxel size in the file's header and crop to the head.",
        )
    start = low - (padded - count) / 2 * spacing
    grid = np.diag([*spacing, 1.0])
    grid[:3, 3] = start
    return grid, (int(padded[0]), int(padded[1]), int(padded[2]))


def _spacing_along(source: Affine, target: Affine) -> tuple[float, float, float]:
    """Target voxel size met when walking along each source axis, in mm."""
    directions = source[:3, :3] / np.linalg.norm(source[:3, :3], axis=0)
    steps = np.linalg.norm(np.linalg.inv(target[:3, :3]) @ directions, axis=0)
    x, y, z = 1.0 / steps
    return float(x), float(y), float(z)


def _translation(offset: npt.NDArray[np.float64]) -> Affine:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def _apply(affine: Affine, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(points @ affine[:3, :3].T + affine[:3, 3])
