"""The report as one picture for archives: three planes, volumes, type and sentences.

References:
    DICOM PS3.3 A.8.1 (secondary capture image).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom.sc import SCImage
from PIL import Image, ImageDraw, ImageFont
from pydicom.uid import ExplicitVRLittleEndian
from scipy import ndimage

from brain_tumor.cases.case import Case
from brain_tumor.cases.dicom_source import DicomSource
from brain_tumor.dicom.equipment import Instance
from brain_tumor.dicom.references import name_patient
from brain_tumor.explanation.page.images import grey_window, heat_table, to_grey
from brain_tumor.explanation.page.planes import (
    DisplayGrid,
    Plane,
    centre_voxel,
    display_grid,
    picture,
)
from brain_tumor.labels import LABEL_STYLES, Label, LabelArray

SERIES_DESCRIPTION = "TumorLens report page (research)"
WIDTH, MARGIN, GAP = 1280, 24, 12
_LETTER, _LINE = 20, 27
_LETTERS_A_LINE = 118
_TALLEST = 420
_INK, _PAPER, _QUIET = (20, 20, 24), (255, 255, 255), (110, 110, 118)

Pixels = npt.NDArray[np.uint8]


def page_object(
    report: Mapping[str, Any],
    case: Case,
    labelmap: LabelArray,
    heat: npt.NDArray[np.floating[Any]] | None,
    source: DicomSource,
) -> SCImage:
    """Secondary capture of a report.

    Args:
        report: Content of report.json.
        case: The case; its reference sequence is drawn.
        labelmap: On the grid of the case.
        heat: 0-1 on the grid of the case; None without.
        source: Identity of the case.
    """
    arguments = Instance("REPORT", SERIES_DESCRIPTION).arguments()
    made = SCImage(
        pixel_array=render_page(report, case, labelmap, heat),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=source.study,
        patient_orientation=("L", "P"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        study_id="",
        **arguments,
    )
    made.PatientOrientation = []  # the page shows three planes
    made.BurnedInAnnotation = "NO"  # it names no patient
    made.ConversionType = "WSD"
    made.BodyPartExamined = "BRAIN"
    name_patient(made, source)
    return made


def render_page(
    report: Mapping[str, Any],
    case: Case,
    labelmap: LabelArray,
    heat: npt.NDArray[np.floating[Any]] | None,
) -> Pixels:
    """The page as a picture, shape (rows, 1280, 3)."""
    views = _views(report, case, labelmap, heat)
    lines = [line for text in _texts(report) for line in textwrap.wrap(text, _LETTERS_A_LINE)]
    top = MARGIN + 2 * _LINE
    height = top + max(view.height for view in views) + MARGIN + _LINE * (len(lines) + 2)
    page = Image.new("RGB", (WIDTH, height), _PAPER)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(_LETTER)
    draw.text((MARGIN, MARGIN), "TumorLens report", _INK, ImageFont.load_default(_LETTER + 8))
    left = MARGIN
    for view in views:
        page.paste(view, (left, top))
        left += view.width + GAP
    y = top + max(view.height for view in views) + MARGIN
    for line in lines:
        draw.text((MARGIN, y), line, _INK, font)
        y += _LINE
    draw.text((MARGIN, y + _LINE // 2), str(report.get("notice", "")), _QUIET, font)
    return np.asarray(page)


def _texts(report: Mapping[str, Any]) -> list[str]:
    """Lines of the page; sentences in letters that its font lacks are left to the report."""
    segmentation, found = report["segmentation"], report.get("classification") or {}
    volumes = ", ".join(f"{k} {v:.1f} mL" for k, v in segmentation["volumes_ml"].items())
    texts = [f"Volumes: {volumes or 'no tumour'}"]
    if found:
        shares = found.get("probabilities") or {}
        told = ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items())
        texts.append(f"Type: {found.get('prediction')}" + (f" ({told})" if told else ""))
    sentences = report.get("rationale", {}).get("sentences", ())
    texts += [s["text"] for s in sentences if s["text"].isascii()]
    if any(not s["text"].isascii() for s in sentences):
        texts.append("The sentences of the rationale are in the structured report.")
    models = ", ".join(f"{m['name']} {m['version']}" for m in report.get("models", ()))
    return [*texts, f"Models: {models}"]


def _views(
    report: Mapping[str, Any],
    case: Case,
    labelmap: LabelArray,
    heat: npt.NDArray[np.floating[Any]] | None,
) -> list[Image.Image]:
    """Three planes through the tumour, at one scale."""
    grid = display_grid(case, labelmap)
    centre = centre_voxel(grid, labelmap, None)
    array = case.volumes[case.reference].array
    window = grey_window(array)
    is_trusted = bool(((report.get("heatmap") or {}).get("faithfulness") or {}).get("passed", True))
    colored = []
    for plane in Plane:
        index = centre[plane.normal]
        pixels = np.repeat(
            to_grey(picture(grid.cut(array), plane, index), window)[..., None], 3, axis=2
        )
        if heat is not None:
            warm = picture(grid.cut(heat), plane, index)
            pixels = _with_heat(pixels, warm, greyed=not is_trusted)
        colored.append(_with_outlines(pixels, picture(grid.cut(labelmap), plane, index)))
    return _at_one_scale(grid, colored)


def _at_one_scale(grid: DisplayGrid, planes: list[Pixels]) -> list[Image.Image]:
    sizes_mm = [grid.size_mm(plane) for plane in Plane]
    across = (WIDTH - 2 * MARGIN - 2 * GAP) / sum(width for width, _ in sizes_mm)
    scale = min(across, _TALLEST / max(height for _, height in sizes_mm))
    return [
        Image.fromarray(pixels).resize(
            (max(1, round(width * scale)), max(1, round(height * scale))),
            Image.Resampling.BILINEAR,
        )
        for pixels, (width, height) in zip(planes, sizes_mm, strict=True)
    ]


def _with_heat(pixels: Pixels, heat: npt.NDArray[np.floating[Any]], *, greyed: bool) -> Pixels:
    table = heat_table(greyed)
    rgba = table[np.rint(np.clip(heat, 0, 1) * (len(table) - 1)).astype(int)]
    share = rgba[..., 3:].astype(np.float32) / 255
    mixed: Pixels = np.rint(pixels * (1 - share) + rgba[..., :3] * share).astype(np.uint8)
    return mixed


def _with_outlines(pixels: Pixels, labels: LabelArray) -> Pixels:
    result = pixels.copy()
    for label in (Label.ED, Label.CORE, Label.ET, Label.NCR):
        mask = labels == label
        border = mask & ~ndimage.binary_erosion(mask)
        result[border] = [round(255 * part) for part in LABEL_STYLES[label].color]
    return result
