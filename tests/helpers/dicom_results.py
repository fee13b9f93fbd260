"""Results of a case as `tumorlens analyse` gives them, small and made up."""

from __future__ import annotations

from typing import Any

EVIDENCE = (
    {
        "id": "e1",
        "name": "volume of the tumour core",
        "feature": "volume_tc_ml",
        "value": 1.25,
        "unit": "mL",
        "measured": True,
        "reason": None,
        "ras": None,
    },
    {
        "id": "e2",
        "name": "distance to the dura",
        "feature": "border_distance_mm",
        "value": 15.568128603182037,
        "unit": "mm",
        "measured": True,
        "reason": None,
        "ras": [-48.5, 36.5, 27.5],
    },
    {
        "id": "e3",
        "name": "dural tail index",
        "feature": "dural_tail_index",
        "value": None,
        "unit": "1",
        "measured": False,
        "reason": "the tumour does not reach the border of the brain",
        "ras": None,
    },
)


def a_report(scheme: str = "subregions") -> dict[str, Any]:
    """Content of report.json of a glioma, with two sentences."""
    return {
        "case": "c",
        "segmentation": {"model": "segmentation", "scheme": scheme, "volumes_ml": {"TC": 1.25}},
        "classification": {
            "prediction": "glioma",
            "probabilities": {"glioma": 0.75, "meningioma": 0.2, "pituitary": 0.05},
            "prediction_set": ["glioma", "meningioma"],
            "shape": {"longest_diameter_mm": 45.6},
        },
        "evidence": [dict(item) for item in EVIDENCE],
        "rationale": {
            "language": "en",
            "sentences": [
                {"id": "s1", "text": "The core holds 1.3 mL.", "evidence": ["e1"]},
                {"id": "s2", "text": "It lies 16 mm off the dura.", "evidence": ["e2", "e3"]},
            ],
        },
        "sequences": {"used": ["t1c"], "missing": [], "reference": "t1c"},
        "models": [
            {"name": "segmentation", "version": "0.4.0", "sha256": "ab" * 32},
            {"name": "classification", "version": "0.1.0", "sha256": "cd" * 32},
        ],
        "warnings": [],
        "notice": "Research use only; not a medical device.",
    }
