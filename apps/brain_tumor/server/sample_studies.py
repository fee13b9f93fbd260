"""Sample studies that are made beside a server which already answers."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

NICENESS = 10
LAST_LINES = 3


@contextmanager
def samples_beside(studies: Path, command: Sequence[str] | None = None) -> Iterator[None]:
    """Make the sample studies in a process of its own for as long as the block lasts.

    Each study is whole when it appears, and one that is complete is left alone; so a process that
    is cut off, here or by a crash, goes on at the next start. What it says goes into the log.

    Args:
        studies: Studies folder.
        command: What makes them; by default `tumorlens sample-data`.
    """
    arguments = list(command or (sys.executable, "-P", "-m", "brain_tumor.cli", "sample-data"))
    process = subprocess.Popen(
        [*arguments, str(studies)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        start_new_session=True,  # Ctrl+C is the server's; it ends this process itself
    )
    _behind_the_server(process)
    ended = threading.Event()
    follower = threading.Thread(target=_follow, args=(process, ended), name="samples", daemon=True)
    follower.start()
    try:
        yield
    finally:
        ended.set()
        process.terminate()
        follower.join()


def _behind_the_server(process: subprocess.Popen[str]) -> None:
    """Let requests go first, where the system can tell processes apart."""
    try:
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    except OSError:
        logger.debug("the priority of the sample studies stays as it is")


def _follow(process: subprocess.Popen[str], ended: threading.Event) -> None:
    """Log every line, and what to do if not all were made."""
    lines: list[str] = []
    if process.stdout is not None:
        with process.stdout as said:
            for line in said:
                lines = [*lines, line.strip()][-LAST_LINES:]
                logger.info("%s", line.strip())
    code = process.wait()
    if code and not ended.is_set():
        logger.warning(
            "not every sample study was made (%s); the others are served, and "
            "'tumorlens sample-data' on the same folder tries again",
            " ".join(lines) or f"exit code {code}",
        )
