import numpy as np
import pytest
from brain_tumor.errors import GeometryError
from brain_tumor.learning.ledger.agreement import fleiss_kappa, mask_agreement
from brain_tumor.learning.ledger.changes import compare

SPACING_MM = (1.0, 2.0, 5.0)  # 10 microlitres a voxel


def a_label(box, value=3):
    labels = np.zeros((10, 10, 10), dtype=np.uint8)
    labels[box] = value
    return labels


class TestChange:
    def test_a_grown_cube_is_counted_in_ml_and_boxed(self):
        before = a_label(np.s_[2:4, 2:4, 2:4])  # 8 voxels
        after = a_label(np.s_[2:4, 2:4, 2:6])  # 16
        change = compare(before, after, SPACING_MM)
        one = change.labels["enhancing tumour"]
        assert (one.before_ml, one.after_ml, one.added_ml, one.removed_ml) == (0.08, 0.16, 0.08, 0)
        assert change.dice == pytest.approx(2 * 8 / 24)
        assert change.changed_ml == 0.08
        assert change.box == ((2, 2, 4), (3, 3, 5))
        assert change.to_json()["box"] == [[2, 2, 4], [3, 3, 5]]

    def test_another_label_in_the_same_place_changes_both_labels_but_not_the_tumour(self):
        before, after = a_label(np.s_[2:4, 2:4, 2:4], 3), a_label(np.s_[2:4, 2:4, 2:4], 1)
        change = compare(before, after, SPACING_MM)
        assert change.dice == 1.0
        assert change.labels["enhancing tumour"].removed_ml == 0.08
        assert change.labels["necrotic core"].added_ml == 0.08
        assert change.changed_ml == 0.08

    def test_nothing_changed_has_no_box(self):
        empty = np.zeros((3, 3, 3), dtype=np.uint8)
        change = compare(empty, empty, SPACING_MM)
        assert (change.labels, change.dice, change.changed_ml, change.box) == ({}, 1.0, 0.0, None)

    def test_another_grid_is_refused(self):
        with pytest.raises(GeometryError, match="same grid"):
            compare(np.zeros((3, 3, 3), np.uint8), np.zeros((3, 3, 4), np.uint8), SPACING_MM)


class TestAgreement:
    def test_every_pair_of_annotators_is_compared_per_region(self):
        masks = {
            "ben": a_label(np.s_[2:4, 2:4, 2:4]),
            "anna": a_label(np.s_[2:4, 2:4, 2:6]),
            "carl": a_label(np.s_[2:4, 2:4, 2:4], 2),
        }
        found = {pair.annotators: pair.dice for pair in mask_agreement(masks)}
        assert list(found) == [("anna", "ben"), ("anna", "carl"), ("ben", "carl")]
        expected = pytest.approx(2 * 8 / 24)
        assert found["anna", "ben"]["tumour"] == expected
        assert found["anna", "ben"]["ET"] == expected
        assert found["ben", "carl"] == {"tumour": 1.0, "WT": 1.0, "TC": 0.0, "ET": 0.0}

    def test_different_schemes_are_compared_as_a_whole_only(self):
        masks = {"a": a_label(np.s_[2:4, 2:4, 2:4], 4), "b": a_label(np.s_[2:4, 2:4, 2:4], 3)}
        assert [dict(pair.dice) for pair in mask_agreement(masks)] == [{"tumour": 1.0}]

    def test_kappa_by_hand(self):
        # two cases, two raters: agree on glioma, differ on the other. observed 0.5;
        # shares 3/4 glioma and 1/4 pituitary, expected 10/16: (0.5 - 0.625) / 0.375
        ratings = [["glioma", "glioma"], ["glioma", "pituitary"]]
        assert fleiss_kappa(ratings) == pytest.approx(-1 / 3)
        # three raters, one differs: 1 of 3 pairs agrees; the single answer does not count
        assert fleiss_kappa([["a", "a", "b"], ["b"]]) == pytest.approx((1 / 3 - 5 / 9) / (4 / 9))

    def test_kappa_is_undefined_without_a_pair_or_a_choice(self):
        assert fleiss_kappa([]) is None
        assert fleiss_kappa([["a"]]) is None
        assert fleiss_kappa([["a", "a"], ["a", "a"]]) is None
