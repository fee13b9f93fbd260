"""Unpacking archives that strangers send."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from brain_tumor.cases.files.durable import storage_errors
from brain_tumor.errors import FileFormatError, InputError
from brain_tumor.server.http.validation import check_file_name

MAX_ENTRIES = 20_000  # a DICOM series has one file per slice
MAX_DEPTH = 8
CHUNK_BYTES = 1024**2
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError)


class _Entry(Protocol):
    """A file inside an archive."""

    name: str

    def open(self) -> IO[bytes]:
        """Stream of the content."""


class _ZipEntry:
    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self.name = info.filename
        self._archive, self._info = archive, info

    def open(self) -> IO[bytes]:
        return self._archive.open(self._info)


class _TarEntry:
    def __init__(self, archive: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        self.name = info.name
        self._archive, self._info = archive, info

    def open(self) -> IO[bytes]:
        stream = self._archive.extractfile(self._info)
        if stream is None:
            raise FileFormatError(f"archive entry '{self.name}' has no content")
        return stream


def is_archive(filename: str) -> bool:
    """Whether a file name has an archive suffix."""
    return filename.lower().endswith(ARCHIVE_SUFFIXES)


def unpack(archive: Path, folder: Path, *, max_bytes: int) -> list[Path]:
    """Unpack a zip or tar archive into an empty folder.

    Args:
        archive: The file; its content, not its name, decides the format.
        folder: Existing folder that receives the files.
        max_bytes: Upper bound of the unpacked bytes, counted while they are written.

    Returns:
        The files written, in archive order.

    Raises:
        InputError: If an entry leads out of the folder (absolute, ``..``, links, devices) or the
            archive unpacks to more than `max_bytes` or `MAX_ENTRIES` files.
        FileFormatError: If it is neither zip nor tar, encrypted or damaged.
    """
    written: list[Path] = []
    budget = max_bytes
    try:
        for entry in _entries(archive):
            path = folder.joinpath(*_safe_parts(entry.name))
            if len(written) >= MAX_ENTRIES:
                raise InputError(f"archive holds more than {MAX_ENTRIES} files")
            with storage_errors(path.name):
                path.parent.mkdir(parents=True, exist_ok=True)
            budget -= _copy(entry, path, budget)
            written.append(path)
    except _DAMAGED as error:
        raise FileFormatError(f"archive '{archive.name}' is damaged: {error}") from error
    except RuntimeError as error:  # zipfile's way to say that a password is needed
        if "password" in str(error):
            raise FileFormatError(f"archive '{archive.name}' is encrypted") from error
        raise
    if not written:
        raise InputError(f"archive '{archive.name}' holds no files")
    return written


def _entries(archive: Path) -> Iterator[_Entry]:
    """Regular files of an archive, one after the other."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                mode = info.external_attr >> 16
                if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or not stat.S_IFMT(mode)):
                    raise InputError(f"archive entry '{info.filename}' is a link or a device")
                if not info.is_dir() and not _is_litter(info.filename):
                    yield _ZipEntry(zipped, info)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tarred:
            for member in tarred:
                if not (member.isreg() or member.isdir()):
                    raise InputError(f"archive entry '{member.name}' is a link or a device")
                if member.isreg() and not _is_litter(member.name):
                    yield _TarEntry(tarred, member)
    else:
        raise FileFormatError(f"'{archive.name}' is neither a zip nor a tar archive")


def _is_litter(name: str) -> bool:
    """Whether macOS or Windows put the entry there."""
    parts = PurePosixPath(name).parts
    return any(p.startswith("._") or p in {"__MACOSX", ".DS_Store", "Thumbs.db"} for p in parts)


def _safe_parts(name: str) -> tuple[str, ...]:
    """Path of an entry relative to the folder.

    Raises:
        InputError: If the path leads elsewhere or a part is no safe file name.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise InputError(f"archive entry '{name:.80}' leads out of the archive")
    if len(path.parts) > MAX_DEPTH:
        raise InputError(f"archive entry '{name:.80}' is more than {MAX_DEPTH} folders deep")
    return tuple(check_file_name(part, "archive entry") for part in path.parts)


def _copy(entry: _Entry, path: Path, budget: int) -> int:
    """Write one entry.

    Returns:
        Its size in bytes.

    Raises:
        InputError: If it is larger than the budget or its name occurs twice.
    """
    if path.exists():
        raise InputError(f"archive entry '{entry.name:.80}' occurs twice")
    size = 0
    with entry.open() as source, storage_errors(path.name), path.open("xb") as target:
        while chunk := source.read(CHUNK_BYTES):
            size += len(chunk)
            if size > budget:
                raise InputError(
                    "archive unpacks to more than the server accepts",
                    remedy="Send fewer or smaller volumes.",
                )
            target.write(chunk)
    return size
