"""Every version of every label, kept for ever.

`history/<image>/<tag>/000001.json` describes a version and names its file beside it. Both are
written once and never changed; they are copies, so that a program that edits the current label in
place does not reach them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from brain_tumor.cases.files.durable import remove_leftovers, storage_errors
from brain_tumor.errors import NotFoundError, StorageError
from brain_tumor.server.datastore.file_batch import FileBatch
from brain_tumor.server.http.replies import to_plain

logger = logging.getLogger(__name__)

HISTORY_FOLDER = "history"

_RECORD = re.compile(r"(\d{6,})\.json")


class LabelEvent(StrEnum):
    """What made a version."""

    SAVED = "saved"  # a client submitted it
    RESTORED = "restored"  # an earlier version was brought back
    FOUND = "found"  # the file lay in the studies folder
    REMOVED = "removed"  # the label was taken away; the version has no file


@dataclass(frozen=True)
class LabelVersion:
    """One version of one label.

    Attributes:
        image: Case id.
        tag: Label tag.
        version: Number from 1, increasing without reuse within an image and tag.
        event: What made it.
        saved_at: Time in UTC, ISO 8601.
        saved_by: Client id of the annotator, if the client told.
        proposed_by: Model (name, version, sha256) whose labelmap was the starting point, if known.
        sha256: Checksum of the file; empty for a removal.
        size_bytes: Size of the file.
        suffix: File suffix, for example `.nii.gz`.
        file: Name of the file in the version's folder; an unchanged label shares an earlier one.
        restored_from: Version that was brought back.
        info: What the client sent along, as in the datastore.
    """

    image: str
    tag: str
    version: int
    event: LabelEvent
    saved_at: str
    saved_by: str | None = None
    proposed_by: Mapping[str, str] | None = None
    sha256: str = ""
    size_bytes: int = 0
    suffix: str = ""
    file: str | None = None
    restored_from: int | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for replies and the record on disk."""
        plain: dict[str, Any] = to_plain(self)
        return plain


@dataclass(frozen=True)
class NewVersion:
    """What the caller knows about a version that is about to be stored."""

    event: LabelEvent
    saved_by: str | None = None
    proposed_by: Mapping[str, str] | None = None
    restored_from: int | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


class LabelHistory:
    """Versions on disk. Writers hold the datastore's lock; readers need none.

    Args:
        studies: Studies folder.
    """

    def __init__(self, studies: Path) -> None:
        self._folder = studies / HISTORY_FOLDER

    def versions(self, image: str, tag: str) -> list[LabelVersion]:
        """Versions of a label, oldest first; a record that cannot be read is skipped."""
        folder = self._folder / image / tag
        numbers = sorted(self._numbers(folder))
        found = (self._read(folder / f"{number:06d}.json") for number in numbers)
        return [version for version in found if version is not None]

    def tags(self, image: str) -> list[str]:
        """Tags under which an image ever had a label."""
        folder = self._folder / image
        return sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []

    def latest(self, image: str, tag: str) -> LabelVersion | None:
        """Newest version, or None."""
        folder = self._folder / image / tag
        newest = max(self._numbers(folder), default=None)
        return None if newest is None else self._read(folder / f"{newest:06d}.json")

    def get(self, image: str, tag: str, number: int) -> LabelVersion:
        """One version.

        Raises:
            NotFoundError: If there is none of that number.
        """
        for version in self.versions(image, tag):
            if version.version == number:
                return version
        raise NotFoundError(
            f"label '{image}' with tag '{tag}' has no version {number}",
            remedy="List the versions (GET /datastore/label/history).",
        )

    def content(self, version: LabelVersion) -> bytes:
        """File of a version.

        Raises:
            NotFoundError: If the version is a removal.
            StorageError: If the file is missing or does not match its checksum.
        """
        if version.file is None:
            raise NotFoundError(
                f"version {version.version} of '{version.image}' is a removal and has no file"
            )
        path = self._folder / version.image / version.tag / version.file
        with storage_errors(path.name):
            content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != version.sha256:
            raise StorageError(
                f"version {version.version} of '{version.image}' does not match its checksum",
                remedy="Restore the history folder from a backup.",
            )
        return content

    def stage(
        self,
        batch: FileBatch,
        label: tuple[str, str],
        content: bytes,
        suffix: str,
        new: NewVersion,
        *,
        after: LabelVersion | None = None,
    ) -> LabelVersion:
        """Stage a version with a file; it exists once the batch is committed.

        Args:
            batch: Where the files are staged; the label file comes before its record.
            label: Case id and tag, checked.
            content: File of the label.
            suffix: Its suffix.
            new: Who, when and why.
            after: Version staged in the same batch, if any.

        Raises:
            StorageError: If it cannot be stored.
        """
        image, tag = label
        folder = self._folder / image / tag
        sha256 = hashlib.sha256(content).hexdigest()
        number = max({0, after.version if after else 0} | self._numbers(folder)) + 1
        before = after or self._read(folder / f"{number - 1:06d}.json", expected=number > 1)
        shared = before is not None and (before.sha256, before.suffix) == (sha256, suffix)
        file = before.file if before and shared else f"{number:06d}{suffix}"
        version = LabelVersion(
            image=image,
            tag=tag,
            version=number,
            event=new.event,
            saved_at=_now(),
            saved_by=new.saved_by,
            proposed_by=new.proposed_by,
            sha256=sha256,
            size_bytes=len(content),
            suffix=suffix,
            file=file,
            restored_from=new.restored_from,
            info=new.info,
        )
        if not shared:
            batch.write(folder / f"{number:06d}{suffix}", content)
        batch.write(folder / f"{number:06d}.json", _encode(version))
        return version

    def stage_removal(
        self, batch: FileBatch, label: tuple[str, str], *, after: LabelVersion | None = None
    ) -> LabelVersion:
        """Stage the record that a label was taken away; arguments as for `stage`."""
        image, tag = label
        folder = self._folder / image / tag
        number = max({0, after.version if after else 0} | self._numbers(folder)) + 1
        version = LabelVersion(image, tag, number, LabelEvent.REMOVED, _now())
        batch.write(folder / f"{number:06d}.json", _encode(version))
        return version

    def tidy(self) -> None:
        """Remove what a killed process left half-written."""
        if self._folder.is_dir():
            for folder in self._folder.glob("*/*/"):
                remove_leftovers(folder)

    @staticmethod
    def _numbers(folder: Path) -> set[int]:
        """Version numbers in use."""
        if not folder.is_dir():
            return set()
        matches = (_RECORD.fullmatch(path.name) for path in folder.iterdir())
        return {int(match.group(1)) for match in matches if match}

    @staticmethod
    def _read(path: Path, *, expected: bool = True) -> LabelVersion | None:
        """Record, or None if it is not one."""
        if not expected:
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            names = {f.name for f in dataclasses.fields(LabelVersion)}
            known = {key: value for key, value in content.items() if key in names}
            return LabelVersion(**{**known, "event": LabelEvent(known["event"])})
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            logger.warning("skipped an unreadable record %s in the label history", path.name)
            return None


def _encode(version: LabelVersion) -> bytes:
    """Record as it stands on disk."""
    return json.dumps(version.to_json(), indent=1, ensure_ascii=False).encode()


def _now() -> str:
    """Time in UTC, ISO 8601 to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
