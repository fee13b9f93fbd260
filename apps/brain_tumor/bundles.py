"""Model bundles on disk: MONAI bundle folders with safetensors weights.

A bundle is `models/<name>/` with `configs/metadata.json` (name, version, network arguments and
the contract of inputs and outputs) and `models/model.safetensors`. Weights are never pickled.
`SHA256SUMS` lists every file below `configs/` and `models/`, all of which decide answers, in the
format of sha256sum. Commands that write a bundle renew it; by hand:

    python -m brain_tumor.bundles models/NAME
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from brain_tumor.errors import ModelError

MODELS_ENV = "TUMORLENS_MODELS"
METADATA = Path("configs/metadata.json")
WEIGHTS = Path("models/model.safetensors")
CARD = Path("docs/README.md")
CHECKSUMS = Path("SHA256SUMS")
_DECIDING = (METADATA.parent, WEIGHTS.parent)
_LISTED = re.compile(r"([0-9a-f]{64})  (\S.*)")
_RECORDED = re.compile(r"[Ww]eights sha256 `([0-9a-f]{64})`")


@dataclass(frozen=True)
class ModelVersion:
    """What a reply says about the model that made it.

    Attributes:
        name: Bundle name, for example `segmentation`.
        version: Semantic version of the weights.
        sha256: Hexadecimal checksum of the weights file.
    """

    name: str
    version: str
    sha256: str

    def to_json(self) -> dict[str, str]:
        """Plain dictionary for replies and reports."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}


def combined_version(name: str, parts: Sequence[ModelVersion]) -> ModelVersion:
    """Several models as one, for a cache key: changes when any of them changes.

    Args:
        name: Of the whole.
        parts: Its models.

    Example:
        >>> one, two = ModelVersion("a", "1.0.0", "12"), ModelVersion("b", "2.0.0", "34")
        >>> combined_version("both", (one, two)).version
        '1.0.0+2.0.0'
    """
    digest = hashlib.sha256("+".join(part.sha256 for part in parts).encode()).hexdigest()
    return ModelVersion(name, "+".join(part.version for part in parts), digest)


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and checked.

    Attributes:
        path: Folder of the bundle.
        version: Name, version and checksum.
        metadata: Content of `configs/metadata.json`.
    """

    path: Path
    version: ModelVersion
    metadata: Mapping[str, Any]

    def weights(self) -> dict[str, torch.Tensor]:
        """Weights as float32 tensors.

        Raises:
            ModelError: If the file is damaged.
        """
        try:
            state = load_file(self.path / WEIGHTS)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"weights of {self.version.name} cannot be read: {error}") from error
        return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def models_folder() -> Path:
    """Folder of the shipped bundles: `$TUMORLENS_MODELS`, else `models/` of the checkout."""
    named = os.environ.get(MODELS_ENV)
    return Path(named) if named else Path(__file__).resolve().parents[2] / "models"


def write_checksums(bundle: Path) -> Path:
    """Record the files of a bundle that decide answers, as they are now.

    Args:
        bundle: Folder of the bundle.

    Returns:
        The list, in the format of sha256sum.
    """
    path = bundle / CHECKSUMS
    lines = [f"{digest}  {name}\n" for name, digest in _checksums(bundle).items()]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def check_recorded(models: Path) -> None:
    """Compare every file of the shipped bundles that decides answers with what was recorded.

    A card is written by the command that measures the weights, so weights that are not those of
    the card are not the ones whose figures the users know; calibrations, reference tables and
    settings are in the bundle's list. A bundle without a card was never measured and is passed
    over.

    Args:
        models: Folder of the shipped bundles.

    Raises:
        ModelError: If a file is another one, is missing or was added.
    """
    for path in sorted(models.glob(f"*/{METADATA}")) if models.is_dir() else []:
        folder = path.parents[len(METADATA.parts) - 1]
        files = [folder / CARD, folder / CHECKSUMS, *_deciding_files(folder)]
        _check_bundle(folder, tuple((str(file), *_stamp(file)) for file in files))


@lru_cache(maxsize=64)
def _check_bundle(folder: Path, _stamps: tuple[tuple[str, int, int], ...]) -> None:
    """Check one bundle; times and sizes only tell files apart."""
    recorded = _recorded_sha256(folder / CARD)
    version = read_bundle(folder).version
    if recorded is None:
        return
    if recorded != version.sha256:
        raise ModelError(
            f"weights of {version.name} {version.version} are not those of their card: "
            f"checksum {version.sha256[:12]}, expected {recorded:.12}",
            remedy="Restore the model folder from its release; or, if the weights are new, "
            "measure them (tumorlens evaluate), which writes the card.",
        )
    listed, found = _listed(folder / CHECKSUMS), _checksums(folder)
    for name in sorted(listed.keys() | found.keys()):
        is_, expected = found.get(name, "none"), listed.get(name, "none")
        if is_ != expected:
            raise ModelError(
                f"{name} of {version.name} {version.version} is not the file that was recorded: "
                f"checksum {is_[:12]}, expected {expected[:12]}",
                remedy="Restore the model folder from its release; or, if the change is meant, "
                f"record it: python -m brain_tumor.bundles models/{folder.name}",
            )


def _deciding_files(bundle: Path) -> list[Path]:
    """Files whose content decides answers, sorted; what an editor or system hides is none."""
    found = [p for part in _DECIDING for p in (bundle / part).rglob("*") if p.is_file()]
    return sorted(p for p in found if not p.name.startswith("."))


def _checksums(bundle: Path) -> dict[str, str]:
    """Checksum of each deciding file by its path below the bundle."""
    found = {}
    for path in _deciding_files(bundle):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        found[path.relative_to(bundle).as_posix()] = digest
    return found


def _listed(path: Path) -> dict[str, str]:
    """Checksums that a list records by path; empty without one."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    return {found[2]: found[1] for line in lines if (found := _LISTED.fullmatch(line))}


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is written; zeros where there is none."""
    if not path.is_file():
        return 0, 0
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _recorded_sha256(card: Path) -> str | None:
    """Checksum of the weights on a card; None if there is none."""
    try:
        found = _RECORDED.search(card.read_text(encoding="utf-8"))
    except OSError:
        return None
    return found.group(1) if found else None


def read_bundle(path: Path) -> Bundle:
    """Read a bundle's metadata and check that its weights are there.

    Args:
        path: Folder of the bundle.

    Raises:
        ModelError: If the metadata or the weights are missing or damaged.
    """
    try:
        metadata = json.loads((path / METADATA).read_text(encoding="utf-8"))
        name, version = str(metadata["name"]), str(metadata["version"])
        digest = hashlib.sha256((path / WEIGHTS).read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"model bundle '{path.name}' cannot be read: {error}") from error
    return Bundle(path, ModelVersion(name, version, digest), metadata)


if __name__ == "__main__":
    for named in sys.argv[1:]:
        write_checksums(Path(named))
