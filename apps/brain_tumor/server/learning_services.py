"""The learning loop inside the server: what is written down, and when."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from brain_tumor.cases.durable import write_durably
from brain_tumor.cases.readers import read_labelmap
from brain_tumor.cases.volume import spacing_from_affine
from brain_tumor.errors import InputError, NotFoundError, StorageError, TumorLensError
from brain_tumor.labels import LabelArray
from brain_tumor.learning.changes import compare
from brain_tumor.learning.corrected_types import corrected_types
from brain_tumor.learning.job_folder import TYPED_MODEL, Correction, TrainingRequest
from brain_tumor.learning.ledger import (
    CaseRef,
    Kind,
    Ledger,
    NewSubmission,
    Part,
    ReviewState,
    Submission,
)
from brain_tumor.learning.ledger_database import LedgerDatabase, ledger_url
from brain_tumor.learning.ledger_records import CaseState
from brain_tumor.learning.registry import ModelRegistry
from brain_tumor.learning.triggers import TRIGGER_ENV, Trigger, is_due, parse_policy
from brain_tumor.server.datastore import ORIGINAL, PRIVATE_FOLDER, StudyDatastore
from brain_tumor.server.history import HISTORY_FOLDER, LabelEvent, LabelVersion
from brain_tumor.server.learning_jobs import TrainingJobs
from brain_tumor.server.learning_strategies import VisibleCases
from brain_tumor.server.learning_trainers import check_training_options
from brain_tumor.server.replies import FilePart
from brain_tumor.server.validation import VOLUME_SUFFIXES, Parameter, check_params

logger = logging.getLogger(__name__)

PROPOSALS_FOLDER = "proposals"
TRAINING_FOLDER = "training"
TRAINABLE = ("segmentation", "tumor_core", TYPED_MODEL)
REPLAY_ENV = "TUMORLENS_REPLAY"
RESERVED_MINUTES = 60.0
PATIENT_KEY = "patient"
EFFORT_PARAMETERS = {
    "seconds_spent": Parameter((int, float, type(None))),
    "heat_open": Parameter((bool, type(None))),
    "text_open": Parameter((bool, type(None))),
    "draft": Parameter((bool,), default=False),
}
"""What a client may tell about how a correction came about."""


class LearningServices:
    """Ledger, proposals and trainings of one studies folder.

    Args:
        datastore: The studies folder.
        registry: Versions of the models.

    Attributes:
        ledger: What the loop remembers.
        jobs: Trainings.

    Raises:
        InputError: If the ledger's address or the retraining policy makes no sense.
        StorageError: If the ledger cannot be opened.
    """

    def __init__(self, datastore: StudyDatastore, registry: ModelRegistry) -> None:
        self._policy = parse_policy(os.environ.get(TRIGGER_ENV, "manual"))
        self._registry = registry
        self.jobs = TrainingJobs(datastore.root / PRIVATE_FOLDER / TRAINING_FOLDER)
        self._datastore = datastore
        self._proposals = datastore.root / PRIVATE_FOLDER / PROPOSALS_FOLDER
        folder = datastore.root / PRIVATE_FOLDER
        self.ledger = Ledger(LedgerDatabase(ledger_url(os.environ, folder)))

    def case_ref(self, image: str) -> CaseRef:
        """Case as the ledger knows it: checksum of its volume, and its patient.

        Raises:
            NotFoundError: If there is no such case.
        """
        path = self._datastore.require_image(image)
        status = path.stat()
        digest = _file_sha256(path, status.st_mtime_ns, status.st_size)
        patient = str(self._datastore.get_image_info(image).get(PATIENT_KEY) or image)
        return CaseRef(image, digest, patient[:128])

    # Labels.

    def on_label(self, version: LabelVersion) -> Submission | None:
        """Write a stored label version down; proposals of models are no corrections.

        Raises:
            StorageError: If the ledger cannot take it; the label itself is stored.
        """
        if version.tag == ORIGINAL or version.event is LabelEvent.REMOVED:
            return None
        effort = _effort(version.info)
        written = self.ledger.submit(
            NewSubmission(
                case=self.case_ref(version.image),
                kind=Kind.MASK,
                annotator=version.saved_by,
                state=ReviewState.DRAFT if effort["draft"] else ReviewState.SUBMITTED,
                tag=version.tag,
                label_version=version.version,
                label_sha256=version.sha256,
                proposed_by=version.proposed_by,
                seconds_spent=effort["seconds_spent"],
                heat_open=effort["heat_open"],
                text_open=effort["text_open"],
                change=self._change(version),
            )
        )
        if written.annotator and not effort["draft"]:
            self.ledger.cases.release(version.image, written.annotator)
        return written

    def sync(self) -> int:
        """Write down label versions that a crash kept out of the ledger.

        Returns:
            How many there were.
        """
        known = {
            (s.case_id, s.tag, s.label_version) for s in self.ledger.submissions(kind=Kind.MASK)
        }
        added = 0
        for image in self._datastore.list_images():
            for tag in self._datastore.history.tags(image):
                for version in self._datastore.history.versions(image, tag):
                    if (image, tag, version.version) in known:
                        continue
                    added += self.on_label(version) is not None
        if added:
            logger.warning("wrote %d label versions down that the ledger did not have", added)
        return added

    def labelmap(self, submission: Submission) -> tuple[LabelArray, tuple[float, float, float]]:
        """Labelmap of a submitted mask, and its voxel size in mm.

        Raises:
            NotFoundError: If the submission has no label.
            StorageError: If the stored file is damaged.
        """
        history = self._datastore.history
        tag, number = submission.tag or "", submission.label_version or 0
        version = history.get(submission.case_id, tag, number)
        return self._read(version.suffix, history.content(version))

    def _change(self, version: LabelVersion) -> dict[str, Any] | None:
        """Change against the proposal that the annotator got; None if it is not known."""
        proposal = self._proposal(version)
        if proposal is None:
            return None
        try:
            content = self._datastore.history.content(version)
            labelmap, spacing_mm = self._read(version.suffix, content)
            return compare(self._read(*proposal)[0], labelmap, spacing_mm).to_json()
        except TumorLensError:
            logger.warning("could not compare a label with its proposal", exc_info=True)
            return None

    def _read(self, suffix: str, content: bytes) -> tuple[LabelArray, tuple[float, float, float]]:
        """Labelmap and voxel size from the bytes of a file."""
        return _parse_labelmap(self._datastore.root / PRIVATE_FOLDER, suffix, content)

    # Proposals.

    def keep_proposal(self, image: str, part: FilePart, model: Mapping[str, str]) -> None:
        """Keep the labelmap that a client got, to tell later what was corrected.

        Raises:
            StorageError: If it cannot be stored.
        """
        suffix = next(s for s in VOLUME_SUFFIXES if part.filename.endswith(s))
        note = {
            "model": dict(model),
            "suffix": suffix,
            "sha256": hashlib.sha256(part.content).hexdigest(),
        }
        path = self._proposals / f"{image}.json"
        if _read_json(path) == note:
            return
        write_durably(self._proposals / f"{image}{suffix}", part.content)
        write_durably(path, json.dumps(note).encode())

    def _proposal(self, version: LabelVersion) -> tuple[str, bytes] | None:
        """Suffix and content of the proposal that a label started from."""
        note = _read_json(self._proposals / f"{version.image}.json")
        if note is None or version.proposed_by is None or note["model"] != version.proposed_by:
            return None
        path = self._proposals / f"{version.image}{note['suffix']}"
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != note["sha256"]:
            return None
        return note["suffix"], content

    # Trainings.

    def train(self, model: str, options: Mapping[str, Any], client: str) -> dict[str, Any]:
        """Start a training on all corrections that may be learnt from.

        Args:
            model: Bundle.
            options: See `learning_trainers.training_options`.
            client: Who asks.

        Raises:
            InputError: If an option makes no sense, or there is nothing to learn from.
            NotFoundError: If there is no such model.
            BusyError: If a training runs.
        """
        checked = check_training_options(model, options)
        parent = self._registry.active_record(model).version
        corrections = self._corrections(model)
        if all(one.held_out for one in corrections):
            raise InputError(
                f"there are {len(corrections)} corrections, none of which may be learnt from",
                remedy="Correct more cases; one in four patients is held out for the gate.",
            )
        request = TrainingRequest(
            id="",
            model=model,
            studies=str(self._datastore.root),
            store=str(self._registry.store),
            shipped=str(self._registry.shipped),
            corrections=tuple(corrections),
            parent=parent,
            replay=os.environ.get(REPLAY_ENV, ""),
            requested_by=client,
            **checked,
        )
        return self.jobs.start(request)

    def retrain_if_due(self) -> str | None:
        """Start a training if the policy says so.

        Returns:
            Model that is trained now, or None.
        """
        if self._policy.trigger is Trigger.MANUAL or self.jobs.is_running:
            return None
        now = datetime.now().astimezone()
        known = self._registry.names()
        for model in (name for name in TRAINABLE if name in known):
            found = self.jobs.newest_of(model)
            last, seen = None, 0
            if found is not None:
                last = datetime.fromtimestamp(found[1].started).astimezone()
                seen = max((c.submission for c in found[0].corrections), default=0)
            new = [c for c in self._corrections(model) if c.submission > seen and not c.held_out]
            if is_due(self._policy, now, last, len(new)):
                logger.info("%d new corrections: retraining %s", len(new), model)
                self.train(model, {}, "policy")
                return model
        return None

    def _corrections(self, model: str) -> list[Correction]:
        """What a model learns from or is measured on: types for the classifier, else masks."""
        return self._corrected_types() if model == TYPED_MODEL else self._corrected_masks()

    def _corrected_types(self) -> list[Correction]:
        """Types, each with the annotator's mask of the case if there is one."""
        masks = {mask.case_id: mask for mask in self._corrected_masks()}
        images = set(self._datastore.list_images())
        found = []
        for one, kind in corrected_types(self.ledger.submissions(kind=Kind.TYPE)):
            if one.case_id not in images:
                continue
            held_out, mask = one.part is Part.HOLD_OUT, masks.get(one.case_id)
            file, digest = (mask.label_file, mask.label_sha256) if mask else ("", "")
            found.append(
                Correction(one.id, one.case_id, one.patient, held_out, file, digest, kind.value)
            )
        return found

    def _corrected_masks(self) -> list[Correction]:
        """Masks; those without a file are passed over."""
        found = []
        for one in self.ledger.corrections():
            history = self._datastore.history
            try:
                version = history.get(one.case_id, one.tag or "", one.label_version or 0)
                self._datastore.require_image(one.case_id)
            except NotFoundError:
                continue
            file = f"{HISTORY_FOLDER}/{one.case_id}/{one.tag}/{version.file}"
            held_out = one.part is Part.HOLD_OUT
            found.append(
                Correction(one.id, one.case_id, one.patient, held_out, file, version.sha256)
            )
        return found

    # Who works on what.

    def visible_to(self, client: str | None) -> VisibleCases:
        """The datastore as a client sees it when it asks for the next case."""
        return VisibleCases(self._datastore, self.hidden_from(client), self.reopened())

    def reserve_for(self, client: str | None, image: str) -> None:
        """Keep a case that was handed out from being handed to others.

        Raises:
            BusyError: If another client got it in this very moment.
        """
        if client:
            self.ledger.cases.reserve(image, client, RESERVED_MINUTES)

    # Results and states.

    def on_result(self, image: str, params: Mapping[str, Any], client: str | None) -> None:
        """Write down what was inferred for whom by which version.

        Raises:
            StorageError: If the ledger cannot take it.
        """
        case = self.case_ref(image)
        self.ledger.results.add(
            case_id=image,
            image_sha256=case.image_sha256,
            patient=case.patient,
            task=params["task"],
            model=params["models"][0],
            client=client,
            summary=summary_of(params),
        )

    def hidden_from(self, client: str | None) -> frozenset[str]:
        """Cases that others have reserved."""
        states = self.ledger.cases.states()
        return frozenset(case for case, s in states.items() if s.reserved_by not in (None, client))

    def reopened(self) -> frozenset[str]:
        """Labelled cases that are to be corrected again: reopened after the last submission."""
        newest: dict[str, str] = {}
        for one in self.ledger.submissions(kind=Kind.MASK):
            newest.setdefault(one.case_id, one.at)
        states = self.ledger.cases.states()
        return frozenset(
            case
            for case, state in states.items()
            if state.reopened_at is not None and state.reopened_at >= newest.get(case, "")
        )

    def statuses(self) -> list[dict[str, Any]]:
        """Status of every case: `new`, `predicted`, `corrected`, `submitted` or `reviewed`."""
        events = self.ledger.cases.states()
        results = self.ledger.results.newest()
        masks: dict[str, Submission] = {}
        for one in self.ledger.submissions(kind=Kind.MASK):
            masks.setdefault(one.case_id, one)
        rows = []
        for image in self._datastore.list_images():
            state, mask = events.get(image, CaseState()), masks.get(image)
            has_proposal = image in results or bool(self._datastore.get_label_info(image, ORIGINAL))
            decided = [review.at for review in mask.reviews] if mask else []
            times = [state.updated, results.get(image), mask.at if mask else None, *decided]
            rows.append(
                {
                    "id": image,
                    "status": _status(state, mask, has_proposal=has_proposal),
                    "reserved_by": state.reserved_by,
                    "reserved_until": state.reserved_until if state.reserved_by else None,
                    "updated": max((t for t in times if t), default=None),
                }
            )
        return rows


def check_effort(info: Mapping[str, Any]) -> None:
    """Check what a client tells about how a label came about.

    Raises:
        InputError: If a value has another type or makes no sense.
    """
    given = {key: value for key, value in info.items() if key in EFFORT_PARAMETERS}
    seconds = check_params(given, EFFORT_PARAMETERS)["seconds_spent"]
    if seconds is not None and not 0 <= seconds <= 7 * 24 * 3600:
        raise InputError(f"seconds_spent is {seconds}; expected 0 to a week")


def summary_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """What the table of results keeps of a reply: volumes, type, and how many warnings."""
    segmentation = params.get("segmentation") or {}
    classification = params.get("classification") or {}
    kept = {
        "scheme": segmentation.get("scheme"),
        "volumes_ml": segmentation.get("volumes_ml"),
        "prediction": classification.get("prediction"),
        "probabilities": classification.get("probabilities"),
        "warnings": len(params.get("warnings") or ()),
    }
    return {key: value for key, value in kept.items() if value is not None}


def _status(state: CaseState, mask: Submission | None, *, has_proposal: bool) -> str:
    """Where a case stands; a draft, a rejected and a reopened one is still being corrected."""
    if mask is None:
        return "predicted" if has_proposal else "new"
    if state.reopened_at is not None and state.reopened_at >= mask.at:
        return "corrected"
    if mask.state is ReviewState.REVIEWED:
        return "reviewed"
    return "submitted" if mask.state is ReviewState.SUBMITTED else "corrected"


def _effort(info: Mapping[str, Any]) -> dict[str, Any]:
    """What a label's information tells; nothing where other programs wrote something else."""
    try:
        check_effort(info)
    except InputError:
        return {key: parameter.default for key, parameter in EFFORT_PARAMETERS.items()}
    given = {key: value for key, value in info.items() if key in EFFORT_PARAMETERS}
    return check_params(given, EFFORT_PARAMETERS)


def _parse_labelmap(
    folder: Path, suffix: str, content: bytes
) -> tuple[LabelArray, tuple[float, float, float]]:
    """Labelmap and voxel size; readers want a file, so one exists for a moment."""
    try:
        with tempfile.NamedTemporaryFile(suffix=suffix, dir=folder) as stream:
            stream.write(content)
            stream.flush()
            labelmap, affine = read_labelmap(Path(stream.name))
    except OSError as error:
        raise StorageError(f"a label cannot be read: {error.strerror}") from error
    return labelmap, spacing_from_affine(affine)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


@lru_cache(maxsize=4096)
def _file_sha256(path: Path, mtime_ns: int, size: int) -> str:
    """Checksum of a volume; time and size only tell files apart."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
