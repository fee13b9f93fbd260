"""A whole retraining in a process of its own: data, training, candidate, gate.

    python -m brain_tumor.learning.retraining.job FOLDER
    torchrun --nproc-per-node 2 -m brain_tumor.learning.retraining.job FOLDER

The process runs at low priority. Killed and started again it goes on from its last checkpoint; a
second process on the same folder waits for the first.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
import torch.distributed as dist
from torch import nn

from brain_tumor.errors import BusyError, InputError, TumorLensError
from brain_tumor.learning.gate.promotion import judge
from brain_tumor.learning.registry.registry import ModelRegistry
from brain_tumor.learning.retraining.candidates import data_fingerprint, write_candidate
from brain_tumor.learning.retraining.core_tuner import CoreTuner
from brain_tumor.learning.retraining.job_ending import confirmed_cases, finish_switched, keep, stop
from brain_tumor.learning.retraining.job_folder import (
    BUSY_CODE,
    Correction,
    JobFolder,
    JobStatus,
    TrainingRequest,
    is_first,
    is_parallel,
    update,
)
from brain_tumor.learning.retraining.labelled_cases import (
    LabelledCase,
    LeftOut,
    base_cases,
    corrected_cases,
)
from brain_tumor.learning.retraining.loop import Schedule, StepReport, fine_tune
from brain_tumor.learning.retraining.segmentation_tuner import SegmentationTuner
from brain_tumor.learning.retraining.tuner import Examples, FineTuner, Scorer
from brain_tumor.learning.retraining.type_tuner import TypeTuner
from brain_tumor.learning.retraining.version_scores import score_versions
from brain_tumor.model_names import CORRECTABLE, ModelName

logger = logging.getLogger(__name__)

TUNERS: Mapping[str, Callable[[Path], FineTuner]] = {
    ModelName.SEGMENTATION: SegmentationTuner,
    ModelName.TUMOR_CORE: CoreTuner,
    ModelName.CLASSIFICATION: TypeTuner,
}
"""Models that learn from corrections, by bundle name."""

_INTERRUPTED = threading.Event()
"""Set when the process is told to end; the training goes on at its next start."""

NICENESS = 15
REPORT_EVERY_S = 1.0
VALIDATIONS = 5
LEAST_CORRECTIONS = 1


def run_job(path: Path) -> JobStatus:
    """Run or resume a job.

    Args:
        path: Folder of the job.

    Returns:
        How it ended.

    Raises:
        StorageError: If the folder cannot be used.
        BusyError: If another process works on the job.
    """
    job = JobFolder(path)
    with job.worked_on() if is_first() else nullcontext(True) as is_ours:
        if not is_ours:
            raise BusyError(f"another process works on training {path.name}")
        if job.progress().is_over:
            return job.progress().status
        before = job.progress()
        update(job, status=JobStatus.RUNNING, starts=before.starts + 1, stage="data")
        try:
            _work(job, job.request())
        except TumorLensError as error:
            logger.exception("training failed")
            message = f"{error.message}. {error.remedy}"
            update(job, message, status=JobStatus.ERROR, ended=time.time())
        status = job.progress().status
        if status in (JobStatus.DONE, JobStatus.STOPPED) and is_first():
            job.forget_examples()
        return status


def _work(job: JobFolder, request: TrainingRequest) -> None:
    registry = ModelRegistry(Path(request.shipped), Path(request.store))
    if request.model not in TUNERS:
        raise InputError(
            f"'{request.model}' cannot be retrained; expected one of {sorted(CORRECTABLE)}"
        )
    if finish_switched(registry, job, request):
        return
    parent = (
        registry.get(request.model, request.parent)
        if request.parent
        else registry.active_record(request.model)
    )
    tuner = TUNERS[request.model](parent.path)
    cases = [*corrected_cases(request), *base_cases(request)]
    left_out = LeftOut()
    examples = _prepare(job, tuner, cases, left_out)
    steps = request.steps_per_epoch or len(examples.corrections)
    schedule = Schedule(request.max_epochs, steps, request.learning_rate, request.seed)
    update(job, f"training on {len(examples.corrections)} corrections", stage="train")
    if not _train(job, tuner, examples, schedule, cases, left_out):
        if job.shall_stop:
            stop(job)
        else:
            update(job, "interrupted; goes on when the server starts again")
        return
    if not is_first():
        return
    update(job, stage="export")
    learnt = _learnt(request, examples)
    data = {
        "what": tuner.learns_from,
        "corrections": len(examples.corrections),
        "patients": len({c.patient for c in learnt}),
        "held_out": sum(c.held_out for c in request.corrections),
        "replay": Path(request.replay).name if request.replay else "distilled phantoms",
        "fingerprint": data_fingerprint(replace(request, corrections=learnt)),
    }
    version = job.progress().version or registry.next_version(request.model)
    update(job, version=version)
    state = tuner.network.state_dict()
    write_candidate(job.candidate, parent.path, version, state, request, data)
    tuner.complete(job.candidate, examples)
    update(job, f"asking the gate about {request.model} {version}", stage="gate")
    held_out = [case for case in cases if case.held_out]
    current = registry.active_record(request.model)  # may be another one than the parent by now
    scorers = tuner.scorer(current.path), tuner.scorer(job.candidate)
    scores = score_versions(
        *scorers, held_out, left_out, lambda: job.shall_stop, _confirmed(job, request)
    )
    if job.shall_stop:
        stop(job)
        return
    report = judge(
        scores,
        model=request.model,
        current=current.version,
        candidate=version,
        rules=tuner.rules,
        left_out=left_out.of(held_out),
    )
    named = left_out.of(cases)
    if named:
        update(job, f"left out: {'; '.join(named)}")
    keep(registry, job, request, report, {**data, "parent": parent.version})


def _learnt(request: TrainingRequest, examples: Examples) -> tuple[Correction, ...]:
    """Corrections that became examples."""
    names = {path.stem for path in examples.corrections}
    return tuple(c for c in request.corrections if c.name in names)


def _confirmed(job: JobFolder, request: TrainingRequest) -> set[str]:
    """Cases that a second reader has reviewed; none if nobody can tell."""
    try:
        return confirmed_cases(request)
    except TumorLensError as error:
        update(job, f"reviews do not count: {error.message}")
        return set()


def _prepare(
    job: JobFolder, tuner: FineTuner, cases: Sequence[LabelledCase], left_out: LeftOut
) -> Examples:
    """Examples of everything that may be learnt from; those on disk already are kept.

    Raises:
        InputError: If no correction says anything to this model.
    """
    found: dict[str, list[Path]] = {"corrections": [], "base": []}
    for one in cases:
        path = job.prepared / f"{one.name}.npz"
        if one.held_out or job.shall_stop:
            continue
        if path.exists() or (is_first() and _prepare_one(tuner, one, path, left_out)):
            found[one.source.value].append(path)
    if is_parallel():
        dist.barrier()
        found |= _files_by_source(job, cases)
    if len(found["corrections"]) < LEAST_CORRECTIONS and not job.shall_stop:
        named = "; ".join(left_out.of([*cases]))
        raise InputError(
            f"no correction that '{tuner.name}' can learn from"
            + (f"; left out: {named}" if named else ""),
            remedy="Correct more cases; one in four patients is held out for the gate.",
        )
    return Examples(found["corrections"], found["base"])


def _prepare_one(tuner: FineTuner, one: LabelledCase, path: Path, left_out: LeftOut) -> bool:
    """Write the example of a case; False if there is nothing in it, or it cannot be used."""
    loaded = left_out.load(one)
    if loaded is None:
        return False
    try:
        return tuner.prepare(*loaded, path)
    except InputError as error:
        left_out.note(one, error)
        return False


def _files_by_source(job: JobFolder, cases: Sequence[LabelledCase]) -> dict[str, list[Path]]:
    """Examples that are on disk."""
    found: dict[str, list[Path]] = {}
    for one in cases:
        path = job.prepared / f"{one.name}.npz"
        if not one.held_out and path.exists():
            found.setdefault(one.source.value, []).append(path)
    return found


def _train(
    job: JobFolder,
    tuner: FineTuner,
    examples: Examples,
    schedule: Schedule,
    cases: Sequence[LabelledCase],
    left_out: LeftOut,
) -> bool:
    """Run the schedule with honest progress; False if it was stopped."""
    held_out = [c for c in cases if c.held_out and c.source.value == "corrections"]
    every = max(1, schedule.epochs // VALIDATIONS)
    reported = 0.0

    def on_step(report: StepReport) -> None:
        nonlocal reported
        if time.monotonic() - reported < REPORT_EVERY_S and report.step < schedule.steps:
            return
        reported = time.monotonic()
        update(
            job,
            step=report.step,
            steps=schedule.steps,
            loss=round(report.loss, 5),
            seconds=round(report.seconds, 2),
            seconds_left=round(report.seconds_left, 1),
        )

    def on_epoch(epoch: int, network: nn.Module) -> None:
        if not is_first():
            return
        score = (
            _validate(tuner.scorer_of(network), held_out, left_out) if epoch % every == 0 else None
        )
        known = {} if score is None else {"validation": round(score, 4)}
        shown = "" if score is None else f", validation {score:.3f}"
        progress = job.progress()
        loss = f"{progress.loss:.4f}" if progress.loss is not None else "-"
        message = f"epoch {epoch}/{schedule.epochs}: loss {loss}{shown}"
        update(job, message, epoch=epoch, max_epochs=schedule.epochs, **known)

    if job.shall_stop or _INTERRUPTED.is_set():
        return False
    return fine_tune(
        tuner,
        examples,
        schedule,
        job.checkpoint,
        on_step=on_step,
        on_epoch=on_epoch,
        shall_stop=lambda: job.shall_stop or _INTERRUPTED.is_set(),
    )


def _validate(scorer: Scorer, cases: Sequence[LabelledCase], left_out: LeftOut) -> float | None:
    """Mean score on held-out corrections; it decides nothing."""
    means = []
    for one in cases:
        loaded = left_out.load(one)
        with suppress(InputError):  # whose fault that is, the gate finds out
            score = scorer(*loaded) if loaded else {}
            means += [fmean(score.values())] if score else []
    return fmean(means) if means else None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job of a folder; 0 unless it ended with an error."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m brain_tumor.learning.retraining.job FOLDER\n")
        return 2
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    signal.signal(signal.SIGTERM, lambda *_: _INTERRUPTED.set())
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        dist.init_process_group("gloo")
    try:
        status = run_job(Path(arguments[0]))
    except BusyError as error:
        logger.warning("%s", error.message)
        return BUSY_CODE
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return 1 if status is JobStatus.ERROR else 0


if __name__ == "__main__":
    sys.exit(main())
