"""Shapes with analytic size and form, and a head drawn from ellipses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Image = npt.NDArray[np.float32]

KOCH_DIMENSION = float(np.log(4.0) / np.log(3.0))


def ellipse_points(rows_mm: float, columns_mm: float, *, count: int = 720) -> Points:
    """Points of an ellipse with these half-axes, centred at (100, 120)."""
    angle = np.arange(count) * (2.0 * np.pi / count)
    return np.stack([100.0 + rows_mm * np.cos(angle), 120.0 + columns_mm * np.sin(angle)], axis=1)


def square_points(side_mm: float) -> Points:
    """Corners of a square."""
    return side_mm * np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])


def koch_curve(level: int) -> Points:
    """Koch curve from (0, 0) to (0, 1): 4^level segments of 3^-level."""
    z = np.array([0.0, 1.0], dtype=complex)
    for _ in range(level):
        start, third = z[:-1], np.diff(z) / 3.0
        z = np.append(
            np.stack(
                [
                    start,
                    start + third,
                    start + third * (1 + np.exp(1j * np.pi / 3)),
                    start + 2 * third,
                ],
                axis=1,
            ).ravel(),
            z[-1],
        )
    return np.stack([z.imag, z.real], axis=1)


def koch_snowflake(side_mm: float, level: int) -> Points:
    """Koch snowflake: perimeter 3 s (4/3)^n, area sqrt(3)/20 s^2 (8 - 3 (4/9)^n)."""
    curve = koch_curve(level)
    bump = curve[:-1, 1] - 1j * curve[:-1, 0]
    corners = side_mm / np.sqrt(3.0) * np.exp(2j * np.pi / 3 * np.arange(3))
    sides = [c + (d - c) * bump for c, d in zip(corners, np.roll(corners, -1), strict=True)]
    z = np.concatenate(sides)
    return np.stack([z.imag, z.real], axis=1)


def turned(points: Points, degrees: float) -> Points:
    """Points turned about their mean."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = points.mean(axis=0)
    return (points - centre) @ turn.T + centre


def ellipse_mask(
    rows_mm: float,
    columns_mm: float,
    *,
    pixel_mm: tuple[float, float] = (1.0, 1.0),
    degrees: float = 0.0,
    centre_mm: tuple[float, float] = (64.0, 64.0),
    field_mm: float = 128.0,
) -> Mask:
    """Pixels whose centre lies in an ellipse with these half-axes."""
    rows = np.arange(round(field_mm / pixel_mm[0])) * pixel_mm[0] - centre_mm[0]
    columns = np.arange(round(field_mm / pixel_mm[1])) * pixel_mm[1] - centre_mm[1]
    y, x = np.meshgrid(rows, columns, indexing="ij")
    angle = np.deg2rad(degrees)
    along = y * np.cos(angle) + x * np.sin(angle)
    across = -y * np.sin(angle) + x * np.cos(angle)
    return (along / rows_mm) ** 2 + (across / columns_mm) ** 2 <= 1.0


def ellipsoid_mask(half_axes_mm: tuple[float, float, float], spacing_mm: float = 1.0) -> Mask:
    """Voxels whose centre lies in an ellipsoid, in a cube of 80 mm."""
    axis = np.arange(round(80.0 / spacing_mm)) * spacing_mm - 39.5
    grids = np.meshgrid(axis, axis, axis, indexing="ij")
    return sum((g / h) ** 2 for g, h in zip(grids, half_axes_mm, strict=True)) <= 1.0


AIR, SCALP, BONE, BRAIN, FLUID = 4.0, 190.0, 12.0, 100.0, 30.0
HEAD_HALF_MM = (96.0, 76.0)
SCALP_MM, BONE_MM = 6.0, 7.0


@dataclass(frozen=True)
class HeadDrawing:
    """An axial slice drawn from ellipses, centre of the head at (112, 112) mm.

    Attributes:
        tumour_mm: Centre of the tumour, (row, column).
        radius_mm: Radius of the tumour.
        rim: Intensity of its outer 4 mm.
        core: Intensity of the rest.
        pixel_mm: Pixel size.
        degrees: Tilt of the head, clockwise as displayed; the tumour turns with it.
        ventricle_shift_mm: How far the ventricles lie to the right of the middle.
        stripped: Whether skull and scalp are cut away.
        halo: Intensity of the 8 mm around the tumour, or None for brain.
    """

    tumour_mm: tuple[float, float] = (112.0, 140.0)
    radius_mm: float = 14.0
    rim: float = 160.0
    core: float = 160.0
    pixel_mm: float = 1.0
    degrees: float = 0.0
    ventricle_shift_mm: float = 0.0
    stripped: bool = False
    halo: float | None = None

    def draw(self) -> tuple[Image, Mask]:
        """Image and tumour mask, with a fixed faint texture and no other noise."""
        count = round(224.0 / self.pixel_mm)
        place = np.arange(count) * self.pixel_mm
        y, x = np.meshgrid(place - 112.0, place - 112.0, indexing="ij")
        angle = np.deg2rad(self.degrees)
        down = y * np.cos(angle) - x * np.sin(angle)
        right = y * np.sin(angle) + x * np.cos(angle)

        def inside(rows: float, columns: float, at: tuple[float, float] = (0.0, 0.0)) -> Mask:
            return ((down - at[0]) / rows) ** 2 + ((right - at[1]) / columns) ** 2 <= 1.0

        long, wide = HEAD_HALF_MM
        image = np.full((count, count), AIR)
        image[inside(long, wide)] = SCALP
        image[inside(long - SCALP_MM, wide - SCALP_MM)] = BONE
        border = SCALP_MM + BONE_MM
        brain = inside(long - border, wide - border)
        texture = 4.0 * np.cos(down / 9.0) * np.cos(np.abs(right) / 7.0)
        image[brain] = BRAIN + texture[brain]
        for side in (-1.0, 1.0):
            image[inside(22.0, 6.0, (-6.0, self.ventricle_shift_mm + side * 8.0))] = FLUID
        centre = (self.tumour_mm[0] - 112.0, self.tumour_mm[1] - 112.0)
        if self.halo is not None:
            around = inside(self.radius_mm + 8.0, self.radius_mm + 8.0, centre)
            image[around & brain] = self.halo
        tumour = inside(self.radius_mm, self.radius_mm, centre)
        image[tumour] = self.rim
        if self.radius_mm > 4.0:
            image[inside(self.radius_mm - 4.0, self.radius_mm - 4.0, centre)] = self.core
        if self.stripped:
            image[~brain] = 0.0
        return image.astype(np.float32), tumour
