"""Submissions as rows of the ledger: one statement each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from brain_tumor.errors import NotFoundError
from brain_tumor.learning.ledger import schema
from brain_tumor.learning.ledger.database import now_text
from brain_tumor.learning.ledger.submissions import (
    Kind,
    NewSubmission,
    Part,
    Review,
    ReviewState,
    Submission,
)

MAX_NUMBER = 2**31 - 1
"""Largest number that a row can have on every database."""

NUMBERS_AT_ONCE = 10_000
"""Databases limit the parameters of a statement."""

HOLD_OUT_BLOCK = 4
"""Of each four patients in the order of their first correction, one is held out."""


def held_mask(connection: Connection, new: NewSubmission) -> int | None:
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


def add_submission(connection: Connection, case: int, new: NewSubmission) -> int:
    """Insert a submission of a case's row; its number."""
    model = new.proposed_by or {}
    insert = (
        schema.submissions.insert()
        .values(
            case=case,
            case_id=new.case.case_id,
            at=new.at or now_text(),
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
            change=plain(new.change),
            payload=plain(new.payload),
        )
        .returning(schema.submissions.c.id)
    )
    return int(connection.execute(insert).scalar_one())


def assign_part(connection: Connection, case: int) -> None:
    """Decide once on which side of the split the patient of a case is.

    Of every block of four patients one is held out; which one follows from the block's number. A
    case keeps the patient of its first row, whatever its information says later.

    Args:
        connection: Inside a transaction.
        case: Number of the case's row.
    """
    known = sa.select(schema.cases.c.patient).where(schema.cases.c.id == case)
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


def state_now() -> sa.ColumnElement[str]:
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


def read_submission(connection: Connection, number: int) -> Submission:
    """One submission.

    Raises:
        NotFoundError: If there is none of that number.
    """
    is_number = 0 < number <= MAX_NUMBER
    found = is_number and read_submissions(connection, [schema.submissions.c.id == number], 1)
    if not found:
        raise NotFoundError(
            f"no submission {number}", remedy="List the corrections (GET /corrections)."
        )
    return found[0]


def read_submissions(
    connection: Connection,
    conditions: list[sa.ColumnElement[bool]],
    limit: int | None = None,
    *,
    oldest_first: bool = False,
) -> list[Submission]:
    """Submissions that meet all conditions, newest first unless told otherwise."""
    number = schema.submissions.c.id
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
        .order_by(number if oldest_first else number.desc())
        .limit(limit)
    )
    rows = connection.execute(query).mappings().all()
    reviews = _reviews_of(connection, [row["id"] for row in rows])
    return [_submission(row, reviews.get(row["id"], ())) for row in rows]


def _reviews_of(connection: Connection, numbers: list[int]) -> dict[int, tuple[Review, ...]]:
    table = schema.reviews
    found: dict[int, tuple[Review, ...]] = {}
    for start in range(0, len(numbers), NUMBERS_AT_ONCE):
        some = numbers[start : start + NUMBERS_AT_ONCE]
        query = sa.select(table).where(table.c.submission.in_(some)).order_by(table.c.id)
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


def plain(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A mapping as a column of JSON takes it."""
    return None if value is None else dict(value)
