"""The evidence table: value, training patients, contribution, place, sentences."""

from __future__ import annotations

from brain_tumor.explanation.page.charts import Range, contribution_bar, range_plot
from brain_tumor.explanation.page.markup import Markup, element, joined
from brain_tumor.explanation.page.report_view import Item, ReportView, mapping, mappings, sequence
from brain_tumor.explanation.page.text import (
    Texts,
    decimal_text,
    finite,
    measured_text,
    point_text,
)
from brain_tumor.labels import TumorType

CLEAR_CONTRIBUTION = 0.05
MAIN_ROWS = 12
"""At most so many rows that no sentence cites stand in the first table."""


def evidence_section(view: ReportView, texts: Texts) -> Markup | None:
    """Cited and weighty facts first, the others folded, what could not be measured last."""
    if not view.evidence:
        return None
    measured = [i for i in view.evidence if _is_measured(i) and not _has_own_section(view, i)]
    absent = [item for item in view.evidence if not _is_measured(item)]
    main = _main_items(view, measured)
    chosen = {id(item) for item in main}
    further = [item for item in measured if id(item) not in chosen]
    largest = max((abs(finite(i.get("contribution")) or 0.0) for i in measured), default=0.0)
    return element(
        "section",
        element("h2", texts("evidence")),
        _table(view, main, largest, texts) if main else None,
        element("p", texts("evidence_help"), class_="quiet below") if main else None,
        _folded(texts("further", count=len(further)), _further(view, further, texts))
        if further
        else None,
        _folded(texts("not_measured", count=len(absent)), _absent(view, absent, texts))
        if absent
        else None,
        class_="evidence",
    )


def highlight_style(view: ReportView) -> str:
    """Rules that light up rows while the pointer is on a sentence that rests on them, and back."""
    rules = []
    for number, sentence in enumerate(view.sentences, start=1):
        anchors = [view.anchors[name] for name in view.basis(sentence)]
        for anchor in dict.fromkeys(anchors):
            rules.append(f"main:has(#sentence-{number}:hover) #{anchor}")
            rules.append(f"main:has(#{anchor}:hover) #sentence-{number}")
    return f"@media screen{{{','.join(rules)}{{background:var(--mark)}}}}" if rules else ""


def _is_measured(item: Item) -> bool:
    return item.get("measured") is not False and finite(item.get("value")) is not None


def _has_own_section(view: ReportView, item: Item) -> bool:
    """Whether an item is a symptom that no sentence cites: the section of symptoms has it."""
    symptoms = {str(symptom.get("item")) for symptom in mappings(view.report.get("symptoms"))}
    name = str(item.get("id"))
    return name in symptoms and name not in view.cited


def _main_items(view: ReportView, measured: list[Item]) -> list[Item]:
    """Items that a sentence cites, and the weightiest others, in the order of the report."""
    cited = [item for item in measured if str(item.get("id")) in view.cited]
    weighty = [
        item
        for item in measured
        if str(item.get("id")) not in view.cited
        and abs(finite(item.get("contribution")) or 0.0) >= CLEAR_CONTRIBUTION
    ]
    weighty.sort(key=lambda item: -abs(finite(item.get("contribution")) or 0.0))
    chosen = {id(item) for item in (*cited, *weighty[:MAIN_ROWS])}
    return [item for item in measured if id(item) in chosen]


def _folded(title: str, content: Markup) -> Markup:
    return element("details", element("summary", title), element("h3", title), content)


def _table(view: ReportView, items: list[Item], largest: float, texts: Texts) -> Markup:
    judged = texts.tumor(view.judged) if view.judged else ""
    heads = (
        texts("finding"),
        texts("value"),
        texts("reference"),
        texts("contribution_to", type=judged) if judged else texts("contribution"),
        texts("place"),
    )
    kinds = (None, "number", None, None, None)
    head = (element("th", h, scope="col", class_=k) for h, k in zip(heads, kinds, strict=True))
    rows = (_row(view, item, largest, texts) for item in items)
    table = element("table", element("thead", element("tr", head)), element("tbody", rows))
    return element("div", table, class_="wide")


def _further(view: ReportView, items: list[Item], texts: Texts) -> Markup:
    """Measurements that speak neither for nor against, closely set."""
    lines = (
        element(
            "li",
            element("span", texts.evidence(item)),
            element(
                "span",
                measured_text(item.get("value"), item.get("unit"), item.get("feature")),
                class_="number",
            ),
            _ranges(item, texts),
            id=_anchor(view, item),
        )
        for item in items
    )
    return element("ul", lines, class_="further")


def _anchor(view: ReportView, item: Item) -> str | None:
    """Anchor of an item; of several with one id only the first has it."""
    name = str(item.get("id"))
    return view.anchors[name] if view.by_id[name] is item else None


def _row(view: ReportView, item: Item, largest: float, texts: Texts) -> Markup:
    name = str(item.get("id"))
    numbers = view.cited.get(name, [])
    links = [
        joined(", " if place else None, element("a", f"{number}", href=f"#sentence-{number}"))
        for place, number in enumerate(numbers)
    ]
    before, after = texts("sentences", numbers="\n").split("\n")
    back = joined(before, links, after)
    return element(
        "tr",
        element(
            "th",
            texts.evidence(item),
            element("small", back) if numbers else None,
            scope="row",
            class_="name",
        ),
        element(
            "td",
            measured_text(item.get("value"), item.get("unit"), item.get("feature")),
            class_="number",
        ),
        element("td", _ranges(item, texts)),
        element("td", _contribution(item, largest, texts)),
        element("td", _place(item, texts)),
        id=_anchor(view, item),
    )


def _ranges(item: Item, texts: Texts) -> Markup | None:
    value = finite(item.get("value"))
    reference = mapping(item.get("reference"))
    ranges = []
    for tumor in TumorType:
        quantiles = [finite(v) for v in sequence(reference.get(tumor.value))]
        known = [v for v in quantiles if v is not None]
        if len(quantiles) == 3 and len(known) == 3:
            low, middle, high = known
            shown = [measured_text(v, item.get("unit"), item.get("feature")) for v in known]
            name = texts.tumor(tumor)
            text = texts("range", type=name, low=shown[0], middle=shown[1], high=shown[2])
            ranges.append(Range(tumor, name[:1].upper(), text, (low, middle, high)))
    if value is None or not ranges:
        return None
    return range_plot(value, tuple(ranges))


def _contribution(item: Item, largest: float, texts: Texts) -> Markup | None:
    change = finite(item.get("contribution"))
    if change is None:
        return None
    supports = item.get("supports")
    return joined(
        element(
            "span",
            contribution_bar(change, largest) if largest > 0 else None,
            decimal_text(change, signed=True),
            class_="change",
        ),
        element("small", texts("supports", type=texts.tumor(supports))) if supports else None,
    )


def _place(item: Item, texts: Texts) -> Markup | None:
    words, point = texts.place(item), point_text(item.get("ras"))
    heat = finite(item.get("heat"))
    small = ", ".join(
        part
        for part in (
            point if words else "",
            texts("heat_here", heat=decimal_text(heat)) if heat is not None else "",
        )
        if part
    )
    if not (words or point or small):
        return None
    return joined(words or point, element("small", small) if small else None)


def _absent(view: ReportView, items: list[Item], texts: Texts) -> Markup:
    lines = []
    for item in items:
        reason = texts.reason(item["reason"]) if item.get("reason") else ""
        lines.append(
            element(
                "li",
                texts.evidence(item),
                element("span", f": {reason}", class_="quiet") if reason else None,
                id=_anchor(view, item),
            )
        )
    return element("ul", lines, class_="columns")
