"""Unpacking archives that strangers send."""

from __future__ import annotations

import struct
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from brain_tumor.cases.files.durable import storage_errors
from brain_tumor.errors import FileFormatError, InputError
from brain_tumor.server.datastore.archive_formats import MAX_ENTRIES, Entry, entries, most_bytes
from brain_tumor.server.http.validation import check_file_name

MAX_DEPTH = 8
MAX_UNPACK_S = 120.0
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
    *(struct.error, ValueError, OverflowError, LookupError),
)


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
        InputError: If an entry leads out of the folder (absolute, ``..``, links, devices), or the
            archive unpacks to more than `max_bytes`, to far more than its own size, to more than
            `MAX_ENTRIES` files, or for too long.
        FileFormatError: If it is neither zip nor tar, encrypted or damaged.
    """
    written: list[Path] = []
    budget = most_bytes(archive, max_bytes)
    deadline = time.monotonic() + MAX_UNPACK_S
    try:
        for count, entry in enumerate(entries(archive)):
            if count >= MAX_ENTRIES:
                raise InputError(f"archive holds more than {MAX_ENTRIES} files")
            if entry.kind == "other":
                raise InputError(f"archive entry '{entry.name:.80}' is a link or a device")
            if entry.kind == "folder" or _is_litter(entry.name):
                continue
            path = folder.joinpath(*_safe_parts(entry.name))
            if entry.size_bytes > budget:  # what it really unpacks to is counted as well
                raise _too_much()
            with storage_errors(path.name):
                path.parent.mkdir(parents=True, exist_ok=True)
            budget -= _copy(entry, path, budget, deadline)
            written.append(path)
    except InputError:
        raise
    except _DAMAGED as error:
        raise FileFormatError(f"archive '{archive.name}' is damaged: {error!s:.80}") from error
    if not written:
        raise InputError(f"archive '{archive.name}' holds no files")
    return written


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


def _copy(entry: Entry, path: Path, budget: int, deadline: float) -> int:
    """Write one entry.

    Returns:
        Its size in bytes.

    Raises:
        InputError: If it is larger than the budget, its name occurs twice, or time is up.
    """
    if path.exists():
        raise InputError(f"archive entry '{entry.name:.80}' occurs twice")
    size = 0
    with storage_errors(path.name), path.open("xb") as target:
        for chunk in entry.chunks():
            size += len(chunk)
            if size > budget:
                raise _too_much()
            if time.monotonic() > deadline:
                raise InputError(f"archive takes more than {MAX_UNPACK_S:.0f} s to unpack")
            target.write(chunk)
    return size


def _too_much() -> InputError:
    return InputError(
        "archive unpacks to more than the server accepts", remedy="Send fewer or smaller volumes."
    )
