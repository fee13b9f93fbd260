"""Which versions of the models answer requests: one small file, switched atomically."""

from __future__ import annotations

import json
import logging
from collections.abc import Hashable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from brain_tumor.cases.files.durable import write_durably

logger = logging.getLogger(__name__)

ACTIVE = "active.json"


class ActiveVersions:
    """Per model the versions that were promoted, the active one last, and a log of the switches.

    Args:
        store: Folder of the file; the file is made with the first switch.
    """

    def __init__(self, store: Path) -> None:
        self._path = store / ACTIVE

    def stamp(self) -> Hashable:
        """Changes with every switch; cheap enough to ask with every request."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def promoted(self, name: str) -> list[str]:
        """Versions of a model that were promoted and not taken back, the newest last."""
        return self._stacks().get(name, [])

    def ever_active(self, name: str) -> set[str]:
        """Versions that answered requests at some time."""
        log = self._state().get("log", [])
        switched = {
            v for entry in log if entry["name"] == name for v in (entry["from"], entry["to"])
        }
        return switched | set(self.promoted(name))

    def switch(
        self, name: str, was: str, promoted: list[str], action: str, by: str, reason: str
    ) -> None:
        """Write down which versions are promoted now; one process at a time.

        Args:
            name: Model.
            was: Version that was active.
            promoted: Versions that are promoted from now on, the active one last.
            action: What was done, in words.
            by: Who did it.
            reason: Why.

        Raises:
            StorageError: If it cannot be stored; then nothing changed.
        """
        log = [*self._state().get("log", [])]
        log.append(
            {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "name": name,
                "action": action,
                "from": was,
                "to": promoted[-1],
                "by": by,
                "reason": reason,
            }
        )
        content = {"format": 1, "stacks": {**self._stacks(), name: promoted}, "log": log}
        write_durably(self._path, json.dumps(content, indent=1).encode())
        logger.info("%s: %s is active (was %s)", name, promoted[-1], was)

    def _state(self) -> dict[str, Any]:
        """Content of the file."""
        try:
            state: Any = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            logger.exception("%s cannot be read; the shipped versions answer", ACTIVE)
            return {}
        return state if isinstance(state, dict) else {}

    def _stacks(self) -> dict[str, list[str]]:
        """Promoted versions by model."""
        stacks = self._state().get("stacks", {})
        return {str(k): [str(v) for v in vs] for k, vs in stacks.items()}
