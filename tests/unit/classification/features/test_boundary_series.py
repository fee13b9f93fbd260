from __future__ import annotations

import numpy as np
import pytest
from brain_tumor.classification.features.boundary_series import (
    InformationMeasure,
    information_weighted_series,
)
from brain_tumor.classification.features.outline import (
    boundary_from_outline,
    largest_component,
    polygon_area_centroid,
    trace_boundary,
)
from brain_tumor.errors import InputError

from tests.helpers.shapes import ellipse_mask, ellipse_points, koch_snowflake, square_points, turned


def test_the_series_of_a_circle_is_one_everywhere():
    boundary = boundary_from_outline(ellipse_points(20.0, 20.0))
    for measure in InformationMeasure:
        series = information_weighted_series(boundary, measure=measure)
        np.testing.assert_allclose(series.values, 1.0, atol=1e-4)
        np.testing.assert_allclose(series.weights, 1.0, atol=1e-9)


def test_the_series_of_a_disc_drawn_on_pixels_is_one_within_its_staircase():
    boundary = trace_boundary(ellipse_mask(15.0, 15.0), (1.0, 1.0))
    np.testing.assert_allclose(information_weighted_series(boundary).values, 1.0, atol=0.03)


def test_points_are_equally_far_apart_along_the_outline():
    boundary = boundary_from_outline(ellipse_points(30.0, 10.0))
    chords = np.linalg.norm(np.roll(boundary.points_mm, -1, axis=0) - boundary.points_mm, axis=1)
    assert len(boundary.points_mm) == 256
    np.testing.assert_allclose(chords, boundary.step_mm, rtol=2e-3)


def test_circle_has_its_analytic_perimeter_area_centroid_and_curvature():
    boundary = boundary_from_outline(ellipse_points(20.0, 20.0))
    assert boundary.perimeter_mm == pytest.approx(40.0 * np.pi, rel=1e-4)
    assert boundary.area_mm2 == pytest.approx(400.0 * np.pi, rel=1e-4)
    np.testing.assert_allclose(boundary.centroid_mm, [100.0, 120.0], atol=1e-6)
    np.testing.assert_allclose(boundary.curvature_per_mm, 1.0 / 20.0, rtol=0.01)


def test_normals_point_outwards_with_length_one():
    boundary = boundary_from_outline(ellipse_points(20.0, 20.0)[::-1])
    outward = (boundary.points_mm - boundary.centroid_mm) / 20.0
    np.testing.assert_allclose(boundary.normals, outward, atol=2e-3)


def test_series_starts_at_the_farthest_point_and_turns_with_the_shape():
    angle = np.linspace(0.0, 2.0 * np.pi, 720, endpoint=False)
    radius = 20.0 + 6.0 * np.cos(angle) + 4.0 * np.cos(2.0 * angle)
    shape = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    upright = information_weighted_series(boundary_from_outline(shape))
    tilted = information_weighted_series(boundary_from_outline(np.roll(turned(shape, 33.0), 91, 0)))
    assert upright.radii[0] == pytest.approx(upright.radii.max(), rel=1e-3)
    np.testing.assert_allclose(tilted.radii, upright.radii, atol=1e-3)


@pytest.mark.parametrize("pixel_mm", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("radius_mm", [6.0, 20.0])
def test_a_disc_keeps_its_area_exactly_and_its_perimeter_to_one_per_cent(pixel_mm, radius_mm):
    mask = ellipse_mask(radius_mm, radius_mm, pixel_mm=(pixel_mm, pixel_mm))
    boundary = trace_boundary(mask, (pixel_mm, pixel_mm))
    assert boundary.area_mm2 == pytest.approx(mask.sum() * pixel_mm**2)
    circle = 2.0 * np.sqrt(np.pi * boundary.area_mm2)
    assert boundary.perimeter_mm == pytest.approx(circle, rel=0.01)


def test_pixels_may_be_taller_than_wide():
    mask = ellipse_mask(20.0, 20.0, pixel_mm=(2.0, 1.0))
    boundary = trace_boundary(mask, (2.0, 1.0))
    assert boundary.radii_mm.mean() == pytest.approx(20.0, rel=0.01)
    assert boundary.radii_mm.std() < 0.4


def test_centroid_is_in_mm_of_the_whole_slice():
    mask = ellipse_mask(8.0, 8.0, pixel_mm=(0.5, 0.5), centre_mm=(30.0, 90.0))
    np.testing.assert_allclose(
        trace_boundary(mask, (0.5, 0.5)).centroid_mm, [30.0, 90.0], atol=0.05
    )


def test_only_the_largest_component_counts_and_its_holes_are_filled():
    mask = ellipse_mask(20.0, 20.0)
    ringed = mask & ~ellipse_mask(8.0, 8.0)
    ringed[2:8, 2:8] = True
    np.testing.assert_array_equal(largest_component(ringed), mask)


def test_largest_component_of_nothing_is_nothing():
    assert not largest_component(np.zeros((5, 7))).any()


def test_a_speck_is_refused_with_its_size():
    mask = np.zeros((32, 32), dtype=bool)
    mask[4:6, 4:6] = True
    with pytest.raises(InputError, match="4 connected pixels; expected at least 9"):
        trace_boundary(mask, (1.0, 1.0))


def test_nine_pixels_are_enough():
    mask = np.zeros((32, 32), dtype=bool)
    mask[4:7, 4:7] = True
    assert trace_boundary(mask, (1.0, 1.0)).area_mm2 == pytest.approx(9.0)


def test_weights_have_mean_one_and_single_out_the_ends_of_an_ellipse():
    series = information_weighted_series(boundary_from_outline(ellipse_points(30.0, 10.0)))
    assert series.weights.mean() == pytest.approx(1.0)
    assert series.values.mean() == pytest.approx(1.0)
    # The radius of an ellipse is steepest between the axes and flat on them.
    assert series.weights[32] > 3.0 * series.weights[0]
    # Information runs over the whole of [0, 1], so weights run from 0.1 to 1.1 before scaling.
    assert series.weights.max() / series.weights.min() == pytest.approx(11.0)


def test_no_strength_leaves_the_plain_radial_series():
    boundary = boundary_from_outline(ellipse_points(30.0, 10.0))
    series = information_weighted_series(boundary, strength=0.0)
    np.testing.assert_allclose(series.values, series.radii)
    assert series.radii.max() == pytest.approx(30.0 / boundary.radii_mm.mean(), rel=1e-3)


def test_information_keeps_the_scale_that_weights_lose():
    faint = information_weighted_series(boundary_from_outline(ellipse_points(22.0, 20.0)))
    strong = information_weighted_series(boundary_from_outline(ellipse_points(30.0, 10.0)))
    assert strong.information.mean() > 20.0 * faint.information.mean()


def test_pairwise_information_is_the_entropy_of_the_binned_differences():
    boundary = boundary_from_outline(square_points(40.0))
    series = information_weighted_series(boundary, measure=InformationMeasure.PAIRWISE)
    values = series.radii[[254, 255, 0, 1, 2]]
    bins = [int(abs(a - b) / 0.01) for i, a in enumerate(values) for b in values[i + 1 :]]
    share = np.unique(bins, return_counts=True)[1] / 10.0
    assert series.information[0] == pytest.approx(-(share * np.log(share)).sum())


def test_curvature_information_is_largest_at_the_corners_of_a_square():
    boundary = boundary_from_outline(square_points(40.0))
    series = information_weighted_series(boundary, measure=InformationMeasure.CURVATURE)
    corner_distance = np.abs(boundary.points_mm[:, None] - square_points(40.0)).sum(2).min(1)
    assert corner_distance[series.information.argmax()] < 3.0
    assert series.information[corner_distance.argmax()] < 0.05 * series.information.max()


def test_shoelace_gives_the_area_and_centroid_of_a_snowflake():
    area, centroid = polygon_area_centroid(koch_snowflake(9.0, 4))
    assert abs(area) == pytest.approx(np.sqrt(3) / 20.0 * 81.0 * (8.0 - 3.0 * (4.0 / 9.0) ** 4))
    np.testing.assert_allclose(centroid, 0.0, atol=1e-9)
