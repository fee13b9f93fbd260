"""The explanation's sections of replies and reports; see docs/reply.schema.json."""

from __future__ import annotations

from typing import Any

from brain_tumor.cases.files.writers import SCALAR_MAP_STEPS
from brain_tumor.classification.scope import NOT_KNOWN
from brain_tumor.concepts.reader import ConceptReading
from brain_tumor.explanation.analyst import Explanation
from brain_tumor.explanation.facts.differential import lookalikes
from brain_tumor.explanation.facts.model import Facts
from brain_tumor.explanation.heat.volume import peak_ras

PART = "heatmap"


def explanation_sections(explanation: Explanation) -> dict[str, Any]:
    """Sections from heatmap to similar_cases, and those of the symptoms."""
    facts = explanation.facts
    words = symptom_sections(explanation.symptoms, facts)
    return {
        **words,
        "heatmap": heatmap_section(explanation),
        "evidence": [item.to_json() for item in facts.evidence],
        "rationale": explanation.rationale.to_json(),
        "differential": differential_section(facts),
        "counterfactual": _counterfactual(facts),
        "similar_cases": [
            {
                "group": other.group,
                "type": other.tumor.value,
                "distance": round(other.distance, 3),
                "agrees": list(other.agrees),
            }
            for other in facts.similar
        ],
    }


def differential_section(facts: Facts) -> list[dict[str, Any]]:
    """What else looks so, finding by finding, with the source that says it."""
    return [
        {
            "finding": row.english,
            "looks_like": [NOT_KNOWN[name] for name in row.looks_like],
            "source": row.source,
            "evidence": list(facts.evidence_ids(*row.features)),
        }
        for row in lookalikes(facts)
    ]


def symptom_sections(reading: ConceptReading | None, facts: Facts) -> dict[str, Any]:
    """Sections symptoms and second_reader; none without a second reader."""
    if reading is None:
        return {}
    ids = {feature: item.id for feature, item in facts.by_feature.items()}
    return {
        "symptoms": reading.to_json(ids),
        **second_reader_section(reading),
    }


def second_reader_section(reading: ConceptReading | None) -> dict[str, Any]:
    """Section second_reader; none without a second reader."""
    if reading is None:
        return {}
    disagreement = reading.disagreement
    return {
        "second_reader": {
            "prediction": reading.prediction,
            "probabilities": {k: round(p, 4) for k, p in reading.probabilities.items()},
            "disagreement": None if disagreement is None else round(disagreement, 4),
            "limit": round(reading.limit, 4),
            "disagrees": reading.disagrees,
            "caption": reading.caption,
        }
    }


def heatmap_section(explanation: Explanation) -> dict[str, Any]:
    """How the heat was made, where it lies, and whether it can be believed."""
    heat = explanation.heat
    peak = peak_ras(heat)
    report = explanation.faithfulness
    return {
        "method": heat.method,
        "target": heat.target,
        "part": PART,
        "scale": 1 / SCALAR_MAP_STEPS,
        "range": [0, 0 if heat.is_empty else 1],
        "inside_tumor_share": round(report.inside_share, 4),
        "near_tumor_share": round(report.near_share, 4),
        "peak_ras": [round(v, 2) for v in peak] if peak else None,
        "peak_inside_tumor": report.peak_inside,
        "faithfulness": report.to_json(),
    }


def _counterfactual(facts: Facts) -> dict[str, Any] | None:
    search = facts.counterfactual
    if search is None or search.found is None:
        return None
    found = search.found
    ids = facts.evidence_ids(found.feature)
    return {
        "evidence": ids[0] if ids else None,
        "feature": found.feature,
        "from": found.from_value,
        "to": found.to_value,
        "class": found.tumor.value,
    }
