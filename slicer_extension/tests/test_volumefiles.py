"""Volume files against nibabel and pynrrd, which read and wrote them independently."""

import gzip

import nibabel as nib
import nrrd
import numpy as np
import pytest
from TumorLensLib.volumefiles import VolumeData, VolumeFileError, read_volume, write_nrrd

from slicer_extension.tests import phantoms
from slicer_extension.tests.phantoms import GRIDS

KINDS = ["uint8", "int16", "uint16", "int32", "float32", "float64"]


def a_volume(kind="int16", grid="oblique"):
    array = np.arange(2 * 3 * 4, dtype=kind).reshape(2, 3, 4)
    return VolumeData(array, GRIDS[grid])


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", KINDS)
def test_nrrd_survives_to_the_last_bit(kind, grid):
    volume = a_volume(kind, grid)
    back = read_volume(write_nrrd(volume))
    assert back.array.dtype == volume.array.dtype
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_array_equal(back.ijk_to_ras, volume.ijk_to_ras)


@pytest.mark.parametrize("grid", GRIDS)
def test_pynrrd_reads_what_is_written(grid, tmp_path):
    volume = a_volume(grid=grid)
    (tmp_path / "a.nrrd").write_bytes(write_nrrd(volume))
    array, header = nrrd.read(str(tmp_path / "a.nrrd"))
    np.testing.assert_array_equal(array, volume.array.T)
    lps = np.diag([-1, -1, 1])
    np.testing.assert_allclose(header["space directions"].T, lps @ volume.ijk_to_ras[:3, :3])
    np.testing.assert_allclose(header["space origin"], lps @ volume.ijk_to_ras[:3, 3])


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior"])
def test_what_pynrrd_writes_is_read(encoding, space, tmp_path):
    volume = a_volume("float32")
    sign = np.diag([-1, -1, 1] if space.startswith("left") else [1, 1, 1])
    header = {
        "space": space,
        "space directions": (sign @ volume.ijk_to_ras[:3, :3]).T,
        "space origin": sign @ volume.ijk_to_ras[:3, 3],
        "encoding": encoding,
    }
    nrrd.write(str(tmp_path / "a.nrrd"), volume.array.T, header)
    back = read_volume((tmp_path / "a.nrrd").read_bytes())
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("form", ["sform", "qform"])
def test_what_nibabel_writes_is_read(grid, suffix, form, tmp_path):
    volume = a_volume(grid=grid)
    image = nib.Nifti1Image(volume.array.T, volume.ijk_to_ras)
    if form == "qform":
        image.set_qform(volume.ijk_to_ras, 1)
        image.set_sform(None, 0)
    path = tmp_path / f"a{suffix}"
    nib.save(image, path)
    back = read_volume(path.read_bytes())
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-5)


def test_the_scale_of_a_nifti_header_is_applied(tmp_path):
    image = nib.Nifti1Image(np.array([[[0, 255]]], np.uint8), np.eye(4))
    image.header.set_slope_inter(1 / 255, 0.5)
    nib.save(image, tmp_path / "a.nii")
    expected = nib.load(tmp_path / "a.nii").get_fdata().T
    np.testing.assert_allclose(read_volume((tmp_path / "a.nii").read_bytes()).array, expected)


def test_a_big_endian_file_is_read(tmp_path):
    array = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    header = nib.Nifti1Header(endianness=">")
    image = nib.Nifti1Image(array.T, np.eye(4), header)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_array_equal(read_volume((tmp_path / "a.nii").read_bytes()).array, array)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "neither NRRD nor NIfTI"),
        (b"PK\x03\x04" + b"0" * 400, "neither NRRD nor NIfTI"),
        (b"NRRD0004\ntype: float\n", "no end"),
        (write_nrrd(a_volume())[:-30], "cannot be read"),
        (gzip.compress(b"0" * 400)[:-5], "cannot be read"),
        (write_nrrd(a_volume()).replace(b"dimension: 3", b"data file: x"), "another file"),
        (write_nrrd(a_volume()).replace(b"sizes: 4 3 2", b"sizes: 4 3 9"), "torn"),
        (write_nrrd(a_volume()).replace(b"sizes: 4 3 2", b"sizes: 9999 9999 9999"), "at most"),
        (write_nrrd(a_volume()).replace(b"sizes: 4 3 2", b"sizes: 4 6"), "2 axes"),
    ],
)
def test_what_is_no_volume_is_refused_with_the_reason(content, why):
    with pytest.raises(VolumeFileError, match=why):
        read_volume(content)


def test_voxel_sizes_are_the_lengths_of_the_axes():
    assert phantoms.image().spacing_mm == pytest.approx((1.0, 2.0, 2.5))
