"""What is checked about a DICOM file before anything of it is believed.

A header may announce any size, ask to be unpacked, or say a thing twice, so that two readers of it
see two images. What it announces is compared with what the file holds, here, once.

References:
    DICOM PS3.5 A.4 (encapsulated pixel data), PS3.3 C.7.6.3 (image pixel module).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pydicom
from pydicom.filereader import read_file_meta_info, read_partial
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from brain_tumor.cases.files.stored import check_growth, check_holds, check_size
from brain_tumor.errors import FileFormatError

_PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_UNDEFINED_LENGTH = 0xFFFFFFFF
_FRAGMENT_BYTES = 8  # each frame begins with a tag and a length
_DECODED_BYTES = 4  # float32


def read_checked(path: Path, keywords: Iterable[str], *, force: bool = False) -> Any:
    """Header of a DICOM file up to its pixel data.

    Args:
        path: File.
        keywords: Attributes to read; none of them may occur twice.
        force: Whether a file without preamble is read as well.

    Returns:
        A pydicom dataset.

    Raises:
        FileFormatError: If it is deflated, a DICOMDIR, or gives an attribute twice.
        Exception: What pydicom raises on a damaged header.
    """
    wanted = [Tag(keyword) for keyword in keywords]
    seen: set[int] = set()
    pixels: list[int] = []

    def ends(tag: Any, _vr: str | None, length: int) -> bool:
        if int(tag) in seen:
            raise FileFormatError(f"DICOM header gives {tag} twice")
        if tag in wanted:
            seen.add(int(tag))
        if int(tag) in _PIXEL_TAGS:
            pixels.append(length)
        return bool(pixels)

    _refuse_kinds(path, force=force)
    with path.open("rb") as stream:
        header = read_partial(stream, stop_when=ends, force=force, specific_tags=wanted)
        rest = path.stat().st_size - stream.tell()
    if "Rows" in header and "Columns" in header:
        check_pixel_data(header, path.stat().st_size, pixels[0] if pixels else None, rest)
    return header


def read_up_to(path: Path, keyword: str) -> Any:
    """Header of a DICOM file up to one attribute, however damaged it is after that.

    Raises:
        FileFormatError: If it is deflated or a DICOMDIR.
        Exception: What pydicom raises on a damaged header.
    """
    last = Tag(keyword)
    _refuse_kinds(path, force=True)
    with path.open("rb") as stream:
        return read_partial(
            stream,
            stop_when=lambda tag, _vr, _length: bool(tag > last),
            force=True,
            specific_tags=[last],
        )


def check_pixel_data(header: Any, file_bytes: int, length: int | None, rest: int) -> None:
    """Compare what a header announces with what the file holds.

    Args:
        header: Dataset with rows and columns.
        file_bytes: Size of the file.
        length: Stated length of the pixel data; None if there are none.
        rest: Bytes from the pixel data to the end of the file.

    Raises:
        FileFormatError: If pixel data are missing or cut short.
        VolumeError: If the file announces more voxels than it can hold.
    """
    frames = int(header.get("NumberOfFrames") or 1)
    shape = (int(header.Columns), int(header.Rows), frames)
    check_size(shape)
    if length is None:
        raise FileFormatError("pixel data are missing; the file is cut short")
    voxels = shape[0] * shape[1] * shape[2]
    if length == _UNDEFINED_LENGTH:
        check_holds(rest, _FRAGMENT_BYTES * frames)
        check_growth(file_bytes, voxels * _DECODED_BYTES)
    else:
        bits = voxels * int(header.get("BitsAllocated") or 8)
        check_holds(min(length, rest), (bits + 7) // 8)


def _refuse_kinds(path: Path, *, force: bool) -> None:
    """Refuse files that are no image, or whose header must be unpacked first."""
    try:
        meta = read_file_meta_info(path)
    except Exception:
        if force:
            return
        raise
    if meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        raise FileFormatError("a DICOMDIR is no image", remedy="Name the images themselves.")
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        raise FileFormatError(
            "DICOM is deflated as a whole; expected plain or compressed pixel data",
            remedy="Export the series as Explicit VR Little Endian.",
        )


def read_quietly(path: Path, **options: Any) -> pydicom.Dataset:
    """`pydicom.dcmread` without its warnings, which quote what a header says of a patient.

    Args:
        path: File.
        options: Of `dcmread`.

    Raises:
        Exception: What pydicom raises on a damaged header.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, **options)
