"""The deterministic composer: every statement in fixed words, always there, under 5 ms."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from brain_tumor.explanation.facts.model import Facts, Language
from brain_tumor.explanation.rationale.composer.english import english_variants
from brain_tumor.explanation.rationale.composer.korean import korean_variants
from brain_tumor.explanation.rationale.plan import plan_statements
from brain_tumor.explanation.rationale.statements import Statement


@dataclass(frozen=True)
class ComposedSentence:
    """A statement in words.

    Attributes:
        statement: What it says.
        text: The sentence.
        evidence: Ids of the items that it rests on.
    """

    statement: Statement
    text: str
    evidence: tuple[str, ...]


def variants(statement: Statement, language: Language) -> tuple[str, ...]:
    """All wordings of a statement."""
    if language is Language.ENGLISH:
        return english_variants(statement)
    return korean_variants(statement)


def compose(facts: Facts, language: Language = Language.ENGLISH) -> tuple[ComposedSentence, ...]:
    """Everything worth saying about a case, in fixed words.

    Statements of one form take turns among its wordings, so that findings do not all sound alike.

    Args:
        facts: What is known.
        language: Of the sentences.
    """
    said: Counter[str] = Counter()
    sentences = []
    for statement in plan_statements(facts):
        wordings = variants(statement, language)
        text = wordings[said[statement.form] % len(wordings)]
        said[statement.form] += 1
        evidence = facts.evidence_ids(*statement.features)
        sentences.append(ComposedSentence(statement, text, evidence))
    return tuple(sentences)
