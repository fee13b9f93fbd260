"""NIfTI-1 and NIfTI-2 files: .nii and .nii.gz."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling

from brain_tumor.cases.files.stored import (
    GZIP_MAGIC,
    StoredVolume,
    about,
    check_growth,
    check_holds,
    check_numeric,
    check_size,
    check_spacing,
    inflate,
    inflate_at_most,
    read_bytes,
    squeeze_doubts,
    squeeze_to_3d,
)
from brain_tumor.cases.grid.grids import Shape, corners_mm
from brain_tumor.cases.grid.mending import LARGEST_HEAD_MM, SMALLEST_HEAD_MM
from brain_tumor.cases.volume import Affine, spacing_from_affine
from brain_tumor.errors import FileFormatError, GeometryError

_NIFTI2_BYTES = 540
_SCALED_BYTES = 8
_MAX_DATA_OFFSET = 2**26
_FORMS_TOLERANCE_MM = 0.5
_MM_PER_UNIT = {"meter": 1000.0, "micron": 0.001}


def read_nifti(path: Path) -> StoredVolume:
    """Read a 3-D NIfTI file.

    The affine is the sform, else the qform, else (with a warning) the voxel size alone, as in
    nibabel. Compression is recognised by content, not by name.

    Raises:
        FileFormatError: If the file is no NIfTI, damaged or cut short.
        VolumeError: If the image is not 3-D or not numbers.
        GeometryError: If the header's geometry is unusable.
    """
    with about(path.name):
        header, array = _read(path)
        shape = squeeze_to_3d(array.shape)
        affine, warnings = _affine(header, shape)
        warnings = (*squeeze_doubts(array.shape), *warnings)
        return StoredVolume(array.reshape(shape, order="F"), affine, warnings)


def read_nifti_channels(path: Path) -> list[StoredVolume]:
    """Read a 4-D NIfTI file as one volume per index of its last axis.

    Raises:
        FileFormatError: If the file is no NIfTI, damaged or cut short.
        VolumeError: If the image has more than 4 dimensions or is not numbers.
        GeometryError: If the header's geometry is unusable.
    """
    with about(path.name):
        header, array = _read(path)
        while array.ndim > 4 and array.shape[-1] == 1:
            array = array[..., 0]
        channels = [array] if array.ndim != 4 else list(np.moveaxis(array, -1, 0))
        shape = squeeze_to_3d(channels[0].shape)
        affine, warnings = _affine(header, shape)
        return [StoredVolume(channel, affine, warnings) for channel in channels]


def _read(path: Path) -> tuple[Any, npt.NDArray[Any]]:
    """Header and scaled values of a NIfTI file of any dimension."""
    content = read_bytes(path)
    is_compressed = content.startswith(GZIP_MAGIC)
    header = _parse_header(
        inflate_at_most(content, _NIFTI2_BYTES) if is_compressed else content[:_NIFTI2_BYTES]
    )
    try:
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = header.get_data_dtype()
        offset = int(header.get_data_offset())
        slope, intercept = header.get_slope_inter()
    except (HeaderDataError, ValueError, OverflowError, KeyError) as error:
        raise FileFormatError(f"NIfTI header is damaged ({error})") from error
    check_size(shape)
    check_numeric(dtype)
    if not header.sizeof_hdr <= offset <= _MAX_DATA_OFFSET:
        raise FileFormatError(f"NIfTI header is damaged (data begin at byte {offset})")
    voxels = math.prod(shape)
    size = offset + voxels * dtype.itemsize
    is_scaled = slope not in (None, 1.0) or intercept not in (None, 0.0)
    check_growth(len(content), voxels * _SCALED_BYTES if is_scaled else size)
    data = inflate(content, size) if is_compressed else content
    check_holds(len(data), size)
    array = np.frombuffer(data, dtype, voxels, offset).reshape(shape, order="F")
    return header, apply_read_scaling(array, slope, intercept)  # type: ignore[no-untyped-call]


def _parse_header(start: bytes | bytearray) -> Any:
    """NIfTI-1 or NIfTI-2 header of a single-file image, of either byte order."""
    kinds: tuple[tuple[Any, bytes], ...] = (
        (nib.Nifti1Header, b"n+1"),
        (nib.Nifti2Header, b"n+2"),
    )
    for kind, magic in kinds:
        size = kind.sizeof_hdr
        if len(start) < size:
            continue
        header = kind(bytes(start[:size]), check=False)
        if int(header["sizeof_hdr"]) == size and bytes(header["magic"]).startswith(magic):
            return header
    raise FileFormatError("content is not NIfTI; expected a single-file .nii or .nii.gz")


def _affine(header: Any, shape: Shape) -> tuple[Affine, tuple[str, ...]]:
    """Affine in mm, and what is doubtful about it."""
    sform_code, qform_code = int(header["sform_code"]), int(header["qform_code"])
    warnings: list[str] = []
    if sform_code > 0 and not np.asarray(header.get_sform())[:3, :3].any():
        sform_code = 0
        header["sform_code"] = 0
        if qform_code > 0:
            warnings.append("the sform of the header is zero; its qform is used")
    if sform_code <= 0:
        check_spacing(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    try:
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
        if sform_code > 0 and qform_code > 0:
            warnings += _disagreement(affine, header.get_qform(), shape)
    except (HeaderDataError, ValueError) as error:
        raise GeometryError(f"orientation in the NIfTI header is unusable ({error})") from error
    if sform_code <= 0 and qform_code <= 0:
        warnings.append(
            "the header gives no orientation (qform and sform codes are 0); "
            "left and right may be exchanged"
        )
    unit = _length_unit(header)
    scaled = np.array(affine, dtype=np.float64)
    scaled[:3] *= _MM_PER_UNIT.get(unit, 1.0)
    if unit in _MM_PER_UNIT and _fits_a_head(affine, shape) and not _fits_a_head(scaled, shape):
        warnings.append(f"the header gives lengths in {unit}, which no head has; mm are assumed")
        return affine, tuple(warnings)
    return scaled, tuple(warnings)


def _fits_a_head(affine: Affine, shape: Shape) -> bool:
    """True if the second largest and the largest extent may be those of a head."""
    extents = sorted(n * mm for n, mm in zip(shape, spacing_from_affine(affine), strict=True))
    return bool(extents[1] >= SMALLEST_HEAD_MM and extents[2] <= LARGEST_HEAD_MM)


def _disagreement(sform: Affine, qform: Affine, shape: Shape) -> list[str]:
    distances = np.linalg.norm(corners_mm(shape, sform) - corners_mm(shape, qform), axis=1)
    distance_mm = float(distances.max())
    if not distance_mm > _FORMS_TOLERANCE_MM:  # NaN: the qform is unusable and not used
        return []
    return [
        f"sform and qform of the header disagree by {distance_mm:.1f} mm; the sform is used, "
        "other programs may use the qform"
    ]


def _length_unit(header: Any) -> str:
    try:
        unit: str = header.get_xyzt_units()[0]
    except KeyError:
        return "unknown"
    return unit
