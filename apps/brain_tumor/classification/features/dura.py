"""The border of the brain beside the tumour: distance, contact and dural tail.

The border of the intracranial space (see `head`) stands for dura and inner table of the skull.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from brain_tumor.classification.features.grid import ImageArray, PixelSize, median, sample
from brain_tumor.classification.features.head import Head
from brain_tumor.classification.features.measurement import (
    Measurement,
    measured_or,
    missing,
    place_in_pixels,
)
from brain_tumor.classification.features.outline import Boundary, FloatArray

CONTACT_MM = 5.0
CONTACT_FADE_MM = 2.0
"""An outline no farther than this from the border of the brain touches it: the border is known to
about 2 mm and the subarachnoid space adds as much. Contact length counts in full up to 3 mm and
fades to nothing at 7 mm, so that it does not jump."""

TAIL_MM = (3.0, 20.0)
TAIL_REST_MM = 30.0
TAIL_DEPTH_MM = np.arange(-3.0, 4.5, 1.0)


def dura_features(
    boundary: Boundary, relative: ImageArray, head: Head, pixel_mm: PixelSize
) -> dict[str, Measurement]:
    """Distance to and contact with the border of the brain, and the dural tail."""
    units = {
        "border_distance_mm": "mm",
        "border_contact_mm": "mm",
        "border_contact_ratio": "1",
        "dural_tail_index": "1",
    }
    reason = head.border_reason or ("" if len(head.border_mm) else "the brain has no border")
    if reason:
        return {name: missing(unit, reason) for name, unit in units.items()}
    apart = cdist(boundary.points_mm, head.border_mm)
    distances = apart.min(axis=1)
    closest = int(distances.argmin())
    fading = 0.5 + (CONTACT_MM - distances) / (2.0 * CONTACT_FADE_MM)
    share = float(np.clip(fading, 0.0, 1.0).mean())
    place = place_in_pixels(head.border_mm[apart[closest].argmin()], pixel_mm)
    touching = distances[closest] <= CONTACT_MM
    return {
        "border_distance_mm": Measurement(float(distances[closest]), "mm", place),
        "border_contact_mm": Measurement(share * boundary.perimeter_mm, "mm", place),
        "border_contact_ratio": Measurement(share, "1", place),
        "dural_tail_index": (
            _dural_tail(apart.min(axis=0), relative, head, pixel_mm)
            if touching
            else missing("1", "the tumour does not reach the border of the brain")
        ),
    }


def _dural_tail(
    away: FloatArray, relative: ImageArray, head: Head, pixel_mm: PixelSize
) -> Measurement:
    """Excess brightness of the border beside the tumour over the rest of the border.

    At every border point the brightest value from 3 mm inside to 4 mm outside is taken. The tail
    is the border 3-20 mm from the tumour, the rest is more than 30 mm away; the index is the mean
    of the first less the median of the second, in units of brain intensity.

    Args:
        away: Distance of every border point to the outline of the tumour, mm.
        relative: Intensity relative to brain, shape (rows, columns).
        head: Head of the slice.
        pixel_mm: Height and width of a pixel of `relative`.
    """
    border = head.border_mm
    tangent = np.roll(border, -2, axis=0) - np.roll(border, 2, axis=0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    points = border[:, None, :] + TAIL_DEPTH_MM[:, None] * normal[:, None, :]
    brightest = sample(relative, points, pixel_mm).max(axis=1)
    tail = (away >= TAIL_MM[0]) & (away <= TAIL_MM[1])
    rest = away > TAIL_REST_MM
    if np.count_nonzero(tail) < 4 or np.count_nonzero(rest) < 20:
        return missing("1", "too little border of the brain beside the tumour")
    index = float(brightest[tail].mean()) - median(brightest[rest])
    peak = np.flatnonzero(tail)[brightest[tail].argmax()]
    return measured_or(index, "1", "no border", place=place_in_pixels(border[peak], pixel_mm))
