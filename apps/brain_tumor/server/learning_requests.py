"""When a model is retrained, and from which corrections."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from brain_tumor.errors import InputError, NotFoundError
from brain_tumor.learning.corrected_types import corrected_types
from brain_tumor.learning.job_folder import (
    TYPED_MODEL,
    Correction,
    JobStatus,
    TrainingRequest,
)
from brain_tumor.learning.ledger import Kind, Ledger, Part
from brain_tumor.learning.registry import ModelRegistry
from brain_tumor.learning.triggers import TRIGGER_ENV, Trigger, is_due, last_turn, parse_policy
from brain_tumor.server.datastore import StudyDatastore
from brain_tumor.server.history import HISTORY_FOLDER
from brain_tumor.server.learning_jobs import TrainingJobs
from brain_tumor.server.learning_trainers import check_training_options

logger = logging.getLogger(__name__)

TRAINABLE = ("segmentation", "tumor_core", TYPED_MODEL)
REPLAY_ENV = "TUMORLENS_REPLAY"


class TrainingRequests:
    """Starts trainings on what the ledger holds.

    Args:
        datastore: The studies folder.
        ledger: Corrections.
        registry: Versions of the models.
        jobs: Trainings.

    Attributes:
        jobs: Trainings.

    Raises:
        InputError: If the retraining policy makes no sense.
    """

    def __init__(
        self,
        datastore: StudyDatastore,
        ledger: Ledger,
        registry: ModelRegistry,
        jobs: TrainingJobs,
    ) -> None:
        self._policy = parse_policy(os.environ.get(TRIGGER_ENV, "manual"))
        self._datastore = datastore
        self._ledger = ledger
        self._registry = registry
        self.jobs = jobs

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
        turn = last_turn(self._policy, now)
        made = {s.id for s in self._ledger.submissions() if datetime.fromisoformat(s.at) <= turn}
        for model in (name for name in TRAINABLE if name in known):
            found = self.jobs.newest_of(model)
            last = datetime.fromtimestamp(found[1].started).astimezone() if found else None
            done = self.jobs.newest_of(model, JobStatus.DONE)
            used = {c.submission for c in done[0].corrections} if done else set()
            usable = {c.submission for c in self._corrections(model) if not c.held_out}
            new = (usable & made) - used
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
        for one, kind in corrected_types(self._ledger.submissions(kind=Kind.TYPE)):
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
        for one in self._ledger.corrections():
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
