"""The ledger: who corrected what, from whose proposal, and what became of it. It only grows.

Nothing is ever overwritten: a decision about a submission is a row of its own, and triggers in
the database refuse changes. Label files are kept by the server's history; the ledger holds their
versions and checksums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from brain_tumor.errors import InputError, NotFoundError
from brain_tumor.learning import ledger_schema as schema
from brain_tumor.learning.ledger_database import LedgerDatabase, now_text
from brain_tumor.learning.ledger_records import CaseBook, ResultBook, ScoreBook, case_row

HOLD_OUT_BLOCK = 4
"""Of each four patients in the order of their first correction, one is held out."""

MAX_ROWS = 10_000
LEARNT_TAG = "final"
"""Label tag that models learn from; annotators may keep others for themselves."""


class Kind(StrEnum):
    """What was corrected."""

    MASK = "mask"
    TYPE = "type"
    SENTENCES = "sentences"


class ReviewState(StrEnum):
    """What became of a submission."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    REVIEWED = "reviewed"
    REJECTED = "rejected"


class Part(StrEnum):
    """Side of the split that a patient is on for ever."""

    TRAIN = "train"
    HOLD_OUT = "hold_out"


@dataclass(frozen=True)
class CaseRef:
    """A case as the ledger knows it.

    Attributes:
        case_id: Id in the studies folder.
        image_sha256: Checksum of its reference volume.
        patient: Key of the patient; several cases may share one.
    """

    case_id: str
    image_sha256: str
    patient: str


@dataclass(frozen=True)
class NewSubmission:
    """A correction that is about to be written down.

    Attributes:
        case: What was corrected.
        kind: Mask, type or sentences.
        annotator: Client id of who did it, if the client told.
        state: Draft or submitted.
        tag: Label tag, for masks.
        label_version: Version of the label in the history, for masks.
        label_sha256: Checksum of the label file, for masks.
        proposed_by: Model (name, version, sha256) that the annotator started from.
        seconds_spent: Time that the annotator took, if the client told.
        heat_open: Whether the heatmap was shown, if the client told.
        text_open: Whether the rationale was shown, if the client told.
        change: How the label differs from the proposal.
        payload: Type with reason, or sentences with verdicts.
    """

    case: CaseRef
    kind: Kind
    annotator: str | None = None
    state: ReviewState = ReviewState.SUBMITTED
    tag: str | None = None
    label_version: int | None = None
    label_sha256: str | None = None
    proposed_by: Mapping[str, str] | None = None
    seconds_spent: float | None = None
    heat_open: bool | None = None
    text_open: bool | None = None
    change: Mapping[str, Any] | None = None
    payload: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Review:
    """A decision about a submission."""

    at: str
    reviewer: str | None
    decision: ReviewState
    note: str


@dataclass(frozen=True)
class Submission:
    """A correction in the ledger; see `NewSubmission`.

    Attributes:
        id: Number, increasing.
        at: Time in UTC, ISO 8601.
        state: What became of it: the newest decision.
        part: Side of the split that its patient is on.
        reviews: Decisions, oldest first.
    """

    id: int
    at: str
    case_id: str
    image_sha256: str
    patient: str
    part: Part
    kind: Kind
    state: ReviewState
    annotator: str | None
    tag: str | None
    label_version: int | None
    label_sha256: str | None
    proposed_by: Mapping[str, str] | None
    seconds_spent: float | None
    heat_open: bool | None
    text_open: bool | None
    change: Mapping[str, Any] | None
    payload: Mapping[str, Any] | None
    reviews: tuple[Review, ...] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for replies and exports."""
        return asdict(self)


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
        with self._database.transaction(lock="submissions") as connection:
            held = _held_mask(connection, new)
            if held is not None:
                return _read_one(connection, held)
            row = case_row(connection, new.case.case_id, new.case.image_sha256, new.case.patient)
            _assign_part(connection, new.case.patient)
            model = new.proposed_by or {}
            insert = (
                schema.submissions.insert()
                .values(
                    case=row,
                    case_id=new.case.case_id,
                    at=now_text(),
                    annotator=new.annotator,
                    kind=new.kind.value,
                    state=new.state.value,
                    tag=new.tag,
                    label_version=new.label_version,
                    label_sha256=new.label_sha256,
                    model=model.get("name"),
                    model_version=model.get("version"),
                    model_sha256=model.get("sha256"),
                    seconds_spent=new.seconds_spent,
                    heat_open=new.heat_open,
                    text_open=new.text_open,
                    change=_plain(new.change),
                    payload=_plain(new.payload),
                )
                .returning(schema.submissions.c.id)
            )
            return _read_one(connection, int(connection.execute(insert).scalar_one()))

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
            _read_one(connection, submission)
            connection.execute(
                schema.reviews.insert().values(
                    submission=submission,
                    at=now_text(),
                    reviewer=reviewer,
                    decision=decision.value,
                    note=note,
                )
            )
            return _read_one(connection, submission)

    def submission(self, number: int) -> Submission:
        """One submission.

        Raises:
            NotFoundError: If there is none of that number.
        """
        with self._database.transaction() as connection:
            return _read_one(connection, number)

    def submissions(
        self,
        *,
        case_id: str | None = None,
        state: ReviewState | None = None,
        kind: Kind | None = None,
        after: int = 0,
        limit: int = MAX_ROWS,
    ) -> list[Submission]:
        """Submissions, newest first.

        Args:
            case_id: Only of this case.
            state: Only in this state.
            kind: Only of this kind.
            after: Only with a larger number.
            limit: At most so many.
        """
        conditions = [schema.submissions.c.id > after]
        if case_id is not None:
            conditions.append(schema.submissions.c.case_id == case_id)
        if kind is not None:
            conditions.append(schema.submissions.c.kind == kind.value)
        if state is not None:
            conditions.append(_state_now() == state.value)
        with self._database.transaction() as connection:
            return _read(connection, conditions, limit)

    def corrections(self) -> list[Submission]:
        """Masks to learn from: of every case the newest final one, submitted or reviewed.

        A reviewed mask goes before a newer one that nobody has reviewed.
        """
        usable: dict[str, Submission] = {}
        for one in self.submissions(kind=Kind.MASK):
            usable_state = one.state in (ReviewState.SUBMITTED, ReviewState.REVIEWED)
            if one.tag != LEARNT_TAG or not usable_state:
                continue
            held = usable.get(one.case_id)
            replaces = held is None or (
                held.state is not ReviewState.REVIEWED and one.state is ReviewState.REVIEWED
            )
            if replaces:
                usable[one.case_id] = one
        return sorted(usable.values(), key=lambda submission: submission.id)

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
                    detail=_plain(detail),
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


def _held_mask(connection: Connection, new: NewSubmission) -> int | None:
    """Number of the submission that has this label version already."""
    if new.label_version is None:
        return None
    table = schema.submissions
    found: int | None = connection.execute(
        sa.select(table.c.id).where(
            table.c.case_id == new.case.case_id,
            table.c.tag == new.tag,
            table.c.label_version == new.label_version,
        )
    ).scalar()
    return found


def _assign_part(connection: Connection, patient: str) -> None:
    """Decide once on which side of the split a patient is.

    Of every block of four patients one is held out; which one follows from the block's number.
    """
    known = sa.select(schema.patients.c.id).where(schema.patients.c.key == patient)
    number = connection.execute(known).scalar_one()
    table = schema.splits
    if connection.execute(sa.select(table.c.part).where(table.c.patient == number)).first():
        return
    count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    part = part_of_rank(int(count))
    connection.execute(table.insert().values(patient=number, part=part.value, at=now_text()))


def part_of_rank(rank: int) -> Part:
    """Side of the split for the n-th patient, counted from 0.

    Example:
        >>> [part_of_rank(n).value for n in range(4)].count("hold_out")
        1
    """
    block, place = divmod(rank, HOLD_OUT_BLOCK)
    digest = hashlib.sha256(f"tumorlens-split:{block}".encode()).digest()
    return Part.HOLD_OUT if place == digest[0] % HOLD_OUT_BLOCK else Part.TRAIN


def _state_now() -> sa.ColumnElement[str]:
    """State of a submission: its newest decision, else how it came in."""
    table = schema.reviews
    newest = (
        sa.select(table.c.decision)
        .where(table.c.submission == schema.submissions.c.id)
        .order_by(table.c.id.desc())
        .limit(1)
        .correlate(schema.submissions)
        .scalar_subquery()
    )
    return sa.func.coalesce(newest, schema.submissions.c.state)


def _read_one(connection: Connection, number: int) -> Submission:
    found = _read(connection, [schema.submissions.c.id == number], 1)
    if not found:
        raise NotFoundError(
            f"no submission {number}", remedy="List the corrections (GET /corrections)."
        )
    return found[0]


def _read(
    connection: Connection, conditions: list[sa.ColumnElement[bool]], limit: int
) -> list[Submission]:
    """Submissions that meet all conditions, newest first."""
    query = (
        sa.select(
            schema.submissions,
            schema.cases.c.image_sha256,
            schema.patients.c.key.label("patient"),
            schema.splits.c.part,
        )
        .join(schema.cases, schema.cases.c.id == schema.submissions.c.case)
        .join(schema.patients, schema.patients.c.id == schema.cases.c.patient)
        .join(schema.splits, schema.splits.c.patient == schema.patients.c.id)
        .where(*conditions)
        .order_by(schema.submissions.c.id.desc())
        .limit(limit)
    )
    rows = connection.execute(query).mappings().all()
    reviews = _reviews_of(connection, [row["id"] for row in rows])
    return [_submission(row, reviews.get(row["id"], ())) for row in rows]


def _reviews_of(connection: Connection, numbers: list[int]) -> dict[int, tuple[Review, ...]]:
    table = schema.reviews
    query = sa.select(table).where(table.c.submission.in_(numbers)).order_by(table.c.id)
    found: dict[int, tuple[Review, ...]] = {}
    for row in connection.execute(query).mappings():
        review = Review(row["at"], row["reviewer"], ReviewState(row["decision"]), row["note"])
        found[row["submission"]] = (*found.get(row["submission"], ()), review)
    return found


def _submission(row: RowMapping, reviews: tuple[Review, ...]) -> Submission:
    model = None
    if row["model"] is not None:
        model = {
            "name": row["model"],
            "version": row["model_version"],
            "sha256": row["model_sha256"],
        }
    return Submission(
        id=row["id"],
        at=row["at"],
        case_id=row["case_id"],
        image_sha256=row["image_sha256"],
        patient=row["patient"],
        part=Part(row["part"]),
        kind=Kind(row["kind"]),
        state=reviews[-1].decision if reviews else ReviewState(row["state"]),
        annotator=row["annotator"],
        tag=row["tag"],
        label_version=row["label_version"],
        label_sha256=row["label_sha256"],
        proposed_by=model,
        seconds_spent=row["seconds_spent"],
        heat_open=row["heat_open"],
        text_open=row["text_open"],
        change=row["change"],
        payload=row["payload"],
        reviews=reviews,
    )


def _plain(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)
