"""report.html: one page for a case that needs no other file and no network.

The page is plain HTML with inline pictures and charts; it works without its short script. Its
security policy lets nothing else run or load, and every text of the report is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brain_tumor.cases.case import Case
from brain_tumor.cases.files.durable import write_durably
from brain_tumor.errors import GeometryError, InputError
from brain_tumor.explanation.facts.model import Language
from brain_tumor.explanation.heat.volume import HeatVolume
from brain_tumor.explanation.page import sections
from brain_tumor.explanation.page.evidence import evidence_of, highlight_style
from brain_tumor.explanation.page.figures import Scene, images_of, make_views, planes_style
from brain_tumor.explanation.page.markup import Markup
from brain_tumor.explanation.page.rendering import content_security_policy, render, text_of
from brain_tumor.explanation.page.report_view import ReportView, texts_of
from brain_tumor.explanation.page.symptoms import symptoms
from brain_tumor.explanation.page.text import Texts
from brain_tumor.labels import LabelArray


def write_page(
    path: Path,
    report: Mapping[str, Any],
    case: Case,
    labelmap: LabelArray | None = None,
    heat: HeatVolume | None = None,
    language: Language | str = Language.ENGLISH,
) -> None:
    """Write the page so that it appears whole; an old page stays until then.

    Args:
        path: File to write, usually report.html.
        report: See `render_page`, as the other arguments.
        case: The case.
        labelmap: Its labelmap.
        heat: Its heat.
        language: Of the labels.

    Raises:
        GeometryError: If labelmap or heat do not fit the case.
        InputError: If the language is unknown.
        StorageError: If the file cannot be written.
    """
    page = render_page(report, case, labelmap, heat, language)
    write_durably(path, page.encode("utf-8"))


def render_page(
    report: Mapping[str, Any],
    case: Case,
    labelmap: LabelArray | None = None,
    heat: HeatVolume | None = None,
    language: Language | str = Language.ENGLISH,
) -> str:
    """The page as one string.

    Args:
        report: JSON of a reply or of report.json; any section may be absent or null.
        case: The case; its reference sequence is drawn.
        labelmap: Labels on the case's grid, or None.
        heat: Heat on the case's grid, or None. Drawn in grey when the report says that the
            heatmap failed its test.
        language: Of the labels; the sentences come as they are.

    Returns:
        HTML below 4 MB.

    Raises:
        GeometryError: If labelmap or heat have another shape than the case.
        InputError: If the language is unknown.
    """
    texts = Texts(_checked_language(language))
    _check_shape("labelmap", labelmap.shape if labelmap is not None else case.shape, case)
    _check_shape("heat", heat.values.shape if heat is not None else case.shape, case)
    view = ReportView(report)
    scene = Scene(case, labelmap, heat, view.heat_trusted)
    views = make_views(scene)
    style = text_of("style.css") + planes_style(views) + highlight_style(view)
    script = text_of("script.js")
    values = {
        "policy": content_security_policy(style, script),
        "style": Markup(style),
        "script": Markup(script),
        "texts": texts,
        "view": view,
        "case_id": case.case_id,
        "notice": sections.notice(view, texts),
        "result": sections.result_line(view, texts),
        "sequences": sections.sequences_line(view, texts),
        "warnings": texts_of(report.get("warnings")),
        "undetermined": sections.undetermined(view, texts),
        "images": images_of(view, scene, views, texts),
        "heat": sections.heat_verdict(view, texts) if heat is not None else None,
        "volumes": sections.volumes(view, texts),
        "classification": sections.classification(view, texts),
        "rationale": sections.rationale(view, texts),
        "evidence": evidence_of(view, texts),
        "counterfactual": sections.counterfactual(view, texts),
        "similar_cases": sections.similar_cases(view, texts),
        "symptoms": symptoms(view, texts),
        "models": sections.models(view),
        "timings": sections.timings(view, texts),
    }
    return render("page.html", values)


def _checked_language(language: Language | str) -> Language:
    try:
        return Language(language)
    except ValueError:
        raise InputError(
            f"language is '{language}'; expected one of {', '.join(Language)}"
        ) from None


def _check_shape(name: str, shape: tuple[int, ...], case: Case) -> None:
    if shape != case.shape:
        raise GeometryError(f"{name} has shape {shape}; the case {case.case_id} has {case.shape}")
