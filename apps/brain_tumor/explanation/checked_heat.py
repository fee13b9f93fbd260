"""A heatmap together with what its tests say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brain_tumor.explanation.facts.model import HeatFacts
from brain_tumor.explanation.faithfulness.report import FaithfulnessReport
from brain_tumor.explanation.heat.volume import HeatVolume


@dataclass(frozen=True, eq=False)
class CheckedHeat:
    """Heat of a case, put to the test.

    Attributes:
        heat: Heat on the reference grid; empty where there is nothing to explain.
        report: Where the heat lies, and whether it can be believed.
        facts: What may be said of it in words about the tumour type; None if it explains something
            else or is empty.
        timings_s: Seconds of `heatmap` and `faithfulness`.
    """

    heat: HeatVolume
    report: FaithfulnessReport
    facts: HeatFacts | None
    timings_s: Mapping[str, float]
