"""Zip and tar archives as lists of files, read so that no header costs more than it may.

A zip's directory is counted before it is parsed; a tar is read block by block, because the standard
library reads the headers of its extensions whole, however long they say they are.

References:
    APPNOTE.TXT 6.3.10 (zip); POSIX.1-2017 pax, "ustar interchange format" (tar).
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from brain_tumor.cases.files.stored import FREE_BYTES, GZIP_MAGIC, MAX_EXPANSION
from brain_tumor.errors import FileFormatError, InputError

MAX_ENTRIES = 20_000  # a DICOM series has one file per slice
CHUNK_BYTES = 2**18
_MAX_NAME_BYTES = 4096
_MAX_EXTENSION_BYTES = 2**16
_BLOCK = 512
_MAX_EMPTY_MEMBERS = 1000
_END_OF_ZIP, _END_OF_ZIP64 = b"PK\x05\x06", b"PK\x06\x07"
_DIRECTORY_ENTRY = b"PK\x01\x02"


@dataclass(frozen=True)
class Entry:
    """A file inside an archive.

    Attributes:
        name: Path inside the archive, as the archive says; not yet checked.
        kind: `file`, `folder`, or `other` for links and devices.
        size_bytes: How long its header says that it is.
        chunks: Gives the content piece by piece, once.
    """

    name: str
    kind: str
    size_bytes: int
    chunks: Callable[[], Iterator[bytes]]


def entries(archive: Path) -> Iterator[Entry]:
    """Everything in an archive, in its order; a tar's content must be read before the next entry.

    Raises:
        FileFormatError: If it is neither zip nor tar, or packed in a way that is not taken.
        InputError: If it has too many entries.
        Exception: What zipfile and zlib raise on a damaged archive.
    """
    with archive.open("rb") as stream:
        start = stream.read(_BLOCK)
        if zipfile.is_zipfile(archive):
            _check_directory(stream, archive.stat().st_size)
            yield from _zip_entries(archive)
            return
        source = _Source(stream, is_packed=start.startswith(GZIP_MAGIC))
        block = source.read(_BLOCK)
        if not _is_header(block):
            raise FileFormatError(
                f"'{archive.name}' is neither a zip nor a tar archive",
                remedy="Send a .zip, a .tar or a .tar.gz.",
            )
        yield from _tar_entries(source, block)


def most_bytes(archive: Path, max_bytes: int) -> int:
    """What an archive of this size may unpack to; MRI packs to a third."""
    return min(max_bytes, max(FREE_BYTES, MAX_EXPANSION * archive.stat().st_size))


def _check_directory(stream: IO[bytes], size: int) -> None:
    """Count the entries of a zip before anything is made of them.

    Raises:
        FileFormatError: If the directory is damaged.
        InputError: If there are too many.
    """
    tail_bytes = min(size, 2**16 + 22)
    stream.seek(size - tail_bytes)
    tail = stream.read(tail_bytes)
    at = tail.rfind(_END_OF_ZIP)
    if at < 0 or len(tail) - at < 22:
        raise FileFormatError("the archive is damaged (its end is missing)")
    if tail[max(at - 20, 0) : at].startswith(_END_OF_ZIP64):
        raise FileFormatError(
            "the archive is a zip64; expected an ordinary zip",
            remedy="Make it with another program, or send a .tar.gz.",
        )
    (directory_bytes,) = struct.unpack("<L", tail[at + 12 : at + 16])
    begin = size - tail_bytes + at - directory_bytes
    if begin < 0:
        raise FileFormatError("the archive is damaged (its directory is cut short)")
    if directory_bytes > MAX_ENTRIES * (46 + _MAX_NAME_BYTES // 8):
        raise InputError(f"archive holds more than {MAX_ENTRIES} files, or very long names")
    stream.seek(begin)
    directory = stream.read(directory_bytes)
    position = count = 0
    while directory.startswith(_DIRECTORY_ENTRY, position):
        if count == MAX_ENTRIES:
            raise InputError(f"archive holds more than {MAX_ENTRIES} files")
        lengths = directory[position + 28 : position + 34]
        if len(lengths) < 6:
            raise FileFormatError("the archive is damaged (its directory is cut short)")
        position += 46 + sum(struct.unpack("<3H", lengths))
        count += 1


def _zip_entries(archive: Path) -> Iterator[Entry]:
    try:
        zipped = zipfile.ZipFile(archive)
    except UnicodeDecodeError as error:
        raise FileFormatError("archive has a name that is no text (UTF-8)") from error
    with zipped:
        for info in zipped.infolist():
            mode = (info.external_attr >> 16) & 0o170000
            is_folder = info.filename.endswith("/")
            kind = "folder" if is_folder else "file"
            if mode not in (0, 0o100000, 0o040000):
                kind = "other"
            if "\0" in info.orig_filename:  # zipfile would read the part before it as the name
                raise FileFormatError("archive has a name with NUL in it")
            if info.flag_bits & 1:
                raise FileFormatError(f"archive '{archive.name}' is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise FileFormatError(
                    f"archive packs '{info.filename[:80]}' by method {info.compress_type}; "
                    "expected stored or deflated",
                    remedy="Make the archive with the ordinary zip method.",
                )

            def chunks(info: zipfile.ZipInfo = info) -> Iterator[bytes]:
                with zipped.open(info) as stream:
                    while chunk := stream.read(CHUNK_BYTES):
                        yield chunk

            yield Entry(info.filename, kind, info.file_size, chunks)


class _Source:
    """Bytes of a tar, unpacked as they are asked for.

    Args:
        stream: The file.
        is_packed: Whether it is gzip.
    """

    def __init__(self, stream: IO[bytes], *, is_packed: bool) -> None:
        stream.seek(0)
        self._stream = stream
        self._is_packed = is_packed
        self._unpacker = zlib.decompressobj(wbits=31)
        self._waiting = b""
        self._ready, self._given = b"", 0
        self._empty = 0

    def read(self, count: int) -> bytes:
        """Next bytes, fewer only at the end.

        Raises:
            zlib.error: If they are damaged.
        """
        if not self._is_packed:
            return self._stream.read(count)
        parts, missing = [], count
        while missing:
            if self._given == len(self._ready):
                self._ready, self._given = self._unpacked(CHUNK_BYTES), 0
                if not self._ready:
                    break
            parts.append(self._ready[self._given : self._given + missing])
            self._given += len(parts[-1])
            missing -= len(parts[-1])
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Pass over bytes.

        Raises:
            EOFError: If there are not as many.
        """
        while count > 0:
            passed = len(self.read(min(count, CHUNK_BYTES)))
            if not passed:
                raise EOFError("the end is missing")
            count -= passed

    def _unpacked(self, most: int) -> bytes:
        """At least one byte, none at the end."""
        while True:
            packed = self._waiting or self._stream.read(2**14)
            if self._unpacker.eof:
                packed = packed.lstrip(b"\0")
                if packed:
                    self._unpacker = zlib.decompressobj(wbits=31)
                    self._empty += 1
            if self._empty > _MAX_EMPTY_MEMBERS:
                raise zlib.error("members without content")
            part = self._unpacker.decompress(packed, most)
            self._waiting = self._unpacker.unconsumed_tail or self._unpacker.unused_data
            if part:
                self._empty = 0
                return part
            if not packed:
                return b""


def _tar_entries(source: _Source, block: bytes) -> Iterator[Entry]:
    """Entries of a tar whose first block was read."""
    name = ""
    size: int | None = None
    count = 0
    while block.strip(b"\0"):
        if not _is_header(block):
            raise FileFormatError("the archive is damaged (a header is none)")
        count += 1
        if count > 2 * MAX_ENTRIES:  # each may have an extension before it
            raise InputError(f"archive holds more than {MAX_ENTRIES} files")
        stated, kind = _number(block[124:136]), block[156:157]
        if kind in b"LKxg":
            told = _extension(source, kind, stated)
            name, size = told.get("path", name), _size_of(told, size)
        else:
            length = stated if size is None else size
            yield from _tar_entry(source, name or _name(block), kind, length)
            name, size = "", None
        block = source.read(_BLOCK)


def _tar_entry(source: _Source, name: str, kind: bytes, length: int) -> Iterator[Entry]:
    """One entry, and after its content the rest of its last block."""
    left = [length if kind in b"0\x007" else 0]

    def chunks() -> Iterator[bytes]:
        while left[0]:
            chunk = source.read(min(left[0], CHUNK_BYTES))
            if not chunk:
                raise EOFError("the end is missing")
            left[0] -= len(chunk)
            yield chunk

    is_folder = kind == b"5" or (kind == b"\0" and name.endswith("/"))
    label = "folder" if is_folder else "file" if kind in b"0\x007" else "other"
    padding = -left[0] % _BLOCK
    yield Entry(name, label, left[0], chunks)
    source.skip(left[0] + padding)


def _extension(source: _Source, kind: bytes, length: int) -> dict[str, str]:
    """What a header that speaks of the next entry says: `path` and `size` of a pax header."""
    if length > _MAX_EXTENSION_BYTES:
        raise FileFormatError(
            f"archive has a header of {length} bytes; expected at most {_MAX_EXTENSION_BYTES}"
        )
    content = source.read(length)
    source.skip(-length % _BLOCK)
    if kind in b"Kg":  # of a link, or of the whole archive
        return {}
    if kind == b"L":
        return {"path": _text(content.rstrip(b"\0"))}
    told: dict[str, str] = {}
    position = 0
    while position < len(content):
        digits, _, _ = content[position : position + 8].partition(b" ")
        end = position + int(digits) if digits.isdigit() else position
        record = content[position + len(digits) + 1 : end]
        if end <= position or not record.endswith(b"\n"):
            raise FileFormatError("the archive is damaged (a pax header)")
        key, _, value = record[:-1].partition(b"=")
        if key in (b"path", b"size"):
            told[key.decode()] = _text(value)
        position = end
    return told


def _size_of(told: dict[str, str], held: int | None) -> int | None:
    """Size that a pax header gives, else the one held."""
    if "size" not in told:
        return held
    if not told["size"].isascii() or not told["size"].isdigit() or len(told["size"]) > 18:
        raise FileFormatError("the archive is damaged (a size is no number)")
    return int(told["size"])


def _is_header(block: bytes) -> bool:
    """Whether a block is the header of an entry, by its checksum."""
    if len(block) < _BLOCK:
        return False
    try:
        stated = _number(block[148:156])
    except FileFormatError:
        return False
    return stated == sum(block[:148]) + 8 * ord(" ") + sum(block[156:])


def _number(field: bytes) -> int:
    """Octal number, or binary where the first bit is set."""
    if field[:1] and field[0] & 0x80:
        value = int.from_bytes(field[1:], "big")
        if field[0] != 0x80 or value >= 2**60:
            raise FileFormatError("the archive is damaged (a size is no number)")
        return value
    digits = field.strip(b"\0 ")
    if digits and set(digits) - set(b"01234567"):
        raise FileFormatError("the archive is damaged (a size is no number)")
    return int(digits or b"0", 8)


def _name(block: bytes) -> str:
    """Name in a header, with its prefix."""
    name = _text(block[:100].partition(b"\0")[0])
    prefix = _text(block[345:500].partition(b"\0")[0]) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(name: bytes) -> str:
    """Name as text.

    Raises:
        FileFormatError: If it is empty, too long or no UTF-8.
    """
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError("archive has a name that is no text (UTF-8)") from error
    if len(name) > _MAX_NAME_BYTES:
        raise FileFormatError("archive has a name that is too long")
    return text
