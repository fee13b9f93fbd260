"""A simulated annotator, for measuring and for fitting: clicks the middle of the worst error."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from brain_tumor.labels import Label, LabelArray

CONNECTIVITY = np.ones((3, 3, 3), dtype=bool)

Voxel = tuple[int, int, int]


def next_click(
    labels: LabelArray, reference: LabelArray, spacing_mm: tuple[float, float, float]
) -> tuple[Voxel, Label] | None:
    """Where an annotator who sees the truth would click next, and on what label.

    The largest connected piece that lacks one label of the reference is clicked at its point
    furthest from its border, as in evaluations of interactive segmentation.

    Args:
        labels: Labels so far, shape (I, J, K).
        reference: True labels, same shape.
        spacing_mm: Voxel size along I, J, K in mm.

    Returns:
        Voxel and true label there, or None if nothing is wrong.

    References:
        Xu et al. 2016, arXiv:1603.04042 (simulated clicks).
    """
    wrong = labels != reference
    if not wrong.any():
        return None
    around = ndimage.find_objects(wrong.view(np.uint8))[0]
    low = [part.start for part in around]
    wrong, reference = wrong[around], reference[around]
    best: tuple[int, Label, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]] | None = None
    for label in Label:
        pieces, count = ndimage.label(wrong & (reference == label), CONNECTIVITY)
        if count == 0:
            continue
        sizes = np.bincount(pieces.ravel())[1:]
        if best is None or sizes.max() > best[0]:
            best = (int(sizes.max()), label, pieces == int(sizes.argmax()) + 1)
    if best is None:  # a value that is no label
        return None
    _, label, piece = best
    box = ndimage.find_objects(piece.view(np.uint8))[0]
    depth = ndimage.distance_transform_edt(np.pad(piece[box], 1), sampling=spacing_mm)
    deepest = np.unravel_index(int(depth.argmax()), depth.shape)
    i, j, k = (
        int(at) - 1 + part.start + first for at, part, first in zip(deepest, box, low, strict=True)
    )
    return (i, j, k), label
