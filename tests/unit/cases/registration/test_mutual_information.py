"""Mutual information and its gradient."""

import numpy as np
import pytest
from brain_tumor.cases.registration.images import GridImage
from brain_tumor.cases.registration.mutual_information import MutualInformation
from scipy import ndimage

CENTER = np.array([80.0, 80.0, 80.0])
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def smooth_image():
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(40, 42, 38)), 3)
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


def information(fixed, moving):
    points = np.random.default_rng(1).uniform(30, 120, (5000, 3))
    return MutualInformation(GridImage(fixed, AFFINE), GridImage(moving, AFFINE), points, CENTER)


def test_the_gradient_is_that_of_small_steps():
    image = smooth_image()
    metric = information(image, 1 - image**2)
    here = np.array([2.0, -1.0, 3.0, 4.0, -2.0, 1.0])
    _, gradient = metric.loss(here)
    steps = [(metric.loss(here + e)[0] - metric.loss(here - e)[0]) / 0.02 for e in np.eye(6) / 100]
    # values are linear between voxels, so their own derivative jumps there: a few percent
    assert gradient == pytest.approx(steps, rel=0.1, abs=3e-4)


def test_two_values_that_go_together_are_one_bit():
    # left half 0, right half 1, and the other way round in the moving image: ln 2
    image = np.zeros((40, 40, 40), np.float32)
    image[20:] = 1
    points = np.random.default_rng(1).uniform(4, 150, (4000, 3))
    points = points[np.abs(points[:, 0] - 78) > 4]
    metric = MutualInformation(
        GridImage(image, AFFINE), GridImage(1 - image, AFFINE), points, CENTER
    )
    assert -metric.loss(np.zeros(6))[0] == pytest.approx(np.log(2), abs=0.01)


def test_constant_images_share_nothing():
    image = smooth_image()
    assert -information(image, np.zeros_like(image)).loss(np.zeros(6))[0] == pytest.approx(
        0, abs=1e-6
    )
