"""Running a model on many cases in the background of this process.

The stock batch starts another interpreter that writes the same datastore; this one is a thread
that waits its turn at the gate like everybody, and can be stopped after any case.
"""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from brain_tumor.cohorts.engine import Outcome, run_here
from brain_tumor.errors import BusyError, InputError, NotFoundError

SELECTIONS = ("unlabeled", "labeled", "all")
MAX_DETAILS = 20
UNEXPECTED = "the server failed; see its log"


class BatchCases(Protocol):
    """Where the cases of a batch come from."""

    def list_images(self) -> list[str]:
        """All cases."""

    def get_labeled_images(self) -> list[str]:
        """Cases with a final label."""

    def get_unlabeled_images(self) -> list[str]:
        """Cases without."""


class Batches:
    """At most one running batch, and the state of the last one.

    Args:
        cases: The datastore.
        predict: Runs a model on a case and stores the result; raises `NotFoundError` for an
            unknown model.
        check_model: Raises `NotFoundError` for an unknown model.
    """

    def __init__(
        self,
        cases: BatchCases,
        predict: Callable[[str, str], None],
        check_model: Callable[[str], object],
    ) -> None:
        self._cases = cases
        self._predict = predict
        self._check_model = check_model
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._state: dict[str, Any] = {"id": "", "status": "IDLE", "details": []}
        self._details: deque[str] = deque(maxlen=MAX_DETAILS)

    def start(self, model: str, selection: str) -> dict[str, Any]:
        """Start a batch.

        Args:
            model: Infer task.
            selection: `unlabeled`, `labeled` or `all`.

        Raises:
            NotFoundError: If there is no such model.
            InputError: If the selection is unknown.
            BusyError: If a batch runs.
        """
        self._check_model(model)
        if selection not in SELECTIONS:
            raise InputError(f"images is {selection!r:.40}; expected one of {list(SELECTIONS)}")
        choose = {
            "unlabeled": self._cases.get_unlabeled_images,
            "labeled": self._cases.get_labeled_images,
            "all": self._cases.list_images,
        }
        with self._mutex:
            if self._thread is not None and self._thread.is_alive():
                raise BusyError("a batch is running already")
            images = choose[selection]()
            self._stop.clear()
            self._details.clear()
            self._state = {
                "id": str(uuid.uuid4()),
                "status": "RUNNING",
                "request": {"model": model, "images": selection},
                "start_ts": _now(),
                "total": len(images),
                "done": 0,
                "failed": 0,
            }
            self._thread = threading.Thread(
                target=self._run, args=(model, images), name="batch", daemon=True
            )
            self._thread.start()
            return self._report()

    def status(self, *, only_running: bool = False) -> dict[str, Any]:
        """State of the last batch.

        Raises:
            NotFoundError: If only a running one is asked for and none runs.
        """
        with self._mutex:
            if only_running and self._state["status"] != "RUNNING":
                raise NotFoundError("no batch is running")
            return self._report()

    def stop(self) -> dict[str, Any]:
        """Stop after the current case; the state says so once that is done."""
        self._stop.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout=1.0)
        return self.status()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the running batch.

        Returns:
            Whether it ended in time.
        """
        thread = self._thread
        if thread is None:
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def _run(self, model: str, images: list[str]) -> None:
        """Work through the cases; one that fails does not end the batch."""

        def hear(image: str, outcome: Outcome[None]) -> None:
            problem = outcome.failure
            with self._mutex:
                self._state["done"] += 1
                self._state["failed"] += problem is not None
                self._details.append(f"{image}: {problem.message if problem else 'done'}")

        predict = partial(self._predict, model)
        run_here(images, predict, hear, is_stopped=self._stop.is_set, unexpected=UNEXPECTED)
        with self._mutex:
            self._state["status"] = "STOPPED" if self._stop.is_set() else "DONE"
            self._state["end_ts"] = _now()

    def _report(self) -> dict[str, Any]:
        """Copy of the state; the mutex is held."""
        return {**self._state, "details": list(self._details)}


def _now() -> str:
    """Local time as the stock tasks write it."""
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
