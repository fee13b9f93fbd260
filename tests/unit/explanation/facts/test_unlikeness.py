"""A tumour that is measured unlike the training patients of its type."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from brain_tumor.bundles import ModelVersion, models_folder
from brain_tumor.classification.features.features import FeatureVector
from brain_tumor.classification.features.measurement import Measurement, missing
from brain_tumor.classification.report import classification_section
from brain_tumor.classification.result import ClassificationResult, OutlierScore
from brain_tumor.explanation.analyst import Analyst
from brain_tumor.explanation.facts.similar_cases import TrainingTable, joined_tables
from brain_tumor.explanation.facts.unlikeness import (
    roundness_warning,
    unlikeness,
    unlikeness_of,
    unlikeness_warning,
)
from brain_tumor.explanation.type_reader import TypeReader
from brain_tumor.labels import TumorType

G, M, P = TumorType
# Ten gliomas that measure 0, 1, ..., 9. The one at 0 has neighbours at 1, 2, 3, 4 and 5, of which
# none counts more than 4: (1 + 2 + 3 + 4 + 4) / 5 = 2.8, the largest distance of all.
LIMIT = 2.8
TABLE = TrainingTable(
    features=("area_mm2",),
    values=np.arange(10, dtype=np.float32)[:, None],
    groups=tuple(range(10)),
    types=(G,) * 10,
    centre=np.zeros(1, np.float32),
    spread=np.ones(1, np.float32),
)


def slices(*areas):
    values = (missing("mm2", "no") if area is None else Measurement(area, "mm2") for area in areas)
    return [SimpleNamespace(features=FeatureVector({"area_mm2": value})) for value in values]


@pytest.mark.parametrize(
    ("areas", "score"),
    [
        ((4.5,), (0.5 + 0.5 + 1.5 + 1.5 + 2.5) / 5),
        ((4.0, 100.0, 4.5), (0.5 + 0.5 + 1.5 + 1.5 + 2.5) / 5),  # the median of the slices
        ((4.5, None), (0.5 + 0.5 + 1.5 + 1.5 + 2.5) / 5),
        ((12.0,), (3 + 4 + 4 + 4 + 4) / 5),
    ],
)
def test_the_distance_is_that_of_the_five_nearest_patients_of_the_type(areas, score):
    found = unlikeness(slices(*areas), TABLE, G)
    assert found.score == pytest.approx(score)
    assert found.threshold == pytest.approx(LIMIT)
    assert found.is_out == (score > LIMIT)


def test_nothing_is_compared_where_nothing_was_measured_or_nobody_is_there():
    assert unlikeness([], TABLE, G) is None
    assert unlikeness(slices(None), TABLE, G) is None
    assert unlikeness(slices(4.5), TABLE, M) is None


def test_the_sentence_says_what_cannot_be_excluded():
    assert unlikeness_warning(OutlierScore(1.717, 1.256), P) == (
        "The tumour measures unlike the known patients with a pituitary tumour (distance 1.72, "
        "limit 1.26): a lesion that the model does not know cannot be excluded."
    )


def told(area, prediction=G):
    """What the analyst makes of a case of one slice that measures an area."""

    def classify(case, labelmap, outlined):
        return ClassificationResult(
            prediction=prediction,
            probabilities={G: 0.9, M: 0.06, P: 0.04},
            prediction_set=(G,),
            coverage=0.95,
            reasons=() if prediction else ("no",),
            outlier=OutlierScore(0.5, 1.0),
            slices=tuple(slices(area)),
            model=ModelVersion("classification", "1", "11"),
        )

    reader = TypeReader(SimpleNamespace(classify=classify), None, TABLE, None)
    outline = SimpleNamespace(labelmap=None, probabilities=None)
    return Analyst(None, lambda: reader).read_type(None, outline).classification


def test_a_type_that_is_told_of_such_a_tumour_carries_the_warning():
    assert told(4.5).warnings == ()
    (warning,) = told(12.0).warnings
    assert "unlike the known patients with a glioma (distance 3.80, limit 2.80)" in warning
    assert told(12.0).prediction is G


def test_a_case_without_a_type_has_the_score_alone():
    found = told(12.0, prediction=None)
    assert found.warnings == ()
    assert found.unlike.is_out


def test_the_reply_has_both_distances():
    found = told(12.0).unlike
    without = ClassificationResult(G, {G: 1.0}, (G,), 0.95, (), OutlierScore(0.5, 1.0), (), None)
    whole = ClassificationResult(
        G, {G: 1.0}, (G,), 0.95, (), OutlierScore(0.5, 1.0), (), None, unlike=found
    )
    near = {"score": 0.5, "threshold": 1.0, "is_out": False}
    far = {"score": 3.8, "threshold": 2.8, "is_out": True}
    assert classification_section(without)["out_of_distribution"] == near | {"measurements": None}
    assert classification_section(whole)["out_of_distribution"] == near | {"measurements": far}


def test_a_glioma_rounder_than_the_known_ones_is_warned_of():
    # Twenty gliomas of compactness 0.00, 0.05, ..., 0.95: 0.95 of them lie at or below 0.95.
    table = TrainingTable(
        features=("compactness",),
        values=np.arange(20, dtype=np.float32)[:, None] / 20,
        groups=tuple(range(20)),
        types=(G,) * 20,
        centre=np.zeros(1, np.float32),
        spread=np.ones(1, np.float32),
    )

    def said(value, tumor=G):
        features = FeatureVector({"compactness": Measurement(value, "1")})
        return roundness_warning([SimpleNamespace(features=features)], table, tumor)

    assert said(0.96) == (
        "The tumour is rounder than 95% of the known gliomas; metastasis and abscess, which the "
        "model does not know, cannot be excluded."
    )
    assert said(0.95) is None
    assert said(0.96, M) is None
    assert roundness_warning(slices(4.5), TABLE, G) is None  # nobody's roundness is known


def test_the_shipped_patients_of_another_source_are_gliomas_beside_those_of_training():
    configs = models_folder() / "classification" / "configs"
    trained, others = (
        TrainingTable.from_json(json.loads((configs / name).read_text(encoding="utf-8")))
        for name in ("training_patients.json", "known_patients.json")
    )
    assert set(others.types) == {G}
    both = joined_tables(trained, others)
    assert len(both.groups) == 168 + 67
    # Each of them is measured like the rest: one of them, told as a slice, is no stranger.
    rows = both.values[-1:].astype(float)
    assert not unlikeness_of(rows, both, G).is_out
