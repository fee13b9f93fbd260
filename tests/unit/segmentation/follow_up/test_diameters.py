"""Diameters worked out with pencil and paper."""

import numpy as np
import pytest
from brain_tumor.labels import Label
from brain_tumor.segmentation.follow_up.diameters import (
    Lesion,
    measure_lesions,
    sum_of_products_mm2,
)

from tests.helpers.volumes import grid

MM = np.eye(4)


def a_box(shape, box, value=Label.ET):
    labels = np.zeros(shape, dtype=np.uint8)
    labels[tuple(slice(*side) for side in box)] = value
    return labels


def test_a_rectangle_has_its_diagonal_and_the_chord_at_a_right_angle_to_it():
    # 20 x 10 mm: diagonal sqrt(500); the chord through a corner is sqrt(500) * 10 / 20
    labels = a_box((30, 30, 6), [(4, 24), (5, 15), (2, 5)])
    (lesion,) = measure_lesions(labels, MM)
    assert lesion.longest_mm == pytest.approx(500**0.5)
    assert lesion.perpendicular_mm == pytest.approx(500**0.5 / 2)
    assert lesion.product_mm2 == pytest.approx(250)
    assert lesion.volume_ml == pytest.approx(0.6)
    assert lesion.slices == 3
    assert lesion.is_measurable
    ends = sorted(end[:2] for end in lesion.longest_ras)
    assert ends in ([(3.5, 4.5), (23.5, 14.5)], [(3.5, 14.5), (23.5, 4.5)])


def test_the_ends_lie_in_space_whatever_the_grid():
    affine = grid((1.0, 2.0, 2.5), (-20.0, 12.0, 3.0), flips=(-1, 1, 1), euler_degrees=(5, 10, 20))
    labels = a_box((40, 20, 6), [(4, 24), (5, 15), (2, 5)])  # 20 x 20 mm in plane
    (lesion,) = measure_lesions(labels, affine)
    for ends, length in (
        (lesion.longest_ras, lesion.longest_mm),
        (lesion.perpendicular_ras, lesion.perpendicular_mm),
    ):
        assert np.linalg.norm(np.subtract(*ends)) == pytest.approx(length)
        inside = np.linalg.inv(affine) @ np.append(np.mean(ends, axis=0), 1.0)
        np.testing.assert_allclose(inside[:2], (13.5, 9.5), atol=1e-9)
    assert lesion.longest_mm == pytest.approx(800**0.5)
    assert np.dot(
        np.subtract(*lesion.longest_ras), np.subtract(*lesion.perpendicular_ras)
    ) == pytest.approx(0, abs=1e-6)


def test_slices_are_those_closest_to_axial():
    # stored sagittally: the first axis runs through the ears, the last towards the nose
    affine = np.array([[0, 0, 4.0, 0], [1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]])
    labels = a_box((30, 30, 10), [(5, 17), (5, 25), (2, 5)])  # 12 mm in y, 20 in z, 12 in x
    (lesion,) = measure_lesions(labels, affine)
    assert lesion.slices == 20
    assert lesion.longest_mm == pytest.approx(288**0.5)  # 12 x 12 mm in the axial plane
    assert lesion.longest_ras[0][2] == lesion.longest_ras[1][2]


def test_a_ring_is_one_lesion_measured_across_and_oedema_is_none():
    labels = a_box((30, 30, 6), [(2, 28), (2, 28), (1, 5)], Label.ED)
    labels[5:20, 5:20, 2:4] = Label.ET
    labels[8:17, 8:17, 2:4] = Label.NCR
    (lesion,) = measure_lesions(labels, MM)
    assert lesion.product_mm2 == pytest.approx(450)  # 15 x 15: both diagonals
    labels[labels == Label.ET] = Label.ED
    assert measure_lesions(labels, MM) == ()  # nothing enhances
    labels[labels == Label.NCR] = Label.CORE
    assert len(measure_lesions(labels, MM)) == 1  # a core that cannot be divided counts


def lesion_of(longest_mm, perpendicular_mm, slices=2):
    nowhere = ((0.0, 0.0, 0.0),) * 2
    return Lesion(longest_mm, perpendicular_mm, nowhere, nowhere, 1.0, slices)


def test_the_three_largest_measurable_lesions_are_added():
    lesions = tuple(lesion_of(20, side) for side in (15, 14, 13, 12))
    assert sum_of_products_mm2(lesions) == 20 * (15 + 14 + 13)
    assert sum_of_products_mm2((lesion_of(40, 9.9), lesion_of(20, 12))) == 240
    assert sum_of_products_mm2((lesion_of(40, 20, slices=1),)) == 0
