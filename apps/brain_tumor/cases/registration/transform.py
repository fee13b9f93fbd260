"""A rigid motion in RAS+ mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RigidTransform:
    """Rotation about a point, then a shift: y = R (x - c) + c + t.

    Attributes:
        rotation: Proper rotation, shape (3, 3).
        shift_mm: t, RAS mm: how far the centre moves.
        center_mm: c, RAS mm; the middle of the brain, so that the shift is one of the brain and
            not of the scanner's origin.
    """

    rotation: Matrix
    shift_mm: Points
    center_mm: Points

    @property
    def matrix(self) -> Matrix:
        """4x4 matrix from points to moved points."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation
        matrix[:3, 3] = self.center_mm + self.shift_mm - self.rotation @ self.center_mm
        return matrix

    @property
    def distance_mm(self) -> float:
        """How far the centre moves."""
        return float(np.linalg.norm(self.shift_mm))

    @property
    def angle_degrees(self) -> float:
        """Angle of the rotation about its own axis.

        Example:
            >>> quarter = rotation_from_angles(np.array([0.0, 0.0, np.pi / 2]))
            >>> round(RigidTransform(quarter, np.zeros(3), np.zeros(3)).angle_degrees, 6)
            90.0
        """
        r = self.rotation
        # the sine is exact for small angles, where the cosine of the trace is not
        axis = np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]])
        return float(np.degrees(np.arctan2(np.linalg.norm(axis), np.trace(r) - 1.0)))

    def apply(self, points: Points) -> Points:
        """Points (N, 3) in mm, moved."""
        moved: Points = (points - self.center_mm) @ self.rotation.T + self.center_mm + self.shift_mm
        return moved

    def inverse(self) -> RigidTransform:
        """What undoes it."""
        back = self.rotation.T
        return RigidTransform(back, -self.shift_mm, self.center_mm + self.shift_mm)


def identity(center_mm: Points) -> RigidTransform:
    """No motion."""
    return RigidTransform(np.eye(3), np.zeros(3), center_mm)


def rotation_from_angles(angles: Points) -> Matrix:
    """Rotation about x, then y, then z: R = Rz Ry Rx.

    Args:
        angles: Radians, shape (3,).
    """
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    rotation: Matrix = about_z @ about_y @ about_x
    return rotation


def rotation_derivatives(angles: Points) -> Matrix:
    """Derivatives of `rotation_from_angles` by each angle, shape (3, 3, 3)."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    by_x = np.array([[0, 0, 0], [0, -sx, -cx], [0, cx, -sx]])
    by_y = np.array([[-sy, 0, cy], [0, 0, 0], [-cy, 0, -sy]])
    by_z = np.array([[-sz, -cz, 0], [cz, -sz, 0], [0, 0, 0]])
    return np.stack([about_z @ about_y @ by_x, about_z @ by_y @ about_x, by_z @ about_y @ about_x])


def angles_from_rotation(rotation: Matrix) -> Points:
    """Angles of `rotation_from_angles`, radians, shape (3,)."""
    return np.array(
        [
            np.arctan2(rotation[2, 1], rotation[2, 2]),
            -np.arcsin(np.clip(rotation[2, 0], -1.0, 1.0)),
            np.arctan2(rotation[1, 0], rotation[0, 0]),
        ]
    )


def mean_distance_mm(a: RigidTransform, b: RigidTransform, points: Points) -> float:
    """Mean distance between where two motions take some points."""
    return float(np.linalg.norm(a.apply(points) - b.apply(points), axis=1).mean())
