"""Backgrounds and copies."""

import numpy as np
import pytest
from brain_tumor.cases.grid.intensities import copies, with_lowest_background
from brain_tumor.cases.grid.preprocessing import foreground_mask
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume

BRAIN = np.s_[6:24, 6:24, 6:24]


def a_brain(*, center=100.0, width=10.0):
    array = np.zeros((30, 30, 30), np.float32)
    noise = np.random.default_rng(0).normal(size=(18, 18, 18))
    array[BRAIN] = center + width * noise
    return array


def inside():
    mask = np.zeros((30, 30, 30), bool)
    mask[BRAIN] = True
    return mask


def test_a_masked_brain_is_left_alone_to_the_last_bit():
    array = a_brain(center=60.0)
    mended, said = with_lowest_background(array)
    assert mended is array
    assert said is None


def test_the_background_of_a_z_scored_brain_goes_below_its_tissue():
    array = a_brain(center=0.0, width=1.0)
    mended, said = with_lowest_background(array)
    assert said is not None
    assert mended[BRAIN] == pytest.approx(array[BRAIN])
    assert (mended[~inside()] < array[BRAIN].min()).all()
    assert (foreground_mask(mended) == inside()).all()


def test_a_background_far_below_the_tissue_comes_up_to_it():
    array = a_brain()
    array[~inside()] = -1000
    mended, said = with_lowest_background(array)
    assert said is not None
    assert array[BRAIN].min() - 1 < mended[0, 0, 0] < array[BRAIN].min()


@pytest.mark.parametrize("width", [1, 5])
def test_a_frame_far_below_a_masked_brain_becomes_its_background(width):
    framed = np.pad(a_brain(), width, constant_values=-1000)
    mended, said = with_lowest_background(framed)
    assert said is not None
    assert (mended == np.pad(a_brain(), width)).all()
    assert (foreground_mask(mended) == np.pad(inside(), width)).all()


def test_a_frame_around_a_noisy_head_goes_right_below_its_air():
    rng = np.random.default_rng(0)
    array = np.abs(rng.normal(size=(30, 30, 30))).astype(np.float32)
    array[BRAIN] += 100
    mended, said = with_lowest_background(np.pad(array, 2, constant_values=-1000))
    assert said is not None
    assert -1.0 < mended.min() < 0.0
    assert (mended[2:-2, 2:-2, 2:-2] == array).all()


def test_ringing_at_the_rim_becomes_background():
    array = a_brain(center=60.0)
    array[5, 6:24, 6:24] = -1.0
    array[5, 15:24, 6:24] = 0.5
    mended, said = with_lowest_background(array)
    assert said is not None
    assert (foreground_mask(mended) == inside()).all()
    assert mended[BRAIN] == pytest.approx(array[BRAIN])


def test_a_noisy_head_is_left_alone():
    array = np.random.default_rng(0).normal(size=(30, 30, 30)).astype(np.float32)
    array[BRAIN] += 100
    assert with_lowest_background(array)[0] is array


def volume_of(array):
    return Volume(array.astype(np.float32), np.eye(4))


def test_a_copy_is_found_however_it_was_scaled():
    one, other = a_brain(), a_brain(width=11.0)
    other[BRAIN] += np.random.default_rng(1).normal(size=(18, 18, 18))
    volumes = {
        Sequence.T1: volume_of(2 * one + 5),
        Sequence.T1C: volume_of(one),
        Sequence.T2: volume_of(other[::-1]),
        Sequence.FLAIR: volume_of(one),
    }
    assert copies(volumes, Sequence.T1C) == {
        Sequence.FLAIR: Sequence.T1C,
        Sequence.T1: Sequence.T1C,
    }
    assert copies(volumes, Sequence.FLAIR)[Sequence.T1C] is Sequence.FLAIR


def test_small_volumes_are_no_copies():
    small = volume_of(a_brain()[:20, :20, :20])
    assert copies({Sequence.T1: small, Sequence.T2: small}, Sequence.T2) == {}
