"""Where the tumour lies: distances to dura, midline and sella, in a slice and in a volume.

Slices are read as radiologists show them: the top of the head or the face up, and the nose to the
left in a sagittal slice. A slice without a mirror plane is sagittal; of the others, one with face
or neck far below the brain is coronal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.features.dura import dura_features
from brain_tumor.classification.features.grid import ImageArray, PixelSize, median
from brain_tumor.classification.features.head import GRID_MM, Head
from brain_tumor.classification.features.measurement import (
    Measurement,
    PixelPlace,
    missing,
    place_in_pixels,
)
from brain_tumor.classification.features.midline import MirrorAxis, centroid_of, midline_shift
from brain_tumor.classification.features.octagons import erode
from brain_tumor.classification.features.outline import Boundary, FloatArray, MaskArray
from brain_tumor.segmentation.tumor_core.slices import Plane

CORONAL_SPACE_MM = 40.0
"""A symmetric slice with more head than this below the brain is coronal."""
LEVEL_MARGIN_MM = 10.0

SELLA_AXIAL = 0.39
"""Share of the length of the head from the front; medians over the pituitary adenomas of Cheng's
slices (interquartile ranges 0.376-0.403 and, below, 120-134, 124-134 and 95-105 mm)."""
SELLA_BELOW_TOP_CORONAL_MM = 125.0
SELLA_BELOW_TOP_SAGITTAL_MM = 129.0
SELLA_BEHIND_NOSE_MM = 101.0
SELLA_BRAIN_FRONT = 0.385
"""Share of the length of the brain from the front, and of its height from the top, in a
skull-stripped slice or volume: sella at MNI (0, 3, -34) in a brain of y -107 to 72, z -70 to 80."""
SELLA_BRAIN_TOP = 0.76


@dataclass(frozen=True, eq=False)
class HeadBox:
    """Extent of head and brain in the frame of a slice.

    The frame has its origin on the mirror axis (in a sagittal slice at the centre of the head);
    `down` runs along the axis, `right` across it.

    Attributes:
        origin_mm: Origin, (row, column).
        down: Unit vector.
        right: Unit vector.
        head: Least and largest down and right coordinates of the head: (top, bottom, left, right).
        brain: The same of the brain.
    """

    origin_mm: FloatArray
    down: FloatArray
    right: FloatArray
    head: tuple[float, float, float, float]
    brain: tuple[float, float, float, float]

    def coordinates(self, point_mm: FloatArray) -> tuple[float, float]:
        """Down and right coordinate of a point in mm."""
        offset = point_mm - self.origin_mm
        return float(offset @ self.down), float(offset @ self.right)


def head_box(head: Head, axis: MirrorAxis) -> HeadBox:
    """Frame and extent of head and brain; along the image if there is no mirror plane."""
    down = axis.direction if axis.symmetric else np.array([1.0, 0.0])
    right = axis.across if axis.symmetric else np.array([0.0, 1.0])

    def extent(mask: MaskArray) -> tuple[float, float, float, float]:
        points = _ends_of_rows(mask) * GRID_MM - axis.point_mm
        along, across = points @ down, points @ right
        return float(along.min()), float(along.max()), float(across.min()), float(across.max())

    return HeadBox(axis.point_mm, down, right, extent(head.head), extent(head.brain))


def _ends_of_rows(mask: MaskArray) -> npt.NDArray[np.intp]:
    """First and last pixel of every row: those farthest out in any direction are among them."""
    rows = np.flatnonzero(mask.any(axis=1))
    inside = mask[rows]
    ends = inside.argmax(axis=1), mask.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    return np.stack([np.tile(rows, 2), np.concatenate(ends)], axis=1)


def guess_plane(axis: MirrorAxis, box: HeadBox) -> Plane:
    """Plane of a slice, from its symmetry and the space below the brain."""
    if not axis.symmetric:
        return Plane.SAGITTAL
    return Plane.CORONAL if box.head[1] - box.brain[1] > CORONAL_SPACE_MM else Plane.AXIAL


def sella_in_slice_mm(head: Head, box: HeadBox, plane: Plane) -> FloatArray:
    """Where the sella is expected in a slice, (row, column) in mm.

    In a slice that does not pass through the sella this is the place over or beside it.
    """
    if not head.skull_present:
        top, bottom, left, right = box.brain
        below = SELLA_BRAIN_FRONT if plane is Plane.AXIAL else SELLA_BRAIN_TOP
        down = top + below * (bottom - top)
        across = left + SELLA_BRAIN_FRONT * (right - left) if plane is Plane.SAGITTAL else 0.0
    else:
        top, bottom, left, _ = box.head
        across = left + SELLA_BEHIND_NOSE_MM if plane is Plane.SAGITTAL else 0.0
        down = {
            Plane.AXIAL: top + SELLA_AXIAL * (bottom - top),
            Plane.CORONAL: top + SELLA_BELOW_TOP_CORONAL_MM,
            Plane.SAGITTAL: top + SELLA_BELOW_TOP_SAGITTAL_MM,
        }[plane]
    place: FloatArray = box.origin_mm + down * box.down + across * box.right
    return place


def sella_in_volume_mm(head_mask: npt.NDArray[np.generic], affine: FloatArray) -> FloatArray:
    """Where the sella is expected in a volume of a whole head or of a skull-stripped brain.

    The extent of the mask along the patient's axes gives the place: in the middle from left to
    right, at a fixed share of the length from the front, and below the top by a share of the
    height (brain) or a fixed distance (head, recognised by a length over 215 mm or a height over
    180 mm, which no brain has).

    Args:
        head_mask: Head or brain, shape (I, J, K).
        affine: 4x4, voxel to RAS mm.

    Returns:
        RAS coordinates in mm.
    """
    voxels = np.argwhere(np.asarray(head_mask) != 0)
    points = voxels @ affine[:3, :3].T + affine[:3, 3]
    low, high = np.percentile(points, [0.1, 99.9], axis=0)
    length, height = high[1] - low[1], high[2] - low[2]
    if length > 215.0 or height > 180.0:
        front, below = SELLA_AXIAL, 0.5 * (SELLA_BELOW_TOP_CORONAL_MM + SELLA_BELOW_TOP_SAGITTAL_MM)
    else:
        front, below = SELLA_BRAIN_FRONT, SELLA_BRAIN_TOP * height
    return np.array([0.5 * (low[0] + high[0]), high[1] - front * length, high[2] - below])


def location_features(
    boundary: Boundary,
    relative: ImageArray,
    head: Head,
    axis: MirrorAxis,
    pixel_mm: PixelSize,
    plane: Plane | None = None,
) -> dict[str, Measurement]:
    """Location of a tumour in a slice.

    Args:
        boundary: Outline of the tumour.
        relative: Intensity relative to brain at full resolution, shape (rows, columns).
        head: Head of the slice.
        axis: Its mirror axis, found with the same plane.
        pixel_mm: Height and width of a pixel of `relative`.
        plane: Orientation, if it is known.

    Returns:
        Measurements by feature id; places are in pixels of `relative`.
    """
    box = head_box(head, axis)
    plane = plane or guess_plane(axis, box)
    centroid = boundary.centroid_mm
    down, right = box.coordinates(centroid)
    sella = sella_in_slice_mm(head, box, plane)
    top, bottom = box.head[0], box.head[1]
    here = place_in_pixels(centroid, pixel_mm)
    features = {
        "sella_distance_mm": Measurement(
            float(np.linalg.norm(centroid - sella)), "mm", place_in_pixels(sella, pixel_mm)
        ),
        "depth_below_top_mm": Measurement(down - top, "mm", here),
        "height_in_head": Measurement((down - top) / max(bottom - top, GRID_MM), "1", here),
        "surface_distance_mm": _surface_distance(centroid, head, pixel_mm),
        "mirror_symmetry": Measurement(axis.symmetry, "1"),
        "space_above_brain_mm": _space(box.brain[0] - top, head),
        "space_below_brain_mm": _space(bottom - box.brain[1], head),
        "central_position": _central_position(centroid, head, here),
    }
    features |= _lateral(boundary, right, box, axis, plane, pixel_mm)
    features |= _midline(boundary, head, axis, plane, pixel_mm)
    features |= dura_features(boundary, relative, head, pixel_mm)
    return features


def _space(distance_mm: float, head: Head) -> Measurement:
    """Distance from the brain to the end of the head; without a skull there is none to measure."""
    if not head.skull_present:
        return missing("mm", "the slice is skull-stripped, so only the brain is left of the head")
    return Measurement(distance_mm, "mm")


def _surface_distance(centroid: FloatArray, head: Head, pixel_mm: PixelSize) -> Measurement:
    """Distance from the centroid to the surface of the head."""
    outline = np.argwhere(head.head & ~erode(head.head, 1)) * GRID_MM
    distances = np.linalg.norm(outline - centroid, axis=1)
    nearest = int(distances.argmin())
    return Measurement(float(distances[nearest]), "mm", place_in_pixels(outline[nearest], pixel_mm))


def _central_position(centroid: FloatArray, head: Head, here: PixelPlace) -> Measurement:
    """Distance from the centre of the brain, over that of the border in the same direction."""
    centre = centroid_of(head.brain) * GRID_MM
    offset = centroid - centre
    distance = float(np.linalg.norm(offset))
    if distance < 1e-6:
        return Measurement(0.0, "1", here)
    border = head.border_mm - centre
    # The border in the direction of the tumour: within 6 degrees of the ray, its median distance.
    reach = np.linalg.norm(border, axis=1)
    ahead = border @ offset / (np.maximum(reach, 1e-6) * distance) > math.cos(math.radians(6.0))
    if not ahead.any():
        return missing("1", "no border of the brain in the direction of the tumour")
    return Measurement(distance / median(reach[ahead]), "1", here)


def _lateral(
    boundary: Boundary,
    right: float,
    box: HeadBox,
    axis: MirrorAxis,
    plane: Plane,
    pixel_mm: PixelSize,
) -> dict[str, Measurement]:
    """Distance of the centroid and of the outline from the mirror plane."""
    if not axis.symmetric:
        reason = "no mirror plane in this slice"
        return {
            "lateral_offset_mm": missing("mm", reason),
            "lateral_offset": missing("1", reason),
            "midline_distance_mm": missing("mm", reason),
        }
    half = max(0.5 * (box.brain[3] - box.brain[2]), GRID_MM)
    across = (boundary.points_mm - axis.point_mm) @ axis.across
    nearest = int(np.abs(across).argmin())
    crosses = float(across.min()) <= 0.0 <= float(across.max())
    here = place_in_pixels(boundary.centroid_mm, pixel_mm)
    return {
        "midline_distance_mm": Measurement(
            0.0 if crosses else float(abs(across[nearest])),
            "mm",
            place_in_pixels(boundary.points_mm[nearest], pixel_mm),
        ),
        "lateral_offset_mm": Measurement(abs(right), "mm", here),
        "lateral_offset": Measurement(abs(right) / half, "1", here),
    }


def _midline(
    boundary: Boundary, head: Head, axis: MirrorAxis, plane: Plane, pixel_mm: PixelSize
) -> dict[str, Measurement]:
    """Displacement of the middle of the brain at the levels of the tumour."""
    shift, reason = None, "no mirror plane in this slice"
    if axis.symmetric:
        levels = (boundary.points_mm - axis.point_mm) @ axis.direction
        window = (
            float(levels.min()) - LEVEL_MARGIN_MM,
            float(levels.max()) + LEVEL_MARGIN_MM,
        )
        shift = midline_shift(head, axis, window)
        reason = "the middle of the brain is not clear at the levels of the tumour"
    if shift is None:
        return {
            "midline_shift_mm": missing("mm", reason),
            "midline_shift_share": missing("1", reason),
        }
    place = place_in_pixels(shift.place_mm, pixel_mm)
    return {
        "midline_shift_mm": Measurement(shift.shift_mm, "mm", place),
        "midline_shift_share": Measurement(shift.share_of_width, "1", place),
    }
