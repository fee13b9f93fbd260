"""Names of the models: folders below the models folder, and what clients and commands call them."""

from __future__ import annotations

from enum import StrEnum


class ModelName(StrEnum):
    """A bundle by its folder."""

    SEGMENTATION = "segmentation"
    WHOLE_HEAD = "whole_head"
    TUMOR_CORE = "tumor_core"
    CLASSIFICATION = "classification"
    CONCEPTS = "concepts"


CORRECTABLE = (
    ModelName.SEGMENTATION.value,
    ModelName.TUMOR_CORE.value,
    ModelName.CLASSIFICATION.value,
)
"""What learns from corrections; each has a tuner in `learning.retraining.job`."""
