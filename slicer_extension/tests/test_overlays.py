"""Heat, marks and places: what is in the scene and what is seen in the views."""

import numpy as np
import pytest

from slicer_extension.tests import phantoms
from slicer_extension.tests.phantoms import GRIDS, PEAK_IJK, point_mm

pytestmark = pytest.mark.slicer


def colourful(view):
    from slicer_extension.tests.harness.views import colourful as count

    return count(view.render().pixels())


def distance_mm(view, ras):
    """Distance of a point from the plane that a slice view shows."""
    import slicer

    plane = slicer.util.arrayFromVTKMatrix(view.node.GetSliceToRAS())
    return float(np.subtract(ras, plane[:3, 3]) @ plane[:3, 2])


def shown(grid=phantoms.OBLIQUE):
    """Image in all views."""
    from TumorLensLib import volumes

    node = volumes.add_image(phantoms.image(grid), "case")
    volumes.show_as_background(node)
    return node


@pytest.fixture
def heat(slice_views):
    from TumorLensLib.overlays import HeatLayer

    shown()
    layer = HeatLayer()
    layer.load(phantoms.heatmap(), 1 / 255, trusted=True)
    return layer


@pytest.mark.parametrize("grid", GRIDS)
def test_the_hottest_point_is_within_half_a_voxel_of_the_peak(slice_views, grid):
    from TumorLensLib.overlays import HeatLayer

    affine = GRIDS[grid]
    shown(affine)
    layer = HeatLayer()
    layer.load(phantoms.heatmap(affine), 1 / 255, trusted=True)
    offset = np.linalg.solve(
        affine[:3, :3], np.subtract(layer.highest_ras(), point_mm(PEAK_IJK, affine))
    )
    assert np.abs(offset).max() <= 0.5


def test_heat_is_seen_only_when_it_is_on_and_less_of_it_with_a_higher_threshold(heat, slice_views):
    from TumorLensLib.places import jump_to

    jump_to(heat.highest_ras())
    for view in slice_views:
        view.render(fit=True)
    assert [colourful(view) for view in slice_views] == [0, 0, 0]
    heat.show(True)
    much = [colourful(view) for view in slice_views]
    assert min(much) > 300
    heat.set_range(0.6, 1.0)
    less = [colourful(view) for view in slice_views]
    assert all(0 < few < many for few, many in zip(less, much, strict=True)), (less, much)
    heat.show(False)
    assert [colourful(view) for view in slice_views] == [0, 0, 0]


def test_opacity_reaches_every_view(heat, slice_views):
    heat.show(True)
    heat.set_opacity(0.25)
    assert [view.composite.GetForegroundOpacity() for view in slice_views] == [0.25] * 3
    assert {view.composite.GetForegroundVolumeID() for view in slice_views} == {heat.node.GetID()}


def test_heat_that_failed_its_test_is_grey(heat, slice_views):
    from TumorLensLib.places import jump_to

    heat.load(phantoms.heatmap(), 1 / 255, trusted=False)
    heat.show(True)
    jump_to(heat.highest_ras())
    assert [colourful(view) for view in slice_views] == [0, 0, 0]


def test_stored_steps_become_values_from_0_to_1(heat):
    import slicer

    values = slicer.util.arrayFromVolume(heat.node)
    i, j, k = PEAK_IJK
    assert values[k, j, i] == pytest.approx(1.0)
    assert values[k, j, i + 2] == pytest.approx(np.exp(-0.5), abs=1 / 255)
    display = heat.node.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0.0, 1.0)


def test_the_share_inside_is_that_of_the_heat_and_not_of_the_voxels(heat):
    mask = np.zeros(phantoms.SHAPE_KJI, bool)
    i, j, k = PEAK_IJK
    mask[k, j, i] = True
    stored = phantoms.heatmap().array.astype(float)
    assert heat.share_inside(mask) == pytest.approx(255.0 / stored.sum(), rel=1e-5)
    assert heat.share_inside(np.ones_like(mask)) == pytest.approx(1.0)


def test_brighter_always_means_hotter():
    from TumorLensLib.colours import DOUBT, HEAT, UNTRUSTED_HEAT

    for scale in (HEAT, UNTRUSTED_HEAT, DOUBT):
        luminance = scale.steps() @ np.array([0.2126, 0.7152, 0.0722])
        assert (np.diff(luminance) > -1e-3).all()
        assert luminance[-1] > luminance[0] + 0.5


def test_the_colour_table_has_these_colours_in_this_order(scene):
    from TumorLensLib.colours import DOUBT, HEAT, UNTRUSTED_HEAT

    for scale in (HEAT, UNTRUSTED_HEAT, DOUBT):
        table, color = scale.table(), [0.0] * 4
        assert scale.table() is table
        for step in (0, 128, 255):
            table.GetColor(step, color)
            np.testing.assert_allclose(color[:3], scale.steps()[step], atol=1 / 255)


def test_dropping_the_heat_leaves_nothing(heat, slice_views):
    from TumorLensLib.volumes import of_class

    heat.show(True)
    heat.drop()
    assert [n for n in of_class("vtkMRMLScalarVolumeNode") if "heat" in n.GetName()] == []
    assert {view.composite.GetForegroundVolumeID() for view in slice_views} == {None}


def test_the_legend_is_seen_with_the_heat_and_gone_with_it(heat, slice_views):
    from TumorLensLib.volumes import of_class

    def right_edge():
        """Colourful pixels where the heat of this case is not."""
        from slicer_extension.tests.harness.views import colourful as count

        return count(slice_views[0].render().pixels()[:, -40:])

    assert heat.legend.GetTitleText() == "heat"
    assert right_edge() == 0
    heat.show(True)
    assert right_edge() > 200
    heat.set_legend(False)
    assert right_edge() == 0
    heat.drop()
    assert heat.legend is None
    assert of_class("vtkMRMLColorLegendDisplayNode") == []


def test_an_application_without_legends_shows_the_heat_alone(heat, monkeypatch):
    import slicer

    monkeypatch.delattr(slicer.modules, "colors")
    heat.load(phantoms.heatmap(), 1 / 255, trusted=True)
    heat.show(True)
    assert heat.legend is None
    assert heat.is_visible
    heat.set_legend(False)


def test_no_heat_has_no_hottest_point(heat):
    from TumorLensLib.volumes import VolumeData

    zeros = VolumeData(np.zeros(phantoms.SHAPE_KJI, np.uint8), phantoms.OBLIQUE)
    heat.load(zeros, 1 / 255, trusted=True)
    assert heat.highest_ras() is None
    assert heat.share_inside(np.ones(phantoms.SHAPE_KJI, bool)) is None


# Uncertainty.


def hues(view):
    """Pixels of a view in the hues of the heat (more red than blue) and of the uncertainty."""
    pixels = view.render().pixels()
    red, green, blue = (pixels[..., k] for k in range(3))
    return int((red - blue > 25).sum()), int((np.minimum(green, blue) - red > 25).sum())


def rising(grid=phantoms.OBLIQUE):
    """Uncertainty that rises from 0 to 1 along the first axis, the same in every slice."""
    from TumorLensLib.volumes import VolumeData

    steps = np.rint(np.linspace(0, 255, phantoms.SHAPE_KJI[2])).astype(np.uint8)
    return VolumeData(np.broadcast_to(steps, phantoms.SHAPE_KJI).copy(), grid)


@pytest.fixture
def doubt(slice_views):
    """Uncertainty of the phantom, all of it in the range, and not shown yet."""
    from TumorLensLib.overlays import UncertaintyLayer
    from TumorLensLib.places import jump_to

    shown()
    layer = UncertaintyLayer()
    layer.take(rising(), 1 / 255)
    layer.set_range(0.0, 1.0)
    layer.set_opacity(1.0)
    jump_to(tuple(point_mm((8, 7, 6))))
    for view in slice_views:
        view.render(fit=True)
    return layer


def test_uncertainty_is_graded_more_of_it_looks_brighter(doubt, slice_views):
    doubt.show(True)
    view = slice_views[0]
    to_ijk = np.linalg.inv(phantoms.OBLIQUE)
    import slicer

    xy_to_ras = slicer.util.arrayFromVTKMatrix(view.node.GetXYToRAS())
    pixels = view.render().pixels()[::-1]  # rows from below, as XY counts them
    rows, columns = np.indices(pixels.shape[:2])
    flat = np.stack([columns, rows, 0 * rows, 0 * rows + 1], axis=-1) @ (to_ijk @ xy_to_ras).T
    i, inside = flat[..., 0], np.ones(rows.shape, bool)
    for axis, size in enumerate(phantoms.SHAPE_KJI[::-1]):
        inside &= (flat[..., axis] > 0.6) & (flat[..., axis] < size - 1.6)
    brightness = pixels @ np.array([0.2126, 0.7152, 0.0722])
    along = [brightness[inside & (np.abs(i - n) < 0.2)].mean() for n in range(2, 14)]
    assert (np.diff(along) > 3.0).all(), along
    expected = doubt.colours.steps()[round(255 * 8 / 15)] * 255
    found = pixels[inside & (np.abs(i - 8) < 0.05)].mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=6.0)


def test_uncertainty_is_seen_only_when_it_is_on_and_less_of_it_in_a_narrower_range(
    doubt, slice_views
):
    assert [hues(view)[1] for view in slice_views] == [0, 0, 0]
    doubt.show(True)
    much = [hues(view)[1] for view in slice_views]
    assert min(much[0], much[1]) > 500  # the third slice shows one value
    doubt.set_range(0.7, 1.0)
    less = [hues(view)[1] for view in slice_views]
    assert all(0 < few < many for few, many in zip(less[:2], much[:2], strict=True)), (less, much)
    doubt.show(False)
    assert [hues(view)[1] for view in slice_views] == [0, 0, 0]
    assert {view.composite.GetNumberOfAdditionalLayers() for view in slice_views} == {0}


def test_heat_and_uncertainty_are_seen_at_the_same_time_each_in_its_hues(doubt, slice_views):
    from TumorLensLib.overlays import HeatLayer

    heat = HeatLayer()
    heat.load(phantoms.heatmap(), 1 / 255, trusted=True)
    heat.set_legend(False)
    heat.show(True)
    heat.set_opacity(1.0)
    alone = hues(slice_views[0])
    assert alone[0] > 300
    assert alone[1] == 0
    doubt.set_range(0.75, 1.0)  # beside the heat
    doubt.show(True)
    warm, cold = hues(slice_views[0])
    assert warm > 0.5 * alone[0]
    assert cold > 300
    heat.show(False)
    warm, still_cold = hues(slice_views[0])
    assert (warm, still_cold >= cold) == (0, True)
    heat.show(True)
    doubt.show(False)
    assert hues(slice_views[0]) == alone


def test_the_opacity_of_the_uncertainty_is_its_own_and_lets_the_heat_shine_through(
    doubt, slice_views
):
    from TumorLensLib.overlays import HeatLayer

    heat = HeatLayer()
    heat.load(phantoms.heatmap(), 1 / 255, trusted=True)
    heat.set_legend(False)
    heat.set_opacity(1.0)
    heat.show(True)
    doubt.show(True)
    covered, _ = hues(slice_views[0])
    doubt.set_opacity(0.2)
    through, _ = hues(slice_views[0])
    assert covered == 0
    assert through > 300
    composites = [view.composite for view in slice_views]
    assert [c.GetForegroundOpacity() for c in composites] == [1.0] * 3
    assert [c.GetNthLayerOpacity(c.Layer_Last) for c in composites] == [0.2] * 3


def test_the_layer_of_another_module_is_left_alone(doubt, slice_views):
    from TumorLensLib import volumes

    other = volumes.add_image(phantoms.image(), "of another module")
    composite = slice_views[0].composite
    first = composite.Layer_Last
    composite.SetNthLayerVolumeID(first, other.GetID())
    doubt.show(True)
    ids = [composite.GetNthLayerVolumeID(first + n) for n in range(2)]
    assert ids == [other.GetID(), doubt.node.GetID()]
    doubt.drop()
    assert composite.GetNthLayerVolumeID(first) == other.GetID()
    composite.SetNthLayerVolumeID(first, None)


def test_what_lies_in_the_range_is_counted_by_hand(doubt):
    doubt.set_range(0.5, 1.0)
    per_voxel = np.rint(np.linspace(0, 255, 16)) / 255 >= 0.5
    assert doubt.shown().sum() == per_voxel.sum() * np.prod(phantoms.SHAPE_KJI[:2])
    doubt.set_range(0.0, 1.0)
    assert not doubt.shown()[:, :, 0].any()  # certain voxels are not in doubt


def test_the_place_of_greatest_doubt_is_where_it_is(slice_views):
    from TumorLensLib.overlays import UncertaintyLayer

    shown()
    layer = UncertaintyLayer()
    assert layer.highest_ras() is None
    layer.take(phantoms.heatmap(), 1 / 255)
    assert layer.highest_ras() == pytest.approx(tuple(point_mm(PEAK_IJK)), abs=0.5)


# Outlines.


def coloured(view, mark):
    """Pixels in the colour of an outline."""
    from TumorLensLib.colours import MARK_COLORS

    colour = 255 * np.array(MARK_COLORS[mark][1])
    return int((np.abs(view.render().pixels() - colour) < 12).all(axis=2).sum())


def test_both_kinds_of_marks_are_outlined_in_their_own_colours_at_once(slice_views):
    from TumorLensLib.colours import CHANGED, UNCERTAIN
    from TumorLensLib.marks import MarkLayer
    from TumorLensLib.places import jump_to

    shown()
    marks, view = MarkLayer(), slice_views[0]
    mask = phantoms.labels() > 0
    inner = phantoms.labels() == 1
    jump_to(tuple(point_mm((6, 6, 6))))
    for each in slice_views:
        each.render(fit=True)
    marks.show(mask, phantoms.OBLIQUE, CHANGED)
    changed = coloured(view, CHANGED)
    assert changed > 50
    assert coloured(view, UNCERTAIN) == 0
    marks.show(inner & ~mask, phantoms.OBLIQUE, UNCERTAIN)
    marks.show(np.roll(mask, 5, axis=2), phantoms.OBLIQUE, UNCERTAIN)
    assert coloured(view, CHANGED) == changed  # changed wins where both are
    assert coloured(view, UNCERTAIN) > 50
    marks.hide(CHANGED)
    assert coloured(view, CHANGED) == 0
    assert coloured(view, UNCERTAIN) > 50
    marks.hide()
    assert [colourful(each) for each in slice_views] == [0, 0, 0]
    assert marks.node is None


def test_segments_are_seen_in_colour_over_the_image(slice_views):
    from TumorLensLib import segments
    from TumorLensLib.places import jump_to

    node = shown()
    jump_to(tuple(point_mm((6, 6, 6))))
    for view in slice_views:
        view.render(fit=True)
    before = slice_views[0].pixels()
    segmentation = segments.import_labelmap(phantoms.labelmap(), node, "subregions")
    after = slice_views[0].render().pixels()
    from slicer_extension.tests.harness.views import colourful as count

    assert count(before) == 0
    assert count(after) > 1000
    changed = (before != after).any(axis=2)
    assert after[changed].sum(axis=1).min() > 60  # blended with the image, not painted over black
    segmentation.GetDisplayNode().SetVisibility(False)
    assert colourful(slice_views[0]) == 0


@pytest.mark.parametrize("grid", GRIDS)
def test_slices_jump_to_the_evidence_and_it_is_drawn_there(slice_views, grid):
    from TumorLensLib.places import EvidenceMarker
    from TumorLensLib.reply import parse_reply

    from slicer_extension.tests.fake_server import FakeServer

    affine = GRIDS[grid]
    shown(affine)
    reply, _ = FakeServer(affine).reply("analysis", "C", {})
    item = parse_reply(reply).evidence_by_id("e1")
    marker = EvidenceMarker()
    marker.show(item, "ring")
    assert [distance_mm(view, item.ras) for view in slice_views] == pytest.approx([0.0] * 3)
    drawn = marker.nodes[0].GetNthControlPointPositionWorld(0)
    assert tuple(drawn) == pytest.approx(item.ras)
    rim = np.array(
        [
            marker.nodes[1].GetNthControlPointPositionWorld(i)
            for i in range(marker.nodes[1].GetNumberOfControlPoints())
        ]
    )
    assert np.linalg.norm(rim - item.ras, axis=1) == pytest.approx(4.0)  # extent 8 mm
    marker.clear()
    assert marker.nodes == []


@pytest.mark.parametrize("grid", GRIDS)
def test_clicks_become_the_voxels_under_them(scene, grid):
    from TumorLensLib.places import voxels_of

    affine = GRIDS[grid]
    node = shown(affine)
    wanted = [(0, 0, 0), (15, 13, 11), (6, 5, 4)]
    nearly = [tuple(point_mm((i + 0.4, j - 0.4, k + 0.3), affine)) for i, j, k in wanted]
    assert voxels_of(nearly, node) == wanted
    assert voxels_of([tuple(point_mm((16, 0, 0), affine))], node) == []
    assert voxels_of([nearly[0], nearly[0]], node) == [(0, 0, 0)]


def test_points_are_placed_into_their_own_lists(scene, slicer_app):
    import vtk
    from TumorLensLib.places import ClickPoints

    node = shown()
    clicks = ClickPoints()
    clicks.start_placing("negative")
    selection = slicer_app.applicationLogic().GetSelectionNode()
    assert selection.GetActivePlaceNodeID() == clicks.node("negative").GetID()
    clicks.node("positive").AddControlPoint(vtk.vtkVector3d(*point_mm((3, 4, 5))))
    assert (clicks.count("positive"), clicks.count("negative")) == (1, 0)
    assert clicks.voxels("positive", node) == [(3, 4, 5)]
    clicks.clear()
    assert clicks.count("positive") == 0
