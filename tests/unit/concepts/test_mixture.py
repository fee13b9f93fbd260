"""The mixture of two readers is chosen on other folds than the one it is measured on."""

import numpy as np
import pytest
from brain_tumor.concepts import evaluation
from brain_tumor.concepts.card import _second_rows
from brain_tumor.concepts.evaluation import disagreement_limit, log_loss, mix
from brain_tumor.concepts.training.study import READER, FoldStudy

FOLD = np.repeat([0, 1, 2], 60)
TRUTH = np.tile([0, 1, 2], 60)


def logits_of(right_share, seed, sharpness=3.0):
    """Logits of a reader that is right for that share of the examples."""
    rng = np.random.default_rng(seed)
    guess = np.where(rng.random(len(TRUTH)) < right_share, TRUTH, (TRUTH + 1) % 3)
    return sharpness * np.eye(3)[guess] + rng.normal(0.0, 0.3, (len(TRUTH), 3))


def test_log_loss_is_worked_out_by_hand():
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5]])
    assert log_loss(probabilities, np.array([0, 1])) == pytest.approx((np.log(4) + np.log(2)) / 2)


def test_a_reader_that_knows_nothing_gets_no_weight():
    good, noise = logits_of(0.97, 1), np.random.default_rng(2).normal(size=(len(TRUTH), 3))
    found = mix(good, noise, TRUTH, FOLD)
    assert found.share.tolist() == [[0.0]] * len(TRUTH)
    np.testing.assert_array_equal(found.together, found.first)


def test_readers_that_err_on_different_examples_are_better_together():
    found = mix(logits_of(0.85, 3), logits_of(0.85, 4), TRUTH, FOLD)
    assert found.share.min() > 0.0
    assert log_loss(found.together, TRUTH) < log_loss(found.first, TRUTH) - 0.05
    np.testing.assert_allclose(found.together.sum(axis=1), 1.0)


def test_what_a_fold_holds_has_no_part_in_what_is_chosen_for_it():
    first, second = logits_of(0.9, 5), logits_of(0.8, 6)
    before = mix(first, second, TRUTH, FOLD)
    other = TRUTH.copy()
    other[FOLD == 1] = (other[FOLD == 1] + 1) % 3  # another truth in the fold that is looked at
    after = mix(first, second, other, FOLD)
    inside = FOLD == 1
    np.testing.assert_array_equal(before.together[inside], after.together[inside])
    np.testing.assert_array_equal(before.first[inside], after.first[inside])
    assert not np.allclose(before.first[~inside], after.first[~inside])


class NoScale:
    """A calibration that leaves logits as they are."""

    def probabilities(self, logits):
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_the_limit_of_disagreement_counts_patients_and_not_their_slices(monkeypatch):
    monkeypatch.setattr(evaluation, "fit_calibration", lambda *_: NoScale())
    slices = [1] * 19 + [50]  # of 20 patients
    patient = np.repeat(np.arange(20), slices)
    doubt = 0.01 + 0.01 * patient  # of the hybrid's answer, class 0
    second = np.log(np.stack([1 - doubt, doubt / 2, doubt / 2], axis=1))[:, None]
    whole = FoldStudy(
        {READER: second},
        fused=np.tile([3.0, 0.0, 0.0], (len(patient), 1, 1)),
        truth=np.zeros(len(patient), dtype=np.int64),
        patient=np.array([f"p{number:02d}" for number in patient]),
        cohort=np.full(len(patient), "numeric"),
        index=np.arange(len(patient)),
        fold=patient % 2,
        notes={},
    )
    # of 0.01, 0.02 ... 0.20 the 0.85-quantile: 0.85 * 19 steps of 0.01 above the first
    assert disagreement_limit(whole, 0) == pytest.approx(0.1715)


def test_the_card_tells_gain_and_captured_errors_with_their_intervals():
    keys = ("hybrid_macro_f1", "together_macro_f1", "reader_share", "errors_in_most_disagreed")
    figures = {
        **dict.fromkeys((*keys, "errors_in_least_confident", "different_answers"), 0.5),
        "together_gain": -0.0019,
        "together_gain_interval": (-0.0058, 0.0013),
        "errors_in_most_disagreed_interval": (0.25, 0.75),
    }
    rows = _second_rows({"expert": figures, "own": figures}).splitlines()
    assert rows[2].count("-0.0019 (-0.0058 to +0.0013)") == 2
    assert "most disagreed" in rows[4]
    assert rows[5] == "| 95 % interval over patients | 0.250-0.750 | 0.250-0.750 |"
