"""From what a request names to a case: the studies folder, a session, an uploaded file."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

from monailabel.utils.sessions import SessionInfo

from brain_tumor.cases.by_hand import ByHand, one_case_by_hand, parse_channels
from brain_tumor.cases.files.readers import read_labelmap
from brain_tumor.cases.loading import LoadedCase, load_case, load_source
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.studies import resolve_case
from brain_tumor.cases.study_layout import sequences_folder
from brain_tumor.errors import InputError
from brain_tumor.server.datastore.store import StudyDatastore
from brain_tumor.server.http.validation import check_file_name
from brain_tumor.server.tasks.base import CaseInput, LabelInput


def stored_input(datastore: StudyDatastore, image: str) -> CaseInput:
    """Case of the studies folder.

    Raises:
        InputError: If the id is no id.
        NotFoundError: If there is no such case.
    """
    path, root = datastore.require_image(image), datastore.root
    files = fingerprint([path, sequences_folder(root, image)])
    return CaseInput(
        image, lambda registered: resolve_case(root, image, registration=registered), files
    )


def session_input(session: SessionInfo, told: ByHand | None = None) -> CaseInput:
    """Case of a session: its one volume, or the sequences among its files.

    Args:
        session: Uploaded files.
        told: Which sequence is which, where names do not tell; paths below the session's folder.

    Raises:
        InputError: If a path leads out of the session.
    """
    image = Path(session.image)
    key = (fingerprint([image]), repr(told))
    return CaseInput(session.name, lambda r: _load(image, told, registration=r), key)


def uploaded_input(path: Path, told: ByHand | None = None) -> CaseInput:
    """Volume that came with the request; it is used once, so nothing of it is cached."""
    return CaseInput("upload", lambda r: _load(path, told, registration=r), None)


def take_told(params: dict[str, Any]) -> ByHand | None:
    """Take what a request tells about the sequences out of its parameters.

    The keys are `t1`, `t1c`, `t2` and `flair` (names of uploaded files) and `channels` (a list or
    a text with commas), as the options of the command line.

    Raises:
        InputError: If a value is no file name, or the keys contradict each other.
    """
    files: dict[Sequence, Path] = {}
    for sequence in Sequence:
        name = params.pop(sequence.value, None)
        if name is not None:
            files[sequence] = Path(*_parts(name, sequence.value))
    channels = params.pop("channels", None)
    if isinstance(channels, list):
        channels = ",".join(map(str, channels))
    if channels is not None and not isinstance(channels, str):
        raise InputError("channels is no list; expected for example 't1,t1c,t2,flair'")
    told = ByHand(files, parse_channels(channels) if channels else ())
    return told or None


def _parts(name: object, key: str) -> list[str]:
    if not isinstance(name, str) or not name:
        raise InputError(f"{key} is no text; expected the name of an uploaded file")
    return [check_file_name(part, key) for part in name.split("/")]


def _load(image: Path, told: ByHand | None, *, registration: bool) -> LoadedCase:
    if told is None:
        return load_case(image, registration=registration)
    base = image if image.is_dir() else image.parent
    inside = {sequence: base / path for sequence, path in told.files.items()}
    named = one_case_by_hand(image, ByHand(inside, told.channels))
    return load_source(named, registration=registration)


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
