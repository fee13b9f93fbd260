"""Files that are either whole or absent, also after a crash or on a full disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brain_tumor.errors import StorageError

TEMPORARY_PREFIX = ".tumorlens-tmp-"
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
"""Modes of what holds patients: for the user who made it alone."""

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "the folder does not permit it",
    errno.EPERM: "the folder does not permit it",
}


@contextmanager
def storage_errors(name: str) -> Iterator[None]:
    """Turn the operating system's errors into one sentence.

    Raises:
        StorageError: For any OSError inside the block.
    """
    try:
        yield
    except OSError as error:
        reason = storage_reason(error) or error.strerror or type(error).__name__
        raise StorageError(
            f"'{name}' cannot be stored: {reason}",
            remedy="Free disk space or fix the permissions of the folder, then try again.",
        ) from error


def storage_reason(error: OSError) -> str | None:
    """What the disk has against it, or None if the error is about something else."""
    return _REASONS.get(error.errno or 0)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole; an old file stays until then.

    Raises:
        StorageError: If it cannot be written; nothing is left behind.
    """
    with storage_errors(path.name):
        make_folder(path.parent)
        temporary = temporary_sibling(path)
        try:
            write_synced(temporary, content)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def temporary_sibling(path: Path) -> Path:
    """Fresh name in the same folder, hidden and without a volume's ending."""
    return path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file that only this user may read, and wait until the disk has it.

    Raises:
        OSError: If it exists or cannot be written.
    """
    write_new(path, content)
    sync_file(path)


def write_new(path: Path, content: bytes) -> None:
    """Write a new file that only this user may read; the disk has it after `sync_file`.

    Raises:
        OSError: If it exists or cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, PRIVATE_FILE), "wb") as stream:
        stream.write(content)


def remove_leftovers(folder: Path) -> int:
    """Remove the temporary files and folders that a killed process left in a folder.

    Returns:
        How many there were.
    """
    leftovers = list(folder.glob(f"{TEMPORARY_PREFIX}*")) if folder.is_dir() else []
    for path in leftovers:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(leftovers)


def make_folder(folder: Path, mode: int = PRIVATE_FOLDER) -> None:
    """Make a folder and its parents durable; by default only this user may look into them.

    Raises:
        OSError: If that fails; callers wrap it in `storage_errors`.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=mode, exist_ok=True)
    sync_folder(folder.parent)


def sync_file(path: Path) -> None:
    """Wait until the disk has the bytes of a file.

    Raises:
        OSError: If it cannot be read or synced.
    """
    _sync(path)


def sync_folder(folder: Path) -> None:
    """Make the names inside a folder durable, where the system can."""
    if os.name == "posix":
        _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, which is never held in memory as a whole."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
