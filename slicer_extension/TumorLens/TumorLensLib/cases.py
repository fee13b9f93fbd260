"""The list of cases with their status, from what the server offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from TumorLensLib.client import Client
from TumorLensLib.transport import NotOfferedError

STATUSES = ("new", "predicted", "corrected", "submitted", "reviewed")
LABELLED = frozenset({"submitted", "reviewed"})
"""Opening one of these means to take a finished case up again."""
WITH_LABEL = LABELLED | {"corrected"}
"""Statuses of cases that may have a label already."""


@dataclass(frozen=True)
class CaseEntry:
    """A row of the list.

    Attributes:
        name: Case id.
        status: One of `STATUSES`.
        reserved_by: Who works on it, or empty.
        updated: When something happened to it, as text.
    """

    name: str
    status: str
    reserved_by: str = ""
    updated: str = ""


def list_cases(client: Client) -> list[CaseEntry]:
    """Cases of a server; of a stock one without the status route too."""
    try:
        return from_statuses(client.case_statuses())
    except NotOfferedError:
        return from_datastore(client.datastore())


def from_statuses(rows: Iterable[Mapping[str, Any]]) -> list[CaseEntry]:
    """Entries of `GET /cases/status`."""
    entries = [
        CaseEntry(
            str(row["id"]),
            str(row.get("status", "new")),
            str(row.get("reserved_by") or ""),
            _when(row.get("updated")),
        )
        for row in rows
        if row.get("id")
    ]
    return sorted(entries, key=lambda entry: entry.name)


def from_datastore(index: Mapping[str, Any]) -> list[CaseEntry]:
    """Entries of a stock datastore: new, predicted (`original`) or submitted (`final`)."""
    objects = index.get("objects")
    entries = []
    for name, item in sorted(objects.items() if isinstance(objects, Mapping) else ()):
        labels = item.get("labels", {}) if isinstance(item, Mapping) else {}
        status = "submitted" if "final" in labels else "predicted" if labels else "new"
        entries.append(CaseEntry(str(name), status))
    return entries


def shortened(when: str, today: str) -> str:
    """Time of day for something of today, else its date.

    Args:
        when: Date and time, `2026-01-02 10:00`.
        today: Date, `2026-01-02`.

    Example:
        >>> shortened("2026-01-02 10:00", "2026-01-02"), shortened("2026-01-02 10:00", "2026-01-03")
        ('10:00', '2026-01-02')
    """
    date, _, time = when.partition(" ")
    return time if date == today and time else date


def _when(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return datetime.fromtimestamp(value).strftime("%Y-%m-%d %H:%M")  # local time
    return str(value or "").replace("T", " ")[:16]
