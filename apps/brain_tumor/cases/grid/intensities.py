"""Backgrounds that lie among the tissue, and sequences that are copies of another one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.cases.grid.geometry import REFERENCE_PREFERENCE, same_grid
from brain_tumor.cases.grid.resampling import STRIPPED_BACKGROUND_SHARE
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import ScalarArray, Volume

BoolArray = npt.NDArray[np.bool_]

MAX_RINGING_DEPTH = 0.3
"""Of the bright tissue: splines ring less far below the background, z-scored tissue lies lower."""
RINGING_HEIGHT = 0.02
"""Of the bright tissue: what is lower and outside of the brain is ringing, too."""
SMALLEST_FRAME_SHARE = 0.001
"""Padding around a volume is seen from this share of its voxels on."""
MIN_VOXELS_OF_A_COPY = 20_000
COPY_CORRELATION = 0.9999
"""Two different sequences of one head stay under 0.99; a copy may have been scaled."""


def with_lowest_background(array: ScalarArray) -> tuple[ScalarArray, str | None]:
    """Array whose constant background is darker than all tissue, as scanners and masks leave it.

    A brain that was z-scored before it was masked has its background, 0, in the middle of its
    tissue; one that was masked before it was interpolated with splines rings at its rim.

    Args:
        array: Finite intensities, shape (I, J, K).

    Returns:
        The same array if nothing is to be done, and what to warn of.
    """
    corners = array[:: max(1, array.shape[0] - 1), :: max(1, array.shape[1] - 1)]
    values, counts = np.unique(corners[:, :, [0, -1]], return_counts=True)
    background = values[int(np.argmax(counts))]
    constant = array == background
    share = float(constant.mean())
    if share < SMALLEST_FRAME_SHARE or share == 1.0:
        return array, None
    tissue = array[~constant]
    dark, bright = (float(q) for q in np.percentile(tissue, [1, 99]))
    if background < min(0.0, dark - (bright - dark)):
        said = "its background lay far below the tissue and was put right below it"
        return with_lowest_background(_brought_up(array, constant, tissue))[0], said
    if share < STRIPPED_BACKGROUND_SHARE:
        return array, None
    lowest = float(tissue.min()) - 0.01 * float(tissue.std())
    below = tissue[tissue < background]
    if not below.size or bright <= background:  # nothing to do, or bright all around: left alone
        return array, None
    if background - np.percentile(below, 5) > MAX_RINGING_DEPTH * (bright - background):
        said = "its background lay among the tissue (a z-scored image) and was put below it"
        return np.where(constant, np.float32(lowest), array), said
    height = background + RINGING_HEIGHT * (bright - background)
    body = ndimage.binary_fill_holes(ndimage.binary_opening(array > height))
    calmed = np.where(~body & (array < height), background, np.maximum(array, background))
    return (
        calmed,
        "voxels darker than the background (ringing of an interpolation) were taken as it",
    )


def _brought_up(array: ScalarArray, constant: BoolArray, rest: ScalarArray) -> ScalarArray:
    """Array whose far background is right below the rest, or one with a background in there."""
    lowest = float(rest.min())
    if float((rest == lowest).mean()) < STRIPPED_BACKGROUND_SHARE:
        lowest -= 0.01 * float(rest.std())
    return np.where(constant, np.float32(lowest), array)


def copies(volumes: Mapping[Sequence, Volume], reference: Sequence) -> dict[Sequence, Sequence]:
    """Sequences that hold the image of another one, scaled or not.

    Args:
        volumes: One volume per sequence.
        reference: Kept in any case; else the first of t1c, flair, t2, t1.

    Returns:
        By sequence to leave out, the sequence that it is a copy of.
    """
    order = [reference, *(s for s in REFERENCE_PREFERENCE if s in volumes and s is not reference)]
    found: dict[Sequence, Sequence] = {}
    for place, sequence in enumerate(order):
        for earlier in order[:place]:
            if earlier not in found and _is_copy(volumes[sequence], volumes[earlier]):
                found[sequence] = earlier
                break
    return found


def _is_copy(a: Volume, b: Volume) -> bool:
    if a.array.size < MIN_VOXELS_OF_A_COPY or not same_grid(a, b):
        return False
    steps = tuple(slice(None, None, max(1, n // 48)) for n in a.shape)
    x, y = a.array[steps].ravel(), b.array[steps].ravel()
    if x.std() == 0 or y.std() == 0:
        return False
    return bool(np.corrcoef(x, y)[0, 1] > COPY_CORRELATION)
