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
from brain_tumor.explanation.page.evidence import evidence_section, highlight_style
from brain_tumor.explanation.page.figures import (
    Scene,
    Views,
    caption,
    legend,
    make_views,
    planes_markup,
    planes_style,
)
from brain_tumor.explanation.page.markup import Markup, element, joined
from brain_tumor.explanation.page.report_view import ReportView
from brain_tumor.explanation.page.sections import symptoms
from brain_tumor.explanation.page.style import SCRIPT, STYLE, content_security_policy
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
    style = STYLE + planes_style(views) + highlight_style(view)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content=content_security_policy(style, SCRIPT),
        ),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{case.case_id}: {sections.result_line(view, texts)}"),
        element("style", Markup(style)),
    )
    body = element(
        "body",
        sections.header(view, case.case_id, texts),
        element("main", _main(view, scene, views, texts)),
        element("script", Markup(SCRIPT)),
    )
    page = element("html", head, body, lang=texts.language.value)
    return f"<!DOCTYPE html>\n{page}\n"


def _main(view: ReportView, scene: Scene, views: Views, texts: Texts) -> Markup:
    pair = [s for s in (sections.volumes(view, texts), sections.classification(view, texts)) if s]
    return joined(
        sections.warnings(view, texts),
        sections.undetermined(view, texts),
        _images(view, scene, views, texts),
        element("div", pair, class_="pair block" if len(pair) == 2 else "block") if pair else None,
        sections.rationale(view, texts),
        evidence_section(view, texts),
        sections.counterfactual(view, texts),
        sections.similar_cases(view, texts),
        symptoms(view, texts),
        sections.models(view, texts),
        sections.timings(view, texts),
    )


def _images(view: ReportView, scene: Scene, views: Views, texts: Texts) -> Markup:
    target = str(view.section("heatmap").get("target") or (scene.heat.target if scene.heat else ""))
    name = texts.name(target).lower() if view.heat_region else texts.tumor(target)
    heat_text = texts("legend_region_heat" if view.heat_region else "legend_heat", target=name)
    switches = []
    if views.labels:
        switches.append(("outline", texts("show_outline")))
    has_heat = scene.heat is not None and not scene.heat.is_empty
    if has_heat:
        switches.append(("heat", texts("show_heat")))
    boxes = (
        element(
            "input",
            type="checkbox",
            id=f"show-{key}",
            class_="switch",
            checked=True,
            autocomplete="off",
        )
        for key, _ in switches
    )
    labels = (
        element("label", text, for_=f"show-{key}", class_=f"for-{key}") for key, text in switches
    )
    sequence = texts.name(scene.case.reference.value)
    section = element(
        "section",
        element(
            "div",
            element("h2", texts("images")),
            element("div", labels, class_="switches"),
            class_="heading",
        ),
        planes_markup(views, sequence, texts),
        legend(views, scene, heat_text, texts),
        element("p", caption(views, scene, texts), class_="quiet"),
        element("p", texts("no_heat", target=name)) if scene.heat and not has_heat else None,
        sections.heat_verdict(view, texts) if scene.heat is not None else None,
        class_="images",
    )
    return joined(boxes, section)


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
