"""The models of a cohort: what a case is read with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brain_tumor.api import load_analyst, load_segmenter, write_report
from brain_tumor.cases.loading import LoadedCase
from brain_tumor.cohorts.worker import CaseReader, CohortSettings
from brain_tumor.explanation.analyst import AnalysedCase, Analyst
from brain_tumor.explanation.facts.model import Language
from brain_tumor.explanation.options import ExplanationOptions
from brain_tumor.segmentation.result import Segmenter

SEGMENT, CLASSIFY, ANALYSE = "segment", "classify", "analyse"
DEPTHS = (SEGMENT, CLASSIFY, ANALYSE)


class OutlineReader:
    """Outlines the tumour.

    Args:
        segmenter: With its weights.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter

    def read(self, loaded: LoadedCase, folder: Path, loading_s: float) -> Mapping[str, Any]:
        """Outline a case and write it."""
        result = AnalysedCase(self._segmenter.segment(loaded.case))
        return write_report(folder, loaded, result, loading_s=loading_s)


class AnalystReader:
    """Outlines the tumour, names its type and, if asked, explains both.

    Args:
        analyst: With its weights.
        options: What to explain; None explains nothing.
    """

    def __init__(self, analyst: Analyst, options: ExplanationOptions | None) -> None:
        self._analyst = analyst
        self._options = options

    def read(self, loaded: LoadedCase, folder: Path, loading_s: float) -> Mapping[str, Any]:
        """Analyse a case and write what was found."""
        result = self._analyst.analyse(loaded.case, self._options)
        language = Language.ENGLISH if self._options is None else self._options.language
        return write_report(folder, loaded, result, language=language, loading_s=loading_s)


def load_reader(settings: CohortSettings) -> CaseReader:
    """Load the models of a cohort.

    Raises:
        ModelError: If a bundle is missing or damaged.
        InputError: If the default method of explanation may not be used.
    """
    segmenter = load_segmenter(settings.models)
    if settings.depth == SEGMENT:
        return OutlineReader(segmenter)
    analyst = load_analyst(settings.models, segmenter=segmenter)
    if settings.depth == CLASSIFY:
        return AnalystReader(analyst, None)
    options = ExplanationOptions(language=Language(settings.language))
    analyst.check(options)
    return AnalystReader(analyst, options)
