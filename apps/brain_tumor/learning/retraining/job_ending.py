"""How a training ends: kept, promoted, stopped, or finished after a kill.

A candidate that became active just before the process was killed is finished, not judged again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brain_tumor.bundles import read_bundle
from brain_tumor.classification.model.network import embedding_sha256
from brain_tumor.concepts.head import MADE_FOR
from brain_tumor.errors import NotFoundError, TumorLensError
from brain_tumor.learning.gate.promotion import GateReport, promote_if_accepted
from brain_tumor.learning.ledger.database import LEDGER_ENV, LEDGER_FILE, LedgerDatabase, ledger_url
from brain_tumor.learning.ledger.ledger import Ledger
from brain_tumor.learning.registry.registry import ModelRegistry, VersionRecord, VersionState
from brain_tumor.learning.retraining.job_folder import (
    JobFolder,
    JobStatus,
    TrainingRequest,
    update,
)
from brain_tumor.model_names import ModelName


def stop(job: JobFolder, message: str = "stopped") -> None:
    """Tell that a person has stopped the training."""
    update(job, message, status=JobStatus.STOPPED, stage="", ended=time.time())


def keep(
    registry: ModelRegistry,
    job: JobFolder,
    request: TrainingRequest,
    report: GateReport,
    data: dict[str, object],
) -> None:
    """Register the candidate with what the gate said, and switch to it if it passed."""
    name, version = request.model, report.candidate
    parent = str(data["parent"])
    registry.add(job.candidate, data=data, metrics=report.summary(), parent=parent)
    registry.record_decision(name, version, report.to_json())
    if job.shall_stop:
        stop(job, f"stopped; {name} {version} is kept, but not promoted")
        return
    promoted = report.promote and request.promote
    if promoted:
        promote_if_accepted(registry, name, version, by=_who(request))
    verdict = PROMOTED if promoted else "may be promoted" if report.promote else "kept back"
    _finish(registry, job, request, verdict, report.reasons[0])


def finish_switched(registry: ModelRegistry, job: JobFolder, request: TrainingRequest) -> bool:
    """Finish a job that was killed after its candidate had become active, if it is one.

    The candidate is not judged again: that would be against itself, or against what a person has
    gone back to meanwhile.
    """
    name, version = request.model, job.progress().version
    known = {v.version: v for v in registry.versions(name)}
    if version is None or version not in known or not job.candidate.is_dir():
        return False
    record = known[version]
    was_switched = record.state in (VersionState.ACTIVE, VersionState.RETIRED)
    if not was_switched or record.sha256 != read_bundle(job.candidate).version.sha256:
        return False
    decision = registry.decision(name, version) or {}
    _finish(registry, job, request, PROMOTED, decision.get("reasons", [""])[0])
    return True


def _finish(
    registry: ModelRegistry, job: JobFolder, request: TrainingRequest, verdict: str, reason: str
) -> None:
    """Tell how the training ended, the ledger of a promotion, too."""
    name, version = request.model, job.progress().version or ""
    promoted = verdict == PROMOTED
    if promoted:
        try:
            note_promotion(request, registry.get(name, version), _who(request))
        except TumorLensError as error:
            update(job, f"the promotion is not in the ledger: {error.message}")
    message = f"{name} {version} {verdict}: {reason}"
    if promoted and name == ModelName.CLASSIFICATION:
        message += symptoms_switched_off(registry)
    done = JobStatus.DONE
    update(job, message, status=done, stage="", promoted=promoted, ended=time.time())


def symptoms_switched_off(registry: ModelRegistry) -> str:
    """Warning that the symptom reader does not read what the active classifier shows; or nothing.

    The reader was trained on one embedding and says so by its checksum; the server leaves it out
    beside any other (`load_type_reader`). A retraining keeps the embedding.
    """
    if ModelName.CONCEPTS not in registry.names():
        return ""
    made_for = read_bundle(registry.active(ModelName.CONCEPTS)).metadata.get(MADE_FOR)
    if made_for == embedding_sha256(read_bundle(registry.active(ModelName.CLASSIFICATION))):
        return ""
    return (
        "; visual symptoms are switched off, because their reader was made for another classifier "
        "(train it again, or roll the classifier back)"
    )


def _who(request: TrainingRequest) -> str:
    return request.requested_by or "training"


PROMOTED = "promoted"


def confirmed_cases(request: TrainingRequest) -> set[str]:
    """Names of the held-out corrections that somebody other than the annotator has reviewed.

    Raises:
        StorageError: If the ledger cannot be read.
    """
    held_out = {c.submission: c.name for c in request.corrections if c.held_out}
    with _ledger(request) as ledger:
        if ledger is None:
            return set()
        found = set()
        for number, name in held_out.items():
            try:
                if ledger.submission(number).is_confirmed:
                    found.add(name)
            except NotFoundError:
                continue  # of another ledger
        return found


def note_promotion(request: TrainingRequest, record: VersionRecord, by: str) -> None:
    """Write down that a training's candidate became active, unless that is written already.

    Args:
        request: The training. One process at a time works on it, and no other has its candidate.
        record: The candidate.
        by: Who asked for the training.

    Raises:
        StorageError: If it cannot be written.
    """
    detail = {"sha256": record.sha256, "training": request.id}
    with _ledger(request) as ledger:
        if ledger is None:
            return
        for event in ledger.model_events(record.name):
            if (event["version"], event["event"]) == (record.version, PROMOTED):
                return
        ledger.note_model(record.name, record.version, PROMOTED, by, detail)


@contextmanager
def _ledger(request: TrainingRequest) -> Iterator[Ledger | None]:
    """Ledger beside the store of the versions, or by address; None where there is none yet."""
    folder = Path(request.store).parent
    if not os.environ.get(LEDGER_ENV) and not (folder / LEDGER_FILE).is_file():
        yield None
        return
    ledger = Ledger(LedgerDatabase(ledger_url(os.environ, folder)))
    try:
        yield ledger
    finally:
        ledger.close()
