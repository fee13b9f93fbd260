"""How long a stranger waits for a first result.

    python -m benchmarks.first_minute

What `make run` does once .venv is there: a server on an empty folder that makes the sample studies
meanwhile. Told in seconds from its start: when it answers, when the first case is in the list, when
the analysis of that case (outline, type, heat, words) is there, and when all six cases are.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.environment import write_result
from benchmarks.serve import free_port, get

DEADLINE_S = 600.0
POLL_S = 0.2
SAMPLES = 6


def until(what: Callable[[], object], started: float, server: subprocess.Popen[bytes]) -> float:
    """Seconds from the start until something is true."""
    while True:
        try:
            if what():
                return time.perf_counter() - started
        except (urllib.error.URLError, ConnectionError):
            pass
        if time.perf_counter() - started > DEADLINE_S or server.poll() is not None:
            raise SystemExit("the server ended, or took longer than ten minutes")
        time.sleep(POLL_S)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="bench-first-minute-"))
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def cases() -> list[str]:
        return [row["id"] for row in json.loads(get(f"{url}/cases/overview"))]

    command = [sys.executable, "-m", "brain_tumor.cli", "serve", "--samples"]
    started = time.perf_counter()
    server = subprocess.Popen([*command, "--studies", str(folder), "--port", str(port)])
    try:
        answers = until(lambda: get(f"{url}/info/"), started, server)
        first = until(cases, started, server)
        case = cases()[0]
        request = urllib.request.Request(
            f"{url}/infer/analysis?image={case}&output=json", data=b"", method="POST"
        )
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
            reply.read()
        analysed = time.perf_counter() - started
        everything = until(lambda: len(cases()) == SAMPLES, started, server)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        shutil.rmtree(folder)
    result = {
        "first_case": case,
        "answers_s": answers,
        "first_case_listed_s": first,
        "first_result_s": analysed,
        "all_cases_listed_s": everything,
    }
    path = write_result("first_minute", result)
    print(json.dumps(result, indent=2))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
