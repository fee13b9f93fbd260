"""How many heavy inferences run at once, and how many may wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from brain_tumor.errors import BusyError

DEFAULT_AT_ONCE = 1  # a second one on two cores slows both down five-fold
DEFAULT_WAITING = 8
DEFAULT_PATIENCE_S = 600.0


class InferenceGate:
    """Bounded admission to the processor; safe to share between threads.

    Args:
        at_once: Inferences that run at the same time, at least 1.
        waiting: Requests that may wait for their turn; further ones are refused.
        patience_s: Seconds after which a waiting request is refused.
    """

    def __init__(
        self,
        at_once: int = DEFAULT_AT_ONCE,
        waiting: int = DEFAULT_WAITING,
        patience_s: float = DEFAULT_PATIENCE_S,
    ) -> None:
        self._capacity = at_once + waiting
        self._patience_s = patience_s
        self._slots = threading.Semaphore(at_once)
        self._mutex = threading.Lock()
        self._inside = 0

    @contextmanager
    def admitted(self, *, queue: bool = True) -> Iterator[None]:
        """Hold a slot for the length of a `with` block.

        Args:
            queue: Whether the bound on waiting requests counts; background work waits its turn
                outside of that bound.

        Raises:
            BusyError: If too many requests wait already, or the turn does not come.
        """
        with self._mutex:
            if queue and self._inside >= self._capacity:
                raise BusyError(
                    f"{self._inside} inferences run or wait; the server takes {self._capacity}"
                )
            self._inside += queue
        try:
            if not self._slots.acquire(timeout=self._patience_s):
                raise BusyError(f"no free processor within {self._patience_s:.0f} s")
            try:
                yield
            finally:
                self._slots.release()
        finally:
            with self._mutex:
                self._inside -= queue


class ReadingGate:
    """Bounds how many uploads are unpacked and parsed at once; others wait for a while.

    Args:
        at_once: Uploads read at the same time.
        waiting: Uploads that may wait; further ones are refused.
        patience_s: Seconds that one waits.
    """

    def __init__(self, at_once: int = 3, waiting: int = 16, patience_s: float = 60.0) -> None:
        self._slots = threading.Semaphore(at_once)
        self._places = threading.Semaphore(at_once + waiting)
        self._patience_s = patience_s

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold a slot for the length of a `with` block.

        Raises:
            BusyError: If too many wait already, or the turn does not come.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError("the server reads as many uploads as it can at once")
        try:
            if not self._slots.acquire(timeout=self._patience_s):
                raise BusyError("the server reads as many uploads as it can at once")
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._places.release()
