"""One thing to say: its form, its kind, and the claims that it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from brain_tumor.explanation.rationale.claims import Claim

_ClaimType = TypeVar("_ClaimType")


class Kind(StrEnum):
    """Kind of a sentence, as in the reply."""

    FINDING = "finding"
    CLASS = "class"
    UNCERTAINTY = "uncertainty"
    COUNTERFACTUAL = "counterfactual"
    CONFLICT = "conflict"
    LOCATION = "location"


class Form(StrEnum):
    """What a statement says; each has its words in every language."""

    PLACE = "place"
    VOLUMES = "volumes"
    TYPE = "type"
    UNDETERMINED = "undetermined"
    FINDING = "finding"
    FINDING_AGAINST = "finding_against"
    FINDING_NEUTRAL = "finding_neutral"
    ATYPICAL = "atypical"
    HEAT_AGREES = "heat_agrees"
    HEAT_CONFLICT = "heat_conflict"
    HEAT_NEAR_CONFLICT = "heat_near_conflict"
    UNFAITHFUL = "unfaithful"
    SET = "set"
    OUTSIDE = "outside"
    NOT_MEASURED = "not_measured"
    UNKNOWN_PLACE = "unknown_place"
    THIN = "thin"
    VIEW = "view"
    COUNTERFACTUAL = "counterfactual"
    NO_COUNTERFACTUAL = "no_counterfactual"
    SIMILAR = "similar"
    SYMPTOMS = "symptoms"
    SYMPTOM_CONFLICT = "symptom_conflict"
    LOOKALIKE = "lookalike"
    SCOPE = "scope"


SUMMARY = frozenset({Form.PLACE, Form.TYPE, Form.UNDETERMINED, Form.LOOKALIKE, Form.SCOPE})
"""What is said first: what and where, which type and how sure, what else it could be."""


@dataclass(frozen=True)
class Statement:
    """One thing to say.

    Attributes:
        form: What it says.
        kind: Kind of the sentence.
        claims: What it asserts.
        required: Whether leaving it out would mislead: the decision, what speaks against it,
            every uncertainty and conflict.
        essential: How many of the claims, from the first, may not be left out; all if None.
        detail: Whether it is told among the details although its form is one of the summary.
    """

    form: Form
    kind: Kind
    claims: tuple[Claim, ...]
    required: bool = True
    essential: int | None = None
    detail: bool = False

    @property
    def is_summary(self) -> bool:
        """Whether it is one of the sentences that are read first."""
        return self.form in SUMMARY and not self.detail

    @property
    def essential_claims(self) -> tuple[Claim, ...]:
        """Claims without which the statement has not been made."""
        return self.claims[: self.essential]

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the facts that it rests on, without doubles."""
        return tuple(dict.fromkeys(name for claim in self.claims for name in claim.features))


def claims_of(statement: Statement, kind: type[_ClaimType]) -> list[_ClaimType]:
    """Claims of one class, in order."""
    return [claim for claim in statement.claims if isinstance(claim, kind)]


Wording = Callable[[Statement], list[str]]
"""From a statement to sentences that mean the same, without capital and full stop."""


class Phrasebook:
    """Wordings by form; a composer fills it with `words_for` while it is imported."""

    def __init__(self) -> None:
        self._wordings: dict[Form, Wording] = {}

    @property
    def forms(self) -> frozenset[Form]:
        """Forms that have words."""
        return frozenset(self._wordings)

    def words_for(self, form: Form) -> Callable[[Wording], Wording]:
        """Mark the function that has the words for a form."""

        def mark(wording: Wording) -> Wording:
            self._wordings[form] = wording
            return wording

        return mark

    def phrases(self, statement: Statement) -> list[str]:
        """Words for a statement; the first are the plainest."""
        return self._wordings[statement.form](statement)
