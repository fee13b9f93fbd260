import json
from dataclasses import replace

import numpy as np
import pytest
from brain_tumor.classification.features.case_shape import (
    NO_TUMOUR_TO_MEASURE,
    ONE_SLICE,
    THICK_SLICES,
    TOO_FEW_VOXELS,
    CaseShape,
)
from brain_tumor.classification.features.feature_table import FEATURE_IDS
from brain_tumor.classification.features.measurement import Measurement
from brain_tumor.classification.features.morphology import SolidShape
from brain_tumor.errors import InputError
from brain_tumor.explanation.facts.evidence import build_facts
from brain_tumor.explanation.facts.model import (
    DIAMETER_3D,
    SPHERICITY,
    SURFACE,
    Decision,
    EvidenceItem,
    Side,
)
from brain_tumor.explanation.facts.reference import (
    QUANTILE_LEVELS,
    FeatureReference,
    build_reference,
)
from brain_tumor.explanation.facts.vocabulary import MISSING_WORDS
from brain_tumor.labels import TumorType

from tests.helpers.fact_sheets import a_case, facts_of, undetermined

G, M, P = TumorType

KEYS = {
    "id",
    "name",
    "feature",
    "value",
    "unit",
    "measured",
    "reason",
    "ras",
    "extent_mm",
    "side",
    "region",
    "reference",
    "percentile",
    "contribution",
    "supports",
    "heat",
}


def item_of(feature, **changes):
    return facts_of(**changes).by_feature[feature]


def test_an_item_is_serialised_as_the_contract_says():
    document = item_of("ring_enhancement_index").to_json()
    assert set(document) == KEYS
    assert json.loads(json.dumps(document)) == document
    assert document["name"] == "ring-enhancement index"
    assert (document["value"], document["unit"], document["measured"]) == (1.31, "1", True)
    # Pixel (20, 30) lies at RAS (-40 + 3, 10, 50 - 20), left of a midline at 0.
    assert document["ras"] == [-37.0, 10.0, 30.0]
    assert (document["side"], document["region"], document["heat"]) == ("left", None, 0.7)
    assert (document["contribution"], document["supports"]) == (0.62, "glioma")
    # Glioma's middle is 0.5 * 2.5 in `a_reference`: from 5 % to 95 % that is -+ 0.5 * 0.45.
    assert document["reference"]["glioma"] == pytest.approx([1.025, 1.25, 1.475])
    assert document["percentile"]["glioma"] == pytest.approx(0.62)


def test_a_value_that_could_not_be_measured_keeps_its_reason():
    document = item_of("midline_shift_mm").to_json()
    assert (document["value"], document["measured"]) == (None, False)
    assert document["reason"] == "no mirror plane in this slice"
    assert document["percentile"] == {}
    assert document["ras"] is None


def test_evidence_against_the_type_has_a_negative_contribution_and_names_what_it_supports():
    document = item_of("border_contact_ratio").to_json()
    assert (document["contribution"], document["supports"]) == (-0.3, "meningioma")


def test_a_contribution_that_raises_nothing_clearly_supports_nothing():
    contributions = {"solidity": {G: 0.04, M: -0.02, P: -0.02}}
    assert item_of("solidity", contributions=contributions).to_json()["supports"] is None


def test_ids_count_up_and_the_features_come_by_weight():
    facts = facts_of()
    assert [item.id for item in facts.evidence] == [
        f"e{k}" for k in range(1, len(facts.evidence) + 1)
    ]
    features = [item.feature for item in facts.evidence if item.feature in FEATURE_IDS]
    assert features[:4] == [
        "ring_enhancement_index",
        "necrosis_fraction",
        "border_contact_ratio",
        "solidity",
    ]
    assert set(features[-4:]) == {
        "midline_shift_mm",
        "midline_shift_share",
        "oedema_extent_mm",
        "oedema_ratio",
    }


def test_a_property_of_the_whole_outline_lies_where_the_tumour_lies():
    item = item_of("solidity")
    assert item.ras == (-38.0, -12.0, 4.0)
    assert (item.side, item.region, item.extent_mm) == (Side.LEFT, "left temporal lobe", 42.3)
    assert item.heat is None


def test_an_undetermined_decision_is_judged_by_its_most_probable_type():
    facts = facts_of(decision=undetermined("low_probability"))
    assert facts.by_feature["ring_enhancement_index"].contribution == 0.62
    prediction = facts.by_feature["prediction"].to_json()
    assert (prediction["value"], prediction["reason"]) == (None, "no type is probable enough")


def test_contributions_that_are_not_finite_are_left_out():
    contributions = {"solidity": {G: float("nan"), M: 0.1, P: 0.1}}
    assert item_of("solidity", contributions=contributions).contribution is None


def test_a_reason_goes_with_a_missing_value_only():
    with pytest.raises(InputError, match="expected a reason exactly when"):
        EvidenceItem("e1", "solidity", "solidity", 0.9, "1", reason="too small")
    with pytest.raises(InputError, match="expected reasons exactly when"):
        Decision(None, None)


def test_no_fact_names_the_patient_or_the_case():
    fields = vars(a_case())
    assert not {"case_id", "patient", "path", "name", "age", "sex"} & set(fields)


def even_reference(low=0.0, high=1.0):
    values = tuple(low + (high - low) * level for level in QUANTILE_LEVELS)
    return FeatureReference({"solidity": {G: values}}, {G: 30})


def test_percentiles_are_interpolated_and_end_at_0_and_1():
    reference = even_reference()
    for value, expected in ((0.33, 0.33), (0.985, 0.985), (-1.0, 0.0), (2.0, 1.0)):
        assert reference.percentile("solidity", value)[G] == pytest.approx(expected)
    assert reference.percentile("extent", 0.5) == {}


def test_a_value_that_many_patients_share_lies_in_the_middle_of_them():
    # Half of the patients have 0, the others more: 0 lies between the 0th and the 50th percentile.
    values = tuple(max(0.0, level - 0.5) for level in QUANTILE_LEVELS)
    reference = FeatureReference({"solidity": {G: values}}, {G: 30})
    assert reference.percentile("solidity", 0.0)[G] == pytest.approx(0.25)


def test_a_reference_survives_json():
    reference = even_reference(0.5, 2.0)
    again = FeatureReference.from_json(json.loads(json.dumps(reference.to_json())))
    assert again.percentile("solidity", 1.1) == reference.percentile("solidity", 1.1)
    assert again.patients == {G: 30}


def test_a_reference_that_decreases_is_refused():
    document = even_reference().to_json()
    document["quantiles"]["solidity"]["glioma"][3] = 9.0
    with pytest.raises(InputError, match="do not decrease"):
        FeatureReference.from_json(document)
    with pytest.raises(InputError, match="cannot be read"):
        FeatureReference.from_json({"levels": []})


def test_each_patient_counts_once_in_a_reference():
    # Patient k has the slices k - 1, k, k + 1 (median k); patient 10 has 97 slices of 10.
    values, patients = [], []
    for k in range(10):
        values += [k - 1.0, float(k), k + 1.0]
        patients += [k] * 3
    values += [10.0] * 97
    patients += [10] * 97
    array = np.array(values)[:, None]
    reference = build_reference(array, ["solidity"], [G] * len(values), patients)
    assert reference.shown("solidity")[G] == pytest.approx((0.5, 5.0, 9.5))
    assert reference.patients == {G: 11, M: 0, P: 0}
    assert reference.limits("solidity") == pytest.approx((0.1, 9.9))


def test_too_few_patients_make_no_reference():
    array = np.arange(9.0)[:, None]
    reference = build_reference(array, ["solidity"], [M] * 9, list(range(9)))
    assert reference.shown("solidity") == {}
    assert reference.limits("solidity") is None


def test_heat_is_asked_for_at_the_place_of_the_measurement():
    asked = []
    facts_of(
        heat_near=lambda point: asked.append(point) or 0.5,
        measurements={"necrosis_fraction": Measurement(0.34, "1", (0.0, 0.0))},
    )
    assert (-40.0, 10.0, 50.0) in asked


def test_the_shape_in_space_is_evidence_without_a_reference_or_says_why_it_is_none():
    ball = SolidShape(4188.8, 1256.6, 1.0, 1.0, 1.0, 20.0, (20.0, 20.0, 20.0))
    facts = build_facts(replace(a_case(), shape=CaseShape(ball)))
    found = [facts.by_feature[name] for name in (SURFACE, SPHERICITY, DIAMETER_3D)]
    assert [(item.value, item.unit) for item in found] == [
        (1256.6, "mm2"),
        (1.0, "1"),
        (20.0, "mm"),
    ]
    assert all(not item.reference and not item.contributions for item in found)
    thick = build_facts(replace(a_case(), shape=CaseShape(None, THICK_SLICES)))
    assert thick.by_feature[SURFACE].reason == THICK_SLICES
    assert SURFACE not in build_facts(a_case()).by_feature


def test_every_reason_for_no_shape_has_its_korean():
    reasons = {NO_TUMOUR_TO_MEASURE, ONE_SLICE, THICK_SLICES, TOO_FEW_VOXELS}
    assert reasons <= set(MISSING_WORDS)
