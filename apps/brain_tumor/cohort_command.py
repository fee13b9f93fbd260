"""`tumorlens cohort`: many cases, on this machine or on a cluster."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brain_tumor.case_commands import Progress, as_json
from brain_tumor.errors import InputError

if TYPE_CHECKING:
    from brain_tumor.cohorts.cases import CohortCase
    from brain_tumor.cohorts.cluster import Cluster
    from brain_tumor.cohorts.engine import Failure
    from brain_tumor.cohorts.run import CohortProgress

DEPTHS = ("segment", "classify", "analyse")


def add_cohort_command(commands: Any) -> None:
    """Add the command to those of the parser."""
    cohort = commands.add_parser(
        "cohort", help="read many cases; goes on where it was cut off, one table and page"
    )
    cohort.add_argument(
        "source",
        type=Path,
        metavar="FOLDER|LIST.csv",
        help="a folder of cases, a studies folder, or a table with the columns case, path or "
        "t1, t1c, t2, flair",
    )
    cohort.add_argument("--output", type=Path, required=True, metavar="DIR")
    where = cohort.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=int, metavar="N", help="processes on this machine (extra 'cluster')"
    )
    where.add_argument(
        "--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers do it, tcp://HOST:PORT"
    )
    cohort.add_argument(
        "--threads", type=int, metavar="N", help="threads a case; default: cores shared by workers"
    )
    cohort.add_argument("--depth", choices=DEPTHS, default="analyse", help="default: analyse")
    cohort.add_argument("--language", default="en", choices=("en", "ko"))
    cohort.add_argument("--models", type=Path, metavar="DIR")
    cohort.add_argument(
        "--registration",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether sequences that lie off the reference are registered to it",
    )
    cohort.add_argument("--json", action="store_true", help="print the end as JSON")
    cohort.add_argument("--quiet", action="store_true", help="print nothing but errors")
    cohort.set_defaults(run=_cohort)


def _cohort(arguments: argparse.Namespace) -> None:
    from brain_tumor.bundles import models_folder
    from brain_tumor.cohorts.cases import Cohort
    from brain_tumor.cohorts.reading import load_reader
    from brain_tumor.cohorts.run import cohort_settings, run_cohort

    cluster = _cluster(arguments)
    progress = Progress(unit="case", quiet=arguments.quiet or arguments.json)
    started = time.perf_counter()
    try:
        progress.begin("looking for cases")
        cohort = Cohort(arguments.source)
        progress.expect(cohort.count)
        settings = cohort_settings(
            arguments.output,
            arguments.models or models_folder(),
            load_reader,
            depth=arguments.depth,
            language=arguments.language,
            registration=arguments.registration,
        )
        progress.begin("reading cases")

        def heard(now: CohortProgress, case: CohortCase, failure: Failure | None) -> None:
            progress.done()
            if failure is not None and not arguments.json:
                progress.say(f"{case.case_id}: {failure.message}\n  {failure.remedy}")

        told = run_cohort(
            cohort,
            settings,
            cluster=cluster,
            threads=arguments.threads,
            on_case=heard,
            title=arguments.source.name,
        )
    finally:
        progress.close()
    wall_s = time.perf_counter() - started
    if arguments.json:
        print(as_json({**told.to_json(), "wall_s": round(wall_s, 3)}), end="")
    elif not arguments.quiet:
        print("\n".join(_summary(told, wall_s, arguments.output)))


def _cluster(arguments: argparse.Namespace) -> Cluster | None:
    """Where the cases are read; None is this process.

    Raises:
        InputError: If a number is none that makes sense.
    """
    from brain_tumor.cohorts.cluster import Cluster

    for name in ("workers", "threads"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} is {value}; expected 1 or more")
    if arguments.scheduler is not None:
        return Cluster(scheduler=arguments.scheduler)
    return Cluster(workers=arguments.workers) if arguments.workers else None


def _summary(told: CohortProgress, wall_s: float, output: Path) -> list[str]:
    """A few lines about a cohort."""
    rate = f", {3600 * told.done / wall_s:.0f} cases an hour" if told.done else ""
    return [
        f"{told.total} cases: {told.done} read now, {told.earlier} earlier, {told.failed} failed",
        f"seconds: {wall_s:.1f}{rate}",
        f"written: {output} (index.html, cohort.csv, cohort.parquet, cases)",
    ]
