"""The heavy inputs, one after the other, on a running server: status, seconds, memory, `/info/`.

python -m benchmarks.attacks.heavy --url http://127.0.0.1:8000 --pid PID [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.helpers.attack_archives import archives_that_fill, archives_with_bad_names
from tests.helpers.attacks import (
    dicom_files,
    meta_images_that_name_a_file,
    nrrds_that_name_a_file,
    nrrds_that_skip,
    volume_bombs,
)

PAUSE_S = 0.05


def attacks() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Name, method, path and options of every attack."""
    infer = "/infer/segmentation?output=json"
    with tempfile.TemporaryDirectory() as name:
        secret = Path(name) / "secret"
        secret.write_bytes(b"T" * 32)
        volumes = {
            **{
                f"mha {k}": ("a_t1c.mha", v)
                for k, v in meta_images_that_name_a_file(secret).items()
            },
            **{f"nrrd {k}": ("a_t1c.nrrd", v) for k, v in nrrds_that_name_a_file(secret).items()},
            **{f"nrrd {k}": ("a_t1c.nrrd", v) for k, v in nrrds_that_skip().items()},
            **{f"bomb {k}": v for k, v in volume_bombs().items()},
            **{f"dicom {k}": ("a_t1c.dcm", v) for k, v in dicom_files(Path(name)).items()},
        }
        for what, sent in volumes.items():
            yield what, "POST", infer, {"files": {"file": sent}}
    for what, sent in {**archives_that_fill(), **archives_with_bad_names()}.items():
        yield f"archive {what}", "PUT", "/session/?uncompress=true", {"files": {"files": sent}}
    big = b'{"image":"FULL","type":"glioma","x":[' + b"1," * 18_000_000 + b"1]}"
    for kind in ("Application/JSON", "application/x+json", "application/json"):
        options = {"data": big, "headers": {"content-type": kind}}
        yield f"36 MB of {kind}", "POST", "/corrections/type", options
    for what, text in {"surrogate": r'"\ud800"', "deep": "[" * 900 + "]" * 900}.items():
        told = {"data": {"info": f'{{"note": {text}}}'}}
        yield f"info {what}", "PUT", "/datastore/image/info?image=FULL", told


def main() -> int:
    """Run; 1 if an attack was not refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    process, asked_s, over = psutil.Process(given.pid), [], threading.Event()

    def ask() -> None:
        while not over.is_set():
            started = time.perf_counter()
            requests.get(f"{given.url}/info/", timeout=120)
            asked_s.append(time.perf_counter() - started)
            time.sleep(PAUSE_S)

    alone_s = []
    for _ in range(20):
        started = time.perf_counter()
        requests.get(f"{given.url}/info/", timeout=120)
        alone_s.append(time.perf_counter() - started)
    thread = threading.Thread(target=ask)
    thread.start()
    rows, before = [], process.memory_info().rss
    for what, method, path, options in attacks():
        started = time.perf_counter()
        try:
            status = requests.request(
                method, f"{given.url}{path}", timeout=120, **options
            ).status_code
        except requests.ConnectionError:
            status = 0  # ended early: the body was too large to be read
        seconds = time.perf_counter() - started
        grown_mb = round((process.memory_info().rss - before) / 2**20)
        rows.append({"what": what, "status": status, "s": round(seconds, 2), "grown_mb": grown_mb})
    over.set()
    thread.join()
    report = {
        "attacks": len(rows),
        "refused": sum(400 <= row["status"] < 500 or row["status"] == 0 for row in rows),
        "slowest": max(rows, key=lambda row: row["s"]),
        "most_memory": max(rows, key=lambda row: row["grown_mb"]),
        "info_p95_ms": round(1000 * sorted(asked_s)[int(0.95 * len(asked_s))]),
        "info_p95_ms_alone": round(1000 * sorted(alone_s)[18]),
        "rows": rows,
    }
    print(json.dumps({key: value for key, value in report.items() if key != "rows"}, indent=1))
    if given.output:
        given.output.write_text(json.dumps(report, indent=1) + "\n")
    return int(report["refused"] < report["attacks"])


if __name__ == "__main__":
    sys.exit(main())
