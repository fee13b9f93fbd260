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

import json
import logging
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from brain_tumor.bundles import read_bundle
from brain_tumor.cases.files.durable import remove_leftovers, storage_errors, write_durably
from brain_tumor.errors import BusyError, InputError, ModelError, NotFoundError
from brain_tumor.learning.registry.active_versions import ActiveVersions
from brain_tumor.learning.registry.model_versions import (
    VersionRecord,
    VersionState,
    check_version,
    is_model_name,
    version_key,
)
from brain_tumor.learning.registry.version_folders import (
    VersionFolders,
    file_checksums,
    verify_files,
)

__all__ = [
    "CARD",
    "ModelRegistry",
    "VersionRecord",
    "VersionState",
    "check_version",
    "version_key",
]

logger = logging.getLogger(__name__)

CARD = Path("docs/README.md")
LOCK_PATIENCE_S = 30.0


class ModelRegistry:
    """Versions on disk; safe to share between threads and processes.

    Args:
        shipped: Folder of the installation's bundles; may be missing.
        store: Folder for further versions; made with the first one.
    """

    def __init__(self, shipped: Path, store: Path) -> None:
        self._folders = VersionFolders(shipped, store)
        self._active = ActiveVersions(store)
        self._decisions = GateDecisions(store)
        self._lock = FileLock(store / ".lock", thread_local=False)

    @property
    def shipped(self) -> Path:
        """Folder of the installation's bundles."""
        return self._folders.shipped

    @property
    def store(self) -> Path:
        """Folder of further versions."""
        return self._folders.store

    # Reading.

    def names(self) -> list[str]:
        """Names of all models, sorted."""
        return self._folders.names()

    def versions(self, name: str) -> list[VersionRecord]:
        """Versions of a model, oldest number first.

        Raises:
            NotFoundError: If there is no such model.
        """
        found = self._folders.all_of(name)
        if not found:
            raise NotFoundError(
                f"no model '{name:.64}'; there are {', '.join(self.names()) or 'none'}",
                remedy="List the models (tumorlens models list, GET /models).",
            )
        records = [self._with_state(record, found) for record in found]
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
        return self._active.stamp()

    def next_version(self, name: str) -> str:
        """Number for the next retrained version: the highest one with a larger last part."""
        major, minor, patch = max(version_key(r.version) for r in self.versions(name))
        return f"{major}.{minor}.{patch + 1}"

    def decision(self, name: str, version: str) -> dict[str, Any] | None:
        """What the gate said about a version, or None."""
        return self._decisions.of(name, version)

    def verify(self, name: str, version: str) -> VersionRecord:
        """Compare every file of a version with its checksum.

        Raises:
            NotFoundError: If there is no such version.
            ModelError: If a file is missing or differs.
        """
        record = self.get(name, version)
        verify_files(record)
        return record

    def verify_active(self) -> None:
        """Compare every file of the promoted versions that answer requests with its checksum.

        Raises:
            ModelError: If a file is missing or differs.
        """
        for name in self.names():
            record = self.active_record(name)
            if record.files:
                verify_files(record)

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
        if not is_model_name(name):
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
                path=self._folders.place(name, version),
                parent=parent,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                data=dict(data),
                metrics=dict(metrics),
                files=file_checksums(source),
            )
            self._folders.write(source, record)
            return self.get(name, version)

    def promote(self, name: str, version: str, *, by: str, reason: str) -> VersionRecord:
        """Make a version the active one. Requests that run already finish on the old one.

        The gate is asked by the caller; see `brain_tumor.learning.gate.promotion`.

        Raises:
            NotFoundError: If there is no such version.
            ModelError: If its files are damaged.
            StorageError: If the switch cannot be stored; then nothing changed.
        """
        with self._locked():
            self.verify(name, version)
            self._folders.keep_shipped(name)
            stack = self._stack(name)
            if stack[-1] != version:
                self._active.switch(name, stack[-1], [*stack, version], "promoted", by, reason)
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
            was = stack[-1]
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
            self._active.switch(name, was, stack, "rolled back", by, "")
            return self.get(name, stack[-1])

    def record_decision(self, name: str, version: str, decision: Mapping[str, Any]) -> None:
        """Keep what the gate said; `promote` tells whether the version may become active.

        Raises:
            NotFoundError: If there is no such version.
            StorageError: If it cannot be stored.
        """
        self.get(name, version)
        with self._locked():
            self._decisions.write(name, version, decision)

    def recover(self) -> None:
        """Remove what a killed process left half-written."""
        if self.store.is_dir():
            with self._locked():
                self._folders.remove_leftovers()
                self._decisions.remove_leftovers()

    # Details.

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, over all processes."""
        with storage_errors(self.store.name):
            self.store.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                self._lock.acquire(timeout=LOCK_PATIENCE_S)
            except Timeout as error:
                raise BusyError("another process changes the models") from error
        try:
            yield
        finally:
            self._lock.release()

    def _stack(self, name: str) -> list[str]:
        """Versions that were promoted and exist, the active one last; never empty."""
        return self._existing(name, self._folders.all_of(name))

    def _existing(self, name: str, found: list[VersionRecord]) -> list[str]:
        """As `_stack`, of the versions that were found."""
        known = {record.version for record in found}
        promoted = self._active.promoted(name)
        kept = [version for version in promoted if version in known]
        if len(kept) < len(promoted):
            logger.error(
                "versions %s are active or were, but are gone", sorted(set(promoted) - known)
            )
        if kept:
            return kept
        shipped = self._folders.shipped_record(name)
        return [shipped.version if shipped is not None else max(known, key=version_key)]

    def _with_state(self, record: VersionRecord, found: list[VersionRecord]) -> VersionRecord:
        """Record with what became of it."""
        shipped = self._folders.shipped_record(record.name)
        if record.version == self._existing(record.name, found)[-1]:
            state = VersionState.ACTIVE
        elif shipped is not None and record.version == shipped.version:
            state = VersionState.SHIPPED
        elif record.version in self._active.ever_active(record.name):
            state = VersionState.RETIRED
        else:
            state = self._decisions.state(record.name, record.version)
        return replace(record, state=state)


DECISIONS = "decisions"


class GateDecisions:
    """One file a version: `<store>/decisions/<name>/<version>.json`.

    Args:
        store: Folder of further versions.
    """

    def __init__(self, store: Path) -> None:
        self._folder = store / DECISIONS

    def of(self, name: str, version: str) -> dict[str, Any] | None:
        """What the gate said about a version, or None."""
        try:
            text = self._path(name, version).read_text(encoding="utf-8")
            content: dict[str, Any] = json.loads(text)
        except (FileNotFoundError, ValueError):
            return None
        return content

    def write(self, name: str, version: str, decision: Mapping[str, Any]) -> None:
        """Keep a decision; `promote` tells whether the version may become active.

        Raises:
            StorageError: If it cannot be stored.
        """
        content = json.dumps(dict(decision), indent=1, allow_nan=False).encode()
        write_durably(self._path(name, version), content)

    def remove_leftovers(self) -> None:
        """Remove what a killed process left half-written."""
        for folder in self._folder.glob("*/"):
            remove_leftovers(folder)

    def state(self, name: str, version: str) -> VersionState:
        """State of a version that was never active."""
        decision = self.of(name, version)
        if decision is None:
            return VersionState.CANDIDATE
        return VersionState.ACCEPTED if decision.get("promote") else VersionState.REFUSED

    def _path(self, name: str, version: str) -> Path:
        return self._folder / name / f"{check_version(version)}.json"
