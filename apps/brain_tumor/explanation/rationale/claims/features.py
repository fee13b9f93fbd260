"""Claims on measured values, on the place of the tumour and on what is missing."""

from __future__ import annotations

from dataclasses import dataclass

from brain_tumor.explanation.facts.feature_families import is_view
from brain_tumor.explanation.facts.model import (
    CLEAR_CONTRIBUTION,
    LOCATION,
    EvidenceItem,
    Facts,
    Side,
    probability_id,
)
from brain_tumor.explanation.facts.numbers import WrittenNumber
from brain_tumor.explanation.facts.reference import TYPICAL_RANGE
from brain_tumor.explanation.rationale.claims.base import (
    NEARLY_ALL,
    RANK_STEP,
    FeatureClaim,
    measured_problem,
)
from brain_tumor.labels import TumorType

_PROBABILITIES = frozenset(probability_id(tumor) for tumor in TumorType)


@dataclass(frozen=True)
class ValueClaim(FeatureClaim):
    """A fact has a value; no probability is told as certain."""

    number: WrittenNumber

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""

        def check(item: EvidenceItem, value: float) -> str:
            is_certain = self.feature in _PROBABILITIES and self.number.fact >= 1.0
            if self.number.states(value, item.unit) and not is_certain:
                return ""
            return f"{self.feature} is {value:.4g} {item.unit}, not {self.number.value:g} " + (
                self.number.unit or "1"
            )

        return measured_problem(facts, self.feature, check)


@dataclass(frozen=True)
class RankClaim(FeatureClaim):
    """A value is higher (or lower) than in a share of the patients of a type.

    `share` is None for "nearly all".
    """

    higher: bool
    share: float | None
    tumor: TumorType

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""

        def check(item: EvidenceItem, _: float) -> str:
            below = item.percentile.get(self.tumor)
            if below is None:
                return f"{self.feature} has no reference of {self.tumor.value}"
            share = below if self.higher else 1.0 - below
            stated = NEARLY_ALL if self.share is None else self.share
            slack = 1.0 if self.share is None else RANK_STEP
            if stated >= 0.5 and stated - 0.005 <= share < stated + slack + 1e-9:
                return ""
            return f"{self.feature} lies above {below:.0%} of {self.tumor.value}"

        return measured_problem(facts, self.feature, check)


@dataclass(frozen=True)
class TypicalClaim(FeatureClaim):
    """A value lies in the middle half of the patients of a type."""

    tumor: TumorType

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""

        def check(item: EvidenceItem, _: float) -> str:
            below = item.percentile.get(self.tumor)
            if below is not None and TYPICAL_RANGE[0] <= below <= TYPICAL_RANGE[1]:
                return ""
            return f"{self.feature} is not typical of {self.tumor.value}"

        return measured_problem(facts, self.feature, check)


@dataclass(frozen=True)
class SupportClaim(FeatureClaim):
    """A measured value speaks for or against a type in the classifier's decision."""

    tumor: TumorType
    favours: bool

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        if facts.decision.prediction is None:
            return "the type is undetermined, so nothing speaks for or against one"

        def check(item: EvidenceItem, _: float) -> str:
            signed = item.contributions.get(self.tumor, 0.0)
            if (signed if self.favours else -signed) >= CLEAR_CONTRIBUTION:
                return ""
            return f"{self.feature} contributes {signed:+.3f} to {self.tumor.value}"

        return measured_problem(facts, self.feature, check)


class _OnPlace:
    """Rests on the place of the tumour."""

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (LOCATION,)


@dataclass(frozen=True)
class PlaceClaim(_OnPlace):
    """The tumour lies on a side, in a region; None where the sentence does not say."""

    side: Side | None
    region: str | None = None

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        item = facts.item(LOCATION)
        if item is None:
            return "the place of the tumour is not among the facts"
        if self.side is not None and self.side is not item.side:
            return f"the side is {item.side.value if item.side else 'not known'}"
        bare = (item.region or "").removeprefix("left ").removeprefix("right ")
        if self.region is not None and self.region != bare:
            return f"the region is {item.region or 'not known'}"
        return ""


@dataclass(frozen=True)
class UnknownPlaceClaim(_OnPlace):
    """The region (or the side) of the tumour could not be determined."""

    what: str

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        item = facts.item(LOCATION)
        known = item is not None and (item.region if self.what == "region" else item.side)
        return f"the {self.what} is known" if known or item is None else ""


@dataclass(frozen=True)
class NotMeasuredClaim(FeatureClaim):
    """A feature could not be measured; `reason` is empty where the sentence gives none."""

    reason: str = ""

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        item = facts.item(self.feature)
        if item is None:
            return f"{self.feature} is not among the facts"
        if item.measured:
            return f"{self.feature} was measured"
        if self.reason and self.reason != item.reason:
            return f"{self.feature} is missing because '{item.reason}'"
        return ""


@dataclass(frozen=True)
class ViewClaim(FeatureClaim):
    """Part of the decision rests on the view of the slice, measured by a feature."""

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""

        def check(item: EvidenceItem, _: float) -> str:
            clear = any(abs(c) >= CLEAR_CONTRIBUTION for c in item.contributions.values())
            return "" if clear and is_view(self.feature) else f"{self.feature} is not of the view"

        return measured_problem(facts, self.feature, check)
