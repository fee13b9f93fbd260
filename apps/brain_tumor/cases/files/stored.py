"""What the file formats share: a volume as stored, size limits and bounded decompression."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.volume import Affine
from brain_tumor.errors import FileFormatError, GeometryError, InputError, VolumeError

MAX_VOXELS = 2**28
"""268 million voxels, a gigabyte as float32; the largest brain MRI has about half."""
MAX_FILE_BYTES = 8 * MAX_VOXELS + 2**26
FREE_BYTES = 2**27
"""Memory that any file may ask for, however small it is."""
MAX_EXPANSION = 200
"""Memory that a larger one may ask for, in bytes per byte of the file; MRI packs to a third."""
GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 2**15
_MAX_EMPTY_MEMBERS = 1000


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """A 3-D image as its file holds it, scaling applied.

    Attributes:
        array: Values of any numeric type, shape (I, J, K).
        affine: Voxel to RAS+ mm; not yet checked.
        warnings: What a reader of the results must know about the file.
    """

    array: npt.NDArray[Any]
    affine: Affine
    warnings: tuple[str, ...] = ()


@contextmanager
def about(name: str) -> Iterator[None]:
    """Begin the sentence of every input error inside the block with the file's name."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{name}: {error.message}", remedy=error.remedy) from error


def read_bytes(path: Path) -> bytes:
    """Content of a file.

    Raises:
        FileFormatError: If it is missing, empty, too large or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise FileFormatError(
                f"file has {size} bytes; expected at most {MAX_FILE_BYTES}",
                remedy="Crop the volume or lower its resolution.",
            )
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise FileFormatError(
            f"file cannot be read: {reason}", remedy="Check the path and its permissions."
        ) from error
    if not content:
        raise FileFormatError("file is empty; expected a volume")
    return content


def check_growth(file_bytes: int, needed_bytes: int) -> None:
    """Refuse a small file that asks for much memory, before any is taken.

    Args:
        file_bytes: Size of the file.
        needed_bytes: What its voxels take unpacked.

    Raises:
        VolumeError: If no volume packs that well.
    """
    if needed_bytes > max(FREE_BYTES, MAX_EXPANSION * file_bytes):
        raise VolumeError(
            f"{file_bytes} bytes unpack to {needed_bytes}; expected at most {MAX_EXPANSION} times "
            "as many",
            remedy="Crop the volume to the head, or save it without compression.",
        )


def check_holds(held_bytes: int, needed_bytes: int) -> None:
    """Refuse a file that is too short for the voxels it announces.

    Args:
        held_bytes: Bytes of pixel data in the file, or the size of the whole file.
        needed_bytes: What the announced voxels take.

    Raises:
        FileFormatError: If it is.
    """
    if held_bytes < needed_bytes:
        raise FileFormatError(
            f"data end after {held_bytes} of {needed_bytes} bytes; the file is cut short"
        )


def inflate(compressed: bytes, size: int, encoding: str = "gzip") -> bytearray:
    """The first `size` bytes of a compressed stream, which may have several members.

    Raises:
        FileFormatError: If the stream is damaged or ends before.
        VolumeError: If so few bytes cannot hold so many.
    """
    check_growth(len(compressed), size)
    # one byte more than wanted, so that the checksum behind the data is read and checked
    content = inflate_at_most(compressed, size + 1, encoding)
    if len(content) < size:
        raise FileFormatError(
            f"compressed data end after {len(content)} of {size} bytes; the file is cut short"
        )
    return content


def inflate_at_most(compressed: bytes, size: int, encoding: str = "gzip") -> bytearray:
    """Decompress, but stop at a size: a small file must not fill the memory.

    Args:
        compressed: The compressed bytes.
        size: Where to stop.
        encoding: `gzip`, `bzip2` or `zlib` (which also takes gzip).

    Returns:
        At most `size` bytes; fewer when the stream is shorter or cut short.

    Raises:
        FileFormatError: If the stream is damaged, or has many members that hold nothing.
    """
    content, rest = bytearray(), memoryview(compressed)
    stream, held, empty = _decompressor(encoding), 0, 0
    try:
        while len(content) < size and len(rest):
            content += stream.decompress(rest[:_CHUNK_BYTES], size - len(content))
            taken = min(len(rest), _CHUNK_BYTES)
            if not stream.eof:
                rest = rest[taken:]
                continue
            rest = rest[taken - len(stream.unused_data) :]
            empty += len(content) == held
            if empty > _MAX_EMPTY_MEMBERS:
                raise FileFormatError("compressed data are damaged (members without content)")
            while len(rest) and rest[0] == 0:  # tape padding
                head = bytes(rest[:_CHUNK_BYTES])
                rest = rest[len(head) - len(head.lstrip(b"\0")) :]
            stream, held = _decompressor(encoding), len(content)
    except (zlib.error, OSError, EOFError) as error:
        raise FileFormatError(f"compressed data are damaged ({error})") from error
    return content


def _decompressor(encoding: str) -> Any:
    if encoding == "bzip2":
        return bz2.BZ2Decompressor()
    return zlib.decompressobj(wbits=47 if encoding == "zlib" else 31)


def check_size(shape: tuple[int, ...]) -> None:
    """Refuse a size that no volume has, before any memory is taken for it.

    Raises:
        VolumeError: If an axis is not positive or there are too many voxels.
    """
    voxels = 1
    for n in shape:
        voxels *= int(n)
    if not shape or min(shape) < 1:
        raise VolumeError(f"volume has the size {shape}; expected positive numbers")
    if voxels > MAX_VOXELS:
        raise VolumeError(
            f"volume of {shape} has {voxels} voxels; expected at most {MAX_VOXELS}",
            remedy="Crop the volume or lower its resolution.",
        )


def squeeze_to_3d(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Shape without axes of one voxel, the last ones first, until three are left.

    Raises:
        VolumeError: If that is not 3-D.
    """
    kept = list(shape)
    while len(kept) > 3 and kept[-1] == 1:
        kept.pop()
    spatial = [*kept]
    while len(spatial) > 3 and 1 in spatial:
        spatial.remove(1)
    if len(spatial) == 3:
        return spatial[0], spatial[1], spatial[2]
    remedy = "Export one 3-D volume per sequence."
    if len(kept) == 4:
        remedy += (
            " If the last axis holds the sequences, state their order: option --channels, "
            "over HTTP the key channels, for example t1,t1c,t2,flair."
        )
    raise VolumeError(
        f"image has {len(kept)} dimensions {shape}; expected a 3-D volume", remedy=remedy
    )


def squeeze_doubts(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Warning if axes of one voxel stand before or between the three that are kept."""
    if len(shape) > 3 and any(n != 1 for n in shape[3:]):
        return (
            f"the file has {len(shape)} axes, of which those of one voxel were left out; the "
            "orientation is taken to be that of the other three",
        )
    return ()


def check_numeric(dtype: np.dtype[Any]) -> None:
    """Refuse colours and complex numbers.

    Raises:
        VolumeError: If the type is not integer or real.
    """
    if dtype.kind not in "biuf":
        kind = "complex numbers" if dtype.kind == "c" else "colours or records"
        raise VolumeError(
            f"image holds {kind}; expected one number per voxel",
            remedy="Export the magnitude image.",
        )


def check_spacing(spacing_mm: npt.NDArray[np.float64]) -> None:
    """Refuse voxel sizes that are zero or not numbers, as headers state them.

    Raises:
        GeometryError: If one is not a finite number other than zero.
    """
    if not np.isfinite(spacing_mm).all() or (spacing_mm == 0).any():
        raise GeometryError(
            f"voxel size is {np.round(spacing_mm, 4).tolist()} mm; expected positive numbers"
        )
