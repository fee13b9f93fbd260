"""The `classification` infer task: tumour type of a case as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Any, ClassVar

from monailabel.interfaces.tasks.infer_v2 import InferType

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.classification.report import classification_section
from brain_tumor.classification.result import ClassificationResult
from brain_tumor.explanation.analyst import Analyst
from brain_tumor.segmentation.report import segmentation_section
from brain_tumor.segmentation.result import SegmentationResult, duration_s
from brain_tumor.server.replies import FilePart
from brain_tumor.server.tasks import CaseInferTask, Outcome, TaskServices


@dataclass(frozen=True, eq=False)
class TypedCase:
    """What the task computes.

    Attributes:
        segmentation: Outline that was read.
        classification: Tumour type.
    """

    segmentation: SegmentationResult
    classification: ClassificationResult


class ClassificationTask(CaseInferTask[TypedCase]):
    """Names the tumour type.

    Args:
        analyst: Does the work.
        services: Gate and cache, shared by all tasks.
    """

    name: ClassVar[str] = "classification"

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
        return TypedCase(segmentation, self._analyst.classify(case, segmentation))

    def size_bytes(self, result: TypedCase) -> int:
        """Memory of the slices that were read."""
        return sum(
            reading.part.image.nbytes + reading.part.mask.nbytes + reading.patch.image.nbytes * 2
            for reading in result.classification.slices
        )

    def models(self, result: TypedCase | None = None) -> Items[ModelVersion]:
        """Segmenter and classifier."""
        if result is None:
            return self._analyst.versions
        return (result.segmentation.model, result.classification.model)

    def sections(self, outcome: Outcome[TypedCase], options: Mapping[str, Any]) -> dict[str, Any]:
        """Type, probabilities and the outline that they were read from."""
        result = outcome.result
        return {
            "segmentation": segmentation_section(result.segmentation),
            "classification": classification_section(result.classification),
            "warnings": [*result.segmentation.warnings, *result.classification.warnings],
            "timings_s": {
                "segmentation": duration_s(result.segmentation.timings_s),
                "classification": duration_s(result.classification.timings_s),
            },
        }

    def files(self, outcome: Outcome[TypedCase], options: Mapping[str, Any]) -> Items[FilePart]:
        """None."""
        return ()
