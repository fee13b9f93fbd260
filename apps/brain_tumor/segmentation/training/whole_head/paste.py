"""Real lesions put into real heads with skull.

Lesion cubes hold real voxels of one tumour and the brain around it. Three of their slices, as far
apart as those of the head, go to a place well inside the head; the tissue around the lesion is
brought to the mean and the deviation of the tissue there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.cases.grid.preprocessing import WORKING_SPACING_MM
from brain_tumor.cases.volume import ScalarArray
from brain_tumor.labels import LabelArray
from brain_tumor.segmentation.data.brats import CUBE, Cube
from brain_tumor.segmentation.whole_head.stack import (
    HIGHEST,
    LOWEST,
    head_of_slice,
)

DEPTH_PIXELS = 8
RAMP_PIXELS = 3
MIN_TISSUE_PIXELS = 60
MAX_CUT_SHARE = 0.12
TRIES = 6


def paste_lesion(
    slices: ScalarArray,
    labels: LabelArray,
    cube: Cube,
    thickness_mm: float,
    rng: np.random.Generator,
) -> bool:
    """Put a lesion into three neighbouring slices, in place.

    Args:
        slices: Shape (3, 4, I, J), the middle one is learnt.
        labels: Of the middle slice, shape (I, J).
        cube: Lesion with its surroundings.
        thickness_mm: Distance of the slices.
        rng: Source of randomness.

    Returns:
        Whether a place was found.
    """
    lesion = _cube_slices(cube, thickness_mm, rng)
    if lesion is None:
        return False
    new, new_labels = lesion
    inside = head_of_slice(slices[1])
    depth = ndimage.distance_transform_edt(inside)
    tumour = ndimage.binary_dilation(labels > 0, iterations=3)
    rows, columns = np.nonzero((depth > DEPTH_PIXELS + CUBE // 4) & ~tumour)
    for _ in range(TRIES if len(rows) else 0):
        index = int(rng.integers(len(rows)))
        low = (int(rows[index]) - CUBE // 2, int(columns[index]) - CUBE // 2)
        if min(low) < 0 or low[0] + CUBE > labels.shape[0] or low[1] + CUBE > labels.shape[1]:
            continue
        box = (slice(low[0], low[0] + CUBE), slice(low[1], low[1] + CUBE))
        deep = depth[box] > DEPTH_PIXELS
        drawn = new_labels > 0
        if (drawn & (~deep | tumour[box])).any():
            continue
        return _blend(slices, labels, new, new_labels, box, deep)
    return False


def _cube_slices(
    cube: Cube, thickness_mm: float, rng: np.random.Generator
) -> tuple[ScalarArray, LabelArray] | None:
    """Three slices of a cube and the labels of the middle one; None if the cube cuts the lesion."""
    step = max(1, round(thickness_mm / WORKING_SPACING_MM[2]))
    with_lesion = np.flatnonzero(cube.labels.any(axis=(0, 1)))
    middle = int(rng.choice(with_lesion))
    drawn = cube.labels[..., middle] > 0
    rim = np.ones_like(drawn)
    rim[1:-1, 1:-1] = False
    if (drawn & rim).sum() > MAX_CUT_SHARE * rim.sum():
        return None
    half = (step - 1) // 2
    parts = []
    for offset in (-step, 0, step):
        at = int(np.clip(middle + offset, 0, CUBE - 1))
        window = slice(max(at - half, 0), min(at + half + 1, CUBE))
        parts.append(cube.image[..., window].mean(axis=-1))
    turns = int(rng.integers(4))
    mirrored = rng.random() < 0.5
    new, labels = (
        np.rot90(np.stack(parts), turns, (2, 3)),
        np.rot90(cube.labels[..., middle], turns),
    )
    if mirrored:
        new, labels = new[:, :, ::-1], labels[::-1]
    return np.ascontiguousarray(new), np.ascontiguousarray(labels)


def _blend(
    slices: ScalarArray,
    labels: LabelArray,
    new: ScalarArray,
    new_labels: LabelArray,
    box: tuple[slice, slice],
    deep: npt.NDArray[np.bool_],
) -> bool:
    known = new[1].any(axis=0)
    tissue = known & (new_labels == 0)
    host_tissue = deep & (labels[box] == 0)
    if tissue.sum() < MIN_TISSUE_PIXELS or host_tissue.sum() < MIN_TISSUE_PIXELS:
        return False
    edge = np.minimum(np.arange(CUBE), np.arange(CUBE)[::-1])
    profile = np.clip((edge + 1) / (RAMP_PIXELS + 1), 0, 1)
    weight = profile[:, None] * profile[None, :] * deep
    weight = np.maximum(ndimage.gaussian_filter(weight * known, 1.0), new_labels > 0)
    weight = (weight * known).astype(np.float32)
    for channel in range(slices.shape[1]):
        if not slices[1, channel].any():
            continue
        own = slices[1, channel][box][host_tissue]
        foreign = new[1, channel][tissue]
        gain = float(np.clip(own.std() / max(float(foreign.std()), 0.2), 0.3, 1.5))
        for number in range(len(slices)):
            view = slices[number, channel][box]
            moved = (new[number, channel] - foreign.mean()) * gain + own.mean()
            view[:] = view * (1 - weight) + np.clip(moved, LOWEST, HIGHEST) * weight
    labels[box] = np.where(known & (weight > 0.5) & (new_labels > 0), new_labels, labels[box])
    return True
