"""Where the head and the brain are in a slice, and how bright brain is.

Works on slices with the skull (the brain is told from skull, scalp and face) and on
skull-stripped ones (the head is the brain), of any plane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu

from brain_tumor.classification.features.contours import longest_contour
from brain_tumor.classification.features.grid import (
    ImageArray,
    PixelSize,
    biggest,
    fill_holes,
    median,
    quantile,
    resample,
)
from brain_tumor.classification.features.octagons import (
    close_gaps,
    dilate,
    erode,
    erosions,
    open_gaps,
)
from brain_tumor.classification.features.outline import CROSS, FloatArray, MaskArray, padded

GRID_MM = 2.0
HEAD_THRESHOLD = 0.3
"""Head is brighter than this share of the way from air to Otsu's threshold."""
BRAIN_RANGE = (0.62, 1.4)
"""Brain tissue, relative to its median."""
INNER_STEPS = 2
RIM_STEPS = 4
FALLBACK_STEPS = 6
DEEP_STEPS = (12, 6, 2)
LEAST_SCALP_SHARE = 0.12
MOST_BRAIN_SHARE = 0.6
"""A head has its skull if more than the first share of its outer 8 mm is brighter than brain, as
fat of the scalp is, and at most the second as bright as brain. Of slices with skull 99 % have
0.14 or more of the first, of stripped ones 96 % have 0.11 or less."""
FLAT = 1e-5
"""Relative range of intensities below which a picture is empty."""
LEAST_PART = 0.08
"""Components of brain smaller than this share of the largest are ignored."""
BELOW_STEPS = 6
"""Components whose middle is farther below the largest (grid pixels) are neck or face."""
LEAST_BRAIN_SHARE = 0.15
LEAST_HEAD_MM2 = 2500.0
DEEP_MM2 = 1600.0


@dataclass(frozen=True, eq=False)
class Head:
    """Head and brain on a grid of `GRID_MM`; its pixel (0, 0) is that of the slice.

    Attributes:
        relative: Intensity on the grid relative to brain: 0 is black, 1 the median of brain.
        head: Head with everything inside, same shape.
        brain: Intracranial space, bays up to 2 cm closed, tumour included, same shape.
        tumour: Tumour on the grid, same shape.
        black: Intensity that counts as black.
        brain_level: Median intensity of brain outside the tumour.
        spread: Robust sd of relative brain intensity (1.4826 MAD).
        skull_present: Whether skull and scalp surround the brain.
        border_mm: Points on the border of the intracranial space, shape (n, 2); in a
            skull-stripped slice the border of the brain. This is the proxy of dura and skull.
        border_reason: Why the border is not to be used; empty if it is.
    """

    relative: ImageArray
    head: MaskArray
    brain: MaskArray
    tumour: MaskArray
    black: float
    brain_level: float
    spread: float
    skull_present: bool
    border_mm: FloatArray
    border_reason: str

    def to_relative(self, image: npt.NDArray[np.generic]) -> ImageArray:
        """Intensities of any image of the same scan on the relative scale."""
        scale = self.brain_level - self.black
        relative: ImageArray = (np.asarray(image, dtype=np.float32) - self.black) / scale
        return relative


def find_head(
    image: npt.NDArray[np.generic],
    tumour: MaskArray,
    pixel_mm: PixelSize,
    head_mask: npt.NDArray[np.generic] | None = None,
) -> Head | None:
    """Find head and brain in a slice.

    The head is what is brighter than air, filled, largest component. Brain is what is about as
    bright as the median of the deep head, opened by 6 mm to cut the bridges to scalp and neck:
    the largest component and the large ones not below it, grown back and closed; the tumour
    belongs to it. Slices are expected upright: face or neck, if in view, at the bottom or top.

    Args:
        image: Shape (rows, columns).
        tumour: Same shape.
        pixel_mm: Height and width of a pixel.
        head_mask: Head, if it is known, same shape.

    Returns:
        The head, or None if there is none: nothing brighter than its surroundings, or less than
        `LEAST_HEAD_MM2`.
    """
    grid = resample(image, pixel_mm, GRID_MM)
    lesion = resample(tumour, pixel_mm, GRID_MM) > 0.25
    every_other = grid[::2, ::2]
    low = quantile(every_other.ravel(), 0.05)
    if float(grid.max()) - low <= FLAT * float(np.abs(grid).max()):
        return None
    step = float(threshold_otsu(every_other)) - low  # type: ignore[no-untyped-call]
    if head_mask is None:
        bright = open_gaps(grid > low + HEAD_THRESHOLD * step, 1)
        head = biggest(fill_holes(bright))
    else:
        head = fill_holes(resample(np.asarray(head_mask) != 0, pixel_mm, GRID_MM) > 0.5)
    if np.count_nonzero(head) * GRID_MM**2 < LEAST_HEAD_MM2:
        return None
    outside = grid[~head]
    black = quantile(grid[head], 0.01)
    if outside.size:
        black = min(black, median(outside))
    near_lesion = dilate(lesion, 4)
    depths = sorted({INNER_STEPS, RIM_STEPS, FALLBACK_STEPS, *DEEP_STEPS})
    shrunk = dict(zip(depths, erosions(head, depths), strict=True))
    level = _deep_level(grid, shrunk, near_lesion, low + 2 * HEAD_THRESHOLD * step)
    if level is None or level <= black:
        return None
    relative = (grid - black) / (level - black)
    skull_present = _has_skull(relative, head & ~shrunk[RIM_STEPS])
    brain = _brain(relative, shrunk[INNER_STEPS], lesion) if skull_present else head
    reason = ""
    if np.count_nonzero(brain) < LEAST_BRAIN_SHARE * np.count_nonzero(head):
        reason = "the brain could not be told from the rest of the head"
        brain = shrunk[FALLBACK_STEPS]
        brain = brain if brain.any() else head
    tissue = grid[erode(brain, 3) & ~near_lesion]
    if tissue.size >= 50:
        level = median(tissue)
    if level <= black:
        return None
    relative = (grid - black) / (level - black)
    values = relative[brain & ~near_lesion]
    spread = 1.4826 * median(np.abs(values - median(values))) if values.size else 0.0
    return Head(
        relative=relative,
        head=head,
        brain=brain,
        tumour=lesion,
        black=black,
        brain_level=level,
        spread=spread,
        skull_present=skull_present,
        border_mm=outline_points_mm(brain),
        border_reason=reason,
    )


def outline_points_mm(mask: MaskArray) -> FloatArray:
    """Points on the outer border of a grid mask, about one per grid pixel, shape (n, 2)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return np.empty((0, 2))
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    blurred = ndimage.gaussian_filter(padded(cut, 3).astype(np.float32), 0.8, truncate=2.5)
    longest = longest_contour(blurred, 0.5)
    if longest is None:
        return np.empty((0, 2))
    points: FloatArray = (longest + np.array([rows[0], columns[0]]) - 3.0) * GRID_MM
    return points


def _deep_level(
    grid: ImageArray, shrunk: Mapping[int, MaskArray], near_lesion: MaskArray, dark: float
) -> float | None:
    """Median of what is not dark, as deep inside the head as leaves 16 cm^2 to look at."""
    usable = ~near_lesion & (grid > dark)
    for steps in DEEP_STEPS:
        values = grid[shrunk[steps] & usable]
        if values.size * GRID_MM**2 >= DEEP_MM2:
            return median(values)
    return None


def _has_skull(relative: ImageArray, outer: MaskArray) -> bool:
    """Whether the outer 8 mm of the head are scalp and skull rather than brain."""
    rim = relative[outer]
    like_brain = (rim > BRAIN_RANGE[0]) & (rim < BRAIN_RANGE[1])
    scalp = rim >= BRAIN_RANGE[1]
    return bool(scalp.mean() > LEAST_SCALP_SHARE and like_brain.mean() <= MOST_BRAIN_SHARE)


def _brain(relative: ImageArray, inner: MaskArray, lesion: MaskArray) -> MaskArray:
    """Intracranial space of a slice with skull; `inner` is the head without its outer 4 mm."""
    like_brain = (relative > BRAIN_RANGE[0]) & (relative < BRAIN_RANGE[1])
    parts, count = ndimage.label(erode((like_brain | lesion) & inner, 3), structure=CROSS)
    is_brain = np.zeros(count + 1, dtype=bool)
    is_brain[_brain_parts(parts, count)] = True
    brain = dilate(is_brain[parts], 4)
    brain |= lesion & dilate(brain, 2)
    return close_gaps(fill_holes(brain), 5) & inner


def _brain_parts(parts: npt.NDArray[np.int32], count: int) -> list[int]:
    """Labels of the components that are brain: the largest and its large neighbours.

    Deep fissures cut hemispheres and temporal lobes off; neck and face lie below the largest.
    """
    if count == 0:
        return []
    sizes = np.bincount(parts.ravel())[1:].astype(float)
    boxes = [rows for rows, _ in ndimage.find_objects(parts)]
    middle = np.array([0.5 * (rows.start + rows.stop) for rows in boxes])
    # The tongue of an anterior coronal slice can be larger than the brain above it.
    main = int((sizes * (1.0 - 0.5 * middle / len(parts))).argmax())
    lowest = boxes[main].stop + BELOW_STEPS
    kept = (sizes >= LEAST_PART * sizes[main]) & (middle < lowest)
    return [int(label) for label in np.flatnonzero(kept) + 1]
