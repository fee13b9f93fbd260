"""How many separate tumours a case has: pieces that are believed, not specks.

Three or more are a rule by design: metastases are not among the known types, so no type is told.
On heads with skull an outline often holds specks beside the tumour, so a piece counts only with a
volume of its own, a share of the largest piece and the segmenter's probability behind it; several
cores inside one outline with oedema are one tumour.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.grids import apply_affine
from brain_tumor.classification.features.outline import MIN_PIXELS, MaskArray
from brain_tumor.labels import LabelArray, Region, region_mask
from brain_tumor.segmentation.result import ClassProbabilities

LEAST_PIECE_ML = 0.3
LEAST_PIECE_MM2 = 50.0
"""For a lone slice, whose header may say anything of its thickness: 0.3 mL at 6 mm."""
LEAST_SHARE = 0.05
"""Of the largest piece, so that what lies beside a large tumour is no second one."""
LEAST_PROBABILITY = 0.7
"""Mean probability of tumour inside a piece."""
MANY_PIECES = 3


def tumour_mask(labelmap: LabelArray) -> MaskArray:
    """Tumour core of a labelmap, or the whole tumour where no core can be read.

    A core that no slice shows `MIN_PIXELS` pixels of is a speck in a tumour that hardly enhances.
    """
    core = region_mask(labelmap, Region.TC)
    whole = region_mask(labelmap, Region.WT)
    return core if _largest_section(core) >= min(MIN_PIXELS, _largest_section(whole)) else whole


def _largest_section(mask: MaskArray) -> int:
    """Most pixels of a mask in a slice along any axis."""
    axes = range(mask.ndim)
    return max(int(mask.sum(axis=tuple(a for a in axes if a != k)).max()) for k in axes)


def believed_pieces(
    case: Case, labelmap: LabelArray, probabilities: ClassProbabilities | None = None
) -> int:
    """Separate tumours of an outline; voxels that touch at a corner belong together.

    Args:
        case: Case, for its grid.
        labelmap: Outline on that grid.
        probabilities: What the segmenter thought, on any grid; without them volumes alone count.
    """
    mask = tumour_mask(labelmap)
    box = ndimage.find_objects((labelmap > 0).view(np.uint8))
    if not box or not mask.any():
        return 0
    labels, count = ndimage.label(labelmap[box[0]] > 0, np.ones((3, 3, 3)))
    inside = np.where(mask[box[0]], labels, 0)
    voxels = np.bincount(inside.ravel(), minlength=count + 1)[1:]
    sides = zip(case.spacing_mm, case.shape, strict=True)
    lengths_mm = [mm for mm, length in sides if length > 1]
    least = LEAST_PIECE_MM2 if len(lengths_mm) < 3 else 1000.0 * LEAST_PIECE_ML
    large = voxels * np.prod(lengths_mm) >= max(least, 0.0)
    large &= voxels >= LEAST_SHARE * voxels.max()
    if probabilities is None or np.count_nonzero(large) < MANY_PIECES:
        return int(np.count_nonzero(large))
    corner = np.array([side.start for side in box[0]])
    believed = 0
    for piece in np.flatnonzero(large) + 1:
        places = apply_affine(case.affine, np.argwhere(inside == piece) + corner)
        believed += _mean_probability(probabilities, places) >= LEAST_PROBABILITY
    return int(believed)


def _mean_probability(known: ClassProbabilities, places: npt.NDArray[np.floating[Any]]) -> float:
    """Mean probability of tumour at places in RAS mm, by the nearest voxel of the maps."""
    size = np.array(known.maps.shape[1:])
    voxels = np.rint(apply_affine(np.linalg.inv(known.affine), places)).astype(int)
    i, j, k = np.clip(voxels, 0, size - 1).T
    total = known.maps[:, i, j, k].astype(np.float32).sum(axis=0)
    return float(total.mean())
