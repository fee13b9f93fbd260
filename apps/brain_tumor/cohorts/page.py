"""index.html of a cohort: distributions, outliers, worst doubts first, links to the reports.

Plain HTML with inline charts and no script; its policy lets nothing load, and every text is
escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import numpy as np

from brain_tumor import NOTICE
from brain_tumor.cohorts.results import TABLE_CSV, TABLE_PARQUET
from brain_tumor.cohorts.rows import DONE, FAILED
from brain_tumor.cohorts.summary import LOGARITHMIC, MEASURED, MOST_LISTED, CohortSummary
from brain_tumor.explanation.page.markup import Content, Markup, element, joined
from brain_tumor.explanation.page.rendering import content_security_policy

TITLES: Mapping[str, str] = {
    "WT_ml": "Whole tumour, mL",
    "TC_ml": "Tumour core, mL",
    "ET_ml": "Enhancing tumour, mL",
    "longest_diameter_mm": "Longest diameter, mm",
    "presence_probability": "Probability of a tumour",
    "seconds": "Seconds a case",
    "largest_shift_mm": "Largest shift of a sequence, mm",
}
BINS = 20
WIDTH, HEIGHT, BASE = 300.0, 110.0, 14.0
STYLE = """
:root{color-scheme:light dark;--g:#fff;--t:#1b1f24;--q:#5a6472;--l:#d9dee5;--b:#2f6fc4;--w:#b3342c}
@media (prefers-color-scheme:dark){:root{--g:#14171b;--t:#e4e7eb;--q:#9aa4b1;--l:#343b45;
--b:#6ea8f2;--w:#e2736b}}
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;
background:var(--g);color:var(--t)}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--l);vertical-align:top;
overflow-wrap:anywhere}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.charts{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}figcaption{font-size:14px}
svg text{font-size:10px;fill:var(--q)}rect{fill:var(--b)}.axis{stroke:var(--l)}
.bad{color:var(--w)}small,.quiet{color:var(--q)}
"""


def cohort_page(summary: CohortSummary, title: str) -> str:
    """The page as one string.

    Args:
        summary: What is said about the cohort.
        title: Name of the cohort; any text.
    """
    done, failed = summary.status[DONE], summary.status[FAILED]
    policy = content_security_policy(STYLE, "")
    head = element(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Markup('<meta name="viewport" content="width=device-width">'),
        element("title", f"Cohort {title}"),
        Markup(f"<style>{STYLE}</style>"),
    )
    body = element(
        "body",
        element("h1", f"Cohort {title}"),
        element(
            "p",
            f"{done + failed} cases: {done} read, ",
            element("span", f"{failed} failed", class_="bad") if failed else "none failed",
            f"; {summary.warnings} warnings. All rows: ",
            element("a", TABLE_CSV, href=TABLE_CSV),
            ", ",
            element("a", TABLE_PARQUET, href=TABLE_PARQUET),
            ".",
        ),
        _failures(summary),
        element("h2", "Distributions"),
        element("div", _charts(summary), class_="charts"),
        _doubts(summary),
        _unusual(summary),
        element("h2", "Models"),
        element("ul", [element("li", f"{n} cases: {m}") for m, n in summary.models.most_common()]),
        element("p", element("small", NOTICE)),
    )
    return f'<!doctype html><html lang="en">{joined(head, body)}</html>\n'


def _failures(summary: CohortSummary) -> Content:
    if not summary.failed:
        return None
    rows = [(row["case"], row["message"], row["remedy"]) for row in summary.failed]
    total = summary.status[FAILED]
    return (
        element("h2", "Failed", class_="bad"),
        _table(("Case", "What was wrong", "What to do"), rows),
        _rest(total),
    )


def _doubts(summary: CohortSummary) -> Content:
    rows: list[Sequence[Content]] = [
        (
            _link(row["case"], row.get("report", "")),
            _number(row["doubt"]),
            row["doubt_reason"],
            row.get("type", ""),
            row["warnings"],
        )
        for row in summary.doubts
    ]
    if not rows:
        return None
    return (
        element("h2", "Doubts, the worst first"),
        element(
            "p",
            "Doubt is 1 where a tumour is outlined and its type is not named, or where a tumour is "
            "as likely as not; 0 where both are certain.",
            class_="quiet",
        ),
        _table(("Case", "Doubt", "Because of", "Type", "Warnings"), rows),
        _rest(summary.status[DONE]) if len(rows) == MOST_LISTED else None,
    )


def _unusual(summary: CohortSummary) -> Content:
    rows: list[Sequence[Content]] = [
        (
            _link(one.case, one.report),
            TITLES[one.column],
            _number(one.value),
            _number(one.score),
        )
        for one in summary.unusual()
    ]
    if not rows:
        return None
    return (
        element("h2", "Unusual values"),
        element(
            "p",
            "More than 3.5 robust standard deviations from the median of this cohort; volumes on a "
            "logarithmic scale.",
            class_="quiet",
        ),
        _table(("Case", "Measurement", "Value", "Deviations"), rows),
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[Content]]) -> Markup:
    head = element("tr", [element("th", column, scope="col") for column in columns])
    body = [element("tr", [_cell(cell) for cell in row]) for row in rows]
    return element("table", element("thead", head), element("tbody", body))


def _cell(content: Content) -> Markup:
    is_number = isinstance(content, _Number)
    return element("td", content, class_="n" if is_number else None)


class _Number(Markup):
    """A number in a table."""

    __slots__ = ()


def _number(value: float) -> _Number:
    return _Number(f"{value:.3g}")


def _link(case: str, report: str) -> Content:
    return element("a", case, href=quote(report)) if report else case


def _rest(total: int) -> Content:
    if total <= MOST_LISTED:
        return None
    return element("p", f"The first {MOST_LISTED} of {total}; the tables hold all.", class_="quiet")


def _charts(summary: CohortSummary) -> list[Markup]:
    charts = [_histogram(name, summary.values(name)) for name in MEASURED]
    return [_bars("Type", summary.types.most_common()), *(c for c in charts if c is not None)]


def _bars(title: str, counts: Sequence[tuple[str, int]]) -> Markup:
    largest = max((count for _, count in counts), default=1)
    marks: list[Markup] = []
    for row, (name, count) in enumerate(counts):
        y = 16.0 * row
        marks += [
            element("text", name, x=0, y=y + 11),
            element("rect", x=90, y=y + 2, width=150 * count / largest, height=11),
            element("text", str(count), x=95 + 150 * count / largest, y=y + 11),
        ]
    said = ", ".join(f"{name} {count}" for name, count in counts)
    return _figure(title, said, marks, 16.0 * max(1, len(counts)))


def _histogram(name: str, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Markup | None:
    """Bars over the range of the values; those of volumes over their logarithm."""
    if not len(values):
        return None
    is_log = name in LOGARITHMIC
    shown = np.log10(values + 0.01) if is_log else values
    low, high = float(shown.min()), float(shown.max())
    counts, edges = np.histogram(shown, BINS, (low, high if high > low else low + 1))
    tall = HEIGHT - BASE - 4
    step = WIDTH / BINS
    marks = [
        element(
            "rect",
            x=step * n + 0.5,
            y=HEIGHT - BASE - tall * count / counts.max(),
            width=step - 1,
            height=tall * count / counts.max(),
        )
        for n, count in enumerate(counts.tolist())
        if count
    ]
    marks.append(element("line", x1=0, x2=WIDTH, y1=HEIGHT - BASE, y2=HEIGHT - BASE, class_="axis"))
    for n, anchor in ((0, "start"), (BINS // 2, "middle"), (BINS, "end")):
        edge = float(edges[n])
        value = max(0.0, 10**edge - 0.01) if is_log else edge
        marks.append(element("text", f"{value:.3g}", x=step * n, y=HEIGHT - 2, text_anchor=anchor))
    middle = float(np.median(values))
    said = f"{len(values)} cases, median {middle:.3g}, {values.min():.3g} to {values.max():.3g}"
    return _figure(f"{TITLES[name]}{' (log)' if is_log else ''}", said, marks, HEIGHT)


def _figure(title: str, said: str, marks: Sequence[Markup], height: float) -> Markup:
    drawing = element(
        "svg",
        marks,
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        width=WIDTH,
        height=height,
        role="img",
        aria_label=f"{title}: {said}",
    )
    caption = element("figcaption", title, Markup("<br>"), element("small", said))
    return element("figure", drawing, caption)
