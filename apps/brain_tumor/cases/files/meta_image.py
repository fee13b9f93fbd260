"""MetaImage files with their data attached (.mha), as BraTS 2012-2015 came.

The header is parsed here and the voxels are taken from the bytes behind it: no file that a header
names is ever opened, whatever spelling names it.

References:
    MetaIO format: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.files.nrrd_files import LPS_TO_RAS, parse_values
from brain_tumor.cases.files.stored import (
    StoredVolume,
    about,
    check_growth,
    check_holds,
    check_size,
    check_spacing,
    inflate,
    read_bytes,
)
from brain_tumor.cases.volume import Affine
from brain_tumor.errors import FileFormatError, GeometryError, VolumeError

_MAX_HEADER_BYTES = 2**16
_LINE = re.compile(rb"[ \t]*(\w+)[ \t]*[=:][ \t]*([^\r\n]*?)[ \t\r]*")
_LAST_FIELD = "ElementDataFile"
_KNOWN_FIELDS = frozenset(
    {
        *("NDims", "DimSize", "ElementType", "ElementNumberOfChannels", "HeaderSize"),
        *("BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "CompressedData"),
        *("ElementSpacing", "ElementSize", "Offset", "Position", "Origin"),
        *("TransformMatrix", "Rotation", "Orientation", _LAST_FIELD),
    }
)
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        **{"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2"},
        **{"MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4"},
        **{"MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8"},
    }
)


def read_meta_image(path: Path) -> StoredVolume:
    """Read a 3-D MetaImage file.

    Raises:
        FileFormatError: If the file is no MetaImage, damaged, cut short or without its data.
        VolumeError: If the image is not 3-D or not one number per voxel.
        GeometryError: If the header's geometry is unusable.
    """
    with about(path.name):
        content = read_bytes(path)
        fields, begin = _parse_header(content)
        shape = _shape(fields)
        check_size(shape)
        array = _read_data(fields, shape, content, begin)
        return StoredVolume(array.reshape(shape, order="F"), _affine(fields))


def _parse_header(content: bytes) -> tuple[dict[str, str], int]:
    """Known fields, each given once, and where the data begin."""
    fields: dict[str, str] = {}
    begin, end = 0, min(len(content), _MAX_HEADER_BYTES)
    while begin < end and _LAST_FIELD not in fields:
        newline = content.find(b"\n", begin, end)
        line = content[begin : newline if newline >= 0 else end]
        begin = newline + 1 if newline >= 0 else end
        found = _LINE.fullmatch(line)
        key = found.group(1).decode("ascii", "replace") if found else ""
        if found is None or key not in _KNOWN_FIELDS:
            continue
        if key in fields:
            raise FileFormatError(f"MetaImage header is damaged ({key} is given twice)")
        fields[key] = found.group(2).decode("latin-1")
    if "NDims" not in fields or "DimSize" not in fields:
        raise FileFormatError("content is not MetaImage")
    is_detached = fields.get(_LAST_FIELD, "").upper() != "LOCAL"
    if content[begin : begin + 80].lstrip().startswith(_LAST_FIELD.encode()):
        is_detached = True  # said twice: whoever wrote it wants readers to differ
    if is_detached or fields.get("HeaderSize", "0") not in ("0", "-1"):
        raise FileFormatError(
            "data lie in another file; expected a .mha with its data attached",
            remedy="Save the volume again as one .mha file.",
        )
    return fields, begin


def _shape(fields: Mapping[str, str]) -> tuple[int, ...]:
    try:
        shape = tuple(int(n) for n in fields["DimSize"].split())
        channels = int(fields.get("ElementNumberOfChannels", "1"))
    except ValueError as error:
        raise FileFormatError("MetaImage header is damaged (a size is no number)") from error
    if len(shape) != 3 or fields["NDims"] != "3":
        raise VolumeError(
            f"image has {len(shape)} dimensions {shape[:8]}; expected a 3-D volume",
            remedy="Export one 3-D volume per sequence.",
        )
    if channels != 1:
        raise VolumeError("image holds colours or vectors; expected one number per voxel")
    return shape


def _read_data(
    fields: Mapping[str, str], shape: tuple[int, ...], content: bytes, begin: int
) -> npt.NDArray[Any]:
    """Voxels, flat, in the order of the file."""
    kind = _TYPES.get(fields.get("ElementType", ""))
    if kind is None:
        raise FileFormatError(
            f"MetaImage header is damaged (unknown type {fields.get('ElementType', '')!r:.40})"
        )
    is_big = any(_is_true(fields, f"{what}ByteOrderMSB") for what in ("BinaryData", "Element"))
    dtype = np.dtype(f"{'>' if is_big else '<'}{kind}")
    voxels = math.prod(shape)
    size = voxels * dtype.itemsize
    if not _is_true(fields, "BinaryData"):
        return parse_values(content[begin:], dtype, voxels)
    if _is_true(fields, "CompressedData"):
        try:
            return np.frombuffer(inflate(content[begin:], size, "zlib"), dtype, voxels)
        except FileFormatError as error:
            raise FileFormatError(f"data are cut short or damaged ({error.message})") from error
    check_growth(len(content), size)
    check_holds(len(content) - begin, size)
    return np.frombuffer(content, dtype, voxels, begin)


def _affine(fields: Mapping[str, str]) -> Affine:
    """Voxel to RAS+ mm; a row of the header's matrix is the direction of an axis, LPS+."""
    spacing_mm = _numbers(fields, ("ElementSpacing", "ElementSize"), (1.0, 1.0, 1.0))
    matrix = _numbers(
        fields, ("TransformMatrix", "Rotation", "Orientation"), tuple(np.eye(3).ravel())
    )
    check_spacing(spacing_mm)
    affine = np.eye(4)
    affine[:3, :3] = matrix.reshape(3, 3).T * spacing_mm
    affine[:3, 3] = _numbers(fields, ("Offset", "Position", "Origin"), (0.0, 0.0, 0.0))
    ras: Affine = LPS_TO_RAS @ affine
    return ras


def _numbers(
    fields: Mapping[str, str], keys: tuple[str, ...], default: tuple[float, ...]
) -> npt.NDArray[np.float64]:
    """Numbers of the first of several spellings of a field.

    Raises:
        GeometryError: If they are no numbers, or not as many as the default has.
    """
    key = next((key for key in keys if key in fields), None)
    try:
        values = default if key is None else tuple(float(v) for v in fields[key].split())
    except ValueError:
        values = ()
    if len(values) != len(default):
        raise GeometryError(f"{key} of the header is no list of {len(default)} numbers")
    return np.array(values, dtype=np.float64)


def _is_true(fields: Mapping[str, str], key: str) -> bool:
    """Whether a switch of the header is on, as MetaIO reads it: by its first letter."""
    return fields.get(key, "")[:1] in ("T", "t", "1")
