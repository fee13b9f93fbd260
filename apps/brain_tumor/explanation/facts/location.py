"""Where the tumour lies in the patient: centre, extent, side and, by an atlas, the region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from brain_tumor.errors import GeometryError
from brain_tumor.explanation.facts.atlas import Alignment, BrainAtlas
from brain_tumor.explanation.facts.model import PointMm, Side

FloatArray = npt.NDArray[np.float64]

MIDLINE_MM = 5.0
"""A centre no farther than this from the middle of the head is at the midline: the middle is known
to a few millimetres, and structures of the midline are about this wide."""
LEAST_WIDTH_MM = 100.0
"""A head or brain that is narrower than this was not imaged from side to side."""
LEAST_LENGTH_MM = 100.0
"""A head or brain shorter than this in any direction was not imaged as a whole."""
UPPER_MM = 70.0
"""Half of a brain lies above this depth below the top of the head."""
LEAST_REGION_SHARE = 0.5
LEAST_LABELLED_SHARE = 0.3
MOST_POINTS = 4000


@dataclass(frozen=True)
class TumourPlace:
    """Place of the tumour.

    Attributes:
        centroid_ras: Centre of gravity in RAS mm.
        extent_mm: Largest distance between two of its points.
        side: Side of the patient, or None if the middle is not known.
        region: Region with its side, "left temporal lobe", or None if it is not known.
        midline_x_mm: RAS x of the middle of the head, or None if it is not known.
        reason: Why the region is not known; empty if it is.
        part: Part of a head that was imaged as a whole, "upper front of the head"; None otherwise.
    """

    centroid_ras: PointMm
    extent_mm: float
    side: Side | None = None
    region: str | None = None
    midline_x_mm: float | None = None
    reason: str = ""
    part: str | None = None

    @property
    def named(self) -> str | None:
        """Region, or else the part of the head with its side; None if neither is known."""
        if self.region is not None or self.part is None:
            return self.region
        prefix = f"{self.side.value} " if self.side in {Side.LEFT, Side.RIGHT} else ""
        return prefix + self.part if self.side is not None else self.part


def points_ras(mask: npt.NDArray[np.generic], affine: FloatArray) -> FloatArray:
    """Centres of the voxels of a mask in RAS mm, shape (n, 3)."""
    voxels = np.argwhere(np.asarray(mask) != 0)
    points: FloatArray = voxels @ affine[:3, :3].T + affine[:3, 3]
    return points


def midline_x_mm(head_mask: npt.NDArray[np.generic], affine: FloatArray) -> float | None:
    """RAS x of the middle of a head or brain; None if it was not imaged from side to side."""
    mask = np.asarray(head_mask) != 0
    steps = tuple(max(1, n // 64) for n in mask.shape)
    thin = mask[:: steps[0], :: steps[1], :: steps[2]]
    if not thin.any():
        return None
    scaled = affine @ np.diag([*steps, 1.0])
    low, high = np.percentile(points_ras(thin, scaled)[:, 0], [0.5, 99.5])
    return 0.5 * float(low + high) if high - low >= LEAST_WIDTH_MM else None


def part_of_head(
    point: PointMm, head_mask: npt.NDArray[np.generic], affine: FloatArray
) -> str | None:
    """Third from front to back and half from top to bottom, in words; None for a part of a head.

    Args:
        point: RAS mm.
        head_mask: Head or skull-stripped brain, shape (I, J, K).
        affine: 4x4, voxel to RAS mm.
    """
    mask = np.asarray(head_mask) != 0
    steps = tuple(max(1, n // 64) for n in mask.shape)
    thin = mask[:: steps[0], :: steps[1], :: steps[2]]
    if not thin.any():
        return None
    inside = points_ras(thin, affine @ np.diag([*steps, 1.0]))
    low, high = np.percentile(inside, [0.5, 99.5], axis=0)
    if (high - low).min() < LEAST_LENGTH_MM:
        return None
    forward = (point[1] - low[1]) / (high[1] - low[1])
    third = "front" if forward > 2 / 3 else "back" if forward < 1 / 3 else "middle"
    half = "upper" if high[2] - point[2] < UPPER_MM else "lower"
    return f"{half} {third} of the head"


def side_of(x_mm: float, midline: float | None) -> Side | None:
    """Side of a RAS x coordinate: RAS counts from left to right."""
    if midline is None:
        return None
    offset = x_mm - midline
    if abs(offset) <= MIDLINE_MM:
        return Side.MIDLINE
    return Side.RIGHT if offset > 0 else Side.LEFT


def largest_extent_mm(points: FloatArray) -> float:
    """Largest distance between two points of a set, in mm.

    Args:
        points: Shape (n, 3), n >= 1.
    """
    if len(points) < 2:
        return 0.0
    corners = points
    if len(points) > 4:
        try:
            corners = points[ConvexHull(points).vertices]
        except QhullError:  # all in one plane or on one line
            corners = _outermost(points)
    return float(pdist(corners).max())


def tumour_place(
    mask: npt.NDArray[np.generic],
    affine: FloatArray,
    head_mask: npt.NDArray[np.generic] | None = None,
    *,
    atlas: BrainAtlas | None = None,
) -> TumourPlace:
    """Place of a tumour in a volume.

    Args:
        mask: Tumour, shape (I, J, K), not empty; its core is the better choice, because oedema
            spreads over lobes.
        affine: 4x4, voxel to RAS mm.
        head_mask: Head or skull-stripped brain, same shape, if it is known.
        atlas: Regions, if there is an atlas.

    Raises:
        GeometryError: If the mask is empty or shapes differ.
    """
    points = points_ras(mask, affine)
    if len(points) == 0:
        raise GeometryError("the tumour mask is empty; a place needs at least one voxel")
    if head_mask is not None and np.shape(head_mask) != np.shape(mask):
        raise GeometryError(
            f"head mask has shape {np.shape(head_mask)}; expected {np.shape(mask)} of the tumour"
        )
    x, y, z = (float(v) for v in points.mean(axis=0))
    middle = midline_x_mm(head_mask, affine) if head_mask is not None else None
    side = side_of(x, middle)
    region, reason = None, "no atlas is installed"
    if head_mask is None or middle is None:
        reason = "the head was not imaged from side to side"
    elif atlas is not None:
        alignment = atlas.align(head_mask, affine)
        if isinstance(alignment, Alignment):
            region, reason = _region(points, alignment, atlas, side)
        else:
            reason = alignment
    part = part_of_head((x, y, z), head_mask, affine) if head_mask is not None else None
    return TumourPlace((x, y, z), largest_extent_mm(points), side, region, middle, reason, part)


def _region(
    points: FloatArray, alignment: Alignment, atlas: BrainAtlas, side: Side | None
) -> tuple[str | None, str]:
    """Region that holds at least half of the points, or the reason why there is none."""
    some = points[:: max(1, len(points) // MOST_POINTS)]
    shares = atlas.shares(alignment.to_template(some))
    labelled = sum(shares.values())
    if labelled < LEAST_LABELLED_SHARE:
        return None, "the tumour lies in no region of the atlas"
    name = max(shares, key=lambda region: shares[region])
    if shares[name] < LEAST_REGION_SHARE * labelled:
        return None, "the tumour lies in more than one region"
    prefix = f"{side.value} " if side in {Side.LEFT, Side.RIGHT} and side else ""
    return prefix + name, ""


def _outermost(points: FloatArray) -> FloatArray:
    """Points that are outermost in one of 64 directions spread over the sphere."""
    steps = np.arange(64) + 0.5
    polar, turn = np.arccos(1 - 2 * steps / 64), np.pi * (1 + 5**0.5) * steps
    directions = np.stack(
        [np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)]
    )
    found: FloatArray = points[np.unique((points @ directions).argmax(axis=0))]
    return found
