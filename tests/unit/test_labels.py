import numpy as np
import pytest
from brain_tumor.errors import LabelError
from brain_tumor.labels import (
    Label,
    LabelScheme,
    Region,
    check_scheme,
    from_brats,
    label_names,
    region_mask,
)


def test_values_on_the_wire_are_contiguous_from_one():
    assert list(label_names().values()) == [1, 2, 3, 4]
    assert "background" not in label_names()


def test_regions_nest():
    labelmap = np.array([0, 1, 2, 3, 4], dtype=np.uint8)
    assert region_mask(labelmap, Region.ET).tolist() == [False, False, False, True, False]
    assert region_mask(labelmap, Region.TC).tolist() == [False, True, False, True, True]
    assert region_mask(labelmap, Region.WT).tolist() == [False, True, True, True, True]


def test_brats_2020_value_4_becomes_enhancing_tumour():
    assert from_brats(np.array([0, 1, 2, 4])).tolist() == [0, 1, 2, 3]


def test_brats_2013_non_enhancing_tumour_joins_the_necrotic_core():
    assert from_brats(np.array([1, 2, 3, 4]), year=2013).tolist() == [1, 2, 1, 3]


def test_brats_2023_value_3_is_enhancing_tumour():
    assert from_brats(np.array([1, 2, 3]), year=2023).tolist() == [1, 2, 3]


@pytest.mark.parametrize(("values", "year"), [([3], 2020), ([5], 2020), ([-1], 2020), ([4], 2023)])
def test_values_outside_an_edition_are_refused(values, year):
    with pytest.raises(LabelError, match=str(values[0])):
        from_brats(np.array(values), year=year)


def test_scheme_is_told_from_the_values():
    assert check_scheme(np.array([0, 1, 3])) is LabelScheme.SUBREGIONS
    assert check_scheme(np.array([0, 4])) is LabelScheme.CORE
    assert check_scheme(np.array([0])) is LabelScheme.SUBREGIONS


@pytest.mark.parametrize("values", [[3, 4], [5], [1, 255]])
def test_mixed_or_unknown_values_are_refused_with_the_allowed_ones(values):
    with pytest.raises(LabelError, match=r"expected a subset of \{1, 2, 3\} or only 4"):
        check_scheme(np.array(values))


def test_label_members_are_what_files_hold():
    assert [int(label) for label in Label] == [0, 1, 2, 3, 4]
