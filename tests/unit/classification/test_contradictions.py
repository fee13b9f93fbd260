"""Warnings by rule on a type that does not fit its place."""

from types import SimpleNamespace

import pytest
from brain_tumor.classification.contradictions import contradictions
from brain_tumor.classification.features.features import FeatureVector
from brain_tumor.classification.features.measurement import Measurement, missing
from brain_tumor.labels import TumorType

G, M, P = TumorType


def readings(feature, *values):
    """Slices with these values of a feature; None is one that could not be measured."""
    return [
        SimpleNamespace(
            features=FeatureVector(
                {feature: missing("mm", "no head") if v is None else Measurement(v, "mm")}
            )
        )
        for v in values
    ]


@pytest.mark.parametrize(
    ("kind", "feature", "values", "words"),
    [
        (M, "border_distance_mm", (20.0, 13.0), "lies 13 mm from the dura"),
        (M, "border_distance_mm", (20.0, 11.0), ""),
        (M, "border_distance_mm", (None, 30.0), "lies 30 mm from the dura"),
        (M, "border_distance_mm", (None,), ""),
        (G, "border_distance_mm", (20.0,), ""),
        (None, "border_distance_mm", (20.0,), ""),
        (P, "sella_distance_mm", (26.0, 40.0), "lies 26 mm from the sella"),
        (P, "sella_distance_mm", (24.0, 40.0), ""),
        (M, "sella_distance_mm", (90.0,), ""),
    ],
)
def test_a_type_far_from_its_place_is_doubted(kind, feature, values, words):
    found = contradictions(kind, readings(feature, *values), 1)
    assert len(found) == bool(words)
    assert all(words in sentence for sentence in found)


def test_two_tumours_keep_their_type_with_a_warning():
    (sentence,) = contradictions(G, [], 2)
    assert sentence.startswith("There are 2 separate tumours; metastases")
    assert contradictions(None, [], 2) == ()
    assert contradictions(G, [], 1) == contradictions(G, [], 0) == ()
