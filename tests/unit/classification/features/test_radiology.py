from __future__ import annotations

import numpy as np
import pytest
from brain_tumor.classification.features.grid import (
    biggest,
    fill_holes,
    resample,
    sample,
)
from brain_tumor.classification.features.head import find_head
from brain_tumor.classification.features.location import (
    guess_plane,
    head_box,
    location_features,
    sella_in_volume_mm,
)
from brain_tumor.classification.features.midline import midline_shift, mirror_axis
from brain_tumor.classification.features.octagons import (
    close_gaps,
    dilate,
    erode,
    erosions,
    open_gaps,
)
from brain_tumor.classification.features.outline import trace_boundary
from brain_tumor.classification.features.radiology import (
    contralateral_ratio,
    cut_lesion,
    enhancement_features,
    margin_features,
    oedema_features,
)
from brain_tumor.segmentation.tumor_core.slices import Plane
from scipy import ndimage

from tests.helpers.shapes import BRAIN, HeadDrawing, ellipse_mask

MM = (1.0, 1.0)


def look(drawing: HeadDrawing):
    """Image on the relative scale, mask, head, mirror axis and outline of a drawing."""
    image, mask = drawing.draw()
    size = (drawing.pixel_mm, drawing.pixel_mm)
    head = find_head(image, mask, size)
    assert head is not None
    return head.to_relative(image), mask, head, mirror_axis(head), trace_boundary(mask, size)


def located(drawing: HeadDrawing, plane: Plane | None = None):
    relative, _, head, axis, boundary = look(drawing)
    size = (drawing.pixel_mm, drawing.pixel_mm)
    return location_features(boundary, relative, head, axis, size, plane)


def test_resampling_keeps_a_ramp_in_mm():
    ramp = np.add.outer(np.arange(40) * 0.5, np.arange(60) * 0.8)
    coarse = resample(ramp, (0.5, 0.8), 2.0)
    assert coarse.shape == (10, 24)
    inner = np.add.outer(np.arange(10) * 2.0, np.arange(24) * 2.0)[1:-1, 1:-1]
    np.testing.assert_allclose(coarse[1:-1, 1:-1], inner, atol=1e-4)


def test_resampling_averages_fine_stripes():
    stripes = np.tile([0.0, 1.0], (8, 16))
    coarse = resample(stripes, (1.0, 0.5), 1.0)
    # A column of the new grid is a quarter, a half and a quarter of three old ones.
    np.testing.assert_allclose(coarse[:, 1:-1], 0.5)


def test_sampling_reads_between_pixels_and_fills_outside():
    image = np.array([[0.0, 10.0], [20.0, 30.0]])
    points = np.array([[1.0, 1.0], [0.0, 9.0]])
    np.testing.assert_allclose(sample(image, points, 2.0, outside=-5.0), [15.0, -5.0])
    np.testing.assert_allclose(sample(image, points, 2.0), [15.0, 10.0])


def test_octagon_of_two_steps_is_a_square_of_five_without_its_corners():
    dot = np.zeros((9, 9), dtype=bool)
    dot[4, 4] = True
    octagon = np.zeros((9, 9), dtype=bool)
    octagon[2:7, 2:7] = True
    octagon[[2, 2, 6, 6], [2, 6, 2, 6]] = False
    np.testing.assert_array_equal(dilate(dot, 2), octagon)
    np.testing.assert_array_equal(erode(octagon, 2), dot)


def test_erosion_eats_from_the_edge_of_the_image():
    assert np.count_nonzero(erode(np.ones((8, 8), dtype=bool), 1)) == 36


def test_growth_stops_at_the_edge_of_the_image_and_does_not_come_in_on_the_other_side():
    corner = np.zeros((5, 7), dtype=bool)
    corner[2, 6] = True
    grown = np.zeros((5, 7), dtype=bool)
    grown[[1, 2, 2, 3], [6, 5, 6, 6]] = True
    np.testing.assert_array_equal(dilate(corner, 1), grown)
    assert dilate(np.ones((5, 7), dtype=bool), 9).all()


def test_octagons_are_those_of_a_general_library():
    mask = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=(40, 33)), 2.0) > 0.0
    cross, square = (ndimage.generate_binary_structure(2, reach) for reach in (1, 2))
    grown, kept = mask, mask
    for steps, shape in enumerate((cross, square, cross, square, cross), start=1):
        grown = ndimage.binary_dilation(grown, shape)
        kept = ndimage.binary_erosion(kept, shape)
        np.testing.assert_array_equal(dilate(mask, steps), grown)
        np.testing.assert_array_equal(erosions(mask, (1, steps))[-1], kept)


def test_opening_takes_a_bridge_away():
    mask = np.zeros((12, 20), dtype=bool)
    mask[2:10, 2:9] = mask[2:10, 12:18] = mask[5:7, 9:12] = True
    opened = open_gaps(mask, 2)
    assert not opened[5:7, 9:12].any()
    assert opened[4:8, 4:7].all()


def test_closing_fills_a_bay_and_holes_are_filled():
    mask = np.ones((20, 20), dtype=bool)
    mask[8:11, :6] = False
    assert close_gaps(mask, 3)[9, 3]
    holed = np.pad(np.ones((6, 6), dtype=bool), 2)
    holed[5, 5] = False
    assert fill_holes(holed)[5, 5]
    holed[0, 0] = True
    assert not biggest(holed)[0, 0]


def test_brain_is_found_inside_skull_and_scalp():
    _, _, head, _, _ = look(HeadDrawing())
    assert head.skull_present
    assert head.black == pytest.approx(4.0)
    assert head.brain_level == pytest.approx(BRAIN, rel=0.02)
    # Brain is an ellipse of 83 x 63 mm, its border taken 2 mm farther out; the head 96 x 76 mm.
    assert np.count_nonzero(head.brain) * 4.0 == pytest.approx(np.pi * 85 * 65, rel=0.03)
    assert np.count_nonzero(head.head) * 4.0 == pytest.approx(np.pi * 96 * 76, rel=0.04)
    assert head.border_reason == ""


def test_in_a_stripped_slice_the_brain_is_the_head():
    _, _, head, _, _ = look(HeadDrawing(stripped=True))
    assert not head.skull_present
    np.testing.assert_array_equal(head.brain, head.head)
    assert head.brain_level == pytest.approx(BRAIN, rel=0.02)


def test_a_uniform_picture_has_no_head():
    mask = ellipse_mask(5.0, 5.0)
    assert find_head(np.full(mask.shape, 7.0), mask, MM) is None


@pytest.mark.parametrize("degrees", [0.0, 12.0, -20.0])
def test_mirror_axis_follows_the_tilt_of_the_head(degrees):
    _, _, _, axis, _ = look(HeadDrawing(degrees=degrees))
    assert axis.symmetric
    tilt = np.rad2deg(np.arctan2(-axis.direction[1], axis.direction[0]))
    assert tilt == pytest.approx(degrees, abs=1.5)
    across = np.array([112.0, 112.0]) - axis.point_mm
    assert across @ axis.across == pytest.approx(0.0, abs=1.0)


@pytest.mark.parametrize("degrees", [0.0, 17.0])
def test_lateral_offset_is_the_distance_of_the_tumour_from_the_mirror_plane(degrees):
    found = located(HeadDrawing(tumour_mm=(112.0, 140.0), degrees=degrees))
    assert found["lateral_offset_mm"].value == pytest.approx(28.0, abs=1.5)
    assert found["lateral_offset"].value == pytest.approx(28.0 / 63.0, abs=0.04)
    assert found["midline_distance_mm"].value == pytest.approx(14.0, abs=1.5)


def test_a_tumour_across_the_middle_touches_the_midline():
    found = located(HeadDrawing(tumour_mm=(150.0, 115.0)))
    assert found["midline_distance_mm"].value == 0.0


@pytest.mark.parametrize("shift_mm", [0.0, 6.0])
def test_midline_shift_is_the_displacement_of_the_ventricles(shift_mm):
    drawing = HeadDrawing(
        tumour_mm=(106.0, 70.0), radius_mm=10.0, ventricle_shift_mm=shift_mm, rim=110.0, core=110.0
    )
    _, _, head, axis, _ = look(drawing)
    found = midline_shift(head, axis, (-16.0, 8.0))
    assert found is not None
    assert found.shift_mm == pytest.approx(shift_mm, abs=1.5)
    assert found.share_of_width == pytest.approx(found.shift_mm / 126.0, rel=0.05)


def a_sagittal_head():
    """A head with a face to the left, a neck below and no symmetry inside."""
    image, mask = HeadDrawing(tumour_mm=(90.0, 120.0)).draw()
    rows, columns = np.indices(image.shape)
    image = np.minimum(image, 1.2 * BRAIN)
    blocks = np.random.default_rng(1).choice([0.3, 1.0, 1.9], (14, 14))
    lower = (rows > 120) & (image > 20.0)
    image[lower] *= np.kron(blocks, np.ones((16, 16)))[lower]
    image[(rows > 120) & (rows < 200) & (columns > 14) & (columns < 80)] = 180.0
    image[(rows > 190) & (columns > 90) & (columns < 150)] = 90.0
    return image.astype(np.float32), mask


def test_an_asymmetric_slice_has_no_midline_and_says_so():
    image, mask = a_sagittal_head()
    head = find_head(image, mask, MM)
    axis = mirror_axis(head)
    found = location_features(trace_boundary(mask, MM), head.to_relative(image), head, axis, MM)
    assert not axis.symmetric
    assert found["midline_shift_mm"].reason == "no mirror plane in this slice"
    assert not found["lateral_offset_mm"].measured
    assert guess_plane(axis, head_box(head, axis)) is Plane.SAGITTAL


def test_a_known_plane_decides_about_the_mirror_plane():
    _, _, head, axis, _ = look(HeadDrawing())
    assert axis.symmetric
    assert not mirror_axis(head, Plane.SAGITTAL).symmetric
    assert mirror_axis(head, Plane.AXIAL).symmetric


def test_head_far_below_the_brain_makes_a_coronal_slice():
    drawing = HeadDrawing(tumour_mm=(90.0, 120.0))
    _, _, head, axis, _ = look(drawing)
    assert guess_plane(axis, head_box(head, axis)) is Plane.AXIAL
    image, mask = drawing.draw()
    tall = np.vstack([image, np.full((60, image.shape[1]), 4.0)])
    tall[180:276, 80:145] = 190.0
    head = find_head(tall, np.vstack([mask, np.zeros((60, image.shape[1]), dtype=bool)]), MM)
    axis = mirror_axis(head)
    assert guess_plane(axis, head_box(head, axis)) is Plane.CORONAL


def test_a_tumour_on_the_dura_touches_it_and_a_deep_one_does_not():
    # The brain reaches to column 112 + 63 = 175.
    on_dura = located(HeadDrawing(tumour_mm=(112.0, 160.0), radius_mm=14.0))
    deep = located(HeadDrawing(tumour_mm=(112.0, 135.0), radius_mm=10.0))
    assert on_dura["border_distance_mm"].value < 4.0
    assert on_dura["border_contact_ratio"].value > 0.1
    assert on_dura["border_contact_mm"].value == pytest.approx(
        on_dura["border_contact_ratio"].value * 2 * np.pi * 14.0, rel=0.02
    )
    assert deep["border_distance_mm"].value == pytest.approx(30.0, abs=2.5)
    assert deep["border_contact_ratio"].value == 0.0
    assert deep["border_distance_mm"].place == pytest.approx((112.0, 175.0), abs=8.0)
    assert "does not reach" in deep["dural_tail_index"].reason


def test_a_bright_strip_of_dura_beside_the_tumour_is_a_dural_tail():
    drawing = HeadDrawing(tumour_mm=(112.0, 160.0), radius_mm=14.0)
    image, mask = drawing.draw()
    rows, columns = np.indices(image.shape)
    away = np.hypot((rows - 112.0) / 83.0, (columns - 112.0) / 63.0)
    strip = (np.abs(away - 0.985) < 0.02) & (np.abs(rows - 112.0) < 30.0) & (columns > 112) & ~mask
    tailed = np.where(strip, 180.0, image).astype(np.float32)
    plain = located(drawing)["dural_tail_index"].value
    head = find_head(tailed, mask, MM)
    found = location_features(
        trace_boundary(mask, MM), head.to_relative(tailed), head, mirror_axis(head), MM
    )
    assert plain == pytest.approx(0.0, abs=0.1)
    assert found["dural_tail_index"].value > plain + 0.3


def test_depth_below_the_top_and_distance_to_the_surface_are_in_mm():
    found = located(HeadDrawing(tumour_mm=(80.0, 112.0)))
    assert found["depth_below_top_mm"].value == pytest.approx(64.0, abs=2.5)
    assert found["height_in_head"].value == pytest.approx(64.0 / 192.0, abs=0.02)
    assert found["surface_distance_mm"].value == pytest.approx(64.0, abs=3.0)


def test_position_runs_from_the_centre_of_the_brain_to_its_border():
    centre = located(HeadDrawing(tumour_mm=(112.0, 112.0)))["central_position"]
    side = located(HeadDrawing(tumour_mm=(112.0, 143.5)))["central_position"]
    assert centre.value < 0.05
    assert side.value == pytest.approx(0.5, abs=0.05)


def test_sella_of_an_axial_slice_lies_on_the_midline_at_its_share_of_the_length():
    # 39 % of 192 mm below the front of the head at row 16.
    found = located(HeadDrawing(tumour_mm=(90.9, 112.0), radius_mm=9.0), Plane.AXIAL)
    assert found["sella_distance_mm"].value == pytest.approx(0.0, abs=3.0)
    assert found["sella_distance_mm"].place == pytest.approx((90.9, 112.0), abs=3.0)
    assert located(HeadDrawing(tumour_mm=(130.9, 112.0)), Plane.AXIAL)[
        "sella_distance_mm"
    ].value == pytest.approx(40.0, abs=3.0)


def test_sella_of_a_whole_head_and_of_a_brain_in_a_volume():
    head = np.ones((80, 110, 120), dtype=bool)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-79.0, -120.0, -150.0]
    # A head 158 mm wide, 218 mm long and 238 mm high: 39 % behind its front at y = 98, and
    # 127 mm below its top at z = 88.
    np.testing.assert_allclose(
        sella_in_volume_mm(head, affine), [0.0, 98.0 - 0.39 * 218.0, -39.0], atol=1.0
    )
    brain = np.ones((70, 90, 76), dtype=bool)
    # 138 x 178 x 150 mm: 38.5 % behind the front at y = 58, 76 % below the top at z = 0.
    np.testing.assert_allclose(
        sella_in_volume_mm(brain, affine), [-10.0, 58.0 - 0.385 * 178.0, -114.0], atol=1.0
    )


def test_ring_enhancement_compares_rim_and_core_above_black():
    relative, mask, _, _, _ = look(HeadDrawing(rim=196.0, core=52.0))
    found = enhancement_features(cut_lesion(relative, mask, MM))
    # Above black (4): rim 192, core 48, brain 96.
    assert found["ring_enhancement_index"].value == pytest.approx(4.0, rel=0.02)
    assert found["rim_core_contrast"].value == pytest.approx(2.0 - 0.5, rel=0.02)
    whole = (192.0 * (14.0**2 - 10.0**2) + 48.0 * 10.0**2) / 14.0**2
    assert found["ring_enhancement_published"].value == pytest.approx(192.0 / whole, rel=0.04)


def test_necrosis_is_what_is_much_darker_than_the_brightest_tenth():
    relative, mask, _, _, _ = look(HeadDrawing(rim=196.0, core=52.0))
    found = enhancement_features(cut_lesion(relative, mask, MM))
    inner = 13.0**2  # the outermost millimetre is left out
    assert found["necrosis_fraction"].value == pytest.approx(10.0**2 / inner, abs=0.05)
    assert found["necrosis_fraction"].place == pytest.approx((112.0, 140.0), abs=10.0)


def test_an_even_tumour_has_no_ring_no_necrosis_and_no_heterogeneity():
    relative, mask, _, _, _ = look(HeadDrawing(rim=148.0, core=148.0))
    found = enhancement_features(cut_lesion(relative, mask, MM))
    assert found["ring_enhancement_index"].value == pytest.approx(1.0)
    assert found["enhancement_heterogeneity"].value == pytest.approx(0.0, abs=1e-6)
    assert found["necrosis_fraction"].value == 0.0
    assert found["enhancement_ratio"].value == pytest.approx(1.5, rel=0.02)
    assert found["bright_fraction"].value == 1.0


def test_a_small_tumour_has_no_core_and_says_how_deep_it_is():
    relative, mask, _, _, _ = look(HeadDrawing(radius_mm=4.0))
    found = enhancement_features(cut_lesion(relative, mask, MM))
    assert not found["ring_enhancement_index"].measured
    assert "mm deep" in found["ring_enhancement_index"].reason
    assert found["enhancement_ratio"].measured


def test_depth_of_a_disc_is_its_radius():
    mask = ellipse_mask(12.0, 12.0)
    lesion = cut_lesion(mask.astype(np.float32), mask, MM)
    assert lesion.depth_mm.max() == pytest.approx(12.0, abs=0.6)
    assert lesion.depth_mm[lesion.inside].min() == pytest.approx(0.5)


def test_surroundings_are_brain_fluid_or_air():
    relative, _, head, _, boundary = look(HeadDrawing(tumour_mm=(150.0, 140.0), radius_mm=10.0))
    inside_brain = margin_features(boundary, relative, head, MM)
    relative, _, head, _, boundary = look(
        HeadDrawing(tumour_mm=(150.0, 140.0), radius_mm=10.0, halo=44.0)
    )
    in_fluid = margin_features(boundary, relative, head, MM)
    assert inside_brain["surrounding_brain_share"].value > 0.95
    assert inside_brain["surrounding_intensity"].value == pytest.approx(1.0, abs=0.05)
    assert in_fluid["surrounding_dark_share"].value > 0.8
    assert in_fluid["surrounding_intensity"].value == pytest.approx(40.0 / 96.0, abs=0.05)


def test_margin_contrast_is_inside_less_outside_and_blur_widens_the_margin():
    from scipy.ndimage import gaussian_filter

    drawing = HeadDrawing(tumour_mm=(150.0, 140.0), radius_mm=12.0, rim=148.0, core=148.0)
    image, mask = drawing.draw()
    head = find_head(image, mask, MM)
    boundary = trace_boundary(mask, MM)
    sharp = margin_features(boundary, head.to_relative(image), head, MM)
    blurred = margin_features(boundary, head.to_relative(gaussian_filter(image, 2.0)), head, MM)
    assert sharp["margin_contrast"].value == pytest.approx(0.5, abs=0.05)
    assert sharp["margin_width_mm"].value < 2.0
    # The steepest slope of an edge blurred by sd 2 is contrast / (2 sqrt(2 pi)) per mm.
    assert blurred["margin_width_mm"].value == pytest.approx(2.0 * np.sqrt(2 * np.pi), rel=0.25)


def test_a_tumour_as_bright_as_brain_has_no_margin_width():
    relative, _, head, _, boundary = look(
        HeadDrawing(tumour_mm=(150.0, 140.0), rim=100.0, core=100.0)
    )
    found = margin_features(boundary, relative, head, MM)
    assert found["margin_width_mm"].reason == "the margin has too little contrast"


def test_contralateral_ratio_compares_with_the_mirror_side():
    _, _, head, axis, _ = look(HeadDrawing(tumour_mm=(150.0, 140.0), rim=148.0, core=148.0))
    assert contralateral_ratio(head, axis).value == pytest.approx(1.5, rel=0.05)


def test_contralateral_ratio_of_a_tumour_in_the_middle_is_missing():
    _, _, head, axis, _ = look(HeadDrawing(tumour_mm=(150.0, 112.0)))
    assert "is tumour or not brain" in contralateral_ratio(head, axis).reason


def test_oedema_on_flair_is_measured_in_mm_from_the_tumour():
    image, mask = HeadDrawing(tumour_mm=(150.0, 140.0), radius_mm=10.0).draw()
    head = find_head(image, mask, MM)
    rows, columns = np.indices(image.shape)
    away = np.hypot(rows - 150.0, columns - 140.0)
    flair = np.where(away < 20.0, 200.0, image)
    found = oedema_features(flair, head, MM)
    # A ring 10 mm wide around a disc of 10 mm: three times its area, 95 % within 9.6 mm.
    assert found["oedema_ratio"].value == pytest.approx(3.0, rel=0.15)
    assert found["oedema_extent_mm"].value == pytest.approx(9.6, abs=1.5)


def test_no_oedema_is_zero_and_no_flair_is_missing():
    image, mask = HeadDrawing(tumour_mm=(150.0, 140.0), radius_mm=10.0).draw()
    head = find_head(image, mask, MM)
    assert oedema_features(image, head, MM)["oedema_extent_mm"].value == 0.0
    assert oedema_features(None, head, MM)["oedema_extent_mm"].reason == "no FLAIR"
