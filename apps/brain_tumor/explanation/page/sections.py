"""The sections of the page around the figures and the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from brain_tumor import NOTICE
from brain_tumor.concepts.vocabulary import WORD
from brain_tumor.explanation.facts.model import Language
from brain_tumor.explanation.facts.vocabulary import KOREAN_SYMPTOMS
from brain_tumor.explanation.page.charts import probability_bar
from brain_tumor.explanation.page.markup import Content, Markup, element, joined
from brain_tumor.explanation.page.report_view import Item, ReportView, mapping, mappings, texts_of
from brain_tumor.explanation.page.text import (
    NONE,
    Texts,
    decimal_text,
    finite,
    measured_text,
    percent_text,
    point_text,
    probability_text,
    unbroken,
)
from brain_tumor.labels import TumorType

_KINDS = frozenset({"finding", "class", "uncertainty", "counterfactual", "conflict", "location"})
_CHECKSUM_SHOWN = 16


def header(view: ReportView, case_id: str, texts: Texts) -> Markup:
    """What it is about, the result, and the one notice."""
    sequences = view.section("sequences")
    used = [texts.name(s) for s in texts_of(sequences.get("used"))]
    missing = [texts.name(s) for s in texts_of(sequences.get("missing"))]
    line = [texts("sequences", used=", ".join(used))] if used else []
    if missing:
        line.append(texts("sequences_missing", missing=", ".join(missing)))
    notice = str(view.report.get("notice") or NOTICE)
    return element(
        "header",
        element(
            "p",
            element("span", texts("product")),
            element("span", texts("notice") if notice == NOTICE else notice),
            class_="above quiet",
        ),
        element("h1", texts("title", case=case_id)),
        element("p", result_line(view, texts), class_="result"),
        element("p", texts("scope"), class_="quiet") if view.section("classification") else None,
        element("p", "; ".join(line), class_="quiet") if line else None,
    )


def result_line(view: ReportView, texts: Texts) -> str:
    """The result in one line."""
    if view.prediction:
        share = view.probabilities.get(view.prediction)
        name = _capital(texts.tumor(view.prediction))
        if share is None:
            return name
        return texts("result_type", type=name, probability=probability_text(share))
    if view.is_undetermined:
        return texts("result_no_tumour" if view.has_no_tumour else "result_undetermined")
    if view.section("segmentation"):
        return texts("result_segmented")
    return texts("result_none")


def warnings(view: ReportView, texts: Texts) -> Markup | None:
    """Warnings, before anything else."""
    return _box(texts("warnings"), texts_of(view.report.get("warnings")), "box")


def undetermined(view: ReportView, texts: Texts) -> Markup | None:
    """Why there is no type, where there is none."""
    if not view.is_undetermined:
        return None
    reasons = [
        _capital(texts.reason(r)) for r in texts_of(view.section("classification").get("reasons"))
    ]
    likeliest = next(iter(view.probabilities.items()), None)
    more = None
    if likeliest:
        share = probability_text(likeliest[1])
        more = texts("result_likeliest", type=texts.tumor(likeliest[0]), probability=share)
    return _box(texts("undetermined"), reasons, "box stop", more)


def _box(title: str, lines: list[str], kind: str, more: str | None = None) -> Markup | None:
    if not lines and not more:
        return None
    return element(
        "section",
        element("h2", title),
        element("ul", (element("li", line) for line in lines)) if lines else None,
        element("p", more) if more else None,
        class_=kind,
    )


def volumes(view: ReportView, texts: Texts) -> Markup | None:
    """Volume of each region, and how likely it is that there is a tumour at all."""
    segmentation = view.section("segmentation")
    found = mapping(segmentation.get("volumes_ml"))
    if not found:
        return None
    presence = finite(mapping(segmentation.get("presence")).get("probability"))
    rows = [(texts.name(name), measured_text(value, "mL")) for name, value in found.items()]
    return element(
        "section",
        element("h2", texts("volumes")),
        _table((texts("region"), texts("volume")), rows, numbers={1}),
        None
        if presence is None
        else element("p", texts("presence", share=percent_text(presence)), class_="quiet"),
    )


def classification(view: ReportView, texts: Texts) -> Markup | None:
    """Probabilities, prediction set, likeness to the training images."""
    found = view.section("classification")
    if not found:
        return None
    kept = texts_of(found.get("prediction_set"))
    rows = []
    for name, share in view.probabilities.items():
        kind = name if name in set(TumorType) else "other"
        mark = element("span", texts("in_set"), class_="chip") if name in kept else None
        label = joined(texts.tumor(name), " " if mark else None, mark)
        rows.append(
            element(
                "tr",
                element("th", label, scope="row"),
                element("td", probability_bar(share, kind), width="45%"),
                element("td", probability_text(share), class_="number"),
            )
        )
    table = element("table", element("tbody", rows)) if rows else None
    lines = [texts("calibrated")] if rows else [texts("no_probabilities")]
    lines = [_set_line(found, kept, texts), *lines] if rows else lines
    lines += [line for line in (_likeness_line(found, texts), _slices_line(found, texts)) if line]
    return element(
        "section",
        element("h2", texts("type")),
        table,
        element("p", " ".join(lines), class_="quiet below"),
    )


def _set_line(found: Item, kept: list[str], texts: Texts) -> str:
    types = ", ".join(texts.tumor(name) for name in kept) or texts("empty_set")
    coverage = finite(found.get("coverage"))
    if coverage is None:
        return texts("prediction_set_only", types=types)
    return texts("prediction_set", types=types, coverage=percent_text(coverage))


def _likeness_line(found: Item, texts: Texts) -> str | None:
    outlier = mapping(found.get("out_of_distribution"))
    if finite(outlier.get("score")) is None:
        return None
    return texts(
        "outlier" if outlier.get("is_out") else "known",
        score=decimal_text(outlier.get("score")),
        threshold=decimal_text(outlier.get("threshold")),
    )


def _slices_line(found: Item, texts: Texts) -> str | None:
    planes = Counter(str(s.get("plane")) for s in mappings(found.get("slices")))
    if not planes:
        return None
    listed = ", ".join(f"{texts.name(plane)} {count}" for plane, count in planes.items())
    return texts("slices", count=planes.total(), planes=listed)


def heat_verdict(view: ReportView, texts: Texts) -> Markup | None:
    """Whether the heatmap can be relied on, and where it lies."""
    found = view.section("heatmap")
    if not found:
        return None
    faithfulness = mapping(found.get("faithfulness"))
    passed = faithfulness.get("passed")
    proof = "region_faithful" if view.heat_region else "faithful"
    key = "untested" if passed is None else proof if passed else "unfaithful"
    lines = [texts("heat_method", method=texts.name(found.get("method") or NONE))]
    if view.heat_region:
        name = texts.name(view.heat_region).lower()
        lines.append(texts("region_heat", target=name))
        share = finite(mapping(faithfulness.get("region")).get("inside_share"))
        if share is not None:
            lines.append(texts("region_share", share=percent_text(share), target=name))
    share = finite(found.get("inside_tumor_share"))
    if share is not None:
        lines.append(texts("heat_inside", share=percent_text(share)))
    peak, inside = point_text(found.get("peak_ras")), found.get("peak_inside_tumor")
    if peak and inside is not None:
        lines.append(texts("peak_inside" if inside else "peak_outside", place=peak))
    names = ("deletion_auc", "random_deletion_auc", "insertion_auc", "random_insertion_auc")
    if all(finite(faithfulness.get(name)) is not None for name in names):
        curves = {n.removesuffix("_auc"): decimal_text(faithfulness[n]) for n in names}
        lines.append(texts("curves", **curves))
    infidelity, sensitivity = (finite(faithfulness.get(n)) for n in ("infidelity", "sensitivity"))
    if infidelity is not None:
        lines.append(texts("infidelity", value=decimal_text(infidelity)))
    if sensitivity is not None:
        lines.append(texts("sensitivity", share=percent_text(sensitivity)))
    shuffled = finite(faithfulness.get("shuffled_correlation"))
    if shuffled is not None:
        lines.append(texts("shuffled", value=decimal_text(shuffled)))
    reasons = texts_of(faithfulness.get("reasons"))
    if passed is False:
        return _box(texts(key), reasons, "box", " ".join(lines))
    return joined(
        element("p", texts(key), " ", " ".join(lines)),
        element("ul", (element("li", reason) for reason in reasons)) if reasons else None,
    )


def rationale(view: ReportView, texts: Texts) -> Markup | None:
    """Sentences, each with links to the rows it rests on, and what checking found."""
    found = view.section("rationale")
    if not found:
        return None
    lines = [
        (str(s.get("part")) != "detail", _sentence(view, number, s, texts))
        for number, s in enumerate(view.sentences, start=1)
    ]
    first, rest = ([line for is_first, line in lines if is_first is kind] for kind in (True, False))
    body = joined(
        element("ol", first, class_="sentences") if first else None,
        element("p", texts("no_sentences")) if not lines else None,
        _details(rest, len(first), texts) if rest else None,
    )
    checks = mapping(found.get("checks"))
    foot = []
    if found.get("provider"):
        foot.append(texts("written_by", provider=texts.name(found["provider"])))
    if checks:
        counts = ("claims", "supported", "removed", "rewritten")
        foot.append(texts("checks", **{name: checks.get(name, NONE) for name in counts}))
    problems = texts_of(checks.get("problems"))
    return element(
        "section",
        element("h2", texts("rationale")),
        body,
        element("p", " ".join(foot), class_="quiet") if foot else None,
        element("ul", (element("li", p) for p in problems), class_="quiet") if problems else None,
    )


def _details(lines: list[Markup], before: int, texts: Texts) -> Markup:
    """The other sentences, folded."""
    return element(
        "details",
        element("summary", texts("more_sentences", count=len(lines))),
        element("ol", lines, class_="sentences", start=str(before + 1)),
        class_="more",
    )


def _sentence(view: ReportView, number: int, sentence: Item, texts: Texts) -> Markup:
    links: list[Content] = []
    for name in view.basis(sentence):
        item = view.by_id[name]
        value = measured_text(item.get("value"), item.get("unit"), item.get("feature"))
        label = f"{texts.evidence(item)} {value}" if value != NONE else texts.evidence(item)
        links += [", " if links else None, element("a", label, href=f"#{view.anchors[name]}")]
    kind = str(sentence.get("kind"))
    return element(
        "li",
        element("p", unbroken(str(sentence.get("text") or ""))),
        element("p", texts("rests_on"), ": ", links, class_="basis") if links else None,
        id=f"sentence-{number}",
        class_=kind if kind in _KINDS else None,
    )


def counterfactual(view: ReportView, texts: Texts) -> Markup | None:
    """Which measured value would have to change."""
    found = view.section("counterfactual")
    if not found:
        return None
    item = view.by_id.get(str(found.get("evidence")), found)
    unit, feature = item.get("unit"), item.get("feature")
    text = texts(
        "counterfactual_text",
        name=texts.evidence(item),
        from_=measured_text(found.get("from"), unit, feature),
        to=measured_text(found.get("to"), unit, feature),
        type=texts.tumor(found.get("class") or NONE),
    )
    anchor = view.anchors.get(str(found.get("evidence")))
    link = element("a", texts("evidence"), href=f"#{anchor}") if anchor else None
    return element(
        "section",
        element("h2", texts("counterfactual")),
        element("p", text, " " if link else None, link),
        class_="whole",
    )


def similar_cases(view: ReportView, texts: Texts) -> Markup | None:
    """Nearest training patients, as numbers."""
    rows = [
        (
            texts.tumor(case.get("type") or NONE),
            decimal_text(case.get("distance")),
            ", ".join(texts.feature(f) for f in texts_of(case.get("agrees"))) or NONE,
            str(case.get("group", NONE)),
        )
        for case in mappings(view.report.get("similar_cases"))
    ]
    if not rows:
        return None
    heads = (texts("type"), texts("distance"), texts("agrees"), texts("patient"))
    return element(
        "section",
        element("h2", texts("similar")),
        element("div", _table(heads, rows, numbers={1, 3}, narrow=False), class_="wide"),
        class_="whole",
    )


def models(view: ReportView, texts: Texts) -> Markup | None:
    """Which models made this, and where their cards are."""
    rows = [
        (
            str(model.get("name") or NONE),
            str(model.get("version") or NONE),
            element("code", str(model.get("sha256") or NONE)),
            texts("card_place", name=model.get("name") or NONE),
        )
        for model in mappings(view.report.get("models"))
    ]
    if not rows:
        return None
    heads = (texts("model"), texts("version"), texts("checksum"), texts("card"))
    table = _table(heads, rows, narrow=False)
    return element("section", element("h2", texts("models")), element("div", table, class_="wide"))


def timings(view: ReportView, texts: Texts) -> Markup | None:
    """How long each stage took."""
    found = [
        f"{texts.name(stage)} {texts('seconds', value=decimal_text(value))}"
        for stage, value in view.section("timings_s").items()
        if finite(value) is not None
    ]
    if not found:
        return None
    return element("p", texts("timings"), ": ", " · ".join(found), class_="quiet")


def _table(
    heads: Iterable[str],
    rows: Iterable[tuple[Content, ...]],
    *,
    numbers: Iterable[int] = (),
    narrow: bool = True,
) -> Markup:
    aligned = dict.fromkeys(numbers, "number")
    top = (element("th", h, scope="col", class_=aligned.get(c)) for c, h in enumerate(heads))
    body = (
        element("tr", (element("td", cell, class_=aligned.get(c)) for c, cell in enumerate(row)))
        for row in rows
    )
    return element(
        "table",
        element("thead", element("tr", top)),
        element("tbody", body),
        class_="narrow" if narrow else None,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


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
