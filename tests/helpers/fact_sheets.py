"""Made-up fact sheets: plain cases, doubtful ones, conflicts, and ones with almost nothing."""

from __future__ import annotations

import numpy as np
from brain_tumor.classification.features.feature_table import FEATURE_IDS, feature
from brain_tumor.classification.features.measurement import Measurement, missing
from brain_tumor.explanation.facts.evidence import CaseMeasurements, build_facts
from brain_tumor.explanation.facts.location import TumourPlace
from brain_tumor.explanation.facts.model import (
    Counterfactual,
    CounterfactualSearch,
    Decision,
    Facts,
    HeatFacts,
    Side,
    SimilarCase,
    SymptomFact,
    UndeterminedReason,
)
from brain_tumor.explanation.facts.reference import QUANTILE_LEVELS, FeatureReference
from brain_tumor.labels import Region, TumorType

G, M, P = TumorType

NO_PLANE = "no mirror plane in this slice"
NO_FLAIR = "no FLAIR"
SCALES = {"mm": 20.0, "mm2": 600.0, "1/mm": 0.1, "1": 0.5}


def a_reference(centres=None) -> FeatureReference:
    """Quantiles that rise evenly; glioma lowest, pituitary highest, overlapping by half.

    With centres, the middle of each feature of each type is given.
    """
    quantiles = {}
    for name in FEATURE_IDS:
        scale = SCALES[feature(name).unit]
        quantiles[name] = {
            tumor: tuple(
                scale * ((centres or {}).get((name, tumor), 1.0 + 0.5 * k) + level - 0.5)
                for level in QUANTILE_LEVELS
            )
            for k, tumor in enumerate(TumorType)
        }
    return FeatureReference(quantiles, dict.fromkeys(TumorType, 50))


def value_at(name: str, tumor: TumorType, percentile: float) -> float:
    """Value of a feature at a percentile of a type in `a_reference`."""
    scale = SCALES[feature(name).unit]
    return scale * (1.0 + 0.5 * list(TumorType).index(tumor) + percentile - 0.5)


def a_case(**changes) -> CaseMeasurements:
    """A clear glioma in the left temporal lobe; any part can be changed."""
    measurements = {
        name: Measurement(value_at(name, G, 0.5), feature(name).unit) for name in FEATURE_IDS
    }
    measurements |= {
        "ring_enhancement_index": Measurement(1.31, "1", (20.0, 30.0)),
        "necrosis_fraction": Measurement(0.34, "1", (22.0, 31.0)),
        "border_contact_ratio": Measurement(0.68, "1", (10.0, 12.0)),
        "midline_shift_mm": missing("mm", NO_PLANE),
        "midline_shift_share": missing("1", NO_PLANE),
        "oedema_extent_mm": missing("mm", NO_FLAIR),
        "oedema_ratio": missing("1", NO_FLAIR),
    }
    measurements |= changes.pop("measurements", {})
    contributions = {
        "ring_enhancement_index": {G: 0.62, M: -0.55, P: -0.07},
        "necrosis_fraction": {G: 0.41, M: -0.2, P: -0.21},
        "border_contact_ratio": {G: -0.3, M: 0.44, P: -0.14},
        "solidity": {G: 0.12, M: -0.02, P: -0.1},
    }
    given = {
        "contributions": contributions,
        "reference": a_reference(
            {
                ("ring_enhancement_index", G): 2.5,
                ("ring_enhancement_index", M): 1.75,
                ("ring_enhancement_index", P): 1.9,
                ("necrosis_fraction", G): 0.7,
                ("necrosis_fraction", M): 0.3,
                ("border_contact_ratio", G): 0.9,
                ("border_contact_ratio", M): 1.4,
            }
        ),
        "decision": Decision(G, {G: 0.93, M: 0.05, P: 0.02}, (G,), 0.9, (), 1.3, 4.2),
        "to_ras": lambda row, column: (-40.0 + column / 10, 10.0, 50.0 - row),
        "place": TumourPlace((-38.0, -12.0, 4.0), 42.3, Side.LEFT, "left temporal lobe", 0.0),
        "volumes_ml": {Region.WT: 61.2, Region.TC: 31.4, Region.ET: 12.6},
        "heat": HeatFacts(G, 0.82, True, True, (-37.0, -10.0, 3.0)),
        "heat_near": lambda _: 0.7,
        "counterfactual": CounterfactualSearch(
            M, Counterfactual("ring_enhancement_index", 1.31, 0.97, M)
        ),
        "similar": tuple(
            SimilarCase(group, tumor, 0.5 + 0.1 * group, ("solidity",))
            for group, tumor in enumerate((G, G, M, G, G))
        ),
    }
    return CaseMeasurements(measurements, **{**given, **changes})


def facts_of(**changes) -> Facts:
    return build_facts(a_case(**changes))


def decided(prediction, glioma, meningioma, pituitary, kept, **changes) -> Decision:
    given = {"coverage": 0.9, "reasons": (), "ood_score": 1.3, "ood_threshold": 4.2, **changes}
    probabilities = {G: glioma, M: meningioma, P: pituitary}
    return Decision(prediction, probabilities, kept, **given)


def undetermined(*reasons, **changes) -> Decision:
    given = {"glioma": 0.46, "meningioma": 0.4, "pituitary": 0.14, "kept": (G, M), **changes}
    return decided(None, reasons=reasons, **given)


def some_symptoms() -> tuple[SymptomFact, ...]:
    """Two seen and measured, one only seen, one only measured, one neither, one not measurable."""
    rows = (
        ("large dark dead area inside", "glioma", 0.97, "necrosis_fraction", True),
        ("faint edge that melts into the brain", "glioma", 0.88, "margin_contrast", True),
        ("smooth round outline", "meningioma", 0.81, "irregularity", False),
        ("right on the midline", "pituitary", 0.12, "lateral_offset", True),
        ("black air, bone or fluid around it", "pituitary", 0.03, "surrounding_dark_share", False),
        ("solid bright centre without a ring", "meningioma", 0.66, "ring_enhancement_index", None),
    )
    return tuple(
        SymptomFact(f"symptom_{row}", text, kind, score, score >= 0.5, name, present)
        for row, (text, kind, score, name, present) in enumerate(rows, start=1)
    )


def nothing_measured() -> dict[str, Measurement]:
    reason = "no tumour in this slice"
    return {name: missing(feature(name).unit, reason) for name in FEATURE_IDS}


def diverse_facts() -> dict[str, Facts]:
    """Cases by name, each different in what there is to say."""
    flipped = {
        "ring_enhancement_index": {G: -0.55, M: 0.6, P: -0.05},
        "border_contact_ratio": {G: -0.3, M: 0.44, P: -0.14},
        "sella_distance_mm": {G: 0.1, M: 0.2, P: -0.3},
        "necrosis_fraction": {G: 0.2, M: -0.25, P: 0.05},
    }
    adenoma = {
        "sella_distance_mm": {G: -0.6, M: -0.5, P: 1.1},
        "lateral_offset_mm": {G: -0.2, M: -0.1, P: 0.3},
        "necrosis_fraction": {G: 0.1, M: 0.0, P: -0.1},
    }
    meningioma = decided(M, 0.12, 0.81, 0.07, (M,))
    at_sella = TumourPlace((1.0, 8.0, -30.0), 18.2, Side.MIDLINE, None, 0.0, "no atlas")
    thin = dict(list(nothing_measured().items())[:40])
    shape = {n: Measurement(value_at(n, M, 0.95), feature(n).unit) for n in ("solidity", "extent")}
    heat = a_case().heat
    return {
        "clear glioma": facts_of(),
        "likely meningioma": facts_of(
            decision=meningioma,
            contributions=flipped,
            measurements={"ring_enhancement_index": Measurement(0.86, "1", (20.0, 30.0))},
            place=TumourPlace((31.0, -60.0, 22.0), 55.0, Side.RIGHT, "right parietal lobe", 0.0),
            heat=HeatFacts(M, 0.78, True, True),
            counterfactual=CounterfactualSearch(G, None),
            similar=tuple(SimilarCase(k, M, 0.4) for k in range(5)),
        ),
        "pituitary tumour": facts_of(
            decision=decided(P, 0.02, 0.04, 0.94, (P,)),
            contributions=adenoma,
            measurements={
                "sella_distance_mm": Measurement(4.2, "mm", (88.0, 64.0)),
                "lateral_offset_mm": Measurement(1.3, "mm", (88.0, 64.0)),
            },
            place=at_sella,
            volumes_ml={Region.TC: 3.1},
            heat=HeatFacts(P, 0.71, True, True),
            counterfactual=CounterfactualSearch(M, None),
            similar=(SimilarCase(3, P, 0.3), SimilarCase(4, P, 0.4), SimilarCase(9, M, 0.5)),
        ),
        "suggested glioma": facts_of(decision=decided(G, 0.62, 0.31, 0.07, (G, M))),
        "slight glioma": facts_of(decision=decided(G, 0.45, 0.35, 0.2, (G, M, P))),
        "low probability": facts_of(decision=undetermined(UndeterminedReason.LOW_PROBABILITY)),
        "two reasons": facts_of(
            decision=undetermined(UndeterminedReason.AMBIGUOUS, UndeterminedReason.PLANES_DISAGREE)
        ),
        "unlike training": facts_of(
            decision=undetermined(UndeterminedReason.OUT_OF_DISTRIBUTION, kept=(), ood_score=6.4)
        ),
        "predicted but unlike": facts_of(decision=decided(G, 0.88, 0.1, 0.02, (G,), ood_score=4.6)),
        "no tumour": facts_of(
            decision=Decision(None, None, reasons=(UndeterminedReason.NO_TUMOUR,)),
            contributions={},
            measurements=nothing_measured(),
            place=None,
            volumes_ml={Region.WT: 0.0},
            heat=None,
            heat_near=None,
            counterfactual=None,
            similar=(),
        ),
        "thin evidence": facts_of(measurements=thin | {}),
        "undetermined, thin": facts_of(
            measurements=nothing_measured(),
            decision=undetermined(UndeterminedReason.THIN_EVIDENCE, kept=()),
        ),
        "symptoms": facts_of(symptoms=some_symptoms()),
        "symptoms, one seen": facts_of(symptoms=some_symptoms()[:1]),
        "symptom of a class that was added": facts_of(
            symptoms=(SymptomFact("symptom_1", "many", "metastasis", 0.9, True, "area_mm2", True),)
        ),
        "heat elsewhere": facts_of(heat=HeatFacts(G, 0.31, False, True)),
        "heat peak outside": facts_of(heat=HeatFacts(G, 0.64, False, True)),
        "heat spread": facts_of(heat=HeatFacts(G, 0.31, True, True)),
        "heat peak at the rim": facts_of(
            heat=HeatFacts(G, 0.44, False, True, near_share=0.71, peak_near=True)
        ),
        "heat low at ring": facts_of(heat_near=lambda _: 0.05),
        "unfaithful heat": facts_of(heat=HeatFacts(G, 0.82, True, False)),
        "heat of runner-up": facts_of(heat=HeatFacts(M, 0.55, True, True)),
        "odd shape": facts_of(
            contributions={
                "solidity": {G: 0.5, M: -0.3, P: -0.2},
                "mirror_symmetry": {G: 0.4, M: -0.2, P: -0.2},
                "extent": {G: 0.2, M: -0.2, P: 0.0},
            },
            measurements=shape | {"solidity": Measurement(value_at("solidity", M, 0.6), "1")},
        ),
        "no place, no heat": facts_of(
            place=TumourPlace((12.0, 3.0, 4.0), 30.0, None, None, None, "thin slab"),
            heat=heat and None,
            heat_near=None,
            volumes_ml={},
            counterfactual=None,
            similar=(),
        ),
    }


def random_facts(seed: int) -> Facts:
    """A case with random values, contributions, decision and heat."""
    rng = np.random.default_rng(seed)
    measurements, contributions = {}, {}
    for name in FEATURE_IDS:
        unit = feature(name).unit
        if rng.random() < 0.15:
            measurements[name] = missing(unit, str(rng.choice([NO_PLANE, NO_FLAIR, "too small"])))
            continue
        tumor = TumorType(rng.choice(list(TumorType)))
        value = value_at(name, tumor, float(rng.normal(0.5, 0.4)))
        place = (float(rng.uniform(0, 200)), float(rng.uniform(0, 200)))
        measurements[name] = Measurement(value, unit, place if rng.random() < 0.5 else None)
        raw = rng.normal(0.0, 0.3, 3)
        contributions[name] = dict(zip(TumorType, (raw - raw.mean()).tolist(), strict=True))
    p = rng.dirichlet([1.0, 1.0, 1.0])
    order = [list(TumorType)[i] for i in np.argsort(-p)]
    score = float(rng.uniform(0.0, 6.0))
    known = rng.random() < 0.8
    reasons = () if known else (str(rng.choice(list(UndeterminedReason)[1:])),)
    decision = Decision(
        order[0] if known else None,
        dict(zip(TumorType, p.tolist(), strict=True)),
        tuple(order[: int(rng.integers(0, 4))]),
        float(rng.choice([0.8, 0.9, 0.95])),
        reasons,
        score,
        4.2,
    )
    second = order[1]
    name = str(rng.choice(sorted(contributions)))
    value = measurements[name].value
    found = Counterfactual(name, value, value * float(rng.uniform(0.2, 2.0)), second)
    return facts_of(
        measurements=measurements,
        contributions=contributions,
        decision=decision,
        heat=HeatFacts(
            order[0], float(rng.random()), bool(rng.random() < 0.6), bool(rng.random() < 0.8)
        ),
        heat_near=lambda _: float(rng.random()),
        counterfactual=CounterfactualSearch(second, found if rng.random() < 0.6 else None),
        similar=tuple(
            SimilarCase(k, TumorType(rng.choice(list(TumorType))), 0.1 * k)
            for k in range(int(rng.integers(0, 6)))
        ),
    )
