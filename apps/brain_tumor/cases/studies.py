"""The studies folder: importing cases into it and resolving a case id to its sequences."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from brain_tumor.cases.by_hand import ByHand, cases_by_hand
from brain_tumor.cases.case_ids import check_case_id, hashed_case_id
from brain_tumor.cases.dicom_source import SOURCE_NAME, DicomSource, source_of, source_path
from brain_tumor.cases.files.durable import (
    PRIVATE_FOLDER,
    TEMPORARY_PREFIX,
    make_folder,
    remove_leftovers,
    storage_errors,
    sync_folder,
    temporary_sibling,
    write_durably,
    write_synced,
)
from brain_tumor.cases.files.readers import read_volume
from brain_tumor.cases.files.writers import encode_volume
from brain_tumor.cases.loading import build_case, read_case, resolve_case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.source_trees import FoundCase, find_cases
from brain_tumor.cases.sources import CaseSource
from brain_tumor.cases.study_layout import (
    RECORD_NAME,
    SEQUENCES_FOLDER,
    CaseRecord,
    digest,
    find_reference,
    find_siblings,
    read_record,
    reference_of,
    sequences_folder,
    stored_digests,
)
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import InputError, SequenceError, TumorLensError

__all__ = [
    "ImportReport",
    "ImportStatus",
    "find_cases",
    "import_case",
    "import_cases",
    "resolve_case",
]

logger = logging.getLogger(__name__)

_LEFTOVER_AGE_S = 24 * 3600.0

Disguise = Callable[[DicomSource], tuple[str, DicomSource]]
"""Gives the case id and the identity under which a case from DICOM is kept."""


class ImportStatus(StrEnum):
    """What became of a case."""

    IMPORTED = "imported"
    ALREADY_THERE = "already there"
    REFUSED = "refused"


@dataclass(frozen=True)
class ImportReport:
    """What became of one case.

    Attributes:
        case_id: Case id; of a refused case, how the report calls it.
        status: What became of it.
        reference: Sequence of the reference volume; None if refused.
        sequences: Sequences in channel order.
        warnings: What was doubtful, kept in the case's record.
        notes: What was left aside, with file names; kept nowhere.
        message: Why it was refused.
        remedy: What to do about that.
        title: Name that the case goes by, if its id had to differ.
    """

    case_id: str
    status: ImportStatus
    reference: Sequence | None = None
    sequences: tuple[Sequence, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    message: str = ""
    remedy: str = ""
    title: str = ""

    def to_json(self) -> dict[str, object]:
        """Plain dictionary."""
        return {
            "case": self.case_id,
            "status": self.status.value,
            "reference": self.reference.value if self.reference else None,
            "sequences": [s.value for s in self.sequences],
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "message": self.message,
            "remedy": self.remedy,
            "title": self.title,
        }


def import_cases(
    source: Path | None,
    studies: Path,
    *,
    told: ByHand | None = None,
    disguise: Disguise | None = None,
    on_found: Callable[[int], None] | None = None,
    on_report: Callable[[ImportReport], None] | None = None,
) -> list[ImportReport]:
    """Import every case of a source into a studies folder.

    A case appears whole or not at all. Importing the same case again changes nothing; a case whose
    id is taken by another one is refused. What is wrong with one case does not stop the others.

    Args:
        source: A file, a case folder, a folder of case folders or a DICOM tree.
        studies: Studies folder; made if it does not exist.
        told: Which sequence is which, where names do not tell; then the source may be None.
        disguise: Replaces the identity of DICOM cases; None keeps it.
        on_found: Called with the number of cases, before the first is imported.
        on_report: Called after each case, for progress.

    Returns:
        One report per case found.

    Raises:
        SequenceError: If the source holds no volume.
        FileFormatError: If the source does not exist or is a file of no known format.
        StorageError: If the studies folder cannot be made.
    """
    if told:
        named = cases_by_hand(source, told)
        found = [FoundCase(case.case_id, case) for case in named]
    elif source is not None:
        found = find_cases(source)
    else:
        raise InputError("no source is named; expected a file or a folder")
    if on_found is not None:
        on_found(len(found))
    remove_import_leftovers(studies)
    reports: list[ImportReport] = []
    for case in found:
        report = import_case(case, studies, disguise)
        logger.info("case %s: %s", report.case_id, report.status.value)
        reports.append(report)
        if on_report is not None:
            on_report(report)
    return reports


def import_case(found: FoundCase, studies: Path, disguise: Disguise | None = None) -> ImportReport:
    """Import one case that `find_cases` found; errors become a refused report."""
    try:
        if found.source is None:
            raise found.error or SequenceError(f"{found.name} holds no sequence")
        return _import(found.source, studies, disguise)
    except TumorLensError as error:
        return ImportReport(
            found.name,
            ImportStatus.REFUSED,
            message=error.message,
            remedy=error.remedy,
            notes=found.source.notes if found.source else found.notes,
        )


def _import(source: CaseSource, studies: Path, disguise: Disguise | None) -> ImportReport:
    case_id = check_case_id(source.case_id)
    source, volumes = read_case(source)
    identity = source_of(source.sequences)
    if disguise is not None:
        source, identity = _disguised(source, identity, disguise)
        case_id = source.case_id
    loaded = build_case(case_id, volumes, registration=False)  # refuses sequences that lie apart
    reference = loaded.case.reference
    doubts = [f"{s.value}: {w}" for s, read in volumes.items() for w in read.warnings]
    record = CaseRecord(
        reference,
        stored_digests({s: read.volume for s, read in volumes.items()}),
        datetime.now(UTC).isoformat(timespec="seconds"),
        (*source.warnings, *doubts),
        source.title,
    )
    arrays = {s: read.volume for s, read in volumes.items()}
    try:
        status = _put(studies, case_id, arrays, record, identity)
    except InputError:
        if not _is_another_name(studies, case_id, source.title):
            raise
        case_id = hashed_case_id(case_id, source.title or case_id)
        record = replace(record, title=source.title or source.case_id)
        status = _put(studies, case_id, arrays, record, identity)
    return ImportReport(
        case_id,
        status,
        reference,
        loaded.case.present,
        source.warnings + loaded.warnings,
        source.notes,
        title=record.title,
    )


def _disguised(
    source: CaseSource, identity: DicomSource | None, disguise: Disguise
) -> tuple[CaseSource, DicomSource]:
    """Case under a pseudonym; its notes, which hold names of files and series, stay behind.

    Raises:
        InputError: If the case did not come from DICOM, so nothing says whose it is.
    """
    if identity is None:
        raise InputError(
            "the case is no DICOM; expected DICOM, whose headers say what to replace",
            remedy="Import volume files without --deidentify; they keep only voxels and geometry.",
        )
    case_id, identity = disguise(identity)
    return replace(source, case_id=check_case_id(case_id), title="", notes=()), identity


def _is_another_name(studies: Path, case_id: str, title: str) -> bool:
    """True if the case that has an id came from a folder of another name."""
    stored = read_record(studies, case_id)
    return stored is not None and (stored.title or case_id) != (title or case_id)


def _put(
    studies: Path,
    case_id: str,
    volumes: Mapping[Sequence, Volume],
    record: CaseRecord,
    identity: DicomSource | None,
) -> ImportStatus:
    """Store a case unless it is there already; one without identity is given it.

    Siblings and record come first, then the reference volume, which makes the case visible. All
    are written out of sight before anything is put in place, so a full disk changes nothing; an
    import that is cut off in between is completed by the next.

    Raises:
        InputError: If another case has the id.
        StorageError: If the disk does not take it.
    """
    stored = read_record(studies, case_id)
    folder = sequences_folder(studies, case_id)
    has_reference = find_reference(studies, case_id) is not None
    if stored is not None:
        known = stored.digests or _digests_on_disk(studies, case_id, stored.reference)
        if stored.reference != record.reference or known != record.digests:
            raise _taken(case_id)
        if identity is not None and not source_path(studies, case_id).exists():
            with _importing(studies):
                write_durably(source_path(studies, case_id), identity.to_bytes())
        if has_reference:
            return ImportStatus.ALREADY_THERE
    elif folder.exists() or (has_reference and not _is_reference(studies, case_id, record)):
        raise _taken(case_id)
    with _importing(studies), _staging(folder.parent, case_id) as staging:
        siblings, reference = staging / "siblings", staging / "reference"
        if stored is None:
            siblings.mkdir(mode=PRIVATE_FOLDER)
            for sequence in volumes.keys() - {record.reference}:
                content = encode_volume(volumes[sequence])
                write_synced(siblings / f"{sequence.value}.nii.gz", content)
            write_synced(siblings / RECORD_NAME, record.to_bytes(case_id))
            if identity is not None:
                write_synced(siblings / SOURCE_NAME, identity.to_bytes())
            sync_folder(siblings)
        if not has_reference:
            write_synced(reference, encode_volume(volumes[record.reference]))
        if stored is None:
            siblings.rename(folder)
            sync_folder(folder.parent)
        if not has_reference:
            _publish(reference, studies / f"{case_id}.nii.gz", case_id)
    return ImportStatus.IMPORTED


@contextmanager
def _staging(parent: Path, case_id: str) -> Iterator[Path]:
    """Hidden folder that is gone afterwards.

    The server lists every volume at the top of the studies folder, so nothing is staged there.
    """
    with storage_errors(case_id):
        staging = temporary_sibling(parent / case_id)
        staging.mkdir(mode=PRIVATE_FOLDER, parents=True)
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _publish(staged: Path, destination: Path, case_id: str) -> None:
    """Move a file to its place; never over one that is there."""
    try:
        os.link(staged, destination)
    except FileExistsError as error:
        raise _taken(case_id) from error
    except OSError:  # a file system without hard links
        if destination.exists():
            raise _taken(case_id) from None
        staged.rename(destination)
    sync_folder(destination.parent)


def _is_reference(studies: Path, case_id: str, record: CaseRecord) -> bool:
    """True if the volume that somebody put there by hand is the case's reference."""
    there = read_volume(reference_of(studies, case_id))
    return digest(there) == record.digests[record.reference]


def _digests_on_disk(studies: Path, case_id: str, reference: Sequence) -> dict[Sequence, str]:
    """Digests of a case whose record has none."""
    sources = find_siblings(studies, case_id)
    path = find_reference(studies, case_id)
    if path is not None:
        sources[reference] = path
    return stored_digests({s: read_volume(source) for s, source in sources.items()})


def _taken(case_id: str) -> InputError:
    return InputError(
        f"case id {case_id} is taken by a case with other volumes; nothing was changed",
        remedy="Rename the folder of the new case, or remove the old case from the studies folder.",
    )


def remove_import_leftovers(studies: Path) -> None:
    """Remove what killed imports left; while another import runs, only what is a day old.

    Raises:
        StorageError: If the studies folder cannot be made.
    """
    folder = studies / SEQUENCES_FOLDER
    with storage_errors(studies.name):
        make_folder(folder)
        with _lock_of_imports(studies, is_shared=False) as nobody_imports:
            if nobody_imports:
                for place in (folder, *folder.glob("*/")):
                    remove_leftovers(place)
                return
        for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
            with contextlib.suppress(FileNotFoundError):  # its import has just ended
                if time.time() - path.stat().st_mtime > _LEFTOVER_AGE_S:
                    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _importing(studies: Path) -> Iterator[None]:
    """Let other processes know that an import runs."""
    with storage_errors(studies.name):
        make_folder(studies / SEQUENCES_FOLDER)
    with _lock_of_imports(studies, is_shared=True):
        yield


@contextmanager
def _lock_of_imports(studies: Path, *, is_shared: bool) -> Iterator[bool]:
    """Lock the folder of sequences, shared or alone; False if others do, or where that is none."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield False
        return
    kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX | fcntl.LOCK_NB
    folder = os.open(studies / SEQUENCES_FOLDER, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, kind)
            is_held = True
        except OSError:
            is_held = False
        yield is_held
    finally:
        os.close(folder)
