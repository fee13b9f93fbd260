"""Slices through the tumour of a case, as the classifier reads them.

Every slice keeps the way back: from pixels of the network's patch and of the slice to voxels of
the case's own grid, so that measurements and heat have a place in the volume.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from brain_tumor.cases.grid.grids import axis_map
from brain_tumor.cases.volume import Affine, Volume
from brain_tumor.classification.features.outline import MIN_PIXELS, MaskArray
from brain_tumor.classification.model.network import PIXEL_MM
from brain_tumor.segmentation.tumor_core.slices import (
    ORIENTATION,
    SLICE_AXIS,
    Plane,
    normalise_slices,
    plane_stack,
    resolved_planes,
)

PATCH_PIXELS = 144
"""Side of the square patch that the network reads: 216 mm."""
SLICES_PER_PLANE = 4
SLICES_OF_ONE_PLANE = 8
LEAST_AREA_SHARE = 0.35
"""Slices with less of the largest cross-section than this are not read."""
TISSUE_SHARE = 0.08

FloatArray = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CaseSlice:
    """One slice through the tumour in display orientation.

    Attributes:
        plane: Anatomical plane.
        index: Slice number along the case's own axis.
        position_mm: World coordinate of the slice along the plane's axis (R, A or S).
        image: Intensities, shape (rows, columns).
        mask: Tumour, same shape.
        pixel_mm: Height and width of a pixel.
        to_voxel: 3 x 3, from (row, column, 1) to (i, j, k) of the case's grid.
        is_lone: Whether the case is this one slice, so that its plane is only a guess.
        flair: FLAIR of the same slice, same shape, or None.
    """

    plane: Plane
    index: int
    position_mm: float
    image: FloatArray
    mask: MaskArray
    pixel_mm: tuple[float, float]
    to_voxel: Matrix
    is_lone: bool
    flair: FloatArray | None = None

    @property
    def area_mm2(self) -> float:
        """Area of the tumour in the slice."""
        return float(np.count_nonzero(self.mask)) * self.pixel_mm[0] * self.pixel_mm[1]


@dataclass(frozen=True, eq=False)
class Patch:
    """What the network sees of a slice.

    Attributes:
        image: Normalised, shape (PATCH_PIXELS, PATCH_PIXELS).
        mask: Tumour, 0-1, same shape.
        to_pixel: 3 x 3, from (row, column, 1) of the patch to (row, column, 1) of the slice.
    """

    image: FloatArray
    mask: FloatArray
    to_pixel: Matrix


def tumour_slices(
    volume: Volume, mask: MaskArray, flair: Volume | None = None
) -> tuple[CaseSlice, ...]:
    """Slices through the tumour in every plane that resolves, the larger cross-sections.

    Args:
        volume: T1c.
        mask: Tumour on the same grid.
        flair: FLAIR on the same grid, if there is one.

    Returns:
        Up to four slices a plane, eight if only one plane resolves; none without a tumour.
    """
    turn = axis_map(volume.shape, volume.affine, ORIENTATION)
    affine = turn.map_affine(volume.affine)
    lpi, inside = turn.apply(volume.array), turn.apply(mask)
    x, y, z = (volume.spacing_mm[axis] for axis in turn.axes)
    planes = resolved_planes(_three(lpi.shape), (x, y, z))
    count = slices_per_plane(len(planes))
    back = turn.map_affine(np.eye(4))  # voxels of the turned grid to the case's own
    found = []
    for plane in planes:
        stack, masks = plane_stack(lpi, plane), plane_stack(inside, plane)
        for number in choose_slices(masks.sum(axis=(1, 2)), count):
            part = _cut(stack, masks, plane, number, (x, y, z), affine, back)
            if flair is not None:
                picture = plane_stack(turn.apply(flair.array), plane)[number]
                part = replace(part, flair=np.ascontiguousarray(picture, dtype=np.float32))
            found.append(part)
    return tuple(found)


def slices_per_plane(planes: int) -> int:
    """Most slices that are read of each plane of a case.

    Args:
        planes: Number of planes that resolve.

    Example:
        >>> slices_per_plane(3), slices_per_plane(1)
        (4, 8)
    """
    return SLICES_PER_PLANE if planes > 1 else SLICES_OF_ONE_PLANE


def choose_slices(areas: npt.NDArray[Any], count: int) -> tuple[int, ...]:
    """The largest cross-section and others spread evenly over the large ones.

    Args:
        areas: Tumour pixels per slice.
        count: Most slices to choose.

    Example:
        >>> choose_slices(np.array([0, 20, 50, 60, 50, 20, 0]), 2)
        (3, 4)
    """
    largest = int(areas.max(initial=0))
    if largest < MIN_PIXELS:
        return ()
    good = np.flatnonzero(areas >= max(MIN_PIXELS, LEAST_AREA_SHARE * largest))
    spread = np.linspace(0, len(good) - 1, min(count, len(good)))
    chosen = set(good[np.round(spread).astype(int)].tolist())
    peak = int(np.argmax(areas))
    if peak not in chosen:
        chosen.discard(min(chosen, key=lambda index: abs(index - peak)))
        chosen.add(peak)
    return tuple(sorted(chosen))


def cut_patch(part: CaseSlice) -> Patch:
    """Window of a slice at the network's pixel, on the head and with the whole tumour if it fits.

    Args:
        part: Slice.
    """
    rows, columns = part.image.shape
    size = [
        max(1, round(length * mm / PIXEL_MM))
        for length, mm in zip((rows, columns), part.pixel_mm, strict=True)
    ]
    stack = torch.from_numpy(np.stack([part.image, part.mask.astype(np.float32)]))[:, None]
    resized = F.interpolate(stack, size=size, mode="bilinear", antialias=True)[:, 0].numpy()
    image = normalise_slices(resized[:1])[0]
    tissue = resized[0] > resized[0].min() + TISSUE_SHARE * np.ptp(resized[0])
    starts = [
        _window_start(tissue.any(axis=1 - axis), resized[1].max(axis=1 - axis) > 0.5)
        for axis in (0, 1)
    ]
    scale = [rows / size[0], columns / size[1]]
    to_pixel = np.array(
        [
            [scale[0], 0.0, scale[0] * (starts[0] + 0.5) - 0.5],
            [0.0, scale[1], scale[1] * (starts[1] + 0.5) - 0.5],
            [0.0, 0.0, 1.0],
        ]
    )
    patch_image = _window(image, starts, float(image.min()))
    return Patch(patch_image, _window(resized[1], starts, 0.0), to_pixel)


def stack_patches(patches: Items[Patch]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and masks of patches as tensors (N, 1, H, W)."""
    images = torch.from_numpy(np.stack([patch.image for patch in patches]))[:, None]
    masks = torch.from_numpy(np.stack([patch.mask for patch in patches]))[:, None]
    return images, masks


def _cut(
    stack: npt.NDArray[Any],
    masks: npt.NDArray[Any],
    plane: Plane,
    number: int,
    spacing_mm: tuple[float, float, float],
    affine: Affine,
    back: Matrix,
) -> CaseSlice:
    axis = SLICE_AXIS[plane]
    row_axis, column_axis = {
        Plane.AXIAL: (1, 0),
        Plane.CORONAL: (2, 0),
        Plane.SAGITTAL: (2, 1),
    }[plane]
    to_lpi = np.zeros((3, 3))
    to_lpi[row_axis, 0] = to_lpi[column_axis, 1] = 1.0
    to_lpi[axis, 2] = number
    to_voxel = back[:3, :3] @ to_lpi
    to_voxel[:, 2] += back[:3, 3]
    rows, columns = stack.shape[1:]
    centre = to_lpi @ np.array([(rows - 1) / 2, (columns - 1) / 2, 1.0])
    world = affine[:3, :3] @ centre + affine[:3, 3]
    own = int(np.argmax(np.abs(back[:3, axis])))
    return CaseSlice(
        plane=plane,
        index=round(float(to_voxel[own, 2])),
        position_mm=float(world[axis]),
        image=np.ascontiguousarray(stack[number], dtype=np.float32),
        mask=np.ascontiguousarray(masks[number]),
        pixel_mm=(spacing_mm[row_axis], spacing_mm[column_axis]),
        to_voxel=to_voxel,
        is_lone=len(stack) == 1,
    )


def _window_start(tissue: npt.NDArray[np.bool_], tumour: npt.NDArray[np.bool_]) -> int:
    """First row or column of the window; negative where the picture is smaller."""
    where = np.flatnonzero(tissue)
    middle = (where[0] + where[-1] + 1) / 2 if len(where) else len(tissue) / 2
    start = round(middle - PATCH_PIXELS / 2)
    if len(tissue) > PATCH_PIXELS:
        start = min(max(start, 0), len(tissue) - PATCH_PIXELS)
    inside = np.flatnonzero(tumour)
    if len(inside):
        start = min(start, int(inside[0]))
        start = max(start, int(inside[-1]) + 1 - PATCH_PIXELS)
    return start


def _window(image: FloatArray, starts: Items[int], fill: float) -> FloatArray:
    window = np.full((PATCH_PIXELS, PATCH_PIXELS), fill, dtype=np.float32)
    source, target = [], []
    for start, length in zip(starts, image.shape, strict=True):
        first, last = max(start, 0), min(start + PATCH_PIXELS, length)
        source.append(slice(first, last))
        target.append(slice(first - start, last - start))
    window[tuple(target)] = image[tuple(source)]
    return window


def _three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    i, j, k = shape
    return i, j, k
