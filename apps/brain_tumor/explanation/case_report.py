"""What was inferred from a case as plain Python: the JSON of replies and of report.json.

Its keys are those of docs/reply.schema.json. The command line and the server build it here, the
server adds what only a server knows (task, files, label names, whether a result was cached).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Items
from typing import Any

from brain_tumor import NOTICE
from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.loading import LoadedCase
from brain_tumor.cases.registration.fit import SequenceFit
from brain_tumor.cases.sequences import Sequence
from brain_tumor.classification.report import classification_section
from brain_tumor.explanation.analyst import AnalysedCase
from brain_tumor.explanation.sections import explanation_sections, second_reader_section
from brain_tumor.segmentation.report import segmentation_section
from brain_tumor.segmentation.result import duration_s

SCHEMA_VERSION = "1.0"
WARNINGS, TIMINGS = "warnings", "timings_s"


def result_sections(result: AnalysedCase) -> dict[str, Any]:
    """What is said of a case: its sections, `warnings` and `timings_s`.

    Args:
        result: What was inferred; only an outline, or the type too, or everything.
    """
    segmentation, read, explanation = result.segmentation, result.read, result.explanation
    sections: dict[str, Any] = {"segmentation": segmentation_section(segmentation)}
    warnings = [*segmentation.warnings]
    timings = dict(segmentation.timings_s)
    if read is not None:
        found = read.classification
        sections["classification"] = classification_section(found)
        sections |= second_reader_section(read.symptoms)
        warnings += [*found.warnings, *read.warnings]
        timings = {
            "segmentation": duration_s(segmentation.timings_s),
            "classification": duration_s(found.timings_s),
        }
    if explanation is not None:
        sections |= explanation_sections(explanation)
        timings |= explanation.timings_s
    return {**sections, WARNINGS: warnings, TIMINGS: timings}


def report_of(
    case_id: str,
    sections: Mapping[str, Any],
    *,
    used: Items[Sequence],
    missing: Items[Sequence],
    reference: Sequence,
    models: Iterable[ModelVersion],
    fits: Items[SequenceFit] = (),
    warnings: Items[str] = (),
    timings_s: Mapping[str, float],
) -> dict[str, Any]:
    """Report of a case, with everything that every report has.

    Args:
        case_id: Name of the case.
        sections: What is said of it; see `result_sections`.
        used: Sequences of the case.
        missing: Sequences that it lacks.
        reference: Sequence on whose grid the results are.
        models: Models behind the sections.
        fits: How sequences were laid on the reference.
        warnings: What the reader of the files warned about; those of the sections follow.
        timings_s: Seconds outside the sections; those of the sections follow.
    """
    own = {key: value for key, value in sections.items() if key not in (WARNINGS, TIMINGS)}
    return {
        "schema_version": SCHEMA_VERSION,
        "case": case_id,
        **own,
        "sequences": {
            "used": [s.value for s in used],
            "missing": [s.value for s in missing],
            "reference": reference.value,
        },
        "registration": [fit.to_json() for fit in fits],
        "models": [model.to_json() for model in models],
        WARNINGS: [*warnings, *sections.get(WARNINGS, ())],
        TIMINGS: {**timings_s, **sections.get(TIMINGS, {})},
        "notice": NOTICE,
    }


def case_report(loaded: LoadedCase, result: AnalysedCase, loading_s: float) -> dict[str, Any]:
    """Content of report.json.

    Args:
        loaded: Case with what its reader warned about.
        result: What was inferred.
        loading_s: Seconds that reading the files took.
    """
    case = loaded.case
    return report_of(
        case.case_id,
        result_sections(result),
        used=case.present,
        missing=case.missing,
        reference=case.reference,
        models=result.models,
        fits=loaded.fits,
        warnings=loaded.warnings,
        timings_s={"load": loading_s},
    )
