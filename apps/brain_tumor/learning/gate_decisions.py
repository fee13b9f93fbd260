"""What the promotion gate said about each version, kept beside the versions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brain_tumor.cases.files.durable import write_durably
from brain_tumor.learning.registry.model_versions import VersionState, check_version

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

    def state(self, name: str, version: str) -> VersionState:
        """State of a version that was never active."""
        decision = self.of(name, version)
        if decision is None:
            return VersionState.CANDIDATE
        return VersionState.ACCEPTED if decision.get("promote") else VersionState.REFUSED

    def _path(self, name: str, version: str) -> Path:
        return self._folder / name / f"{check_version(version)}.json"
