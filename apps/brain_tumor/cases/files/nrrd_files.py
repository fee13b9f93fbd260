"""NRRD files with their data attached (.nrrd).

Only the fields that are needed are read, and the voxels are taken from the bytes behind the header:
no file that a header names is ever opened, and nothing is skipped that a header asks to skip.

References:
    NRRD format: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import nrrd
import numpy as np
import numpy.typing as npt

from brain_tumor.cases.files.segmentations import merged, segments_of
from brain_tumor.cases.files.stored import (
    StoredVolume,
    about,
    check_growth,
    check_holds,
    check_numeric,
    check_size,
    check_spacing,
    inflate,
    read_bytes,
    squeeze_to_3d,
)
from brain_tumor.cases.volume import Affine
from brain_tumor.errors import FileFormatError, InputError, VolumeError
from brain_tumor.labels import LabelArray

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

_SPACE_TO_RAS: Mapping[str, npt.NDArray[np.float64]] = MappingProxyType(
    {
        "right-anterior-superior": np.eye(4),
        "ras": np.eye(4),
        "left-anterior-superior": np.diag([-1.0, 1.0, 1.0, 1.0]),
        "las": np.diag([-1.0, 1.0, 1.0, 1.0]),
        "left-posterior-superior": LPS_TO_RAS,
        "lps": LPS_TO_RAS,
    }
)
_COMPRESSIONS = MappingProxyType({"gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"})
_TEXTS = frozenset({"ascii", "text", "txt"})
_ITEM_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int"), "i2"),
    **dict.fromkeys(("int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int"), "u2"),
    **dict.fromkeys(("uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("signed long long", "signed long long int"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int"), "u8"),
    **dict.fromkeys(("uint64", "uint64_t"), "u8"),
    **{"float": "f4", "double": "f8", "block": "V"},
}
_KNOWN_FIELDS = frozenset(
    {
        *("type", "dimension", "sizes", "endian", "encoding", "space", "space dimension"),
        *("space directions", "space origin", "spacings"),
    }
)
_DAMAGES = (nrrd.NRRDError, ValueError, KeyError, IndexError, TypeError, OverflowError)
_NO_ORIENTATION = "the header gives no orientation; left and right may be exchanged"
_MAX_HEADER_BYTES = 2**20  # a segmentation with many segments describes each
_MAX_FIELD_BYTES = 4096


@dataclass(frozen=True)
class NrrdHeader:
    """What the header of an NRRD file says.

    Attributes:
        fields: Fields of the format that are needed, parsed by pynrrd.
        pairs: Keys and values that a program added (`key:=value`), as written.
        begin: Where the data begin.
    """

    fields: Mapping[str, Any]
    pairs: Mapping[str, str]
    begin: int


def read_nrrd(path: Path) -> StoredVolume:
    """Read a 3-D NRRD file; axes that are not space may have the size 1.

    Raises:
        FileFormatError: If the file is no NRRD, damaged, cut short or without its data.
        VolumeError: If the image is not 3-D.
        GeometryError: If the header's geometry is unusable.
    """
    with about(path.name):
        content = read_bytes(path)
        header = parse_nrrd_header(content)
        sizes = tuple(int(n) for n in header.fields["sizes"])
        check_size(sizes)
        array = _read_data(header, content)
        try:
            spatial, affine, doubts = _nrrd_geometry(header.fields, sizes)
        except InputError:
            raise
        except _DAMAGES as error:
            raise FileFormatError(f"NRRD header is damaged ({type(error).__name__})") from error
        if math.prod(sizes[axis] for axis in spatial) != math.prod(sizes):
            raise VolumeError(
                f"image of {sizes} holds several values per voxel; expected one",
                remedy="Export one 3-D volume per sequence.",
            )
        shape = squeeze_to_3d(tuple(sizes[axis] for axis in spatial))
        return StoredVolume(array.reshape(shape, order="F"), affine, doubts)


def read_segmentation(path: Path) -> tuple[LabelArray, Affine] | None:
    """Labelmap of a segmentation of 3D Slicer; None if the header describes no segments.

    Raises:
        FileFormatError: If the file is no NRRD, damaged or cut short.
        VolumeError: If the image is not 3-D, or not layers of 3-D.
        LabelError: If segments cannot be told or overlap.
    """
    with about(path.name):
        content = read_bytes(path)
        header = parse_nrrd_header(content)
        segments = segments_of(header.pairs)
        if not segments:
            return None
        sizes = tuple(int(n) for n in header.fields["sizes"])
        check_size(sizes)
        array = _read_data(header, content).reshape(sizes, order="F")
        try:
            spatial, affine, _ = _nrrd_geometry(header.fields, sizes)
        except InputError:
            raise
        except _DAMAGES as error:
            raise FileFormatError(f"NRRD header is damaged ({type(error).__name__})") from error
        others = [axis for axis in range(len(sizes)) if axis not in spatial]
        if len(others) > 1 or len(spatial) != 3:
            raise VolumeError(f"segmentation of {sizes} is no volume, and no layers of one")
        layers = array.transpose([*others, *spatial]) if others else array[None]
        return merged(layers, segments), affine


def parse_nrrd_header(content: bytes) -> NrrdHeader:
    """Header of an NRRD file whose data are attached.

    Raises:
        FileFormatError: If the content is no NRRD, its header is damaged, or the data lie
            elsewhere than right behind it.
    """
    if not content.startswith(b"NRRD000"):
        raise FileFormatError("content is not NRRD")
    known: dict[str, str] = {}
    pairs: dict[str, str] = {}
    begin = content.find(b"\n") + 1
    while begin:
        newline = content.find(b"\n", begin, _MAX_HEADER_BYTES)
        line = content[begin : newline if newline >= 0 else _MAX_HEADER_BYTES]
        text = line.decode("utf-8", "replace").rstrip()
        begin = newline + 1
        if not text or newline < 0:
            break
        key, colon, value = text.partition(":")
        name = key.strip()
        if text.startswith("#") or not colon:
            continue
        if value.startswith("="):
            pairs[name] = value[1:]
            continue
        _refuse_elsewhere(name, value.strip())
        if name in known:
            raise FileFormatError(f"NRRD header is damaged ({name} is given twice)")
        if name in _KNOWN_FIELDS:
            known[name] = text[:_MAX_FIELD_BYTES]
    try:
        fields = nrrd.read_header(["NRRD0005", *known.values()])
        missing = sorted({"type", "dimension", "sizes", "encoding"} - set(fields))
        if missing or len(fields["sizes"]) != fields["dimension"]:
            raise ValueError(f"{', '.join(missing)} missing" if missing else "sizes and dimension")
    except _DAMAGES as error:
        reason = str(error) or type(error).__name__
        raise FileFormatError(f"NRRD header is damaged ({reason:.80})") from error
    return NrrdHeader(fields, pairs, begin or len(content))


def _refuse_elsewhere(name: str, value: str) -> None:
    """Refuse a field that says where else the data are."""
    plain = name.lower().replace(" ", "")
    if plain == "datafile":
        raise FileFormatError(
            "data lie in another file; expected a .nrrd with its data attached",
            remedy="Save the volume again as one .nrrd file.",
        )
    if plain in ("lineskip", "byteskip") and value != "0":
        raise FileFormatError(
            f"data do not begin behind the header ({plain} is {value:.20}); expected no skip",
            remedy="Save the volume again as one .nrrd file.",
        )


def _read_data(header: NrrdHeader, content: bytes) -> npt.NDArray[Any]:
    """Voxels, flat, in the order of the file."""
    encoding = str(header.fields["encoding"]).lower()
    dtype = _item_type(header.fields, encoding)
    check_numeric(dtype)
    voxels = math.prod(int(n) for n in header.fields["sizes"])
    size = voxels * dtype.itemsize
    if encoding in _TEXTS:
        return parse_values(content[header.begin :], dtype, voxels)
    if encoding == "raw":
        check_holds(len(content) - header.begin, size)
        return np.frombuffer(content, dtype, voxels, header.begin)
    try:
        data = inflate(content[header.begin :], size, _COMPRESSIONS[encoding])
    except FileFormatError as error:
        raise FileFormatError(f"data are cut short or damaged ({error.message})") from error
    except KeyError as error:
        raise FileFormatError(f"NRRD encoding is {encoding!r:.20}; expected gzip or raw") from error
    return np.frombuffer(data, dtype, voxels)


def _item_type(fields: Mapping[str, Any], encoding: str) -> np.dtype[Any]:
    """NumPy's type of a voxel.

    Raises:
        FileFormatError: If the type or the byte order is unknown.
    """
    kind = _ITEM_TYPES.get(fields["type"])
    if kind is None:
        raise FileFormatError(f"NRRD header is damaged (type is {fields['type']!r:.40})")
    dtype = np.dtype(kind)
    if dtype.itemsize <= 1 or encoding in _TEXTS:
        return dtype
    order = {"big": ">", "little": "<"}.get(str(fields.get("endian", "")).lower())
    if order is None:
        raise FileFormatError("NRRD header is damaged (endian is missing or unknown)")
    return np.dtype(f"{order}{kind}")


def parse_values(text: bytes, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
    """Voxels that are written as text.

    Raises:
        FileFormatError: If there are not as many, or one is no number.
    """
    check_growth(len(text), count * dtype.itemsize)
    check_holds(len(text) + 1, 2 * count)  # a digit and a space for each
    try:
        values = np.fromstring(text, dtype, count, sep=" ")
    except (ValueError, OverflowError) as error:
        raise FileFormatError("data are damaged (a voxel is no number)") from error
    if len(values) < count:
        raise FileFormatError(f"data end after {len(values)} of {count} voxels; cut short")
    return values


def _nrrd_geometry(
    header: Mapping[str, Any], sizes: tuple[int, ...]
) -> tuple[list[int], Affine, tuple[str, ...]]:
    """Axes that are space, affine, warnings."""
    affine = np.eye(4)
    directions = header.get("space directions")
    if directions is None:
        spacings = np.asarray(header.get("spacings", [1.0] * len(sizes)), dtype=np.float64)
        spatial = [axis for axis in range(len(sizes)) if not np.isnan(spacings[axis])]
        affine[:3, :3] = np.diag([*np.abs(spacings[spatial][:3]), 1.0, 1.0, 1.0][:3])
        check_spacing(np.diag(affine)[:3])
        return spatial, LPS_TO_RAS @ affine, (_NO_ORIENTATION,)
    matrix = np.asarray(directions, dtype=np.float64)
    spatial = [axis for axis in range(len(sizes)) if not np.isnan(matrix[axis]).all()]
    if len(spatial) != 3 or matrix.shape[1] != 3:
        raise VolumeError(
            f"image of {sizes} has {len(spatial)} axes in space; expected 3",
            remedy="Export one 3-D volume per sequence.",
        )
    affine[:3, :3] = matrix[spatial].T
    affine[:3, 3] = np.asarray(header.get("space origin", [0.0, 0.0, 0.0]), dtype=np.float64)
    space = str(header.get("space", "")).lower()
    warnings = () if space in _SPACE_TO_RAS else (_NO_ORIENTATION,)
    return spatial, _SPACE_TO_RAS.get(space, LPS_TO_RAS) @ affine, warnings
