"""What a server does before the first request: tiny cases without a patient, a language model."""

from __future__ import annotations

import logging
import os

import numpy as np

from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.explanation.rationale.providers.base import EMBEDDED, ProviderError
from brain_tumor.explanation.rationale.providers.embedded import EmbeddedProvider
from brain_tumor.explanation.rationale.providers.registry import (
    ProviderSettings,
    available_providers,
    provider_of_environment,
)

logger = logging.getLogger(__name__)

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


def warm_up_language_model() -> None:
    """Start the embedded model where it is installed, so that the first rationale is not late.

    A model that cannot be started is a line in the log: the composer stands in for it.
    """
    if EMBEDDED not in available_providers(ProviderSettings.from_environment(os.environ)):
        return
    provider = provider_of_environment(EMBEDDED)
    if not isinstance(provider, EmbeddedProvider):
        return
    try:
        provider.warm_up()
    except ProviderError as error:
        logger.warning("the embedded language model is not warm: %s", error.message)
