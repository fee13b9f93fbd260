"""Books of the ledger beside the submissions: cases, results, scores. They only grow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from brain_tumor.errors import BusyError
from brain_tumor.learning.ledger import schema
from brain_tumor.learning.ledger.database import LedgerDatabase, now_text


class CaseEvent(StrEnum):
    """What happened to a case."""

    RESERVED = "reserved"
    RELEASED = "released"
    REOPENED = "reopened"


@dataclass(frozen=True)
class CaseState:
    """What the events of a case come to.

    Attributes:
        reserved_by: Who has it now, if anybody.
        reserved_until: Until when, UTC, ISO 8601.
        reopened_at: When it was last given back for correction, if ever.
        updated: Time of the newest event.
    """

    reserved_by: str | None = None
    reserved_until: str | None = None
    reopened_at: str | None = None
    updated: str | None = None


def case_row(connection: Connection, case_id: str, image_sha256: str, patient: str) -> int:
    """Number of a case, entered with its patient if it is new."""
    number = _find_or_add(connection, schema.patients, {"key": patient}, {"first_seen": now_text()})
    found = {"case_id": case_id, "image_sha256": image_sha256}
    more = {"patient": number, "first_seen": now_text()}
    return _find_or_add(connection, schema.cases, found, more)


def _find_or_add(
    connection: Connection, table: sa.Table, key: Mapping[str, Any], more: Mapping[str, Any]
) -> int:
    conditions = [table.c[name] == value for name, value in key.items()]
    found = connection.execute(sa.select(table.c.id).where(*conditions)).scalar()
    if found is None:
        insert = table.insert().values(**key, **more).returning(table.c.id)
        found = connection.execute(insert).scalar_one()
    return int(found)


class CaseBook:
    """Who works on which case, and which cases are to be corrected again."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def reserve(
        self, case_id: str, client: str, minutes: float, *, now: datetime | None = None
    ) -> CaseState:
        """Reserve a case, or prolong one's own reservation.

        Raises:
            BusyError: If another client has it.
            StorageError: If it cannot be written.
        """
        moment = now or datetime.now(UTC)
        with self._database.transaction(lock="case_events") as connection:
            held = _states(connection, moment, case_id).get(case_id, CaseState())
            if held.reserved_by not in (None, client):
                raise BusyError(
                    f"case '{case_id}' is reserved by {held.reserved_by} until "
                    f"{held.reserved_until}",
                    remedy="Ask for another case, or wait until it is released.",
                )
            until = _text(moment + timedelta(minutes=minutes))
            _add(connection, case_id, CaseEvent.RESERVED, client, until, moment)
            return _states(connection, moment, case_id)[case_id]

    def release(self, case_id: str, client: str | None, *, now: datetime | None = None) -> bool:
        """Give a case back.

        Args:
            case_id: Case.
            client: Who has it; None releases it whoever has it.
            now: Time, for tests.

        Returns:
            Whether it was reserved by that client.
        """
        moment = now or datetime.now(UTC)
        with self._database.transaction(lock="case_events") as connection:
            held = _states(connection, moment, case_id).get(case_id, CaseState())
            if held.reserved_by is None or client not in (None, held.reserved_by):
                return False
            _add(connection, case_id, CaseEvent.RELEASED, client, None, moment)
            return True

    def reopen(self, case_id: str, client: str | None) -> CaseState:
        """Let a case be handed out again although it has a final label."""
        moment = datetime.now(UTC)
        with self._database.transaction(lock="case_events") as connection:
            _add(connection, case_id, CaseEvent.REOPENED, client, None, moment)
            return _states(connection, moment, case_id)[case_id]

    def state(self, case_id: str) -> CaseState:
        """State of one case."""
        with self._database.transaction() as connection:
            return _states(connection, datetime.now(UTC), case_id).get(case_id, CaseState())

    def states(self, *, now: datetime | None = None) -> dict[str, CaseState]:
        """State of every case that has any event."""
        with self._database.transaction() as connection:
            return _states(connection, now or datetime.now(UTC), None)


def _add(
    connection: Connection,
    case_id: str,
    event: CaseEvent,
    client: str | None,
    until: str | None,
    moment: datetime,
) -> None:
    connection.execute(
        schema.case_events.insert().values(
            case_id=case_id, at=_text(moment), event=event.value, client=client, until=until
        )
    )


def _states(connection: Connection, moment: datetime, case_id: str | None) -> dict[str, CaseState]:
    table = schema.case_events
    query = sa.select(table).order_by(table.c.id)
    if case_id is not None:
        query = query.where(table.c.case_id == case_id)
    now = _text(moment)
    states: dict[str, CaseState] = {}
    for row in connection.execute(query).mappings():
        held = states.get(row["case_id"], CaseState())
        by, until, reopened = held.reserved_by, held.reserved_until, held.reopened_at
        if row["event"] == CaseEvent.RESERVED:
            lasts = row["until"] > now
            by, until = (row["client"], row["until"]) if lasts else (None, None)
        elif row["event"] == CaseEvent.RELEASED:
            by, until = None, None
        else:
            reopened = row["at"]
        states[row["case_id"]] = CaseState(by, until, reopened, row["at"])
    return states


class ResultBook:
    """What was inferred for whom by which version."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def add(
        self,
        *,
        case_id: str,
        image_sha256: str,
        patient: str,
        task: str,
        models: Iterable[Mapping[str, str]],
        client: str | None,
        summary: Mapping[str, Any],
    ) -> None:
        """Write a result down: one row for each model that took part, all or none.

        Raises:
            StorageError: If it cannot be written.
        """
        with self._database.transaction(lock="submissions") as connection:
            row, at = case_row(connection, case_id, image_sha256, patient), now_text()
            for model in models:
                connection.execute(
                    schema.results.insert().values(
                        case=row,
                        at=at,
                        task=task,
                        model=model["name"],
                        model_version=model["version"],
                        model_sha256=model["sha256"],
                        client=client,
                        summary=dict(summary),
                    )
                )

    def search(
        self,
        *,
        patient: str = "",
        case_id: str = "",
        task: str = "",
        version: str = "",
        since: str = "",
        until: str = "",
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Results, newest first; one row for each model that took part.

        Args:
            patient: Part of the patient's key; case does not matter.
            case_id: Part of the case's id.
            task: Task.
            version: Model version, or the beginning of its checksum.
            since: Earliest time, UTC, ISO 8601.
            until: Latest time.
            limit: At most so many.
        """
        results, cases, patients = schema.results, schema.cases, schema.patients
        query = (
            sa.select(
                results.c.id,
                results.c.at,
                cases.c.case_id.label("case"),
                patients.c.key.label("patient"),
                cases.c.image_sha256,
                results.c.task,
                results.c.model,
                results.c.model_version,
                results.c.model_sha256,
                results.c.client,
                results.c.summary,
            )
            .join(cases, cases.c.id == results.c.case)
            .join(patients, patients.c.id == cases.c.patient)
            .order_by(results.c.id.desc())
            .limit(limit)
        )
        if patient:
            query = query.where(patients.c.key.icontains(patient, autoescape=True))
        if case_id:
            query = query.where(cases.c.case_id.icontains(case_id, autoescape=True))
        if task:
            query = query.where(results.c.task == task)
        if version:
            by_checksum = results.c.model_sha256.istartswith(version, autoescape=True)
            query = query.where((results.c.model_version == version) | by_checksum)
        if since:
            query = query.where(results.c.at >= since)
        if until:
            query = query.where(results.c.at <= until)
        with self._database.transaction() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def volume_seen_by(self, case_id: str, client: str) -> str | None:
        """Checksum of the volume of a client's newest result for a case; None without one."""
        results, cases = schema.results, schema.cases
        query = (
            sa.select(cases.c.image_sha256)
            .join(results, cases.c.id == results.c.case)
            .where(cases.c.case_id == case_id, results.c.client == client)
            .order_by(results.c.id.desc())
            .limit(1)
        )
        with self._database.transaction() as connection:
            found: str | None = connection.execute(query).scalar()
            return found

    def newest_summaries(self) -> dict[str, dict[str, Any]]:
        """Newest result of every case: `at`, `by`, `patient`, `task` and its summary.

        A result without a type does not hide the type that an earlier one told.
        """
        results, cases, patients = schema.results, schema.cases, schema.patients
        latest = sa.select(sa.func.max(results.c.id)).group_by(results.c.case, results.c.task)
        query = (
            sa.select(
                cases.c.case_id,
                patients.c.key,
                results.c.at,
                results.c.client,
                results.c.task,
                results.c.summary,
            )
            .join(cases, cases.c.id == results.c.case)
            .join(patients, patients.c.id == cases.c.patient)
            .where(results.c.id.in_(latest))
            .order_by(results.c.id)
        )
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
        found: dict[str, dict[str, Any]] = {}
        for case_id, patient, at, by, task, summary in rows:
            told = {"patient": patient, "at": at, "by": by, "task": task}
            found[case_id] = {**found.get(case_id, {}), **summary, **told}
        return found

    def newest(self) -> dict[str, str]:
        """Time of the newest result of every case."""
        results, cases = schema.results, schema.cases
        query = (
            sa.select(cases.c.case_id, sa.func.max(results.c.at))
            .join(cases, cases.c.id == results.c.case)
            .group_by(cases.c.case_id)
        )
        with self._database.transaction() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}


class ScoreBook:
    """What the acquisition thinks of cases."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def add(
        self, case_id: str, image_sha256: str, model_sha256: str, values: Mapping[str, Any]
    ) -> None:
        """Write the scores of a case down."""
        with self._database.transaction() as connection:
            connection.execute(
                schema.scores.insert().values(
                    case_id=case_id,
                    image_sha256=image_sha256,
                    model_sha256=model_sha256,
                    at=now_text(),
                    values=dict(values),
                )
            )

    def newest(self) -> dict[str, dict[str, Any]]:
        """Newest scores of every case: `model_sha256`, `image_sha256`, `at` and `values`."""
        table = schema.scores
        latest = sa.select(sa.func.max(table.c.id)).group_by(table.c.case_id)
        query = sa.select(table).where(table.c.id.in_(latest))
        with self._database.transaction() as connection:
            rows = connection.execute(query).mappings().all()
        return {row["case_id"]: dict(row) for row in rows}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
