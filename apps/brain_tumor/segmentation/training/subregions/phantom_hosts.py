"""Healthy phantom heads as hosts: more healthy anatomy, and the skull that BraTS lacks."""

from __future__ import annotations

from collections.abc import Sequence as Items

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.cases.grid.preprocessing import WORKING_SPACING_MM, BoolArray
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import ScalarArray
from brain_tumor.phantoms.phantom import Phantom, PhantomSpec, make_phantom
from brain_tumor.segmentation.training.subregions.composites import CANVAS_SHAPE, Host

HEAD_THRESHOLD = 0.06
"""Share of white matter signal from which a voxel of a whole head counts as head."""


def make_phantom_hosts(
    seeds: Items[int], *, skull_stripped: bool, brain_centre: tuple[float, float, float]
) -> list[Host]:
    """Healthy heads on the canvas, brain at the place where real brains lie.

    Args:
        seeds: One head per seed.
        skull_stripped: Brains only, or whole heads.
        brain_centre: Centre of the real brains' bounding boxes, in canvas voxels.
    """
    return [_make_host(seed, skull_stripped, brain_centre) for seed in seeds]


def brain_box_centre(brain: BoolArray) -> tuple[float, float, float]:
    """Centre of a mask's bounding box in voxels."""
    found = ndimage.find_objects(brain.astype(np.uint8))[0]
    x, y, z = ((s.start + s.stop - 1) / 2 for s in found)
    return x, y, z


def _make_host(seed: int, skull_stripped: bool, centre: tuple[float, float, float]) -> Host:
    stripped = _phantom(seed, skull_stripped=True)
    own_brain = stripped.case.volumes[Sequence.T1C].array > 0
    shown = stripped if skull_stripped else _phantom(seed, skull_stripped=False)
    offset = np.linalg.inv(shown.case.affine) @ stripped.case.affine
    own_centre = np.array(brain_box_centre(own_brain))
    in_shown = own_centre + offset[:3, 3]
    image = np.stack([_place(shown.case.volumes[s].array, in_shown, centre) for s in Sequence])
    brain = _place(own_brain.astype(np.float32), own_centre, centre) > 0.5
    for channel in range(len(image)):
        head = image[channel] > 0
        if not skull_stripped:
            head = image[channel] > HEAD_THRESHOLD * float(image[channel][brain].mean())
            head = ndimage.binary_fill_holes(ndimage.binary_opening(head)) | brain
        scaled = (image[channel] - image[channel][brain].mean()) / image[channel][brain].std()
        image[channel] = np.where(head, scaled, 0.0)
    labels = np.zeros(CANVAS_SHAPE, dtype=np.uint8)
    present = tuple(True for _ in Sequence)
    return Host(image, labels, image, labels, brain, present, whole_head=not skull_stripped)


def _phantom(seed: int, *, skull_stripped: bool) -> Phantom:
    return make_phantom(
        PhantomSpec(
            seed=seed,
            tumor=None,
            skull_stripped=skull_stripped,
            spacing_mm=WORKING_SPACING_MM,
            variability=1.5,
        )
    )


def _place(
    array: ScalarArray, centre: npt.NDArray[np.float64], target: tuple[float, float, float]
) -> ScalarArray:
    """Shift by whole voxels and crop or pad to the canvas."""
    low = np.round(centre - np.array(target)).astype(int)
    placed = np.zeros(CANVAS_SHAPE, dtype=np.float32)
    size = np.array(array.shape)
    start, stop = np.maximum(low, 0), np.minimum(low + CANVAS_SHAPE, size)
    source = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    goal = tuple(slice(int(a), int(b)) for a, b in zip(start - low, stop - low, strict=True))
    placed[goal] = array[source]
    return placed
