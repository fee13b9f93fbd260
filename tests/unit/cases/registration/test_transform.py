"""Rigid motions."""

import numpy as np
import pytest
from brain_tumor.cases.registration.transform import (
    RigidTransform,
    angles_from_rotation,
    mean_distance_mm,
    rotation_derivatives,
    rotation_from_angles,
)

CENTER = np.array([10.0, 0.0, 0.0])
QUARTER_ABOUT_Z = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def test_a_motion_turns_about_its_center_and_then_shifts():
    motion = RigidTransform(QUARTER_ABOUT_Z, np.array([0.0, 0.0, 3.0]), CENTER)
    # 2 mm right of the center become 2 mm in front of it
    assert motion.apply(np.array([[12.0, 0.0, 0.0]])) == pytest.approx(np.array([[10.0, 2.0, 3.0]]))
    assert motion.matrix @ [12, 0, 0, 1] == pytest.approx([10, 2, 3, 1])
    assert motion.distance_mm == pytest.approx(3.0)
    assert motion.angle_degrees == pytest.approx(90.0)


def test_the_inverse_brings_points_back():
    motion = RigidTransform(
        rotation_from_angles(np.array([0.1, -0.2, 0.3])), np.array([4.0, -5.0, 6.0]), CENTER
    )
    points = np.array([[1.0, 2.0, 3.0], [-40.0, 50.0, 60.0]])
    assert motion.inverse().apply(motion.apply(points)) == pytest.approx(points)
    assert motion.inverse().matrix == pytest.approx(np.linalg.inv(motion.matrix))


@pytest.mark.parametrize("degrees", [0.001, 8.0, 179.0])
def test_the_angle_is_exact_however_small(degrees):
    rotation = rotation_from_angles(np.array([0.0, np.radians(degrees), 0.0]))
    motion = RigidTransform(rotation, np.zeros(3), CENTER)
    assert motion.angle_degrees == pytest.approx(degrees, rel=1e-6)


def test_angles_come_back_from_a_rotation():
    angles = np.array([0.2, -0.4, 0.6])
    assert angles_from_rotation(rotation_from_angles(angles)) == pytest.approx(angles)


def test_derivatives_of_a_rotation_are_those_of_small_steps():
    angles, step = np.array([0.2, -0.4, 0.6]), 1e-6
    for axis, derivative in enumerate(rotation_derivatives(angles)):
        beside = angles.copy()
        beside[axis] += step
        change = rotation_from_angles(beside) - rotation_from_angles(angles)
        assert change / step == pytest.approx(derivative, abs=1e-5)


def test_motions_differ_by_the_mean_way_of_the_points():
    still = RigidTransform(np.eye(3), np.zeros(3), CENTER)
    moved = RigidTransform(np.eye(3), np.array([3.0, 4.0, 0.0]), CENTER)
    assert mean_distance_mm(still, moved, np.zeros((2, 3))) == pytest.approx(5.0)
