"""A plausible report and a small head for the page."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache

import numpy as np
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.explanation.heat.volume import HeatVolume, heat_volume
from brain_tumor.labels import Label

_RANGES = {
    "glioma": [0.9, 1.2, 1.6],
    "meningioma": [0.6, 0.9, 1.1],
    "pituitary": [0.7, 0.9, 1.2],
}


def _evidence(number: int, name: str, feature: str, value: float | None, **changes) -> dict:
    return {
        "id": f"e{number}",
        "name": name,
        "feature": feature,
        "value": value,
        "unit": "1",
        "measured": value is not None,
        "reason": None,
        "ras": [-38.2, -12.0, 4.0],
        "extent_mm": 42.0,
        "side": "left",
        "region": "left temporal lobe",
        "reference": _RANGES,
        "percentile": {"glioma": 0.62, "meningioma": 0.99, "pituitary": 0.97},
        "contribution": 0.4,
        "supports": "glioma",
        "heat": 0.7,
        **changes,
    }


def a_report() -> dict:
    """A whole report of a clear glioma; change it freely."""
    return deepcopy(_REPORT)


_REPORT = {
    "segmentation": {
        "model": "segmentation",
        "version": "1.0.0",
        "scheme": "subregions",
        "volumes_ml": {"WT": 111.2, "TC": 46.1, "ET": 29.8},
    },
    "classification": {
        "prediction": "glioma",
        "probabilities": {"glioma": 0.91, "meningioma": 0.07, "pituitary": 0.02},
        "prediction_set": ["glioma"],
        "coverage": 0.9,
        "reasons": [],
        "out_of_distribution": {
            "score": 1.3,
            "threshold": 4.2,
            "is_out": False,
            "measurements": None,
        },
        "slices": [{"plane": "axial", "index": 12}, {"plane": "coronal", "index": 9}],
    },
    "heatmap": {
        "method": "gradcam++",
        "target": "glioma",
        "inside_tumor_share": 0.82,
        "peak_ras": [-37.0, -10.0, 3.0],
        "peak_inside_tumor": True,
        "faithfulness": {
            "passed": True,
            "deletion_auc": 0.31,
            "insertion_auc": 0.74,
            "random_deletion_auc": 0.52,
            "random_insertion_auc": 0.55,
            "infidelity": 0.42,
            "sensitivity": 0.07,
            "shuffled_correlation": -0.3,
            "reasons": [],
        },
    },
    "evidence": [
        _evidence(1, "ring-enhancement index", "ring_enhancement_index", 1.31),
        _evidence(2, "necrotic share", "necrosis_fraction", 0.34, contribution=-0.2),
        _evidence(3, "solidity", "solidity", 0.5, contribution=0.0, supports=None, ras=None),
        _evidence(4, "midline shift", "midline_shift_mm", None, reason="no mirror plane"),
    ],
    "rationale": {
        "language": "en",
        "provider": "composer",
        "sentences": [
            {"id": "s1", "text": "It is a ring.", "evidence": ["e1", "e2"], "kind": "finding"},
            {"id": "s2", "text": "It is sure.", "evidence": [], "kind": "class"},
            {"id": "s3", "text": "It could differ.", "evidence": ["e1"], "kind": "counterfactual"},
        ],
        "checks": {"claims": 5, "supported": 5, "removed": 0, "rewritten": 0, "problems": []},
    },
    "counterfactual": {"evidence": "e1", "from": 1.31, "to": 1.02, "class": "meningioma"},
    "similar_cases": [
        {"group": 17, "type": "glioma", "distance": 0.8, "agrees": ["ring_enhancement_index"]}
    ],
    "symptoms": [
        {"text": "Ring", "class": "glioma", "score": 0.8, "matched": True, "evidence": "e1"},
        {"text": "Dural tail", "class": "meningioma", "score": 0.2, "matched": False},
    ],
    "warnings": ["t2 was resampled to the grid of t1c"],
    "models": [{"name": "segmentation", "version": "1.0.0", "sha256": "ab" * 32}],
    "timings_s": {"load": 0.31, "compute": 0.92, "encode": 0.05, "total": 1.28},
    "sequences": {"used": ["t1c", "flair"], "missing": ["t1", "t2"], "reference": "t1c"},
    "notice": "Research use only; not a medical device.",
}


def a_symptom(
    *,
    matched: bool = True,
    present: bool | None = True,
    weights: tuple[float, ...] = (0.1, -0.1, 0.3, 0.0, 0.2),
) -> dict[str, object]:
    """Row of the section `symptoms` with one weight a word."""
    text = "little brain tissue around it"
    words = [
        {"word": word, "weight": weight} for word, weight in zip(text.split(), weights, strict=True)
    ]
    about = {"class": "pituitary", "score": 0.8, "evidence": None, "feature": "area_mm2"}
    return {"text": text, **about, "matched": matched, "present": present, "words": words}


@lru_cache(maxsize=1)
def a_page_case() -> tuple[Case, np.ndarray, HeatVolume]:
    """A ball of 60 mm as head, in it to the left a tumour of three labels with heat on it."""
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = -34.5
    x, y, z = np.indices((24, 24, 24)) * 3.0 - 34.5
    head = np.hypot(np.hypot(x, y), z)
    tumour = np.hypot(np.hypot(x + 15, y), z)
    image = np.where(head < 32, 100.0 + 0.5 * y, 0.0).astype(np.float32)
    labels = np.zeros(image.shape, dtype=np.uint8)
    for radius, label in ((13, Label.ED), (10, Label.ET), (5, Label.NCR)):
        labels[tumour < radius] = label
    image[labels == Label.ET] = 220.0
    case = Case("P001", Sequence.T1C, {Sequence.T1C: Volume(image, affine)})
    heat = heat_volume(np.exp(-((tumour / 9.0) ** 2)), affine, "gradcam++", "glioma")
    return case, labels, heat
