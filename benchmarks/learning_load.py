"""Does a retraining slow the server down? /info/ and infers beside a training, over HTTP.

    python -m benchmarks.learning_load [--rounds 3] [--quick]

One server process, warm. Five phantoms with their true masks are what `segmentation` learns from;
a four-sequence phantom of 240 x 240 x 155 voxels is what is inferred, read anew each time. A round
measures the idle server, starts a training, waits for its first optimiser steps, measures again,
and stops it; so both states share whatever else the machine does, and the load before each round
is written down. Reach: /info/ p95 under 100 ms and infers under twice their idle time.
Writes benchmarks/results/learning_load.json.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
from brain_tumor.cases.files.writers import write_volume
from brain_tumor.cases.studies import import_cases
from brain_tumor.phantoms.phantom import PhantomSpec, make_phantom

from benchmarks.environment import spread, write_result
from benchmarks.learning_server import CLIENT, LearningServer, served
from benchmarks.serve import CASE, SHAPE, get, infer, params_of, write_case

PATIENTS = 5
PHANTOM_MM = 3.0
INFO_EVERY_S = 0.05
WARM_UP_S = 10.0
TRAIN_STARTS_WITHIN_S = 300.0
REACH = {"info_p95_s": 0.1, "infer_ratio": 2.0}


def write_studies(folder: Path) -> dict[str, bytes]:
    """The case to infer, and small ones with their true masks; the masks by case."""
    sources = folder.parent / "sources"
    write_case(sources / CASE)
    import_cases(sources / CASE, folder)
    masks = {}
    for n in range(PATIENTS):
        spacing_mm = (PHANTOM_MM,) * 3
        spec = PhantomSpec(seed=100 + n, spacing_mm=spacing_mm, render_step_mm=PHANTOM_MM)
        phantom = make_phantom(spec, case_id=f"P{n}")
        source = sources / f"P{n}"
        source.mkdir()
        for sequence, volume in phantom.case.volumes.items():
            write_volume(source / f"P{n}_{sequence.value}.nii.gz", volume)
        import_cases(source, folder)
        path = folder.parent / f"P{n}.nii.gz"
        nib.save(nib.Nifti1Image(phantom.labelmap, phantom.case.affine), path)
        masks[f"P{n}"] = path.read_bytes()
    return masks


def measure(server: LearningServer, studies: Path, infers: int) -> dict[str, Any]:
    """Seconds of /info/ alone, of infers, and of /info/ beside infers."""
    alone: list[float] = []
    with _polled(server.url, alone):
        time.sleep(infers)
    seconds, beside = [], []
    with _polled(server.url, beside):
        for _ in range(infers):
            for path in studies.rglob(f"{CASE}*"):
                for file in (path, *path.glob("*")):
                    os.utime(file)
            begun = time.perf_counter()
            reply = infer(server.url)
            seconds.append(time.perf_counter() - begun)
            assert not params_of(*reply)["cached"]
    return {"info": alone, "infer": seconds, "info_beside_infers": beside}


@contextmanager
def _polled(url: str, seconds: list[float]) -> Iterator[None]:
    """Ask for /info/ at fixed times as long as the block lasts, whatever the replies take."""
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            begun = time.perf_counter()
            get(f"{url}/info/")
            seconds.append(time.perf_counter() - begun)
            stop.wait(max(0.0, INFO_EVERY_S - seconds[-1]))

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def training(server: LearningServer) -> Iterator[None]:
    """A training takes optimiser steps as long as the block lasts."""
    options = {"max_epochs": 1000, "promote": False, "client_id": CLIENT}
    server.ask("POST", "/train/segmentation", json=options)
    deadline = time.monotonic() + TRAIN_STARTS_WITHIN_S
    while True:
        state = server.ask("GET", "/train/")
        if state["stage"] == "train" and state["step"] > 0:
            break
        if state["status"] != "RUNNING" and state["status"] != "SUBMITTED":
            raise RuntimeError(f"the training ended as {state['status']}: {state['details']}")
        if time.monotonic() > deadline:
            raise RuntimeError("the training took no step")
        time.sleep(0.2)
    first = state["step"]
    try:
        yield
        state = server.ask("GET", "/train/")
        if state["status"] != "RUNNING" or state["step"] <= first:
            raise RuntimeError("the training did not run all the time")
    finally:
        server.ask("DELETE", "/train/")
        while server.ask("GET", "/train/")["status"] not in ("STOPPED", "DONE", "ERROR"):
            time.sleep(0.2)


def summarise(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Quantiles of both states, and what the reach is about."""
    found: dict[str, Any] = {}
    for state in ("idle", "training"):
        found[state] = {
            kind: spread([s for one in rounds for s in one[state][kind]])
            for kind in ("info", "infer", "info_beside_infers")
        }
    idle, busy = found["idle"], found["training"]
    found["infer_ratio_of_medians"] = busy["infer"]["median"] / idle["infer"]["median"]
    found["infer_ratio_by_round"] = [
        spread(one["training"]["infer"])["median"] / spread(one["idle"]["infer"])["median"]
        for one in rounds
    ]
    found["info_p95_s"] = busy["info"]["p95"]
    found["info_p95_beside_infers_s"] = busy["info_beside_infers"]["p95"]
    found["reached"] = {
        "info": found["info_p95_s"] < REACH["info_p95_s"],
        "infer": found["infer_ratio_of_medians"] < REACH["infer_ratio"],
    }
    return found


def main(argv: list[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--infers", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="a look; nothing is written")
    chosen = parser.parse_args(argv)
    count, infers = (1, 2) if chosen.quick else (chosen.rounds, chosen.infers)
    started = time.monotonic()
    rounds, loads = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        studies = folder / "studies"
        masks = write_studies(studies)
        environment = {"TUMORLENS_SCORING_BUDGET": "0"}
        with served(studies, folder / "server.log", environment) as server:
            time.sleep(WARM_UP_S)
            infer(server.url)
            for case, mask in masks.items():
                server.correct(case, mask)
            for _ in range(count):
                loads.append(round(os.getloadavg()[0], 2))
                idle = measure(server, studies, infers)
                with training(server):
                    rounds.append({"idle": idle, "training": measure(server, studies, infers)})
                print(f"round {len(rounds)} of {count}", flush=True)
    result = {
        "what": f"a {'x'.join(map(str, SHAPE))} case over HTTP; training of segmentation beside it",
        "reach": REACH,
        "load_before_each_round": loads,
        "cores": os.cpu_count(),
        **summarise(rounds),
        "minutes": round((time.monotonic() - started) / 60, 1),
    }
    print(result if chosen.quick else write_result("learning_load", result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
