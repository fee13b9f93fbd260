"""Stored labels as submissions of the ledger: written down as they come, or after a crash."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from brain_tumor.cases.files.readers import read_labelmap
from brain_tumor.cases.volume import Affine, spacing_from_affine
from brain_tumor.errors import GeometryError, InputError, StorageError, TumorLensError
from brain_tumor.labels import LabelArray
from brain_tumor.learning.ledger.changes import compare
from brain_tumor.learning.ledger.ledger import (
    CaseRef,
    Kind,
    Ledger,
    NewSubmission,
    ReviewState,
    Submission,
)
from brain_tumor.server.datastore.history import LabelEvent, LabelVersion
from brain_tumor.server.datastore.label_check import check_grid
from brain_tumor.server.datastore.store import ORIGINAL, StudyDatastore
from brain_tumor.server.http.validation import Parameter, check_params
from brain_tumor.server.learning.proposals import Proposals

logger = logging.getLogger(__name__)

AT_ONCE = 500
"""Label versions that are written down together after a crash."""

EFFORT_PARAMETERS = {
    "seconds_spent": Parameter((int, float, type(None))),
    "heat_open": Parameter((bool, type(None))),
    "text_open": Parameter((bool, type(None))),
    "draft": Parameter((bool,), default=False),
}
"""What a client may tell about how a correction came about."""


class LabelSubmissions:
    """Masks on their way into the ledger, and back out of the history.

    Args:
        datastore: The studies folder.
        ledger: Where they are written down.
        proposals: What labels may have started from.
        case_ref: Case as the ledger knows it.
    """

    def __init__(
        self,
        datastore: StudyDatastore,
        ledger: Ledger,
        proposals: Proposals,
        case_ref: Callable[[str], CaseRef],
    ) -> None:
        self._datastore = datastore
        self._ledger = ledger
        self._proposals = proposals
        self._case_ref = case_ref

    def on_label(self, version: LabelVersion) -> Submission | None:
        """Write a stored label version down; proposals of models are no corrections.

        Raises:
            StorageError: If the ledger cannot take it; the label itself is stored.
        """
        new = self._submission(version)
        if new is None:
            return None
        written = self._ledger.submit(new)
        self._give_back(new)
        return written

    def sync(self) -> int:
        """Write down label versions that a crash kept out of the ledger.

        Returns:
            How many there were.
        """
        known = {
            (s.case_id, s.tag, s.label_version) for s in self._ledger.submissions(kind=Kind.MASK)
        }
        waiting: list[NewSubmission] = []
        added = 0
        for image in self._datastore.list_images():
            for tag in self._datastore.history.tags(image):
                for version in self._datastore.history.versions(image, tag):
                    if (image, tag, version.version) not in known:
                        new = self._submission(version)
                        waiting += [] if new is None else [new]
            if len(waiting) >= AT_ONCE:
                added += self._write_down(waiting)
                waiting = []
        added += self._write_down(waiting)
        if added:
            logger.warning("wrote %d label versions down that the ledger did not have", added)
        return added

    def _submission(self, version: LabelVersion) -> NewSubmission | None:
        """What the ledger is to know of a version; None for a proposal and for a removal."""
        if version.tag == ORIGINAL or version.event is LabelEvent.REMOVED:
            return None
        effort = _effort(version.info)
        return NewSubmission(
            case=self._case_ref(version.image),
            kind=Kind.MASK,
            at=version.saved_at,
            annotator=version.saved_by,
            state=ReviewState.DRAFT if effort["draft"] else ReviewState.SUBMITTED,
            tag=version.tag,
            label_version=version.version,
            label_sha256=version.sha256,
            proposed_by=version.proposed_by,
            seconds_spent=effort["seconds_spent"],
            heat_open=effort["heat_open"],
            text_open=effort["text_open"],
            change=self._change(version),
        )

    def _write_down(self, several: list[NewSubmission]) -> int:
        """Write submissions down together; how many there were."""
        if several:
            self._ledger.submit_all(several)
        for new in several:
            self._give_back(new)
        return len(several)

    def _give_back(self, new: NewSubmission) -> None:
        """Who submitted a case no longer holds it."""
        if new.annotator and new.state is not ReviewState.DRAFT:
            self._ledger.cases.release(new.case.case_id, new.annotator)

    def labelmaps(self, masks: Mapping[str, Submission]) -> dict[str, LabelArray]:
        """Labelmaps of submitted masks of a case, all on one grid.

        Args:
            masks: Submission by annotator.

        Raises:
            NotFoundError: If a submission has no label.
            StorageError: If a stored file is damaged.
            GeometryError: If two lie on different grids.
        """
        history = self._datastore.history
        read: dict[str, tuple[LabelArray, Affine]] = {}
        for annotator, one in sorted(masks.items()):
            version = history.get(one.case_id, one.tag or "", one.label_version or 0)
            read[annotator] = self._read(version.suffix, history.content(version))
            first = next(iter(read))
            _check_one_grid(one.case_id, (first, *read[first]), (annotator, *read[annotator]))
        return {annotator: labelmap for annotator, (labelmap, _) in read.items()}

    def _change(self, version: LabelVersion) -> dict[str, Any] | None:
        """Change against the proposal that the annotator got; None if it is not known."""
        proposal = self._proposals.of(version)
        if proposal is None:
            return None
        try:
            content = self._datastore.history.content(version)
            labelmap, affine = self._read(version.suffix, content)
            spacing_mm = spacing_from_affine(affine)
            return compare(self._read(*proposal)[0], labelmap, spacing_mm).to_json()
        except TumorLensError:
            logger.warning("could not compare a label with its proposal", exc_info=True)
            return None

    def _read(self, suffix: str, content: bytes) -> tuple[LabelArray, Affine]:
        """Labelmap and affine from the bytes of a file."""
        return _parse_labelmap(self._datastore.staging, suffix, content)


def check_effort(info: Mapping[str, Any]) -> None:
    """Check what a client tells about how a label came about.

    Raises:
        InputError: If a value has another type or makes no sense.
    """
    given = {key: value for key, value in info.items() if key in EFFORT_PARAMETERS}
    seconds = check_params(given, EFFORT_PARAMETERS)["seconds_spent"]
    if seconds is not None and not 0 <= seconds <= 7 * 24 * 3600:
        raise InputError(f"seconds_spent is {seconds}; expected 0 to a week")


def _effort(info: Mapping[str, Any]) -> dict[str, Any]:
    """What a label's information tells; nothing where other programs wrote something else."""
    try:
        check_effort(info)
    except InputError:
        return {key: parameter.default for key, parameter in EFFORT_PARAMETERS.items()}
    given = {key: value for key, value in info.items() if key in EFFORT_PARAMETERS}
    return check_params(given, EFFORT_PARAMETERS)


def _check_one_grid(
    case: str, first: tuple[str, LabelArray, Affine], other: tuple[str, LabelArray, Affine]
) -> None:
    """Refuse masks of two annotators on different grids.

    Raises:
        GeometryError: If they are.
    """
    i, j, k = first[1].shape
    try:
        check_grid(other[1].shape, other[2], (i, j, k), first[2])
    except GeometryError as error:
        raise GeometryError(
            f"the masks of {first[0]} and {other[0]} for case '{case}' lie on different grids; "
            "expected one",
            remedy="Submit the older mask again: the volume was replaced between the two.",
        ) from error


def _parse_labelmap(folder: Path, suffix: str, content: bytes) -> tuple[LabelArray, Affine]:
    """Labelmap and affine; readers want a file, so one exists for a moment."""
    try:
        with tempfile.NamedTemporaryFile(suffix=suffix, dir=folder) as stream:
            stream.write(content)
            stream.flush()
            return read_labelmap(Path(stream.name))
    except OSError as error:
        raise StorageError(f"a label cannot be read: {error.strerror}") from error
