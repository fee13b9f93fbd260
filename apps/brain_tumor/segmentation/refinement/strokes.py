"""What an annotator draws to correct a labelmap: clicks and scribbles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.cases.volume import Affine
from brain_tumor.errors import InputError, LabelError
from brain_tumor.labels import SCHEME_LABELS, IntegerArray, Label, LabelScheme

CLICK_RADIUS_MM = 2.0
"""A click sets at least the voxels this near, whatever the images look like."""
SCRIBBLED_BACKGROUND = 255
"""Value of a scribble volume that says "no tumour here"; 0 says nothing."""
MOST_PIECES = 64
CONNECTIVITY = np.ones((3, 3, 3), dtype=bool)

Index = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Stroke:
    """One statement of the annotator about some voxels.

    Attributes:
        voxels: Indices on the grid of the case, shape (N, 3), at least one.
        label: What these voxels are; `Label.BACKGROUND` for a negative click.
        radius_mm: Voxels this near to them are the same.
    """

    voxels: npt.NDArray[np.intp]
    label: Label
    radius_mm: float = 0.0


def click(position: tuple[float, float, float], label: Label, shape: Index) -> Stroke:
    """Stroke of one click.

    Args:
        position: Voxel index (i, j, k), rounded to the nearest voxel.
        label: What is there.
        shape: Shape of the case.

    Raises:
        InputError: If the position is outside the volume.
    """
    index = np.rint(np.asarray(position, dtype=np.float64))
    if not np.isfinite(index).all() or (index < 0).any() or (index >= shape).any():
        raise InputError(
            f"click at voxel {[round(float(x), 1) for x in position]} is outside the volume of "
            f"{list(shape)} voxels",
            remedy="Click inside the reference volume of the case.",
        )
    return Stroke(index.astype(np.intp)[None], label, CLICK_RADIUS_MM)


def ras_to_index(point_mm: tuple[float, float, float], affine: Affine) -> tuple[float, ...]:
    """Fractional voxel index of a point in RAS+ mm.

    Example:
        >>> ras_to_index((5.0, 4.0, 3.0), np.diag([-1.0, 2.0, 1.0, 1.0]))
        (-5.0, 2.0, 3.0)
    """
    index = np.linalg.inv(affine) @ np.array([*point_mm, 1.0])
    return tuple(float(x) for x in index[:3])


def scribbles(volume: IntegerArray, shape: Index) -> tuple[Stroke, ...]:
    """Strokes of a volume of scribbles, one per connected piece of a value.

    Pieces far from each other lie in different tissue, so each speaks for its own surroundings.

    Args:
        volume: 0 where nothing was drawn, a value of `Label` where that label was, and
            `SCRIBBLED_BACKGROUND` where background was; shape of the case.
        shape: Shape of the case.

    Raises:
        InputError: If the volume has another shape, or more than `MOST_PIECES` pieces.
        LabelError: If it holds other values.
    """
    if volume.shape != shape:
        raise InputError(
            f"scribbles have {volume.shape} voxels; expected {shape} as their case",
            remedy="Draw the scribbles on the reference volume of the case.",
        )
    strokes = []
    for value in np.unique(volume[volume != 0]):
        if value != SCRIBBLED_BACKGROUND and value not in {int(label) for label in Label}:
            raise LabelError(
                f"scribbles hold the value {int(value)}; expected 0, a label value "
                f"or {SCRIBBLED_BACKGROUND} for background"
            )
        label = Label.BACKGROUND if value == SCRIBBLED_BACKGROUND else Label(int(value))
        strokes += [Stroke(voxels, label) for voxels in _pieces(volume == value)]
    if len(strokes) > MOST_PIECES:
        raise InputError(
            f"scribbles consist of {len(strokes)} pieces; expected {MOST_PIECES} at most",
            remedy="Send the corrected labelmap along and only the scribbles made since.",
        )
    return tuple(strokes)


def _pieces(drawn: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.intp]]:
    """Voxels of each connected piece, corners count as touching."""
    numbered, _ = ndimage.label(drawn, structure=CONNECTIVITY)
    return [
        np.argwhere(numbered[box] == number) + [part.start for part in box]
        for number, box in enumerate(ndimage.find_objects(numbered), start=1)
    ]


def check_labels(strokes: Iterable[Stroke], scheme: LabelScheme) -> None:
    """Refuse strokes whose labels do not belong into a labelmap of this scheme.

    Raises:
        LabelError: If a label is of the other scheme.
    """
    allowed: set[Any] = {Label.BACKGROUND, *SCHEME_LABELS[scheme]}
    for stroke in strokes:
        if stroke.label not in allowed:
            raise LabelError(
                f"a click or scribble has the label {int(stroke.label)}; the labelmap to correct "
                f"holds {sorted(int(label) for label in allowed if label)}",
                remedy="Choose a label of the labelmap's scheme.",
            )
