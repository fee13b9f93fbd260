"""The `classification` infer task: tumour type of a case as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from monailabel.interfaces.tasks.infer_v2 import InferType

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.classification.report import classification_section
from brain_tumor.explanation.analyst import Analyst
from brain_tumor.explanation.sections import second_reader_section
from brain_tumor.explanation.type_reader import TypeReading
from brain_tumor.segmentation.report import segmentation_section
from brain_tumor.segmentation.result import SegmentationResult, duration_s
from brain_tumor.server.http.replies import FilePart
from brain_tumor.server.http.validation import Parameter
from brain_tumor.server.tasks.base import CaseInferTask, Outcome, TaskServices

SECOND_READER = "second_reader"
"""Parameter: whether the reader of visual symptoms is asked, where there is one."""


@dataclass(frozen=True, eq=False)
class TypedCase:
    """What the task computes.

    Attributes:
        segmentation: Outline that was read.
        read: Tumour type.
    """

    segmentation: SegmentationResult
    read: TypeReading


class ClassificationTask(CaseInferTask[TypedCase]):
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

    def compute(self, case: Case, options: Mapping[str, Any]) -> TypedCase:
        """Outline the tumour, then name its type."""
        segmentation = self._analyst.segment(case)
        read = self._analyst.read_type(case, segmentation, second_reader=options[SECOND_READER])
        return TypedCase(segmentation, read)

    def size_bytes(self, result: TypedCase) -> int:
        """Memory of the slices that were read."""
        return sum(
            reading.part.image.nbytes + reading.part.mask.nbytes + reading.patch.image.nbytes * 2
            for reading in result.read.classification.slices
        )

    def models(self, result: TypedCase | None = None) -> Items[ModelVersion]:
        """Segmenter, classifier and, if it was asked, second reader."""
        if result is None:
            return self._analyst.versions
        return (*result.segmentation.models, *result.read.models)

    def sections(self, outcome: Outcome[TypedCase], options: Mapping[str, Any]) -> dict[str, Any]:
        """Type, probabilities and the outline that they were read from."""
        result, read = outcome.result, outcome.result.read
        return {
            "segmentation": segmentation_section(result.segmentation),
            "classification": classification_section(read.classification),
            **second_reader_section(read.symptoms),
            "warnings": [
                *result.segmentation.warnings,
                *read.classification.warnings,
                *read.warnings,
            ],
            "timings_s": {
                "segmentation": duration_s(result.segmentation.timings_s),
                "classification": duration_s(read.classification.timings_s),
            },
        }

    def files(self, outcome: Outcome[TypedCase], options: Mapping[str, Any]) -> Items[FilePart]:
        """None."""
        return ()
