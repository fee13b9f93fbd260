"""Sends damaged uploads and JSON to every parser of the server, and says what went wrong.

    python -m benchmarks.attacks.fuzz --count 10000 --seed 1 [--output benchmarks/results/fuzz.json]

The server runs in this process. Memory is told as what was held after each hundred requests, and
by which inputs the most was added for a moment. A request that takes longer than `HANG_S` ends the
run with the stack of every thread; a crash of a library ends it, too. What was sent last stands in
LAST.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import logging
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import psutil
from brain_tumor.server.tasks.base import return_free_memory

from tests.helpers.fuzzing import Sent, requests
from tests.helpers.server import ThresholdSegmenter, write_studies
from tests.server.conftest import InProcessApp, client_of

HANG_S = 60
SLOW_S = 2.0
LAST = Path(tempfile.gettempdir()) / "tumorlens-fuzz-last"


def main() -> int:
    """Run; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        outside = Path(name)
        studies = write_studies(outside / "inner" / "studies")
        report = run(studies, outside, given.seed, given.count)
    report |= {"seed": given.seed, "count": given.count}
    print(json.dumps(report, indent=1))
    if given.output:
        given.output.write_text(json.dumps(report, indent=1) + "\n")
    return bool(report["failures"] or report["files_outside"])


def run(studies: Path, outside: Path, seed: int, count: int) -> dict[str, object]:
    """Send the requests and count what came back."""
    client = client_of(InProcessApp(studies, ThresholdSegmenter()))
    known = _files_outside(studies, outside)
    statuses: Counter[int] = Counter()
    failures: list[str] = []
    slowest_s, began = 0.0, time.monotonic()
    process = psutil.Process()
    held_mb = [process.memory_info().rss // 2**20]
    added: list[tuple[int, str]] = []
    for number, sent in enumerate(requests(seed, count)):
        LAST.write_text(f"{seed} {number} {sent.what}")
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        started, before = time.process_time(), _peak_mb(reset=True)
        reply = client.request(sent.method, sent.path, **sent.options)
        if sent.path == "/session/" and reply.status_code == 200:
            _use(client, reply.json()["session_id"], statuses, failures, sent)
        seconds = time.process_time() - started
        added.append((_peak_mb() - before, f"{number} {sent.what}"))
        if number % 100 == 99:
            gc.collect()
            return_free_memory()
            held_mb.append(process.memory_info().rss // 2**20)
        slowest_s = max(slowest_s, seconds)
        statuses[reply.status_code] += 1
        if reply.status_code >= 500 and reply.status_code != 503:
            failures.append(f"{number} {sent.what}: {reply.status_code}")
        if seconds > SLOW_S:
            failures.append(f"{number} {sent.what}: {seconds:.1f} s")
    faulthandler.cancel_dump_traceback_later()
    return {
        "statuses": dict(sorted(statuses.items())),
        "failures": failures,
        "files_outside": sorted(_files_outside(studies, outside) - known),
        "slowest_s": round(slowest_s, 3),
        "held_mb": held_mb[:: max(1, len(held_mb) // 20)],
        "most_added_mb": sorted(added, reverse=True)[:5],
        "minutes": round((time.monotonic() - began) / 60, 1),
        "still_answers": client.get("/datastore/?output=all").status_code == 200,
    }


def _peak_mb(*, reset: bool = False) -> int:
    """Largest memory since the last reset, which makes it what is held now."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not on Linux, or not permitted
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def _use(client, session, statuses, failures, sent: Sent) -> None:
    """Read a session, which its upload did not do, and remove it."""
    reply = client.post(f"/infer/segmentation?output=json&session_id={session}")
    statuses[reply.status_code] += 1
    if reply.status_code >= 500 and reply.status_code != 503:
        failures.append(f"session of {sent.what}: {reply.status_code}")
    client.delete(f"/session/{session}")


def _files_outside(studies: Path, outside: Path) -> set[str]:
    """Files beside the studies folder."""
    return {str(p.relative_to(outside)) for p in outside.rglob("*") if studies not in p.parents}


if __name__ == "__main__":
    sys.exit(main())
