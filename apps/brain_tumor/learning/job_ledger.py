"""What a training's process asks and tells the ledger of its studies folder, where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brain_tumor.errors import NotFoundError
from brain_tumor.learning.ledger.database import LEDGER_ENV, LEDGER_FILE, LedgerDatabase, ledger_url
from brain_tumor.learning.ledger.ledger import Ledger
from brain_tumor.learning.registry.registry import VersionRecord
from brain_tumor.learning.retraining.job_folder import TrainingRequest

PROMOTED = "promoted"


def confirmed_cases(request: TrainingRequest) -> set[str]:
    """Names of the held-out corrections that somebody other than the annotator has reviewed.

    Raises:
        StorageError: If the ledger cannot be read.
    """
    held_out = {c.submission: c.name for c in request.corrections if c.held_out}
    with _ledger(request) as ledger:
        if ledger is None:
            return set()
        found = set()
        for number, name in held_out.items():
            try:
                if ledger.submission(number).is_confirmed:
                    found.add(name)
            except NotFoundError:
                continue  # of another ledger
        return found


def note_promotion(request: TrainingRequest, record: VersionRecord, by: str) -> None:
    """Write down that a training's candidate became active, unless that is written already.

    Args:
        request: The training. One process at a time works on it, and no other has its candidate.
        record: The candidate.
        by: Who asked for the training.

    Raises:
        StorageError: If it cannot be written.
    """
    detail = {"sha256": record.sha256, "training": request.id}
    with _ledger(request) as ledger:
        if ledger is None:
            return
        for event in ledger.model_events(record.name):
            if (event["version"], event["event"]) == (record.version, PROMOTED):
                return
        ledger.note_model(record.name, record.version, PROMOTED, by, detail)


@contextmanager
def _ledger(request: TrainingRequest) -> Iterator[Ledger | None]:
    """Ledger beside the store of the versions, or by address; None where there is none yet."""
    folder = Path(request.store).parent
    if not os.environ.get(LEDGER_ENV) and not (folder / LEDGER_FILE).is_file():
        yield None
        return
    ledger = Ledger(LedgerDatabase(ledger_url(os.environ, folder)))
    try:
        yield ledger
    finally:
        ledger.close()
