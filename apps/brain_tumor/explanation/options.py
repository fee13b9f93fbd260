"""What a client may ask to be explained, and how."""

from __future__ import annotations

from dataclasses import dataclass

from brain_tumor.errors import InputError
from brain_tumor.explanation.facts.model import Language
from brain_tumor.explanation.heat.methods import HeatMethod
from brain_tumor.explanation.rationale.providers.base import COMPOSER
from brain_tumor.labels import Region, TumorType

PREDICTION, RUNNER_UP = "prediction", "runner_up"
REGION_TARGETS = tuple(region.value for region in Region)
TARGETS = (PREDICTION, RUNNER_UP, *(kind.value for kind in TumorType), *REGION_TARGETS)
REGION_METHOD = HeatMethod.LAYERCAM
"""The one method that explains a region; see `cam_regions`."""


@dataclass(frozen=True)
class ExplanationOptions:
    """What to explain, and how.

    Attributes:
        method: How the heat is made; None is the default for a type, if it passes the sanity
            check (see `MethodSanity`), and `REGION_METHOD` for a region.
        target: "prediction" (the most probable type), "runner_up" (what the second type has over
            the first), a type, or a region ("WT", "TC", "ET") whose outline is explained.
        language: Of the rationale.
        provider: Who phrases the rationale.

    Raises:
        InputError: If the target is unknown, or the method does not explain a region.
    """

    method: HeatMethod | None = None
    target: str = PREDICTION
    language: Language = Language.ENGLISH
    provider: str = COMPOSER

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise InputError(f"target is '{self.target}'; expected one of {', '.join(TARGETS)}")
        if self.region is not None and self.method not in (None, REGION_METHOD):
            raise InputError(
                f"method is '{self.method}'; expected '{REGION_METHOD}' for the region "
                f"{self.target}",
                remedy=f"Leave out the method or choose '{REGION_METHOD}', or explain the tumour "
                "type (target prediction).",
            )

    @property
    def region(self) -> Region | None:
        """Region to explain; None if it is a type."""
        return Region(self.target) if self.target in REGION_TARGETS else None
