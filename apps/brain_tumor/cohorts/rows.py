"""One row a case: what a cohort's table says, taken from the report of the case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brain_tumor import __version__
from brain_tumor.classification.result import UNDETERMINED
from brain_tumor.cohorts.engine import Failure
from brain_tumor.labels import TYPES, Region

DONE, FAILED = "done", "failed"
TEXT, NUMBER, INTEGER, FLAG = "text", "number", "integer", "flag"

COLUMNS: Mapping[str, str] = {
    "case": TEXT,
    "status": TEXT,
    "doubt": NUMBER,
    "doubt_reason": TEXT,
    "sequences": TEXT,
    "reference": TEXT,
    **{f"{region.value}_ml": NUMBER for region in Region},
    "longest_diameter_mm": NUMBER,
    "shortest_axis_mm": NUMBER,
    "middle_axis_mm": NUMBER,
    "longest_axis_mm": NUMBER,
    "sphericity": NUMBER,
    "type": TEXT,
    **{f"{kind.value}_probability": NUMBER for kind in TYPES},
    "prediction_set": TEXT,
    "is_outlier": FLAG,
    "presence_probability": NUMBER,
    "presence_found": FLAG,
    "fit": TEXT,
    "largest_shift_mm": NUMBER,
    "heat_passed": FLAG,
    "warning_count": INTEGER,
    "warnings": TEXT,
    "models": TEXT,
    "tumorlens_version": TEXT,
    "seconds": NUMBER,
    "peak_memory_mb": NUMBER,
    "report": TEXT,
    "message": TEXT,
    "remedy": TEXT,
}
"""Name and kind of each column, in order."""
OWN_OF_A_RUN = ("seconds", "peak_memory_mb")
"""Columns that differ between two runs on the same cases."""


def row_of_report(report: Mapping[str, Any]) -> dict[str, Any]:
    """Row of a finished case; columns that its report does not fill are left out.

    Args:
        report: Content of report.json.
    """
    segmentation = report["segmentation"]
    found = report.get("classification") or {}
    shape = found.get("shape") or {}
    axes = shape.get("axes_mm") or (None, None, None)
    presence = segmentation.get("presence") or {}
    outlier = found.get("out_of_distribution") or {}
    heat = (report.get("heatmap") or {}).get("faithfulness") or {}
    fits = report.get("registration") or ()
    shifts = [fit["shift_mm"] for fit in fits if fit["shift_mm"] is not None]
    doubt, reason = doubt_of(report)
    warnings = [str(warning) for warning in report["warnings"]]
    row = {
        "case": report["case"],
        "status": DONE,
        "doubt": doubt,
        "doubt_reason": reason,
        "sequences": " ".join(report["sequences"]["used"]),
        "reference": report["sequences"]["reference"],
        **{f"{name}_ml": ml for name, ml in segmentation["volumes_ml"].items()},
        "longest_diameter_mm": shape.get("longest_diameter_mm"),
        "shortest_axis_mm": axes[0],
        "middle_axis_mm": axes[1],
        "longest_axis_mm": axes[2],
        "sphericity": shape.get("sphericity"),
        "type": found.get("prediction"),
        **{
            f"{kind}_probability": value
            for kind, value in (found.get("probabilities") or {}).items()
        },
        "prediction_set": " ".join(found.get("prediction_set", ())) if found else None,
        "is_outlier": outlier.get("is_out"),
        "presence_probability": presence.get("probability"),
        "presence_found": presence.get("found"),
        "fit": "; ".join(f"{fit['sequence']} {fit['status']}" for fit in fits) or None,
        "largest_shift_mm": max(shifts, default=None),
        "heat_passed": heat.get("passed"),
        "warning_count": len(warnings),
        "warnings": "; ".join(warnings),
        "models": "; ".join(f"{model['name']} {model['version']}" for model in report["models"]),
        "tumorlens_version": __version__,
    }
    return {column: value for column, value in row.items() if value is not None}


def row_of_failure(case_id: str, failure: Failure) -> dict[str, Any]:
    """Row of a case that came to nothing."""
    return {
        "case": case_id,
        "status": FAILED,
        "message": failure.message,
        "remedy": failure.remedy,
        "tumorlens_version": __version__,
    }


def doubt_of(report: Mapping[str, Any]) -> tuple[float, str]:
    """How doubtful a result is, 0 to 1, and why; the largest of three doubts counts.

    A tumour whose type is not named counts 1, a named type what it lacks of certainty; a tumour
    that may or may not be there counts 1 at even odds and 0 where its presence is certain.

    Args:
        report: Content of report.json.

    Example:
        >>> doubt_of({"segmentation": {"presence": {"probability": 0.6}}})
        (0.8, 'presence 60%')
    """
    doubts: list[tuple[float, str]] = [(0.0, "")]
    presence = (report["segmentation"].get("presence") or {}).get("probability")
    if presence is not None:
        doubts.append((round(1 - abs(2 * presence - 1), 4), f"presence {presence:.0%}"))
    found = report.get("classification") or {}
    kind, probabilities = found.get("prediction"), found.get("probabilities")
    if kind == UNDETERMINED and probabilities:
        doubts.append((1.0, "; ".join(found.get("reasons", ())) or "type undetermined"))
    elif kind and probabilities:
        doubts.append((round(1 - probabilities[kind], 4), f"{kind} {probabilities[kind]:.0%}"))
    return max(doubts, key=lambda one: one[0])
