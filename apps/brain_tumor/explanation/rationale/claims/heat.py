"""Claims on the heatmap."""

from __future__ import annotations

from dataclasses import dataclass

from brain_tumor.explanation.facts.model import HEAT_INSIDE, HIGH_HEAT, LOW_HEAT, Facts
from brain_tumor.explanation.facts.numbers import WrittenNumber
from brain_tumor.explanation.heat.volume import DILATION_MM
from brain_tumor.explanation.rationale.claims.base import FeatureClaim
from brain_tumor.labels import TumorType


class _OnHeat:
    """Rests on what the heatmap says as a whole."""

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (HEAT_INSIDE,)


@dataclass(frozen=True)
class HeatShareClaim(_OnHeat):
    """A share of the heat (of a type, where the sentence names it) lies inside the tumour."""

    number: WrittenNumber
    target: TumorType | None = None

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        heat = facts.heat
        if heat is None:
            return "there is no heatmap"
        if self.target not in {None, heat.target}:
            return f"the heatmap is of {heat.target.value}"
        if not self.number.states(heat.inside_share, "1"):
            return f"{heat.inside_share:.3f} of the heat lies inside"
        return ""


@dataclass(frozen=True)
class HeatPeakClaim(_OnHeat):
    """The hottest point lies inside (or outside) the tumour."""

    inside: bool

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        if facts.heat is None:
            return "there is no heatmap"
        return "" if facts.heat.peak_inside is self.inside else "the peak lies elsewhere"


@dataclass(frozen=True)
class HeatPeakNearClaim(_OnHeat):
    """The hottest point lies inside the tumour or within a distance of it."""

    reach: WrittenNumber

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        if facts.heat is None or facts.heat.peak_near is None:
            return "it is not known how near to the tumour the peak lies"
        if not self.reach.states(DILATION_MM, "mm"):
            return f"the peak was looked for within {DILATION_MM:g} mm"
        return "" if facts.heat.peak_near else "the peak lies farther away"


@dataclass(frozen=True)
class HeatAgreementClaim(_OnHeat):
    """Heatmap and measurements agree (or disagree) on the place."""

    agrees: bool

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        heat = facts.heat
        if heat is None:
            return "there is no heatmap"
        if self.agrees and heat.faithful is False:
            return "the heatmap failed its faithfulness test"
        return "" if heat.agrees is self.agrees else "heatmap and measurements say otherwise"


@dataclass(frozen=True)
class HeatNearClaim(FeatureClaim):
    """The heatmap is high (or low) at the place of a measurement."""

    high: bool
    number: WrittenNumber | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (self.feature, HEAT_INSIDE)

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        item = facts.item(self.feature)
        if facts.heat is None or item is None or item.heat is None:
            return f"there is no heat at {self.feature}"
        wrong = item.heat < HIGH_HEAT if self.high else item.heat >= LOW_HEAT
        if wrong or (self.number is not None and not self.number.states(item.heat, "1")):
            return f"the heat at {self.feature} is {item.heat:.2f}"
        return ""


@dataclass(frozen=True)
class FaithfulnessClaim(_OnHeat):
    """The heatmap passed (or failed) its faithfulness test."""

    passed: bool

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        if facts.heat is None or facts.heat.faithful is None:
            return "there is no faithfulness test"
        return "" if facts.heat.faithful is self.passed else "the test says otherwise"
