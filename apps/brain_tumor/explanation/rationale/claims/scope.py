"""Claims on what the classifier cannot name: its scope, and lesions that look alike."""

from __future__ import annotations

from dataclasses import dataclass

from brain_tumor.classification.scope import NOT_KNOWN
from brain_tumor.explanation.facts.differential import lookalike, lookalikes
from brain_tumor.explanation.facts.model import PREDICTION, Facts


@dataclass(frozen=True)
class ScopeClaim:
    """What is said is said among the three types; these lesions are not among them."""

    lesions: frozenset[str] = frozenset()

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        return (PREDICTION,)

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        del facts
        unknown = self.lesions - set(NOT_KNOWN)
        return f"{sorted(unknown)} is no lesion of the scope" if unknown else ""


@dataclass(frozen=True)
class LookalikeClaim:
    """A measured finding is also seen in lesions that are not among the types.

    Attributes:
        row: Id of the finding, see `facts.differential`.
        lesions: Ids of the lesions.
    """

    row: str
    lesions: frozenset[str]

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on."""
        row = lookalike(self.row)
        return (PREDICTION, *(row.features if row else ()))

    def problem(self, facts: Facts) -> str:
        """Why the facts do not bear it out; empty if they do."""
        row = next((found for found in lookalikes(facts) if found.id == self.row), None)
        if row is None:
            return f"the finding '{self.row}' was not measured"
        others = self.lesions - set(row.looks_like)
        if others or not self.lesions:
            return f"{sorted(others)} is not what '{self.row}' is also seen in"
        return ""
