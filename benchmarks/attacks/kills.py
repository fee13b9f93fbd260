"""Kill -9 at random moments of submit, train, promote and import, and the start after each.

    python -m benchmarks.attacks.kills [--kills 20] [submit promote import train]

Every part works in a process that acknowledges what is done; it is killed at a random moment, and
the next start of the server tidies up in another process. After each start: everything that was
acknowledged is there and whole, no temporary file is left, and no training process works that the
server does not know. Results go to benchmarks/results/kills.json, each part as it ends.

The processes are forks of this one, which has imported everything and started no thread.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from brain_tumor.cases.files.durable import TEMPORARY_PREFIX
from brain_tumor.cases.studies import import_cases, resolve_case
from brain_tumor.errors import BusyError, TumorLensError
from brain_tumor.learning.registry.registry import ModelRegistry
from brain_tumor.learning.retraining.job_folder import JobFolder, JobStatus
from brain_tumor.server.learning.jobs import TrainingJobs

from benchmarks.environment import RESULTS, environment, write_result
from tests.helpers.learning import write_bundle, write_job, write_models
from tests.helpers.server import SHAPE, ThresholdSegmenter, a_phantom, write_label, write_studies
from tests.helpers.volumes import write_nifti
from tests.server.conftest import InProcessApp, client_of

NAME = "kills"
FORK = multiprocessing.get_context("fork")
WRITERS = 4
LONGEST_S = 1.5
FIRST_WITHIN_S = 120.0
KILLS_A_JOB = 3
Work = Callable[[Connection], None]


def killed(work: Work, moments: random.Random, longest_s: float = LONGEST_S) -> list[Any]:
    """What a process acknowledged until it was killed."""
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_quietly, args=(work, theirs))
    process.start()
    theirs.close()
    acknowledged: list[Any] = []
    if not ours.poll(FIRST_WITHIN_S):
        raise RuntimeError("the process acknowledged nothing")
    end = time.monotonic() + moments.uniform(0.0, longest_s)
    while (left := end - time.monotonic()) > 0:
        if ours.poll(left):
            acknowledged.append(ours.recv())
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    try:
        while ours.poll():
            acknowledged.append(ours.recv())
    except EOFError:
        pass
    return acknowledged


def apart(work: Callable[[], Any]) -> Any:
    """What a process of its own finds out."""
    ours, theirs = FORK.Pipe(duplex=False)

    def tell(pipe: Connection) -> None:
        pipe.send(work())

    process = FORK.Process(target=_quietly, args=(tell, theirs))
    process.start()
    theirs.close()
    try:
        found = ours.recv()
    except EOFError as error:
        raise RuntimeError("the start after a kill failed") from error
    process.join()
    return found


def _quietly(work: Work, pipe: Connection) -> None:
    logging.disable(logging.CRITICAL)
    work(pipe)
    os._exit(0)


def leftovers(folder: Path) -> list[str]:
    """Files that were meant to live for a moment only."""
    found = [p for p in folder.rglob("*") if p.name.startswith((TEMPORARY_PREFIX, ".adding-"))]
    found += (folder / ".tumorlens").glob("staging/*")
    found += (folder / ".tumorlens").glob("tmp*")
    return [str(path.relative_to(folder)) for path in found]


def submit(folder: Path, kills: int, moments: random.Random) -> dict[str, Any]:
    """Labels, types, new cases and sessions over HTTP, by several threads."""
    studies = write_studies(folder / "studies")
    labels = []
    for n in range(50):
        values = np.zeros(SHAPE, np.uint8)
        values.ravel()[: n + 1] = 1 + n % 3
        labels.append(write_label(folder / "label.nii.gz", values).read_bytes())
    volume = (studies / "FULL.nii.gz").read_bytes()

    def serve(attempt: int) -> Work:
        def work(pipe: Connection) -> None:
            app = InProcessApp(studies, ThresholdSegmenter())
            app.tidy_up()
            client, mutex = client_of(app), threading.Lock()

            def write(number: int) -> None:
                for n in range(number, 10**6, WRITERS):
                    case, reason = ("FULL", "LONE", "SPARE")[n % 3], f"{attempt}-{n}"
                    sent = {"label": ("label.nii.gz", labels[n % len(labels)])}
                    label = client.put(f"/datastore/label?image={case}", files=sent)
                    kind = {"image": case, "type": "glioma", "reason": reason}
                    typed = client.post("/corrections/type", json=kind)
                    name = f"N{attempt}x{n}"
                    new = client.put(
                        f"/datastore/image?image={name}", files={"file": ("a.nii.gz", volume)}
                    )
                    session = client.put("/session/", files={"files": ("t1c.nii.gz", volume)})
                    replies = (label, typed, new, session)
                    if any(reply.status_code != 200 for reply in replies):
                        raise RuntimeError([reply.text for reply in replies])
                    version = (case, label.json()["version"], label.json()["sha256"])
                    with mutex:
                        pipe.send((version, (case, reason), name, session.json()["session_id"]))

            threads = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        return work

    def start() -> dict[str, Any]:
        app = InProcessApp(studies, ThresholdSegmenter())
        app.tidy_up()
        history = app.datastore().history
        cases = app.datastore().list_images()
        return {
            "versions": {
                (case, v.version, v.sha256)
                for case in cases
                for v in history.versions(case, "final")
            },
            "ledger": {
                (one.case_id, one.label_version or (one.payload or {}).get("reason"))
                for one in app.learning.ledger.submissions()
            },
            "cases": set(cases),
            "sessions": {path.name for path in app.sessions().folder.iterdir()},
        }

    told: list[Any] = []
    lost, left = [], []
    for attempt in range(kills):
        told += killed(serve(attempt), moments)
        found = apart(start)
        for version, typed, name, session in told:
            is_kept = version in found["versions"] and typed in found["ledger"]
            is_kept = is_kept and (version[0], version[1]) in found["ledger"]
            if not (is_kept and name in found["cases"] and session in found["sessions"]):
                lost.append((version, typed, name, session))
        left += leftovers(studies)
    return {"acknowledged": 4 * len(told), "lost": lost, "left_over": left}


def promote(folder: Path, kills: int, moments: random.Random) -> dict[str, Any]:
    """Versions that are added, judged, promoted and rolled back."""
    write_models(folder / "models")
    store = folder / "store"
    sources = [write_bundle(folder / f"v{n}", version=f"0.1.{n}", seed=n) for n in range(1, 6)]
    judged = {"promote": True, "reasons": ["better"], "checks": []}

    def work(pipe: Connection) -> None:
        registry = ModelRegistry(folder / "models", store)
        registry.recover()
        for source in sources * 10**4:
            version = f"0.1.{source.name[1:]}"
            registry.add(source, data={}, metrics={})
            registry.record_decision("segmentation", version, judged)
            registry.promote("segmentation", version, by="test", reason="better")
            pipe.send(("active", version))
            registry.rollback("segmentation", "0.1.0", by="test")
            pipe.send(("active", "0.1.0"))

    def start() -> tuple[str, set[str], list[str]]:
        registry = ModelRegistry(folder / "models", store)
        registry.recover()
        registry.verify_active()
        names = [record.version for record in registry.versions("segmentation")]
        broken = []
        for version in names:
            try:
                registry.verify("segmentation", version)
            except TumorLensError as error:
                broken.append(error.message)
        ever = {entry["to"] for entry in json.loads((store / "active.json").read_text())["log"]}
        return registry.active_record("segmentation").version, ever, broken

    count, lost, left = 0, [], []
    for _ in range(kills):
        told = killed(work, moments, 0.5)
        count += len(told)
        active, ever, broken = apart(start)
        lost += [*({version for _, version in told} - ever), *broken]
        # the newest acknowledged one is active, or the next that was not acknowledged any more
        if told and active not in (told[-1][1], "0.1.0") and told[-1][1] != "0.1.0":
            lost.append(f"{active} is active after {told[-1][1]}")
        left += leftovers(store)
    return {"acknowledged": count, "lost": lost, "left_over": left}


def imports(folder: Path, kills: int, moments: random.Random) -> dict[str, Any]:
    """Cases of two sequences that are imported from the command line's function."""
    source, studies = folder / "source", folder / "studies"
    for n in range(400):
        array = a_phantom() + n
        for sequence in ("t1c", "flair"):
            write_nifti(source / f"P{n}" / f"{sequence}.nii.gz", array, np.diag([-1, -1, 2, 1.0]))

    def work(pipe: Connection) -> None:
        import_cases(
            source,
            studies,
            on_report=lambda one: pipe.send((one.case_id, one.status.value, one.message)),
        )

    def start() -> list[str]:
        app = InProcessApp(studies, ThresholdSegmenter())
        app.tidy_up()
        whole = []
        for case in app.datastore().list_images():
            present = resolve_case(studies, case, registration=False).case.present
            whole += [case] if len(present) == 2 else []
        return whole

    told: dict[str, str] = {}
    lost, left = [], []
    for _ in range(kills):
        reports = killed(work, moments, 1.0)
        lost += [why for _, status, why in reports if status == "refused"]
        told |= {case: status for case, status, _ in reports}
        whole = set(apart(start))
        lost += sorted(set(told) - whole)
        left += leftovers(studies)
    return {"acknowledged": len(told), "lost": lost, "left_over": left}


def train(folder: Path, kills: int, moments: random.Random) -> dict[str, Any]:
    """Trainings in processes of their own, beside a server that watches them."""
    lost, left, orphans, done = [], [], [], 0
    for number in range(-(-kills // KILLS_A_JOB)):
        home = folder / str(number)
        request = replace(write_job(home, max_epochs=3).request(), promote=False)
        jobs_folder = home / "training"

        def start(pipe: Connection, folder: Path = jobs_folder, request: Any = request) -> None:
            jobs = TrainingJobs(folder)
            if not jobs.recover():
                with contextlib.suppress(BusyError):
                    jobs.start(request)
            pipe.send("started")
            jobs.wait(600.0)
            pipe.send("over")
            time.sleep(600.0)

        for turn in range(min(KILLS_A_JOB, kills - KILLS_A_JOB * number)):
            killed(start, moments, 6.0)
            workers = _workers(jobs_folder)
            if len(workers) > 1:
                orphans.append(f"{len(workers)} processes work on one training")
            if turn == 1:  # the worker dies with its server
                for worker in workers:
                    worker.kill()
                    worker.wait(30)
        jobs = TrainingJobs(jobs_folder)
        jobs.recover()
        jobs.wait(600.0)
        job = JobFolder(max(jobs_folder.iterdir()))
        status = job.progress().status
        done += status is JobStatus.DONE
        if status is not JobStatus.DONE:
            lost.append(f"training {number} ended as {status.value}: {job.progress().details}")
        registry = ModelRegistry(home / "models", home / "store")
        for record in registry.versions("segmentation"):
            registry.verify("segmentation", record.version)
        orphans += [str(worker.pid) for worker in _workers(jobs_folder)]
        TrainingJobs(jobs_folder).recover()
        registry.recover()
        left += leftovers(home)
    return {"acknowledged": done, "lost": lost, "left_over": left, "orphans": orphans}


def _workers(folder: Path) -> list[psutil.Process]:
    """Processes that work on a training below a folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and str(folder) in " ".join(line):
            found.append(process)
    return found


PARTS = {"submit": submit, "promote": promote, "import": imports, "train": train}


def main(argv: list[str] | None = None) -> int:
    """Run the parts; 1 if something was lost or left over."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all if none is named")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(argv)
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, write_through=True)
    path = RESULTS / f"{NAME}.json"
    found = json.loads(path.read_text(encoding="utf-8"))["parts"] if path.exists() else {}
    is_clean = True
    for part in chosen.parts or PARTS:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as name:
            report = PARTS[part](Path(name), chosen.kills, random.Random(chosen.seed))
        is_clean = is_clean and not any(v for k, v in report.items() if k != "acknowledged")
        found[part] = {
            "kills": chosen.kills,
            **report,
            "seconds": round(time.monotonic() - started, 1),
            "commit": environment()["commit"],
        }
        print(part, found[part], flush=True)
        write_result(NAME, {"parts": found})
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
