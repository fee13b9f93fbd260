"""From measurements, decision and heat to facts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from brain_tumor.classification.features.case_shape import CaseShape
from brain_tumor.classification.features.feature_table import FEATURE_IDS, feature
from brain_tumor.classification.features.measurement import Measurement
from brain_tumor.explanation.facts.location import TumourPlace, side_of
from brain_tumor.explanation.facts.model import (
    DIAMETER_3D,
    HEAT_INSIDE,
    LOCATION,
    OUT_OF_DISTRIBUTION,
    PREDICTION,
    SEPARATE_TUMOURS,
    SIMILAR_CASES,
    SPHERICITY,
    SURFACE,
    VOLUMES,
    CounterfactualSearch,
    Decision,
    EvidenceItem,
    Facts,
    HeatFacts,
    Language,
    PointMm,
    SimilarCase,
    SymptomFact,
    probability_id,
)
from brain_tumor.explanation.facts.reference import FeatureReference
from brain_tumor.explanation.facts.vocabulary import feature_words, reason_code, reason_words
from brain_tumor.labels import Region, TumorType

PixelToRas = Callable[[float, float], PointMm]
HeatNear = Callable[[PointMm], float | None]

_VOLUME_OF = dict(zip(VOLUMES, (Region.WT, Region.TC, Region.ET), strict=True))


@dataclass(frozen=True, eq=False)
class CaseMeasurements:
    """What was measured and decided, as plain things.

    Attributes:
        measurements: Feature id to measurement, of the slice that represents the case.
        contributions: Feature id to signed contribution to the log-odds of each type; features
            that the decision does not use are absent.
        reference: Training patients, feature by feature.
        decision: What the classifier decided.
        to_ras: Pixel (row, column) of that slice to RAS mm, or None if places are not known.
        place: Place of the tumour, or None if no tumour was found.
        volumes_ml: Volume of each region that the segmentation tells, mL.
        shape: Of the tumour in space, or None if it was not measured.
        heat: What the heatmap says as a whole, or None if there is none.
        heat_near: Mean heat near a point in RAS mm, 0-1, None outside the heatmap.
        counterfactual: Outcome of the search, or None if it was not made.
        similar: Nearest training patients, nearest first.
        symptoms: Of the second reader; empty without one.
        pieces: Separate tumours; None if they were not counted.
    """

    measurements: Mapping[str, Measurement]
    contributions: Mapping[str, Mapping[TumorType, float]]
    reference: FeatureReference
    decision: Decision
    to_ras: PixelToRas | None = None
    place: TumourPlace | None = None
    volumes_ml: Mapping[Region, float] = field(default_factory=dict)
    shape: CaseShape | None = None
    heat: HeatFacts | None = None
    heat_near: HeatNear | None = None
    counterfactual: CounterfactualSearch | None = None
    similar: Sequence[SimilarCase] = ()
    symptoms: Sequence[SymptomFact] = ()
    pieces: int | None = None


def build_facts(case: CaseMeasurements) -> Facts:
    """Facts of a case, in a fixed order with ids e1, e2, ...

    Place and volumes come first, then the features by falling weight in the decision (those that
    could not be measured last), then what was decided, and the heat; the symptoms come last.

    Args:
        case: What was measured and decided.
    """
    reasons = tuple(dict.fromkeys(reason_code(reason) for reason in case.decision.reasons))
    case = replace(case, decision=replace(case.decision, reasons=reasons))
    items = [*_place_items(case), *_feature_items(case), *_decision_items(case)]
    items += [_symptom_item(symptom) for symptom in case.symptoms]
    numbered = tuple(replace(item, id=f"e{number}") for number, item in enumerate(items, start=1))
    return Facts(
        numbered,
        case.decision,
        case.heat,
        case.counterfactual,
        tuple(case.similar),
        tuple(case.symptoms),
    )


def judged_type(decision: Decision) -> TumorType | None:
    """Type that contributions refer to: the predicted one, else the most probable one."""
    return decision.prediction or next(iter(decision.ranked), None)


def _place_items(case: CaseMeasurements) -> list[EvidenceItem]:
    items = []
    if case.place is not None:
        place = case.place
        items.append(
            EvidenceItem(
                id="",
                name="place and largest extent of the tumour",
                feature=LOCATION,
                value=place.extent_mm,
                unit="mm",
                ras=place.centroid_ras,
                extent_mm=place.extent_mm,
                side=place.side,
                region=place.named,
            )
        )
    for name, region in _VOLUME_OF.items():
        if region in case.volumes_ml:
            items.append(_plain(name, case.volumes_ml[region], "mL"))
    if case.pieces:
        items.append(_plain(SEPARATE_TUMOURS, float(case.pieces), "1"))
    return [*items, *_shape_items(case.shape)]


def _shape_items(shape: CaseShape | None) -> list[EvidenceItem]:
    """Shape in space; no training patient has a volume thin enough for a reference."""
    if shape is None:
        return []
    solid = shape.solid
    found = (
        (SURFACE, solid.surface_mm2 if solid else None, "mm2"),
        (SPHERICITY, solid.sphericity if solid else None, "1"),
        (DIAMETER_3D, solid.longest_diameter_mm if solid else None, "mm"),
    )
    return [_plain(name, value, unit, shape.reason) for name, value, unit in found]


def _feature_items(case: CaseMeasurements) -> list[EvidenceItem]:
    judged = judged_type(case.decision)
    found = [
        _feature_item(case, name, case.measurements[name], judged)
        for name in FEATURE_IDS
        if name in case.measurements
    ]

    def weight(item: EvidenceItem) -> float:
        return abs(item.contributions.get(judged, 0.0)) if judged else 0.0

    return sorted(found, key=lambda item: (not item.measured, -weight(item)))


def _feature_item(
    case: CaseMeasurements, name: str, measurement: Measurement, judged: TumorType | None
) -> EvidenceItem:
    definition = feature(name)
    ras, heat = None, None
    extent = side = region = None
    if measurement.measured and measurement.place is not None and case.to_ras is not None:
        ras = case.to_ras(*measurement.place)
        heat = case.heat_near(ras) if case.heat_near is not None else None
        side = side_of(ras[0], case.place.midline_x_mm if case.place else None)
    elif measurement.measured and case.place is not None:
        ras, extent = case.place.centroid_ras, case.place.extent_mm
        side, region = case.place.side, case.place.named
    value = measurement.value if measurement.measured else None
    contributions = dict(case.contributions.get(name, {}))
    if not all(math.isfinite(c) for c in contributions.values()):
        contributions = {}
    return EvidenceItem(
        id="",
        name=definition.name,
        feature=name,
        value=value,
        unit=definition.unit,
        reason=measurement.reason,
        ras=ras,
        extent_mm=extent,
        side=side,
        region=region,
        reference=case.reference.shown(name),
        percentile={} if value is None else case.reference.percentile(name, value),
        contributions=contributions,
        judged=judged,
        heat=heat,
    )


def _decision_items(case: CaseMeasurements) -> list[EvidenceItem]:
    decision = case.decision
    reasons = "; ".join(reason_words(r, Language.ENGLISH) for r in decision.reasons)
    probabilities = decision.probabilities or {}
    predicted = probabilities[decision.prediction] if decision.prediction else None
    items = [_plain(PREDICTION, predicted, "1", reasons)]
    items += [_plain(probability_id(t), probabilities[t], "1") for t in decision.ranked]
    if decision.ood_score is not None:
        items.append(_plain(OUT_OF_DISTRIBUTION, decision.ood_score, "1"))
    if case.heat is not None:
        heat = case.heat
        items.append(
            EvidenceItem(
                id="",
                name=feature_words(HEAT_INSIDE, Language.ENGLISH),
                feature=HEAT_INSIDE,
                value=heat.inside_share,
                unit="1",
                ras=heat.peak_ras,
                side=side_of(heat.peak_ras[0], case.place.midline_x_mm)
                if heat.peak_ras and case.place
                else None,
            )
        )
    if case.similar:
        judged = judged_type(decision)
        same = sum(other.tumor is judged for other in case.similar)
        items.append(_plain(SIMILAR_CASES, float(same), "1"))
    return items


def _symptom_item(symptom: SymptomFact) -> EvidenceItem:
    """Score of a symptom, under its own words."""
    return EvidenceItem("", symptom.text, symptom.id, symptom.score, "1")


def _plain(name: str, value: float | None, unit: str, reason: str = "") -> EvidenceItem:
    """An item that is no feature of the classifier and has no place."""
    return EvidenceItem(
        id="",
        name=feature_words(name, Language.ENGLISH),
        feature=name,
        value=value,
        unit=unit,
        reason=reason,
    )
