from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from brain_tumor.cases.files.dicom_headers import read_identity
from brain_tumor.cases.files.dicom_scan import find_series, scan_dicom
from brain_tumor.cases.files.dicom_series import read_series
from brain_tumor.cases.files.readers import read_volume
from brain_tumor.cases.sequences import Sequence
from brain_tumor.errors import FileFormatError, GeometryError, InputError, SequenceError
from pydicom.data import get_testdata_file

from tests.helpers.dicom import LPS, write_dicom_series, write_enhanced_dicom
from tests.helpers.volumes import GRIDS, SHAPE, grid, ramp_values

RIGHT_HANDED = {n: a for n, a in GRIDS.items() if np.linalg.det(LPS[:3, :3] @ a[:3, :3]) > 0}
every_grid = pytest.mark.parametrize("affine", RIGHT_HANDED.values(), ids=RIGHT_HANDED.keys())
VALUES = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
AFFINE = RIGHT_HANDED["oblique"]


@every_grid
def test_a_series_has_its_voxels_and_its_ras_affine(tmp_path: Path, affine: np.ndarray) -> None:
    write_dicom_series(tmp_path / "a", VALUES, affine)
    volume = read_volume(tmp_path / "a")
    np.testing.assert_array_equal(volume.array, VALUES)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)


def test_a_ramp_in_world_mm_is_where_the_series_says(tmp_path: Path) -> None:
    values = ramp_values(SHAPE, AFFINE) + 1000
    write_dicom_series(tmp_path / "a", np.rint(values * 10).astype(np.uint16), AFFINE)
    volume = read_volume(tmp_path / "a")
    expected = ramp_values(volume.shape, volume.affine) + 1000
    np.testing.assert_allclose(volume.array / 10, expected, atol=0.051)


def test_simpleitk_places_the_series_at_the_same_points(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "a", VALUES, AFFINE)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "a"))
    image = sitk.ReadImage(names)
    volume = read_volume(tmp_path / "a")
    for index in [(0, 0, 0), (8, 0, 0), (0, 10, 0), (0, 0, 6), (8, 10, 6)]:
        ras = (volume.affine @ [*index, 1.0])[:3]
        found = image.TransformPhysicalPointToIndex((LPS[:3, :3] @ ras).tolist())
        assert image[found] == volume.array[index]


def test_left_handed_voxel_order_is_turned_into_slice_order(tmp_path: Path) -> None:
    affine = grid((1.0, 1.0, 2.0), flips=(1, 1, 1))  # RAS: K runs against the slice normal of LPS
    affine[:3, 0] *= -1
    write_dicom_series(tmp_path / "a", VALUES, affine)
    volume = read_volume(tmp_path / "a")
    np.testing.assert_array_equal(volume.array, VALUES[:, :, ::-1])
    assert volume.affine[:3, 2].tolist() == [0.0, 0.0, -2.0]
    assert volume.affine[:3, 3].tolist() == [0.0, 0.0, 12.0]


def test_the_rescale_slope_of_every_slice_is_applied(tmp_path: Path) -> None:
    write_dicom_series(
        tmp_path / "a", VALUES, AFFINE, RescaleSlope=lambda k: 0.5 * (k + 1), RescaleIntercept=-3
    )
    volume = read_volume(tmp_path / "a")
    np.testing.assert_allclose(volume.array, VALUES * 0.5 * np.arange(1, 8) - 3, rtol=1e-6)


def test_an_enhanced_file_with_frames_in_any_order_is_read(tmp_path: Path) -> None:
    path = write_enhanced_dicom(tmp_path / "a" / "e.dcm", VALUES, AFFINE, [3, 1, 6, 0, 5, 2, 4])
    for source in (path, path.parent):
        volume = read_volume(source)
        np.testing.assert_array_equal(volume.array, VALUES)
        np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)


def test_a_single_slice_takes_its_thickness_from_the_header(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "a", VALUES[:, :, :1], AFFINE)
    volume = read_volume(tmp_path / "a")
    assert volume.shape == (9, 11, 1)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)


@pytest.mark.parametrize("kind", ["RLE", "jp2klossless", "jpeg_ls_lossless", "bigendian"])
def test_compressed_files_hold_the_same_voxels(kind: str) -> None:
    plain = get_testdata_file("MR_small.dcm", download=False)
    packed = get_testdata_file(f"MR_small_{kind}.dcm", download=False)
    assert isinstance(plain, str)
    assert isinstance(packed, str)
    expected = pydicom.dcmread(plain).pixel_array.T[:, :, None]
    np.testing.assert_array_equal(read_volume(Path(packed)).array, expected)


def test_several_series_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, VALUES, AFFINE, description="AX T1 POST", number=5)
    write_dicom_series(tmp_path, VALUES[:, :, ::-1], AFFINE, description="AX T2 FLAIR", number=3)
    write_dicom_series(tmp_path, VALUES, AFFINE, description="ADC", number=9)
    found = find_series(tmp_path)
    assert [s.sequence for s in found] == [Sequence.FLAIR, Sequence.T1C, None]
    assert [s.is_other for s in found] == [False, False, True]
    np.testing.assert_array_equal(read_series(found[0]).array, VALUES[:, :, ::-1])
    np.testing.assert_array_equal(read_series(found[1]).array, VALUES)
    with pytest.raises(SequenceError, match="holds 3 DICOM MR series; expected 1") as refused:
        read_volume(tmp_path)
    assert "series 5 (AX T1 POST)" in refused.value.remedy


def test_the_contrast_agent_in_the_header_makes_a_t1_contrast_enhanced(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, VALUES, AFFINE, description="AX T1", number=1)
    write_dicom_series(
        tmp_path, VALUES, AFFINE, description="AX T1", number=2, ContrastBolusAgent="Gadovist"
    )
    assert [s.sequence for s in find_series(tmp_path)] == [Sequence.T1, Sequence.T1C]


def test_a_series_without_description_is_named_by_its_folder(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "T2_TSE", VALUES, AFFINE, description="")
    assert find_series(tmp_path)[0].sequence is Sequence.T2


def test_two_echoes_of_one_series_are_two_volumes(tmp_path: Path) -> None:
    first = write_dicom_series(tmp_path / "a", VALUES, AFFINE, EchoTime=20)
    second = write_dicom_series(tmp_path / "b", VALUES, AFFINE, EchoTime=90)
    uid = pydicom.dcmread(first[0]).SeriesInstanceUID
    for path in second:
        header = pydicom.dcmread(path)
        header.SeriesInstanceUID = uid
        header.save_as(path)
    assert [len(s.slices) for s in find_series(tmp_path)] == [7, 7]


def test_localizers_are_no_sequence(tmp_path: Path) -> None:
    image_type = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    write_dicom_series(tmp_path, VALUES, AFFINE, description="T1", ImageType=image_type)
    found = find_series(tmp_path)
    assert found[0].is_other
    assert found[0].sequence is None


def test_other_modalities_and_other_files_are_passed_over(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "ct", VALUES, AFFINE, Modality="CT")
    (tmp_path / "notes.txt").write_text("T1", encoding="utf-8")
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    assert find_series(tmp_path) == []


def test_a_missing_slice_is_refused(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, VALUES, AFFINE)[3].unlink()
    with pytest.raises(GeometryError, match=r"not evenly spaced \(distances 3.00 to 6.00 mm\)"):
        read_volume(tmp_path)


def test_an_image_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    paths = write_dicom_series(tmp_path, VALUES, AFFINE)
    (tmp_path / "copy.dcm").write_bytes(paths[2].read_bytes())
    np.testing.assert_array_equal(read_volume(tmp_path).array, VALUES)
    assert len(scan_dicom(tmp_path).repeated) == 1


def test_two_different_images_at_one_place_are_refused(tmp_path: Path) -> None:
    paths = write_dicom_series(tmp_path, VALUES, AFFINE)
    header = pydicom.dcmread(paths[2])
    header.PixelData = bytes(len(header.PixelData))
    header.save_as(tmp_path / "other.dcm")
    with pytest.raises(GeometryError, match="several images at one place"):
        read_volume(tmp_path)


def test_slices_that_jitter_a_little_are_a_stack(tmp_path: Path) -> None:
    def position(k: int) -> list[float]:
        return [*(LPS @ grid((1, 1, 3)) @ [0, 0, k, 1])[:2].tolist(), 3.0 * k + 0.02 * (-1) ** k]

    write_dicom_series(tmp_path, VALUES, grid((1, 1, 3)), ImagePositionPatient=position)
    assert read_volume(tmp_path).spacing_mm[2] == pytest.approx(3.0, abs=0.01)


def test_directions_that_are_not_perpendicular_are_refused(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, VALUES, AFFINE, ImageOrientationPatient=[1, 0, 0, 0.6, 0.8, 0])
    with pytest.raises(GeometryError, match="perpendicular"):
        read_volume(tmp_path)


@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_a_file_cut_short_is_refused(tmp_path: Path, kept: float) -> None:
    path = write_dicom_series(tmp_path, VALUES, AFFINE)[2]
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError):
        read_volume(tmp_path)


def test_a_dicom_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + b"garbage" * 100)
    with pytest.raises(FileFormatError, match="no MR image"):
        read_volume(path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="holds 0 DICOM MR series"):
        read_volume(tmp_path)


def test_identity_is_read_for_comparison(tmp_path: Path) -> None:
    path = write_dicom_series(tmp_path, VALUES, AFFINE)[0]
    identity = read_identity(path)
    assert identity.texts == {"doe", "jane", "h123456"}
    assert not identity.is_removed
    path = write_dicom_series(tmp_path, VALUES, AFFINE, PatientIdentityRemoved="YES")[0]
    assert read_identity(path).is_removed
