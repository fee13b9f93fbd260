"""Trainings in processes of their own: started, watched, stopped, taken up again after a crash."""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from brain_tumor.cases.files.durable import remove_leftovers, storage_errors
from brain_tumor.errors import BusyError, NotFoundError, StorageError
from brain_tumor.learning.retraining.job_folder import (
    BUSY_CODE,
    JobFolder,
    JobStatus,
    Progress,
    TrainingRequest,
)

logger = logging.getLogger(__name__)

MAX_STARTS = 4
STOP_GRACE_S = 60.0
STOP_PATIENCE_S = 5.0
ORPHAN_POLL_S = 0.5
KEPT_JOBS = 50

Command = Callable[[Path], list[str]]


def training_command(folder: Path) -> list[str]:
    """Command of the process that works on a job."""
    return [sys.executable, "-m", "brain_tumor.learning.retraining.job", str(folder)]


class Orphan:
    """A worker that another server process started, watched through the lock that it holds.

    Args:
        job: What it works on.
    """

    def __init__(self, job: JobFolder) -> None:
        self._job = job

    @property
    def pid(self) -> int:
        """Its process id; 0 if it works no more."""
        return self._job.worker or 0

    def poll(self) -> int | None:
        """None while it works, else `BUSY_CODE`: how it ended stands in the progress alone."""
        return None if self._job.worker is not None else BUSY_CODE

    def wait(self) -> int:
        """Wait until it works no more."""
        while self.poll() is None:
            time.sleep(ORPHAN_POLL_S)
        return BUSY_CODE

    def send_signal(self, number: int) -> None:
        """Signal it, if it works."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


Worker = subprocess.Popen[bytes] | Orphan


class TrainingJobs:
    """At most one running training, and what became of earlier ones.

    Args:
        folder: Where the jobs are kept.
        command: From a job's folder to the command that works on it.
    """

    def __init__(self, folder: Path, command: Command = training_command) -> None:
        self._folder = folder
        self._command = command
        self._mutex = threading.Lock()
        self._process: Worker | None = None
        self._watcher: threading.Thread | None = None
        self._is_closing = False
        self._requests: dict[Path, TrainingRequest] = {}

    def start(self, request: TrainingRequest) -> dict[str, Any]:
        """Start a training.

        Args:
            request: What to do; its id is replaced.

        Raises:
            BusyError: If one runs already.
            StorageError: If it cannot be written down.
        """
        with self._mutex:
            if self._is_running():
                raise BusyError(
                    "a training is running already",
                    remedy="Wait until it is done, or stop it (DELETE /train/).",
                )
            stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
            name = f"{stamp}-{time.time_ns() % 10**9:09d}-{secrets.token_hex(3)}"
            job = JobFolder(self._folder / name)
            try:
                job.create(replace(request, id=name))
                with storage_errors("the log of the training"):
                    self._launch(job)
            except StorageError:  # who hears that it failed must not find it running later
                shutil.rmtree(job.path, ignore_errors=True)
                raise
            return describe(job)

    def status(self) -> dict[str, Any] | None:
        """State of the newest training, or None."""
        jobs = self.jobs()
        return describe(jobs[-1]) if jobs else None

    def all(self) -> list[dict[str, Any]]:
        """State of the newest trainings, oldest first."""
        return [describe(job) for job in self.jobs()[-KEPT_JOBS:]]

    def running(self) -> dict[str, Any]:
        """State of the running training.

        Raises:
            NotFoundError: If none runs.
        """
        status = self.status()
        if status is None or not self.is_running:
            raise NotFoundError("no training is running", remedy="Start one (POST /train/MODEL).")
        return status

    @property
    def is_running(self) -> bool:
        """Whether a training runs."""
        with self._mutex:
            return self._is_running()

    def stop(self) -> dict[str, Any] | None:
        """Stop the running training after its step; its work is kept until then.

        Returns:
            Its state, or None if none runs.
        """
        jobs = self.jobs()
        if not jobs or not self.is_running:
            return None
        job = jobs[-1]
        job.ask_to_stop()
        if not self.wait(STOP_PATIENCE_S):
            threading.Thread(target=self._insist, name="stop-training", daemon=True).start()
        return describe(job)

    def recover(self) -> bool:
        """Take up a training that ended without being over, as after a crash.

        Returns:
            Whether there was one.
        """
        with self._mutex:
            self._remove_leftovers()
            jobs = self.jobs()
            if not jobs or jobs[-1].progress().is_over or self._is_running():
                return False
            if self._request(jobs[-1]) is None:
                return False
            logger.info("taking up training %s again", jobs[-1].path.name)
            self._launch(jobs[-1])
            return True

    def _remove_leftovers(self) -> None:
        """Remove what killed processes left half-written, where none works."""
        for folder in self._folder.glob("*/") if self._folder.is_dir() else ():
            if JobFolder(folder).worker is None:
                remove_leftovers(folder)
                if not (folder / "job.json").is_file():  # nobody was told that it was accepted
                    shutil.rmtree(folder, ignore_errors=True)

    def jobs(self) -> list[JobFolder]:
        """Folders of all trainings, oldest first."""
        paths = self._folder.glob("*/job.json") if self._folder.is_dir() else ()
        return [JobFolder(path.parent) for path in sorted(paths)]

    def newest_of(
        self, model: str, status: JobStatus | None = None
    ) -> tuple[TrainingRequest, Progress] | None:
        """Newest training of a model; with a status, the newest that is in it."""
        for job in reversed(self.jobs()):
            request = self._request(job)
            if request is not None and request.model == model:
                progress = job.progress()
                if status in (None, progress.status):
                    return request, progress
        return None

    def _request(self, job: JobFolder) -> TrainingRequest | None:
        """Request of a job, read once: it never changes. None if it cannot be read."""
        if job.path not in self._requests:
            try:
                self._requests[job.path] = job.request()
            except StorageError:
                logger.warning("skipped an unreadable training job", exc_info=True)
                return None
        return self._requests[job.path]

    def wait(self, timeout_s: float) -> bool:
        """Wait for the running training.

        Returns:
            Whether none runs any more.
        """
        watcher = self._watcher
        if watcher is not None:
            watcher.join(timeout_s)
        return not self.is_running

    def close(self) -> None:
        """Interrupt the running training; it goes on when the server starts again."""
        self._is_closing = True
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)

    def _is_running(self) -> bool:
        """Whether a process works; one that has said how it ended only needs a moment to go."""
        if self._watcher is None or not self._watcher.is_alive():
            return False
        jobs = self.jobs()
        return bool(jobs) and not jobs[-1].progress().is_over

    def _launch(self, job: JobFolder) -> None:
        """Start process and watcher; the mutex is held."""
        self._process = self._spawn(job)
        self._watcher = threading.Thread(
            target=self._watch, args=(job, self._process), name="training", daemon=True
        )
        self._watcher.start()
        atexit.register(self.close)

    def _spawn(self, job: JobFolder) -> Worker:
        """Worker of a job: the one that works on it already, else a new process."""
        if job.worker is not None:
            logger.info("training %s is still worked on; adopted", job.path.name)
            return Orphan(job)
        environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
        with (job.path / "job.log").open("ab") as log:
            return subprocess.Popen(
                self._command(job.path),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def _watch(self, job: JobFolder, process: Worker) -> None:
        """Wait for the process; start it again if something killed it."""
        try:
            self._follow(job, process)
        except (StorageError, OSError):  # the next start of the server takes it up again
            logger.exception("training %s could not be followed to its end", job.path.name)

    def _follow(self, job: JobFolder, process: Worker) -> None:
        while True:
            code = process.wait()
            progress = job.progress()
            if progress.is_over or self._is_closing:
                return
            if job.shall_stop:
                job.update("stopped", status=JobStatus.STOPPED, ended=time.time())
                return
            if code == BUSY_CODE:  # another process worked on it, and may have been killed
                process = self._process = self._spawn(job)
                continue
            if code >= 0 or progress.starts >= MAX_STARTS:
                message = f"the training process ended with code {code}; see job.log"
                job.update(message, status=JobStatus.ERROR, ended=time.time())
                return
            job.update(f"the training process was killed (signal {-code}); going on")
            process = self._process = self._spawn(job)

    def _insist(self) -> None:
        """End a process that does not stop by itself."""
        watcher, process = self._watcher, self._process
        if watcher is None or process is None:
            return
        watcher.join(STOP_GRACE_S)
        if watcher.is_alive():
            process.kill()


def describe(job: JobFolder) -> dict[str, Any]:
    """State of a training in the words of the stock server, and more."""
    request, progress = job.request(), job.progress()
    share = progress.step / progress.steps if progress.steps else 0.0
    return {
        "id": request.id,
        "status": progress.status.value,
        "request": {
            "model": request.model,
            "max_epochs": request.max_epochs,
            "steps_per_epoch": request.steps_per_epoch,
            "learning_rate": request.learning_rate,
            "promote": request.promote,
            "client_id": request.requested_by,
            "corrections": len(request.corrections),
        },
        "start_ts": _local(progress.started),
        "end_ts": _local(progress.ended),
        "details": [*(f"left out {one}" for one in request.left_out), *progress.details],
        "progress": 1.0 if progress.status is JobStatus.DONE else min(share, 1.0),
        "stage": progress.stage,
        "epoch": progress.epoch,
        "max_epochs": progress.max_epochs,
        "step": progress.step,
        "steps": progress.steps,
        "loss": progress.loss,
        "validation": progress.validation,
        "seconds_left": progress.seconds_left,
        "version": progress.version,
        "promoted": progress.promoted,
    }


def _local(seconds: float) -> str:
    """Local time as the stock tasks write it; empty for none."""
    if not seconds:
        return ""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
