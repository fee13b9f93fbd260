import numpy as np
import pytest
from brain_tumor.cases.grid.geometry import axis_map
from brain_tumor.segmentation.tumor_core.slices import (
    ORIENTATION,
    Plane,
    normalise_slices,
    plane_stack,
    resolved_planes,
    stack_to_lpi,
    tissue_box,
)

from tests.helpers.volumes import GRIDS


def a_ramp_slice(side: int = 101) -> np.ndarray:
    """Background 0 in the left half, 100 to 200 row by row in the right half."""
    image = np.zeros((side, 2 * side), dtype=np.float32)
    image[:, side:] = np.linspace(100, 200, side, dtype=np.float32)[:, None]
    return image


def test_normalisation_puts_the_foreground_median_at_zero_and_its_p10_to_p90_at_one():
    normalised = normalise_slices(a_ramp_slice()[None])[0]
    # The foreground runs evenly from 100 to 200: median 150, p90 - p10 = 80.
    assert normalised[50, 150] == pytest.approx(0.0, abs=1e-5)
    assert normalised[100, 150] == pytest.approx(50 / 80, abs=1e-5)
    assert normalised[0, 150] == pytest.approx(-50 / 80, abs=1e-5)
    assert normalised[50, 10] == pytest.approx(-150 / 80, abs=1e-5)


@pytest.mark.parametrize(("gain", "offset"), [(0.01, 0.0), (40.0, 0.0), (1.0, 500.0), (3.0, -700)])
def test_normalisation_does_not_depend_on_scale_or_offset_of_the_picture(gain, offset):
    image = a_ramp_slice()
    expected = normalise_slices(image[None])
    np.testing.assert_allclose(normalise_slices((image * gain + offset)[None]), expected, atol=1e-3)


def test_slices_are_normalised_one_by_one():
    dark, bright = a_ramp_slice(), a_ramp_slice() * 9
    together = normalise_slices(np.stack([dark, bright]))
    np.testing.assert_allclose(together[0], together[1], atol=1e-4)


def test_a_constant_background_inside_the_tissue_range_is_moved_below_the_tissue():
    image = a_ramp_slice() - 160.0
    image[:, :101] = 0.0  # as in z-scored, skull-stripped volumes
    normalised = normalise_slices(image[None])[0]
    assert normalised[50, 10] == normalised[:, 101:].min()


def test_an_empty_slice_normalises_to_zeros():
    assert not normalise_slices(np.full((1, 32, 32), 7.0)).any()


def test_extreme_values_are_clipped_to_minus_three_and_five():
    image = a_ramp_slice()
    image[0, 150] = 1e6
    assert normalise_slices(image[None]).max() == 5.0


@pytest.mark.parametrize(
    ("plane", "shape", "row_axis", "column_axis"),
    [
        (Plane.AXIAL, (7, 11, 9), 1, 0),
        (Plane.CORONAL, (11, 7, 9), 2, 0),
        (Plane.SAGITTAL, (9, 7, 11), 2, 1),
    ],
)
def test_a_stack_shows_rows_and_columns_as_radiologists_do(plane, shape, row_axis, column_axis):
    left, posterior, inferior = np.indices((9, 11, 7))
    where = (left, posterior, inferior)
    stacks = [plane_stack(axis, plane) for axis in where]
    assert stacks[0].shape == shape
    rows, columns = np.indices(shape)[1:]
    np.testing.assert_array_equal(stacks[row_axis], rows)
    np.testing.assert_array_equal(stacks[column_axis], columns)
    for axis, stack in zip(where, stacks, strict=True):
        np.testing.assert_array_equal(stack_to_lpi(stack, plane), axis)


@pytest.mark.parametrize("affine", GRIDS.values(), ids=GRIDS)
def test_the_orientation_runs_to_left_posterior_inferior(affine):
    turned = axis_map((9, 11, 7), affine, ORIENTATION).map_affine(affine)
    directions = turned[:3, :3] / np.linalg.norm(turned[:3, :3], axis=0)
    assert (np.diag(directions) < -0.5).all()


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "expected"),
    [
        ((180, 220, 160), (1.0, 1.0, 1.0), {Plane.AXIAL, Plane.CORONAL, Plane.SAGITTAL}),
        ((256, 256, 24), (0.94, 0.94, 6.0), {Plane.AXIAL}),
        ((30, 256, 256), (6.0, 0.94, 0.94), {Plane.SAGITTAL}),
        ((256, 30, 256), (0.94, 6.0, 0.94), {Plane.CORONAL}),
        ((256, 256, 24), (1.0, 1.0, 1.0), {Plane.AXIAL}),  # a header that hides thick slices
        ((256, 256, 1), (0.98, 0.98, 6.0), {Plane.AXIAL}),
        ((60, 70, 50), (3.0, 3.0, 3.0), {Plane.AXIAL}),  # nothing resolves: the largest slices
    ],
)
def test_only_planes_that_show_anatomy_are_read(shape, spacing_mm, expected):
    assert set(resolved_planes(shape, spacing_mm)) == expected


def test_the_tissue_box_keeps_the_head_and_a_margin():
    array = np.zeros((60, 50, 40), dtype=np.float32)
    array[20:40, 10:30, 5:38] = 100.0
    assert tissue_box(array, margin=4) == (slice(16, 44), slice(6, 34), slice(1, 40))


def test_the_tissue_box_of_nothing_is_the_whole_volume():
    assert tissue_box(np.zeros((6, 5, 4), dtype=np.float32)) == (
        slice(0, 6),
        slice(0, 5),
        slice(0, 4),
    )
