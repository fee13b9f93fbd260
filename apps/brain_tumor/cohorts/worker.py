"""What a process does with the cases that it is given: models are loaded once, for all of them."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from brain_tumor import __version__
from brain_tumor.cases.files.durable import file_sha256
from brain_tumor.cases.loading import LoadedCase
from brain_tumor.cohorts.cases import CohortCase, found_source, input_files, load
from brain_tumor.cohorts.engine import Outcome, attempt
from brain_tumor.cohorts.results import CASES, REPORT_PAGE, ResultsFolder
from brain_tumor.cohorts.rows import row_of_report
from brain_tumor.errors import FileFormatError, ModelError
from brain_tumor.memory import return_free_memory

MODEL_FILES = ("configs", "models")
"""Folders of a bundle whose files can change a result; its card cannot."""


class CaseReader(Protocol):
    """Models in memory."""

    def read(self, loaded: LoadedCase, folder: Path, loading_s: float) -> Mapping[str, Any]:
        """Read a case and write its results; returns the content of report.json."""


@dataclass(frozen=True)
class CohortSettings:
    """What is done with every case of a cohort.

    Attributes:
        output: Folder of the results, the same for every machine.
        models: Folder of the models, absolute.
        models_sha256: See `models_checksum`; workers with other models refuse the work.
        load: Loads the models; a function that workers can import.
        depth: "segment", "classify" or "analyse".
        language: Of the reports.
        registration: Whether sequences that lie off the reference are registered to it.
    """

    output: Path
    models: Path
    models_sha256: str
    load: Callable[[CohortSettings], CaseReader]
    depth: str = "analyse"
    language: str = "en"
    registration: bool = True

    @property
    def key(self) -> str:
        """Changes with everything but the case that can change a result."""
        told = (self.models_sha256, self.depth, self.language, self.registration, __version__)
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


@dataclass(frozen=True)
class CaseDone:
    """What a worker says about a case that it finished.

    Attributes:
        seconds: What it took; 0 where an earlier run had done it.
        is_earlier: Whether an earlier run had done it.
    """

    seconds: float
    is_earlier: bool = False


def process_case(case: CohortCase, settings: CohortSettings, slots: int = 0) -> Outcome[CaseDone]:
    """Read a case unless it is done; everything that is wrong with it becomes a sentence.

    Args:
        case: Case.
        settings: What to do.
        slots: Cases that are read on this machine at a time; 0 leaves the threads as they are.

    Raises:
        ModelError: If this machine has other models than the one that began the cohort.
    """
    work = prepare(settings, slots)
    return attempt(work, case)


def prepare(settings: CohortSettings, slots: int = 0) -> Callable[[CohortCase], CaseDone]:
    """What is done with a case, once the models are loaded; arguments and errors as above."""
    reader = _reader_of(settings)
    if slots:
        _use_threads(max(1, available_cores() // slots))

    def work(case: CohortCase) -> CaseDone:
        try:
            return _finish(case, settings, reader)
        finally:
            return_free_memory()

    return work


def _finish(case: CohortCase, settings: CohortSettings, reader: CaseReader) -> CaseDone:
    results = ResultsFolder(settings.output)
    started = time.perf_counter()
    source = found_source(case)
    key = case_key(input_files(case.case_id, source), settings)
    held = results.record(case.case_id)
    if held is not None and held.key == key:
        return CaseDone(0.0, is_earlier=True)
    loading = time.perf_counter()
    loaded = load(case.case_id, source, registration=settings.registration)
    loading_s = time.perf_counter() - loading
    with results.staged(case.case_id, key) as (folder, row):
        report = reader.read(loaded, folder, loading_s)
        seconds = time.perf_counter() - started
        row |= row_of_report(report)
        row |= {"seconds": round(seconds, 3), "peak_memory_mb": peak_memory_mb()}
        if (folder / REPORT_PAGE).is_file():
            row["report"] = f"{CASES}/{case.case_id}/{REPORT_PAGE}"
    return CaseDone(seconds)


def case_key(files: Mapping[str, tuple[Path, ...]], settings: CohortSettings) -> str:
    """Checksum of the content of a case's files and of all that is done with them.

    Where the files lie and what they are called does not count, only what they are read as.

    Args:
        files: See `input_files`.
        settings: What is done.

    Raises:
        FileFormatError: If a file cannot be read.
    """
    digest = hashlib.sha256(settings.key.encode())
    for role in sorted(files):
        digest.update(role.encode())
        for checksum in sorted(_checksum(path) for path in files[role]):
            digest.update(checksum.encode())
    return digest.hexdigest()


def _checksum(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise FileFormatError(f"{path.name} cannot be read: {error.strerror}") from error


def models_checksum(models: Path) -> str:
    """Checksum of every file below the models folder that can change a result.

    Raises:
        ModelError: If there is none.
    """
    files = [p for part in MODEL_FILES for p in models.glob(f"*/{part}/*") if p.is_file()]
    if not files:
        raise ModelError(f"models folder '{models.name}' does not exist or is empty")
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(models).as_posix().encode())
        digest.update(file_sha256(path).encode())
    return digest.hexdigest()


_held: dict[CohortSettings, CaseReader] = {}
_loading = threading.Lock()


def _reader_of(settings: CohortSettings) -> CaseReader:
    """Models of this process, loaded with its first case; those of one cohort at a time."""
    with _loading:
        reader = _held.get(settings)
        if reader is None:
            if models_checksum(settings.models) != settings.models_sha256:
                raise ModelError(
                    "a worker has other models than the computer that began the cohort",
                    remedy="Install the same version on every machine, or share the models folder "
                    "(--models).",
                )
            reader = settings.load(settings)
            _held.clear()
            _held[settings] = reader
        return reader


def available_cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _use_threads(count: int) -> None:
    import torch

    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


def peak_memory_mb() -> float:
    """Most memory that this process ever held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)
