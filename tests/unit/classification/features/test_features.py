from __future__ import annotations

import json
import math

import numpy as np
import pytest
from brain_tumor.classification.features.feature_table import (
    FEATURE_IDS,
    FEATURES,
    FeatureGroup,
    feature,
)
from brain_tumor.classification.features.features import shape_features, slice_features
from brain_tumor.classification.features.measurement import Measurement, measured_or, missing
from brain_tumor.classification.features.outline import boundary_from_outline
from brain_tumor.errors import GeometryError, InputError, VolumeError
from brain_tumor.segmentation.tumor_core.slices import Plane
from scipy import ndimage

from tests.helpers.shapes import HeadDrawing, ellipse_points

DRAWING = HeadDrawing(tumour_mm=(146.0, 138.0), radius_mm=13.0, rim=180.0, core=90.0)
SHAPE_GROUPS = {FeatureGroup.MORPHOLOGY, FeatureGroup.BOUNDARY, FeatureGroup.CHAOS}


@pytest.fixture(scope="module")
def a_vector():
    image, mask = DRAWING.draw()
    return slice_features(image, mask, 1.0)


def test_every_feature_has_a_unique_id_words_and_a_known_unit():
    assert len(set(FEATURE_IDS)) == len(FEATURES)
    for definition in FEATURES:
        assert definition.name
        assert definition.higher_means
        assert definition.unit in {"1", "mm", "mm2"}
        assert definition.id.endswith(f"_{definition.unit}") == (definition.unit != "1")
    assert feature("compactness").unit == "1"
    with pytest.raises(InputError, match="'size' does not exist"):
        feature("size")


def test_the_vector_has_every_feature_in_order_with_the_unit_of_the_table(a_vector):
    assert tuple(a_vector.measurements) == FEATURE_IDS
    for definition in FEATURES:
        assert a_vector[definition.id].unit == definition.unit, definition.id


def test_every_value_is_finite_or_has_a_reason(a_vector):
    for name, measurement in a_vector.measurements.items():
        assert math.isfinite(measurement.value) != bool(measurement.reason), name


def test_missing_values_are_masked_nan(a_vector):
    values, absent = a_vector.to_array(), a_vector.missing_mask()
    np.testing.assert_array_equal(np.isnan(values), absent)
    assert absent[FEATURE_IDS.index("oedema_extent_mm")]
    assert a_vector["oedema_extent_mm"].reason == "no FLAIR"
    assert not absent[FEATURE_IDS.index("ring_enhancement_index")]


def test_values_come_in_the_order_asked_for(a_vector):
    names = ("solidity", "area_mm2")
    np.testing.assert_allclose(
        a_vector.to_array(names), [a_vector["solidity"].value, a_vector["area_mm2"].value]
    )
    with pytest.raises(InputError, match=r"\['size'\] do not exist"):
        a_vector.to_array(["size"])
    with pytest.raises(InputError, match=r"\['size'\] do not exist"):
        a_vector.missing_mask(["size"])


def test_measured_values_agree_with_the_drawing(a_vector):
    assert a_vector["area_mm2"].value == pytest.approx(np.pi * 13.0**2, rel=0.02)
    assert a_vector["compactness"].value == pytest.approx(1.0, abs=0.01)
    # Above black: rim 176, core 86.
    assert a_vector["ring_enhancement_index"].value == pytest.approx(176.0 / 86.0, rel=0.02)
    assert a_vector["lateral_offset_mm"].value == pytest.approx(26.0, abs=1.5)


@pytest.mark.parametrize(("gain", "offset"), [(3.7, 0.0), (1.0, 55.0), (0.01, -2.0)])
def test_no_feature_depends_on_the_scaling_of_the_image(a_vector, gain, offset):
    image, mask = DRAWING.draw()
    scaled = slice_features(gain * image + offset, mask, 1.0)
    np.testing.assert_allclose(scaled.to_array(), a_vector.to_array(), rtol=2e-3, atol=2e-3)


def test_no_feature_depends_much_on_the_pixel_size(a_vector):
    image, mask = HeadDrawing(
        tumour_mm=(146.0, 138.0), radius_mm=13.0, rim=180.0, core=90.0, pixel_mm=0.5
    ).draw()
    fine = slice_features(image, mask, 0.5)
    for name, tolerance in {
        "area_mm2": 8.0,
        "perimeter_mm": 1.0,
        "compactness": 0.01,
        "irregularity": 0.01,
        "ring_enhancement_index": 0.06,
        "enhancement_ratio": 0.03,
        "necrosis_fraction": 0.05,
        "surrounding_brain_share": 0.04,
        "sella_distance_mm": 1.5,
        "lateral_offset_mm": 1.0,
        "border_distance_mm": 1.0,
        "depth_below_top_mm": 2.1,
    }.items():
        assert fine[name].value == pytest.approx(a_vector[name].value, abs=tolerance), name


def test_tall_pixels_are_measured_in_mm():
    image, mask = DRAWING.draw()
    flat = slice_features(image[::2], mask[::2], (2.0, 1.0))
    assert flat["area_mm2"].value == pytest.approx(np.pi * 13.0**2, rel=0.03)
    assert flat["compactness"].value > 0.98
    assert flat["lateral_offset_mm"].value == pytest.approx(26.0, abs=1.5)
    row, column = flat["lateral_offset_mm"].place
    assert (row, column) == pytest.approx((73.0, 138.0), abs=0.6)


@pytest.mark.parametrize("degrees", [10.0, 25.0])
def test_features_turn_with_the_head(a_vector, degrees):
    image, mask = HeadDrawing(
        tumour_mm=(146.0, 138.0), radius_mm=13.0, rim=180.0, core=90.0, degrees=degrees
    ).draw()
    turned = slice_features(image, mask, 1.0)
    for name, tolerance in {
        "area_mm2": 12.0,
        "compactness": 0.01,
        "ring_enhancement_index": 0.06,
        "sella_distance_mm": 3.0,
        "lateral_offset_mm": 1.5,
        "surface_distance_mm": 2.5,
        "depth_below_top_mm": 3.0,
        "border_distance_mm": 2.0,
        "surrounding_brain_share": 0.04,
    }.items():
        assert turned[name].value == pytest.approx(a_vector[name].value, abs=tolerance), name


def test_a_quarter_turn_changes_no_shape_enhancement_or_margin(a_vector):
    image, mask = DRAWING.draw()
    turned = slice_features(np.rot90(image), np.rot90(mask), 1.0)
    for definition in FEATURES:
        measured = a_vector[definition.id].measured
        if definition.group in (FeatureGroup.ENHANCEMENT, FeatureGroup.MORPHOLOGY) and measured:
            if definition.id == "contralateral_ratio":
                continue  # a head on its side has no upright mirror plane
            assert turned[definition.id].value == pytest.approx(
                a_vector[definition.id].value, rel=0.02, abs=0.02
            ), definition.id


def test_stripping_the_skull_keeps_enhancement_and_side():
    full, mask = DRAWING.draw()
    image, _ = HeadDrawing(
        tumour_mm=(146.0, 138.0), radius_mm=13.0, rim=180.0, core=90.0, stripped=True
    ).draw()
    stripped, whole = slice_features(image, mask, 1.0), slice_features(full, mask, 1.0)
    for name in ("ring_enhancement_index", "enhancement_ratio", "lateral_offset_mm"):
        assert stripped[name].value == pytest.approx(whole[name].value, rel=0.06), name
    assert stripped["border_distance_mm"].value == pytest.approx(
        whole["border_distance_mm"].value, abs=3.0
    )


@pytest.mark.parametrize("name", ["space_above_brain_mm", "space_below_brain_mm"])
def test_space_around_the_brain_is_measured_with_a_skull_and_missing_without(name, a_vector):
    # The head reaches 96 mm from its middle, the brain (its border 2 mm out) 85 mm.
    assert a_vector[name].value == pytest.approx(96.0 - 85.0, abs=2.5)
    image, mask = HeadDrawing(tumour_mm=(146.0, 138.0), radius_mm=13.0, stripped=True).draw()
    without = slice_features(image, mask, 1.0)[name]
    assert math.isnan(without.value)
    assert "skull-stripped" in without.reason


def test_a_slice_without_tumour_has_no_feature_and_one_reason():
    image, mask = DRAWING.draw()
    vector = slice_features(image, np.zeros_like(mask), 1.0)
    assert vector.missing_mask().all()
    assert {m.reason for m in vector.measurements.values()} == {"no tumour in this slice"}


def test_a_speck_has_no_feature_and_its_size_as_the_reason():
    image, mask = DRAWING.draw()
    speck = np.zeros_like(mask)
    speck[100:102, 100:102] = True
    assert "4 connected pixels" in slice_features(image, speck, 1.0)["area_mm2"].reason


def test_without_a_head_only_the_outline_is_measured():
    _, mask = DRAWING.draw()
    vector = slice_features(np.full(mask.shape, 50.0), mask, 1.0)
    for definition in FEATURES:
        measurement = vector[definition.id]
        if definition.group in SHAPE_GROUPS and definition.id not in {"lyapunov"}:
            assert measurement.measured or "too smooth" in measurement.reason, definition.id
        elif definition.group not in SHAPE_GROUPS:
            assert measurement.reason == "no head was found in this slice"


def test_a_perfect_circle_has_no_chaos_and_says_so():
    found = shape_features(boundary_from_outline(ellipse_points(20.0, 20.0)))
    assert found["compactness"].value == pytest.approx(1.0, abs=1e-3)
    assert found["concave_share"].value == 0.0
    assert found["boundary_information"].value < 1e-3


def test_a_given_plane_overrides_the_guess():
    image, mask = DRAWING.draw()
    axial = slice_features(image, mask, 1.0)
    sagittal = slice_features(image, mask, 1.0, plane=Plane.SAGITTAL)
    assert axial["lateral_offset_mm"].measured
    assert sagittal["lateral_offset_mm"].reason == "no mirror plane in this slice"
    assert sagittal["sella_distance_mm"].value != axial["sella_distance_mm"].value


def test_a_given_head_mask_is_used():
    image, mask = DRAWING.draw()
    head = ndimage.binary_erosion(image > 20.0, iterations=10)
    vector = slice_features(image, mask, 1.0, head_mask=ndimage.binary_fill_holes(head))
    free = slice_features(image, mask, 1.0)
    assert vector["surface_distance_mm"].value < free["surface_distance_mm"].value - 5.0


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"image": np.zeros((8, 8))}, VolumeError, "at least 16 pixels"),
        ({"image": np.zeros((64, 64, 2))}, VolumeError, "two dimensions"),
        ({"image": np.full((224, 224), np.nan)}, VolumeError, "finite"),
        ({"mask": np.zeros((10, 10))}, GeometryError, r"mask has shape \(10, 10\)"),
        ({"flair": np.zeros((10, 10))}, GeometryError, "flair has shape"),
        ({"head_mask": np.zeros((10, 10))}, GeometryError, "head_mask has shape"),
        ({"pixel_mm": 0.0}, GeometryError, "pixel size is 0.0 mm"),
        ({"pixel_mm": (1.0, float("nan"))}, GeometryError, "pixel size"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(change, error, words):
    image, mask = DRAWING.draw()
    arguments = {"image": image, "mask": mask, "pixel_mm": 1.0} | change
    with pytest.raises(error, match=words):
        slice_features(**arguments)


@pytest.mark.parametrize("shape", [(16, 16), (20, 300), (128, 128)])
@pytest.mark.parametrize("kind", ["noise", "black", "ramp", "speckle"])
def test_no_picture_breaks_the_measurement(shape, kind):
    rng = np.random.default_rng(0)
    image = {
        "noise": rng.standard_normal(shape),
        "black": np.zeros(shape),
        "ramp": np.add.outer(np.arange(shape[0]), np.arange(shape[1])),
        "speckle": rng.random(shape) > 0.5,
    }[kind]
    corner, everything = np.zeros(shape), np.ones(shape)
    corner[-3:, -3:] = 1
    for mask in (corner, everything, ndimage.gaussian_filter(rng.standard_normal(shape), 3) > 0):
        for pixel_mm in (1.0, (2.0, 0.7), 6.0):
            vector = slice_features(image, mask, pixel_mm)
            assert vector["area_mm2"].measured


def test_the_input_is_left_as_it_was():
    image, mask = DRAWING.draw()
    before = image.copy(), mask.copy()
    slice_features(image, mask, 1.0)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


def test_a_measurement_has_a_value_or_a_reason_never_both():
    assert Measurement(1.0, "mm").measured
    assert not missing("mm", "too dark").measured
    with pytest.raises(InputError, match="expected a reason exactly"):
        Measurement(math.nan, "mm")
    with pytest.raises(InputError, match="expected a reason exactly"):
        Measurement(1.0, "mm", reason="too dark")


def test_a_measurement_is_plain_json_with_null_for_missing():
    measured = measured_or(2.5, "mm", "unused", place=(3.0, 4.0))
    assert json.loads(json.dumps(measured.to_json())) == {
        "value": 2.5,
        "unit": "mm",
        "place": [3.0, 4.0],
        "reason": None,
    }
    assert measured_or(math.inf, "1", "no end").to_json() == {
        "value": None,
        "unit": "1",
        "place": None,
        "reason": "no end",
    }
