"""Folders of model versions: those of the installation, and those that were added, written once."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import replace
from pathlib import Path

from brain_tumor.bundles import METADATA, WEIGHTS, read_bundle
from brain_tumor.cases.files.durable import (
    file_sha256,
    remove_leftovers,
    storage_errors,
    sync_file,
    sync_folder,
)
from brain_tumor.errors import ModelError
from brain_tumor.learning.registry.model_versions import (
    RECORD,
    VersionRecord,
    is_model_name,
    read_record,
    record_text,
)

STAGING_PREFIX = ".adding-"


class VersionFolders:
    """Versions as folders; the caller sees to it that one process writes at a time.

    Args:
        shipped: Folder of the installation's bundles; may be missing, is never written to.
        store: Folder for further versions.
    """

    def __init__(self, shipped: Path, store: Path) -> None:
        self.shipped = shipped
        self.store = store

    def names(self) -> list[str]:
        """Names of all models, sorted."""
        found = {p.parents[1].name for p in self.shipped.glob(f"*/{METADATA}")}
        found |= {p.parents[1].name for p in self.store.glob(f"*/*/{RECORD}")}
        return sorted(name for name in found if is_model_name(name))

    def place(self, name: str, version: str) -> Path:
        """Folder of a version that was added."""
        return self.store / name / version

    def added(self, name: str) -> list[VersionRecord]:
        """Versions in the store; a record that cannot be read is skipped."""
        if not is_model_name(name):
            return []
        records = []
        for path in (self.store / name).glob(f"*/{RECORD}"):
            record = read_record(path)
            if record is not None and record.name == name and record.version == path.parent.name:
                records.append(record)
        return records

    def shipped_record(self, name: str) -> VersionRecord | None:
        """Version that came with the installation.

        Raises:
            ModelError: If its bundle is damaged.
        """
        if not is_model_name(name) or not (self.shipped / name / METADATA).is_file():
            return None
        path = self.shipped / name
        stamp = tuple(
            (path / f).stat().st_mtime_ns for f in (METADATA, WEIGHTS) if (path / f).exists()
        )
        held = _SHIPPED_CACHE.get(path)
        if held is None or held[0] != stamp:
            bundle = read_bundle(path)
            held = (stamp, VersionRecord(name, bundle.version.version, bundle.version.sha256, path))
            _SHIPPED_CACHE[path] = held
        return held[1]

    def all_of(self, name: str) -> list[VersionRecord]:
        """Versions of a model in no order; a number that was added goes before the shipped one."""
        found = {record.version: record for record in self.added(name)}
        shipped = self.shipped_record(name)
        if shipped is not None:
            found.setdefault(shipped.version, shipped)
        return list(found.values())

    def write(self, source: Path, record: VersionRecord) -> None:
        """Copy a bundle to the folder of its record so that it appears whole.

        Raises:
            StorageError: If it cannot be stored; then nothing changed.
        """
        staging = self.store / f"{STAGING_PREFIX}{secrets.token_hex(8)}"
        with storage_errors(record.name):
            try:
                shutil.copytree(source, staging, ignore=shutil.ignore_patterns(RECORD))
                (staging / RECORD).write_text(record_text(record), encoding="utf-8")
                for path in staging.rglob("*"):
                    if path.is_file():
                        sync_file(path)
                        path.chmod(0o444)
                for folder in (staging, *(p for p in staging.rglob("*") if p.is_dir())):
                    sync_folder(folder)
                record.path.parent.mkdir(exist_ok=True)
                staging.rename(record.path)
                sync_folder(record.path.parent)
                sync_folder(self.store)
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def keep_shipped(self, name: str) -> None:
        """Keep a copy of the shipped version: a later installation may bring another one.

        Raises:
            StorageError: If it cannot be stored; then nothing changed.
        """
        shipped = self.shipped_record(name)
        if shipped is None or self.place(name, shipped.version).exists():
            return
        kept = replace(
            shipped, path=self.place(name, shipped.version), files=file_checksums(shipped.path)
        )
        self.write(shipped.path, kept)

    def remove_leftovers(self) -> None:
        """Remove what a killed process left half-written."""
        remove_leftovers(self.store)
        for path in self.store.glob(f"{STAGING_PREFIX}*"):
            shutil.rmtree(path, ignore_errors=True)


_SHIPPED_CACHE: dict[Path, tuple[tuple[int, ...], VersionRecord]] = {}


def file_checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle by its relative path, without the record."""
    return {
        p.relative_to(folder).as_posix(): file_sha256(p)
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != RECORD
    }


def verify_files(record: VersionRecord) -> None:
    """Compare every file of a version with its checksum.

    Raises:
        ModelError: If a file is missing or differs, or the bundle is damaged.
    """
    for relative, digest in record.files.items():
        path = record.path / relative
        if not path.is_file() or file_sha256(path) != digest:
            raise ModelError(
                f"{relative} of {record.name} {record.version} does not match its checksum",
                remedy="Restore the folder from a backup, or choose another version.",
            )
    read_bundle(record.path)
