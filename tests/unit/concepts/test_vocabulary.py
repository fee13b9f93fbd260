"""Symptoms: their words, their proof, and the two stages that choose them."""

import json

import numpy as np
import pytest
from brain_tumor.classification.features.feature_table import FEATURE_IDS
from brain_tumor.concepts.generator import judge, kept
from brain_tumor.concepts.grounding import ground_symptom, patient_medians
from brain_tumor.concepts.vocabulary import (
    FORBIDDEN,
    SYMPTOMS_FILE,
    Control,
    Direction,
    Symptom,
    Vocabulary,
    control_vocabulary,
    read_candidates,
    read_symptoms,
    tumour_kinds,
)
from brain_tumor.errors import FileFormatError, InputError
from brain_tumor.labels import TumorType


def a_symptom(kind="a", text="bright ring", feature="necrosis_fraction", direction="high"):
    return Symptom(text, kind, feature, Direction(direction))


def test_committed_symptoms_are_six_a_class_and_never_name_one():
    vocabulary = read_symptoms()
    assert tumour_kinds(vocabulary) == tuple(TumorType)
    for kind in vocabulary.kinds:
        assert 4 <= len(vocabulary.rows(kind)) <= 6
    for symptom in (*vocabulary.symptoms, *read_candidates().symptoms):
        assert not FORBIDDEN.search(symptom.text)
        assert symptom.feature in FEATURE_IDS


def test_committed_symptoms_are_those_candidates_that_patients_showed():
    candidates = {(s.kind, s.text, s.feature) for s in read_candidates().symptoms}
    for symptom in read_symptoms().symptoms:
        assert (symptom.kind, symptom.text, symptom.feature) in candidates
    plain = json.loads(SYMPTOMS_FILE.read_text(encoding="utf-8"))
    assert all(row["auc"] >= 0.65 for rows in plain["symptoms"].values() for row in rows)
    assert all(row["reason"] for rows in plain["rejected"].values() for row in rows)


@pytest.mark.parametrize(
    "text",
    ["typical glioma edge", "a meningeal lump", "Pituitary place", "an a here", "", "w " * 20],
)
def test_a_symptom_that_names_a_class_or_is_no_phrase_is_refused(text):
    with pytest.raises(InputError):
        a_symptom(text=text)


def test_a_symptom_of_an_unknown_feature_is_refused():
    with pytest.raises(InputError, match="does not exist"):
        a_symptom(feature="colour")


def test_a_damaged_file_of_symptoms_is_one_error(tmp_path):
    path = tmp_path / "symptoms.json"
    path.write_text('{"symptoms": {"a": [{"text": "ring"}]}}')
    with pytest.raises(FileFormatError, match="symptom of a"):
        read_symptoms(path)
    path.write_text("{")
    with pytest.raises(FileFormatError, match=r"symptoms\.json cannot be read"):
        read_symptoms(path)


def test_inverting_gives_every_class_the_symptoms_of_the_next():
    vocabulary = Vocabulary(
        (a_symptom("one", "ragged edge"), a_symptom("two", "small lump"), a_symptom("two", "low"))
    )
    found = vocabulary.inverted()
    assert [(s.kind, s.text) for s in found.symptoms] == [
        ("one", "small lump"),
        ("one", "low"),
        ("two", "ragged edge"),
    ]


def test_controls_have_as_many_symptoms_and_none_is_measured():
    truth = read_symptoms()
    for control in (Control.OUT_OF_DOMAIN, Control.UNHELPFUL):
        found = control_vocabulary(control, truth)
        assert [s.kind for s in found.symptoms] == [s.kind for s in truth.symptoms]
        assert all(s.feature is None for s in found.symptoms)
    assert control_vocabulary(Control.INVERTED, truth) == truth.inverted()


def test_the_limit_of_a_symptom_is_where_patients_part():
    patients = np.arange(20, dtype=np.float32)[:, None]  # 0-9 others, 10-19 the class
    kinds = np.array(["b"] * 10 + ["a"] * 10)
    high = ground_symptom(a_symptom(), ["necrosis_fraction"], patients, kinds)
    assert (high.limit, high.auc, high.share, high.share_elsewhere) == (10.0, 1.0, 1.0, 0.0)
    assert (high.present(10.0), high.present(9.9), high.present(np.nan)) == (True, False, None)
    low = ground_symptom(a_symptom("b", direction="low"), ["necrosis_fraction"], patients, kinds)
    assert (low.limit, low.auc) == (9.0, 1.0)
    np.testing.assert_array_equal(
        low.presence(np.array([9.0, 9.5, np.nan])), np.array([1.0, 0.0, np.nan], dtype=np.float32)
    )


def test_a_feature_that_is_hardly_measured_cannot_ground_a_symptom():
    patients = np.full((20, 1), np.nan, dtype=np.float32)
    patients[:12] = 1.0
    kinds = np.array(["a", "b"] * 10)
    with pytest.raises(InputError, match="6 patients of a and 6 others"):
        ground_symptom(a_symptom(), ["necrosis_fraction"], patients, kinds)


def test_a_patient_counts_once_by_the_median_of_the_slices():
    values = np.array([[1.0], [3.0], [np.nan], [8.0]], dtype=np.float32)
    medians, truth = patient_medians(values, np.array(["x", "x", "x", "y"]), np.array([0, 0, 0, 2]))
    np.testing.assert_array_equal(medians, [[2.0], [8.0]])
    assert truth.tolist() == [0, 2]


def test_the_second_stage_keeps_what_patients_show_each_feature_once():
    names = ["necrosis_fraction", "area_mm2"]
    rng = np.random.default_rng(0)
    kinds = np.array(["a"] * 30 + ["b"] * 30)
    patients = np.stack(
        [np.r_[np.ones(30), np.zeros(30)] + rng.normal(0, 0.1, 60), rng.normal(0, 1, 60)], axis=1
    ).astype(np.float32)
    candidates = Vocabulary(
        (
            a_symptom("a", "dead centre"),
            a_symptom("a", "dark middle"),
            a_symptom("a", "large lump", "area_mm2"),
            a_symptom("b", "no dead centre", direction="low"),
        )
    )
    verdicts = judge(candidates, names, patients, kinds)
    reasons = {v.symptom.text: v.reason for v in verdicts}
    assert reasons["dead centre"] == ""
    assert "already stands" in reasons["dark middle"]
    assert "patients do not show it" in reasons["large lump"]
    vocabulary, groundings = kept(verdicts)
    assert vocabulary.texts == ("dead centre", "no dead centre")
    assert [g.feature for g in groundings] == ["necrosis_fraction"] * 2


def test_a_class_without_any_symptom_left_is_an_error():
    kinds = np.array(["a", "b"] * 20)
    patients = np.ones((40, 1), dtype=np.float32)
    verdicts = judge(Vocabulary((a_symptom("a", "ring"),)), ["necrosis_fraction"], patients, kinds)
    with pytest.raises(InputError, match="no symptom of a"):
        kept(verdicts)
