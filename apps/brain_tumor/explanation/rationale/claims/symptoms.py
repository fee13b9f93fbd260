"""Claims on the visual symptoms of the second reader."""

from __future__ import annotations

from dataclasses import dataclass

from brain_tumor.explanation.facts.model import Facts
from brain_tumor.explanation.facts.numbers import WrittenNumber
from brain_tumor.explanation.rationale.claims.base import FeatureClaim
from brain_tumor.labels import TumorType


@dataclass(frozen=True)
class SymptomClaim(FeatureClaim):
    """The second reader sees a symptom (or does not), and a measurement agrees (or does not).

    What a sentence leaves open is None.

    Attributes:
        feature: Id of the symptom.
        text: The symptom in words.
        measured: Id of the measured feature that proves it.
        seen: Whether it is said to be seen.
        agrees: Whether its measurement is said to agree.
        number: Its score.
        tumor: Type that it is said to be a symptom of.
    """

    text: str
    measured: str
    seen: bool | None = None
    agrees: bool | None = None
    number: WrittenNumber | None = None
    tumor: TumorType | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (self.feature,) if self.agrees is None else (self.feature, self.measured)

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        fact = facts.symptom(self.feature)
        if fact is None:
            return f"{self.feature} is not among the facts"
        if self.seen is not None and self.seen is not fact.matched:
            return f"{self.feature} is {'seen' if fact.matched else 'not seen'} ({fact.score:.2f})"
        if self.agrees is not None and self.agrees is not fact.agrees:
            said = {None: "is missing", True: "agrees", False: "contradicts it"}[fact.agrees]
            return f"the measurement of {self.feature} {said}"
        if self.number is not None and not self._states(fact.score):
            return f"the score of {self.feature} is {fact.score:.2f}"
        if self.tumor is not None and self.tumor.value != fact.kind:
            return f"{self.feature} is a symptom of {fact.kind}"
        return ""

    def _states(self, score: float) -> bool:
        """Whether the number is the score; in per cent it would pass for a probability."""
        return self.number is not None and not self.number.unit and self.number.states(score, "1")


@dataclass(frozen=True)
class SymptomConflictClaim:
    """The second reader and the measurements contradict each other somewhere."""

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on; its symptoms are claims of their own."""
        return ()

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        if any(symptom.agrees is False for symptom in facts.symptoms):
            return ""
        return "no symptom contradicts its measurement"
