"""How many heavy inferences run at once, and how many may wait."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from torch.nn.modules.module import register_module_forward_pre_hook

from brain_tumor.errors import BusyError

DEFAULT_AT_ONCE = 1  # a second one on two cores slows both down five-fold
DEFAULT_WAITING = 8
DEFAULT_PATIENCE_S = 600.0
UNKNOWN_S = 5.0
"""What an inference is thought to take before the first one has ended."""


class InferenceGate:
    """Bounded admission to the processor; safe to share between threads.

    People go first. Background work (warm-up, batches, scores) has a place of its own, runs only
    while nobody is inside, and where somebody comes it rests at its next step through a network
    (see `let_people_pass`) until they are gone; what it computes between networks goes on at low
    priority. So nobody waits for it.

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
        self._at_once = at_once
        self._patience_s = patience_s
        self._slots = threading.Semaphore(at_once)
        self._background = threading.Lock()
        self._change = threading.Condition()
        self._inside = 0
        self._usual_s = 0.0
        _watch_networks()

    @contextmanager
    def admitted(self, *, queue: bool = True) -> Iterator[None]:
        """Hold a slot for the length of a `with` block.

        Args:
            queue: Whether a person waits for it; background work waits as long as need be.

        Raises:
            BusyError: If too many requests wait already, or the turn does not come.
        """
        with self._in_background() if not queue else self._in_turn():
            yield

    def rest(self) -> None:
        """Wait until no person is inside; for background work, between two steps."""
        with self._change:
            while self._inside:
                self._change.wait()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        with self._change:
            if self._inside >= self._capacity:
                raise BusyError(
                    f"{self._inside} inferences run or wait; the server takes {self._capacity}",
                    retry_after_s=self._until_a_place_s(),
                )
            self._inside += 1
        try:
            if not self._slots.acquire(timeout=self._patience_s):
                raise BusyError(
                    f"no free processor within {self._patience_s:.0f} s",
                    retry_after_s=self._until_a_place_s(),
                )
            started = time.monotonic()
            try:
                yield
            finally:
                self._slots.release()
                took_s = time.monotonic() - started
                self._usual_s = (self._usual_s + took_s) / 2 if self._usual_s else took_s
        finally:
            with self._change:
                self._inside -= 1
                self._change.notify_all()

    @contextmanager
    def _in_background(self) -> Iterator[None]:
        outer = getattr(_BACKGROUND, "gate", None)
        if outer is self:  # inside already
            yield
            return
        with self._background, _low_priority():
            self.rest()
            _BACKGROUND.gate = self
            try:
                yield
            finally:
                _BACKGROUND.gate = outer

    def _until_a_place_s(self) -> int:
        """Seconds until one of those inside will be done, as it usually takes; 1 to 60."""
        usual_s = self._usual_s or UNKNOWN_S
        return max(1, min(60, math.ceil(usual_s / self._at_once)))


_BACKGROUND = threading.local()
"""`gate`: the gate at which this thread is admitted as background work."""


def let_people_pass(*_: object) -> None:
    """Rest, if this thread does background work and somebody waits."""
    gate = getattr(_BACKGROUND, "gate", None)
    if gate is not None:
        gate.rest()


@cache
def _watch_networks() -> None:
    """Let background work rest before every module of a network."""
    register_module_forward_pre_hook(let_people_pass)


@contextmanager
def _low_priority() -> Iterator[None]:
    """Run this thread, and those that it starts, after all others, where the system can."""
    if not sys.platform.startswith("linux"):
        yield
        return
    thread = threading.get_native_id()
    before = os.getpriority(os.PRIO_PROCESS, thread)
    os.setpriority(os.PRIO_PROCESS, thread, 19)
    try:
        yield
    finally:
        with suppress(OSError):  # only the superuser may raise it again
            os.setpriority(os.PRIO_PROCESS, thread, before)


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
