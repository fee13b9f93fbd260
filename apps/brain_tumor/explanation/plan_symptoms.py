"""What to say about the visual symptoms: one sentence on what is seen, one on what conflicts."""

from __future__ import annotations

from collections.abc import Iterator

from brain_tumor.explanation.facts.model import Facts
from brain_tumor.explanation.facts.numbers import written
from brain_tumor.explanation.rationale.claims import SymptomClaim, SymptomConflictClaim
from brain_tumor.explanation.rationale.statements import Form, Kind, Statement
from brain_tumor.explanation.symptom_facts import SymptomFact
from brain_tumor.labels import TumorType

MOST_SEEN, MOST_OWN, MOST_CONFLICTS = 3, 2, 2
"""Symptoms that are told, those of the predicted type among them, and conflicts."""
CLEAR_MARGIN = 0.25
"""A score nearer to one half than this is no conflict worth a sentence."""


def symptom_statements(facts: Facts) -> Iterator[Statement]:
    """The clearest symptoms that are seen and measured, then the conflicts.

    Those of the predicted type come first; one of another class is told where there is one, because
    the second reader saw that, too.

    An image unlike the training images has no symptoms to be believed.

    Args:
        facts: What is known.
    """
    if facts.decision.is_out:
        return
    agreed = _chosen(facts)
    if agreed:
        seen = tuple(_claim(symptom, of_type=True) for symptom in agreed)
        yield Statement(Form.SYMPTOMS, Kind.FINDING, seen, required=False)
    apart = sorted(
        (s for s in facts.symptoms if s.agrees is False and abs(s.score - 0.5) >= CLEAR_MARGIN),
        key=lambda s: -abs(s.score - 0.5),
    )
    if apart:
        claims = tuple(_claim(symptom, of_type=False) for symptom in apart[:MOST_CONFLICTS])
        yield Statement(Form.SYMPTOM_CONFLICT, Kind.CONFLICT, (SymptomConflictClaim(), *claims))


def _chosen(facts: Facts) -> list[SymptomFact]:
    """What is told of the symptoms that are seen and measured."""
    agreed = sorted((s for s in facts.symptoms if s.matched and s.agrees), key=lambda s: -s.score)
    predicted = facts.decision.prediction
    own = [s for s in agreed if predicted is not None and s.kind == predicted][:MOST_OWN]
    others = [s for s in agreed if predicted is None or s.kind != predicted]
    return [*own, *others[: MOST_SEEN - MOST_OWN if own else MOST_SEEN]]


def _claim(symptom: SymptomFact, *, of_type: bool) -> SymptomClaim:
    """What is said of a symptom; a class that was added by words is no type, so it is left out."""
    is_type = of_type and symptom.kind in set(TumorType)
    return SymptomClaim(
        symptom.id,
        symptom.text,
        symptom.feature,
        seen=symptom.matched,
        agrees=symptom.agrees,
        number=written(symptom.score, "1"),
        tumor=TumorType(symptom.kind) if is_type else None,
    )
