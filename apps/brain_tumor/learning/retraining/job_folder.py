"""A training as a folder: what was asked for, how far it is, and whether it shall stop.

job.json         the request, written once
progress.json    state, replaced whole
job.lock         held by the process that works on the job; its number is in job.pid
stop             there is one when somebody asked to stop
prepared/        examples on disk, so that memory stays small and a resumed run is quick
checkpoint.pt    everything that a resumed run needs
candidate/       the finished bundle
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch.distributed as dist
from filelock import FileLock, Timeout

from brain_tumor.cases.files.durable import write_durably
from brain_tumor.errors import StorageError

MAX_DETAILS = 20
BUSY_CODE = 75
"""A worker ends with it when another process works on its job already."""


class JobStatus(StrEnum):
    """State of a training, in the words of the stock server."""

    SUBMITTED = "SUBMITTED"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    DONE = "DONE"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Correction:
    """A corrected mask or tumour type to learn from, or to be measured on.

    Attributes:
        submission: Number in the ledger.
        case_id: Case in the studies folder.
        patient: Key of the patient.
        held_out: Whether nothing may learn from it.
        label_file: File of the label version, relative to the studies folder; empty where only
            the type was corrected, so that the segmenter in use outlines the tumour.
        label_sha256: Its checksum.
        tumor_type: The right type, for a training of the classifier; empty for a mask.
    """

    submission: int
    case_id: str
    patient: str
    held_out: bool
    label_file: str
    label_sha256: str
    tumor_type: str = ""

    @property
    def name(self) -> str:
        """Name of the corrected case, unique in a training."""
        return f"{self.case_id}-{self.submission}"


@dataclass(frozen=True)
class TrainingRequest:
    """What a training shall do.

    Attributes:
        id: Name of the job.
        model: Bundle to fine-tune.
        studies: Studies folder.
        store: Folder of the registry's versions.
        shipped: Folder of the shipped bundles.
        corrections: Masks or types, those held out among them.
        parent: Version to start from; empty for the active one.
        replay: Folder with base data that the researcher named; empty for distilled phantoms.
        max_epochs: Passes over the training corrections.
        steps_per_epoch: Optimiser steps per pass; 0 for one per training correction.
        learning_rate: Peak of the cosine schedule.
        replay_phantoms: Distilled phantoms, where there is no replay folder.
        base_phantoms: Phantoms that measure forgetting, where there is no replay folder.
        phantom_spacing_mm: Their voxel size.
        promote: Whether a candidate that passes the gate becomes active at once.
        seed: Of sampling and augmentation.
        requested_by: Client id of who asked.
        left_out: Cases whose corrections may not teach, each with the reason.
    """

    id: str
    model: str
    studies: str
    store: str
    shipped: str
    corrections: tuple[Correction, ...]
    parent: str = ""
    replay: str = ""
    max_epochs: int = 20
    steps_per_epoch: int = 0
    learning_rate: float = 3e-4
    replay_phantoms: int = 8
    base_phantoms: int = 6
    phantom_spacing_mm: float = 2.0
    promote: bool = True
    seed: int = 7
    requested_by: str = ""
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TrainingRequest:
        """Read what `to_json` wrote."""
        corrections = tuple(Correction(**one) for one in content["corrections"])
        left_out = tuple(content.get("left_out", ()))
        return cls(**{**content, "corrections": corrections, "left_out": left_out})


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        status: State.
        stage: What it does now: data, train, export or gate.
        epoch: Passes that are done.
        max_epochs: Passes in all.
        step: Optimiser steps that are done.
        steps: Optimiser steps in all.
        loss: Mean loss of the newest steps.
        validation: Mean score on the held-out corrections at the newest validation; it decides
            nothing.
        seconds: Time spent training, over all starts.
        seconds_left: Time that the remaining steps will take at the present speed.
        starts: How often the process was started.
        started: Time in seconds since 1970.
        ended: Time in seconds since 1970, 0 while it goes on.
        version: Candidate, once there is one.
        promoted: Whether the candidate became active.
        details: Newest messages.
    """

    status: JobStatus = JobStatus.SUBMITTED
    stage: str = ""
    epoch: int = 0
    max_epochs: int = 0
    step: int = 0
    steps: int = 0
    loss: float | None = None
    validation: float | None = None
    seconds: float = 0.0
    seconds_left: float | None = None
    starts: int = 0
    started: float = 0.0
    ended: float = 0.0
    version: str | None = None
    promoted: bool = False
    details: tuple[str, ...] = field(default_factory=tuple)

    @property
    def is_over(self) -> bool:
        """Whether nothing goes on any more."""
        return self.status in (JobStatus.STOPPED, JobStatus.DONE, JobStatus.ERROR)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary."""
        return {**asdict(self), "status": self.status.value, "details": list(self.details)}


class JobFolder:
    """Files of one training.

    Args:
        path: Folder of the job.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoint(self) -> Path:
        """File that a resumed run starts from."""
        return self.path / "checkpoint.pt"

    @property
    def prepared(self) -> Path:
        """Folder of the examples."""
        return self.path / "prepared"

    @property
    def candidate(self) -> Path:
        """Folder of the finished bundle."""
        return self.path / "candidate"

    @property
    def lock(self) -> Path:
        """Held by the process that works on the job."""
        return self.path / "job.lock"

    @property
    def worker(self) -> int | None:
        """Process that works on the job now, whoever started it; None if none does."""
        lock = FileLock(self.lock)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return self._noted_worker()
        except OSError:  # no folder any more
            return None
        lock.release()
        return None

    @contextmanager
    def worked_on(self) -> Iterator[bool]:
        """Hold the job for the length of a block; False if another process works on it."""
        lock = FileLock(self.lock)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            self._pid.write_text(str(os.getpid()), encoding="ascii")
            yield True
        finally:
            lock.release()

    @property
    def _pid(self) -> Path:
        return self.path / "job.pid"

    def _noted_worker(self) -> int:
        """Process id of who holds the lock; 0 in the moment before it is noted."""
        try:
            return int(self._pid.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def create(self, request: TrainingRequest) -> None:
        """Write a request down.

        Raises:
            StorageError: If it cannot be written.
        """
        self.update(status=JobStatus.SUBMITTED, started=time.time(), max_epochs=request.max_epochs)
        write_durably(self.path / "job.json", json.dumps(request.to_json(), indent=1).encode())

    def request(self) -> TrainingRequest:
        """What was asked for.

        Raises:
            StorageError: If it cannot be read.
        """
        try:
            text = (self.path / "job.json").read_text(encoding="utf-8")
            return TrainingRequest.from_json(json.loads(text))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"training job {self.path.name} cannot be read: {error}") from error

    def progress(self) -> Progress:
        """How far it is; nothing if it cannot be read."""
        try:
            content = json.loads((self.path / "progress.json").read_text(encoding="utf-8"))
            known = {f.name for f in fields(Progress)}
            given = {key: value for key, value in content.items() if key in known}
            details = tuple(given.pop("details", ()))
            return Progress(**{**given, "status": JobStatus(given["status"]), "details": details})
        except (OSError, ValueError, KeyError, TypeError):
            return Progress()

    def update(self, message: str | None = None, **changes: Any) -> Progress:
        """Change the progress.

        Args:
            message: Line for people, kept among the newest.
            changes: Fields of `Progress`.

        Raises:
            StorageError: If it cannot be written.
        """
        before = self.progress()
        details = before.details if message is None else (*before.details, message)
        after = replace(before, **changes, details=details[-MAX_DETAILS:])
        write_durably(self.path / "progress.json", json.dumps(after.to_json()).encode())
        return after

    def forget_examples(self) -> None:
        """Remove what only a running training needs."""
        shutil.rmtree(self.prepared, ignore_errors=True)
        self.checkpoint.unlink(missing_ok=True)

    def ask_to_stop(self) -> None:
        """Ask the process to stop after its step.

        Raises:
            StorageError: If that cannot be written.
        """
        write_durably(self.path / "stop", b"")

    @property
    def shall_stop(self) -> bool:
        """Whether somebody asked to stop."""
        return (self.path / "stop").exists()


def is_parallel() -> bool:
    """Whether several processes train together."""
    return dist.is_initialized() and dist.get_world_size() > 1


def is_first() -> bool:
    """Whether this process writes for all of them."""
    return not dist.is_initialized() or dist.get_rank() == 0


def update(job: JobFolder, message: str | None = None, **changes: object) -> None:
    """Change the progress of a job, from one process only."""
    if is_first():
        job.update(message, **changes)
