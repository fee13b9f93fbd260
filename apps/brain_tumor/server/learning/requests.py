"""When a model is retrained, and from which corrections."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from brain_tumor.errors import InputError
from brain_tumor.learning.registry.registry import ModelRegistry
from brain_tumor.learning.retraining.job_folder import JobStatus, TrainingRequest
from brain_tumor.learning.triggers import TRIGGER_ENV, Trigger, is_due, last_turn, parse_policy
from brain_tumor.model_names import CORRECTABLE
from brain_tumor.server.datastore.store import StudyDatastore
from brain_tumor.server.learning.jobs import TrainingJobs
from brain_tumor.server.learning.sources import CorrectionSources
from brain_tumor.server.learning.trainers import check_training_options

logger = logging.getLogger(__name__)

REPLAY_ENV = "TUMORLENS_REPLAY"


class TrainingRequests:
    """Starts trainings on what the ledger holds.

    Args:
        datastore: The studies folder.
        sources: Corrections.
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
        sources: CorrectionSources,
        registry: ModelRegistry,
        jobs: TrainingJobs,
    ) -> None:
        self._policy = parse_policy(os.environ.get(TRIGGER_ENV, "manual"))
        self._datastore = datastore
        self._sources = sources
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
        corrections, left_out = self._sources.select(model)
        if all(one.held_out for one in corrections):
            told = f"there are {len(corrections)} corrections, none of which may be learnt from"
            if left_out:
                told = f"{told}; left out: {', '.join(left_out)}"
            raise InputError(
                told,
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
            left_out=left_out,
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
        made = self._sources.made_until(turn)
        for model in (name for name in CORRECTABLE if name in known):
            found = self.jobs.newest_of(model)
            last = datetime.fromtimestamp(found[1].started).astimezone() if found else None
            done = self.jobs.newest_of(model, JobStatus.DONE)
            used = {c.submission for c in done[0].corrections} if done else set()
            usable = {c.submission for c in self._sources.select(model)[0] if not c.held_out}
            new = (usable & made) - used
            if is_due(self._policy, now, last, len(new)):
                logger.info("%d new corrections: retraining %s", len(new), model)
                self.train(model, {}, "policy")
                return model
        return None
