"""Many cases, and many inferences at once: what the server does with more than it is meant for.

    python -m benchmarks.attacks.load [--sizes 500 1000 2000 5000 10000] [cases queue]

`cases`: a folder of so many volumes, every second one with a label that another program put there.
Times of the first start (which takes all labels into history and ledger), of the next start, and of
listing, next case, table of cases and saving; `growth` is the exponent of time over number between
the smallest and the largest folder, 1 for linear. Imports are not counted.

`queue`: 50 inferences of a second each at once, each tried again after what Retry-After says, with
and without background work that runs through networks all the time.

Results go to benchmarks/results/load.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.environment import RESULTS, spread, write_result
from tests.helpers.server import (
    AFFINE,
    ThresholdSegmenter,
    a_phantom,
    write_label,
    write_studies,
)
from tests.helpers.volumes import write_nifti
from tests.server.conftest import InProcessApp, client_of

NAME = "load"
SIZES = (500, 1000, 2000, 5000, 10_000)
AT_ONCE = 50
WORK_S = 1.0
REPEATS = 3


def cases(sizes: list[int]) -> dict[str, Any]:
    """Times by number of cases, s."""
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            rows.append({"cases": size, **_measured(Path(name), size)})
            print(rows[-1], flush=True)
    first, last = rows[0], rows[-1]
    growth = {
        key: round(math.log(last[key] / first[key]) / math.log(last["cases"] / first["cases"]), 2)
        for key in first
        if key != "cases" and len(rows) > 1
    }
    return {"rows": rows, "growth": growth}


def _measured(folder: Path, size: int) -> dict[str, float]:
    studies = folder / "studies"
    labels = studies / "labels" / "final"
    labels.mkdir(parents=True)
    volume = write_nifti(folder / "volume.nii.gz", a_phantom(), AFFINE)
    label = write_label(folder / "label.nii.gz")
    for n in range(size):
        shutil.copyfile(volume, studies / f"case{n:05d}.nii.gz")
        if n % 2 == 0:
            shutil.copyfile(label, labels / f"case{n:05d}.nii.gz")

    def start() -> InProcessApp:
        app = InProcessApp(studies, ThresholdSegmenter())
        app.tidy_up()
        return app

    found: dict[str, float] = {}

    def timed(key: str, work: Callable[[], Any], repeats: int = 1) -> Any:
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            result = work()
            seconds.append(time.perf_counter() - began)
        found[f"{key}_s"] = round(min(seconds), 3)
        return result

    timed("first_start", start)
    app = timed("next_start", start)
    client = client_of(app)
    sent = {"label": ("label.nii.gz", label.read_bytes())}
    requests: dict[str, Callable[[], Any]] = {
        "list": lambda: client.get("/datastore/?output=all"),
        "info": lambda: client.get("/info/"),
        "table": lambda: client.get("/cases/status"),
        "next_case": lambda: client.post("/activelearning/combined", json={"client_id": "a"}),
        "save": lambda: client.put("/datastore/label?image=case00001", files=sent),
    }
    for key, request in requests.items():
        reply = timed(key, request, REPEATS)
        if reply.status_code != 200:
            raise RuntimeError(reply.text)
    return found


def queue() -> dict[str, Any]:
    """What becomes of many inferences at once."""
    with tempfile.TemporaryDirectory() as name:
        studies = write_studies(Path(name) / "studies")
        app = InProcessApp(studies, ThresholdSegmenter(lambda: time.sleep(WORK_S)))
        content = (studies / "LONE.nii.gz").read_bytes()
        client = client_of(app)

        def burst() -> dict[str, Any]:
            statuses: Counter[int] = Counter()
            waits_s, promises_s, mutex = [], [], threading.Lock()

            def ask() -> None:
                while True:
                    began = time.monotonic()
                    sent = {"file": ("a_t1c.nii.gz", content)}
                    reply = client.post("/infer/segmentation?output=json", files=sent)
                    with mutex:
                        statuses[reply.status_code] += 1
                        waits_s.append(time.monotonic() - began)
                    if reply.status_code != 503:
                        return
                    with mutex:
                        promises_s.append(int(reply.headers["Retry-After"]))
                    time.sleep(promises_s[-1])

            began = time.monotonic()
            threads = [threading.Thread(target=ask) for _ in range(AT_ONCE)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return {
                "statuses": dict(statuses),
                "wait_s": spread(waits_s),
                "retry_after_s": dict(Counter(promises_s)),
                "all_served_s": round(time.monotonic() - began, 1),
            }

        alone, over = burst(), threading.Event()
        network = torch.nn.Sequential(*(torch.nn.Conv2d(8, 8, 3, padding=1) for _ in range(20)))
        passes = [0]

        def background() -> None:
            with torch.inference_mode():
                while not over.is_set():
                    with app.services.gate.admitted(queue=False):
                        network(torch.zeros(1, 8, 256, 256))
                        passes[0] += 1

        thread = threading.Thread(target=background)
        thread.start()
        beside = burst()
        during = passes[0]
        time.sleep(1.0)
        over.set()
        thread.join()
        return {
            "alone": alone,
            "beside_background_work": beside,
            "background_passes": {"during": during, "in_the_second_after": passes[0] - during},
        }


def main(argv: list[str] | None = None) -> int:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("parts", nargs="*", choices=["cases", "queue", []])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    chosen = parser.parse_args(argv)
    logging.disable(logging.CRITICAL)
    path = RESULTS / f"{NAME}.json"
    held = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    found = {key: held[key] for key in ("cases", "queue") if key in held}
    for part in chosen.parts or ("queue", "cases"):
        found[part] = queue() if part == "queue" else cases(chosen.sizes)
        print(json.dumps(found[part], indent=1), flush=True)
        write_result(NAME, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
