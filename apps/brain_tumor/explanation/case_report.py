"""report.json of a case, the same for every command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from brain_tumor.cases.loading import LoadedCase
from brain_tumor.classification.report import classification_section
from brain_tumor.explanation.analyst import Explanation
from brain_tumor.explanation.sections import explanation_sections, second_reader_section
from brain_tumor.explanation.type_reader import TypeReading
from brain_tumor.segmentation.report import segmentation_section
from brain_tumor.segmentation.result import SegmentationResult, duration_s

SCHEMA_VERSION = "1.0"


@dataclass(frozen=True, eq=False)
class CaseResults:
    """What was inferred from a case.

    Attributes:
        segmentation: Outline.
        read: Tumour type, if it was asked for.
        explanation: Heat and words, if they were asked for.
    """

    segmentation: SegmentationResult
    read: TypeReading | None = None
    explanation: Explanation | None = None


def case_report(
    loaded: LoadedCase, results: CaseResults, loading_s: float, notice: str
) -> dict[str, Any]:
    """Plain dictionary; its keys are those of docs/reply.schema.json.

    Args:
        loaded: Case with what its reader warned about.
        results: What was inferred.
        loading_s: Seconds that reading the files took.
        notice: What the results may be used for.
    """
    case, segmentation = loaded.case, results.segmentation
    models = [*segmentation.models]
    warnings = [*loaded.warnings, *segmentation.warnings]
    sections: dict[str, Any] = {"segmentation": segmentation_section(segmentation)}
    timings: dict[str, float] = {"load": loading_s, **segmentation.timings_s}
    read = results.read
    if read is not None:
        sections["classification"] = classification_section(read.classification)
        sections |= second_reader_section(read.symptoms)
        models += read.models
        warnings += (*read.classification.warnings, *read.warnings)
        timings = {
            "load": loading_s,
            "segmentation": duration_s(segmentation.timings_s),
            "classification": duration_s(read.classification.timings_s),
        }
    if results.explanation is not None:
        sections |= explanation_sections(results.explanation)
        timings |= results.explanation.timings_s
    return {
        "schema_version": SCHEMA_VERSION,
        "case": case.case_id,
        **sections,
        "sequences": {
            "used": [s.value for s in case.present],
            "missing": [s.value for s in case.missing],
            "reference": case.reference.value,
        },
        "registration": [fit.to_json() for fit in loaded.fits],
        "models": [model.to_json() for model in models],
        "warnings": warnings,
        "timings_s": timings,
        "notice": notice,
    }
