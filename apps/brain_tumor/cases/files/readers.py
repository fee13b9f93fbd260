"""Reading a volume, a labelmap or a single slice from any format.

Data are checked here, once; what comes out is finite, 3-D, not empty and has a usable affine.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from brain_tumor.cases.files.dicom_headers import is_dicom
from brain_tumor.cases.files.dicom_scan import find_series
from brain_tumor.cases.files.dicom_segmentation import read_dicom_segmentation
from brain_tumor.cases.files.dicom_series import DicomSeries, read_series
from brain_tumor.cases.files.meta_image import read_meta_image
from brain_tumor.cases.files.nifti_files import read_nifti, read_nifti_channels
from brain_tumor.cases.files.nrrd_files import read_nrrd, read_segmentation
from brain_tumor.cases.files.stored import StoredVolume, about, check_growth, check_size
from brain_tumor.cases.grid.mending import on_perpendicular_axes, size_doubts, with_background
from brain_tumor.cases.volume import Affine, ScalarArray, Volume, check_affine
from brain_tumor.errors import FileFormatError, InputError, LabelError, SequenceError, VolumeError
from brain_tumor.labels import LabelArray

logger = logging.getLogger(__name__)

_FILE_READERS = {
    ".nii.gz": read_nifti,
    ".nii": read_nifti,
    ".nrrd": read_nrrd,
    ".mha": read_meta_image,
}
VOLUME_SUFFIXES = tuple(_FILE_READERS)
"""Endings of the files that hold a volume, the longest first."""
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
"""Endings of the files that hold a single slice without geometry."""
PICTURE_FORMATS = ("PNG", "JPEG")
"""What Pillow may take such a file for; it hands other formats to other programs."""
MAX_PIXELS = 2**24
"""16 million pixels; the largest slice of a scanner has a million."""
_PICTURE_DAMAGES = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)

_VOXEL_BYTES = 4  # float32

ASSUMED_FIELD_OF_VIEW_MM = 240.0
ASSUMED_SLICE_THICKNESS_MM = 5.0


@dataclass(frozen=True, eq=False)
class ReadVolume:
    """A checked volume and what a reader of the results must know about its file.

    Attributes:
        volume: The volume.
        warnings: Sentences, without the file's name.
        is_mended: True if voxels or grid are not those of the file.
    """

    volume: Volume
    warnings: tuple[str, ...] = ()
    is_mended: bool = False


def volume_suffix(path: Path) -> str | None:
    """Ending that says how a file is read as a volume; None for other files.

    Example:
        >>> volume_suffix(Path("a.b.NII.GZ")), volume_suffix(Path("a.txt"))
        ('.nii.gz', None)
    """
    name = path.name.lower()
    return next((suffix for suffix in VOLUME_SUFFIXES if name.endswith(suffix)), None)


def is_picture(path: Path) -> bool:
    """True if a file's ending is that of a picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def read_volume(path: Path) -> Volume:
    """Read a volume from a NIfTI, NRRD or MetaImage file, a DICOM file or a DICOM folder.

    Args:
        path: File, or folder with one DICOM MR series.

    Returns:
        Intensities with scaling applied, float32, and the affine in RAS+ mm.

    Raises:
        FileFormatError: If the file cannot be read as what its ending says.
        VolumeError: If it is not 3-D, holds NaN or infinity, or one value only.
        GeometryError: If affine or voxel size are unusable.
        SequenceError: If a folder holds no or several DICOM series.
    """
    read = read_volume_with_warnings(path)
    for warning in read.warnings:
        logger.warning("volume read with a doubt: %s", warning)
    return read.volume


def read_volume_with_warnings(path: Path) -> ReadVolume:
    """As `read_volume`, with the doubts about the file returned instead of logged."""
    stored = _read_stored(path)
    with about(path.name):
        held = path.stat().st_size if path.is_file() else None
        return _checked(stored, held)


def read_dicom_series(series: DicomSeries) -> ReadVolume:
    """Read one of the series that `find_series` found.

    Raises:
        FileFormatError: If pixel data are damaged.
        VolumeError: If the volume holds one value only.
        GeometryError: If slices are missing or doubled.
    """
    stored = read_series(series)
    with about(series.label):
        return _checked(stored)


def read_channels(path: Path, count: int) -> list[ReadVolume]:
    """Read a 4-D NIfTI file whose last axis holds the sequences.

    Args:
        path: NIfTI file.
        count: Number of volumes that the file must hold.

    Raises:
        SequenceError: If it holds another number of volumes.
        FileFormatError: If it cannot be read.
        VolumeError: If a channel is unusable.
        GeometryError: If the affine is unusable.
    """
    if volume_suffix(path) not in (".nii", ".nii.gz"):
        raise FileFormatError(f"{path.name}: channels can only be read from NIfTI")
    channels = read_nifti_channels(path)
    if len(channels) != count:
        raise SequenceError(
            f"{path.name} holds {len(channels)} volumes; expected {count}",
            remedy="State the sequence of every volume of the file, in order.",
        )
    with about(path.name):
        held = path.stat().st_size
        return [_checked(stored, held) for stored in channels]


@dataclass(frozen=True, eq=False)
class ReadLabel:
    """A labelmap as it was read.

    Attributes:
        values: Labels, uint8, shape (I, J, K).
        affine: Voxel to RAS+ mm.
        is_named: True if the file names its segments; then the values are this project's already.
        frame_of_reference: FrameOfReferenceUID of a DICOM segmentation, else empty.
    """

    values: LabelArray
    affine: Affine
    is_named: bool = False
    frame_of_reference: str = ""


def read_label(path: Path) -> ReadLabel:
    """Read a labelmap, or a segmentation of 3D Slicer or DICOM by the names of its segments.

    Raises:
        LabelError: If segments have names of no label or overlap; else as `read_labelmap`.
    """
    if volume_suffix(path) == ".nrrd":
        segmented = read_segmentation(path)
        if segmented is not None:
            check_affine(segmented[1])
            return ReadLabel(*segmented, is_named=True)
    if volume_suffix(path) is None and path.is_file() and is_dicom(path):
        with about(path.name):
            read = read_dicom_segmentation(path)
            check_affine(read.affine)
        return ReadLabel(read.labelmap, read.affine, True, read.frame_of_reference)
    return ReadLabel(*_read_plain_labelmap(path))


def read_labelmap(path: Path) -> tuple[LabelArray, Affine]:
    """Read a labelmap; which label values are allowed is not decided here.

    Segments that a header names have this project's values; see `read_label`.

    Args:
        path: NIfTI, NRRD or MetaImage file.

    Returns:
        Labels, uint8, shape (I, J, K), and the affine in RAS+ mm. It may be empty.

    Raises:
        FileFormatError: If the file cannot be read.
        VolumeError: If it is not 3-D.
        GeometryError: If affine or voxel size are unusable.
        LabelError: If a value is not a whole number from 0 to 255.
    """
    read = read_label(path)
    return read.values, read.affine


def _read_plain_labelmap(path: Path) -> tuple[LabelArray, Affine]:
    stored = _read_stored(path)
    with about(path.name):
        affine = np.asarray(stored.affine, dtype=np.float64)
        check_affine(affine)
        array = stored.array
        if array.dtype.kind == "f" and not (np.isfinite(array).all() and _is_whole(array)):
            raise LabelError(
                "labelmap holds fractions or NaN; expected whole numbers",
                remedy="Export the segmentation as a labelmap, not as probabilities.",
            )
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > 255:
            side = "below 0" if low < 0 else "above 255"
            raise LabelError(f"labelmap holds values {side}; expected 0 to 255")
        return array.astype(np.uint8), affine


def read_slice(
    path: Path,
    *,
    pixel_mm: float | None = None,
    thickness_mm: float = ASSUMED_SLICE_THICKNESS_MM,
) -> Volume:
    """Read a picture of one slice as a volume of one slice.

    A picture has no orientation. It is placed as an axial slice in radiological view: columns run
    to the patient's left, rows to the back; measures in mm hold for any plane, sides do not.

    Args:
        path: PNG or JPEG file, grey or coloured.
        pixel_mm: Size of a pixel; default: the longer side is taken as 240 mm.
        thickness_mm: Slice thickness.

    Returns:
        Volume of shape (columns, rows, 1).

    Raises:
        FileFormatError: If the file is no picture or damaged.
        VolumeError: If it holds one value only.
        GeometryError: If a size in mm is unusable.
    """
    with about(path.name):
        try:
            with Image.open(path, formats=PICTURE_FORMATS) as picture:
                _check_picture(picture.size)
                is_deep = picture.mode in ("I", "F") or picture.mode.startswith("I;16")
                pixels = np.asarray(picture if is_deep else picture.convert("L"), np.float32)
        except InputError:
            raise
        except _PICTURE_DAMAGES as error:
            raise FileFormatError(f"picture cannot be read ({type(error).__name__})") from error
        size_mm = pixel_mm or ASSUMED_FIELD_OF_VIEW_MM / max(pixels.shape)
        affine = np.diag([-size_mm, -size_mm, thickness_mm, 1.0])
        return _checked(StoredVolume(pixels.T[:, :, None], affine)).volume


def _read_stored(path: Path) -> StoredVolume:
    if path.is_dir():
        found = [s for s in find_series(path) if not s.is_localizer]
        if len(found) != 1:
            listed = ", ".join(s.label for s in found) or "none"
            raise SequenceError(
                f"{path.name} holds {len(found)} DICOM MR series; expected 1",
                remedy=f"Name the folder of one series. Found: {listed}.",
            )
        return read_series(found[0])
    suffix = volume_suffix(path)
    if suffix is not None:
        return _FILE_READERS[suffix](path)
    if not path.exists():
        raise FileFormatError(f"{path.name} does not exist", remedy="Check the path.")
    if is_dicom(path):
        return _read_dicom_file(path)
    raise FileFormatError(
        f"{path.name} has no known format; expected {', '.join(VOLUME_SUFFIXES)} or DICOM"
    )


def _read_dicom_file(path: Path) -> StoredVolume:
    found = find_series(path)
    if len(found) != 1:
        raise FileFormatError(f"{path.name} is DICOM, but no MR image with a place in space")
    with about(path.name):
        return read_series(found[0])


def _check_picture(size: tuple[int, int]) -> None:
    """Refuse a picture that is no slice, before any memory is taken for it."""
    check_size(size)
    if size[0] * size[1] > MAX_PIXELS:
        raise VolumeError(
            f"picture of {size[0]} x {size[1]} pixels; expected at most {MAX_PIXELS} pixels",
            remedy="Export the slice in the resolution of the scanner.",
        )


def _checked(stored: StoredVolume, file_bytes: int | None = None) -> ReadVolume:
    """Volume of finite numbers that are not all the same, on perpendicular axes.

    Args:
        stored: What was read.
        file_bytes: Size of its file, where a small one may hold many voxels.
    """
    if stored.array.min() == stored.array.max():  # NaN is none of these
        raise VolumeError("volume is empty: every voxel has the same value")
    if file_bytes is not None:
        check_growth(file_bytes, stored.array.size * _VOXEL_BYTES)
    array, filled = with_background(_as_float32(stored))
    if array.min() == array.max():
        raise VolumeError("volume is empty: every voxel has the same value")
    affine = np.asarray(stored.affine, dtype=np.float64)
    check_affine(affine)
    array, affine, turned = on_perpendicular_axes(array, affine)
    doubts = size_doubts(array.shape, affine)
    warnings = (*stored.warnings, *filled, *turned, *doubts)
    return ReadVolume(Volume(array, affine), warnings, bool(filled or turned))


def _as_float32(stored: StoredVolume) -> ScalarArray:
    with np.errstate(over="ignore", invalid="ignore"):  # what does not fit becomes infinite
        array: ScalarArray = stored.array.astype(np.float32)
    return array


def _is_whole(array: np.ndarray) -> bool:  # type: ignore[type-arg]
    return bool((array == np.rint(array)).all())
