"""The section of visual symptoms: what is seen, by which words, and what measurements deny."""

from __future__ import annotations

from brain_tumor.concepts.vocabulary import WORD
from brain_tumor.explanation.facts.model import Language
from brain_tumor.explanation.page.markup import Content, Markup, element, joined
from brain_tumor.explanation.page.report_view import Item, ReportView, mappings
from brain_tumor.explanation.page.text import NONE, Texts, decimal_text, finite
from brain_tumor.explanation.symptom_words import KOREAN_SYMPTOMS

TOP_WORDS = 2
"""So many words of a symptom are marked at most: those that add most to its score."""


def symptoms(view: ReportView, texts: Texts) -> Markup | None:
    """Visual symptoms found and not found."""
    found = mappings(view.report.get("symptoms"))
    if not found:
        return None
    parts = []
    for matched, key in ((True, "matched"), (False, "unmatched")):
        items = [s for s in found if bool(s.get("matched")) is matched]
        if items:
            listed = (element("li", _symptom(view, s, texts)) for s in items)
            parts.append(element("div", element("h3", texts(key)), element("ul", listed)))
    help_text = element("p", texts("symptom_words"), class_="quiet")
    return element("section", element("h2", texts("symptoms")), help_text, parts, class_="whole")


def _symptom(view: ReportView, symptom: Item, texts: Texts) -> Markup:
    score = finite(symptom.get("score"))
    about = [texts.tumor(symptom["class"])] if symptom.get("class") else []
    about += [decimal_text(score)] if score is not None else []
    anchor = view.anchors.get(str(symptom.get("evidence")))
    text = str(symptom.get("text") or NONE)
    read = marked(text, top_words(symptom))
    korean = KOREAN_SYMPTOMS.get(text) if texts.language is Language.KOREAN else None
    name: Content = korean or read
    return joined(
        element("a", name, href=f"#{anchor}") if anchor else name,
        joined(" ", element("span", read, lang="en", class_="quiet")) if korean else None,
        element("span", f" ({', '.join(about)})", class_="quiet") if about else None,
        _conflict(symptom, texts),
    )


def _conflict(symptom: Item, texts: Texts) -> Markup | None:
    """That picture and measurement contradict each other, if they do."""
    present, matched = symptom.get("present"), bool(symptom.get("matched"))
    if not isinstance(present, bool) or present is matched:
        return None
    key = "symptom_only_seen" if matched else "symptom_only_measured"
    return joined(" ", element("strong", texts(key), class_="conflict"))


def top_words(symptom: Item) -> tuple[int, ...]:
    """Places of the words that add most to a symptom's score; words that add nothing are none."""
    weights = [finite(word.get("weight")) or 0.0 for word in mappings(symptom.get("words"))]
    places = sorted(range(len(weights)), key=lambda place: -weights[place])
    return tuple(sorted(place for place in places[:TOP_WORDS] if weights[place] > 0))


def marked(text: str, places: tuple[int, ...]) -> Markup:
    """A phrase with some of its words marked, counted as `words_of` does.

    Example:
        >>> marked("air, bone or fluid", (1,))
        'air, <mark>bone</mark> or fluid'
    """
    pieces: list[Content] = []
    end = 0
    for place, word in enumerate(WORD.finditer(text)):
        if place in places:
            pieces += [text[end : word.start()], element("mark", word.group())]
            end = word.end()
    return joined(*pieces, text[end:])
