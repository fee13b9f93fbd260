"""The request that refines a segmentation from clicks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Voxel = tuple[int, int, int]


def click_params(
    positive: Iterable[Voxel], negative: Iterable[Voxel], label: int, *, has_strokes: bool = False
) -> dict[str, Any]:
    """Parameters of `POST /infer/refine`.

    Args:
        positive: Voxels that are tumour of the class `label`.
        negative: Voxels that are no tumour.
        label: Label value of the positive ones.
        has_strokes: Whether strokes are sent along, so that no click is needed.

    Raises:
        ValueError: If there is no click at all, or a voxel is both.
    """
    yes, no = list(dict.fromkeys(positive)), list(dict.fromkeys(negative))
    if not yes and not no and not has_strokes:
        raise ValueError("place at least one point inside the image first")
    both = set(yes) & set(no)
    if both:
        raise ValueError("a point marked as tumour is also marked as no tumour; remove one of them")
    return {
        "clicks": {
            "positive": [{"ijk": list(voxel), "label": int(label)} for voxel in yes],
            "negative": [{"ijk": list(voxel)} for voxel in no],
        }
    }
