"""The ledger: who corrected what, from whose proposal, and what became of it. It only grows.

Nothing is ever overwritten: a decision about a submission is a row of its own, and triggers in
the database refuse changes. Label files are kept by the server's history; the ledger holds their
versions and checksums.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from brain_tumor.errors import InputError
from brain_tumor.labels import TumorType
from brain_tumor.learning.ledger import schema
from brain_tumor.learning.ledger.database import LedgerDatabase, now_text
from brain_tumor.learning.ledger.records import CaseBook, ResultBook, ScoreBook, case_row
from brain_tumor.learning.ledger.submission_rows import (
    MAX_NUMBER,
    add_submission,
    assign_part,
    held_mask,
    part_of_rank,
    plain,
    read_submission,
    read_submissions,
    state_now,
)
from brain_tumor.learning.ledger.submissions import (
    CaseRef,
    Kind,
    NewSubmission,
    Part,
    Review,
    ReviewState,
    Submission,
    newest_masks,
)

__all__ = [
    "LEARNT_TAG",
    "CaseRef",
    "Kind",
    "Ledger",
    "NewSubmission",
    "Part",
    "Review",
    "ReviewState",
    "Submission",
    "newest_masks",
    "part_of_rank",
]

LEARNT_TAG = "final"
"""Label tag that models learn from; annotators may keep others for themselves."""


class Ledger:
    """Everything that the learning loop remembers.

    Attributes:
        cases: Reservations and events of cases.
        results: What was inferred for whom by which version.
        scores: What the acquisition thinks of cases.

    Args:
        database: Where it is kept.
    """

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database
        self.cases = CaseBook(database)
        self.results = ResultBook(database)
        self.scores = ScoreBook(database)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def submit(self, new: NewSubmission) -> Submission:
        """Write a correction down; it is durable when this returns.

        A mask whose version is in the ledger already is not written twice.

        Raises:
            StorageError: If it cannot be written; then nothing changed.
        """
        return self.submit_all([new])[0]

    def submit_all(self, several: Iterable[NewSubmission]) -> list[Submission]:
        """Write corrections down, all or none; see `submit`."""
        with self._database.transaction(lock="submissions") as connection:
            return [read_submission(connection, _enter(connection, new)) for new in several]

    def review(
        self, submission: int, decision: ReviewState, reviewer: str | None, note: str = ""
    ) -> Submission:
        """Write a decision about a submission down.

        Raises:
            NotFoundError: If there is no such submission.
            InputError: If the decision is `draft`.
            StorageError: If it cannot be written.
        """
        if decision is ReviewState.DRAFT:
            raise InputError("decision is 'draft'; expected reviewed, rejected or submitted")
        with self._database.transaction(lock="submissions") as connection:
            read_submission(connection, submission)
            connection.execute(
                schema.reviews.insert().values(
                    submission=submission,
                    at=now_text(),
                    reviewer=reviewer,
                    decision=decision.value,
                    note=note,
                )
            )
            return read_submission(connection, submission)

    def submission(self, number: int) -> Submission:
        """One submission.

        Raises:
            NotFoundError: If there is none of that number.
        """
        with self._database.transaction() as connection:
            return read_submission(connection, number)

    def submissions(
        self,
        *,
        case_id: str | None = None,
        state: ReviewState | None = None,
        kind: Kind | None = None,
        after: int | None = None,
        limit: int | None = None,
    ) -> list[Submission]:
        """Submissions, newest first; oldest first with `after`, so that pages follow each other.

        Args:
            case_id: Only of this case.
            state: Only in this state.
            kind: Only of this kind.
            after: Only with a larger number, as the last one of the page before; 0 for all.
            limit: At most so many; None for all.
        """
        conditions: list[sa.ColumnElement[bool]] = []
        if after is not None:
            conditions.append(schema.submissions.c.id > min(after, MAX_NUMBER))
        if case_id is not None:
            conditions.append(schema.submissions.c.case_id == case_id)
        if kind is not None:
            conditions.append(schema.submissions.c.kind == kind.value)
        if state is not None:
            conditions.append(state_now() == state.value)
        with self._database.transaction() as connection:
            return read_submissions(connection, conditions, limit, oldest_first=after is not None)

    def patient_of(self, case_id: str, image_sha256: str) -> str | None:
        """Patient under whom a case is kept for good; None if it is not in the ledger yet."""
        cases, patients = schema.cases, schema.patients
        query = (
            sa.select(patients.c.key)
            .join(cases, cases.c.patient == patients.c.id)
            .where(cases.c.case_id == case_id, cases.c.image_sha256 == image_sha256)
        )
        with self._database.transaction() as connection:
            found: str | None = connection.execute(query).scalar()
        return found

    def note_model(
        self, name: str, version: str, event: str, by: str | None, detail: Mapping[str, Any]
    ) -> None:
        """Write down what happened to a model version."""
        with self._database.transaction() as connection:
            connection.execute(
                schema.model_events.insert().values(
                    at=now_text(),
                    name=name,
                    version=version,
                    event=event,
                    by=by,
                    detail=plain(detail),
                )
            )

    def model_events(self, name: str | None = None) -> list[dict[str, Any]]:
        """What happened to model versions, oldest first."""
        table = schema.model_events
        query = sa.select(table).order_by(table.c.id)
        if name is not None:
            query = query.where(table.c.name == name)
        with self._database.transaction() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _enter(connection: Connection, new: NewSubmission) -> int:
    """Number of a correction, which is written if it is new."""
    held = held_mask(connection, new)
    if held is not None:
        return held
    row = case_row(connection, new.case.case_id, new.case.image_sha256, new.case.patient)
    assign_part(connection, row)
    return add_submission(connection, row, new)


def corrected_masks(submissions: Iterable[Submission]) -> list[Submission]:
    """Masks to learn from: of every case the newest final one, submitted or reviewed.

    A reviewed mask goes before a newer one that nobody has reviewed.

    Args:
        submissions: Submitted masks.

    Returns:
        Submissions in the order of their numbers.
    """
    masks = [one for one in submissions if one.tag == LEARNT_TAG]
    submitted = newest_masks(m for m in masks if m.state is ReviewState.SUBMITTED)
    reviewed = newest_masks(m for m in masks if m.state is ReviewState.REVIEWED)
    return sorted({**submitted, **reviewed}.values(), key=lambda submission: submission.id)


def corrected_types(submissions: Iterable[Submission]) -> list[tuple[Submission, TumorType]]:
    """Types to learn from: of every case the newest one, submitted or reviewed.

    A reviewed type goes before a newer one that nobody has reviewed. A case whose answer is `other`
    or `none` teaches nothing: the classifier does not know them.

    Args:
        submissions: Submitted types, newest first.

    Returns:
        Submissions in the order of their numbers.
    """
    usable: dict[str, Submission] = {}
    for one in submissions:
        if one.state not in (ReviewState.SUBMITTED, ReviewState.REVIEWED):
            continue
        held = usable.setdefault(one.case_id, one)
        if held.state is not ReviewState.REVIEWED and one.state is ReviewState.REVIEWED:
            usable[one.case_id] = one
    known = {kind.value: kind for kind in TumorType}
    told = sorted(usable.values(), key=lambda one: one.id)
    answers = ((one, (one.payload or {}).get("type")) for one in told)
    return [(one, known[answer]) for one, answer in answers if answer in known]
