"""Visual symptoms of the second reader as facts: score, class, and what the measurement says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brain_tumor.concepts.reader import SymptomReading, symptom_id


@dataclass(frozen=True)
class SymptomFact:
    """One symptom, seen or not.

    Attributes:
        id: Feature id of its evidence item, "symptom_1", ...
        text: The symptom in words.
        kind: Class that it speaks for; none of `TumorType` if it was added by words.
        score: How likely it is seen, 0-1.
        matched: Whether it counts as seen.
        feature: Id of the measured feature that proves it.
        present: Whether the measurement shows it; None if it could not be measured.
    """

    id: str
    text: str
    kind: str
    score: float
    matched: bool
    feature: str
    present: bool | None

    @property
    def agrees(self) -> bool | None:
        """Whether picture and measurement agree; None if it could not be measured."""
        return None if self.present is None else self.present is self.matched


def symptom_facts(symptoms: Sequence[SymptomReading]) -> tuple[SymptomFact, ...]:
    """Facts of a reading, in its order.

    Args:
        symptoms: What the second reader says of each.
    """
    return tuple(
        SymptomFact(symptom_id(row), s.text, s.kind, s.score, s.matched, s.feature, s.present)
        for row, s in enumerate(symptoms)
    )
