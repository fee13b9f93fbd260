"""The gate's report as a page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

WIDTH, ROW, LEFT = 760, 26, 250

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1c1f24;background:#fff}table{border-collapse:collapse;width:100%;font-size:14px}"
    "th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #ddd}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}.bad{color:#a4161a}.good{color:#1b6e3c}"
    "small{color:#5b6470}"
)


def gate_page(report: Mapping[str, Any]) -> str:
    """HTML page of a report.

    Args:
        report: What `GateReport.to_json` gives.
    """
    verdict = "may be promoted" if report["promote"] else "is kept back"
    kind = "good" if report["promote"] else "bad"
    title = f"{report['model']} {report['candidate']} {verdict}"
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in report["reasons"])
    left_out = "".join(f"<li>left out: {escape(case)}</li>" for case in report["left_out"])
    checks = report["checks"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1 class={kind}>{escape(title)}</h1>"
        f"<p>Compared with {escape(report['current'])} on the same held-out patients.</p>"
        f"<ul>{reasons}{left_out}</ul><h2>Differences with 95 % intervals</h2>{_forest(checks)}"
        f"<h2>Checks</h2>{_checks(checks)}<h2>Cases</h2>{_cases(report['scores'])}"
        "<p><small>Research use only; not a medical device.</small></p></html>\n"
    )


def _forest(checks: list[Mapping[str, Any]]) -> str:
    """Differences as points with intervals."""
    rows = [(c["name"], c["difference"], c["passed"]) for c in checks if c["difference"]]
    if not rows:
        return "<p>Nothing could be compared.</p>"
    reach = max([0.02, *(abs(d[k]) for _, d, _ in rows for k in ("low", "high"))]) * 1.05
    scale = (WIDTH - LEFT - 20) / (2 * reach)
    zero = LEFT + reach * scale
    marks = [f'<line x1="{zero:.1f}" y1="0" x2="{zero:.1f}" y2="{ROW * len(rows)}" stroke="#999"/>']
    for index, (name, found, passed) in enumerate(rows):
        y = ROW * index + ROW / 2
        low, high, mean = (zero + scale * found[k] for k in ("low", "high", "mean"))
        colour = "#1b6e3c" if passed else "#a4161a"
        marks.append(
            f'<text x="0" y="{y + 5:.0f}" font-size="13">{escape(name)}</text>'
            f'<line x1="{low:.1f}" y1="{y:.0f}" x2="{high:.1f}" y2="{y:.0f}" stroke="{colour}"'
            f' stroke-width="2"/><circle cx="{mean:.1f}" cy="{y:.0f}" r="4" fill="{colour}"/>'
        )
    height = ROW * len(rows) + 4
    return (
        f'<svg role="img" aria-label="candidate minus current" viewBox="0 0 {WIDTH} {height}" '
        f'width="100%">{"".join(marks)}</svg>'
    )


def _checks(checks: list[Mapping[str, Any]]) -> str:
    head = "<tr><th>Check<th>n<th>Current<th>Candidate<th>Difference<th>Interval<th>p<th>Result"
    body = []
    for check in checks:
        found = check["difference"]
        numbers = "<td class=n>" * 6
        if found:
            cells = (
                str(found["n"]),
                f"{found['current']:.3f}",
                f"{found['candidate']:.3f}",
                f"{found['mean']:+.3f}",
                f"{found['low']:+.3f} to {found['high']:+.3f}",
                f"{found['p_better']:.3f}",
            )
            numbers = "".join(f"<td class=n>{cell}" for cell in cells)
        result = (
            "<td class=good>passed"
            if check["passed"]
            else f"<td class=bad>{escape(check['reason'])}"
        )
        body.append(f"<tr><td>{escape(check['name'])}{numbers}{result}")
    return f"<table>{head}{''.join(body)}</table>"


def _cases(scores: list[Mapping[str, Any]]) -> str:
    head = "<tr><th>Case<th>Source<th>Metric<th>Current<th>Candidate"
    body = [
        f"<tr><td>{escape(score['case'])}<td>{escape(score['source'])}<td>{escape(metric)}"
        f"<td class=n>{value:.3f}<td class=n>{score['candidate'][metric]:.3f}"
        for score in scores
        for metric, value in sorted(score["current"].items())
    ]
    return f"<table>{head}{''.join(body)}</table>"
