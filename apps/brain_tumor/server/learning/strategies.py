"""Strategies that hand out the case from which a model would learn most."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Items
from typing import Any

import numpy as np
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from brain_tumor.learning.acquisition import (
    CaseScores,
    FloatArray,
    combined_scores,
    diversity,
    fit_minutes,
)
from brain_tumor.learning.ledger.ledger import Kind, Ledger

Measure = Callable[[Items[CaseScores], Items[CaseScores], "list[float]"], FloatArray]

DESCRIPTIONS = {
    "uncertainty": "Where the model doubts about the tumour most",
    "disagreement": "Where models differ most, or the tumour type is in doubt",
    "diversity": "Least like the cases that are corrected already",
    "combined": "Doubt, disagreement and diversity against the expected effort",
}


class VisibleCases:
    """The datastore as one annotator sees it: without what others hold, with what is reopened.

    Args:
        datastore: The studies folder.
        hidden: Cases that others have reserved.
        reopened: Labelled cases that are to be corrected again.
    """

    def __init__(self, datastore: Any, hidden: frozenset[str], reopened: frozenset[str]) -> None:
        self._datastore = datastore
        self._hidden = hidden
        self._reopened = reopened

    def get_unlabeled_images(self, label_tag: str | None = None) -> list[str]:
        """Cases to hand out, sorted."""
        known = set(self._datastore.list_images())
        waiting = set(self._datastore.get_unlabeled_images(label_tag)) | self._reopened
        return sorted((waiting & known) - self._hidden)

    def get_image_info(self, image: str) -> dict[str, Any]:
        """Information about a case."""
        info: dict[str, Any] = self._datastore.get_image_info(image)
        return info


class ScoredStrategy(Strategy):  # type: ignore[misc]
    """Highest score first; cases that are not scored yet come after those that are.

    Args:
        name: One of `DESCRIPTIONS`.
        ledger: Where the scores are; asked for when needed, because it is made later.
    """

    def __init__(self, name: str, ledger: Callable[[], Ledger]) -> None:
        super().__init__(DESCRIPTIONS[name])
        self._measure = _MEASURES[name]
        self._ledger = ledger

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """Id and score of the case, or None if all are labelled."""
        waiting = sorted(datastore.get_unlabeled_images(request.get("label_tag")))
        if not waiting:
            return None
        scores = {case: parse_scores(row) for case, row in self._ledger().scores.newest().items()}
        cases = [case for case in waiting if scores.get(case) is not None]
        if not cases:
            return {"id": waiting[0]}
        known = [s for case, s in scores.items() if s is not None and case not in waiting]
        chosen = [s for s in (scores[case] for case in cases) if s is not None]
        values = self._measure(chosen, known, expected_minutes(self._ledger(), chosen))
        best = int(np.argmax(values))
        return {"id": cases[best], "score": round(float(values[best]), 4)}


def parse_scores(row: Mapping[str, Any]) -> CaseScores | None:
    """Scores of a case in the ledger; None if they are of another kind."""
    try:
        return CaseScores.from_json(row["values"])
    except (KeyError, TypeError, ValueError):
        return None


def expected_minutes(ledger: Ledger, cases: Items[CaseScores]) -> list[float]:
    """Expected effort, from how long corrections took so far."""
    scores = {case: parse_scores(row) for case, row in ledger.scores.newest().items()}
    unsure, seconds = [], []
    for one in ledger.submissions(kind=Kind.MASK, limit=500):
        held = scores.get(one.case_id)
        if one.seconds_spent is not None and held is not None:
            unsure.append(held.unsure_ml)
            seconds.append(one.seconds_spent)
    base, per_ml = fit_minutes(unsure, seconds)
    return [base + per_ml * case.unsure_ml for case in cases]


def _uncertainty(cases: Items[CaseScores], _k: Items[CaseScores], _m: list[float]) -> FloatArray:
    return np.array([case.uncertainty for case in cases])


def _disagreement(cases: Items[CaseScores], _k: Items[CaseScores], _m: list[float]) -> FloatArray:
    return np.array([max(case.disagreement or 0.0, case.type_entropy or 0.0) for case in cases])


def _diversity(cases: Items[CaseScores], known: Items[CaseScores], _m: list[float]) -> FloatArray:
    return diversity(cases, known)[0]


_MEASURES: Mapping[str, Measure] = {
    "uncertainty": _uncertainty,
    "disagreement": _disagreement,
    "diversity": _diversity,
    "combined": combined_scores,
}


class FirstStrategy(Strategy):  # type: ignore[misc]
    """The first unlabelled case by id."""

    def __init__(self) -> None:
        super().__init__("First unlabelled case by name")

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """Id of the case, or None if all are labelled."""
        images = sorted(datastore.get_unlabeled_images(request.get("label_tag")))
        return {"id": images[0]} if images else None


class RandomStrategy(Strategy):  # type: ignore[misc]
    """A random unlabelled case among those that were handed out longest ago.

    Cases that nobody got yet come first, so every case is seen once before any is seen twice.

    Args:
        seed: Makes the choice reproducible; None takes the system's entropy.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__("Random unlabelled case, never-served ones first")
        self._random = random.Random(seed)

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """Id of the case, or None if all are labelled."""
        images = sorted(datastore.get_unlabeled_images(request.get("label_tag")))
        if not images:
            return None
        name = request.get("strategy", "random")
        served = {
            image: datastore.get_image_info(image).get("strategy", {}).get(name, {}).get("ts", 0)
            for image in images
        }
        longest_ago = min(served.values())
        return {"id": self._random.choice([i for i in images if served[i] == longest_ago])}
