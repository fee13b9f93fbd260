"""What a version of a model is, and its record `version.json`."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from brain_tumor.errors import InputError

logger = logging.getLogger(__name__)

RECORD = "version.json"

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


def is_model_name(name: str) -> bool:
    """Whether a text may name a model; it becomes a folder's name."""
    return _NAME.fullmatch(name) is not None


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


def record_text(record: VersionRecord) -> str:
    """Content of `version.json`."""
    plain = record.to_json()
    del plain["state"]
    content = {"format": 1, "name": record.name, **plain, "files": dict(record.files)}
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def read_record(path: Path) -> VersionRecord | None:
    """Record of a version, or None if the file is none."""
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
