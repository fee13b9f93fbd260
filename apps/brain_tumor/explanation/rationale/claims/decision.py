"""Claims on the decision and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

from brain_tumor.explanation.facts.model import (
    OUT_OF_DISTRIBUTION,
    PREDICTION,
    SIMILAR_CASES,
    Facts,
    probability_id,
)
from brain_tumor.explanation.facts.numbers import NEARLY_CERTAIN, WrittenNumber
from brain_tumor.explanation.rationale.claims.base import STRENGTHS
from brain_tumor.labels import TumorType


@dataclass(frozen=True)
class TypeClaim:
    """The tumour is of a type, as strongly as index `strength` of `STRENGTHS`."""

    tumor: TumorType
    strength: int

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (probability_id(self.tumor),)

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        decision = facts.decision
        if decision.prediction is None:
            return "the type is undetermined"
        if decision.prediction is not self.tumor:
            return f"the prediction is {decision.prediction.value}"
        probability = (decision.probabilities or {})[self.tumor]
        if probability < STRENGTHS[self.strength] - 0.005:
            return f"a probability of {probability:.2f} does not bear this certainty"
        return ""


@dataclass(frozen=True)
class ProbabilityClaim:
    """A type has a probability, or more than it; nothing is told as certain."""

    tumor: TumorType
    number: WrittenNumber
    more: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (probability_id(self.tumor),)

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        probability = (facts.decision.probabilities or {}).get(self.tumor)
        if probability is None:
            return "there are no probabilities"
        if self.more and self.number == WrittenNumber(100.0 * NEARLY_CERTAIN, 0, "%"):
            holds = probability > NEARLY_CERTAIN
        else:
            holds = not self.more and self.number.states(probability, "1")
        if holds and self.number.fact < 1.0:
            return ""
        return f"the probability of {self.tumor.value} is {probability:.3f}"


@dataclass(frozen=True)
class RunnerUpClaim:
    """A type is the second most probable one."""

    tumor: TumorType

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (probability_id(self.tumor),)

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        second = facts.decision.runner_up
        return "" if second is self.tumor else f"the second type is {second}"


@dataclass(frozen=True)
class SetClaim:
    """Exactly these types remain possible at a coverage."""

    types: frozenset[TumorType]
    coverage: WrittenNumber | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return tuple(probability_id(tumor) for tumor in TumorType if tumor in self.types) or (
            PREDICTION,
        )

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        decision = facts.decision
        if decision.coverage is None:
            return "there is no prediction set"
        if frozenset(decision.prediction_set) != self.types:
            return f"the prediction set is {[t.value for t in decision.prediction_set]}"
        if self.coverage is not None and not self.coverage.states(decision.coverage, "1"):
            return f"the coverage is {decision.coverage:.3f}"
        return ""


@dataclass(frozen=True)
class UndeterminedClaim:
    """The type is undetermined, for these reasons (none: the sentence gives none)."""

    reasons: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (PREDICTION,)

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        if facts.decision.prediction is not None:
            return "the type is determined"
        wrong = [reason for reason in self.reasons if reason not in facts.decision.reasons]
        return f"{wrong} is no reason of the decision" if wrong else ""


@dataclass(frozen=True)
class OutsideClaim:
    """The image is unlike the training images."""

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (OUT_OF_DISTRIBUTION,)

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        return "" if facts.decision.is_out else "the image is like the training images"


@dataclass(frozen=True)
class OutsideLimitClaim:
    """The limit from which on an image counts as unlike the training images."""

    number: WrittenNumber

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (OUT_OF_DISTRIBUTION,)

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        limit = facts.decision.ood_threshold
        if limit is not None and self.number.states(limit, "1"):
            return "" if facts.decision.is_out else "the image is like the training images"
        return f"the limit is {limit}"


@dataclass(frozen=True)
class ThinEvidenceClaim:
    """Only so many of so many features could be measured."""

    measured: int
    total: int

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (PREDICTION,)

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        made, total = facts.measured_features
        if (self.measured, self.total) != (made, total):
            return f"{made} of {total} features were measured"
        return ""


@dataclass(frozen=True)
class CounterfactualClaim:
    """With another value of one feature, another type would be the most probable."""

    feature: str
    to: WrittenNumber
    tumor: TumorType

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (self.feature,)

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        found = facts.counterfactual.found if facts.counterfactual else None
        item = facts.item(self.feature)
        if found is None or item is None or found.feature != self.feature:
            return f"no counterfactual on {self.feature} was found"
        if facts.decision.prediction is self.tumor:
            return f"{self.tumor.value} is the prediction already"
        if item.value is not None and self.to.states(item.value, item.unit):
            return f"{self.feature} is {item.value:.4g} already"
        if found.tumor is not self.tumor or not self.to.states(found.to_value, item.unit):
            return f"{found.tumor.value} would win at {found.to_value:.4g}"
        return ""


@dataclass(frozen=True)
class NoCounterfactualClaim:
    """No single measured value could make a type the most probable."""

    tumor: TumorType

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (probability_id(self.tumor),)

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        search = facts.counterfactual
        if facts.decision.prediction is self.tumor:
            return f"{self.tumor.value} is the prediction already"
        if search is None or search.found is not None or search.tumor is not self.tumor:
            return "the search for a counterfactual says otherwise"
        return ""


@dataclass(frozen=True)
class SimilarClaim:
    """Of so many most similar training patients, so many had a type."""

    total: int
    count: int
    tumor: TumorType

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (SIMILAR_CASES,)

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        count = sum(case.tumor is self.tumor for case in facts.similar)
        if not facts.similar or (self.total, self.count) != (len(facts.similar), count):
            return f"{count} of {len(facts.similar)} similar patients had {self.tumor.value}"
        return ""
