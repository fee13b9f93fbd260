"""What every claim has in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from brain_tumor.explanation.facts.model import EvidenceItem, Facts

STRENGTHS = (0.0, 0.5, 0.75, 0.9)
"""Least probability at which a type may be named: slightly, as a suggestion, plainly, clearly."""
NEARLY_ALL = 0.99
RANK_STEP = 0.05
"""Ranks are written in steps, rounded down: "higher than in 90 %" holds up to 95 %."""


class Claim(Protocol):
    """One assertion."""

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""


@dataclass(frozen=True)
class FeatureClaim:
    """A claim on one fact.

    Attributes:
        feature: Id of the fact.
    """

    feature: str

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (self.feature,)


def strength_of(probability: float) -> int:
    """Index of the strongest wording that a probability allows, see `STRENGTHS`."""
    return max(i for i, least in enumerate(STRENGTHS) if probability >= least)


def measured_problem(
    facts: Facts, feature: str, check: Callable[[EvidenceItem, float], str] = lambda _i, _v: ""
) -> str:
    """Problem of a claim on a measured item."""
    item = facts.item(feature)
    if item is None:
        return f"{feature} is not among the facts"
    if item.value is None:
        return f"{feature} was not measured"
    return check(item, item.value)
