"""How a studies folder keeps a case, and what it records about it.

    <studies>/<case_id>.nii.gz                    reference volume, the one that stock clients see
    <studies>/sequences/<case_id>/t2.nii.gz ...   siblings, each on its own grid
    <studies>/sequences/<case_id>/case.json       record: which sequence the reference is, digests

A folder filled by hand with reference volumes alone is a studies folder, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain_tumor.cases.files.readers import volume_suffix
from brain_tumor.cases.files.writers import lossless
from brain_tumor.cases.sequences import Sequence, recognise_sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import FileFormatError, InputError, NotFoundError, StorageError

SEQUENCES_FOLDER = "sequences"
RECORD_NAME = "case.json"
RECORD_FORMAT = 1
INDEX_NAME = "datastore_v2.json"
"""What a server writes beside the volumes; a folder filled by hand has none."""
PATIENT_KEY = "patient"
REFERENCE_SUFFIXES = (".nii.gz", ".nii", ".nrrd")
"""Endings of reference volumes, the preferred first."""


@dataclass(frozen=True)
class CaseRecord:
    """Content of `case.json`; it names no file.

    Attributes:
        reference: Sequence of the reference volume.
        digests: SHA-256 of each sequence's voxels and geometry, see `digest`; may be empty.
        imported: Time of the import, ISO 8601 in UTC.
        warnings: What was doubtful about the files.
        title: Name of the folder or file that the case came from, if the id had to differ.
    """

    reference: Sequence
    digests: Mapping[Sequence, str]
    imported: str
    warnings: tuple[str, ...] = ()
    title: str = ""

    def to_bytes(self, case_id: str) -> bytes:
        """JSON text for `case.json`."""
        content = {
            "format": RECORD_FORMAT,
            "case_id": case_id,
            "reference": self.reference.value,
            "sequences": {s.value: {"sha256": self.digests[s]} for s in self.digests},
            "imported": self.imported,
            "warnings": list(self.warnings),
            **({"title": self.title} if self.title else {}),
        }
        return (json.dumps(content, indent=2) + "\n").encode("utf-8")


def digest(volume: Volume) -> str:
    """SHA-256 of voxels and geometry, the same for every file format that holds them.

    The affine counts as float32, as NIfTI keeps it.
    """
    array = lossless(volume.array)
    state = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    state.update((volume.affine.astype("<f4") + 0.0).tobytes())  # + 0 turns -0 into 0
    state.update(array.tobytes(order="F"))
    return state.hexdigest()


def sequences_folder(studies: Path, case_id: str) -> Path:
    """Folder of a case's siblings and record."""
    return studies / SEQUENCES_FOLDER / case_id


def find_reference(studies: Path, case_id: str) -> Path | None:
    """Reference volume of a case; of several endings the first of `REFERENCE_SUFFIXES` counts."""
    for suffix in REFERENCE_SUFFIXES:
        path = studies / f"{case_id}{suffix}"
        if path.is_file():
            return path
    return None


def reference_of(studies: Path, case_id: str) -> Path:
    """Reference volume of a case that must be there.

    Raises:
        InputError: If the id is a path.
        NotFoundError: If there is no such case.
    """
    if not case_id or case_id.startswith(".") or any(c in case_id for c in "/\\\0"):
        raise InputError(f"case id is {case_id!r:.80}; expected a name, not a path")
    path = find_reference(studies, case_id)
    if path is None:
        raise NotFoundError(f"case {case_id!r:.80} is not in the studies folder")
    return path


def told_patients(studies: Path) -> dict[str, str]:
    """Patient of each case for which the index of a studies folder tells one.

    Raises:
        FileFormatError: If there is an index that cannot be read.
    """
    try:
        index: Any = json.loads((studies / INDEX_NAME).read_text(encoding="utf-8"))
        told = {
            case: clean_patient(str(entry["image"]["info"].get(PATIENT_KEY) or ""))
            for case, entry in index["objects"].items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{INDEX_NAME} of '{studies.name}' is unusable: {error!r}") from error
    return {case: patient for case, patient in told.items() if patient}


def clean_patient(told: str) -> str:
    """Key of a patient as it is kept: printable (not every database keeps NUL), not too long."""
    return "".join(c for c in told if c.isprintable())[:128]


def find_siblings(studies: Path, case_id: str) -> dict[Sequence, Path]:
    """Sibling volumes of a case by the sequence that their names tell."""
    folder = sequences_folder(studies, case_id)
    if not folder.is_dir():
        return {}
    found: dict[Sequence, Path] = {}
    for path in sorted(folder.iterdir()):
        sequence = recognise_sequence(path.name) if volume_suffix(path) else None
        if sequence is not None and not path.name.startswith("."):
            found.setdefault(sequence, path)
    return found


def read_record(studies: Path, case_id: str) -> CaseRecord | None:
    """Record of a case; None if it has none.

    Only the reference has to be there: generated and hand-made cases record no digests.

    Raises:
        StorageError: If the record is damaged.
    """
    path = sequences_folder(studies, case_id) / RECORD_NAME
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        entries = content.get("sequences", {}).items()
        return CaseRecord(
            reference=Sequence(content["reference"]),
            digests={
                Sequence(name): str(entry["sha256"])
                for name, entry in entries
                if isinstance(entry, dict) and "sha256" in entry
            },
            imported=str(content.get("imported", "")),
            warnings=tuple(str(w) for w in content.get("warnings", ())),
            title=str(content.get("title", "")),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"record {RECORD_NAME} of case {case_id} is damaged ({type(error).__name__})",
            remedy=f"Delete {SEQUENCES_FOLDER}/{case_id} and import the case again.",
        ) from error


def stored_digests(volumes: Mapping[Sequence, Volume]) -> dict[Sequence, str]:
    """Digest of each sequence, in channel order."""
    return {s: digest(volumes[s]) for s in Sequence if s in volumes}
