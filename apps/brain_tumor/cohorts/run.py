"""A cohort from its cases to its table and page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from brain_tumor.bundles import check_recorded
from brain_tumor.cases.files.durable import make_folder, storage_errors, write_durably
from brain_tumor.cohorts.cases import Cohort, CohortCase
from brain_tumor.cohorts.cluster import Cluster, run_on_cluster
from brain_tumor.cohorts.engine import Failure, Outcome, run_here
from brain_tumor.cohorts.page import cohort_page
from brain_tumor.cohorts.results import PAGE, TABLE_CSV, TABLE_PARQUET, ResultsFolder
from brain_tumor.cohorts.rows import row_of_failure
from brain_tumor.cohorts.summary import CohortSummary
from brain_tumor.cohorts.table import write_tables
from brain_tumor.cohorts.worker import (
    CaseDone,
    CaseReader,
    CohortSettings,
    available_cores,
    models_checksum,
    prepare,
)
from brain_tumor.errors import BusyError

LOCK = ".lock"
NEVER_READ = Failure("it was not read", "Repeat the command; it goes on where it ended.")


@dataclass
class CohortProgress:
    """How far a cohort is.

    Attributes:
        total: Cases.
        done: Cases that were read now.
        earlier: Cases that an earlier run had read.
        failed: Cases that came to nothing.
        seconds: Sum of what the cases that were read now took.
    """

    total: int
    done: int = 0
    earlier: int = 0
    failed: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary."""
        return {
            "cases": self.total,
            "done": self.done,
            "done_earlier": self.earlier,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
        }


Heard = Callable[[CohortProgress, CohortCase, Failure | None], None]


def cohort_settings(
    output: Path,
    models: Path,
    load: Callable[[CohortSettings], CaseReader],
    *,
    depth: str = "analyse",
    language: str = "en",
    registration: bool = True,
) -> CohortSettings:
    """Settings with absolute folders and the checksum of the models; see `CohortSettings`.

    Raises:
        ModelError: If the models are missing, or not those of their cards.
    """
    folder = models.resolve()
    check_recorded(folder)
    checksum = models_checksum(folder)
    return CohortSettings(output.resolve(), folder, checksum, load, depth, language, registration)


def run_cohort(
    cohort: Cohort,
    settings: CohortSettings,
    *,
    cluster: Cluster | None = None,
    threads: int | None = None,
    on_case: Heard = lambda progress, case, failure: None,
    title: str = "",
) -> CohortProgress:
    """Read every case that is not done, then write the tables and the page.

    Args:
        cohort: Cases.
        settings: What is done with each.
        cluster: Where; None is this process, a case at a time.
        threads: Threads a case; by default all cores of a machine are shared by its slots.
        on_case: Hears of each case.
        title: Name of the cohort on its page.

    Raises:
        BusyError: If another process works on the same results.
        StorageError: If the results cannot be kept.
        TumorLensError: See `run_on_cluster`.
    """
    results = ResultsFolder(settings.output)
    progress = CohortProgress(cohort.count)

    def hear(case: CohortCase, outcome: Outcome[CaseDone]) -> None:
        _count(progress, results, case, outcome)
        on_case(progress, case, outcome.failure)

    with storage_errors(settings.output.name):
        make_folder(settings.output)
    lock = FileLock(settings.output / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BusyError(
            f"another process works on '{settings.output.name}'",
            remedy="Wait until it has ended, or name another folder (--output).",
        ) from error
    try:
        results.remove_leftovers()
        cases = _real_cases(cohort, hear)
        if cluster is None:
            slots = 1 if threads is None else max(1, available_cores() // threads)
            run_here(cases, prepare(settings, slots), hear)
        else:
            run_on_cluster(cases, settings, cluster, hear, threads=threads)
        results.remove_leftovers()
        write_overview(cohort, results, title)
    finally:
        lock.release()
    return progress


def write_overview(cohort: Cohort, results: ResultsFolder, title: str) -> None:
    """Write the tables and the page from what is kept of the cases.

    Args:
        cohort: Cases, in the order of the table.
        results: What was made of them.
        title: Name of the cohort.

    Raises:
        StorageError: If a file cannot be written.
    """
    summary = CohortSummary()

    def rows() -> Iterator[Mapping[str, Any]]:
        for case in cohort:
            record = results.record(case.case_id)
            if record is not None:
                row = record.row
            else:
                failure = case.failure or results.failure(case.case_id) or NEVER_READ
                row = row_of_failure(case.case_id, failure)
            summary.add(row)
            yield row

    write_tables(rows(), results.path / TABLE_CSV, results.path / TABLE_PARQUET)
    page = cohort_page(summary, title or results.path.name)
    write_durably(results.path / PAGE, page.encode("utf-8", "replace"))


def _real_cases(
    cohort: Cohort, hear: Callable[[CohortCase, Outcome[CaseDone]], None]
) -> Iterator[CohortCase]:
    """Cases that can be given to a worker; what is none is heard of at once."""
    for case in cohort:
        if case.failure is not None:
            hear(case, Outcome(failure=case.failure))
        else:
            yield case


def _count(
    progress: CohortProgress,
    results: ResultsFolder,
    case: CohortCase,
    outcome: Outcome[CaseDone],
) -> None:
    """Keep what became of a case."""
    if outcome.failure is not None:
        progress.failed += 1
        results.note_failure(case.case_id, outcome.failure)
    elif outcome.result is not None:
        results.clear_failure(case.case_id)
        progress.earlier += outcome.result.is_earlier
        progress.done += not outcome.result.is_earlier
        progress.seconds += outcome.result.seconds
