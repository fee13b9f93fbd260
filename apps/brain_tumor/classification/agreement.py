"""Whether a given outline lies where the network itself sees tumour.

The measured features and the appearance are read inside the given outline, whatever lies there, so
an outline on healthy brain gets a type like any other. The network's own map of the tumour does
not look at the outline and can contradict it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.model.plausibility import FOREGROUND_SHARE

NO_EVIDENCE = 0.5


def outline_agreement(
    mask_logits: npt.NDArray[np.float32],
    mask: npt.NDArray[np.float32],
    image: npt.NDArray[np.float32],
) -> float:
    """Share of the head outside the outline that looks less like tumour than the outline does.

    It is the area under the curve of the network's map as a detector of the outline, so it does not
    depend on the scale of the map, which the network leaves shy.

    Args:
        mask_logits: The network's map of the tumour, shape (H, W).
        mask: Given outline, 0-1, same shape.
        image: The patch that the network read, same shape.

    Returns:
        0 to 1; 1 if every pixel of the outline looks more like tumour than all others of the head,
        0.5 if it looks like any other, or if there is nothing to compare.

    Example:
        >>> logits = np.array([[0.0, 1.0, 2.0, 3.0]], dtype=np.float32)
        >>> outline = np.array([[0.0, 0.0, 1.0, 1.0]], dtype=np.float32)
        >>> outline_agreement(logits, outline, np.array([[0.0, 5.0, 5.0, 5.0]], dtype=np.float32))
        1.0
    """
    inside = mask > 0.5
    head = image > image.min() + FOREGROUND_SHARE * np.ptp(image)
    others = np.sort(mask_logits[head & ~inside])
    within = mask_logits[inside]
    if len(others) == 0 or len(within) == 0:
        return NO_EVIDENCE
    below = np.searchsorted(others, within, side="left")
    not_above = np.searchsorted(others, within, side="right")
    return float((below + not_above).mean() / (2 * len(others)))
