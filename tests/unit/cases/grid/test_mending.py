"""Volumes that are not quite in order: read right, or told."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from brain_tumor.cases.files.readers import read_volume, read_volume_with_warnings
from brain_tumor.cases.grid.mending import on_perpendicular_axes, with_background, without_outliers
from brain_tumor.cases.loading import load_case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.studies import import_cases
from brain_tumor.errors import VolumeError

from tests.helpers.dicom import write_dicom_series
from tests.helpers.volumes import SHAPE, grid, ramp_values, write_nifti

HEAD = (40, 48, 36)
BALL = sum((i - n / 2) ** 2 for i, n in zip(np.indices(HEAD), HEAD, strict=True)) < 15**2


def a_head(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(300, 30, HEAD)
    return np.where(BALL, noise, 0).astype(np.float32)


def test_nan_around_the_head_is_background() -> None:
    head = a_head()
    filled, warnings = with_background(np.where(BALL, head, np.nan).astype(np.float32))
    np.testing.assert_array_equal(filled, head)
    assert warnings[0].startswith(f"{(~BALL).sum()} voxels without a number")


def test_infinity_around_the_head_and_values_below_zero_keep_their_order() -> None:
    head = a_head() - 500
    filled, _ = with_background(np.where(BALL, head, -np.inf).astype(np.float32))
    assert (filled[~BALL] == head[BALL].min()).all()
    np.testing.assert_array_equal(filled[BALL], head[BALL])


def test_a_few_holes_of_the_mask_are_background_too() -> None:
    head = a_head()
    holed = np.where(BALL, head, np.nan)
    holed[20, 24, 18] = np.nan
    filled, _ = with_background(holed.astype(np.float32))
    assert filled[20, 24, 18] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_inside_the_head_must_be_numbers(value: float) -> None:
    head = a_head()
    head[19:22, 24, 18] = value
    with pytest.raises(VolumeError, match="3 voxels that are NaN or infinite"):
        with_background(head)


@pytest.mark.parametrize("value", [1e6, -1e6, 1e8])
@pytest.mark.parametrize("count", [1, 20])
def test_voxels_of_impossible_brightness_are_like_their_surroundings(
    value: float, count: int
) -> None:
    head = a_head()
    spoilt = head.copy()
    places = np.argwhere(BALL)[:: BALL.sum() // count][:count]
    spoilt[tuple(places.T)] = value
    mended, found = without_outliers(spoilt)
    assert found == count
    same = np.ones(HEAD, dtype=bool)
    same[tuple(places.T)] = False
    np.testing.assert_array_equal(mended[same], head[same])
    assert np.abs(mended[~same]).max() < 500


def test_a_volume_of_anatomy_is_left_alone() -> None:
    head = a_head()
    head[20:23, 20:23, 18] = 2000  # a vessel
    mended, found = without_outliers(head)
    assert found == 0
    assert mended is head


def test_a_case_says_that_an_outlier_was_replaced(tmp_path: Path) -> None:
    head = a_head()
    head[20, 20, 20] = 1e6
    write_nifti(tmp_path / "a_t1c.nii.gz", head, grid((4, 4, 4)))
    loaded = load_case(tmp_path / "a_t1c.nii.gz")
    assert loaded.case.volumes[Sequence.T1C].array.max() < 600
    assert loaded.warnings == (
        "t1c: 1 voxels of impossible brightness were replaced by their surroundings",
    )


@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("shear", [0.1, -0.4])
def test_a_sheared_ramp_keeps_its_values_on_perpendicular_axes(
    axes: tuple[int, int], shear: float
) -> None:
    affine = grid((1.0, 1.2, 3.0), (5.0, -6.0, 7.0), euler_degrees=(5.0, 10.0, 15.0))
    affine[:3, axes[1]] += shear * affine[:3, axes[0]]
    values = (ramp_values(SHAPE, affine) + 1000).astype(np.float32)
    array, upright, warnings = on_perpendicular_axes(values, affine)
    directions = upright[:3, :3] / np.linalg.norm(upright[:3, :3], axis=0)
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-12)
    inside = array > 0
    expected = ramp_values(array.shape, upright) + 1000
    core = np.linalg.inv(affine) @ upright
    index = np.stack([*np.indices(array.shape), np.ones(array.shape)], -1) @ core.T
    deep = ((index[..., :3] >= 0) & (index[..., :3] <= np.array(SHAPE) - 1)).all(-1)
    assert deep.sum() > 0.5 * np.prod(SHAPE) * abs(np.linalg.det(affine[:3, :3])) / abs(
        np.linalg.det(upright[:3, :3])
    ) - np.prod(array.shape[:2])
    np.testing.assert_allclose(array[deep], expected[deep], rtol=1e-5)
    assert inside[deep].all()
    assert "perpendicular" in warnings[0]


def test_a_shear_that_moves_nothing_is_taken_out_of_the_affine() -> None:
    affine = grid((1.0, 1.0, 1.0))
    affine[0, 1] = 5e-4  # 5 micrometres over 10 voxels
    values = ramp_values(SHAPE, affine).astype(np.float32)
    array, upright, warnings = on_perpendicular_axes(values, affine)
    assert array is values
    assert warnings == ()
    assert upright[0, 1] == 0


def test_what_is_imported_from_sheared_files_opens_in_itk(tmp_path: Path) -> None:
    sheared = grid((1.0, 1.0, 3.0))
    sheared[0, 2] = 1.2
    values = (ramp_values(SHAPE, sheared) + 1000).astype(np.uint16)
    write_dicom_series(tmp_path / "in" / "a" / "dicom", values, sheared)
    write_nifti(tmp_path / "in" / "b" / "t1c.nii.gz", values.astype(np.int16), sheared)
    reports = import_cases(tmp_path / "in", tmp_path / "studies")
    assert [r.status.value for r in reports] == ["imported", "imported"]
    assert all("not perpendicular" in " ".join(r.warnings) for r in reports)
    for path in (tmp_path / "studies").glob("*.nii.gz"):
        image = sitk.ReadImage(str(path))
        assert image.GetSpacing() == pytest.approx((1.0, 1.0, 3.0))


def test_a_zero_sform_beside_a_qform_gives_way_to_it(tmp_path: Path) -> None:
    affine = grid((2.0, 2.0, 2.0), (-30.0, 40.0, 50.0))
    image = nib.Nifti1Image(a_head().astype(np.int16), affine)
    image.set_qform(affine, code=1)
    image.header["sform_code"], image.header["vox_offset"] = 1, 352
    image.header["magic"] = b"n+1"
    for row in ("srow_x", "srow_y", "srow_z"):
        image.header[row] = 0
    path = tmp_path / "a.nii.gz"
    path.write_bytes(
        gzip.compress(
            image.header.binaryblock + bytes(4) + a_head().astype("<i2").tobytes(order="F")
        )
    )
    read = read_volume_with_warnings(path)
    np.testing.assert_allclose(read.volume.affine, affine, atol=1e-6)
    assert read.warnings == ("the sform of the header is zero; its qform is used",)


@pytest.mark.parametrize("shape", [(1, *HEAD), (*HEAD[:2], 1, HEAD[2]), (*HEAD, 1, 1)])
def test_axes_of_one_voxel_are_left_out(tmp_path: Path, shape: tuple[int, ...]) -> None:
    affine = grid((4.0, 4.0, 4.0))
    path = write_nifti(tmp_path / "a.nii.gz", a_head().reshape(shape), affine)
    read = read_volume_with_warnings(path)
    np.testing.assert_array_equal(read.volume.array, a_head())
    np.testing.assert_array_equal(read.volume.affine, affine)
    assert len(read.warnings) == (0 if shape[:3] == HEAD else 1)


@pytest.mark.parametrize(
    ("unit", "spacing", "expected_mm", "told"),
    [
        ("micron", 4000.0, 4.0, ()),
        ("meter", 0.004, 4.0, ()),
        ("mm", 4.0, 4.0, ()),
        ("meter", 4.0, 4.0, ("the header gives lengths in meter, which no head has",)),
        ("micron", 4.0, 4.0, ("the header gives lengths in micron, which no head has",)),
        ("mm", 0.4, 0.4, ("the volume measures 1.9 cm; a head has about 20 cm",)),
        ("mm", 40.0, 40.0, ("the volume measures 192.0 cm; a head has about 20 cm",)),
    ],
)
def test_units_and_head_sizes_are_read_right_or_told(
    tmp_path: Path, unit: str, spacing: float, expected_mm: float, told: tuple[str, ...]
) -> None:
    image = nib.Nifti1Image(a_head(), grid((spacing,) * 3))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii.gz")
    read = read_volume_with_warnings(tmp_path / "a.nii.gz")
    assert read.volume.spacing_mm == pytest.approx((expected_mm,) * 3, rel=1e-5)
    assert len(read.warnings) == len(told)
    assert all(said.startswith(begin) for said, begin in zip(read.warnings, told, strict=True))


def test_a_registered_volume_with_nan_background_is_a_case(tmp_path: Path) -> None:
    write_nifti(tmp_path / "t1c.nii.gz", np.where(BALL, a_head(), np.nan), grid((4, 4, 4)))
    np.testing.assert_allclose(read_volume(tmp_path / "t1c.nii.gz").array, a_head(), rtol=1e-6)
