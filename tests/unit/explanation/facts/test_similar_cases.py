import json

import numpy as np
import pytest
from brain_tumor.classification.features.measurement import Measurement, missing
from brain_tumor.errors import InputError
from brain_tumor.explanation.facts.similar_cases import (
    TrainingTable,
    build_table,
    joined_tables,
    similar_cases,
)
from brain_tumor.labels import TumorType

G, M, P = TumorType
FEATURES = ("solidity", "necrosis_fraction", "mirror_symmetry")


def a_table():
    """Patients 1-4, one or two slices each; solidity 0, 2, 4, 6 and necrosis 0, 2, 4, 6."""
    values = np.array(
        [
            [0.0, 0.0, 9.0],
            [1.0, 2.0, 1.0],
            [3.0, 2.0, 1.0],
            [4.0, 4.0, 1.0],
            [6.0, np.nan, 1.0],
            [6.0, 6.0, 1.0],
        ]
    )
    return build_table(values, FEATURES, [G, M, M, P, G, G], [1, 2, 2, 3, 4, 4])


def case(solidity, necrosis):
    return {
        "solidity": Measurement(solidity, "1"),
        "necrosis_fraction": Measurement(necrosis, "1")
        if necrosis is not None
        else missing("1", "too dark"),
    }


def test_a_patient_is_one_row_with_the_medians_of_its_slices():
    table = a_table()
    assert table.features == ("solidity", "necrosis_fraction")  # the view does not make alike
    assert table.groups == (1, 2, 3, 4)
    assert table.types == (G, M, P, G)
    assert table.values.tolist() == [[0, 0], [2, 2], [4, 4], [6, 6]]


def test_the_nearest_patient_comes_first_with_its_standardised_distance():
    table = a_table()
    found = similar_cases(case(2.0, 3.0), table, count=2)
    assert [other.group for other in found] == [2, 3]
    # Quantiles 15.9 and 84.1 of 0, 2, 4, 6 are 0.954 and 5.046: spread 2.046.
    assert found[0].distance == pytest.approx(1.0 / 2.046 / 2**0.5, abs=1e-3)
    assert found[1].distance == pytest.approx((5 / 2) ** 0.5 / 2.046, abs=1e-3)
    assert found[0].tumor is M


def test_features_that_agree_are_named():
    # 0.1 of a spread of 2.05 away in solidity, 1.9 in necrosis; the next patient the other way.
    first, second = similar_cases(case(2.1, 3.9), a_table(), count=2)
    assert (first.group, first.agrees) == (2, ("solidity",))
    assert (second.group, second.agrees) == (3, ("necrosis_fraction",))


def test_a_training_patient_is_not_its_own_neighbour():
    found = similar_cases(case(2.0, 2.0), a_table())
    # 1 and 3 are equally far; the first in the table counts
    assert [other.group for other in found] == [1, 3, 4]
    # nor where the table keeps five digits only
    found = similar_cases(case(2.00001, 2.0), a_table())
    assert [other.group for other in found] == [3, 1, 4]


def test_one_wild_value_does_not_decide():
    found = similar_cases(case(2.0, 1e9), a_table(), count=1)
    assert found[0].group == 2
    assert found[0].distance == pytest.approx(np.sqrt(4.0**2 / 2))


def test_with_too_few_values_nobody_is_similar():
    table = a_table()
    nothing = {name: missing("1", "too small") for name in FEATURES}
    assert similar_cases(nothing, table) == ()
    assert len(similar_cases(case(2.1, None), table)) == 4  # half of the features is enough


def test_a_table_survives_json():
    table = a_table()
    again = TrainingTable.from_json(json.loads(json.dumps(table.to_json())))
    assert similar_cases(case(1.0, 3.0), again) == similar_cases(case(1.0, 3.0), table)
    with pytest.raises(InputError, match="cannot be read"):
        TrainingTable.from_json({"features": []})


def test_lengths_that_do_not_agree_are_refused():
    with pytest.raises(InputError, match="expected"):
        build_table(np.zeros((2, 2)), FEATURES, [G, M], [1, 2])


def test_joined_tables_hold_everybody_on_one_scale():
    one = build_table(np.array([[0.0], [2.0]]), FEATURES[:1], [G, M], [1, 2])
    other = build_table(np.array([[10.0]]), FEATURES[:1], [P], [1])
    both = joined_tables(one, other)
    assert both.values.tolist() == [[0.0], [2.0], [10.0]]
    assert both.groups == (1, 2, 1)
    assert both.types == (G, M, P)
    assert both.centre.tolist() == [2.0]
    with pytest.raises(InputError, match="not the same"):
        joined_tables(one, build_table(np.array([[1.0]]), FEATURES[1:2], [P], [1]))
