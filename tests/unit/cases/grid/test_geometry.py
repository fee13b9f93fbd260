from __future__ import annotations

import itertools

import numpy as np
import pytest
from brain_tumor.cases.grid.geometry import (
    axis_map,
    case_on_reference_grid,
    corners_mm,
    covered_share,
    grid_distance_mm,
    reorient,
    resample_array,
    resample_to,
    same_grid,
)
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import GeometryError, SequenceError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.volumes import GRIDS, a_counted_volume, a_ramp, grid, ramp_values

every_grid = pytest.mark.parametrize("affine", GRIDS.values(), ids=GRIDS.keys())


def test_corners_are_the_centres_of_the_corner_voxels() -> None:
    corners = corners_mm((3, 4, 5), grid((2.0, 1.0, 0.5), (10.0, 20.0, 30.0)))
    assert corners[0].tolist() == [10.0, 20.0, 30.0]
    assert corners[-1].tolist() == [14.0, 23.0, 32.0]
    assert len({tuple(c) for c in corners}) == 8


def test_grids_less_than_half_a_millimetre_apart_are_the_same() -> None:
    a = a_ramp()
    assert same_grid(a, a_ramp(affine=grid(origin_mm=(0.29, 0.4, 0.0))))  # 0.494 mm
    assert not same_grid(a, a_ramp(affine=grid(origin_mm=(0.31, 0.4, 0.0))))  # 0.506 mm


def test_shapes_that_differ_are_not_the_same_grid() -> None:
    assert grid_distance_mm(a_ramp((4, 4, 4)), a_ramp((4, 4, 5))) == np.inf


def test_a_grid_turned_about_its_middle_is_another_grid() -> None:
    # Corner differences of (+4, -4, 0) and so on sum to zero; none of them may cancel.
    a = a_ramp((5, 5, 1))
    turned = a_ramp((5, 5, 1), grid(flips=(-1, -1, 1), origin_mm=(4.0, 4.0, 0.0)))
    assert grid_distance_mm(a, turned) == pytest.approx(4 * np.sqrt(2))
    assert not same_grid(a, turned)


@every_grid
def test_a_ramp_keeps_its_values_when_reoriented(affine: np.ndarray) -> None:
    volume = a_ramp(affine=affine)
    moved, _ = reorient(volume, "RAS")
    np.testing.assert_allclose(moved.array, ramp_values(moved.shape, moved.affine), rtol=1e-5)
    assert (np.argmax(np.abs(moved.affine[:3, :3]), axis=0) == [0, 1, 2]).all()
    assert (np.diag(moved.affine)[:3] > 0).all()


@every_grid
@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL"])
def test_undo_brings_every_voxel_back(affine: np.ndarray, codes: str) -> None:
    volume = a_counted_volume(affine=affine)
    moved, mapping = reorient(volume, codes)
    np.testing.assert_array_equal(mapping.undo(moved.array), volume.array)
    assert moved.array.shape == mapping.apply(volume.array).shape


def test_a_flip_moves_the_first_voxel_to_the_end() -> None:
    volume = a_counted_volume((2, 1, 1), grid(flips=(-1, 1, 1)))
    moved, _ = reorient(volume)
    assert moved.array.ravel().tolist() == [1.0, 0.0]
    assert moved.affine[:3, 3].tolist() == [-1.0, 0.0, 0.0]


@pytest.mark.parametrize("codes", ["RAR", "RA", "XYZ", "ras", "", "LRS"])
def test_codes_that_name_no_orientation_are_refused(codes: str) -> None:
    with pytest.raises(GeometryError, match="orientation"):
        axis_map((2, 2, 2), np.eye(4), codes)


@every_grid
def test_resampling_to_the_same_grid_is_exact(affine: np.ndarray) -> None:
    volume = a_counted_volume(affine=affine)
    again = resample_to(volume, volume.shape, affine)
    np.testing.assert_array_equal(again.array, volume.array)
    assert again.array is not volume.array


@pytest.mark.parametrize("codes", ["".join(c) for c in itertools.permutations("RAS")] + ["LPI"])
def test_flips_and_swaps_are_copied_not_interpolated(codes: str) -> None:
    volume = a_counted_volume(affine=GRIDS["oblique"])
    expected, _ = reorient(volume, codes)
    moved = resample_to(volume, expected.shape, expected.affine)
    np.testing.assert_array_equal(moved.array, expected.array)


def test_whole_voxel_shifts_crop_and_pad() -> None:
    array = np.array([1, 2, 3], dtype=np.uint8).reshape(3, 1, 1)
    moved = resample_array(array, np.eye(4), (4, 1, 1), grid(origin_mm=(1.0, 0, 0)), fill=9)
    assert moved.ravel().tolist() == [2, 3, 9, 9]
    moved = resample_array(array, np.eye(4), (3, 1, 1), grid(origin_mm=(-2.0, 0, 0)), fill=9)
    assert moved.ravel().tolist() == [9, 9, 1]
    flipped = grid(origin_mm=(1.0, 0, 0), flips=(-1, 1, 1))
    moved = resample_array(array, np.eye(4), (3, 1, 1), flipped, fill=9)
    assert moved.ravel().tolist() == [2, 1, 9]
    apart = resample_array(array, np.eye(4), (2, 1, 1), grid(origin_mm=(50.0, 0, 0)), fill=9)
    assert apart.ravel().tolist() == [9, 9]


@settings(max_examples=60, deadline=None)
@given(
    st.permutations([0, 1, 2]),
    st.tuples(*[st.sampled_from([-1, 1])] * 3),
    st.tuples(*[st.integers(-4, 4)] * 3),
    st.tuples(*[st.integers(1, 5)] * 3),
)
def test_moved_voxels_agree_with_a_voxel_by_voxel_search(
    axes: list[int],
    flips: tuple[int, int, int],
    origin: tuple[int, int, int],
    shape: tuple[int, int, int],
) -> None:
    array = np.arange(1, 61, dtype=np.int16).reshape(3, 4, 5)
    target = grid(origin_mm=origin, flips=flips, axes=axes)
    expected = np.zeros(shape, dtype=np.int16)
    for index in np.ndindex(*shape):
        x, y, z = (int(v) for v in (target @ [*index, 1])[:3])
        if 0 <= x < 3 and 0 <= y < 4 and 0 <= z < 5:
            expected[index] = array[x, y, z]
    np.testing.assert_array_equal(resample_array(array, np.eye(4), shape, target), expected)


@every_grid
def test_a_ramp_keeps_its_values_under_trilinear_resampling(affine: np.ndarray) -> None:
    volume = a_ramp((12, 13, 14), affine)
    middle = (affine @ [5.5, 6.0, 6.5, 1.0])[:3]
    target = grid((0.4, 0.3, 0.5), (0, 0, 0), euler_degrees=(7.0, -11.0, 3.0))
    target[:3, 3] = middle - target[:3, :3] @ [1.5, 1.0, 1.5]
    moved = resample_to(volume, (4, 3, 4), target)
    np.testing.assert_allclose(moved.array, ramp_values((4, 3, 4), target), rtol=1e-4)


def test_linear_interpolation_weighs_the_two_voxels_around() -> None:
    array = np.array([10.0, 30.0], dtype=np.float32).reshape(2, 1, 1)
    moved = resample_array(array, np.eye(4), (5, 1, 1), grid((0.5, 1, 1), (-0.4, 0, 0)), fill=-1)
    # centres at -0.4, 0.1, 0.6, 1.1, 1.6 mm; the outer halves of the edge voxels hold their value
    assert moved.ravel().tolist() == pytest.approx([10.0, 12.0, 22.0, 30.0, -1.0])


def test_outside_the_edge_voxels_the_fill_value_holds() -> None:
    array = np.array([10.0, 30.0], dtype=np.float32).reshape(2, 1, 1)
    moved = resample_array(array, np.eye(4), (2, 1, 1), grid((2.2, 1, 1), (-0.6, 0, 0)), fill=-1)
    assert moved.ravel().tolist() == [-1.0, -1.0]  # at -0.6 and 1.6 mm


def test_labels_take_the_nearest_voxel() -> None:
    labels = np.array([1, 3], dtype=np.uint8).reshape(2, 1, 1)
    moved = resample_array(labels, np.eye(4), (2, 1, 1), grid((0.5, 1, 1), (0.3, 0, 0)), order=0)
    assert moved.dtype == np.uint8
    assert moved.ravel().tolist() == [1, 3]  # at 0.3 and 0.8 mm


def test_the_share_covered_counts_tissue_only() -> None:
    array = np.zeros((10, 10, 10), dtype=np.float32)
    array[:5] = 1.0  # tissue fills x = 0 .. 4 mm
    reference = Volume(array, np.eye(4))
    assert covered_share(reference, a_ramp((5, 10, 10))) == 1.0
    assert covered_share(reference, a_ramp((3, 10, 10))) == pytest.approx(0.6)
    assert covered_share(reference, a_ramp((5, 10, 10), grid(origin_mm=(5.0, 0, 0)))) == 0.0


def test_siblings_on_another_grid_come_to_the_grid_of_the_reference() -> None:
    reference = a_ramp((10, 10, 10), grid())
    sibling = a_ramp((30, 30, 30), grid((0.8, 0.7, 0.9), (-5.2, -4.1, -6.3), flips=(1, 1, 1)))
    case = case_on_reference_grid("a", {Sequence.FLAIR: sibling, Sequence.T1C: reference})
    assert case.reference is Sequence.T1C
    assert case.volumes[Sequence.T1C] is reference
    np.testing.assert_allclose(case.volumes[Sequence.FLAIR].array, reference.array, rtol=1e-4)
    np.testing.assert_array_equal(case.volumes[Sequence.FLAIR].affine, reference.affine)


def test_a_sibling_within_the_tolerance_keeps_its_voxels() -> None:
    reference = a_counted_volume()
    sibling = a_counted_volume(affine=grid(origin_mm=(0.4, 0.0, 0.0)))
    case = case_on_reference_grid("a", {Sequence.T2: sibling, Sequence.T1: reference}, Sequence.T1)
    np.testing.assert_array_equal(case.volumes[Sequence.T2].array, sibling.array)
    np.testing.assert_array_equal(case.volumes[Sequence.T2].affine, np.eye(4))


@pytest.mark.parametrize(
    ("present", "reference"),
    [
        ("t1 t1c t2 flair", "t1c"),
        ("t1 t2 flair", "flair"),
        ("t1 t2", "t2"),
        ("t1", "t1"),
    ],
)
def test_the_reference_is_the_contrast_scan_where_there_is_one(
    present: str, reference: str
) -> None:
    case = case_on_reference_grid("a", {Sequence(s): a_ramp() for s in present.split()})
    assert case.reference.value == reference
    assert [s.value for s in case.present] == present.split()


def test_a_sibling_elsewhere_in_space_is_refused_in_words() -> None:
    elsewhere = a_ramp(affine=grid(origin_mm=(200.0, 0.0, 0.0)))
    with pytest.raises(GeometryError, match="flair covers 0% of the tissue in t1c") as refused:
        case_on_reference_grid("a", {Sequence.T1C: a_ramp(), Sequence.FLAIR: elsewhere})
    assert "Leave flair out" in refused.value.remedy


def test_a_case_without_its_reference_is_refused() -> None:
    with pytest.raises(SequenceError, match="no volumes"):
        case_on_reference_grid("a", {})
    with pytest.raises(SequenceError, match="reference t1c is missing; case a has t2"):
        case_on_reference_grid("a", {Sequence.T2: a_ramp()}, Sequence.T1C)
