import numpy as np
import pytest
from brain_tumor.classification.features.measurement import Measurement, missing
from brain_tumor.errors import InputError
from brain_tumor.explanation.facts.counterfactual import find_counterfactual
from brain_tumor.explanation.facts.reference import QUANTILE_LEVELS, FeatureReference
from brain_tumor.labels import TumorType

G, M, P = TumorType
FEATURES = ("solidity", "extent", "mirror_symmetry")


def a_reference(low=0.0, high=10.0):
    values = tuple(low + (high - low) * level for level in QUANTILE_LEVELS)
    return FeatureReference({n: {G: values} for n in FEATURES}, {G: 20})


def head(weights, bias=(0.0, 0.0, -9.0)):
    """Softmax of three linear scores; a missing value counts as 0."""

    def probabilities(batch):
        scores = np.nan_to_num(batch) @ np.array(weights, dtype=float).T + np.array(bias)
        grown = np.exp(scores - scores.max(axis=1, keepdims=True))
        return grown / grown.sum(axis=1, keepdims=True)

    return probabilities


def measured(solidity, extent=5.0, symmetry=5.0):
    return {
        "solidity": Measurement(solidity, "1"),
        "extent": Measurement(extent, "1"),
        "mirror_symmetry": Measurement(symmetry, "1"),
    }


def test_the_smallest_change_that_lets_the_second_type_win_is_found():
    # Glioma scores 6, meningioma solidity + extent / 2; with 2 and 5 meningioma has 4.5. It wins
    # from solidity 3.5 (a change of 1.5 of 9.8) or from extent 8 (a change of 3).
    found = find_counterfactual(
        measured(2.0),
        FEATURES,
        head([[0, 0, 0], [1, 0.5, 0], [0, 0, 0]], (6, 0, -9)),
        a_reference(),
    )
    assert found.tumor is M
    assert found.found is not None
    assert found.found.feature == "solidity"
    assert found.found.from_value == pytest.approx(2.0)
    # At 3.5 both score the same; 3.51 is the nearest number with two decimals that turns it.
    assert found.found.to_value == pytest.approx(3.51, abs=1e-9)


def test_the_value_that_is_written_turns_the_type():
    # Meningioma wins from 3.494 on, which would be written as 3.49, where glioma still wins.
    classify = head([[0, 0, 0], [1, 0, 0], [0, 0, 0]], (3.494, 0, -9))
    found = find_counterfactual(measured(2.0), FEATURES, classify, a_reference()).found
    assert found is not None
    assert found.to_value == pytest.approx(3.50, abs=1e-9)


def test_nothing_is_said_where_both_values_would_be_written_alike():
    # Meningioma wins only from 2.002 to 2.004, on the way from 2.001 to a limit of 2.005.
    def classify(batch):
        wins = (batch[:, 0] >= 2.002) & (batch[:, 0] <= 2.004)
        return np.where(wins[:, None], [[0.3, 0.6, 0.1]], [[0.6, 0.3, 0.1]])

    near = a_reference(1.997, 2.005)
    assert find_counterfactual(measured(2.001), FEATURES, classify, near) is None


def test_none_is_found_when_the_reference_does_not_reach_far_enough():
    # Meningioma would win at solidity 12; the 99th percentile is 9.9.
    classify = head([[0, 0, 0], [1, 0, 0], [0, 0, 0]], (12, 0, -9))
    found = find_counterfactual(measured(2.0), FEATURES, classify, a_reference())
    assert (found.tumor, found.found) == (M, None)


def test_features_of_the_view_are_not_changed():
    classify = head([[0, 0, 0], [0, 0, 5], [0, 0, 0]], (30, 0, -9))
    assert find_counterfactual(measured(2.0), FEATURES, classify, a_reference()).found is None


def test_a_missing_value_is_not_changed():
    values = measured(2.0) | {"solidity": missing("1", "too small")}
    classify = head([[0, 0, 0], [1, 0, 0], [0, 0, 0]], (3, 0, -9))
    assert find_counterfactual(values, FEATURES, classify, a_reference()).found is None


def test_another_type_than_the_second_does_not_count():
    # Raising solidity lets the third type win, never the second.
    classify = head([[0, 0, 0], [0, 0, 0], [1, 0, 0]], (4, 3, 0))
    found = find_counterfactual(measured(2.0), FEATURES, classify, a_reference())
    assert (found.tumor, found.found) == (M, None)


def test_a_value_outside_the_reference_is_moved_inwards_only():
    # Glioma wins at 20; meningioma would win at 21 and above, or at 1 and below.
    def classify(batch):
        wins = (batch[:, 0] >= 21) | (batch[:, 0] <= 1)
        return np.where(wins[:, None], [[0.3, 0.6, 0.1]], [[0.6, 0.3, 0.1]])

    found = find_counterfactual(measured(20.0), FEATURES, classify, a_reference()).found
    assert found is not None
    assert found.to_value == pytest.approx(1.0, abs=0.02)


def test_probabilities_of_another_shape_are_refused():
    with pytest.raises(InputError, match="expected"):
        find_counterfactual(measured(2.0), FEATURES, lambda b: b[:, :2], a_reference())
