from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from brain_tumor.cases.files import stored
from brain_tumor.cases.files.readers import (
    read_channels,
    read_labelmap,
    read_slice,
    read_volume,
    read_volume_with_warnings,
)
from brain_tumor.errors import (
    FileFormatError,
    GeometryError,
    InputError,
    LabelError,
    SequenceError,
    VolumeError,
)
from PIL import Image

from tests.helpers.volumes import GRIDS, SHAPE, a_counted_volume, a_ramp, grid, write_nifti

every_grid = pytest.mark.parametrize("affine", GRIDS.values(), ids=GRIDS.keys())
COUNTED = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)


def save_with_itk(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    """Array with an affine in RAS+ mm as ITK writes it, which speaks LPS+."""
    image = sitk.GetImageFromArray(array.T)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    lengths = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(lengths.tolist())
    image.SetDirection((lps[:3, :3] / lengths).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


@every_grid
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_file_written_by_itk_has_its_voxels_and_its_ras_affine(
    tmp_path: Path, affine: np.ndarray, suffix: str
) -> None:
    volume = read_volume(save_with_itk(tmp_path / f"a{suffix}", COUNTED, affine))
    np.testing.assert_array_equal(volume.array, COUNTED)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-4)
    assert volume.array.dtype == np.float32


@every_grid
def test_a_nifti_file_is_read_as_nibabel_reads_it(tmp_path: Path, affine: np.ndarray) -> None:
    path = write_nifti(tmp_path / "a.nii.gz", COUNTED, affine)
    volume, loaded = read_volume(path), nib.load(path)
    np.testing.assert_array_equal(volume.array, loaded.get_fdata())
    np.testing.assert_array_equal(volume.affine, loaded.affine)


def test_the_scale_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image(COUNTED, np.eye(4))
    image.to_filename(tmp_path / "a.nii")
    header = nib.Nifti1Header((tmp_path / "a.nii").read_bytes()[:348])
    header["scl_slope"], header["scl_inter"] = 0.5, -10.0
    content = header.binaryblock + (tmp_path / "a.nii").read_bytes()[348:]
    (tmp_path / "a.nii").write_bytes(content)
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.array, COUNTED * 0.5 - 10.0)


def test_a_big_endian_file_and_a_nifti2_file_are_read(tmp_path: Path) -> None:
    big = nib.Nifti1Image(COUNTED, np.eye(4), nib.Nifti1Header(endianness=">"))
    nib.save(big, tmp_path / "big.nii.gz")
    nib.save(nib.Nifti2Image(COUNTED, GRIDS["oblique"]), tmp_path / "two.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "big.nii.gz").array, COUNTED)
    two = read_volume(tmp_path / "two.nii.gz")
    np.testing.assert_array_equal(two.array, COUNTED)
    np.testing.assert_allclose(two.affine, GRIDS["oblique"], atol=1e-12)


def test_compression_is_recognised_by_content(tmp_path: Path) -> None:
    packed = write_nifti(tmp_path / "a.nii.gz", COUNTED)
    packed.rename(tmp_path / "b.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "b.nii").array, COUNTED)


def test_a_gzip_file_of_several_members_is_read(tmp_path: Path) -> None:
    plain = write_nifti(tmp_path / "a.nii", COUNTED).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(
        gzip.compress(plain[:600]) + gzip.compress(plain[600:]) + b"\0" * 512
    )
    np.testing.assert_array_equal(read_volume(tmp_path / "b.nii.gz").array, COUNTED)


@pytest.mark.parametrize("shape", [(*SHAPE, 1), (*SHAPE, 1, 1)])
def test_trailing_axes_of_one_are_dropped(tmp_path: Path, shape: tuple[int, ...]) -> None:
    volume = read_volume(write_nifti(tmp_path / "a.nii.gz", COUNTED.reshape(shape)))
    np.testing.assert_array_equal(volume.array, COUNTED)


def test_a_file_without_orientation_is_read_with_a_warning(tmp_path: Path) -> None:
    image = nib.Nifti1Image(COUNTED, None)
    image.header.set_zooms((1.0, 2.0, 3.0))
    image.header["qform_code"] = image.header["sform_code"] = 0
    nib.save(image, tmp_path / "a.nii.gz")
    read = read_volume_with_warnings(tmp_path / "a.nii.gz")
    assert read.volume.spacing_mm == (1.0, 2.0, 3.0)
    np.testing.assert_array_equal(read.volume.affine, nib.load(tmp_path / "a.nii.gz").affine)
    assert len(read.warnings) == 1
    assert "left and right may be exchanged" in read.warnings[0]


def test_an_sform_that_contradicts_the_qform_wins_with_a_warning(tmp_path: Path) -> None:
    image = nib.Nifti1Image(COUNTED, np.eye(4))
    image.set_sform(grid(origin_mm=(3.0, 4.0, 0.0)), code=1)
    image.set_qform(np.eye(4), code=1)
    nib.save(image, tmp_path / "a.nii.gz")
    read = read_volume_with_warnings(tmp_path / "a.nii.gz")
    assert read.volume.affine[:3, 3].tolist() == [3.0, 4.0, 0.0]
    assert "disagree by 5.0 mm" in read.warnings[0]


def test_metres_become_millimetres(tmp_path: Path) -> None:
    image = nib.Nifti1Image(COUNTED, np.diag([0.001, 0.002, 0.003, 1.0]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "a.nii")
    assert read_volume(tmp_path / "a.nii").spacing_mm == pytest.approx((1.0, 2.0, 3.0))


def cut_short(path: Path) -> None:
    path.write_bytes(gzip.compress(nifti_bytes(noise()), mtime=0)[:-900])


def damaged_checksum(path: Path) -> None:
    packed = bytearray(gzip.compress(nifti_bytes(noise()), mtime=0))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)


def text(path: Path) -> None:
    path.write_text("this is a note about the patient, not a volume\n" * 20, encoding="utf-8")


def text_packed(path: Path) -> None:
    path.write_bytes(gzip.compress(b"this is a note, not a volume\n" * 40))


def empty_file(path: Path) -> None:
    path.write_bytes(b"")


def missing_data(path: Path) -> None:
    path.write_bytes(nifti_bytes(noise())[:-2])


def not_a_number(path: Path) -> None:
    array = a_ramp().array.copy()
    array[4, 4, 2:5] = np.nan  # inside, where no mask's background reaches
    path.write_bytes(nifti_bytes(array))


def infinite(path: Path) -> None:
    array = a_ramp().array.astype(np.float64)
    array[1, 1, 1] = 1e300
    path.write_bytes(nifti_bytes(array))


def one_value(path: Path) -> None:
    path.write_bytes(nifti_bytes(np.full(SHAPE, 7, np.int16)))


def two_dimensions(path: Path) -> None:
    path.write_bytes(nifti_bytes(COUNTED[:, :, 0]))


def four_dimensions(path: Path) -> None:
    path.write_bytes(nifti_bytes(np.stack([COUNTED] * 4, axis=-1)))


def five_dimensions(path: Path) -> None:
    path.write_bytes(nifti_bytes(np.zeros((3, 4, 5, 1, 2), np.int16)))


def colours(path: Path) -> None:
    rgb = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    path.write_bytes(nifti_bytes(rgb))


def complex_numbers(path: Path) -> None:
    path.write_bytes(nifti_bytes(COUNTED.astype(np.complex64)))


def affine_not_finite(path: Path) -> None:
    path.write_bytes(with_header(srow_x=[np.nan, 0, 0, 0]))


def affine_flat(path: Path) -> None:
    path.write_bytes(with_header(srow_x=[1, 1, 0, 0], srow_y=[1, 1, 0, 0]))


def zero_spacing(path: Path) -> None:
    path.write_bytes(with_header(sform_code=0, qform_code=1, pixdim=[1, 0, 1, 1, 0, 0, 0, 0]))


def impossible_turn(path: Path) -> None:
    path.write_bytes(with_header(sform_code=0, qform_code=1, quatern_b=3.0))


def huge(path: Path) -> None:
    path.write_bytes(gzip.compress(with_header(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1])))


def negative_size(path: Path) -> None:
    path.write_bytes(with_header(dim=[3, -9, 11, 7, 1, 1, 1, 1]))


def unknown_type(path: Path) -> None:
    path.write_bytes(with_header(datatype=9999))


def absurd_offset(path: Path) -> None:
    path.write_bytes(with_header(vox_offset=1e30))


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 30000, SHAPE).astype(np.int16)


def nifti_bytes(array: np.ndarray) -> bytes:
    content: bytes = nib.Nifti1Image(array, np.eye(4)).to_bytes()
    return content


def with_header(**fields: object) -> bytes:
    """A good file but for the header fields given."""
    content = nifti_bytes(COUNTED)
    header = nib.Nifti1Header(content[:348])
    for name, value in fields.items():
        header[name] = value
    return header.binaryblock + content[348:]


BAD_NIFTI = [
    (cut_short, FileFormatError, "cut short"),
    (damaged_checksum, FileFormatError, "damaged"),
    (text, FileFormatError, "not NIfTI"),
    (text_packed, FileFormatError, "not NIfTI"),
    (empty_file, FileFormatError, "file is empty"),
    (missing_data, FileFormatError, "cut short"),
    (not_a_number, VolumeError, "3 voxels that are NaN or infinite"),
    (infinite, VolumeError, "1 voxels that are NaN or infinite"),
    (one_value, VolumeError, "every voxel has the same value"),
    (two_dimensions, VolumeError, "2 dimensions"),
    (four_dimensions, VolumeError, "4 dimensions"),
    (five_dimensions, VolumeError, "5 dimensions"),
    (colours, VolumeError, "colours"),
    (complex_numbers, VolumeError, "complex"),
    (affine_not_finite, GeometryError, "NaN or infinity"),
    (affine_flat, GeometryError, "not independent"),
    (zero_spacing, GeometryError, "voxel size"),
    (impossible_turn, GeometryError, "orientation"),
    (huge, VolumeError, "expected at most"),
    (negative_size, VolumeError, "positive"),
    (unknown_type, FileFormatError, "header is damaged"),
    (absurd_offset, FileFormatError, "header is damaged"),
]


@pytest.mark.parametrize(
    ("spoil", "error", "words"), BAD_NIFTI, ids=[b[0].__name__ for b in BAD_NIFTI]
)
def test_a_bad_nifti_file_is_refused_in_one_sentence(
    tmp_path: Path, spoil: object, error: type[InputError], words: str
) -> None:
    path = tmp_path / "patient7_t1c.nii.gz"
    spoil(path)  # type: ignore[operator]
    with pytest.raises(error, match=words) as refused:
        read_volume(path)
    assert type(refused.value) is error
    assert refused.value.message.startswith("patient7_t1c.nii.gz: ")
    assert "\n" not in refused.value.message
    assert refused.value.remedy


def test_a_packed_file_that_would_fill_the_memory_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked: list[int] = []
    original = stored.inflate_at_most

    def counted(*args: object) -> bytes:
        content = original(*args)  # type: ignore[arg-type]
        unpacked.append(len(content))
        return content

    monkeypatch.setattr(stored, "inflate_at_most", counted)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(nifti_bytes(COUNTED) + b"\0" * 5_000_000))
    np.testing.assert_array_equal(read_volume(path).array, COUNTED)
    assert sum(unpacked) < 10_000


def test_a_path_that_does_not_exist_or_has_no_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="does not exist"):
        read_volume(tmp_path / "nothing")
    with pytest.raises(FileFormatError, match=r"no\.nii\.gz: file cannot be read"):
        read_volume(tmp_path / "no.nii.gz")
    text(tmp_path / "a.txt")
    with pytest.raises(FileFormatError, match="no known format"):
        read_volume(tmp_path / "a.txt")


def nrrd_header(**fields: object) -> dict[str, object]:
    return {
        "space": "left-posterior-superior",
        "space directions": np.diag([2.0, 3.0, 4.0]),
        "space origin": np.array([10.0, 20.0, 30.0]),
        **fields,
    }


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (-1, -1, 1)),
        ("LPS", (-1, -1, 1)),
        ("RAS", (1, 1, 1)),
        ("LAS", (-1, 1, 1)),
        ("right-anterior-superior", (1, 1, 1)),
        ("left-anterior-superior", (-1, 1, 1)),
    ],
)
def test_every_nrrd_space_becomes_ras(
    tmp_path: Path, space: str, signs: tuple[int, int, int]
) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), COUNTED, nrrd_header(space=space))
    volume = read_volume(tmp_path / "a.nrrd")
    x, y, z = signs
    expected = [[2 * x, 0, 0, 10 * x], [0, 3 * y, 0, 20 * y], [0, 0, 4 * z, 30], [0, 0, 0, 1]]
    assert volume.affine.tolist() == expected
    np.testing.assert_array_equal(volume.array, COUNTED)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
def test_every_nrrd_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), COUNTED, nrrd_header(encoding=encoding))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nrrd").array, COUNTED)


def test_an_nrrd_file_without_orientation_is_read_with_a_warning(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), COUNTED, {"spacings": [1.0, 2.0, 3.0]})
    read = read_volume_with_warnings(tmp_path / "a.nrrd")
    assert read.volume.spacing_mm == (1.0, 2.0, 3.0)
    assert "no orientation" in read.warnings[0]


@pytest.mark.parametrize("component_first", [True, False])
def test_an_nrrd_axis_of_one_component_is_dropped(tmp_path: Path, component_first: bool) -> None:
    rows = [[2.0, 0, 0], [0, 3.0, 0], [0, 0, 4.0]]
    nothing = [np.nan] * 3
    array = COUNTED[None] if component_first else COUNTED[..., None]
    directions = np.array([nothing, *rows] if component_first else [*rows, nothing])
    nrrd.write(str(tmp_path / "a.nrrd"), array, nrrd_header(**{"space directions": directions}))
    volume = read_volume(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(volume.array, COUNTED)
    assert volume.spacing_mm == (2.0, 3.0, 4.0)


def test_an_nrrd_file_with_several_components_is_refused(tmp_path: Path) -> None:
    directions = np.array([[np.nan] * 3, [2.0, 0, 0], [0, 3.0, 0], [0, 0, 4.0]])
    header = nrrd_header(**{"space directions": directions})
    nrrd.write(str(tmp_path / "a.seg.nrrd"), np.stack([COUNTED, COUNTED]), header)
    with pytest.raises(VolumeError, match="several values per voxel"):
        read_volume(tmp_path / "a.seg.nrrd")


def test_an_nrrd_file_whose_data_lie_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(COUNTED.tobytes())
    (tmp_path / "a.nrrd").write_text(
        "NRRD0004\ntype: short\ndimension: 3\nsizes: 9 11 7\nencoding: raw\nendian: little\n"
        "data file: secret.raw\n",
        encoding="ascii",
    )
    with pytest.raises(FileFormatError, match="data lie in another file"):
        read_volume(tmp_path / "a.nrrd")


def test_a_meta_image_whose_data_lie_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mha").write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 9 11 7\nElementType = MET_SHORT\n"
        "ElementDataFile = /etc/hostname\n",
        encoding="ascii",
    )
    with pytest.raises(FileFormatError, match="data lie in another file"):
        read_volume(tmp_path / "a.mha")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("spoil", [text, empty_file])
def test_a_bad_nrrd_or_meta_file_is_refused(tmp_path: Path, suffix: str, spoil: object) -> None:
    path = tmp_path / f"a{suffix}"
    spoil(path)  # type: ignore[operator]
    with pytest.raises(FileFormatError, match=rf"^a{suffix}: "):
        read_volume(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_packed_file_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    path = save_with_itk(tmp_path / f"a{suffix}", noise(), np.eye(4))
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(FileFormatError, match="cut short or damaged"):
        read_volume(path)


def test_channels_are_read_one_by_one(tmp_path: Path) -> None:
    stack = np.stack([COUNTED, COUNTED + 1, COUNTED * 2], axis=-1)
    path = write_nifti(tmp_path / "a.nii.gz", stack, GRIDS["oblique"])
    channels = read_channels(path, 3)
    np.testing.assert_array_equal(channels[1].volume.array, COUNTED + 1)
    np.testing.assert_allclose(channels[2].volume.affine, GRIDS["oblique"], atol=1e-5)
    with pytest.raises(SequenceError, match="holds 3 volumes; expected 4"):
        read_channels(path, 4)


@every_grid
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_a_labelmap_keeps_its_values_and_its_place(
    tmp_path: Path, affine: np.ndarray, dtype: type
) -> None:
    labels = (COUNTED % 5).astype(dtype)
    array, found = read_labelmap(write_nifti(tmp_path / "a.nii.gz", labels, affine))
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array, labels)
    np.testing.assert_allclose(found, affine, atol=1e-4)


def test_an_empty_labelmap_is_a_labelmap(tmp_path: Path) -> None:
    array, _ = read_labelmap(write_nifti(tmp_path / "a.nii.gz", np.zeros(SHAPE, np.uint8)))
    assert not array.any()


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.5, "fractions"), (np.nan, "fractions or NaN"), (-1.0, "below 0"), (256.0, "above 255")],
)
def test_values_that_are_no_labels_are_refused(tmp_path: Path, value: float, words: str) -> None:
    labels = np.zeros(SHAPE, np.float32)
    labels[2, 2, 2] = value
    with pytest.raises(LabelError, match=words):
        read_labelmap(write_nifti(tmp_path / "a.nii.gz", labels))


def test_a_picture_becomes_one_slice(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)  # 3 rows, 4 columns
    Image.fromarray(pixels).save(tmp_path / "a.png")
    volume = read_slice(tmp_path / "a.png", pixel_mm=0.5)
    assert volume.shape == (4, 3, 1)
    assert volume.array[3, 0, 0] == 3  # last column of the first row
    assert volume.array[0, 2, 0] == 8  # first column of the last row
    assert volume.spacing_mm == (0.5, 0.5, 5.0)
    assert read_slice(tmp_path / "a.png").spacing_mm[:2] == (60.0, 60.0)  # 240 mm / 4 columns


def test_a_deep_picture_keeps_its_values(tmp_path: Path) -> None:
    pixels = (np.arange(12, dtype=np.uint16) * 5000).reshape(3, 4)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_slice(tmp_path / "a.png", pixel_mm=1.0).array.max() == 55000


def test_a_bad_picture_is_refused(tmp_path: Path) -> None:
    text(tmp_path / "a.png")
    with pytest.raises(FileFormatError, match="picture cannot be read"):
        read_slice(tmp_path / "a.png")
    Image.new("L", (8, 8), 5).save(tmp_path / "b.png")
    with pytest.raises(VolumeError, match="every voxel has the same value"):
        read_slice(tmp_path / "b.png", pixel_mm=1.0)


def test_what_was_read_can_be_written_to(tmp_path: Path) -> None:
    volume = a_counted_volume()
    read = read_volume(write_nifti(tmp_path / "a.nii", volume.array))
    assert read.array.flags.writeable
