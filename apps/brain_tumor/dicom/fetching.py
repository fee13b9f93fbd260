"""Cases from an archive: fetched out of sight, then imported as from a folder."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from brain_tumor.cases.files.durable import make_folder, storage_errors
from brain_tumor.cases.studies import Disguise, ImportReport, import_cases
from brain_tumor.dicom.web import ArchiveAddress, case_id_of_study, fetch_study

_STAGING = ".tumorlens"


def import_from_archive(
    address: ArchiveAddress, study: str, studies: Path, *, disguise: Disguise | None = None
) -> list[ImportReport]:
    """Fetch a study and import it; its case is named after the hash of its UID.

    Args:
        address: Archive.
        study: StudyInstanceUID.
        studies: Studies folder; made if it does not exist.
        disguise: Replaces the identity; None keeps it.

    Returns:
        One report, as a rule.

    Raises:
        InputError: If the UID is none, or what came holds no volume.
        NotFoundError: If the archive has no MR image of the study.
        ArchiveError: If the archive does not answer as it should; then nothing is stored.
        StorageError: If the disk does not take it.
    """
    with storage_errors(studies.name):
        make_folder(studies / _STAGING)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=studies / _STAGING) as scratch:
        folder = Path(scratch) / case_id_of_study(study)
        folder.mkdir()
        left = fetch_study(address, study, folder)
        reports = import_cases(folder, studies, disguise=disguise)
    if disguise is not None:  # descriptions may hold names
        return reports
    return [replace(one, notes=(*one.notes, *left)) for one in reports]
