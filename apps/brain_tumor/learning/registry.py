"""Versions of the models: kept for ever, switched atomically, taken back with one command.

The installation's bundles (`models/<name>`) are the first versions and are never written to.
Later versions live beside the studies:

    <store>/<name>/<version>/      whole bundle with `version.json`, written once
    <store>/decisions/<name>/<version>.json    what the promotion gate said
    <store>/active.json            per name the versions that were promoted, the active one last

A version appears by the rename of a folder that is complete on disk; a switch is the rename of
`active.json`. So a killed process leaves either the old state or the new one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from brain_tumor.bundles import METADATA, WEIGHTS, read_bundle
from brain_tumor.cases.durable import storage_errors, sync_folder, write_durably
from brain_tumor.errors import BusyError, InputError, ModelError, NotFoundError

logger = logging.getLogger(__name__)

RECORD = "version.json"
ACTIVE = "active.json"
DECISIONS = "decisions"
CARD = Path("docs/README.md")
LOCK_PATIENCE_S = 30.0
STAGING_PREFIX = ".adding-"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})")


class VersionState(StrEnum):
    """What became of a version."""

    ACTIVE = "active"  # answers requests
    SHIPPED = "shipped"  # came with the installation, not active
    CANDIDATE = "candidate"  # no gate has judged it yet
    ACCEPTED = "accepted"  # the gate let it pass; it is not active
    REFUSED = "refused"  # the gate kept it back
    RETIRED = "retired"  # was active once


@dataclass(frozen=True)
class VersionRecord:
    """One version of one model.

    Attributes:
        name: Bundle name.
        version: Semantic version.
        sha256: Checksum of the weights.
        path: Folder of the bundle.
        parent: Version that it was trained from, None for a shipped one.
        created: Time in UTC, ISO 8601; empty for a shipped one.
        data: What it was trained on: fingerprint, number of corrections and so on.
        metrics: Scores of its training and of the gate.
        state: What became of it.
        files: Checksum of every file, relative to the folder; empty for a shipped one.
    """

    name: str
    version: str
    sha256: str
    path: Path
    parent: str | None = None
    created: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    state: VersionState = VersionState.CANDIDATE
    files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for replies; it names no folder."""
        return {
            "version": self.version,
            "sha256": self.sha256,
            "parent": self.parent,
            "created": self.created,
            "data": dict(self.data),
            "metrics": dict(self.metrics),
            "state": self.state.value,
        }


class ModelRegistry:
    """Versions on disk; safe to share between threads and processes.

    Args:
        shipped: Folder of the installation's bundles; may be missing.
        store: Folder for further versions; made with the first one.
    """

    def __init__(self, shipped: Path, store: Path) -> None:
        self._shipped = shipped
        self._store = store
        self._lock = FileLock(store / ".lock", thread_local=False)

    @property
    def shipped(self) -> Path:
        """Folder of the installation's bundles."""
        return self._shipped

    @property
    def store(self) -> Path:
        """Folder of further versions."""
        return self._store

    # Reading.

    def names(self) -> list[str]:
        """Names of all models, sorted."""
        found = {p.parents[1].name for p in self._shipped.glob(f"*/{METADATA}")}
        found |= {p.parents[1].name for p in self._store.glob(f"*/*/{RECORD}")}
        return sorted(name for name in found if _NAME.fullmatch(name))

    def versions(self, name: str) -> list[VersionRecord]:
        """Versions of a model, oldest number first.

        Raises:
            NotFoundError: If there is no such model.
        """
        stacks = self._stacks()
        found = {r.version: r for r in self._stored(name)}
        shipped = self._read_shipped(name)
        if shipped is not None:
            found.setdefault(shipped.version, shipped)
        if not found:
            raise NotFoundError(
                f"no model '{name:.64}'; there are {', '.join(self.names()) or 'none'}",
                remedy="List the models (tumorlens models list, GET /models).",
            )
        records = [self._with_state(r, shipped, stacks) for r in found.values()]
        return sorted(records, key=lambda record: version_key(record.version))

    def get(self, name: str, version: str) -> VersionRecord:
        """One version.

        Raises:
            NotFoundError: If there is none.
        """
        records = self.versions(name)
        for record in records:
            if record.version == version:
                return record
        raise NotFoundError(
            f"model '{name}' has no version '{version:.40}'; it has "
            f"{', '.join(r.version for r in records)}",
            remedy="List the models (tumorlens models list, GET /models).",
        )

    def active_record(self, name: str) -> VersionRecord:
        """Version that answers requests now.

        A switch to a version whose folder is gone counts as taken back.

        Raises:
            NotFoundError: If there is no such model.
        """
        return next(r for r in self.versions(name) if r.state is VersionState.ACTIVE)

    def active(self, name: str) -> Path:
        """Folder of the bundle that answers requests now.

        Raises:
            NotFoundError: If there is no such model.
        """
        return self.active_record(name).path

    def stamp(self) -> Hashable:
        """Changes with every switch; cheap enough to ask with every request."""
        try:
            status = (self._store / ACTIVE).stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def next_version(self, name: str) -> str:
        """Number for the next retrained version: the highest one with a larger last part."""
        major, minor, patch = max(version_key(r.version) for r in self.versions(name))
        return f"{major}.{minor}.{patch + 1}"

    def decision(self, name: str, version: str) -> dict[str, Any] | None:
        """What the gate said about a version, or None."""
        try:
            text = self._decision_path(name, version).read_text(encoding="utf-8")
            content: dict[str, Any] = json.loads(text)
        except (FileNotFoundError, ValueError):
            return None
        return content

    def verify(self, name: str, version: str) -> VersionRecord:
        """Compare every file of a version with its checksum.

        Raises:
            NotFoundError: If there is no such version.
            ModelError: If a file is missing or differs.
        """
        record = self.get(name, version)
        for relative, digest in record.files.items():
            path = record.path / relative
            if not path.is_file() or _sha256(path) != digest:
                raise ModelError(
                    f"{relative} of {name} {version} does not match its checksum",
                    remedy="Restore the folder from a backup, or choose another version.",
                )
        read_bundle(record.path)
        return record

    # Changing.

    def add(
        self,
        source: Path,
        *,
        data: Mapping[str, Any],
        metrics: Mapping[str, Any],
        parent: str | None = None,
    ) -> VersionRecord:
        """Keep a bundle as a new version; it does not become active.

        Args:
            source: Folder with a whole bundle and its card; stays as it is. Its metadata say name
                and version.
            data: What it was trained on.
            metrics: Its scores.
            parent: Version that it was trained from.

        Raises:
            ModelError: If the bundle or its card is missing or damaged.
            InputError: If the version exists already with other weights.
            StorageError: If it cannot be stored; then nothing changed.
        """
        bundle = read_bundle(source)
        name, version = bundle.version.name, bundle.version.version
        check_version(version)
        if not _NAME.fullmatch(name):
            raise ModelError(f"bundle is named {name!r:.80}; expected a-z, 0-9 and _")
        if not (source / CARD).is_file():
            raise ModelError(f"bundle {name} {version} has no card; expected {CARD}")
        with self._locked():
            for record in self.versions(name) if name in self.names() else ():
                if record.version == version:
                    if record.sha256 == bundle.version.sha256:
                        return record
                    raise InputError(
                        f"{name} {version} exists with other weights; versions never change",
                        remedy="Give the new weights a new version.",
                    )
            record = VersionRecord(
                name=name,
                version=version,
                sha256=bundle.version.sha256,
                path=self._store / name / version,
                parent=parent,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                data=dict(data),
                metrics=dict(metrics),
                files={
                    p.relative_to(source).as_posix(): _sha256(p)
                    for p in sorted(source.rglob("*"))
                    if p.is_file() and p.name != RECORD
                },
            )
            self._write(source, record)
            return self.get(name, version)

    def promote(self, name: str, version: str, *, by: str, reason: str) -> VersionRecord:
        """Make a version the active one. Requests that run already finish on the old one.

        The gate is asked by the caller; see `brain_tumor.learning.promotion`.

        Raises:
            NotFoundError: If there is no such version.
            ModelError: If its files are damaged.
            StorageError: If the switch cannot be stored; then nothing changed.
        """
        with self._locked():
            self.verify(name, version)
            self._keep_shipped(name)
            stack = self._stack(name)
            if stack[-1] != version:
                self._switch(name, [*stack, version], "promoted", by, reason)
            return self.get(name, version)

    def rollback(self, name: str, version: str | None = None, *, by: str) -> VersionRecord:
        """Go back to the version before the active one, or to a given one.

        Raises:
            NotFoundError: If there is nothing to go back to.
            ModelError: If the files of the version are damaged.
        """
        with self._locked():
            self.get(name, version or self.active_record(name).version)
            stack = self._stack(name)
            if version is None:
                if len(stack) < 2:
                    raise NotFoundError(
                        f"{name} {stack[-1]} is the only version that ever was active",
                        remedy="Name a version (tumorlens models list shows them).",
                    )
                stack = stack[:-1]
            elif version in stack:
                stack = stack[: stack.index(version) + 1]
            else:
                stack = [*stack, version]
            self.verify(name, stack[-1])
            self._switch(name, stack, "rolled back", by, "")
            return self.get(name, stack[-1])

    def record_decision(self, name: str, version: str, decision: Mapping[str, Any]) -> None:
        """Keep what the gate said; `promote` tells whether the version may become active.

        Raises:
            NotFoundError: If there is no such version.
            StorageError: If it cannot be stored.
        """
        self.get(name, version)
        content = json.dumps(dict(decision), indent=1, allow_nan=False).encode()
        write_durably(self._decision_path(name, version), content)

    def recover(self) -> None:
        """Remove what a killed process left half-written."""
        if self._store.is_dir():
            with self._locked():
                for path in self._store.glob(f"{STAGING_PREFIX}*"):
                    shutil.rmtree(path, ignore_errors=True)

    # Details.

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, over all processes."""
        with storage_errors(self._store.name):
            self._store.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                self._lock.acquire(timeout=LOCK_PATIENCE_S)
            except Timeout as error:
                raise BusyError("another process changes the models") from error
        try:
            yield
        finally:
            self._lock.release()

    def _write(self, source: Path, record: VersionRecord) -> None:
        """Copy a bundle so that it appears whole."""
        staging = self._store / f"{STAGING_PREFIX}{secrets.token_hex(8)}"
        with storage_errors(record.name):
            try:
                shutil.copytree(source, staging, ignore=shutil.ignore_patterns(RECORD))
                text = json.dumps(_to_record(record), indent=1, allow_nan=False)
                (staging / RECORD).write_text(text + "\n", encoding="utf-8")
                for path in staging.rglob("*"):
                    if path.is_file():
                        _sync_file(path)
                        path.chmod(0o444)
                for folder in (staging, *(p for p in staging.rglob("*") if p.is_dir())):
                    sync_folder(folder)
                record.path.parent.mkdir(exist_ok=True)
                staging.rename(record.path)
                sync_folder(record.path.parent)
                sync_folder(self._store)
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def _keep_shipped(self, name: str) -> None:
        """Keep a copy of the shipped version: a later installation may bring another one."""
        shipped = self._read_shipped(name)
        if shipped is None or (self._store / name / shipped.version).exists():
            return
        files = {
            p.relative_to(shipped.path).as_posix(): _sha256(p)
            for p in sorted(shipped.path.rglob("*"))
            if p.is_file()
        }
        kept = replace(shipped, path=self._store / name / shipped.version, files=files)
        self._write(shipped.path, kept)

    def _switch(self, name: str, stack: list[str], action: str, by: str, reason: str) -> None:
        """Write `active.json`; the lock is held."""
        state = self._state()
        was = self._stack(name)[-1]
        log = [*state.get("log", [])]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        log.append(
            {
                "at": now,
                "name": name,
                "action": action,
                "from": was,
                "to": stack[-1],
                "by": by,
                "reason": reason,
            }
        )
        content = {"format": 1, "stacks": {**self._stacks(), name: stack}, "log": log}
        write_durably(self._store / ACTIVE, json.dumps(content, indent=1).encode())
        logger.info("%s: %s is active (was %s)", name, stack[-1], was)

    def _state(self) -> dict[str, Any]:
        """Content of `active.json`."""
        try:
            state: Any = json.loads((self._store / ACTIVE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            logger.exception("%s cannot be read; the shipped versions answer", ACTIVE)
            return {}
        return state if isinstance(state, dict) else {}

    def _stacks(self) -> dict[str, list[str]]:
        """Versions that were promoted, by name."""
        stacks = self._state().get("stacks", {})
        return {str(k): [str(v) for v in vs] for k, vs in stacks.items()}

    def _stack(self, name: str) -> list[str]:
        """Versions that were promoted and exist, the active one last."""
        known = {record.version for record in self._stored(name)}
        shipped = self._read_shipped(name)
        if shipped is not None:
            known.add(shipped.version)
        return self._existing(self._stacks().get(name, []), known, shipped)

    @staticmethod
    def _existing(stack: list[str], known: set[str], shipped: VersionRecord | None) -> list[str]:
        """Stack without versions that are gone; never empty."""
        kept = [version for version in stack if version in known]
        if len(kept) < len(stack):
            logger.error("versions %s are active or were, but are gone", sorted(set(stack) - known))
        if kept:
            return kept
        return [shipped.version if shipped is not None else max(known, key=version_key)]

    def _with_state(
        self, record: VersionRecord, shipped: VersionRecord | None, stacks: dict[str, list[str]]
    ) -> VersionRecord:
        """Record with what became of it."""
        stack = self._stack(record.name)
        if record.version == stack[-1]:
            state = VersionState.ACTIVE
        elif shipped is not None and record.version == shipped.version:
            state = VersionState.SHIPPED
        elif record.version in self._ever_active(record.name, stacks):
            state = VersionState.RETIRED
        else:
            decision = self.decision(record.name, record.version)
            state = VersionState.CANDIDATE
            if decision is not None:
                passed = bool(decision.get("promote"))
                state = VersionState.ACCEPTED if passed else VersionState.REFUSED
        return replace(record, state=state)

    def _ever_active(self, name: str, stacks: dict[str, list[str]]) -> set[str]:
        """Versions that answered requests at some time."""
        log = self._state().get("log", [])
        switched = {
            v for entry in log if entry["name"] == name for v in (entry["from"], entry["to"])
        }
        return switched | set(stacks.get(name, []))

    def _stored(self, name: str) -> list[VersionRecord]:
        """Versions in the store; a record that cannot be read is skipped."""
        if not _NAME.fullmatch(name):
            return []
        records = []
        for path in (self._store / name).glob(f"*/{RECORD}"):
            record = _read_record(path)
            if record is not None and record.name == name and record.version == path.parent.name:
                records.append(record)
        return records

    def _read_shipped(self, name: str) -> VersionRecord | None:
        """Version that came with the installation."""
        if not _NAME.fullmatch(name) or not (self._shipped / name / METADATA).is_file():
            return None
        path = self._shipped / name
        stamp = tuple(
            (path / f).stat().st_mtime_ns for f in (METADATA, WEIGHTS) if (path / f).exists()
        )
        held = _SHIPPED_CACHE.get(path)
        if held is None or held[0] != stamp:
            bundle = read_bundle(path)
            held = (stamp, VersionRecord(name, bundle.version.version, bundle.version.sha256, path))
            _SHIPPED_CACHE[path] = held
        return held[1]

    def _decision_path(self, name: str, version: str) -> Path:
        return self._store / DECISIONS / name / f"{check_version(version)}.json"


_SHIPPED_CACHE: dict[Path, tuple[tuple[int, ...], VersionRecord]] = {}


def version_key(version: str) -> tuple[int, int, int]:
    """Numbers of a version, to sort by; anything else sorts first.

    Example:
        >>> version_key("0.10.2") > version_key("0.9.11")
        True
    """
    match = _VERSION.fullmatch(version)
    return (int(match[1]), int(match[2]), int(match[3])) if match else (0, 0, 0)


def check_version(version: str) -> str:
    """Version as given; it becomes a folder's name.

    Raises:
        InputError: If it is not three numbers.
    """
    if not _VERSION.fullmatch(version):
        raise InputError(f"version is {version!r:.40}; expected three numbers such as 0.1.2")
    return version


def _to_record(record: VersionRecord) -> dict[str, Any]:
    """Content of `version.json`."""
    plain = record.to_json()
    del plain["state"]
    return {"format": 1, "name": record.name, **plain, "files": dict(record.files)}


def _read_record(path: Path) -> VersionRecord | None:
    """Record of a version, or None if it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return VersionRecord(
            name=str(content["name"]),
            version=check_version(str(content["version"])),
            sha256=str(content["sha256"]),
            path=path.parent,
            parent=content["parent"],
            created=str(content["created"]),
            data=content["data"],
            metrics=content["metrics"],
            files={str(k): str(v) for k, v in content["files"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        logger.warning("skipped an unreadable version record of %s", path.parent.name)
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
