"""What a language model is told: true sentences to choose from, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from brain_tumor.explanation.facts.model import Facts, Language
from brain_tumor.explanation.rationale.composer.composer import variants
from brain_tumor.explanation.rationale.plan import plan_statements
from brain_tumor.explanation.rationale.statements import Statement

LONGEST_PROMPT = 12_000

_INSTRUCTIONS = {
    Language.ENGLISH: (
        "You write the explanation of a brain tumour classification for a radiologist. Below are "
        "true statements, one a line. Choose the statements that matter, order them so that they "
        "read well, and write them as plain English sentences, one a line. You may rephrase "
        "lightly. Keep every number, unit, side and type exactly. Add nothing: no advice, no "
        "prognosis, no history, no other findings."
    ),
    Language.KOREAN: (
        "당신은 영상의학과 의사를 위해 뇌종양 분류의 설명을 씁니다. "
        "아래는 한 줄에 하나씩 적힌 참인 문장입니다. "
        "중요한 문장을 골라 읽기 좋은 순서로 한 줄에 하나씩 쓰십시오. "
        "숫자, 단위, 좌우, 유형은 그대로 두십시오. "
        "조언, 예후, 병력, 다른 소견을 덧붙이지 마십시오."
    ),
}


@dataclass(frozen=True)
class Choice:
    """A statement and the wordings that a model may choose from.

    Attributes:
        statement: What is said.
        wordings: Sentences that mean the same.
    """

    statement: Statement
    wordings: tuple[str, ...]


def choices(facts: Facts, language: Language) -> tuple[Choice, ...]:
    """What may be said, in the composer's order."""
    return tuple(Choice(s, variants(s, language)) for s in plan_statements(facts))


def messages(facts: Facts, language: Language) -> list[dict[str, str]]:
    """Messages of a chat: instructions and true sentences, nothing about the patient."""
    lines = [f"- {choice.wordings[0]}" for choice in choices(facts, language)]
    text = "\n".join(lines)[:LONGEST_PROMPT]
    return [
        {"role": "system", "content": _INSTRUCTIONS[language]},
        {"role": "user", "content": text},
    ]


def split_sentences(text: str) -> Sequence[str]:
    """Sentences of a model's answer: by line, then by full stop, without bullets and quotes."""
    found = []
    for line in text.splitlines():
        bare = re.sub(r"^\s*(?:[-*\u2022]+|\(?\d+[.)])\s+", "", line).strip().strip('"').strip()
        found += re.split(r"(?<=[.!?])\s+(?=\S)", bare) if bare else []
    return [sentence for sentence in found if sentence]
