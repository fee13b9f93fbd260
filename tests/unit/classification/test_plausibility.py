"""Heads pass; noise, flat pictures, ramps and smooth bodies do not."""

import numpy as np
import pytest
from brain_tumor.cases.phantom import PhantomSpec, make_phantom
from brain_tumor.cases.sequences import Sequence
from brain_tumor.classification.case_slices import cut_patch, tumour_slices
from brain_tumor.classification.plausibility import plausibility

RADIUS = np.hypot(*(np.indices((144, 144)) - 71.5))


def normalised(picture):
    spread = np.ptp(picture)
    return ((picture - np.median(picture)) / (spread or 1.0)).astype(np.float32)


@pytest.mark.parametrize("skull_stripped", [True, False])
def test_a_head_is_a_head_with_and_without_its_skull(skull_stripped):
    spec = PhantomSpec(seed=5, spacing_mm=(1.5, 1.5, 1.5), skull_stripped=skull_stripped)
    phantom = make_phantom(spec)
    for part in tumour_slices(phantom.case.volumes[Sequence.T1C], phantom.labelmap > 0):
        assert plausibility(cut_patch(part).image).is_head


@pytest.mark.parametrize(
    "picture",
    [
        np.random.default_rng(0).normal(size=(144, 144)),
        np.where(RADIUS < 60, np.random.default_rng(1).normal(5, 1, size=(144, 144)), 0.0),
        np.zeros((144, 144)),
        np.indices((144, 144)).sum(axis=0).astype(float),
        np.where(RADIUS < 60, 1.0, 0.0),
    ],
    ids=["noise", "a ball of noise", "black", "a ramp", "a smooth ball"],
)
def test_what_is_no_head_does_not_pass(picture):
    assert not plausibility(normalised(picture)).is_head


def test_correlation_and_detail_of_stripes_are_worked_out():
    stripes = np.tile(np.array([1.0, 1.0, 0.9, 0.9], dtype=np.float32), (144, 36))
    stripes[:20] = 0.0
    found = plausibility(stripes)
    # down the columns all neighbours agree, but for the way over to 0; along the rows half do
    assert found.correlation == pytest.approx(0.0, abs=0.02)
