from __future__ import annotations

from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from brain_tumor.cases.files import durable
from brain_tumor.cases.files.readers import read_labelmap, read_volume
from brain_tumor.cases.files.writers import (
    encode_volume,
    lossless,
    write_labelmap,
    write_scalar_map,
    write_volume,
)
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import (
    FileFormatError,
    GeometryError,
    InputError,
    LabelError,
    StorageError,
    VolumeError,
)

from tests.helpers.volumes import GRIDS, SHAPE, a_counted_volume, grid

every_grid = pytest.mark.parametrize("affine", GRIDS.values(), ids=GRIDS.keys())
every_suffix = pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd"])
LABELS = (np.arange(np.prod(SHAPE)) % 5).astype(np.uint8).reshape(SHAPE)


def image_affine(image: sitk.Image) -> np.ndarray:
    """Voxel to RAS+ mm of a 3-D SimpleITK image, which itself speaks LPS+."""
    affine = np.eye(4)
    direction = np.asarray(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = direction * np.asarray(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


@every_grid
@every_suffix
def test_itk_reads_a_written_labelmap_at_the_same_points(
    tmp_path: Path, affine: np.ndarray, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    write_labelmap(path, LABELS, affine)
    image = sitk.ReadImage(str(path))
    assert image.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, LABELS)
    np.testing.assert_allclose(image_affine(image), affine, atol=1e-4)
    # one voxel by hand: LPS is RAS with the first two signs turned
    x, y, z = (affine @ [8, 10, 6, 1])[:3]
    found = image.TransformPhysicalPointToContinuousIndex((-x, -y, z))
    np.testing.assert_allclose(found, (8, 10, 6), atol=1e-3)


@every_grid
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nibabel_reads_a_written_labelmap_by_sform_and_by_qform(
    tmp_path: Path, affine: np.ndarray, suffix: str
) -> None:
    write_labelmap(tmp_path / f"a{suffix}", LABELS, affine)
    image = nib.load(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(np.asarray(image.dataobj), LABELS)
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_allclose(image.get_sform(), affine, atol=1e-5)
    np.testing.assert_allclose(image.get_qform(), affine, atol=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"


@every_grid
@every_suffix
def test_a_labelmap_comes_back_as_it_was_written(
    tmp_path: Path, affine: np.ndarray, suffix: str
) -> None:
    write_labelmap(tmp_path / f"a{suffix}", np.asfortranarray(LABELS), affine)
    labels, found = read_labelmap(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_allclose(found, affine, atol=1e-5)


def test_nrrd_keeps_the_affine_to_the_last_bit(tmp_path: Path) -> None:
    write_labelmap(tmp_path / "a.nrrd", LABELS, GRIDS["oblique"])
    np.testing.assert_array_equal(read_labelmap(tmp_path / "a.nrrd")[1], GRIDS["oblique"])


def test_an_affine_that_came_from_nifti_goes_back_exactly(tmp_path: Path) -> None:
    affine = GRIDS["oblique"].astype(np.float32).astype(np.float64)
    write_volume(tmp_path / "a.nii.gz", a_counted_volume(affine=affine))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz").affine, affine)


def test_a_sheared_grid_has_no_qform(tmp_path: Path) -> None:
    sheared = grid()
    sheared[0, 1] = 0.3
    write_labelmap(tmp_path / "a.nii", LABELS, sheared)
    header = nib.load(tmp_path / "a.nii").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)
    np.testing.assert_allclose(read_labelmap(tmp_path / "a.nii")[1], sheared, atol=1e-6)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_scalar_map_in_nifti_reads_back_as_0_to_1(tmp_path: Path, suffix: str) -> None:
    values = np.linspace(0.0, 1.0, LABELS.size, dtype=np.float32).reshape(SHAPE)
    path = tmp_path / f"a{suffix}"
    write_scalar_map(path, values, GRIDS["oblique"])
    assert nib.load(path).get_data_dtype() == np.uint8
    np.testing.assert_allclose(nib.load(path).get_fdata(), values, atol=1 / 509)
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T, values, atol=1 / 509
    )
    assert read_volume(path).array.max() == pytest.approx(1.0, abs=1e-6)


def test_a_scalar_map_in_nrrd_states_its_scale(tmp_path: Path) -> None:
    values = np.zeros(SHAPE, np.float32)
    values[1, 2, 3], values[4, 5, 6] = 1.0, 0.2
    write_scalar_map(tmp_path / "a.nrrd", values, GRIDS["flipped"])
    array, header = nrrd.read(str(tmp_path / "a.nrrd"))
    assert array.dtype == np.uint8
    assert (array[1, 2, 3], array[4, 5, 6], array[0, 0, 0]) == (255, 51, 0)
    assert float(header["tumorlens_scale"]) == 1 / 255


@pytest.mark.parametrize("value", [-0.01, 1.01, np.nan])
def test_a_scalar_map_outside_0_to_1_is_refused(tmp_path: Path, value: float) -> None:
    values = np.zeros(SHAPE, np.float32)
    values[0, 0, 0] = value
    with pytest.raises(VolumeError, match="expected 0 to 1"):
        write_scalar_map(tmp_path / "a.nrrd", values, np.eye(4))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("labels", "affine", "name", "error"),
    [
        (LABELS.astype(np.float32), np.eye(4), "a.nii.gz", LabelError),
        (LABELS.astype(np.int16) - 1, np.eye(4), "a.nii.gz", LabelError),
        (LABELS.astype(np.int16) + 252, np.eye(4), "a.nii.gz", LabelError),
        (LABELS[0], np.eye(4), "a.nii.gz", VolumeError),
        (LABELS, np.full((4, 4), np.nan), "a.nrrd", GeometryError),
        (LABELS, np.zeros((4, 4)), "a.nrrd", GeometryError),
        (LABELS, np.eye(4), "a.txt", FileFormatError),
        (np.zeros((40000, 1, 1), np.uint8), np.eye(4), "a.nii", GeometryError),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_no_file(
    tmp_path: Path, labels: np.ndarray, affine: np.ndarray, name: str, error: type[InputError]
) -> None:
    with pytest.raises(error):
        write_labelmap(tmp_path / name, labels, affine)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 32767], np.int16),
        ([-5, 0, 7], np.int16),
        ([0, 1, 65535], np.uint16),
        ([-1, 0, 40000], np.float32),
        ([0, 0.5, 1], np.float32),
        ([0, 1, 70000], np.float32),
    ],
)
def test_the_smallest_lossless_type_is_chosen(values: list[float], kind: type) -> None:
    array = np.array(values, np.float32).reshape(3, 1, 1)
    assert lossless(array).dtype == kind
    np.testing.assert_array_equal(lossless(array), array)


@every_suffix
@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_a_volume_is_written_without_loss(tmp_path: Path, suffix: str, scale: float) -> None:
    volume = Volume(a_counted_volume().array * np.float32(scale) - 3, GRIDS["sagittal"])
    write_volume(tmp_path / f"a{suffix}", volume)
    np.testing.assert_array_equal(read_volume(tmp_path / f"a{suffix}").array, volume.array)


@every_suffix
def test_equal_volumes_are_equal_files(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encode_volume(a_counted_volume(), suffix)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert encode_volume(a_counted_volume(), suffix) == first
    assert b"on 20" not in first


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.nii.gz"
    write_labelmap(path, LABELS, np.eye(4))
    before = path.read_bytes()

    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write_synced", full)
    with pytest.raises(StorageError, match=r"'a\.nii\.gz' cannot be stored: the disk is full"):
        write_labelmap(path, LABELS * 0, np.eye(4))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
