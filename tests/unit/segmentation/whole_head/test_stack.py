"""How a case becomes a stack of slices."""

import numpy as np
import pytest
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import VolumeError
from brain_tumor.segmentation.whole_head.stack import (
    BACKGROUND,
    HIGHEST,
    head_mask,
    normalise,
    to_slice_stack,
    with_neighbours,
)


def ball(shape, spacing_mm, radius_mm=60.0):
    """Distance of every voxel from the middle of the grid, and what lies inside a ball."""
    axes = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, spacing_mm, strict=True)]
    away = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij")))
    return away < radius_mm


def case_of(array, affine, sequence=Sequence.FLAIR):
    return Case("ball", sequence, {sequence: Volume(array.astype(np.float32), affine)})


def test_thick_slices_stay_as_they_are():
    inside = ball((80, 80, 30), (2.0, 2.0, 5.0))
    steps = np.arange(30, dtype=np.float32)  # each slice has a level of its own
    array = np.where(inside, 100 + steps, 0)
    stack = to_slice_stack(case_of(array, np.diag([2.0, 2.0, 5.0, 1.0])))
    # the ball has a diameter of 120 mm: 24 slices of 5 mm hold some of it
    assert len(stack.slices) == 24
    assert stack.thickness_mm == pytest.approx(5.0)
    middle = [float(s[3, s.shape[1] // 2, s.shape[2] // 2]) for s in stack.slices]
    assert np.all(np.diff(middle[1:-1]) > 0)


def test_thin_slices_are_averaged_to_at_most_three_millimetres():
    inside = ball((70, 70, 140), (2.0, 2.0, 1.0))
    stack = to_slice_stack(case_of(np.where(inside, 100.0, 0.0), np.diag([2.0, 2.0, 1.0, 1.0])))
    assert stack.thickness_mm == pytest.approx(3.0)
    assert len(stack.slices) == 40  # 120 mm


def test_axes_run_to_the_right_to_the_front_and_up():
    """A spot at the patient's right, front and top, on a grid that runs to L, P and I."""
    shape = (80, 80, 30)
    inside = ball(shape, (2.0, 2.0, 5.0))
    array = np.where(inside, 100.0, 0.0)
    array[26, 30, 9] = 400.0  # low indices: right, front, top
    stack = to_slice_stack(case_of(array, np.diag([-2.0, -2.0, -5.0, 1.0])))
    k, i, j = np.unravel_index(stack.slices[:, 3].argmax(), stack.slices[:, 3].shape)
    count, rows, columns = stack.foreground.shape
    assert i > rows / 2
    assert j > columns / 2
    assert k > count / 2
    place = stack.affine @ [i, j, k, 1]
    assert np.abs(place[:3] - [-52.0, -60.0, -45.0]).max() < 1.9  # within a pixel


def test_noise_in_the_air_is_not_head():
    rng = np.random.default_rng(0)
    inside = ball((60, 60, 60), (3.0, 3.0, 3.0))
    array = np.where(inside, 100.0, 0.0) + np.abs(rng.normal(0, 4, inside.shape))
    array[:10] = 0.0  # a part of the air is exactly zero, as in archives
    assert (head_mask(array.astype(np.float32)) == inside).mean() > 0.999


def test_one_mad_voxel_changes_nothing():
    inside = ball((60, 60, 60), (3.0, 3.0, 3.0))
    values = np.where(inside, 100.0 + np.arange(60.0)[:, None, None], 0.0).astype(np.float32)
    mad = values.copy()
    mad[30, 30, 30] = 1e6
    clean, spoilt = normalise(values, inside), normalise(mad, inside)
    assert spoilt[30, 30, 30] == HIGHEST
    rest = np.ones_like(inside)
    rest[30, 30, 30] = False
    assert np.abs(clean - spoilt)[rest].max() < 0.01


def test_background_is_constant_and_a_missing_sequence_is_zero():
    inside = ball((60, 60, 30), (3.0, 3.0, 5.0))
    stack = to_slice_stack(case_of(np.where(inside, 100.0, 0.0) + 1, np.diag([3.0, 3.0, 5.0, 1.0])))
    assert (stack.slices[:, 3][~stack.foreground] == BACKGROUND).all()
    assert not stack.slices[:, :3].any()
    assert stack.present == (False, False, False, True)


def test_neighbours_are_repeated_at_the_ends():
    slices = np.arange(3, dtype=np.float32).reshape(3, 1, 1, 1) * np.ones((1, 4, 2, 2), np.float32)
    inputs = with_neighbours(slices, (True, False, False, True))
    assert inputs.shape == (3, 16, 2, 2)
    assert inputs[:, 0, 0, 0].tolist() == [0, 0, 1]  # below
    assert inputs[:, 4, 0, 0].tolist() == [0, 1, 2]  # here
    assert inputs[:, 8, 0, 0].tolist() == [1, 2, 2]  # above
    assert inputs[0, 12:, 0, 0].tolist() == [1, 0, 0, 1]  # what is there


def test_an_empty_volume_is_refused():
    with pytest.raises(VolumeError, match="empty"):
        to_slice_stack(case_of(np.full((20, 20, 20), 7.0), np.eye(4)))
