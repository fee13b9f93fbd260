"""The server ends when it is told to, whatever its threads are doing."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

GRACE_S = 30.0
FORCED_CODE = 143  # as a shell tells of SIGTERM


def end_in_time(
    before: Callable[[], object],
    grace_s: float = GRACE_S,
    leave: Callable[[int], object] = os._exit,
) -> None:
    """Let SIGTERM and SIGINT end this process within a grace, also if a thread never returns.

    What is stored is whole at every moment, so leaving at once loses nothing that was acknowledged.

    Args:
        before: Called with the first signal; interrupts what would live longer than the server.
        grace_s: Seconds from the signal.
        leave: Ends the process.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    begun = threading.Event()

    def insist() -> None:
        try:
            before()
        except Exception:
            logger.exception("interrupting the server's children failed")
        time.sleep(grace_s)
        logger.warning("the server did not end within %.0f s and is cut off", grace_s)
        logging.shutdown()
        leave(FORCED_CODE)

    def watched(previous: Any) -> Callable[[int, Any], None]:
        def handle(number: int, frame: Any) -> None:
            if not begun.is_set():
                begun.set()
                threading.Thread(target=insist, name="end-in-time", daemon=True).start()
            if callable(previous):
                previous(number, frame)
            elif previous == signal.SIG_DFL:
                raise KeyboardInterrupt

        return handle

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, watched(signal.getsignal(number)))
