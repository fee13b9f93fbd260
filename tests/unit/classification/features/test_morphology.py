from __future__ import annotations

import math

import numpy as np
import pytest
from brain_tumor.classification.features.morphology import plane_shape, solid_shape
from brain_tumor.classification.features.outline import trace_boundary
from brain_tumor.errors import InputError

from tests.helpers.shapes import (
    ellipse_mask,
    ellipse_points,
    ellipsoid_mask,
    koch_snowflake,
    square_points,
    turned,
)


def test_circle_has_its_analytic_shape():
    shape = plane_shape(ellipse_points(20.0, 20.0))
    assert shape.area_mm2 == pytest.approx(400.0 * math.pi, rel=1e-4)
    assert shape.perimeter_mm == pytest.approx(40.0 * math.pi, rel=1e-4)
    assert shape.compactness == pytest.approx(1.0, abs=1e-4)
    assert shape.solidity == pytest.approx(1.0)
    assert shape.eccentricity == pytest.approx(0.0, abs=1e-3)
    assert shape.elongation == pytest.approx(1.0)
    assert shape.extent == pytest.approx(math.pi / 4.0, abs=1e-3)
    assert shape.irregularity == pytest.approx(0.0, abs=1e-3)
    assert shape.longest_diameter_mm == pytest.approx(40.0)


@pytest.mark.parametrize("degrees", [0.0, 17.0, 90.0])
def test_ellipse_has_its_analytic_shape_at_any_angle(degrees):
    shape = plane_shape(turned(ellipse_points(30.0, 15.0), degrees))
    assert shape.area_mm2 == pytest.approx(450.0 * math.pi, rel=1e-4)
    # Ramanujan's perimeter, correct to 1e-9 here.
    h = (15.0 / 45.0) ** 2
    perimeter = math.pi * 45.0 * (1.0 + 3.0 * h / (10.0 + math.sqrt(4.0 - 3.0 * h)))
    assert shape.perimeter_mm == pytest.approx(perimeter, rel=1e-4)
    assert shape.eccentricity == pytest.approx(math.sqrt(0.75), abs=1e-4)
    assert shape.elongation == pytest.approx(2.0, abs=1e-4)
    assert shape.extent == pytest.approx(math.pi / 4.0, abs=2e-3)
    assert shape.longest_diameter_mm == pytest.approx(60.0)


@pytest.mark.parametrize("degrees", [0.0, 31.0])
def test_square_has_its_analytic_shape_at_any_angle(degrees):
    shape = plane_shape(turned(square_points(10.0), degrees))
    assert shape.area_mm2 == pytest.approx(100.0)
    assert shape.perimeter_mm == pytest.approx(40.0)
    assert shape.compactness == pytest.approx(math.pi / 4.0)
    assert shape.extent == pytest.approx(1.0)
    assert shape.elongation == pytest.approx(1.0)
    assert shape.longest_diameter_mm == pytest.approx(10.0 * math.sqrt(2.0))
    # Mean distance of the edge to the centre: 5 (sqrt 2 + asinh 1) / 2; mean square 100 / 3.
    mean = 2.5 * (math.sqrt(2.0) + math.asinh(1.0))
    assert shape.irregularity == pytest.approx(math.sqrt(100.0 / 3.0 - mean**2) / mean)


def test_snowflake_has_its_analytic_area_perimeter_and_solidity():
    shape = plane_shape(koch_snowflake(9.0, 3))
    area = math.sqrt(3.0) / 20.0 * 81.0 * (8.0 - 3.0 * (4.0 / 9.0) ** 3)
    assert shape.area_mm2 == pytest.approx(area)
    assert shape.perimeter_mm == pytest.approx(27.0 * (4.0 / 3.0) ** 3)
    # The hull is the hexagon of the six tips, circumradius 9 / sqrt 3.
    assert shape.solidity == pytest.approx(area / (1.5 * math.sqrt(3.0) * 27.0))
    assert shape.eccentricity == pytest.approx(0.0, abs=1e-6)


def test_direction_and_repeated_end_of_a_polygon_do_not_matter():
    square = square_points(10.0)
    closed = np.vstack([square[::-1], square[-1:]])
    assert plane_shape(closed) == plane_shape(square)


@pytest.mark.parametrize("pixel_mm", [0.5, 0.98])
@pytest.mark.parametrize("degrees", [0.0, 17.0, 90.0])
def test_shape_of_a_mask_does_not_depend_on_pixel_size_or_angle(pixel_mm, degrees):
    mask = ellipse_mask(24.0, 12.0, pixel_mm=(pixel_mm, pixel_mm), degrees=degrees)
    shape = plane_shape(trace_boundary(mask, (pixel_mm, pixel_mm)).points_mm)
    analytic = plane_shape(ellipse_points(24.0, 12.0))
    assert shape.area_mm2 == pytest.approx(analytic.area_mm2, rel=0.01)
    assert shape.perimeter_mm == pytest.approx(analytic.perimeter_mm, rel=0.01)
    assert shape.compactness == pytest.approx(analytic.compactness, abs=0.015)
    assert shape.eccentricity == pytest.approx(analytic.eccentricity, abs=0.01)
    assert shape.irregularity == pytest.approx(analytic.irregularity, abs=0.01)
    assert shape.solidity > 0.99


def test_points_on_a_line_have_no_shape():
    with pytest.raises(InputError, match="encloses no area"):
        plane_shape(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]))


def test_ball_has_its_analytic_volume_surface_and_sphericity():
    shape = solid_shape(ellipsoid_mask((20.0, 20.0, 20.0)), (1.0, 1.0, 1.0))
    assert shape.volume_mm3 == pytest.approx(4.0 / 3.0 * math.pi * 8000.0, rel=0.01)
    assert shape.surface_mm2 == pytest.approx(4.0 * math.pi * 400.0, rel=0.01)
    assert shape.sphericity == pytest.approx(1.0, abs=0.005)
    assert shape.elongation == pytest.approx(1.0, abs=0.01)
    assert shape.flatness == pytest.approx(1.0, abs=0.01)
    assert shape.longest_diameter_mm == pytest.approx(40.0, abs=1.0)


def test_ellipsoid_has_its_analytic_axes():
    shape = solid_shape(ellipsoid_mask((10.0, 15.0, 30.0)), (1.0, 1.0, 1.0))
    assert shape.elongation == pytest.approx(2.0, rel=0.02)
    assert shape.flatness == pytest.approx(1.5, rel=0.02)
    assert shape.ellipsoid_diameter_mm == pytest.approx((20.0, 30.0, 60.0), rel=0.02)
    # Thomsen's surface of an ellipsoid, within 1.1 %.
    p = 1.6075
    pairs = (150.0**p + 300.0**p + 450.0**p) / 3.0
    assert shape.surface_mm2 == pytest.approx(4.0 * math.pi * pairs ** (1.0 / p), rel=0.025)


def test_box_of_anisotropic_voxels_has_its_exact_volume():
    mask = np.zeros((12, 22, 32), dtype=bool)
    mask[1:11, 1:21, 1:31] = True
    assert solid_shape(mask, (1.0, 2.0, 0.5)).volume_mm3 == 6000.0


def test_thick_slices_give_the_same_ball():
    thick = ellipsoid_mask((20.0, 20.0, 20.0))[:, :, ::3]
    shape = solid_shape(thick, (1.0, 1.0, 3.0))
    assert shape.sphericity == pytest.approx(1.0, abs=0.015)
    assert shape.elongation == pytest.approx(1.0, abs=0.02)


def test_a_flat_or_empty_mask_is_refused():
    with pytest.raises(InputError, match="0 tumour voxels"):
        solid_shape(np.zeros((4, 4, 4)), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match=r"shape \(4, 4\)"):
        solid_shape(np.ones((4, 4)), (1.0, 1.0, 1.0))
