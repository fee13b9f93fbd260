"""The `segmentation` section of replies and report.json."""

from __future__ import annotations

from typing import Any

from brain_tumor.labels import LABEL_STYLES, SCHEME_LABELS, LabelScheme
from brain_tumor.segmentation.result import SegmentationResult


def segmentation_section(result: SegmentationResult) -> dict[str, Any]:
    """What a labelmap is and which model made it, as plain Python."""
    section: dict[str, Any] = {
        "model": result.model.name,
        "version": result.model.version,
        "reason": result.reason,
        "scheme": result.scheme.value,
        "labels": scheme_names(result.scheme),
        "volumes_ml": {region.value: volume for region, volume in result.volumes_ml.items()},
    }
    if result.presence is not None:
        section["presence"] = result.presence.to_json()
    return section


def scheme_names(scheme: LabelScheme) -> dict[str, int]:
    """Segment names and values that a labelmap of a scheme may hold."""
    return {LABEL_STYLES[label].name: int(label) for label in sorted(SCHEME_LABELS[scheme])}
