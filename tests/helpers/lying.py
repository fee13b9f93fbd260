"""Turns true English sentences into false ones, so that a liar never runs out of lies."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from brain_tumor.explanation.facts.model import Facts, Language
from brain_tumor.explanation.rationale.composer.composer import compose


def _swap(text: str, one: str, other: str) -> str:
    """Exchange two words."""
    return re.sub(rf"\b({one}|{other})\b", lambda match: other if match[1] == one else one, text)


def _scaled(text: str) -> str:
    """Every number 1.37 times as large, with as many digits; 0 becomes 3."""

    def larger(match: re.Match[str]) -> str:
        number = match[0]
        decimals = len(number.partition(".")[2])
        changed = 1.37 * float(number) or 3.0
        return f"{changed + (decimals == 0 and changed < 3):.{decimals}f}"

    return re.sub(r"\d+(?:\.\d+)?", larger, text)


MUTATIONS: Mapping[str, Callable[[str], str]] = {
    "numbers scaled": _scaled,
    "sides exchanged": lambda text: _swap(text, "left", "right"),
    "directions exchanged": lambda text: _swap(text, "higher", "lower"),
    "support turned": lambda text: _swap(text, "for a", "against a") if "speaks" in text else text,
    "inside and outside exchanged": lambda text: _swap(text, "inside", "outside"),
    "unit changed": lambda text: text.replace(" mm", " cm").replace(" mL", " mm"),
    "measured and missing exchanged": lambda text: text.replace(
        "could not be measured", "was clearly normal"
    ),
    "negated": lambda text: re.sub(r"\b(is|speaks|lies|point|remains)\b", r"\1 not", text, count=1),
    "advice appended": lambda text: text.removesuffix(".") + ", so surgery is advised.",
    "prognosis appended": lambda text: text.removesuffix(".") + " and means poor survival.",
    "certainty added": lambda text: text.replace("point clearly to", "prove").replace(
        "without certainty", "with certainty"
    ),
}
"""What is done to a sentence. Each makes a true sentence false, or says what no fact says."""


def lies(facts: Facts) -> list[tuple[str, str]]:
    """Mutations and the false sentences that they make of the composer's."""
    found = []
    for sentence in compose(facts, Language.ENGLISH):
        for name, mutate in MUTATIONS.items():
            text = mutate(sentence.text)
            if text != sentence.text:
                found.append((name, text))
    return found


class LyingProvider:
    """Lies in every way at once."""

    name = "liar"

    def phrase(self, facts: Facts, language: Language) -> Sequence[str]:
        """False sentences."""
        return [text for _, text in lies(facts)]
