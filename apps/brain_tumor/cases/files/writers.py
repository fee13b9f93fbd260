"""Writing labelmaps, scalar maps and volumes as NIfTI or NRRD.

The same array and affine give the same bytes. Files appear whole or not at all.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
import numpy.typing as npt

from brain_tumor.cases.files.durable import write_durably
from brain_tumor.cases.files.nrrd_files import LPS_TO_RAS
from brain_tumor.cases.volume import Affine, Volume, check_affine
from brain_tumor.errors import FileFormatError, GeometryError, LabelError, VolumeError
from brain_tumor.labels import IntegerArray

SCALAR_MAP_STEPS = 255
"""A scalar map stores round(value * 255) as uint8. NIfTI says so in its header, so every reader
gives 0-1 back; NRRD cannot, so readers get 0-255 and multiply by the header's `SCALE_FIELD`."""
SCALE_FIELD = "tumorlens_scale"

_COMPRESSION_LEVEL = 1  # three times as fast as the default, 15 % larger
_NIFTI_HEADER_BYTES = 352  # header and the four bytes that say that no extension follows
_MAX_NIFTI_AXIS = 32767
_MAX_SHEAR = 1e-4


def write_labelmap(path: Path, labelmap: IntegerArray, affine: Affine) -> None:
    """Write a labelmap as uint8.

    Args:
        path: File ending in .nii, .nii.gz or .nrrd.
        labelmap: Labels 0-255, shape (I, J, K).
        affine: Voxel to RAS+ mm.

    Raises:
        LabelError: If a value is not a whole number from 0 to 255.
        VolumeError: If the array is not 3-D.
        GeometryError: If the affine is unusable.
        FileFormatError: If the ending is unknown.
        StorageError: If the file cannot be stored.
    """
    write_durably(path, encode_labelmap(labelmap, affine, _suffix(path)))


def write_scalar_map(path: Path, values01: npt.NDArray[np.floating[Any]], affine: Affine) -> None:
    """Write a map of values from 0 to 1 (heatmap, uncertainty, probability) as uint8.

    The error of rounding is at most 1/510. See `SCALAR_MAP_STEPS` for what readers get.

    Args:
        path: File ending in .nii, .nii.gz or .nrrd.
        values01: Values 0-1, shape (I, J, K).
        affine: Voxel to RAS+ mm.

    Raises:
        VolumeError: If the array is not 3-D or a value is outside 0-1.
        GeometryError: If the affine is unusable.
        FileFormatError: If the ending is unknown.
        StorageError: If the file cannot be stored.
    """
    write_durably(path, encode_scalar_map(values01, affine, _suffix(path)))


def write_volume(path: Path, volume: Volume) -> None:
    """Write a volume without loss: whole numbers as int16 or uint16, others as float32.

    Args:
        path: File ending in .nii, .nii.gz or .nrrd.
        volume: Volume to write.

    Raises:
        FileFormatError: If the ending is unknown.
        StorageError: If the file cannot be stored.
    """
    write_durably(path, encode_volume(volume, _suffix(path)))


def encode_labelmap(labelmap: IntegerArray, affine: Affine, suffix: str = ".nii.gz") -> bytes:
    """Bytes of `write_labelmap`."""
    array = np.asarray(labelmap)
    if array.dtype != np.uint8:
        if array.dtype.kind not in "biu":
            raise LabelError(f"labelmap is {array.dtype}; expected whole numbers")
        if array.size and (int(array.min()) < 0 or int(array.max()) > 255):
            raise LabelError(
                f"labelmap holds values from {array.min()} to {array.max()}; expected 0 to 255"
            )
        array = array.astype(np.uint8)
    return _encode(array, affine, suffix)


def encode_scalar_map(
    values01: npt.NDArray[np.floating[Any]], affine: Affine, suffix: str = ".nii.gz"
) -> bytes:
    """Bytes of `write_scalar_map`."""
    values = np.asarray(values01)
    if values.size and not (values.min() >= 0.0 and values.max() <= 1.0):  # NaN is refused too
        raise VolumeError(
            f"map holds values from {values.min():g} to {values.max():g}; expected 0 to 1"
        )
    steps = np.rint(values * np.float32(SCALAR_MAP_STEPS)).astype(np.uint8)
    return _encode(steps, affine, suffix, scale=1.0 / SCALAR_MAP_STEPS)


def encode_volume(volume: Volume, suffix: str = ".nii.gz") -> bytes:
    """Bytes of `write_volume`."""
    return _encode(lossless(volume.array), volume.affine, suffix)


def lossless(array: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Smallest of int16, uint16 and float32 that holds every value exactly."""
    low, high = float(array.min()), float(array.max())
    for kind in (np.int16, np.uint16):
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            whole = array.astype(kind)
            if np.array_equal(whole, array):
                return whole
    return array


def _suffix(path: Path) -> str:
    name = path.name.lower()
    for suffix in _ENCODERS:
        if name.endswith(suffix):
            return suffix
    raise FileFormatError(
        f"{path.name} has an unknown ending; expected {', '.join(_ENCODERS)}",
        remedy="Choose another file name.",
    )


def _encode(
    array: npt.NDArray[Any], affine: Affine, suffix: str, *, scale: float | None = None
) -> bytes:
    matrix = np.asarray(affine, dtype=np.float64)
    if array.ndim != 3 or array.size == 0:
        raise VolumeError(f"array has the shape {array.shape}; expected a 3-D volume")
    check_affine(matrix)
    return _ENCODERS[suffix](array, matrix, scale)


def _encode_nifti(array: npt.NDArray[Any], affine: Affine, scale: float | None) -> bytes:
    """Single-file NIfTI-1.

    Both sform and qform are set, so that every reader finds the same geometry whichever it
    prefers; a sheared grid has no qform.
    """
    if max(array.shape) > _MAX_NIFTI_AXIS:
        raise GeometryError(
            f"array has the shape {array.shape}; NIfTI holds {_MAX_NIFTI_AXIS} voxels an axis",
            remedy="Write it as .nrrd.",
        )
    header: Any = nib.Nifti1Header()  # type: ignore[no-untyped-call]
    header.set_data_dtype(array.dtype.newbyteorder("<"))
    header.set_data_shape(array.shape)
    header.set_xyzt_units("mm")
    header.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    header.set_sform(affine, code="scanner")
    if _is_shear_free(affine):
        header.set_qform(affine, code="scanner")
    header["magic"], header["vox_offset"] = b"n+1", _NIFTI_HEADER_BYTES
    header["scl_slope"], header["scl_inter"] = scale or 1.0, 0.0
    block: bytes = header.binaryblock
    content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes(order="F")
    return block + bytes(_NIFTI_HEADER_BYTES - len(block)) + content


def _encode_packed_nifti(array: npt.NDArray[Any], affine: Affine, scale: float | None) -> bytes:
    plain = _encode_nifti(array, affine, scale)
    return gzip.compress(plain, compresslevel=_COMPRESSION_LEVEL, mtime=0)


def _encode_nrrd(array: npt.NDArray[Any], affine: Affine, scale: float | None) -> bytes:
    lps = LPS_TO_RAS @ affine
    header: dict[str, Any] = {
        "space": "left-posterior-superior",
        "space directions": lps[:3, :3].T,
        "space origin": lps[:3, 3],
        "kinds": ["domain", "domain", "domain"],
        "encoding": "gzip",
    }
    if scale is not None:
        header[SCALE_FIELD] = repr(scale)
    stream = io.BytesIO()
    nrrd.write(stream, array, header, compression_level=_COMPRESSION_LEVEL)
    lines, data = stream.getvalue().split(b"\n\n", 1)
    # pynrrd's comments hold the time of day; without them, equal volumes are equal files
    kept = [line for line in lines.split(b"\n") if not line.startswith(b"#")]
    return b"\n".join(kept) + b"\n\n" + data


def _is_shear_free(affine: Affine) -> bool:
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(directions.T @ directions - np.eye(3)).max() < _MAX_SHEAR)


_ENCODERS: Mapping[str, Callable[[npt.NDArray[Any], Affine, float | None], bytes]] = {
    ".nii.gz": _encode_packed_nifti,
    ".nii": _encode_nifti,
    ".nrrd": _encode_nrrd,
}
