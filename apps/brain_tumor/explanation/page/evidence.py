"""The evidence table: value, training patients, contribution, place, sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brain_tumor.explanation.page.charts import Range, contribution_bar, range_plot
from brain_tumor.explanation.page.markup import Markup
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


@dataclass(frozen=True)
class Row:
    """A measurement as the table and the list of further ones show it.

    Attributes:
        anchor: Where sentences link to, or None.
        name: Of the finding.
        value: With its unit.
        ranges: Drawing of the training patients' ranges, or None.
        before: Stands before the links to the sentences that cite it, as `after` behind them.
        sentences: Their numbers.
        after: See before.
        bar: Drawing of the contribution, or None.
        change: The contribution in figures; None if there is none.
        supports: Which type it supports most.
        place: In words, or as a point.
        place_note: The point beside the words, the heat there.
    """

    anchor: str | None
    name: str
    value: str
    ranges: Markup | None
    before: str
    sentences: Sequence[int]
    after: str
    bar: Markup | None
    change: str | None
    supports: str | None
    place: str
    place_note: str


@dataclass(frozen=True)
class Absent:
    """What could not be measured, and why."""

    anchor: str | None
    name: str
    reason: str


@dataclass(frozen=True)
class Evidence:
    """The evidence in three parts.

    Attributes:
        contribution: Title of the column of contributions.
        main: Cited and weighty facts.
        further: Measurements that speak neither for nor against.
        absent: What could not be measured.
    """

    contribution: str
    main: Sequence[Row]
    further: Sequence[Row]
    absent: Sequence[Absent]


def evidence_of(view: ReportView, texts: Texts) -> Evidence | None:
    """Cited and weighty facts first, then the others, what could not be measured last."""
    if not view.evidence:
        return None
    measured = [i for i in view.evidence if _is_measured(i) and not _has_own_section(view, i)]
    main = _main_items(view, measured)
    chosen = {id(item) for item in main}
    largest = max((abs(finite(i.get("contribution")) or 0.0) for i in measured), default=0.0)
    judged = texts.tumor(view.judged) if view.judged else ""
    return Evidence(
        texts("contribution_to", type=judged) if judged else texts("contribution"),
        [_row(view, item, largest, texts) for item in main],
        [_row(view, item, largest, texts) for item in measured if id(item) not in chosen],
        [_absent(view, item, texts) for item in view.evidence if not _is_measured(item)],
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


def _anchor(view: ReportView, item: Item) -> str | None:
    """Anchor of an item; of several with one id only the first has it."""
    name = str(item.get("id"))
    return view.anchors[name] if view.by_id[name] is item else None


def _row(view: ReportView, item: Item, largest: float, texts: Texts) -> Row:
    before, after = texts("sentences", numbers="\n").split("\n")
    change = finite(item.get("contribution"))
    supports = item.get("supports")
    place, note = _place(item, texts)
    return Row(
        _anchor(view, item),
        texts.evidence(item),
        measured_text(item.get("value"), item.get("unit"), item.get("feature")),
        _ranges(item, texts),
        before,
        view.cited.get(str(item.get("id")), []),
        after,
        contribution_bar(change, largest) if change is not None and largest > 0 else None,
        None if change is None else decimal_text(change, signed=True),
        texts("supports", type=texts.tumor(supports)) if supports else None,
        place,
        note,
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


def _place(item: Item, texts: Texts) -> tuple[str, str]:
    words, point = texts.place(item), point_text(item.get("ras"))
    heat = finite(item.get("heat"))
    notes = (
        point if words else "",
        texts("heat_here", heat=decimal_text(heat)) if heat is not None else "",
    )
    return words or point, ", ".join(note for note in notes if note)


def _absent(view: ReportView, item: Item, texts: Texts) -> Absent:
    reason = texts.reason(item["reason"]) if item.get("reason") else ""
    return Absent(_anchor(view, item), texts.evidence(item), reason)
