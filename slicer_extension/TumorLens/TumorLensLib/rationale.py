"""An analysis as rich text for a QTextBrowser. Everything from the server is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from TumorLensLib.compare import Comparison
from TumorLensLib.labels import REGION_NAMES
from TumorLensLib.reply import Analysis, Classification, Evidence, Sentence, Symptom
from TumorLensLib.texts import Translator
from TumorLensLib.training import GateReport

BAR_PIXELS = 130
NEARLY_CERTAIN = 0.99
FOLD = "fold:"
"""Link that shows or hides the sentences that are not in the summary."""
TOP_WORDS = 2
"""Words of a symptom in bold, at most."""


@dataclass(frozen=True)
class Theme:
    """Colours that fit the application's palette.

    Attributes:
        text: Normal text.
        faint: Secondary text.
        warning: Warnings.
        link: Links.
        bar: Probability bars of types in the prediction set.
        bar_out: Bars of types outside it.
        track: What is left of a bar.
    """

    text: str
    faint: str
    warning: str
    link: str
    bar: str
    bar_out: str
    track: str


LIGHT = Theme("#1a1a1a", "#5f6368", "#b3261e", "#0b57d0", "#1f6f8b", "#9aa5ab", "#dfe3e6")
DARK = Theme("#e8eaed", "#a8adb3", "#ff8a80", "#8ab4f8", "#5cc0de", "#6f7a80", "#3c4043")


def theme_for(window_lightness: float) -> Theme:
    """Theme for a window colour; 0 is black, 1 white."""
    return DARK if window_lightness < 0.5 else LIGHT


def number(value: float | None, unit: str = "") -> str:
    """Short form of a number with its unit.

    Example:
        >>> number(1.3139), number(42.0, "mm"), number(12345.6)
        ('1.31', '42 mm', '12346')
    """
    if value is None:
        return "–"
    text = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {unit}" if unit and unit != "1" else text


def probability(share: float) -> str:
    """A probability in per cent; above 99 % and below 1 % it is told as no number.

    Example:
        >>> probability(0.874), probability(0.9941), probability(0.0042)
        ('87 %', '> 99 %', '< 1 %')
    """
    if share > NEARLY_CERTAIN:
        return "> 99 %"
    return "< 1 %" if share < 1 - NEARLY_CERTAIN else f"{100 * share:.0f} %"


def warnings_html(analysis: Analysis, t: Translator, theme: Theme) -> str:
    """What the user must know before anything else; empty if there is nothing."""
    lines = [escape(t.told(text)) for text in analysis.warnings]
    found = analysis.classification
    if found is not None and found.is_out_of_distribution:
        lines.insert(
            0, t("This case is unlike those the model learned from; expect it to be wrong.")
        )
    if analysis.heat is not None and analysis.heat.is_faithful is False:
        why = "; ".join(escape(t.told(reason)) for reason in analysis.heat.reasons)
        lines.append(
            t("The heatmap failed its faithfulness test and is shown in grey: do not rely on it.")
            + (f" ({why})" if why else "")
        )
    lines += [escape(t.told(problem)) for problem in analysis.problems]
    if not lines:
        return ""
    items = "".join(f"<div>⚠ {line}</div>" for line in lines)
    return f"<div style='color:{theme.warning}'>{items}</div>"


def classification_html(found: Classification | None, t: Translator, theme: Theme) -> str:
    """Probability of every type as bars, with the prediction set."""
    if found is None:
        return _faint(t("This server does not offer a tumour type."), theme)
    title = t(found.prediction)
    lines = [f"<b style='font-size:large'>{escape(title)}</b>"]
    if found.scope:
        lines.append(_faint(escape(t.told(found.scope)), theme))
    if found.probabilities:
        ranked = sorted(found.probabilities.items(), key=lambda item: -item[1])
        rows = "".join(
            _bar(t(name), share, name in found.prediction_set, theme) for name, share in ranked
        )
        lines.append(f"<table cellspacing='2'>{rows}</table>")
    if found.prediction_set:
        names = ", ".join(escape(t(name)) for name in found.prediction_set)
        if found.coverage is not None and len(found.prediction_set) == 1:
            note = t(
                "Of these three, the others are ruled out ({share} % of such sets hold the right "
                "type).",
                share=f"{100 * found.coverage:.0f}",
            )
        elif found.coverage is not None:
            note = t(
                "Cannot be ruled out: {types} ({share} % of such sets hold the right type).",
                types=names,
                share=f"{100 * found.coverage:.0f}",
            )
        else:
            note = t("Cannot be ruled out: {types}.", types=names)
        lines.append(_faint(note, theme))
    lines += [f"<div>• {escape(t.told(reason))}</div>" for reason in found.reasons]
    return "".join(f"<div>{line}</div>" for line in lines)


def _bar(name: str, share: float, is_in_set: bool, theme: Theme) -> str:
    full = max(0, min(BAR_PIXELS, round(BAR_PIXELS * share)))
    color = theme.bar if is_in_set else theme.bar_out
    cells = f"<td bgcolor='{color}' width='{full}' height='11'></td>" if full else ""
    if full < BAR_PIXELS:
        cells += f"<td bgcolor='{theme.track}' width='{BAR_PIXELS - full}' height='11'></td>"
    label = f"<b>{escape(name)}</b>" if is_in_set else escape(name)
    return (
        f"<tr><td>{label}&nbsp;</td>"
        f"<td><table cellspacing='0' cellpadding='0'><tr>{cells}</tr></table></td>"
        f"<td align='right'>&nbsp;{escape(probability(share))}</td></tr>"
    )


def folded_html(
    sentences: Iterable[Sentence], t: Translator, theme: Theme, *, is_open: bool
) -> str:
    """The summary of a rationale, and the other sentences behind a link.

    Args:
        sentences: Of the reply.
        t: Words of the panel.
        theme: Colours.
        is_open: Whether the others are shown.
    """
    listed = list(sentences)
    rest = [sentence for sentence in listed if not sentence.is_summary]
    html = sentences_html([s for s in listed if s.is_summary], theme)
    if not rest:
        return html
    words = t("Hide the details") if is_open else t("Show {count} more sentences", count=len(rest))
    html += f"<p><a href='{FOLD}' style='color:{theme.link}'>{escape(words)}</a></p>"
    return html + (sentences_html(rest, theme) if is_open else "")


def sentences_html(sentences: Iterable[Sentence], theme: Theme) -> str:
    """Rationale; each sentence ends with links to the evidence it names."""
    lines = []
    for sentence in sentences:
        links = " ".join(_link(identity, theme) for identity in sentence.evidence)
        text = escape(sentence.text)
        if sentence.kind in ("uncertainty", "conflict"):
            text = f"<i>{text}</i>"
        lines.append(f"<p style='margin-bottom:4px'>{text} {links}</p>")
    return "".join(lines)


def _link(identity: str, theme: Theme) -> str:
    safe = escape(identity, quote=True)
    return f"<a href='evidence:{safe}' style='color:{theme.link}'>[{safe}]</a>"


def evidence_html(evidence: Iterable[Evidence], t: Translator, theme: Theme) -> str:
    """Table of measurements with the usual range of each type."""
    rows = [
        f"<tr>{_head(t('Measurement'))}{_head(t('Value'))}{_head(t('Usual range (5–95 %)'))}"
        f"{_head(t('Speaks for'))}</tr>"
    ]
    for item in evidence:
        name = escape(t.told(item.name))
        if item.ras is not None:
            name = f"{name} {_link(item.id, theme)}"
        place = _faint(escape(t.told(item.place)), theme) if item.place else ""
        if item.value is None:
            value = _faint(
                t("not measured") + (f": {escape(t.told(item.reason))}" if item.reason else ""),
                theme,
            )
        else:
            value = f"<b>{escape(number(item.value, item.unit))}</b>"
        ranges = "<br>".join(
            f"{escape(t(kind))}: {number(low)}–{number(high)}"
            for kind, (low, _middle, high) in item.reference.items()
        )
        supports = escape(t(item.supports)) if item.supports else ""
        if item.contribution is not None:
            supports += _faint(f" {item.contribution:+.2f}", theme)
        rows.append(
            f"<tr><td>{name}{place}</td><td>{value}</td><td><small>{ranges}</small></td>"
            f"<td>{supports}</td></tr>"
        )
    return f"<table cellspacing='0' cellpadding='3'>{''.join(rows)}</table>"


def more_html(analysis: Analysis, t: Translator, theme: Theme) -> str:
    """Counterfactual, symptoms, similar cases, checks and the models that answered."""
    lines = []
    change = analysis.counterfactual
    if change:
        evidence = analysis.evidence_by_id(str(change.get("evidence", "")))
        lines.append(
            escape(
                t(
                    "With {name} at {to} instead of {value}, the type would be {type}.",
                    name=t.told(evidence.name if evidence else str(change.get("feature", "?"))),
                    to=number(_as_float(change.get("to"))),
                    value=number(_as_float(change.get("from"))),
                    type=t(str(change.get("class", "?"))),
                )
            )
        )
    lines += [_symptom(symptom, t, theme) for symptom in analysis.symptoms]
    for case in analysis.similar_cases:
        agrees = case.get("agrees")
        names = (
            ", ".join(t.told(str(a)) for a in agrees) if isinstance(agrees, (list, tuple)) else ""
        )
        lines.append(
            escape(
                t(
                    "Similar training case: {type} (distance {distance}; alike in {names})",
                    type=t(str(case.get("type", "?"))),
                    distance=number(_as_float(case.get("distance"))),
                    names=names or "–",
                )
            )
        )
    if analysis.claims is not None:
        claims, supported = analysis.claims
        lines.append(
            t(
                "{supported} of {claims} statements were checked against a measurement.",
                supported=supported,
                claims=claims,
            )
        )
    body = "".join(f"<div>{line}</div>" for line in lines)
    return body + models_html(analysis, t, theme)


def _symptom(symptom: Symptom, t: Translator, theme: Theme) -> str:
    """A symptom, the words that carry it in bold, and whether the measurement contradicts it."""
    mark = "✓" if symptom.is_matched else "✗"
    link = f" {_link(symptom.evidence, theme)}" if symptom.evidence else ""
    kind = f" ({escape(t(symptom.tumor_type))})" if symptom.tumor_type else ""
    read, told = _with_top_words(symptom), t.told(symptom.text)
    name = read if told == symptom.text else f"{escape(told)} – {read}"
    line = f"{mark} {name}{kind} {number(symptom.score)}{link}"
    if not symptom.is_contradicted:
        return line
    conflict = (
        t("The picture says yes, the measurement says no.")
        if symptom.is_matched
        else t("The picture says no, the measurement says yes.")
    )
    return f"{line} <span style='color:{theme.warning}'>{conflict}</span>"


def _with_top_words(symptom: Symptom) -> str:
    """Its text with the words in bold that add most to its score."""
    ranked = sorted(range(len(symptom.words)), key=lambda place: -symptom.words[place][1])
    top = {place for place in ranked[:TOP_WORDS] if symptom.words[place][1] > 0}
    pieces, end = [], 0
    for place, word in enumerate(re.finditer(r"[\w'-]+", symptom.text)):
        if place in top:
            before = symptom.text[end : word.start()]
            pieces.append(f"{escape(before)}<b>{escape(word.group())}</b>")
            end = word.end()
    return "".join(pieces) + escape(symptom.text[end:])


def models_html(analysis: Analysis, t: Translator, theme: Theme) -> str:
    """Which versions answered, on which sequences."""
    models = ", ".join(
        f"{name} {version}" + (f" ({checksum[:8]})" if checksum else "")
        for name, version, checksum in analysis.models
    )
    parts = [t("Models: {names}", names=models)] if models else []
    if analysis.provider:
        parts.append(t("Wording: {name}", name=analysis.provider))
    if analysis.sequences_used:
        parts.append(t("Sequences: {names}", names=", ".join(analysis.sequences_used)))
    if analysis.sequences_missing:
        parts.append(t("missing: {names}", names=", ".join(analysis.sequences_missing)))
    return _faint(escape("; ".join(parts)), theme)


def volumes_html(volumes_ml: dict[str, float], t: Translator, theme: Theme, note: str = "") -> str:
    """Region volumes in mL."""
    cells = "".join(
        f"<td>{escape(t(REGION_NAMES[name]))} <b>{value:.1f}&nbsp;mL</b>&nbsp;&nbsp;</td>"
        for name, value in volumes_ml.items()
    )
    return f"<table><tr>{cells}</tr></table>" + (_faint(escape(note), theme) if note else "")


def presence_text(analysis: Analysis | None, t: Translator) -> str:
    """How likely it is that there is a tumour at all; empty if the server does not tell."""
    if analysis is None or analysis.presence is None:
        return ""
    return t("Probability that there is a tumour: {share}", share=f"{analysis.presence:.0%}")


def comparison_html(comparison: Comparison, t: Translator, theme: Theme) -> str:
    """Before and after of every class and region."""
    if not comparison.changed_voxels:
        return _faint(t("The segments are as proposed."), theme)
    heads = (t("proposed"), t("now"), t("change"), "Dice")
    rows = [f"<tr>{_head('mL')}{''.join(_head(text, 'right') for text in heads)}</tr>"]
    for item in (*comparison.classes, *comparison.regions):
        name = t(REGION_NAMES.get(item.name, item.name))
        rows.append(
            f"<tr><td>{escape(name)}&nbsp;</td><td align='right'>{item.before_ml:.2f}</td>"
            f"<td align='right'>{item.after_ml:.2f}</td>"
            f"<td align='right'>{item.after_ml - item.before_ml:+.2f}</td>"
            f"<td align='right'>{item.dice:.3f}</td></tr>"
        )
    summary = t(
        "{voxels} voxels changed ({ml} mL).",
        voxels=comparison.changed_voxels,
        ml=f"{comparison.changed_ml:.2f}",
    )
    return f"<table cellspacing='0' cellpadding='2'>{''.join(rows)}</table><div>{summary}</div>"


def gate_html(report: GateReport, t: Translator, theme: Theme) -> str:
    """Candidate beside the current version in each comparison of the promotion gate."""
    if not report.checks:
        return ""
    heads = ("", report.current, report.candidate, t("change"), t("patients"), "")
    rows = [f"<tr>{''.join(_head(text, 'right') for text in heads)}</tr>"]
    for check in report.checks:
        mark = "✓" if check.passed else f"<span style='color:{theme.warning}'>✗</span>"
        change = "–"
        if check.change is not None:
            change = "{:+.3f} ({:+.3f} – {:+.3f})".format(*check.change)
        numbers = [_score(check.current), _score(check.candidate), change, check.patients or "–"]
        cells = "".join(f"<td align='right'>{text}&nbsp;</td>" for text in numbers)
        rows.append(f"<tr><td>{escape(t.told(check.name))}&nbsp;</td>{cells}<td>{mark}</td></tr>")
    return f"<table cellspacing='0' cellpadding='2'>{''.join(rows)}</table>"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _head(text: str, align: str = "left") -> str:
    return f"<th align='{align}'>{escape(text)}&nbsp;</th>"


def _faint(text: str, theme: Theme) -> str:
    return f"<div style='color:{theme.faint}'>{text}</div>"


def _as_float(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
