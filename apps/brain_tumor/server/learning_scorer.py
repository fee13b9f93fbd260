"""Scores of cases that nobody has corrected, computed when the server has nothing else to do."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.errors import InputError, NotFoundError, TumorLensError
from brain_tumor.labels import Label, LabelScheme, Region, region_mask
from brain_tumor.learning.acquisition import (
    CaseScores,
    case_features,
    normalised_entropy,
    tumour_uncertainty,
    unsure_ml,
)
from brain_tumor.learning.changes import dice
from brain_tumor.segmentation.result import SegmentationResult, Segmenter
from brain_tumor.server.inputs import stored_input

if TYPE_CHECKING:
    from brain_tumor.server.app import ServerApp

logger = logging.getLogger(__name__)

BUDGET_ENV = "TUMORLENS_SCORING_BUDGET"
DEFAULT_BUDGET = 0.2
FIRST_PAUSE_S = 60.0
IDLE_PAUSE_S = 60.0
FAILED_PAUSE_S = 3600.0


def scoring_budget(environ: Mapping[str, str]) -> float:
    """Share of one processor that scoring may use; 0 turns it off.

    Raises:
        InputError: If it is no number from 0 to 1.
    """
    text = environ.get(BUDGET_ENV, str(DEFAULT_BUDGET))
    try:
        budget = float(text)
    except ValueError:
        budget = -1.0
    if not 0 <= budget <= 1:
        raise InputError(f"{BUDGET_ENV} is {text!r:.40}; expected a number from 0 to 1")
    return budget


class CaseScorer:
    """Scores one case after the other, and rests in between.

    Args:
        app: The server.
        budget: Share of the time in which it works.

    Raises:
        InputError: If the budget in the environment makes no sense.
    """

    def __init__(self, app: ServerApp, budget: float | None = None) -> None:
        self._app = app
        self._budget = scoring_budget(os.environ) if budget is None else budget
        self._failed: dict[str, float] = {}

    def start(self) -> None:
        """Work in the background for as long as the process lives."""
        if self._budget > 0:
            threading.Thread(target=self._run, name="case-scorer", daemon=True).start()

    def pending(self) -> list[str]:
        """Unlabelled cases without scores of the present volume and models."""
        app = self._app
        models = self._models()
        held = app.learning.ledger.scores.newest()
        now = time.monotonic()
        waiting = []
        for image in app.datastore().get_unlabeled_images():
            if now - self._failed.get(image, -FAILED_PAUSE_S) < FAILED_PAUSE_S:
                continue
            row = held.get(image)
            if row is None or row["model_sha256"] != models:
                waiting.append(image)
        return waiting

    def score(self, image: str) -> CaseScores:
        """Score a case and write it down.

        Raises:
            TumorLensError: If it cannot be read or scored.
        """
        app = self._app
        task = app.infer_task("segmentation")
        models = self._models()
        case_input = stored_input(app.datastore(), image)
        outcome = task.outcome(case_input, task.check_options({}), background=True)
        case = case_input.load().case
        scores = score_case(case, outcome.result, self._other_opinion(case), self._types(image))
        ref = app.learning.case_ref(image)
        app.learning.ledger.scores.add(image, ref.image_sha256, models, scores.to_json())
        return scores

    def _models(self) -> str:
        """Checksum of the models behind the scores: segmentation and, if there is one, type."""
        shown = {model.sha256 for model in self._app.infer_task("segmentation").models()}
        with suppress(NotFoundError):
            shown |= {model.sha256 for model in self._app.infer_task("classification").models()}
        return hashlib.sha256("\n".join(sorted(shown)).encode()).hexdigest()

    def _other_opinion(self, case: Case) -> SegmentationResult | None:
        """What the tumour-core model says about a case that the sub-region model read."""
        if Sequence.T1C not in case.volumes or len(case.present) == 1:
            return None
        lone = Case(case.case_id, Sequence.T1C, {Sequence.T1C: case.volumes[Sequence.T1C]})
        segmenter: Segmenter = self._app.segmenter
        with self._app.services.gate.admitted(queue=False):
            return segmenter.segment(lone)

    def _types(self, image: str) -> Mapping[str, float] | None:
        """Probabilities of the tumour types, where the server has a classifier."""
        app = self._app
        try:
            task = app.infer_task("classification")
        except NotFoundError:
            return None
        case_input = stored_input(app.datastore(), image)
        reply = task.run(case_input, task.check_options({}), background=True)
        section: dict[str, Any] = reply.params.get("classification") or {}
        return section.get("probabilities")

    def _run(self) -> None:
        time.sleep(FIRST_PAUSE_S)
        while True:
            started = time.monotonic()
            try:
                waiting = self.pending()
                if waiting:
                    self._try(waiting[0])
            except Exception:
                logger.exception("scoring cases failed")
                waiting = []
            worked = time.monotonic() - started
            time.sleep(worked * (1 / self._budget - 1) if waiting else IDLE_PAUSE_S)

    def _try(self, image: str) -> None:
        try:
            self.score(image)
        except TumorLensError:
            logger.warning("a case cannot be scored", exc_info=True)
            self._failed[image] = time.monotonic()


def score_case(
    case: Case,
    result: SegmentationResult,
    other: SegmentationResult | None,
    types: Mapping[str, float] | None,
) -> CaseScores:
    """Scores of a case.

    Args:
        case: The case.
        result: What the server's model found.
        other: What another model found, if any.
        types: Probabilities of the tumour types, if any.
    """
    doubt = result.uncertainty
    return CaseScores(
        uncertainty=tumour_uncertainty(doubt, result.labelmap) if doubt is not None else 0.5,
        features=case_features(case, result.labelmap),
        unsure_ml=unsure_ml(doubt, case.spacing_mm) if doubt is not None else 0.0,
        type_entropy=normalised_entropy(list(types.values())) if types else None,
        disagreement=None if other is None else 1.0 - dice(_core(result), _core(other)),
    )


def _core(result: SegmentationResult) -> Any:
    if result.scheme is LabelScheme.CORE:
        return result.labelmap == Label.CORE
    return region_mask(result.labelmap, Region.TC)
