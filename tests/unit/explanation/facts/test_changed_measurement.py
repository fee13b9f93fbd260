"""A changed measurement is read as the classifier reads a case: all of its slices, pooled."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from brain_tumor.classification.features.measurement import Measurement
from brain_tumor.classification.model.calibration import Calibration
from brain_tumor.classification.result import SliceReading
from brain_tumor.explanation.facts.counterfactual import (
    find_counterfactual,
    probabilities_if_changed,
)
from brain_tumor.explanation.facts.reference import QUANTILE_LEVELS, FeatureReference
from brain_tumor.labels import TumorType

from tests.helpers.phantoms import a_phantom, coarse_spec
from tests.helpers.type_reader import a_type_reader

G, M, P = TumorType


def a_slice(logits, area_mm2, plane="axial"):
    part = SimpleNamespace(plane=SimpleNamespace(value=plane), area_mm2=area_mm2)
    return SliceReading(part, None, None, np.array(logits), {}, np.zeros(1), np.zeros((1, 3)))


class Reader:
    """Scores of glioma and meningioma of a slice: its first logit, and its only measurement."""

    features = ("solidity",)
    statistics = SimpleNamespace(
        slice_calibration=Calibration(2.0, 0.9, 0.5), case_calibration=Calibration(0.5, 0.9, 0.5)
    )

    def probabilities_of(self, reading, values):
        scores = np.zeros((len(values), 3))
        scores[:, 0], scores[:, 1], scores[:, 2] = reading.logits[0], values[:, 0], -9.0
        return self.statistics.slice_calibration.probabilities(scores)


def a_case(*readings):
    return SimpleNamespace(slices=readings, main_slice=readings[0])


def test_the_other_slices_keep_what_they_say():
    # Square roots of the areas weigh 4 to 3. Glioma leads by 2 - x in the first and by 3 in the
    # second slice; together by (4 (2 - x) + 9) / 7, so meningioma wins above x = 4.25, not above 2.
    case = a_case(a_slice([2.0, 0.0, -9.0], 16.0), a_slice([3.0, 0.0, -9.0], 9.0))
    ask = probabilities_if_changed(case, case.main_slice, Reader(), np.zeros(1, np.float32))
    found = ask(np.array([[0.0], [4.2], [4.25], [4.3]], dtype=np.float32))
    lead = np.log(found[:, 0] / found[:, 1])
    assert lead == pytest.approx(np.array([17.0, 0.2, 0.0, -0.2]) / 7 / 0.5, abs=1e-6)


def test_the_counterfactual_is_of_the_case_and_not_of_its_main_slice():
    case = a_case(a_slice([2.0, 0.0, -9.0], 16.0), a_slice([3.0, 0.0, -9.0], 9.0))
    ask = probabilities_if_changed(case, case.main_slice, Reader(), np.zeros(1, np.float32))
    levels = tuple(10.0 * level for level in QUANTILE_LEVELS)
    reference = FeatureReference({"solidity": {G: levels}}, {G: 20})
    found = find_counterfactual(
        {"solidity": Measurement(0.0, "1")}, Reader.features, ask, reference
    )
    assert (found.tumor, found.found.to_value) == (M, pytest.approx(4.26, abs=1e-9))


def test_a_lone_slice_is_calibrated_as_a_slice():
    case = a_case(a_slice([2.0, 0.0, -9.0], 16.0))
    ask = probabilities_if_changed(case, case.main_slice, Reader(), np.zeros(1, np.float32))
    found = ask(np.array([[1.0]], dtype=np.float32))
    assert np.log(found[0, 0] / found[0, 1]) == pytest.approx(0.5)  # (2 - 1) / 2


def test_unchanged_and_changed_measurements_are_pooled_as_the_classifier_pools():
    classifier = a_type_reader().classifier
    phantom = a_phantom(coarse_spec())
    result = classifier.classify(phantom.case, phantom.labelmap)
    main = result.main_slice
    assert len(result.slices) > 1
    values = classifier.inputs(main.features)
    ask = probabilities_if_changed(result, main, classifier, values)
    changed = values.copy()
    changed[classifier.features.index("solidity")] = 0.1
    same, other = ask(np.stack([values, changed]))
    assert dict(zip(TumorType, same, strict=True)) == pytest.approx(result.probabilities)
    # The slow way: the slice is read again, and all slices are pooled by the classifier itself.
    temperature = classifier.statistics.slice_calibration.temperature
    before, after = (
        temperature * np.log(classifier.probabilities_of(main, v[None])[0])
        for v in (values, changed)
    )
    slices = tuple(
        replace(r, logits=r.logits + after - before) if r is main else r for r in result.slices
    )
    expected = classifier._pool(slices, ()).probabilities
    assert dict(zip(TumorType, other, strict=True)) == pytest.approx(expected)
    assert not np.allclose(other, same, atol=1e-6)
