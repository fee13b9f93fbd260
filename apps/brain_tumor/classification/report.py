"""The classification section of replies and reports."""

from __future__ import annotations

from typing import Any

from brain_tumor.classification.result import (
    UNDETERMINED,
    ClassificationResult,
    OutlierScore,
    Probabilities,
)
from brain_tumor.classification.scope import scope_section


def classification_section(result: ClassificationResult) -> dict[str, Any]:
    """Plain dictionary under the key `classification`; see docs/reply.schema.json."""
    outlier = result.outlier
    return {
        "prediction": result.prediction.value if result.prediction else UNDETERMINED,
        "probabilities": _plain(result.probabilities),
        "prediction_set": [kind.value for kind in result.prediction_set],
        "coverage": result.coverage,
        "reasons": list(result.reasons),
        "out_of_distribution": None
        if outlier is None
        else {**(_distance(outlier) or {}), "measurements": _distance(result.unlike)},
        "scope": scope_section(),
        "shape": result.shape.to_json() if result.shape else None,
        "slices": [
            {
                "plane": reading.part.plane.value,
                "index": reading.part.index,
                "position_mm": round(reading.part.position_mm, 2),
                "area_mm2": round(reading.part.area_mm2, 1),
                "probabilities": _plain(reading.probabilities),
            }
            for reading in result.slices
        ],
    }


def _distance(found: OutlierScore | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "score": round(found.score, 4),
        "threshold": round(found.threshold, 4),
        "is_out": found.is_out,
    }


def _plain(probabilities: Probabilities | None) -> dict[str, float] | None:
    if probabilities is None:
        return None
    return {kind.value: round(float(value), 4) for kind, value in probabilities.items()}
