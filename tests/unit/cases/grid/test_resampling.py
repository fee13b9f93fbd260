"""Intensities on another grid keep a background as sharp as it was."""

import numpy as np
import pytest
from brain_tumor.cases.grid.resampling import resample_tissue, resample_to
from brain_tumor.cases.volume import Volume

from tests.helpers.volumes import a_ramp, grid

HALF_A_VOXEL = grid(origin_mm=(0.5, 0.0, 0.0))


def a_cut_out_brain(background=0.0):
    array = np.full((10, 8, 8), background, np.float32)
    array[3:7, 2:6, 2:6] = 100.0
    return Volume(array, grid())


@pytest.mark.parametrize("background", [0.0, -5.0])
def test_a_cut_out_brain_gets_no_seam(background):
    moved = resample_tissue(a_cut_out_brain(background), (10, 8, 8), HALF_A_VOXEL).array
    # centres lie at 2.5, 3.5 ... 6.5: half tissue, tissue three times, half tissue
    assert set(np.unique(moved)) == {background, 100.0}
    assert moved[:, 4, 4].tolist() == [background] * 2 + [100.0] * 5 + [background] * 3
    seam = resample_to(a_cut_out_brain(background), (10, 8, 8), HALF_A_VOXEL).array[2, 4, 4]
    assert seam == pytest.approx((background + 100.0) / 2)


def test_less_than_half_tissue_is_background():
    quarter = grid(origin_mm=(0.25, 0.0, 0.0))
    moved = resample_tissue(a_cut_out_brain(), (10, 8, 8), quarter).array
    assert moved[:, 4, 4].tolist() == [0.0] * 3 + [100.0] * 4 + [0.0] * 3


def test_outside_the_volume_is_background():
    far = grid(origin_mm=(0.0, 0.0, 20.0))
    assert (resample_tissue(a_cut_out_brain(-5.0), (10, 8, 8), far).array == -5.0).all()


def test_a_volume_without_a_cut_background_is_interpolated():
    ramp = a_ramp()
    shape = tuple(n - 1 for n in ramp.shape)
    middle = grid(origin_mm=(0.5, 0.5, 0.5))
    expected = resample_to(ramp, shape, middle).array
    assert resample_tissue(ramp, shape, middle).array == pytest.approx(expected)
