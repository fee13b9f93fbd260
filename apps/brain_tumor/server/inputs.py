"""From what a request names to a case: the studies folder, a session, an uploaded file."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path

from monailabel.utils.sessions import SessionInfo

from brain_tumor.cases.loading import load_case
from brain_tumor.cases.studies import resolve_case
from brain_tumor.cases.study_layout import sequences_folder
from brain_tumor.server.datastore import StudyDatastore
from brain_tumor.server.tasks import CaseInput


def stored_input(datastore: StudyDatastore, image: str) -> CaseInput:
    """Case of the studies folder.

    Raises:
        InputError: If the id is no id.
        NotFoundError: If there is no such case.
    """
    path, root = datastore.require_image(image), datastore.root
    files = fingerprint([path, sequences_folder(root, image)])
    return CaseInput(image, lambda: resolve_case(root, image), files)


def session_input(session: SessionInfo) -> CaseInput:
    """Case of a session: its one volume, or the sequences among its files."""
    image = Path(session.image)
    return CaseInput(session.name, lambda: load_case(image), fingerprint([image]))


def uploaded_input(path: Path) -> CaseInput:
    """Volume that came with the request; it is used once, so nothing of it is cached."""
    return CaseInput("upload", lambda: load_case(path), None)


def fingerprint(paths: Iterable[Path]) -> Hashable:
    """What changes when a file is replaced, added or removed.

    Args:
        paths: Files, or folders with everything below them; what does not exist is passed over.

    Returns:
        Path, size and time of every file.
    """
    files: list[tuple[str, int, int]] = []
    for path in paths:
        for member in (path, *sorted(path.rglob("*"))) if path.exists() else ():
            status = member.stat()
            files.append((str(member), status.st_size, status.st_mtime_ns))
    return tuple(files)
