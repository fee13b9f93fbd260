"""Who works on which case, and where every case stands."""

from __future__ import annotations

from typing import Any

from brain_tumor.learning.ledger.ledger import Kind, Ledger, ReviewState, Submission, newest_masks
from brain_tumor.learning.ledger.records import CaseState
from brain_tumor.server.datastore.store import ORIGINAL, StudyDatastore
from brain_tumor.server.learning.strategies import VisibleCases

RESERVED_MINUTES = 60.0


class CaseWork:
    """Reservations, reopened cases and states.

    Args:
        datastore: The studies folder.
        ledger: What happened to its cases.
    """

    def __init__(self, datastore: StudyDatastore, ledger: Ledger) -> None:
        self._datastore = datastore
        self._ledger = ledger

    def visible_to(self, client: str | None, missed: frozenset[str]) -> VisibleCases:
        """The datastore as a client sees it when it asks for the next case.

        Args:
            client: Who asks.
            missed: Cases that others got while it asked.
        """
        hidden = self.hidden_from(client) | missed
        return VisibleCases(self._datastore, hidden, self.reopened())

    def reserve_for(self, client: str | None, image: str) -> None:
        """Keep a case that was handed out from being handed to others.

        Raises:
            BusyError: If another client got it in this very moment.
        """
        if client:
            self._ledger.cases.reserve(image, client, RESERVED_MINUTES)

    def hidden_from(self, client: str | None) -> frozenset[str]:
        """Cases that others have reserved."""
        states = self._ledger.cases.states()
        return frozenset(case for case, s in states.items() if s.reserved_by not in (None, client))

    def reopened(self) -> frozenset[str]:
        """Labelled cases that are to be corrected again: reopened after the last submission."""
        masks = newest_masks(self._ledger.submissions(kind=Kind.MASK))
        states = self._ledger.cases.states()
        return frozenset(
            case
            for case, state in states.items()
            if state.reopened_at is not None
            and (case not in masks or state.reopened_at >= masks[case].at)
        )

    def statuses(self) -> list[dict[str, Any]]:
        """Status of every case: `new`, `predicted`, `corrected`, `submitted` or `reviewed`."""
        events = self._ledger.cases.states()
        results = self._ledger.results.newest()
        masks = newest_masks(self._ledger.submissions(kind=Kind.MASK))
        rows = []
        for image in self._datastore.list_images():
            state, mask = events.get(image, CaseState()), masks.get(image)
            has_proposal = image in results or bool(self._datastore.get_label_info(image, ORIGINAL))
            decided = [review.at for review in mask.reviews] if mask else []
            times = [state.updated, results.get(image), mask.at if mask else None, *decided]
            rows.append(
                {
                    "id": image,
                    "status": _status(state, mask, has_proposal=has_proposal),
                    "reserved_by": state.reserved_by,
                    "reserved_until": state.reserved_until if state.reserved_by else None,
                    "updated": max((t for t in times if t), default=None),
                }
            )
        return rows


def _status(state: CaseState, mask: Submission | None, *, has_proposal: bool) -> str:
    """Where a case stands; a draft, a rejected and a reopened one is still being corrected."""
    if mask is None:
        return "predicted" if has_proposal else "new"
    if state.reopened_at is not None and state.reopened_at >= mask.at:
        return "corrected"
    if mask.state is ReviewState.REVIEWED:
        return "reviewed"
    return "submitted" if mask.state is ReviewState.SUBMITTED else "corrected"
