"""Size and shape of the tumour of a case in space, where its voxels show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from brain_tumor.classification.features.morphology import SolidShape, solid_shape
from brain_tumor.classification.features.outline import MaskArray
from brain_tumor.segmentation.tumor_core.slices import MAX_IN_PLANE_MM

LEAST_VOXELS_ACROSS = 3
NO_TUMOUR_TO_MEASURE = "no tumour to measure"
ONE_SLICE = "a single slice has no surface"
THICK_SLICES = f"slices thicker than {MAX_IN_PLANE_MM} mm do not show the surface"
TOO_FEW_VOXELS = f"the tumour is under {LEAST_VOXELS_ACROSS} voxels across"


@dataclass(frozen=True)
class CaseShape:
    """Shape of the tumour in space, or why it cannot be told.

    Attributes:
        solid: Shape of the largest piece, or None.
        reason: Why there is none; empty if there is one.
    """

    solid: SolidShape | None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """As in the reply: mL, cm2 and mm; every number null without a shape."""
        solid = self.solid
        return {
            "volume_ml": round(solid.volume_mm3 / 1000.0, 3) if solid else None,
            "surface_cm2": round(solid.surface_mm2 / 100.0, 2) if solid else None,
            "sphericity": round(solid.sphericity, 3) if solid else None,
            "longest_diameter_mm": round(solid.longest_diameter_mm, 1) if solid else None,
            "axes_mm": [round(d, 1) for d in solid.ellipsoid_diameter_mm] if solid else None,
            "reason": self.reason or None,
        }


def case_shape(mask: MaskArray, spacing_mm: tuple[float, float, float]) -> CaseShape:
    """Shape of the largest piece of a tumour in space.

    Pieces apart are none of its shape: a stray one would make a small tumour as long as the head.
    Slices thicker than those that the product cuts across hide the surface between them; a volume
    in mL, which the segmentation tells of every case, needs no surface.

    Args:
        mask: Tumour, shape (I, J, K).
        spacing_mm: Voxel size along I, J, K.
    """
    if not mask.any():
        return CaseShape(None, NO_TUMOUR_TO_MEASURE)
    if min(mask.shape) == 1:
        return CaseShape(None, ONE_SLICE)
    if max(spacing_mm) > MAX_IN_PLANE_MM:
        return CaseShape(None, THICK_SLICES)
    mask = largest_piece(mask)
    across = (mask.any(axis=tuple({0, 1, 2} - {axis})).sum() for axis in range(3))
    if min(across) < LEAST_VOXELS_ACROSS:
        return CaseShape(None, TOO_FEW_VOXELS)
    return CaseShape(solid_shape(mask, spacing_mm))


def largest_piece(mask: MaskArray) -> MaskArray:
    """The largest of the pieces of a mask that do not touch, not even at corners.

    Stray voxels must not stretch the shape or the extent of a tumour.

    Args:
        mask: Shape (I, J, K).

    Returns:
        Mask of the same shape; empty if `mask` is.
    """
    piece = np.zeros_like(mask)
    for box in ndimage.find_objects(mask.astype(np.uint8)):
        pieces, _ = ndimage.label(mask[box], structure=np.ones((3, 3, 3), dtype=bool))
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        piece[box] = pieces == sizes.argmax()
    return piece
