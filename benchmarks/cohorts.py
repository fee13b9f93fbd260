"""Cohorts measured: throughput, kills, memory of the client; phantoms, the shipped models.

    python -m benchmarks.cohorts throughput --cases 12
    python -m benchmarks.cohorts kills --cases 8 --kills 4
    python -m benchmarks.cohorts simulated --cases 10000

`throughput` reads the same cases in one process, with workers, and with one command a case.
`kills` ends a worker, the scheduler or the client at random with SIGKILL until the cohort is done,
and compares every result with a serial run bit by bit. `simulated` reads cases that cost nothing:
what is left is the engine. Each writes its part of benchmarks/results/cohorts.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from brain_tumor.cases.files.writers import write_volume
from brain_tumor.cases.loading import LoadedCase
from brain_tumor.cohorts.cases import Cohort
from brain_tumor.cohorts.cluster import Cluster
from brain_tumor.cohorts.run import CohortProgress, cohort_settings, run_cohort
from brain_tumor.cohorts.worker import CohortSettings, available_cores
from brain_tumor.labels import TumorType
from brain_tumor.phantoms.phantom import PhantomSpec, make_phantom

from benchmarks.environment import environment

RESULTS = Path(__file__).parent / "results" / "cohorts.json"
SAME = ("labelmap.nii.gz", "heatmap.nii.gz", "uncertainty.nii.gz")
COMMAND = [sys.executable, "-m", "brain_tumor.cli"]
SEED = 25


def write_phantoms(folder: Path, count: int, spacing_mm: float) -> Path:
    """Case folders of four sequences; types, skull and health alternate."""
    kinds: list[TumorType | None] = [*TumorType, None]
    for number, kind in enumerate(islice(cycle(kinds), count)):
        spec = PhantomSpec(
            seed=SEED + number,
            tumor=kind,
            skull_stripped=number % 2 == 0,
            spacing_mm=(spacing_mm,) * 3,
            render_step_mm=spacing_mm,
        )
        for sequence, volume in make_phantom(spec).case.volumes.items():
            path = folder / f"P{number:03d}" / f"{sequence.value}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_volume(path, volume)
    return folder


def command(cases: Path, output: Path, *more: str) -> list[str]:
    return [*COMMAND, "cohort", str(cases), "--output", str(output), "--json", *more]


def timed(arguments: list[str]) -> tuple[float, dict[str, Any]]:
    """Seconds of a command, and what it printed as JSON."""
    started = time.perf_counter()
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return time.perf_counter() - started, json.loads(done.stdout)


def throughput(count: int, singles: int, spacing_mm: float) -> dict[str, Any]:
    """Seconds a case, each way in the same run."""
    cores = available_cores()
    with tempfile.TemporaryDirectory(prefix="cohorts-") as scratch:
        folder = Path(scratch)
        cases = write_phantoms(folder / "cases", count, spacing_mm)
        serial, told = timed(command(cases, folder / "serial"))
        workers, _ = timed(command(cases, folder / "workers", "--workers", str(cores)))
        one, _ = timed(command(cases, folder / "one", "--workers", "1"))
        again, repeated = timed(command(cases, folder / "workers", "--workers", str(cores)))
        started = time.perf_counter()
        for number in range(singles):
            output = folder / "single" / str(number)
            analyse = [*COMMAND, "analyse", str(cases / f"P{number:03d}"), "--output", str(output)]
            subprocess.run([*analyse, "--quiet"], check=True, capture_output=True)
        single = (time.perf_counter() - started) / singles
        records = folder.glob("workers/cases/*/record.json")
        rows = [json.loads(path.read_text())["row"] for path in records]
        read = [path.stat().st_size for path in cases.rglob("*.nii.gz")]
        written = [path.stat().st_size for path in (folder / "workers/cases").glob("*/*")]
    inside = told["seconds"] / count
    return {
        "cases": count,
        "spacing_mm": spacing_mm,
        "cores": cores,
        "seconds_a_case": {
            "one process": serial / count,
            "one worker": one / count,
            f"{cores} workers": workers / count,
            "one command a case": single,
        },
        "throughput_against_one_process": serial / workers,
        "throughput_against_one_command_a_case": single / (workers / count),
        "seconds_inside_a_case_one_process": inside,
        "start_and_engine_s_one_process": serial - told["seconds"],
        "start_and_engine_s_one_worker": one - told["seconds"],
        "resumed_when_all_is_done_s": again,
        "resumed_done_earlier": repeated["done_earlier"],
        "seconds_of_cases_of_workers": [row["seconds"] for row in rows],
        "bytes_read_a_case": sum(read) / count,
        "bytes_written_a_case": sum(written) / count,
        "files_written_a_case": len(written) / count,
        "peak_memory_mb_a_worker": max(row["peak_memory_mb"] for row in rows),
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Processes:
    """Scheduler, workers and client, each started again when it was killed."""

    def __init__(self, client: list[str], folder: Path) -> None:
        port = free_port()
        self._address = f"tcp://127.0.0.1:{port}"
        dask = [sys.executable, "-m", "dask"]
        worker = [*dask, "worker", self._address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port)]
        self.commands = {
            "scheduler": [*scheduler, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
            "worker 1": [*worker, "--local-directory", str(folder / "w1")],
            "worker 2": [*worker, "--local-directory", str(folder / "w2")],
            "client": [*client, "--scheduler", self._address],
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.starts = dict.fromkeys(self.commands, 0)

    def keep_up(self) -> bool:
        """Start what does not run; true once the client ended well."""
        for name, arguments in self.commands.items():
            process = self.running.get(name)
            if process is not None and process.poll() is None:
                continue
            if name == "client" and process is not None and process.returncode == 0:
                return True
            self.running[name] = subprocess.Popen(
                arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            self.starts[name] += 1
        return False

    def kill(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGKILL)
        self.running[name].wait()

    def close(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


def kills(count: int, most: int, spacing_mm: float) -> dict[str, Any]:
    """SIGKILL at random until the cohort is done; then compare with a serial run."""
    chance = random.Random(SEED)
    killed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="cohorts-") as scratch:
        folder = Path(scratch)
        cases = write_phantoms(folder / "cases", count, spacing_mm)
        _, serial = timed(command(cases, folder / "serial", "--threads", "1"))
        arguments = command(cases, folder / "many", "--threads", "1")
        processes = Processes(arguments, folder)
        started = time.perf_counter()
        finished = 0
        order = chance.sample(sorted(processes.commands), k=len(processes.commands))
        try:
            while not processes.keep_up():
                time.sleep(0.5)
                done = len(list(folder.glob("many/cases/*/record.json")))
                if done > finished and len(killed) < most:  # not before it got somewhere
                    finished = done
                    victim = order[len(killed) % len(order)]
                    processes.kill(victim)
                    killed.append(victim)
        finally:
            processes.close()
        seconds = time.perf_counter() - started
        differing = compare(folder / "serial", folder / "many")
        present = sorted(p.name for p in (folder / "many" / "cases").iterdir())
    return {
        "cases": count,
        "spacing_mm": spacing_mm,
        "killed": killed,
        "starts": processes.starts,
        "seconds": seconds,
        "seconds_inside_cases_serial": serial["seconds"],
        "cases_present": len(present),
        "lost": count - len(present),
        "double": len(present) - len(set(present)),
        "files_that_differ": differing,
    }


def compare(one: Path, other: Path) -> list[str]:
    """Results of two runs that are not bit-equal; seconds and memory do not count."""
    differing = []
    for folder in sorted((one / "cases").iterdir()):
        beside = other / "cases" / folder.name
        for name in SAME:
            a, b = folder / name, beside / name
            if a.exists() != b.exists() or (a.exists() and a.read_bytes() != b.read_bytes()):
                differing.append(f"{folder.name}/{name}")
        reports = [json.loads((place / "report.json").read_text()) for place in (folder, beside)]
        for report in reports:
            del report["timings_s"]
        if reports[0] != reports[1]:
            differing.append(f"{folder.name}/report.json")
    return differing


class NothingReader:
    """Reads nothing: what is left is the engine."""

    def read(self, loaded: LoadedCase, folder: Path, loading_s: float) -> Mapping[str, Any]:
        return {
            "case": loaded.case.case_id,
            "segmentation": {"volumes_ml": {"WT": len(loaded.case.case_id) / 7}},
            "sequences": {"used": ["t1c"], "missing": [], "reference": "t1c"},
            "models": [{"name": "nothing", "version": "1.0.0"}],
            "warnings": [],
        }


def load_nothing(settings: CohortSettings) -> NothingReader:
    return NothingReader()


def simulated(counts: list[int], workers: int) -> dict[str, Any]:
    """Memory of the client and seconds a case of the engine, by number of cases."""
    from benchmarks.cohorts import load_nothing as load  # not of __main__: workers import it

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="cohorts-") as scratch:
        folder = Path(scratch)
        (folder / "models/nothing/configs").mkdir(parents=True)
        (folder / "models/nothing/configs/metadata.json").write_text("{}")
        tiny = make_phantom(PhantomSpec(spacing_mm=(12.0,) * 3, render_step_mm=12.0)).case
        write_volume(folder / "t1c.nii.gz", tiny.volumes[tiny.reference])
        for count in counts:
            rows = [f"P{number:06d},t1c.nii.gz" for number in range(count)]
            (folder / "list.csv").write_text("\n".join(["case,path", *rows]) + "\n")
            settings = cohort_settings(folder / str(count), folder / "models", load)
            started = time.perf_counter()
            told = simulate(folder / "list.csv", settings, workers)
            seconds = time.perf_counter() - started
            found[str(count)] = {
                "done": told.done,
                "seconds_a_case": seconds / count,
                "peak_memory_mb_client": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
                "bytes_of_the_overview": sum(
                    (folder / str(count) / name).stat().st_size
                    for name in ("cohort.csv", "cohort.parquet", "index.html")
                ),
            }
            shutil.rmtree(folder / str(count))
    return {"workers": workers, "by_number_of_cases": found}


def simulate(source: Path, settings: CohortSettings, workers: int) -> CohortProgress:
    cluster = Cluster(workers=workers) if workers else None
    return run_cohort(Cohort(source), settings, cluster=cluster)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("throughput", "kills", "simulated"))
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--singles", type=int, default=2, help="commands of one case each")
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1, help="simulated: 0 is no engine")
    parser.add_argument("--spacing-mm", type=float, default=2.0)
    arguments = parser.parse_args()
    if arguments.part == "throughput":
        result = throughput(arguments.cases, arguments.singles, arguments.spacing_mm)
    elif arguments.part == "kills":
        result = kills(arguments.cases, arguments.kills, arguments.spacing_mm)
    else:
        counts = [count for count in (100, 1000, 10_000) if count < arguments.cases]
        result = simulated([*counts, arguments.cases], arguments.workers)
    load = os.getloadavg()[0]
    held = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    held[arguments.part] = {**result, "load_of_the_machine": load, "environment": environment()}
    RESULTS.write_text(json.dumps(held, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
