"""Shape of the tumour of a case in space, against analytic surfaces, and where it is not told."""

import math

import numpy as np
import pytest
from brain_tumor.classification.features.case_shape import (
    NO_TUMOUR_TO_MEASURE,
    ONE_SLICE,
    THICK_SLICES,
    TOO_FEW_VOXELS,
    case_shape,
    largest_piece,
)
from scipy.integrate import dblquad


def ellipsoid(radii_mm, spacing_mm):
    half = [math.ceil(r / s) + 3 for r, s in zip(radii_mm, spacing_mm, strict=True)]
    grid = np.meshgrid(*(np.arange(-n, n + 1) for n in half), indexing="ij")
    axes = zip(grid, radii_mm, spacing_mm, strict=True)
    return sum((g * s / r) ** 2 for g, r, s in axes) <= 1.0


def ellipsoid_surface_mm2(a, b, c):
    def element(theta, phi):
        x = b * c * math.sin(theta) ** 2 * math.cos(phi)
        y = a * c * math.sin(theta) ** 2 * math.sin(phi)
        z = a * b * math.sin(theta) * math.cos(theta)
        return math.sqrt(x * x + y * y + z * z)

    return dblquad(element, 0.0, 2.0 * math.pi, 0.0, math.pi)[0]


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (1.0, 1.0, 2.5), (0.5, 2.0, 1.0)])
@pytest.mark.parametrize("radii_mm", [(12.0, 12.0, 12.0), (20.0, 20.0, 20.0), (10.0, 15.0, 25.0)])
def test_surface_volume_and_axes_are_those_of_the_ellipsoid(radii_mm, spacing_mm):
    told = case_shape(ellipsoid(radii_mm, spacing_mm), spacing_mm).to_json()
    volume = 4.0 / 3.0 * math.pi * math.prod(radii_mm)
    surface = ellipsoid_surface_mm2(*radii_mm)
    assert told["volume_ml"] == pytest.approx(volume / 1000.0, rel=0.02)
    assert told["surface_cm2"] == pytest.approx(surface / 100.0, rel=0.03)
    sphere = math.pi ** (1 / 3) * (6.0 * volume) ** (2 / 3)
    assert told["sphericity"] == pytest.approx(sphere / surface, rel=0.03)
    assert told["axes_mm"] == pytest.approx([2.0 * r for r in sorted(radii_mm)], rel=0.05)
    assert told["reason"] is None


def test_a_stray_piece_is_no_part_of_the_shape():
    ball = ellipsoid((10.0, 10.0, 10.0), (1.0, 1.0, 1.0))
    mask = np.zeros((ball.shape[0], ball.shape[1], 120), dtype=bool)
    mask[:, :, : ball.shape[2]] = ball
    alone = case_shape(mask, (1.0, 1.0, 1.0))
    mask[8:12, 8:12, 110:114] = True
    assert case_shape(mask, (1.0, 1.0, 1.0)) == alone


@pytest.mark.parametrize(
    ("shape", "filled", "spacing_mm", "reason"),
    [
        ((9, 9, 9), 0, (1.0, 1.0, 1.0), NO_TUMOUR_TO_MEASURE),
        ((9, 9, 1), 9, (1.0, 1.0, 1.0), ONE_SLICE),
        ((9, 9, 9), 5, (1.0, 1.0, 5.0), THICK_SLICES),
        ((9, 9, 9), 2, (1.0, 1.0, 1.0), TOO_FEW_VOXELS),
    ],
)
def test_where_no_surface_can_be_told_the_reason_stands_in_its_place(
    shape, filled, spacing_mm, reason
):
    mask = np.zeros(shape, dtype=bool)
    mask[:filled, :filled, :filled] = True
    told = case_shape(mask, spacing_mm).to_json()
    assert told.pop("reason") == reason
    assert set(told.values()) == {None}


def test_voxels_that_touch_at_corners_are_one_piece_and_stray_ones_are_left_out():
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[1:3, 1:3, 1:3] = True  # 8 voxels, and one at their corner
    mask[3, 3, 3] = True
    mask[6:8, 6:8, 6:8] = True  # 8 voxels apart
    piece = largest_piece(mask)
    assert piece.shape == mask.shape
    assert piece.sum() == 9
    assert piece[3, 3, 3]
    assert not largest_piece(np.zeros((4, 4, 4), dtype=bool)).any()
