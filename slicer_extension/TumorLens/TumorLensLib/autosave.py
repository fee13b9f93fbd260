"""Unsent corrections on disk, so that a crash or a closed scene loses nothing.

Only labelmaps are written, never images; one file for each case of each server, in the user's
settings.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from TumorLensLib.session import Origin
from TumorLensLib.volumefiles import VolumeData


class AutosaveError(OSError):
    """The correction could not be written."""


@dataclass(frozen=True)
class Saved:
    """A correction from disk.

    Attributes:
        label: The labelmap.
        proposal: What it started from, on the same grid.
        scheme: Its label scheme.
        saved_at_s: When, in seconds since 1970.
        origin: Version and volume on the server that it started from.
    """

    label: VolumeData
    proposal: VolumeData
    scheme: str
    saved_at_s: float
    origin: Origin = field(default_factory=Origin)


class Autosave:
    """Folder of unsent corrections.

    Args:
        folder: Where; made on the first save.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def path(self, server: str, case: str) -> Path:
        """File of a case; the name tells a person nothing."""
        digest = hashlib.sha256(f"{server}\n{case}".encode()).hexdigest()[:24]
        return self.folder / f"{digest}.npz"

    def has(self, server: str, case: str) -> bool:
        """Whether there is an unsent correction of a case."""
        return self.path(server, case).exists()

    def save(
        self,
        server: str,
        case: str,
        label: VolumeData,
        proposal: VolumeData,
        scheme: str,
        origin: Origin | None = None,
    ) -> Path:
        """Write a correction; the old file stays until the new one is complete.

        Raises:
            AutosaveError: If the disk does not take it.
        """
        path = self.path(server, case)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        told = {"server": server, "case": case, "scheme": scheme, "at": time.time()}
        meta = json.dumps({**told, "origin": (origin or Origin()).told})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                np.savez_compressed(
                    stream,
                    array=label.array.astype(np.uint8),
                    proposal=proposal.array.astype(np.uint8),
                    ijk_to_ras=label.ijk_to_ras,
                    meta=np.frombuffer(meta.encode(), np.uint8),
                )
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise AutosaveError(
                f"the correction could not be saved on this computer: {error.strerror or error}"
            ) from error
        return path

    def load(self, server: str, case: str) -> Saved | None:
        """Unsent correction of a case, or None; a torn file counts as none and is kept aside."""
        path = self.path(server, case)
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                meta = json.loads(stored["meta"].tobytes())
                label = VolumeData(stored["array"], stored["ijk_to_ras"])
                proposal = VolumeData(stored["proposal"], label.ijk_to_ras)
                origin = _origin(meta.get("origin"))
                return Saved(label, proposal, str(meta["scheme"]), float(meta["at"]), origin)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError):
            with contextlib.suppress(OSError):
                path.replace(path.with_suffix(".unreadable"))
            return None

    def remove(self, server: str, case: str) -> None:
        """Forget a correction, because the server has it."""
        with contextlib.suppress(OSError):
            self.path(server, case).unlink(missing_ok=True)

    def set_aside(self, server: str, case: str) -> None:
        """Keep a correction that the user declined, under another name."""
        path = self.path(server, case)
        with contextlib.suppress(OSError):
            path.replace(path.with_suffix(".declined"))


def _origin(told: object) -> Origin:
    """What a saved correction started from; unknown where an older panel saved it."""
    held = told if isinstance(told, dict) else {}
    version = held.get("base_version")
    return Origin(
        version if isinstance(version, int) else None, str(held.get("image_sha256") or "")
    )
