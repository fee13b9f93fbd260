"""Visual symptoms on the page: found and not found, with the words that carry the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brain_tumor.concepts.vocabulary import WORD
from brain_tumor.explanation.facts.model import Language
from brain_tumor.explanation.facts.vocabulary import KOREAN_SYMPTOMS
from brain_tumor.explanation.page.markup import Content, Markup, element, joined
from brain_tumor.explanation.page.report_view import Item, ReportView, mappings
from brain_tumor.explanation.page.text import NONE, Texts, decimal_text, finite

TOP_WORDS = 2
"""So many words of a symptom are marked at most: those that add most to its score."""


@dataclass(frozen=True)
class Symptom:
    """A symptom of the page.

    Attributes:
        name: In the page's language, its weightiest words marked.
        read: The English phrase that the model read, beside a Korean name; else None.
        anchor: Of its row in the evidence, or None.
        about: Its class and score.
        conflict: That picture and measurement contradict each other, if they do.
    """

    name: str
    read: str | None
    anchor: str | None
    about: str
    conflict: str | None


@dataclass(frozen=True)
class Symptoms:
    """Symptoms that the picture matches and those that it does not."""

    matched: Sequence[Symptom]
    unmatched: Sequence[Symptom]


def symptoms(view: ReportView, texts: Texts) -> Symptoms:
    """Visual symptoms found and not found."""
    found = mappings(view.report.get("symptoms"))
    matched, unmatched = (
        [_symptom(view, s, texts) for s in found if bool(s.get("matched")) is kind]
        for kind in (True, False)
    )
    return Symptoms(matched, unmatched)


def _symptom(view: ReportView, symptom: Item, texts: Texts) -> Symptom:
    score = finite(symptom.get("score"))
    about = [texts.tumor(symptom["class"])] if symptom.get("class") else []
    about += [decimal_text(score)] if score is not None else []
    text = str(symptom.get("text") or NONE)
    read = marked(text, top_words(symptom))
    korean = KOREAN_SYMPTOMS.get(text) if texts.language is Language.KOREAN else None
    return Symptom(
        korean or read,
        read if korean else None,
        view.anchors.get(str(symptom.get("evidence"))),
        ", ".join(about),
        _conflict(symptom, texts),
    )


def _conflict(symptom: Item, texts: Texts) -> str | None:
    present, matched = symptom.get("present"), bool(symptom.get("matched"))
    if not isinstance(present, bool) or present is matched:
        return None
    return texts("symptom_only_seen" if matched else "symptom_only_measured")


def top_words(symptom: Item) -> tuple[int, ...]:
    """Places of the words that add most to a symptom's score; words that add nothing are none."""
    weights = [finite(word.get("weight")) or 0.0 for word in mappings(symptom.get("words"))]
    places = sorted(range(len(weights)), key=lambda place: -weights[place])
    return tuple(sorted(place for place in places[:TOP_WORDS] if weights[place] > 0))


def marked(text: str, places: tuple[int, ...]) -> Markup:
    """A phrase with some of its words marked, counted as `words_of` does.

    Example:
        >>> str(marked("air, bone or fluid", (1,)))
        'air, <mark>bone</mark> or fluid'
    """
    pieces: list[Content] = []
    end = 0
    for place, word in enumerate(WORD.finditer(text)):
        if place in places:
            pieces += [text[end : word.start()], element("mark", word.group())]
            end = word.end()
    return joined(*pieces, text[end:])
