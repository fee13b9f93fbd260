"""Contours, medians and places against the libraries that they stand in for, and by hand."""

import numpy as np
import pytest
from brain_tumor.classification.features.contours import longest_contour
from brain_tumor.classification.features.grid import Places, median, quantile, sample
from scipy import ndimage
from skimage.measure import find_contours


def blobs(seed):
    """A blurred random mask with several pieces and holes, dark along its edge."""
    noise = np.random.default_rng(seed).standard_normal((60, 70))
    mask = np.pad(ndimage.gaussian_filter(noise, 3.0) > 0.03, 6)
    return ndimage.gaussian_filter(mask.astype(np.float32), 1.2)


def test_the_contour_of_one_bright_pixel_is_a_diamond_halfway_to_its_neighbours():
    image = np.zeros((3, 3), dtype=np.float32)
    image[1, 1] = 2.0
    found = longest_contour(image, 1.0 + 1e-9)
    expected = {(0.5, 1.0), (1.0, 1.5), (1.5, 1.0), (1.0, 0.5)}
    assert {(round(row, 6), round(column, 6)) for row, column in found} == expected
    assert len(found) == 5
    assert found[0].tolist() == found[-1].tolist()


@pytest.mark.parametrize("seed", range(12))
def test_vertices_direction_and_start_are_those_of_scikit_image(seed):
    image = blobs(seed)
    np.testing.assert_array_equal(
        longest_contour(image, 0.5), max(find_contours(image, 0.5), key=len)
    )


def test_a_pixel_on_the_level_and_touching_corners_are_left_to_scikit_image():
    image = np.zeros((6, 6), dtype=np.float32)
    image[1:3, 1:3] = image[3:5, 3:5] = 1.0  # the squares touch at a corner
    image[1, 1] = 0.5
    np.testing.assert_array_equal(
        longest_contour(image, 0.5), max(find_contours(image, 0.5), key=len)
    )


def test_a_contour_that_runs_out_of_the_image_is_left_to_scikit_image():
    image = blobs(3)[9:, :-11]
    expected = max(find_contours(image, 0.5), key=len)
    assert expected[0].tolist() != expected[-1].tolist()
    np.testing.assert_array_equal(longest_contour(image, 0.5), expected)


def test_an_image_below_the_level_has_no_contour():
    assert longest_contour(np.zeros((5, 5), dtype=np.float32), 0.5) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 5, 6, 101])
def test_median_and_quantiles_are_those_of_numpy(dtype, count):
    values = np.random.default_rng(count).normal(size=count).astype(dtype)
    assert median(values) == float(np.median(values))
    for share in (0.0, 0.01, 0.3, 0.5, 0.9, 1.0):
        assert quantile(values, share) == float(np.quantile(values, share))


def test_places_are_read_as_scipy_reads_them():
    rng = np.random.default_rng(3)
    image = rng.normal(size=(7, 9)).astype(np.float32)
    points = rng.uniform(-4.0, 24.0, size=(5, 40, 2))
    index = np.moveaxis(points / np.array([2.0, 3.0]), -1, 0)
    for outside, options in ((None, {"mode": "nearest"}), (-1.0, {"mode": "constant", "cval": -1})):
        expected = ndimage.map_coordinates(image.astype(float), index, order=1, **options)
        np.testing.assert_allclose(
            sample(image, points, (2.0, 3.0), outside=outside), expected, atol=1e-12
        )


def test_one_row_of_pixels_can_be_read_and_places_serve_several_images():
    points = np.array([[0.0, 0.5], [0.0, 2.0], [5.0, 1.0]])
    places = Places((1, 3), points, 1.0)
    assert places.read(np.array([[1.0, 2.0, 4.0]])).tolist() == [1.5, 4.0, 2.0]
    assert places.read(np.array([[0.0, 2.0, 2.0]]), outside=9.0).tolist() == [1.0, 2.0, 9.0]
