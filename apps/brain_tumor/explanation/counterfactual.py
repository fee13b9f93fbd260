"""Which single measured value would have to change, and how far, for another type to win."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.measurement import Measurement
from brain_tumor.errors import InputError
from brain_tumor.explanation.facts import Counterfactual, CounterfactualSearch
from brain_tumor.explanation.feature_families import is_view
from brain_tumor.explanation.reference import FeatureReference
from brain_tumor.labels import TYPES, TumorType

FloatArray = npt.NDArray[np.float64]
Probabilities = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.floating[Any]]]

STEPS = 24
"""Values that are tried between the measured one and each limit of the reference."""
BISECTIONS = 6
VISIBLE_SHARE = 0.01
"""A change smaller than this share of the reference range is no change that one can see."""


def find_counterfactual(
    measurements: Mapping[str, Measurement],
    features: Sequence[str],
    probabilities: Probabilities,
    reference: FeatureReference,
    *,
    types: Sequence[TumorType] = TYPES,
) -> CounterfactualSearch:
    """Search every measured feature alone, within the 1st to 99th percentile of the patients.

    The change that counts as smallest is the one that is smallest relative to that range. Features
    of the view of the slice are left out, since they are no property of the tumour.

    Args:
        measurements: Of the case, by feature id.
        features: Ids in the order that `probabilities` expects.
        probabilities: Head of the classifier: shape (n, features), NaN where missing, to
            probabilities of shape (n, types).
        reference: Training patients.
        types: Order of the columns of the probabilities.

    Returns:
        The second most probable type, and the smallest change that lets it win, or None.

    Raises:
        InputError: If the probabilities have another shape.
    """
    start = np.array([measurements[name].value for name in features], dtype=np.float32)
    first = _ask(probabilities, start[None, :], len(types))[0]
    order = np.argsort(-first, kind="stable")
    winner, target = int(order[0]), int(order[1])
    trials: list[tuple[int, float, float]] = []
    for column, name in enumerate(features):
        limits = reference.limits(name)
        value = float(start[column])
        if limits is None or not np.isfinite(value) or is_view(name) or limits[1] <= limits[0]:
            continue
        for limit in limits:
            # Towards a limit only: a value already outside the reference is not pushed further.
            outward = (value < limits[0] and limit == limits[0]) or (
                value > limits[1] and limit == limits[1]
            )
            if not outward and limit != value:
                steps = np.linspace(value, limit, STEPS + 1)[1:]
                trials += [(column, float(step), limits[1] - limits[0]) for step in steps]
    tumor = types[target]
    if not trials:
        return CounterfactualSearch(tumor, None)
    batch = np.repeat(start[None, :], len(trials), axis=0)
    for row, (column, value, _) in enumerate(trials):
        batch[row, column] = value
    wins = _ask(probabilities, batch, len(types)).argmax(axis=1) == target
    best: tuple[float, int, float] | None = None
    for row in np.flatnonzero(wins):
        column, value, width = trials[row]
        distance = abs(value - float(start[column])) / width
        if distance >= VISIBLE_SHARE and (best is None or distance < best[0]):
            best = distance, column, value
    if best is None or winner == target:
        return CounterfactualSearch(tumor, None)
    _, column, value = best
    limits = reference.limits(features[column])
    step = (limits[1] - limits[0]) / STEPS if limits else 0.0
    nearest = _nearest_win(probabilities, start, column, value, step, target, len(types))
    found = Counterfactual(features[column], float(start[column]), nearest, tumor)
    return CounterfactualSearch(tumor, found)


def _nearest_win(
    probabilities: Probabilities,
    start: npt.NDArray[np.float32],
    column: int,
    winning: float,
    step: float,
    target: int,
    count: int,
) -> float:
    """Bisect between a winning value and its losing neighbour towards the measured value."""
    measured = float(start[column])
    direction = np.sign(winning - measured)
    losing = winning - direction * min(step, abs(winning - measured))
    for _ in range(BISECTIONS):
        middle = 0.5 * (winning + losing)
        trial = start.copy()
        trial[column] = middle
        wins = int(_ask(probabilities, trial[None, :], count)[0].argmax()) == target
        winning, losing = (middle, losing) if wins else (winning, middle)
    return float(winning)


def _ask(probabilities: Probabilities, batch: npt.NDArray[np.float32], count: int) -> FloatArray:
    answer = np.asarray(probabilities(batch), dtype=np.float64)
    if answer.shape != (len(batch), count):
        raise InputError(
            f"probabilities have shape {answer.shape}; expected ({len(batch)}, {count})"
        )
    return answer
