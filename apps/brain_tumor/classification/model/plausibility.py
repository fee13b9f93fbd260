"""Whether a slice can be an MRI of a head at all: cheap, and blind to what the network believes.

A network has confident answers to noise. These numbers tell heads, with or without skull, from
noise, flat areas and ramps: of 767 slices of heads the least neighbour correlation was 0.632 and
the least detail 0.018; noise reached a correlation of 0.258, flat discs and ramps a detail of
0.009. `training.plausibility_limits` measures these figures and checks the limits.

Shaded discs as large as a head, with a bright blob in them or without, have as much detail as a
head, but their edges all run alike: in a head the direction of the gradient turns from place to
place. Of the same 767 slices the least share of pixels with turning edges was 0.34, the greatest of
twelve shaded discs 0.23. Discs that are noisy as well can pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

LEAST_CORRELATION = 0.4
LEAST_DETAIL = 0.014
LEAST_TURNING = 0.3
COHERENT = 0.8
NEIGHBOURHOOD_PIXELS = 4.0
FOREGROUND_SHARE = 0.08
SMOOTHING_PIXELS = 2.0
BORDER_PIXELS = 6
LEAST_PAIRS = 50


@dataclass(frozen=True)
class Plausibility:
    """How much a slice is like a picture of a head.

    Attributes:
        correlation: Of neighbouring pixels of the foreground, the lesser of rows and columns;
            noise has 0.
        detail: Mean gradient inside the smoothed foreground, in ranges of intensity per pixel;
            a flat or evenly shaded body has almost none.
        turning: Share of the smoothed foreground where edges of several directions meet.
    """

    correlation: float
    detail: float
    turning: float

    @property
    def is_head(self) -> bool:
        """Whether it can be a head."""
        return (
            self.correlation >= LEAST_CORRELATION
            and self.detail >= LEAST_DETAIL
            and self.turning >= LEAST_TURNING
        )


def plausibility(image: npt.NDArray[np.float32]) -> Plausibility:
    """Neighbour correlation, detail and turning edges of a normalised patch of the network.

    Args:
        image: Normalised intensities (see `normalise_slices`), pixels of 1.5 mm, shape (H, W).
    """
    foreground = image > image.min() + FOREGROUND_SHARE * np.ptp(image)
    correlations = [_neighbour_correlation(image, foreground, axis) for axis in (0, 1)]
    inside = ndimage.binary_erosion(foreground, iterations=BORDER_PIXELS)
    if not inside.any():
        return Plausibility(min(correlations), 0.0, 0.0)
    rows, columns = np.gradient(ndimage.gaussian_filter(image, SMOOTHING_PIXELS))
    return Plausibility(
        min(correlations),
        float(np.hypot(rows, columns)[inside].mean()),
        float((_coherence(rows, columns)[inside] < COHERENT).mean()),
    )


def _coherence(
    rows: npt.NDArray[np.float32], columns: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """How alike the gradients around a pixel run: 1 along one line, 0 in all directions.

    From the eigenvalues a >= b of the structure tensor, (a - b) / (a + b); 1 where nothing changes.

    References:
        Bigün and Granlund 1987, ICCV, pages 433-438.
    """
    down, across, both = (
        ndimage.gaussian_filter(product.astype(np.float64), NEIGHBOURHOOD_PIXELS)
        for product in (rows * rows, columns * columns, rows * columns)
    )
    total = down + across
    apart = np.sqrt((down - across) ** 2 + 4 * both**2)
    found: npt.NDArray[np.float64] = np.divide(
        apart, total, out=np.ones_like(total), where=total > 0
    )
    return found


def _neighbour_correlation(
    image: npt.NDArray[np.float32], foreground: npt.NDArray[np.bool_], axis: int
) -> float:
    """Correlation of pixels with the next one along an axis; 0 where there are too few."""
    before, after = np.arange(image.shape[axis] - 1), np.arange(1, image.shape[axis])
    both = foreground.take(before, axis) & foreground.take(after, axis)
    first, second = image.take(before, axis)[both], image.take(after, axis)[both]
    if len(first) < LEAST_PAIRS or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


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
