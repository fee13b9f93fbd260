"""Tiny cases without a patient, to run everything once before the first request."""

from __future__ import annotations

import numpy as np

from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume

SIZE_VOXELS = 64
SPACING_MM = 3.0


def synthetic_cases() -> tuple[Case, ...]:
    """A bright ball in noise, 64 voxels of 3 mm a side: in all four sequences, and in t1c alone.

    These are the two kinds of case that different models read.
    """
    centre = (SIZE_VOXELS - 1) / 2
    grid = np.indices((SIZE_VOXELS,) * 3, dtype=np.float32) - centre
    radius = np.sqrt((grid**2).sum(axis=0))
    noise = np.random.default_rng(0).normal(0.0, 1.0, radius.shape)
    array = (np.where(radius < SIZE_VOXELS / 3, 100.0, 0.0) + noise).astype(np.float32)
    volume = Volume(array, np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0]))
    return (
        Case("warm-up", Sequence.T1C, dict.fromkeys(Sequence, volume)),
        Case("warm-up", Sequence.T1C, {Sequence.T1C: volume}),
    )
