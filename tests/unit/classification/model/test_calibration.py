"""Calibration, prediction sets, outliers and scores against pencil and paper."""

import numpy as np
import pytest
from brain_tumor.classification.model.calibration import (
    Calibration,
    brier_score,
    certainty_bound,
    conformal_threshold,
    expected_calibration_error,
    fit_calibration,
)
from brain_tumor.classification.model.outliers import OutlierModel, fit_outliers
from brain_tumor.classification.scores import (
    Calibrated,
    cross_calibrate,
    cross_calibrate_mixed,
    interval,
    pool_patients,
    score,
)
from brain_tumor.errors import InputError


def draw(n=4000, seed=0, sharpness=1.0):
    """Logits whose softmax is the true probability, times a factor, and classes drawn from it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, size=(n, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return sharpness * logits, truth


class TestTemperature:
    def test_overconfident_logits_are_cooled_by_their_factor(self):
        logits, truth = draw(sharpness=3.0)
        fitted = fit_calibration(logits, truth, 0.9)
        assert fitted.temperature == pytest.approx(3.0, rel=0.07)
        assert expected_calibration_error(fitted.probabilities(logits), truth) < 0.02

    def test_sets_hold_the_truth_as_often_as_promised(self):
        logits, truth = draw()
        fitted = fit_calibration(logits[:2000], truth[:2000], 0.9)
        sets = fitted.prediction_set(fitted.probabilities(logits[2000:]))
        assert sets[np.arange(2000), truth[2000:]].mean() == pytest.approx(0.9, abs=0.02)

    def test_nothing_cannot_be_calibrated_on(self):
        with pytest.raises(InputError):
            fit_calibration(np.zeros((0, 3)), np.zeros(0, dtype=int), 0.9)
        with pytest.raises(InputError):
            fit_calibration(np.zeros((5, 3)), np.zeros(5, dtype=int), 1.0)


class TestCertainty:
    def test_nothing_is_told_beyond_what_the_held_out_patients_can_show(self):
        # 8 patients: at most 1 - 1 / 10; the tenth that is left is shared 3 to 1 as before
        shown = Calibration(1.0, 0.9, 0.3, patients=8).reported(
            np.array([[0.98, 0.015, 0.005], [0.7, 0.2, 0.1], [1.0, 0.0, 0.0], [0.01, 0.0, 0.99]])
        )
        expected = [[0.9, 0.075, 0.025], [0.7, 0.2, 0.1], [0.9, 0.05, 0.05], [0.1, 0.0, 0.9]]
        np.testing.assert_allclose(shown, expected, atol=1e-12)

    def test_the_shipped_number_of_patients_bears_99_per_cent_and_a_half(self):
        assert certainty_bound(168) == pytest.approx(1 - 1 / 170)
        assert certainty_bound(0) == 0.5

    def test_a_calibration_knows_how_many_patients_it_has_seen(self):
        logits, truth = draw(n=60)
        assert fit_calibration(logits, truth, 0.9, patients=12).patients == 12
        assert fit_calibration(logits, truth, 0.9).patients is None
        raw = np.array([0.999, 0.001, 0.0])
        np.testing.assert_array_equal(Calibration(1.0, 0.9, 0.3).reported(raw), raw)


class TestConformal:
    @pytest.mark.parametrize(
        ("n", "coverage", "expected"),
        [(19, 0.9, 0.10), (19, 0.95, 0.05), (9, 0.95, 0.0), (39, 0.9, 0.10 * 19 / 19)],
    )
    def test_the_threshold_is_an_order_statistic(self, n, coverage, expected):
        values = np.arange(1, n + 1) / (n + 1)
        assert conformal_threshold(values, coverage) == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("least", "probabilities", "expected"),
        [
            (0.4, [0.45, 0.45, 0.10], [True, True, False]),
            (0.4, [0.10, 0.05, 0.85], [False, False, True]),
            (0.4, [0.34, 0.33, 0.33], [True, True, True]),  # none; 0.34 + 0.33 is less than 0.9
            (0.6, [0.02, 0.59, 0.39], [False, True, True]),  # none; 0.59 + 0.39 is enough
        ],
    )
    def test_a_set_holds_what_is_likely_and_else_the_likeliest_up_to_the_coverage(
        self, least, probabilities, expected
    ):
        found = Calibration(1.0, 0.9, least).prediction_set(np.array([probabilities]))
        assert found.tolist() == [expected]

    def test_an_undecided_set_names_two_even_where_one_alone_has_the_coverage(self):
        found = Calibration(1.0, 0.9, 0.97).prediction_set(np.array([0.95, 0.01, 0.04]))
        assert found.tolist() == [True, False, True]


class TestErrors:
    def test_calibration_error_of_two_examples(self):
        probabilities = np.array([[0.9, 0.1], [0.6, 0.4]])
        truth = np.array([0, 1])
        # right at 0.9: |0.9 - 1| = 0.1; wrong at 0.6: 0.6; each half
        assert expected_calibration_error(probabilities, truth) == pytest.approx(0.35)

    def test_brier_score_of_two_examples(self):
        probabilities = np.array([[0.9, 0.1], [0.6, 0.4]])
        assert brier_score(probabilities, np.array([0, 1])) == pytest.approx((0.02 + 0.72) / 2)


class TestOutliers:
    def test_distance_counts_standard_deviations_from_the_nearest_class(self):
        means = np.array([[0.0, 0.0], [10.0, 0.0]])
        model = OutlierModel(means, np.diag([1 / 4, 1.0]), threshold=2.0)
        # (4, 0): 2 sd along the first axis of two; (10, 3): 3 sd along the second
        found = model.distance(np.array([[4.0, 0.0], [10.0, 3.0]]))
        assert found == pytest.approx([2 / np.sqrt(2), 3 / np.sqrt(2)])
        assert model.is_outlier(np.array([[4.0, 0.0], [10.0, 3.0]])).tolist() == [False, True]

    def test_training_points_are_about_one_away(self):
        rng = np.random.default_rng(0)
        truth = np.repeat([0, 1], 500)
        points = rng.normal(0, [1.0, 5.0, 0.1], size=(1000, 3)) + truth[:, None] * 20
        model = fit_outliers(points, truth)
        assert np.sqrt((model.distance(points) ** 2).mean()) == pytest.approx(1.0, abs=0.05)
        assert model.means[1] - model.means[0] == pytest.approx([20, 20, 20], abs=0.7)

    def test_a_class_without_examples_is_refused(self):
        with pytest.raises(InputError, match="expected all of 0 to 2"):
            fit_outliers(np.zeros((2, 3)), np.array([0, 2]))


class TestScores:
    def test_slices_of_a_patient_are_pooled_by_log_probability(self):
        logits = np.log(np.array([[0.8, 0.1, 0.1], [0.2, 0.4, 0.4], [0.1, 0.8, 0.1]]))
        pooled, first = pool_patients(logits, np.array(["b", "b", "a"]))
        assert first.tolist() == [2, 0]
        assert pooled[0] == pytest.approx(logits[2])
        assert np.exp(pooled[1]) == pytest.approx(np.sqrt([0.16, 0.04, 0.04]))

    def test_a_set_of_four_examples(self):
        probabilities = np.array(
            [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]]
        )
        calibrated = Calibrated(probabilities, probabilities >= 0.3)
        found = score(
            calibrated,
            np.array([0, 0, 1, 2]),
            np.array(["MR", "numeric", "numeric", "numeric"]),
            np.array(["a", "b", "c", "d"]),
        )
        assert found["accuracy"] == 0.75
        assert found["sensitivity"] == {"glioma": 0.5, "meningioma": 1.0, "pituitary": 1.0}
        assert found["specificity"]["meningioma"] == pytest.approx(2 / 3)
        assert found["numeric_glioma_sensitivity"] == 0.0
        assert found["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
        assert found["coverage"] == 1.0
        assert found["mean_set_size"] == 1.25
        assert found["undecided"] == 0.25
        assert found["accuracy_of_decided"] == 1.0
        # f1: glioma 2/3, meningioma 2/3, pituitary 1
        assert found["macro_f1"] == pytest.approx(7 / 9)

    def test_the_interval_draws_patients_not_slices(self):
        patients = np.repeat(["a", "b"], 50)
        right = np.repeat([1.0, 0.0], 50)
        low, high = interval(lambda chosen: float(right[chosen].mean()), patients)
        assert (low, high) == (0.0, 1.0)

    def test_a_fold_is_calibrated_on_the_others_only(self):
        logits, truth = draw(600)
        folds = np.arange(600) % 3
        found = cross_calibrate(logits, truth, folds, 0.9)
        inside = folds == 1
        alone = fit_calibration(logits[~inside], truth[~inside], 0.9)
        assert found.probabilities[inside] == pytest.approx(alone.probabilities(logits[inside]))

    def test_readings_with_experts_and_own_outlines_share_the_one_calibration_that_ships(self):
        good, truth = draw(600)
        readings = {"expert": good, "own": 3.0 * good}
        folds = np.arange(600) % 3
        found = cross_calibrate_mixed(readings, truth, folds, 0.9)
        inside = folds == 1
        both = np.concatenate([good[~inside], 3.0 * good[~inside]])
        shipped = fit_calibration(both, np.concatenate([truth[~inside]] * 2), 0.9)
        for name, logits in readings.items():
            expected = shipped.probabilities(logits[inside])
            assert found[name].probabilities[inside] == pytest.approx(expected)
            sets = expected >= shipped.least_probability
            assert (found[name].sets[inside][sets]).all()
        # the own outlines alone are three times too sharp, and would be cooled more
        assert shipped.temperature < fit_calibration(3.0 * good, truth, 0.9).temperature
