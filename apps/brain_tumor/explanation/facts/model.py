"""What is known about a case, as typed facts: the only source of every sentence.

Nothing here comes from a language model, and nothing here names the patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from brain_tumor.classification.features.feature_table import FEATURE_IDS
from brain_tumor.concepts.reader import SymptomReading, symptom_id
from brain_tumor.errors import InputError
from brain_tumor.labels import TumorType

PointMm = tuple[float, float, float]

LOCATION = "location"
PREDICTION = "prediction"
OUT_OF_DISTRIBUTION = "out_of_distribution"
HEAT_INSIDE = "heat_inside_share"
SIMILAR_CASES = "similar_cases"
SEPARATE_TUMOURS = "separate_tumours"
SURFACE, SPHERICITY, DIAMETER_3D = "surface_mm2", "sphericity", "longest_diameter_3d_mm"
VOLUMES = ("volume_wt_ml", "volume_tc_ml", "volume_et_ml")

CLEAR_CONTRIBUTION = 0.05
"""Log-odds below which a measurement speaks neither for nor against a type."""
LOW_HEAT, HIGH_HEAT = 0.2, 0.5
"""Mean heat near a place below which the heatmap is low there, and from which it is high."""
LEAST_INSIDE_SHARE = 0.5
"""With less of the heat in or near the tumour, heatmap and measurements disagree on the place."""
THIN_SHARE = 0.6
"""With a smaller share of the measurements made, the evidence is thin."""


def probability_id(tumor: TumorType) -> str:
    """Feature id of the evidence item that holds the probability of a type."""
    return f"probability_{tumor.value}"


class Side(StrEnum):
    """Side of the patient, not of the picture."""

    LEFT = "left"
    RIGHT = "right"
    MIDLINE = "midline"


class Language(StrEnum):
    """Languages of the rationale."""

    ENGLISH = "en"
    KOREAN = "ko"


class UndeterminedReason(StrEnum):
    """Why no type is given; `vocabulary` has the words."""

    NO_TUMOUR = "no_tumour"
    TOO_SMALL = "too_small"
    LOW_PROBABILITY = "low_probability"
    AMBIGUOUS = "ambiguous"
    EMPTY_SET = "empty_set"
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    THIN_EVIDENCE = "thin_evidence"
    PLANES_DISAGREE = "planes_disagree"
    NO_CONTRAST = "no_contrast"
    THIN_SLAB = "thin_slab"
    MANY_TUMOURS = "many_tumours"
    NO_HEAD = "no_head"
    OUTLINE_ELSEWHERE = "outline_elsewhere"


@dataclass(frozen=True)
class EvidenceItem:
    """One measured fact.

    Attributes:
        id: "e1", "e2", ...; sentences refer to it.
        name: Name in words.
        feature: Feature id, or one of the ids above for what is no feature of the classifier.
        value: Measured value; None if it could not be measured.
        unit: "mm", "mm2", "1/mm", "mL" or "1".
        reason: Why it could not be measured; empty if it was.
        ras: Place in RAS mm, or None for a property of the whole outline.
        extent_mm: Extent of the tumour at the place, or None.
        side: Side of the place, or None if it is not known.
        region: Lobe or region with its side, or None if it is not known.
        reference: 5th, 50th and 95th percentile of the training patients by type.
        percentile: Share of the training patients of each type below the value.
        contributions: Signed contribution to the log-odds of each type; empty if it has none.
        judged: Type whose log-odds `contribution` in the reply refers to.
        heat: Mean heat near the place, 0-1, or None.
    """

    id: str
    name: str
    feature: str
    value: float | None
    unit: str
    reason: str = ""
    ras: PointMm | None = None
    extent_mm: float | None = None
    side: Side | None = None
    region: str | None = None
    reference: Mapping[TumorType, tuple[float, float, float]] = field(default_factory=dict)
    percentile: Mapping[TumorType, float] = field(default_factory=dict)
    contributions: Mapping[TumorType, float] = field(default_factory=dict)
    judged: TumorType | None = None
    heat: float | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.reason):
            raise InputError(
                f"evidence {self.feature} has the value {self.value} and the reason "
                f"'{self.reason}'; expected a reason exactly when there is no value"
            )

    @property
    def measured(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    @property
    def supports(self) -> TumorType | None:
        """Type whose log-odds the fact raises most, or None if it raises none clearly."""
        if not self.contributions:
            return None
        best = max(self.contributions, key=lambda tumor: self.contributions[tumor])
        return best if self.contributions[best] >= CLEAR_CONTRIBUTION else None

    @property
    def contribution(self) -> float | None:
        """Signed contribution to the log-odds of the judged type."""
        return None if self.judged is None else self.contributions.get(self.judged)

    def to_json(self) -> dict[str, Any]:
        """The item as in the reply."""
        return {
            "id": self.id,
            "name": self.name,
            "feature": self.feature,
            "value": self.value,
            "unit": self.unit,
            "measured": self.measured,
            "reason": self.reason or None,
            "ras": list(self.ras) if self.ras else None,
            "extent_mm": self.extent_mm,
            "side": self.side.value if self.side else None,
            "region": self.region,
            "reference": {tumor.value: list(q) for tumor, q in self.reference.items()},
            "percentile": {tumor.value: p for tumor, p in self.percentile.items()},
            "contribution": self.contribution,
            "supports": self.supports.value if self.supports else None,
            "heat": self.heat,
        }


@dataclass(frozen=True)
class Decision:
    """What the classifier decided.

    Attributes:
        prediction: Type, or None if it is undetermined.
        probabilities: Calibrated, sum 1; None if no tumour was found.
        prediction_set: Types that the conformal set keeps.
        coverage: Share of cases whose type is in the set, by its calibration.
        reasons: Why the type is undetermined: values of `UndeterminedReason`, or sentences.
        ood_score: Distance from the training images; None if not computed.
        ood_threshold: Distance from which on the image counts as unlike them.
    """

    prediction: TumorType | None
    probabilities: Mapping[TumorType, float] | None
    prediction_set: tuple[TumorType, ...] = ()
    coverage: float | None = None
    reasons: tuple[str, ...] = ()
    ood_score: float | None = None
    ood_threshold: float | None = None

    def __post_init__(self) -> None:
        if (self.prediction is None) != bool(self.reasons):
            raise InputError(
                f"decision has the prediction {self.prediction} and the reasons {self.reasons}; "
                "expected reasons exactly when the type is undetermined"
            )
        if self.prediction is not None and self.prediction not in (self.probabilities or {}):
            raise InputError(f"decision for {self.prediction.value} has no probability of it")

    @property
    def is_out(self) -> bool:
        """Whether the image is unlike the training images."""
        if self.ood_score is None or self.ood_threshold is None:
            return False
        return self.ood_score > self.ood_threshold

    @property
    def ranked(self) -> tuple[TumorType, ...]:
        """Types by falling probability."""
        found = self.probabilities or {}
        return tuple(sorted(found, key=lambda tumor: -found[tumor]))

    @property
    def runner_up(self) -> TumorType | None:
        """The most probable type beside the predicted one."""
        others = [tumor for tumor in self.ranked if tumor is not self.prediction]
        return others[0] if self.prediction is not None and others else None


@dataclass(frozen=True)
class HeatFacts:
    """What the heatmap says as a whole.

    Attributes:
        target: Type whose decision the heatmap explains.
        inside_share: Share of the heat inside the tumour, 0-1.
        peak_inside: Whether the hottest point lies inside the tumour, not only near it.
        faithful: Whether the faithfulness test was passed; None if it was not made.
        peak_ras: Hottest point in RAS mm.
        near_share: Share of the heat within 5 mm of the tumour; None if only the outline itself was
            looked at.
        peak_near: Whether the hottest point lies within 5 mm of the tumour; None as above.
    """

    target: TumorType
    inside_share: float
    peak_inside: bool
    faithful: bool | None = None
    peak_ras: PointMm | None = None
    near_share: float | None = None
    peak_near: bool | None = None

    @property
    def agrees(self) -> bool:
        """Whether the heat lies where the tumour was measured, as the faithfulness test has it."""
        share = self.inside_share if self.near_share is None else self.near_share
        return share >= LEAST_INSIDE_SHARE and (self.peak_inside or bool(self.peak_near))


@dataclass(frozen=True)
class Counterfactual:
    """The one measured value whose change lets another type win.

    Attributes:
        feature: Feature id.
        from_value: Measured value.
        to_value: Nearest number, as it is written, at which the other type wins.
        tumor: The other type.
    """

    feature: str
    from_value: float
    to_value: float
    tumor: TumorType


@dataclass(frozen=True)
class CounterfactualSearch:
    """Outcome of a search for a counterfactual.

    Attributes:
        tumor: Type that was to win.
        found: The smallest change, or None if no single value does it within the reference.
    """

    tumor: TumorType
    found: Counterfactual | None


@dataclass(frozen=True)
class SimilarCase:
    """A training patient near the case, as numbers.

    Attributes:
        group: Number of the patient in the training table.
        tumor: Type of the tumour.
        distance: Root mean square difference of the standardised features, >= 0.
        agrees: Ids of features that agree best.
    """

    group: int
    tumor: TumorType
    distance: float
    agrees: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """Everything that may be said about a case.

    Attributes:
        evidence: Items, ids unique, features unique.
        decision: What the classifier decided.
        heat: What the heatmap says, or None if there is none.
        counterfactual: Outcome of the search, or None if it was not made.
        similar: Nearest training patients, nearest first.
        symptoms: Of the second reader; empty without one.
    """

    evidence: tuple[EvidenceItem, ...]
    decision: Decision
    heat: HeatFacts | None = None
    counterfactual: CounterfactualSearch | None = None
    similar: tuple[SimilarCase, ...] = ()
    symptoms: tuple[SymptomFact, ...] = ()

    @cached_property
    def by_feature(self) -> Mapping[str, EvidenceItem]:
        """Items by feature id."""
        return {item.feature: item for item in self.evidence}

    @property
    def measured_features(self) -> tuple[int, int]:
        """How many features of the classifier were measured, and how many there are."""
        found = [item for item in self.evidence if item.feature in FEATURE_IDS]
        return sum(item.measured for item in found), len(found)

    def item(self, feature: str) -> EvidenceItem | None:
        """Item of a feature, or None if the facts do not hold it."""
        return self.by_feature.get(feature)

    def symptom(self, name: str) -> SymptomFact | None:
        """Symptom of an id, or None if the facts do not hold it."""
        return next((symptom for symptom in self.symptoms if symptom.id == name), None)

    def evidence_ids(self, *features: str) -> tuple[str, ...]:
        """Ids of the items of features, those that exist."""
        return tuple(self.by_feature[f].id for f in features if f in self.by_feature)


@dataclass(frozen=True)
class SymptomFact:
    """One symptom, seen or not.

    Attributes:
        id: Feature id of its evidence item, "symptom_1", ...
        text: The symptom in words.
        kind: Class that it speaks for; none of `TumorType` if it was added by words.
        score: How likely it is seen, 0-1.
        matched: Whether it counts as seen.
        feature: Id of the measured feature that proves it.
        present: Whether the measurement shows it; None if it could not be measured.
    """

    id: str
    text: str
    kind: str
    score: float
    matched: bool
    feature: str
    present: bool | None

    @property
    def agrees(self) -> bool | None:
        """Whether picture and measurement agree; None if it could not be measured."""
        return None if self.present is None else self.present is self.matched


def symptom_facts(symptoms: Sequence[SymptomReading]) -> tuple[SymptomFact, ...]:
    """Facts of a reading, in its order.

    Args:
        symptoms: What the second reader says of each.
    """
    return tuple(
        SymptomFact(symptom_id(row), s.text, s.kind, s.score, s.matched, s.feature, s.present)
        for row, s in enumerate(symptoms)
    )
