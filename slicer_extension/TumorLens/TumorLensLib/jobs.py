"""Blocking work off the main thread, with elapsed time, time-out and cancel.

Start jobs and poll from the main thread; callbacks run inside `poll`, so they may touch the scene.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)


class CancelledError(Exception):
    """The work was cancelled; nobody waits for its result."""


class DeadlineError(Exception):
    """The work took longer than it may."""


class CancelToken:
    """Tells a worker to stop and breaks off what it waits for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closers: list[Callable[[], None]] = []
        self.is_cancelled = False

    def cancel(self) -> None:
        """Ask the worker to stop; may be called twice and from any thread."""
        with self._lock:
            self.is_cancelled = True
            closers, self._closers = self._closers, []
        for close in closers:
            close()

    def on_cancel(self, close: Callable[[], None]) -> None:
        """Call `close` when cancelled, at once if that has happened."""
        with self._lock:
            if not self.is_cancelled:
                self._closers.append(close)
                return
        close()

    def check(self) -> None:
        """Stop here if cancelled.

        Raises:
            CancelledError: If so.
        """
        if self.is_cancelled:
            raise CancelledError


@dataclass(eq=False)
class Job:
    """Work that runs.

    Attributes:
        name: What the status line says, e.g. "Analysing".
        timeout_s: After this it is given up.
        is_quiet: Runs beside the user's work: does not make the panel busy.
    """

    number: int
    name: str
    started_s: float
    timeout_s: float
    is_quiet: bool
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]
    token: CancelToken


class Jobs:
    """The running jobs of one panel.

    Args:
        clock: Seconds; tests pass their own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        self._running: dict[int, Job] = {}
        self._results: queue.Queue[tuple[int, Any, Exception | None]] = queue.Queue()

    @property
    def is_running(self) -> bool:
        """Whether any job runs, quiet ones too."""
        return bool(self._running)

    @property
    def current(self) -> Job | None:
        """The oldest job that the user waits for."""
        return next((job for job in self._running.values() if not job.is_quiet), None)

    def elapsed_s(self, job: Job) -> float:
        """Seconds since a job was started."""
        return self._clock() - job.started_s

    def start(
        self,
        name: str,
        work: Callable[[CancelToken], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
        *,
        timeout_s: float = 60.0,
        is_quiet: bool = False,
    ) -> Job:
        """Run `work(token)` in a thread of its own.

        Args:
            name: What the user reads.
            work: Must not touch Qt or the scene.
            done: Gets the result, on the main thread.
            failed: Gets the exception, on the main thread.
            timeout_s: After this `failed` gets a `DeadlineError`.
            is_quiet: See `Job`.
        """
        job = Job(
            next(self._numbers),
            name,
            self._clock(),
            timeout_s,
            is_quiet,
            done,
            failed,
            CancelToken(),
        )
        self._running[job.number] = job

        def run() -> None:
            try:
                outcome: tuple[int, Any, Exception | None] = (job.number, work(job.token), None)
            except Exception as error:  # noqa: BLE001 - handed over to the main thread
                outcome = (job.number, None, error)
            self._results.put(outcome)

        threading.Thread(target=run, name=f"TumorLens {name}", daemon=True).start()
        return job

    def poll(self, wait_s: float = 0.02) -> None:
        """Hand over one result, if there is one.

        Waits a little on purpose: the event loop of desktop Slicer holds Python's lock while it
        idles, so this wait is when the workers run.
        """
        for job in list(self._running.values()):
            if self.elapsed_s(job) > job.timeout_s:
                self.cancel(job)
                job.failed(DeadlineError(f"{job.name}: no answer within {job.timeout_s:.0f} s"))
        if not self._running and self._results.empty():
            return
        try:
            number, result, error = self._results.get(timeout=wait_s)
        except queue.Empty:
            return
        finished = self._running.pop(number, None)
        if finished is None:
            return  # cancelled meanwhile
        if error is not None:
            finished.failed(error)
            return
        try:
            finished.done(result)
        except Exception as problem:
            logger.exception("the result of '%s' could not be shown", finished.name)
            finished.failed(problem)

    def cancel(self, job: Job) -> None:
        """Forget a job: it counts as ended now, and its result will be dropped."""
        if self._running.pop(job.number, None) is not None:
            job.token.cancel()

    def cancel_all(self) -> None:
        """Forget every job."""
        for job in list(self._running.values()):
            self.cancel(job)
