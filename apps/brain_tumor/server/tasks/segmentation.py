"""The `segmentation` infer task: a labelmap on the reference grid, and on request its doubt."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Items
from types import MappingProxyType
from typing import Any, ClassVar

from monailabel.interfaces.tasks.infer_v2 import InferType

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.files.writers import SCALAR_MAP_STEPS
from brain_tumor.dicom.maps import UNCERTAINTY
from brain_tumor.explanation.analyst import AnalysedCase
from brain_tumor.explanation.case_report import result_sections
from brain_tumor.segmentation.result import SegmentationResult, Segmenter
from brain_tumor.server.http.replies import FilePart
from brain_tumor.server.http.validation import Parameter
from brain_tumor.server.tasks.base import CaseInferTask, Outcome, TaskServices
from brain_tumor.server.tasks.volume_parts import labelmap_bytes, map_bytes


class SegmentationTask(CaseInferTask[SegmentationResult]):
    """Outlines the tumour.

    Args:
        segmenter: Does the work; its version is part of every reply and cache key.
        services: Gate and cache, shared by all tasks.
    """

    name: ClassVar[str] = "segmentation"
    parameters: ClassVar[Mapping[str, Parameter]] = MappingProxyType(
        {
            "uncertainty": Parameter((bool,), default=False, affects_result=False),
            "mirrored": Parameter((bool,), default=False),
        }
    )

    def __init__(self, segmenter: Segmenter, services: TaskServices) -> None:
        super().__init__(
            InferType.SEGMENTATION.value,
            "Brain tumour from any subset of t1, t1c, t2 and flair; t1c alone gives the core",
            services,
        )
        self._segmenter = segmenter

    def compute(self, case: Case, options: Mapping[str, Any]) -> SegmentationResult:
        """Outline the tumour of a case."""
        return self._segmenter.segment(case, mirrored=bool(options.get("mirrored")))

    def size_bytes(self, result: SegmentationResult) -> int:
        """Memory of the arrays."""
        return result.nbytes

    def models(self, result: SegmentationResult | None = None) -> Items[ModelVersion]:
        """Model that made a result, or the one in use."""
        return result.models if result is not None else (self._segmenter.version,)

    def sections(
        self, outcome: Outcome[SegmentationResult], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Scheme, volumes and model of the labelmap."""
        result = outcome.result
        sections = result_sections(AnalysedCase(result))
        if options.get("uncertainty"):
            if result.uncertainty is None:
                sections["warnings"].append("this model gives no uncertainty")
            else:
                sections["uncertainty"] = {
                    "part": "uncertainty",
                    "scale": 1 / SCALAR_MAP_STEPS,
                }
        return sections

    def files(
        self, outcome: Outcome[SegmentationResult], options: Mapping[str, Any]
    ) -> Items[FilePart]:
        """Labelmap, and the uncertainty if asked for."""
        result = outcome.result
        suffix = options["result_extension"]
        parts = [self.part("image", suffix, labelmap_bytes(result, outcome.case, suffix))]
        if options.get("uncertainty") and result.uncertainty is not None:
            content = map_bytes(result.uncertainty, outcome.case, suffix, UNCERTAINTY)
            parts.append(self.part("uncertainty", suffix, content))
        return parts
