"""The `classification` infer task: tumour type of a case as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Items
from types import MappingProxyType
from typing import Any, ClassVar

from monailabel.interfaces.tasks.infer_v2 import InferType

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.explanation.analyst import AnalysedCase, Analyst
from brain_tumor.explanation.case_report import result_sections
from brain_tumor.server.http.replies import FilePart
from brain_tumor.server.http.validation import Parameter
from brain_tumor.server.tasks.base import CaseInferTask, Outcome, TaskServices

SECOND_READER = "second_reader"
"""Parameter: whether the reader of visual symptoms is asked, where there is one."""


class ClassificationTask(CaseInferTask[AnalysedCase]):
    """Names the tumour type.

    Args:
        analyst: Does the work.
        services: Gate and cache, shared by all tasks.
    """

    name: ClassVar[str] = "classification"
    parameters: ClassVar[Mapping[str, Parameter]] = MappingProxyType(
        {SECOND_READER: Parameter((bool,), default=True)}
    )

    def __init__(self, analyst: Analyst, services: TaskServices) -> None:
        super().__init__(
            InferType.CLASSIFICATION.value,
            "Tumour type: glioma, meningioma, pituitary or undetermined, with probabilities",
            services,
        )
        self._analyst = analyst

    def compute(self, case: Case, options: Mapping[str, Any]) -> AnalysedCase:
        """Outline the tumour, then name its type."""
        return self._analyst.analyse(case, second_reader=options[SECOND_READER])

    def size_bytes(self, result: AnalysedCase) -> int:
        """Memory of the slices that were read."""
        return sum(
            reading.part.image.nbytes + reading.part.mask.nbytes + reading.patch.image.nbytes * 2
            for reading in (() if result.read is None else result.read.classification.slices)
        )

    def models(self, result: AnalysedCase | None = None) -> Items[ModelVersion]:
        """Segmenter, classifier and, if it was asked, second reader."""
        return self._analyst.versions if result is None else result.models

    def sections(
        self, outcome: Outcome[AnalysedCase], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Type, probabilities and the outline that they were read from."""
        return result_sections(outcome.result)

    def files(self, outcome: Outcome[AnalysedCase], options: Mapping[str, Any]) -> Items[FilePart]:
        """None."""
        return ()
