"""What a model proposed last for each case, kept to tell later what an annotator changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brain_tumor.cases.files.durable import write_durably
from brain_tumor.server.datastore.history import LabelVersion
from brain_tumor.server.http.replies import FilePart
from brain_tumor.server.http.validation import VOLUME_SUFFIXES


class Proposals:
    """Newest proposal of each case: its file, and which model made it.

    Args:
        folder: Where they are kept; made with the first one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return self._folder

    def keep(self, image: str, part: FilePart, model: Mapping[str, str]) -> None:
        """Keep the labelmap that a client got, to tell later what was corrected.

        Raises:
            StorageError: If it cannot be stored.
        """
        suffix = next(s for s in VOLUME_SUFFIXES if part.filename.endswith(s))
        note = {
            "model": dict(model),
            "suffix": suffix,
            "sha256": hashlib.sha256(part.content).hexdigest(),
        }
        path = self._folder / f"{image}.json"
        if _read_json(path) == note:
            return
        write_durably(self._folder / f"{image}{suffix}", part.content)
        write_durably(path, json.dumps(note).encode())

    def of(self, version: LabelVersion) -> tuple[str, bytes] | None:
        """Suffix and content of the proposal that a label started from; None if it is gone."""
        note = _read_json(self._folder / f"{version.image}.json")
        if note is None or version.proposed_by is None or note["model"] != version.proposed_by:
            return None
        path = self._folder / f"{version.image}{note['suffix']}"
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != note["sha256"]:
            return None
        return note["suffix"], content


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
