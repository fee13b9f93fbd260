import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from brain_tumor.cases.files.readers import read_labelmap
from brain_tumor.errors import (
    FileFormatError,
    GeometryError,
    InputError,
    LabelError,
    VolumeError,
)
from brain_tumor.server.datastore.label_check import accept_image, accept_label, renumber

from tests.helpers.server import AFFINE, SHAPE, a_phantom, expected_labels, write_label
from tests.helpers.volumes import write_nifti


@pytest.fixture
def image(tmp_path):
    return write_nifti(tmp_path / "image.nii.gz", a_phantom(), AFFINE)


def info(*segments):
    return {"label_info": [{"name": name, "idx": index} for name, index in segments]}


def test_a_right_label_is_stored_byte_by_byte(tmp_path, image):
    path = write_label(tmp_path / "label.nii.gz")
    accepted = accept_label(path, image, {})
    assert accepted.content == path.read_bytes()
    assert (accepted.suffix, accepted.scheme) == (".nii.gz", "subregions")


def test_an_empty_label_is_a_label(tmp_path, image):
    path = write_label(tmp_path / "label.nii.gz", np.zeros(SHAPE, dtype=np.uint8))
    assert accept_label(path, image, {}).scheme == "subregions"


def test_a_float_label_with_whole_values_is_taken(tmp_path, image):
    path = write_label(tmp_path / "label.nii", expected_labels().astype(np.float32))
    assert accept_label(path, image, {}).suffix == ".nii"


def test_rounding_of_headers_is_no_other_grid(tmp_path, image):
    shifted = AFFINE.copy()
    shifted[0, 3] += 0.01
    accept_label(write_label(tmp_path / "label.nii.gz", affine=shifted), image, {})


def shifted(mm):
    affine = AFFINE.copy()
    affine[2, 3] += mm
    return affine


@pytest.mark.parametrize(
    ("labels", "affine", "error", "sentence"),
    [
        (expected_labels()[1:], AFFINE, GeometryError, r"\(15, 14, 12\) voxels; expected"),
        (expected_labels(), shifted(2.0), GeometryError, "2.00 mm away"),
        (expected_labels()[::-1].copy(), np.eye(4), GeometryError, "mm away"),
        (expected_labels() + 4, AFFINE, LabelError, r"\[4, 5, 6, 7\]"),
        (np.full(SHAPE, 300, np.int16), AFFINE, LabelError, "above 255"),
        (np.full(SHAPE, 0.5, np.float32), AFFINE, LabelError, "fractions"),
        (np.full(SHAPE, np.nan, np.float32), AFFINE, LabelError, "NaN"),
        (np.zeros((4, 5), np.uint8), AFFINE, VolumeError, "dimensions"),
        (np.zeros((4, 5, 6, 2), np.uint8), AFFINE, VolumeError, "dimensions"),
    ],
)
def test_a_wrong_label_is_refused_in_one_sentence(tmp_path, image, labels, affine, error, sentence):
    path = write_label(tmp_path / "label.nii.gz", labels, affine)
    with pytest.raises(error, match=sentence):
        accept_label(path, image, {})


def test_core_and_sub_regions_are_not_mixed(tmp_path, image):
    labels = expected_labels()
    labels[labels == 1] = 4
    with pytest.raises(LabelError, match=r"\[2, 3, 4\]"):
        accept_label(write_label(tmp_path / "label.nii.gz", labels), image, {})


def test_a_truncated_label_is_refused(tmp_path, image):
    path = write_label(tmp_path / "label.nii.gz")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FileFormatError, match=r"cut short|damaged"):
        accept_label(path, image, {})


def test_segments_are_told_by_name_not_by_number(tmp_path, image):
    # a scene that lost its first segment exports 1 = oedema, 2 = enhancing tumour
    labels = expected_labels()
    labels[labels == 1] = 3
    exported = (labels - 1) * (labels > 0)
    path = write_label(tmp_path / "label.nii.gz", exported.astype(np.uint8))
    accepted = accept_label(path, image, info(("Oedema", 1), ("enhancing tumour ", 2)))
    (tmp_path / "stored.nii.gz").write_bytes(accepted.content)
    stored, affine = read_labelmap(tmp_path / "stored.nii.gz")
    np.testing.assert_array_equal(stored, labels)
    np.testing.assert_allclose(affine, AFFINE, atol=1e-4)


def a_line(*values):
    return np.array(values, dtype=np.uint8).reshape(-1, 1, 1)


def test_values_that_fit_their_names_stay_the_very_same_array():
    line = a_line(0, 1, 2, 3)
    names = [("necrotic core", 1), ("oedema", 2), ("enhancing tumour", 3), ("tumour core", 4)]
    assert renumber(line, info(*names)["label_info"]) is line


@pytest.mark.parametrize("nothing", [None, [], {}, "x", [1], [{"idx": 1}]])
def test_without_names_the_values_stay(nothing):
    line = a_line(0, 1)
    assert renumber(line, nothing) is line


def test_swapped_names_swap_values():
    line = a_line(0, 1, 2)
    swapped = renumber(line, info(("oedema", 1), ("necrotic core", 2))["label_info"])
    assert swapped.ravel().tolist() == [0, 2, 1]


def test_the_stock_plugins_numbers_count_skipped_segments_then_positions_are_the_values():
    # background was skipped: idx says 2 and 3, the exported values are 1 and 2
    line = a_line(0, 1, 2)
    names = info(("oedema", 2), ("enhancing tumour", 3))["label_info"]
    assert renumber(line, names).ravel().tolist() == [0, 2, 3]


def test_a_sparse_list_with_true_values_is_believed():
    line = a_line(0, 3)
    assert renumber(line, info(("enhancing tumour", 3))["label_info"]) is line


def test_a_list_that_can_be_read_two_ways_is_refused():
    names = info(("necrotic core", 2), ("oedema", 3))["label_info"]
    with pytest.raises(LabelError, match="can be read as"):
        renumber(a_line(0, 2), names)


def test_a_segment_that_is_no_label_is_refused_if_it_has_voxels():
    names = info(("necrotic core", 1), ("my notes", 2))["label_info"]
    assert renumber(a_line(0, 1), names).ravel().tolist() == [0, 1]
    with pytest.raises(LabelError, match="my notes"):
        renumber(a_line(0, 1, 2), names)


def stored(tmp_path, accepted):
    path = tmp_path / f"stored{accepted.suffix}"
    path.write_bytes(accepted.content)
    return read_labelmap(path)


def segmentation(path, array, affine):
    """A .seg.nrrd that numbers oedema 1, enhancing tumour 2 and necrotic core 3."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    header = {"space": "LPS", "space directions": lps[:3, :3].T, "space origin": lps[:3, 3]}
    for n, (name, value) in enumerate((("edema", 1), ("enhancing tumor", 2), ("necrosis", 3))):
        header |= {f"Segment{n}_Name": name, f"Segment{n}_LabelValue": str(value)}
    nrrd.write(str(path), np.choose(array, [0, 3, 1, 2]).astype(np.uint8), header)
    return path


def test_a_cropped_segmentation_is_padded_to_its_volume(tmp_path, image):
    box = (slice(2, 11), slice(1, 12), slice(3, 10))
    cropped = AFFINE.copy()
    cropped[:3, 3] += AFFINE[:3, :3] @ [2, 1, 3]
    path = segmentation(tmp_path / "l.nrrd", expected_labels()[box], cropped)
    labels, affine = stored(tmp_path, accept_label(path, image, {}))
    np.testing.assert_array_equal(labels, expected_labels())
    np.testing.assert_allclose(affine, AFFINE, atol=1e-4)


def test_a_larger_segmentation_is_cropped_unless_voxels_would_be_lost(tmp_path, image):
    wide = AFFINE.copy()
    wide[:3, 3] -= AFFINE[:3, :3] @ [2, 2, 2]
    array = np.pad(expected_labels(), 2)
    path = segmentation(tmp_path / "l.nrrd", array, wide)
    np.testing.assert_array_equal(
        stored(tmp_path, accept_label(path, image, {}))[0], expected_labels()
    )
    array[0, 0, :3] = 1
    with pytest.raises(GeometryError, match="3 voxels outside its volume"):
        accept_label(segmentation(tmp_path / "m.nrrd", array, wide), image, {})


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 1, 0), (2, 0, 1)])
def test_a_label_in_another_axis_order_is_turned_without_loss(tmp_path, image, axes):
    turned = np.eye(4)[[*axes, 3]].T
    turned[:, 0] *= -1  # the first new axis runs backwards
    turned[axes[0], 3] = SHAPE[axes[0]] - 1
    labels = expected_labels().transpose(axes)[::-1]
    path = write_label(tmp_path / "label.nii.gz", np.ascontiguousarray(labels), AFFINE @ turned)
    found, affine = stored(tmp_path, accept_label(path, image, {}))
    np.testing.assert_array_equal(found, expected_labels())
    np.testing.assert_allclose(affine, AFFINE, atol=1e-4)


def test_brats_numbers_are_converted_when_the_request_says_so(tmp_path, image):
    brats = expected_labels()
    brats[brats == 3] = 4
    path = write_label(tmp_path / "label.nii.gz", brats)
    with pytest.raises(LabelError, match=r"\[1, 2, 4\]") as refused:
        accept_label(path, image, {})
    assert '"numbering": "brats"' in refused.value.remedy
    found, _ = stored(tmp_path, accept_label(path, image, {"numbering": "brats"}))
    np.testing.assert_array_equal(found, expected_labels())
    with pytest.raises(InputError, match="numbering is 'mine'"):
        accept_label(path, image, {"numbering": "mine"})


def test_four_alone_is_asked_about(tmp_path, image):
    path = write_label(tmp_path / "label.nii.gz", (expected_labels() == 3).astype(np.uint8) * 4)
    with pytest.raises(LabelError, match="only the value 4"):
        accept_label(path, image, {})
    found, _ = stored(tmp_path, accept_label(path, image, {"numbering": "brats"}))
    assert set(np.unique(found)) == {0, 3}
    for told in ({"numbering": "tumorlens"}, {"proposed_by": {"name": "tumor_core"}}):
        assert accept_label(path, image, told).scheme == "core"
    assert accept_label(path, image, info(("tumour core", 4))).scheme == "core"


def test_an_uploaded_volume_that_itk_could_not_open_is_stored_perpendicular(tmp_path):
    sheared = np.diag([1.0, 1.0, 3.0, 1.0])
    sheared[0, 2] = 1.2
    path = write_nifti(tmp_path / "image.nii.gz", a_phantom(), sheared)
    accepted = accept_image(path)
    assert "perpendicular" in accepted.warnings[0]
    (tmp_path / "stored.nii.gz").write_bytes(accepted.content)
    assert sitk.ReadImage(str(tmp_path / "stored.nii.gz")).GetSpacing() == (1.0, 1.0, 3.0)
    plain = write_nifti(tmp_path / "plain.nii.gz", a_phantom(), AFFINE)
    assert accept_image(plain).content is None
