"""Cases pooled for evaluation as the product pools them."""

import numpy as np
import pytest
from brain_tumor.classification.evaluation.case_study import pool_cases, study_cases
from brain_tumor.classification.model.calibration import pool_slices
from brain_tumor.classification.predictions import Predictions, Reading
from brain_tumor.segmentation.data.cheng_slices import CHENG_PIXEL_MM

FEATURES = ("solidity", "area_mm2")


def a_reading(probabilities, pixels):
    logits = np.log(np.array(probabilities, dtype=np.float32))
    areas = np.array(pixels, dtype=np.float32) * CHENG_PIXEL_MM**2
    features = np.stack([np.ones_like(areas), areas], axis=1)
    return Reading(logits, logits, logits, logits, features)


def some_predictions(reading, truth, patients):
    count = len(truth)
    return Predictions(
        expert=reading,
        own=reading,
        dice=np.ones(count, dtype=np.float32),
        truth=np.array(truth),
        patient=np.array(patients),
        cohort=np.array(["numeric"] * count),
        index=np.arange(count),
    )


def test_planes_count_alike_and_inside_a_plane_the_root_of_the_area():
    # Axial: weights 1 and 3 (areas 1 and 9); coronal: its only slice.
    probabilities = np.array([[0.8, 0.1, 0.1], [0.4, 0.4, 0.2], [0.2, 0.2, 0.6]])
    pooled = pool_slices(np.log(probabilities), ["axial", "axial", "coronal"], [1.0, 9.0, 5.0])
    a, b, c = np.log(probabilities)
    np.testing.assert_allclose(pooled, 0.5 * ((a + 3 * b) / 4 + c))


def test_a_case_of_two_planes_is_pooled_from_its_larger_cross_sections():
    glioma, pituitary = [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]
    # Axial: the slices of 10 and 90 pixels are under 35 % of 400; coronal: one slice of 100.
    reading = a_reading([pituitary, glioma, glioma, pituitary, pituitary], [10, 400, 400, 90, 100])
    planes = np.array(["axial", "axial", "axial", "axial", "coronal"])
    found = pool_cases(reading, FEATURES, planes, np.arange(5), np.array(["a"] * 5))
    assert found.slices_read.tolist() == [3]
    np.testing.assert_allclose(found.logits[0], np.log([0.8 * 0.1, 0.01, 0.1 * 0.8]) / 2, rtol=1e-5)


@pytest.mark.parametrize(("planes", "most"), [(1, 8), (2, 4 + 4), (3, 4 + 4 + 4)])
def test_no_more_slices_are_read_than_the_product_reads(planes, most):
    names = np.repeat(["axial", "coronal", "sagittal"][:planes], 10)
    count = len(names)
    reading = a_reading([[0.8, 0.1, 0.1]] * count, [100] * count)
    found = pool_cases(reading, FEATURES, names, np.arange(count), np.array(["a"] * count))
    assert found.slices_read.tolist() == [most]


def test_a_case_without_an_outline_counts_as_wrong_and_cases_of_a_plane_are_counted_apart():
    probabilities = [[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]] * 8
    truth = [0, 1, 2] * 8
    patients = [f"p{n % 12}" for n in range(24)]  # two slices each, of the same type
    predictions = some_predictions(a_reading(probabilities, [100] * 24), truth, patients)
    blind = a_reading(probabilities, [0, *[100] * 11, 0, *[100] * 11])  # of patient p0
    planes = {n: "axial" if n < 12 else "coronal" for n in range(24)}
    folds = np.arange(24) % 2
    found = study_cases(
        predictions,
        folds,
        FEATURES,
        planes,
        0.9,
        {"expert": (predictions, predictions.expert), "blind": (predictions, blind)},
    )
    expert, unread = (found["all_planes"][name] for name in ("expert", "blind"))
    assert (expert["n"], expert["slices_a_case"], expert["accuracy"]) == (12, 2.0, 1.0)
    assert (unread["n"], unread["unread"]) == (12, 1)
    assert expert["ece_if_fitted_on_cases"] == pytest.approx(expert["ece"], abs=0.1)
    assert "ece_if_fitted_on_cases" in unread
    assert unread["accuracy"] == pytest.approx(11 / 12)
    assert unread["sensitivity"]["glioma"] == pytest.approx(3 / 4)
    assert found["one_plane"]["expert"]["n"] == 24
    assert found["one_plane"]["blind"]["unread"] == 2
