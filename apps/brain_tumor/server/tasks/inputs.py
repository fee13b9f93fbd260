"""From what a request names to a case: the studies folder, a session, an uploaded file."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable
from pathlib import Path

from monailabel.utils.sessions import SessionInfo

from brain_tumor.cases.files.readers import read_labelmap
from brain_tumor.cases.loading import load_case
from brain_tumor.cases.studies import resolve_case
from brain_tumor.cases.study_layout import sequences_folder
from brain_tumor.server.datastore.store import StudyDatastore
from brain_tumor.server.tasks.base import CaseInput, LabelInput


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


def uploaded_label(path: Path) -> LabelInput:
    """Labelmap or scribbles that came with the request, known by content.

    Raises:
        FileFormatError: If the file cannot be read.
        LabelError: If a value is no whole number from 0 to 255.
    """
    values, affine = read_labelmap(path)  # now: the file is gone when the work begins to wait
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return LabelInput(lambda: (values, affine), digest)


def stored_label(datastore: StudyDatastore, image: str, tag: str) -> LabelInput:
    """Current label of a case of the studies folder.

    Raises:
        NotFoundError: If the case has no label with this tag.
    """
    path = datastore.require_label(image, tag)
    return LabelInput(lambda: read_labelmap(path), fingerprint([path]))


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
