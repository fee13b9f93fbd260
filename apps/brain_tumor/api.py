"""What other programs build on, in ten names; `import brain_tumor` gives them.

The command line reads and writes cases through the same functions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brain_tumor.bundles import models_folder
from brain_tumor.cases import loading
from brain_tumor.cases.files.writers import write_labelmap, write_scalar_map
from brain_tumor.cases.loading import LoadedCase
from brain_tumor.errors import TumorLensError
from brain_tumor.explanation.analyst import AnalysedCase, Analyst
from brain_tumor.explanation.case_report import case_report
from brain_tumor.explanation.facts.model import Language
from brain_tumor.explanation.options import ExplanationOptions
from brain_tumor.explanation.page.page import write_page
from brain_tumor.explanation.type_reader import load_type_reader
from brain_tumor.model_names import ModelName
from brain_tumor.phantoms.samples import write_samples
from brain_tumor.segmentation import segmenter as _segmenter
from brain_tumor.segmentation.result import Segmenter

__all__ = [
    "ExplanationOptions",
    "TumorLensError",
    "analyse",
    "load_analyst",
    "load_case",
    "load_segmenter",
    "write_report",
    "write_samples",
]


def load_case(path: Path | str) -> LoadedCase:
    """Read a case from disk, with what its reader warned about.

    Args:
        path: A volume file, or a folder of sequences; NIfTI, NRRD or DICOM.

    Raises:
        InputError: If it cannot be used.
    """
    return loading.load_case(Path(path))


def load_segmenter(models: Path | None = None) -> Segmenter:
    """What outlines tumours, with its weights.

    Args:
        models: Models folder; the shipped one if None.

    Raises:
        ModelError: If a bundle is missing or damaged.
    """
    return _segmenter.load_segmenter(models or models_folder())


def load_analyst(models: Path | None = None, *, segmenter: Segmenter | None = None) -> Analyst:
    """What outlines a tumour, names its type and explains both, with its weights.

    Args:
        models: Models folder; the shipped one if None.
        segmenter: One that is loaded already.

    Raises:
        ModelError: If a bundle is missing or damaged.
    """
    folder = models or models_folder()
    reader = load_type_reader(folder / ModelName.CLASSIFICATION, folder / ModelName.CONCEPTS)
    return Analyst(segmenter or load_segmenter(folder), lambda: reader)


def analyse(
    loaded: LoadedCase,
    options: ExplanationOptions | None = None,
    *,
    analyst: Analyst | None = None,
) -> AnalysedCase:
    """Outline, tumour type, heat, evidence and rationale of a case.

    Args:
        loaded: From `load_case`.
        options: What to explain, and in whose words; the predicted type in English if None.
        analyst: From `load_analyst`, which several cases can share; loaded anew if None.

    Raises:
        InputError: If what is asked for cannot be explained.
        ModelError: If a bundle is missing or damaged.
    """
    chosen = options or ExplanationOptions()
    reads = analyst or load_analyst()
    reads.check(chosen)
    return reads.analyse(loaded.case, chosen).in_words_of(chosen)


def write_report(
    output: Path | str,
    loaded: LoadedCase,
    result: AnalysedCase,
    *,
    language: Language = Language.ENGLISH,
    loading_s: float = 0.0,
) -> dict[str, Any]:
    """Write what was inferred: labelmap, uncertainty, heatmap, report.json and report.html.

    A file is left out where there is nothing to put into it; files of these names are replaced.

    Args:
        output: Folder, made when it does not exist.
        loaded: The case.
        result: What was inferred from it.
        language: Of report.html.
        loading_s: Seconds that reading the case took, for the report.

    Returns:
        Content of report.json.

    Raises:
        StorageError: If a file cannot be written.
    """
    folder, affine = Path(output), loaded.case.affine
    segmentation, explanation = result.segmentation, result.explanation
    report = case_report(loaded, result, loading_s)
    folder.mkdir(parents=True, exist_ok=True)
    write_labelmap(folder / "labelmap.nii.gz", segmentation.labelmap, affine)
    if segmentation.uncertainty is not None:
        write_scalar_map(folder / "uncertainty.nii.gz", segmentation.uncertainty, affine)
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    (folder / "report.json").write_text(text, encoding="utf-8")
    if explanation is not None:
        write_scalar_map(folder / "heatmap.nii.gz", explanation.heat.values, affine)
        page = folder / "report.html"
        write_page(page, report, loaded.case, segmentation.labelmap, explanation.heat, language)
    return report
