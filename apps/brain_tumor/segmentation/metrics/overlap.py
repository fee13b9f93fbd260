"""Dice of two masks, where nothing else is asked; reported scores are in `segmentation.metrics`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Dice of two masks of one shape, 1 when both are empty."""
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2 * int(np.count_nonzero(a & b)) / total if total else 1.0
