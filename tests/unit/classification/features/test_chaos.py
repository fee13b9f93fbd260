from __future__ import annotations

import math

import numpy as np
import pytest
from brain_tumor.classification.features.chaos import (
    chaos_descriptors,
    correlation_dimension,
    largest_lyapunov_exponent,
    linear_region,
)
from brain_tumor.classification.features.delay_embedding import decorrelation_delay, embed
from brain_tumor.classification.features.entropy import (
    approximate_entropy,
    permutation_entropy,
    sample_entropy,
)
from brain_tumor.classification.features.fractal import (
    box_counting_dimension,
    curve_box_dimension,
    higuchi_dimension,
    katz_dimension,
    petrosian_dimension,
    surface_box_dimension,
)

from tests.helpers.series import (
    HENON_CORRELATION_DIMENSION,
    HENON_LYAPUNOV,
    LOGISTIC_LYAPUNOV,
    LORENZ_LYAPUNOV_PER_TIME,
    brownian,
    henon_map,
    logistic_map,
    lorenz,
    sine,
    white_noise,
)
from tests.helpers.shapes import (
    KOCH_DIMENSION,
    ellipse_points,
    ellipsoid_mask,
    koch_curve,
    koch_snowflake,
    turned,
)

UNDEFINED = [
    largest_lyapunov_exponent,
    approximate_entropy,
    sample_entropy,
    permutation_entropy,
    correlation_dimension,
    higuchi_dimension,
    katz_dimension,
    petrosian_dimension,
]


def closed_bumpy_series(count: int = 256) -> np.ndarray:
    angle = 2.0 * np.pi * np.arange(count) / count
    return 1.0 + 0.2 * np.cos(2 * angle) + 0.1 * np.sin(7 * angle + 1) + 0.05 * np.cos(19 * angle)


def test_logistic_map_has_a_lyapunov_exponent_of_ln_2():
    assert largest_lyapunov_exponent(logistic_map(1200)) == pytest.approx(
        LOGISTIC_LYAPUNOV, abs=0.03
    )


def test_henon_map_has_its_published_lyapunov_exponent():
    assert largest_lyapunov_exponent(henon_map(2000)) == pytest.approx(HENON_LYAPUNOV, rel=0.1)


def test_lorenz_system_has_its_published_lyapunov_exponent():
    exponent = largest_lyapunov_exponent(lorenz(2500)) / 0.03
    assert exponent == pytest.approx(LORENZ_LYAPUNOV_PER_TIME, rel=0.1)


def test_a_sine_does_not_diverge():
    assert largest_lyapunov_exponent(sine(800)) == pytest.approx(0.0, abs=0.01)


def test_linear_region_ends_where_the_curve_reaches_its_share():
    curve = np.concatenate([np.arange(0.0, 10.0), np.full(20, 10.0)])
    np.testing.assert_array_equal(linear_region(curve), np.arange(8))


def test_sample_entropy_of_white_noise_is_that_of_independent_normal_values():
    # Two independent normal values differ by less than 0.2 sd with probability erf(0.1).
    expected = -math.log(math.erf(0.1))
    assert sample_entropy(white_noise(3000)) == pytest.approx(expected, abs=0.05)


def test_entropies_of_an_alternating_series_are_worked_out_by_hand():
    # 0 1 0 1 ...: every pair of patterns that matches goes on matching.
    series = np.tile([0.0, 1.0], 16)
    assert sample_entropy(series) == pytest.approx(0.0, abs=1e-12)
    assert approximate_entropy(series, periodic=True) == pytest.approx(0.0, abs=1e-12)


def test_approximate_entropy_is_lower_for_order_than_for_noise():
    assert approximate_entropy(sine(600)) < 0.25
    assert approximate_entropy(white_noise(600)) > 1.2


def test_sample_entropy_is_missing_when_nothing_matches():
    # Neighbours on the ramp are 1 apart, 0.2 sd is 0.92.
    assert math.isnan(sample_entropy(np.arange(16.0)))


def test_permutation_entropy_of_the_logistic_map_is_its_exact_value():
    # The map is conjugate to the tent map, whose order-3 patterns have the probabilities
    # 5/15, 1/15, 4/15, 2/15 and 3/15; the decreasing pattern never occurs.
    share = np.array([5, 1, 4, 2, 3]) / 15.0
    expected = -(share * np.log(share)).sum() / math.log(6.0)
    assert permutation_entropy(logistic_map(4000)) == pytest.approx(expected, abs=0.01)


def test_permutation_entropy_is_one_for_noise_and_zero_for_a_ramp():
    assert permutation_entropy(white_noise(5000)) == pytest.approx(1.0, abs=0.002)
    assert permutation_entropy(np.arange(50.0)) == 0.0


def test_correlation_dimension_of_the_henon_attractor():
    dimension = correlation_dimension(henon_map(1500), dimension=2)
    assert dimension == pytest.approx(HENON_CORRELATION_DIMENSION, abs=0.05)


def test_correlation_dimension_of_a_cycle_is_one():
    assert correlation_dimension(sine(1200)) == pytest.approx(1.0, abs=0.03)


def test_correlation_dimension_of_noise_is_that_of_its_embedding():
    assert correlation_dimension(white_noise(1200), dimension=2) == pytest.approx(2.0, abs=0.08)


def test_decorrelation_delay_of_a_sine_is_where_its_autocorrelation_passes_1_over_e():
    # cos(2 pi d / 50) < 1/e from d = 50 acos(1/e) / (2 pi) = 9.50 on.
    assert decorrelation_delay(sine(500, period=50.0), periodic=True) == 10


def test_delay_vectors_wrap_round_a_closed_series():
    np.testing.assert_array_equal(
        embed(np.arange(5.0), 3, 2, periodic=True)[[0, 4]], [[0, 2, 4], [4, 1, 3]]
    )
    np.testing.assert_array_equal(embed(np.arange(5.0), 3, 2), [[0, 2, 4]])


def test_descriptors_of_a_closed_series_do_not_depend_on_where_it_starts():
    series = closed_bumpy_series()
    here = chaos_descriptors(series, periodic=True)
    there = chaos_descriptors(np.roll(series, 77), periodic=True)
    for name in (
        "lyapunov_per_sample",
        "approximate_entropy",
        "sample_entropy",
        "permutation_entropy",
        "correlation_dimension",
    ):
        assert getattr(there, name) == pytest.approx(getattr(here, name), rel=1e-6), name
    for dimension in (higuchi_dimension, petrosian_dimension):
        assert dimension(np.roll(series, 77), periodic=True) == pytest.approx(
            dimension(series, periodic=True)
        )


def test_descriptors_do_not_depend_on_the_scale_of_the_series():
    series = closed_bumpy_series()
    plain = chaos_descriptors(series, periodic=True)
    scaled = chaos_descriptors(17.0 + 3.0 * series, periodic=True)
    assert scaled.sample_entropy == pytest.approx(plain.sample_entropy)
    assert scaled.lyapunov_per_sample == pytest.approx(plain.lyapunov_per_sample)
    assert scaled.correlation_dimension == pytest.approx(plain.correlation_dimension, rel=1e-5)


@pytest.mark.parametrize("descriptor", UNDEFINED)
@pytest.mark.parametrize("series", [np.ones(64), np.arange(8.0)])
def test_a_constant_or_short_series_has_no_descriptor(descriptor, series):
    assert math.isnan(descriptor(series))


def test_a_constant_series_has_no_descriptors_together():
    found = chaos_descriptors(np.full(256, 3.0), periodic=True)
    assert math.isnan(found.lyapunov_per_sample)
    assert math.isnan(found.correlation_dimension)


def test_higuchi_dimension_of_noise_brownian_motion_and_a_line():
    assert higuchi_dimension(white_noise(4000)) == pytest.approx(2.0, abs=0.03)
    assert higuchi_dimension(brownian(8000)) == pytest.approx(1.5, abs=0.04)
    assert higuchi_dimension(np.arange(300.0)) == pytest.approx(1.0)


def test_higuchi_dimension_of_closed_series_wraps_round():
    assert higuchi_dimension(white_noise(4000), periodic=True) == pytest.approx(2.0, abs=0.03)
    smooth = np.cos(2.0 * np.pi * np.arange(512) / 512)
    assert higuchi_dimension(smooth, periodic=True) == pytest.approx(1.0, abs=0.01)


def test_katz_dimension_of_a_line_is_one_and_of_a_zigzag_is_worked_out_by_hand():
    assert katz_dimension(3.0 * np.arange(200.0)) == pytest.approx(1.0)
    # 20 steps of 1, never farther than 1 from the start: ln 20 / (ln 20 + ln(1 / 20)) has no
    # value; 0 1 2 1 0 1 2 ...: n = 20, L = 20, d = 2.
    zigzag = np.array([0.0, 1.0, 2.0, 1.0] * 5 + [0.0])
    assert katz_dimension(zigzag) == pytest.approx(math.log(20) / math.log(2))


def test_petrosian_dimension_is_worked_out_by_hand():
    # 21 values, the difference changes sign at 0 1 2 1 0: every second step, 9 times.
    zigzag = np.array([0.0, 1.0, 2.0, 1.0] * 5 + [0.0])
    expected = math.log10(21) / (math.log10(21) + math.log10(21 / (21 + 0.4 * 9)))
    assert petrosian_dimension(zigzag) == pytest.approx(expected)


def test_box_counting_dimension_of_the_koch_curve():
    sizes = np.geomspace(0.25, 0.01, 8)
    assert box_counting_dimension(koch_curve(7), sizes) == pytest.approx(KOCH_DIMENSION, abs=0.05)


def test_box_counting_dimension_of_a_straight_line_is_one():
    place = (np.arange(4096) + 0.5) / 4096.0
    line = np.stack([place, np.zeros(4096)], axis=1)
    assert box_counting_dimension(line, 1.0 / 2.0 ** np.arange(1, 8)) == pytest.approx(1.0)


def test_box_counting_dimension_of_a_filled_square_is_exactly_two():
    side = (np.arange(256) + 0.5) / 256.0
    square = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    assert box_counting_dimension(square, 1.0 / 2.0 ** np.arange(1, 7)) == pytest.approx(2.0)


def test_outline_of_a_circle_has_dimension_one_and_a_snowflake_more():
    assert curve_box_dimension(ellipse_points(20.0, 20.0)) == pytest.approx(1.0, abs=0.04)
    flake = curve_box_dimension(koch_snowflake(30.0, 5))
    assert flake == pytest.approx(KOCH_DIMENSION, abs=0.05)
    assert curve_box_dimension(turned(koch_snowflake(30.0, 5), 19.0)) == pytest.approx(
        flake, abs=0.03
    )


def test_surface_of_a_ball_has_dimension_two():
    assert surface_box_dimension(ellipsoid_mask((30.0, 30.0, 30.0)), (1.0, 1.0, 1.0)) == (
        pytest.approx(2.0, abs=0.12)
    )


def test_a_single_voxel_has_no_surface_dimension():
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[4, 4, 4] = True
    assert math.isnan(surface_box_dimension(mask, (1.0, 1.0, 1.0)))
    assert math.isnan(surface_box_dimension(np.zeros((9, 9, 9)), (1.0, 1.0, 1.0)))
