"""Captions by rule: grades of measured features in words."""

import numpy as np
import pytest
from brain_tumor.concepts.captions import (
    ATTRIBUTES,
    NOT_MEASURED,
    PHRASES,
    CaptionRules,
    caption,
    fit_caption_rules,
    truths,
)
from brain_tumor.concepts.vocabulary import FORBIDDEN
from brain_tumor.errors import FileFormatError, InputError


def test_no_phrase_names_a_class_and_none_occurs_twice():
    assert not [phrase for phrase in PHRASES if FORBIDDEN.search(phrase)]
    assert len(set(PHRASES)) == len(PHRASES) == 3 * len(ATTRIBUTES)


def test_limits_are_the_terciles_of_the_patients_that_were_measured():
    patients = np.array([[0.0], [3.0], [6.0], [9.0], [np.nan]], dtype=np.float32)
    rules = fit_caption_rules(["area_mm2"], patients)
    assert rules.limits == {"area_mm2": (3.0, 6.0)}


def test_grades_are_low_middle_high_or_not_measured():
    rules = CaptionRules({"area_mm2": (3.0, 6.0)})
    grades = rules.grades(np.array([[2.9], [3.0], [6.0], [np.nan]]), ["area_mm2"])
    assert grades[:, 0].tolist() == [0, 1, 2, NOT_MEASURED]
    assert (grades[:, 1:] == NOT_MEASURED).all()


def test_a_caption_says_only_what_was_measured():
    rules = CaptionRules({"area_mm2": (3.0, 6.0), "compactness": (0.8, 0.9)})
    grades = rules.grades(np.array([[7.0, np.nan], [1.0, 0.5]]), ["area_mm2", "compactness"])
    assert caption(grades[0]) == "A large mass."
    assert caption(grades[1]) == "A small mass, a ragged outline."
    assert caption(np.full(len(ATTRIBUTES), NOT_MEASURED)) == ""


def test_every_measured_attribute_makes_exactly_one_phrase_true():
    rules = CaptionRules({"area_mm2": (3.0, 6.0)})
    found = truths(rules.grades(np.array([[7.0], [np.nan]]), ["area_mm2"]))
    assert found.sum(axis=1).tolist() == [1.0, 0.0]
    assert found[0, PHRASES.index("a large mass")] == 1.0


def test_rules_survive_a_round_trip_and_refuse_nonsense():
    rules = CaptionRules({"area_mm2": (3.0, 6.0)})
    assert CaptionRules.from_json(rules.to_json()) == rules
    with pytest.raises(FileFormatError, match="not in order"):
        CaptionRules.from_json({"area_mm2": [6.0, 3.0]})
    with pytest.raises(FileFormatError, match="unusable"):
        CaptionRules.from_json({"area_mm2": [6.0]})
    with pytest.raises(InputError, match="no attribute"):
        fit_caption_rules(["lyapunov"], np.ones((3, 1), dtype=np.float32))
