"""Cases on several processes or machines, through Dask (extra `cluster`).

Dask carries a case's name to a worker and a sentence back; models, volumes and results never
travel. At most `WINDOW` cases a slot wait at a time, so the client's memory does not grow with the
cohort. A worker that dies loses the cases it had, and they are given to another; a scheduler that
is started again gets the cases that were out.
"""

from __future__ import annotations

import logging
import os
import queue
import tempfile
import time
from asyncio import CancelledError as AsyncCancelledError
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain_tumor.cohorts.cases import CohortCase
from brain_tumor.cohorts.engine import Failure, Outcome
from brain_tumor.cohorts.worker import CaseDone, CohortSettings, available_cores, process_case
from brain_tumor.errors import InputError, NotFoundError, TumorLensError

logger = logging.getLogger(__name__)

EXTRA = "pip install 'tumorlens[cluster]'"
WINDOW = 3
CONNECT_S = 30
"""How long the scheduler may be gone before the run ends."""
GATHER_S = 120
ASK_AGAIN_S = 5.0
LONELY_S = 20.0
ALLOWED_DEATHS = 3
MEMORY_SHARE = 0.9
LOST = ("lost", "cancelled")

OnOutcome = Callable[[CohortCase, Outcome[CaseDone]], None]


@dataclass(frozen=True)
class Cluster:
    """Workers to be had.

    Attributes:
        workers: How many processes to start here; 0 if there is a scheduler.
        scheduler: Address of a scheduler that has workers already; empty if there is none.
    """

    workers: int = 0
    scheduler: str = ""


def run_on_cluster(
    cases: Iterator[CohortCase],
    settings: CohortSettings,
    cluster: Cluster,
    on_outcome: OnOutcome,
    *,
    threads: int | None = None,
) -> None:
    """Work through the cases of a cohort.

    Args:
        cases: Cases; taken when there is a slot for them.
        settings: What is done with each.
        cluster: Where.
        on_outcome: Hears of each, in the order in which they are finished.
        threads: Threads a case; by default the cores of a machine are shared by its slots.

    Raises:
        InputError: If Dask is missing, or the address is none.
        NotFoundError: If the scheduler cannot be reached any more.
        ModelError: If a worker has other models.
    """
    with _client(cluster) as client:
        _CaseLoop(client, settings, on_outcome, threads).run(cases)


@contextmanager
def _client(cluster: Cluster) -> Iterator[Any]:
    """Connection to the scheduler; workers that are started for it end with it."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise InputError(
            "several workers need Dask, which is not installed", remedy=f"Install it: {EXTRA}"
        ) from error
    settings = {
        "distributed.scheduler.allowed-failures": ALLOWED_DEATHS,
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.nanny.pre-spawn-environ": _environment(),
    }
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        address: Any = cluster.scheduler
        if not address:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="tumorlens-workers-"))
            memory = int(MEMORY_SHARE * distributed.system.MEMORY_LIMIT / cluster.workers)
            address = stack.enter_context(
                distributed.LocalCluster(  # type: ignore[no-untyped-call]
                    n_workers=cluster.workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    memory_limit=memory,
                    local_directory=scratch,
                    silence_logs=logging.CRITICAL,
                )
            )
        try:
            client = distributed.Client(  # type: ignore[no-untyped-call]
                address, timeout=CONNECT_S, set_as_default=False
            )
        except (OSError, ValueError) as error:
            raise NotFoundError(
                f"no scheduler answers at {cluster.scheduler:.80}: {type(error).__name__}",
                remedy="Start one (dask scheduler) and its workers (dask worker ADDRESS "
                "--nthreads 1), or let this command start workers (--workers).",
            ) from error
        yield stack.enter_context(client)


def _environment() -> dict[str, str]:
    """Environment of the workers: libraries beside torch take one thread, idle threads sleep."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    asked = {name: os.environ.get(name, "1") for name in names}
    return {**asked, "MALLOC_TRIM_THRESHOLD_": "65536", "OMP_WAIT_POLICY": "passive"}


class _CaseLoop:
    """Cases that are out, and those that came back.

    Args:
        client: Connection to the scheduler.
        settings: What is done with each case.
        on_outcome: Hears of each.
        threads: Threads a case, None for the share of its slot.
    """

    def __init__(
        self, client: Any, settings: CohortSettings, on_outcome: OnOutcome, threads: int | None
    ) -> None:
        self._client = client
        self._settings = settings
        self._on_outcome = on_outcome
        self._threads = threads
        self._out: dict[Any, CohortCase] = {}
        self._back: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._asked_at = float("-inf")
        self._lonely_since: float | None = None
        self._slots: Counter[str] = Counter()
        self._number = 0

    def run(self, cases: Iterator[CohortCase]) -> None:
        """Until every case came back."""
        is_open = True
        while True:
            while is_open and len(self._out) < self._window():
                case = next(cases, None)
                is_open = case is not None
                if case is not None:
                    self._submit(case)
            if not self._out and not is_open:
                return
            try:
                future = self._back.get(timeout=1.0)
            except queue.Empty:
                future = None
            self._check_scheduler()
            if future is not None:
                self._take(future)

    def _window(self) -> int:
        """Cases that may be out; at least one, so that a worker that comes late finds it."""
        now = time.monotonic()
        if now - self._asked_at > ASK_AGAIN_S and self._client.status == "running":
            self._asked_at = now
            try:
                told = self._client.scheduler_info(n_workers=-1)["workers"].values()
            except (OSError, RuntimeError):  # it went away in this very moment
                told = ()
            self._slots = Counter()
            for worker in told:
                self._slots[str(worker["host"])] += int(worker["nthreads"])
            self._tell_if_lonely(now)
        return max(1, WINDOW * self._slots.total())

    def _tell_if_lonely(self, now: float) -> None:
        """Say it once where nobody comes to work."""
        if self._slots.total():
            self._lonely_since = None
        elif self._lonely_since is None:
            self._lonely_since = now
        elif now - self._lonely_since > LONELY_S:
            self._lonely_since = float("inf")
            logger.warning(
                "the scheduler has no workers; start some: dask worker ADDRESS --nthreads 1"
            )

    def _check_scheduler(self) -> None:
        """While it is away, cases are kept for it.

        Raises:
            NotFoundError: If there has been none for too long.
        """
        if self._client.status == "closed":
            raise NotFoundError(
                "the scheduler does not answer any more; what is done is kept",
                remedy="Start it again and repeat the command: done cases are not read again.",
            )

    def _submit(self, case: CohortCase) -> None:
        self._number += 1
        future = self._client.submit(
            _process_on_worker,
            case,
            self._settings,
            dict(self._slots),
            self._threads,
            key=f"tumorlens-{case.case_id}-{self._number}-{os.getpid()}",
            pure=False,
        )
        self._out[future] = case
        future.add_done_callback(self._back.put)

    def _take(self, future: Any) -> None:
        """Hear what a worker says."""
        case = self._out.pop(future, None)
        if case is None:  # it was given to another worker meanwhile
            return
        if future.status in LOST:
            self._submit(case)
            return
        has_failed = future.status == "error"
        try:
            told = future.exception(GATHER_S) if has_failed else future.result(GATHER_S)
        except (OSError, AsyncCancelledError, CancelledError):  # the scheduler went away with it
            self._submit(case)
            return
        future.release()
        self._on_outcome(case, _outcome_of(told) if has_failed else told)


def _outcome_of(error: BaseException) -> Outcome[CaseDone]:
    """What an error of Dask says about one case.

    Raises:
        TumorLensError: If it is about the whole cohort.
    """
    if isinstance(error, TumorLensError):
        raise error
    if type(error).__name__ == "KilledWorker":
        return Outcome(
            failure=Failure(
                f"{ALLOWED_DEATHS + 1} workers died while they had this case",
                "It may need more memory than a worker has: take fewer workers (--workers), or "
                "read it alone (tumorlens analyse).",
            )
        )
    raise InputError(
        f"a worker cannot do the work: {type(error).__name__}: {error!s:.200}",
        remedy="Install this version of TumorLens with the extra 'cluster' on every machine.",
    ) from error


def _process_on_worker(
    case: CohortCase, settings: CohortSettings, slots: dict[str, int], threads: int | None
) -> Outcome[CaseDone]:
    """Runs on the worker."""
    from distributed import get_worker

    worker = get_worker()
    if threads is not None:
        shared = max(1, available_cores() // threads)
    else:
        shared = slots.get(worker.ip, 0) or int(worker.state.nthreads)
    if not Path(settings.output).is_dir():
        raise InputError(
            f"a worker does not see the folder '{settings.output.name}' of the results",
            remedy="Name a folder that all machines share, under the same path.",
        )
    return process_case(case, settings, shared)
