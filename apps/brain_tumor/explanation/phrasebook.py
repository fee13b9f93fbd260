"""The words of one language: a function for every form of statement."""

from __future__ import annotations

from collections.abc import Callable

from brain_tumor.explanation.rationale.statements import Form, Statement

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
