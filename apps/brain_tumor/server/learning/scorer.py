"""Scores of cases that nobody has corrected, computed when the server has nothing else to do."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
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
from brain_tumor.segmentation.metrics.overlap import dice
from brain_tumor.segmentation.result import SegmentationResult, Segmenter
from brain_tumor.server.tasks.inputs import stored_input

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


def rest_s(worked_s: float, processor_s: float, budget: float) -> float:
    """Pause after which work has taken its share of one processor.

    Args:
        worked_s: Time that the work took, s.
        processor_s: Processor time of all threads meanwhile, s; what else the server computed
            counts, too, so that scoring makes room for it.
        budget: Share of one processor, above 0 and at most 1.

    Example:
        >>> rest_s(10.0, 20.0, 0.2)  # two threads: 20 s of 100 s
        90.0
    """
    return max(0.0, processor_s / budget - worked_s)


class CaseScorer:
    """Scores one case after the other, and rests in between.

    Args:
        app: The server.
        budget: Share of one processor that it takes.

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
            if not self._is_current(image, held.get(image), models):
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
        case = case_input.load(True).case
        scores = score_case(case, outcome.result, self._other_opinion(case), self._read_type(image))
        ref = app.learning.case_ref(image)
        app.learning.ledger.scores.add(image, ref.image_sha256, models, scores.to_json())
        return scores

    def _is_current(self, image: str, row: Mapping[str, Any] | None, models: str) -> bool:
        """Whether scores are of the present models and volume, which is read only if need be."""
        if row is None or row["model_sha256"] != models:
            return False
        digest: str = self._app.learning.case_ref(image).image_sha256
        return bool(row["image_sha256"] == digest)

    def _models(self) -> str:
        """Checksum of the models behind the scores: segmentation and, if there are, of the type."""
        shown = {model.sha256 for model in self._app.infer_task("segmentation").models()}
        with suppress(NotFoundError):
            shown |= {model.sha256 for model in self._app.infer_task("explanation").models()}
        return hashlib.sha256("\n".join(sorted(shown)).encode()).hexdigest()

    def _other_opinion(self, case: Case) -> SegmentationResult | None:
        """What the tumour-core model says about a case that the sub-region model read."""
        if Sequence.T1C not in case.volumes or len(case.present) == 1:
            return None
        lone = Case(case.case_id, Sequence.T1C, {Sequence.T1C: case.volumes[Sequence.T1C]})
        segmenter: Segmenter = self._app.segmenter
        with self._app.services.gate.admitted(queue=False):
            return segmenter.segment(lone)

    def _read_type(self, image: str) -> TypeOpinions:
        """What is said about the tumour type, where the server has a classifier."""
        app = self._app
        try:
            task = app.infer_task("explanation")
        except NotFoundError:
            return TypeOpinions()
        case_input = stored_input(app.datastore(), image)
        return type_opinions(task.run(case_input, task.check_options({}), background=True).params)

    def _run(self) -> None:
        time.sleep(FIRST_PAUSE_S)
        while True:
            started, used = time.monotonic(), time.process_time()
            try:
                waiting = self.pending()
                if waiting:
                    self._try(waiting[0])
            except Exception:
                logger.exception("scoring cases failed")
                waiting = []
            worked_s, used_s = time.monotonic() - started, time.process_time() - used
            time.sleep(rest_s(worked_s, used_s, self._budget) if waiting else IDLE_PAUSE_S)

    def _try(self, image: str) -> None:
        try:
            self.score(image)
        except TumorLensError:
            logger.warning("a case cannot be scored", exc_info=True)
            self._failed[image] = time.monotonic()


@dataclass(frozen=True)
class TypeOpinions:
    """What is said about the tumour type of a case; None where nothing is said.

    Attributes:
        probabilities: Of the types, by the classifier.
        second_reader: One less the probability that the reader of visual symptoms gives the
            classifier's answer, 0-1.
        heat_elsewhere: Share of the heat that lies farther than 5 mm from the outline, 0-1.
    """

    probabilities: Mapping[str, float] | None = None
    second_reader: float | None = None
    heat_elsewhere: float | None = None


def type_opinions(params: Mapping[str, Any]) -> TypeOpinions:
    """Opinions in a reply of the task `explanation`."""
    types = (params.get("classification") or {}).get("probabilities")
    heat = params.get("heatmap") or {}
    is_shown = bool(types) and heat.get("range") == [0, 1]
    return TypeOpinions(
        probabilities=types,
        second_reader=(params.get("second_reader") or {}).get("disagreement"),
        heat_elsewhere=1.0 - heat["near_tumor_share"] if is_shown else None,
    )


def score_case(
    case: Case,
    result: SegmentationResult,
    other: SegmentationResult | None,
    types: TypeOpinions,
) -> CaseScores:
    """Scores of a case.

    Two outlines, two readers of the type, or outline and heatmap may differ; the disagreement of
    the case is that of the pair that differs most.

    Args:
        case: The case.
        result: What the server's model found.
        other: What another model found, if any.
        types: What is said about the type.
    """
    doubt = result.uncertainty
    outlines = None if other is None else 1.0 - dice(_core(result), _core(other))
    pairs = (outlines, types.second_reader, types.heat_elsewhere)
    probabilities = types.probabilities
    return CaseScores(
        uncertainty=tumour_uncertainty(doubt, result.labelmap) if doubt is not None else 0.5,
        features=case_features(case, result.labelmap),
        unsure_ml=unsure_ml(doubt, case.spacing_mm) if doubt is not None else 0.0,
        type_entropy=normalised_entropy(list(probabilities.values())) if probabilities else None,
        disagreement=max((pair for pair in pairs if pair is not None), default=None),
    )


def _core(result: SegmentationResult) -> Any:
    if result.scheme is LabelScheme.CORE:
        return result.labelmap == Label.CORE
    return region_mask(result.labelmap, Region.TC)
