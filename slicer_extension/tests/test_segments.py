"""Labelmap to segments and back, whatever the annotator does in between."""

import numpy as np
import pytest

from slicer_extension.tests import phantoms
from slicer_extension.tests.phantoms import GRIDS, labels

pytestmark = pytest.mark.slicer


@pytest.fixture
def case(scene):
    """Reference volume and its segmentation on the oblique grid."""
    return make(GRIDS["oblique"])


def make(grid):
    from TumorLensLib import segments, volumes

    reference = volumes.add_image(phantoms.image(grid), "case")
    node = segments.import_labelmap(phantoms.labelmap(grid), reference, "subregions")
    return reference, node


def ids(node):
    from TumorLensLib.segments import segment_ids

    return {value: found[0] for value, found in segment_ids(node).items()}


@pytest.mark.parametrize("grid", GRIDS)
def test_the_round_trip_is_exact_on_every_geometry(scene, grid):
    from TumorLensLib import segments

    reference, node = make(GRIDS[grid])
    np.testing.assert_array_equal(segments.export_array(node, reference), labels())


def test_names_colours_and_terminology_are_those_of_the_scheme(case):
    import slicer
    import vtk

    _, node = case
    segmentation = node.GetSegmentation()
    names = [segmentation.GetNthSegment(i).GetName() for i in range(3)]
    assert names == ["necrotic core", "oedema", "enhancing tumour"]
    enhancing = segmentation.GetSegment(ids(node)[3])
    assert enhancing.GetColor() == pytest.approx((0.9, 0.25, 0.2))
    text = vtk.reference("")
    segmentation.GetSegment(ids(node)[2]).GetTag(
        slicer.vtkSegment.GetTerminologyEntryTagName(), text
    )
    assert "SCT^79654002^Edema" in str(text)


def test_a_segment_stays_itself_when_renamed_recoloured_moved_and_edited(case):
    import slicer
    from TumorLensLib import segments

    reference, node = case
    segmentation, known = node.GetSegmentation(), ids(node)
    segmentation.GetSegment(known[3]).SetName("something bright")
    segmentation.GetSegment(known[3]).SetColor(0, 0, 0)
    segmentation.SetSegmentIndex(known[1], 2)
    array = np.array(slicer.util.arrayFromSegmentBinaryLabelmap(node, known[3], reference))
    array[:5] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, known[3], reference)
    assert segmentation.GetSegment(known[3]).GetLabelValue() != 3  # why the tag is needed
    expected = labels()
    expected[:5][expected[:5] == 3] = 0
    np.testing.assert_array_equal(segments.export_array(node, reference), expected)


def test_enhancement_wins_over_necrosis_and_necrosis_over_oedema(case):
    import slicer
    from TumorLensLib import segments

    reference, node = case
    everything = (labels() > 0).astype(np.uint8)
    for value in (1, 2, 3):
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            everything, node, ids(node)[value], reference
        )
    assert set(np.unique(segments.export_array(node, reference))) == {0, 3}


def test_a_segment_of_the_annotators_own_is_refused_by_name(case):
    from TumorLensLib import segments

    reference, node = case
    node.GetSegmentation().AddEmptySegment("", "Segment_1")
    with pytest.raises(segments.SegmentError, match="'Segment_1'"):
        segments.export_array(node, reference)


def test_tags_survive_a_file(case, tmp_path):
    import slicer
    from TumorLensLib import segments

    reference, node = case
    path = str(tmp_path / "saved.seg.nrrd")
    assert slicer.util.saveNode(node, path)
    loaded = slicer.util.loadSegmentation(path)
    np.testing.assert_array_equal(segments.export_array(loaded, reference), labels())


def test_an_empty_prediction_gives_three_editable_segments(scene):
    import slicer
    from TumorLensLib import segments, volumes

    grid = GRIDS["oblique"]
    reference = volumes.add_image(phantoms.image(grid), "case")
    empty = volumes.VolumeData(np.zeros(phantoms.SHAPE_KJI, np.uint8), grid)
    node = segments.import_labelmap(empty, reference, "subregions")
    assert sorted(ids(node)) == [1, 2, 3]
    assert segments.export_array(node, reference).sum() == 0
    painted = (labels() == 3).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, node, ids(node)[3], reference)
    np.testing.assert_array_equal(segments.export_array(node, reference), painted * 3)


def test_an_undivided_core_is_one_segment_of_value_four(scene):
    from TumorLensLib import segments, volumes

    grid = GRIDS["flipped"]
    reference = volumes.add_image(phantoms.image(grid), "case")
    core = volumes.VolumeData((labels() % 2 * 4).astype(np.uint8), grid)
    node = segments.import_labelmap(core, reference, "core")
    assert list(ids(node)) == [4]
    np.testing.assert_array_equal(segments.export_array(node, reference), core.array)


def test_a_foreign_value_is_refused_and_the_segments_stay(case):
    from TumorLensLib import segments, volumes

    reference, node = case
    foreign = volumes.VolumeData(np.full(phantoms.SHAPE_KJI, 4, np.uint8), GRIDS["oblique"])
    with pytest.raises(segments.SegmentError, match=r"\[4\]"):
        segments.import_labelmap(foreign, reference, "subregions", node)
    np.testing.assert_array_equal(segments.export_array(node, reference), labels())


def test_nothing_temporary_stays_in_the_scene(case):
    from TumorLensLib import volumes

    assert volumes.of_class("vtkMRMLLabelMapVolumeNode") == []


def test_refilling_a_segmentation_keeps_its_surface(case):
    from TumorLensLib import segments

    reference, node = case
    segments.set_surface(node, True)
    assert node.GetDisplayNode().GetVisibility3D()
    segments.import_labelmap(phantoms.labelmap(), reference, "subregions", node)
    assert node.GetSegmentation().ContainsRepresentation("Closed surface")
    segments.set_surface(node, False)
    assert not node.GetSegmentation().ContainsRepresentation("Closed surface")


def test_a_volume_moved_by_a_transform_is_refused(case):
    import slicer
    from TumorLensLib import volumes

    reference, _ = case
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    reference.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(ValueError, match="harden"):
        volumes.data_of(reference)
