"""The section of visual symptoms: what is seen, by which words, and what measurements deny."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from brain_tumor.concepts.vocabulary import WORD
from brain_tumor.explanation.facts import Language
from brain_tumor.explanation.page_markup import Content, Markup, element, joined
from brain_tumor.explanation.page_report import Item, ReportView, mappings
from brain_tumor.explanation.page_text import NONE, Texts, decimal_text, finite

TOP_WORDS = 2
"""So many words of a symptom are marked at most: those that add most to its score."""

KOREAN: Mapping[str, str] = MappingProxyType(
    {
        "dull lump hardly brighter than the healthy side": (
            "건강한 쪽보다 거의 밝지 않은 흐릿한 덩이"
        ),
        "faint edge that melts into the brain": "뇌로 녹아드는 희미한 경계",
        "much of the lump is darker than the brain": "덩이의 많은 부분이 뇌보다 어두움",
        "deep in the white matter with brain on all sides": "사방이 뇌로 둘러싸인 백질 깊은 곳",
        "gap of brain between the lump and the skull": "덩이와 두개골 사이에 뇌가 있음",
        "large dark dead area inside": "안쪽의 크고 어두운 괴사 부위",
        "far brighter than the same place on the healthy side": "건강한 쪽 같은 곳보다 훨씬 밝음",
        "evenly bright all through without dark parts": "어두운 부분 없이 고르게 밝음",
        "far above the middle of the skull base": "두개저 중앙보다 훨씬 위",
        "lies at the outer side of the head close to the skull": "두개골 가까운 머리 바깥쪽",
        "solid bright centre without a ring": "고리 없이 속이 찬 밝은 중심",
        "smooth round outline": "매끄럽고 둥근 윤곽",
        "sits in the bony saddle at the middle of the skull base": "두개저 중앙의 뼈 안장에 자리함",
        "in the very middle of the head far from its surface": "표면에서 먼 머리 한가운데",
        "right on the midline": "정중선 바로 위",
        "little brain tissue around it": "주변에 뇌 조직이 거의 없음",
        "black air, bone or fluid around it": "주변에 검은 공기, 뼈 또는 액체",
        "mixed bright and black surroundings": "밝고 검은 것이 섞인 주변",
    }
)
"""The symptoms of the shipped second reader in Korean."""


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
    korean = KOREAN.get(text) if texts.language is Language.KOREAN else None
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
