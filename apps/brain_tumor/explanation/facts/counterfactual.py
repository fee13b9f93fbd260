"""Which single measured value would have to change, and how far, for another type to win."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.classifier import TumorTypeClassifier, pool_logits
from brain_tumor.classification.features.measurement import Measurement
from brain_tumor.classification.result import ClassificationResult, SliceReading
from brain_tumor.errors import InputError
from brain_tumor.explanation.facts.feature_families import is_view
from brain_tumor.explanation.facts.model import Counterfactual, CounterfactualSearch
from brain_tumor.explanation.facts.reference import FeatureReference
from brain_tumor.explanation.facts.vocabulary import written_value
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
) -> CounterfactualSearch | None:
    """Search every measured feature alone, within the 1st to 99th percentile of the patients.

    The change that counts as smallest is the one that is smallest relative to that range. Features
    of the view of the slice are left out, since they are no property of the tumour. What is found
    is the number that a sentence shows: rounded, and asked once more.

    Args:
        measurements: Of the case, by feature id.
        features: Ids in the order that `probabilities` expects.
        probabilities: Head of the classifier: shape (n, features), NaN where missing, to
            probabilities of shape (n, types).
        reference: Training patients.
        types: Order of the columns of the probabilities.

    Returns:
        The second most probable type, and the smallest change that lets it win, or None if none
        does. No outcome at all if there is a change that cannot be told: one that nobody would
        see, or that is lost when it is rounded.

    Raises:
        InputError: If the probabilities have another shape.
    """
    start = np.array([measurements[name].value for name in features], dtype=np.float32)
    first = _ask(probabilities, start[None, :], len(types))[0]
    order = np.argsort(-first, kind="stable")
    target = int(order[1])
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
    winning = _ask(probabilities, batch, len(types)).argmax(axis=1) == target
    if not winning.any():
        return CounterfactualSearch(tumor, None)

    def wins(column: int, value: float) -> bool:
        changed = start[None, :].copy()
        changed[0, column] = value
        return int(_ask(probabilities, changed, len(types))[0].argmax()) == target

    nearest: dict[tuple[int, bool], tuple[float, float, float]] = {}
    for row in np.flatnonzero(winning):
        column, value, width = trials[row]
        change = value - float(start[column])
        candidate = abs(change) / width, value, width
        if candidate[0] >= VISIBLE_SHARE:
            key = column, change > 0
            nearest[key] = min(nearest.get(key, candidate), candidate)
    for (column, _), (_, value, width) in sorted(nearest.items(), key=lambda entry: entry[1][0]):
        measured = measurements[features[column]]
        own = partial(wins, column)
        exact = _nearest_win(own, measured.value, value, width / STEPS)
        told = _written_win(own, features[column], measured, exact)
        if told is not None:
            found = Counterfactual(features[column], measured.value, told, tumor)
            return CounterfactualSearch(tumor, found)
    return None


def _nearest_win(
    wins: Callable[[float], bool], measured: float, winning: float, step: float
) -> float:
    """Bisect between a winning value and its losing neighbour towards the measured value."""
    direction = np.sign(winning - measured)
    losing = winning - direction * min(step, abs(winning - measured))
    for _ in range(BISECTIONS):
        middle = 0.5 * (winning + losing)
        winning, losing = (middle, losing) if wins(middle) else (winning, middle)
    return float(winning)


def _written_win(
    wins: Callable[[float], bool], feature: str, measured: Measurement, exact: float
) -> float | None:
    """The number that is written for a winning value, or the next one, if it wins as well.

    None if neither does, or if it would be written as the measured value is.
    """
    plain = written_value(feature, exact, measured.unit)
    digit = replace(plain, value=10.0**-plain.decimals).fact
    further = plain.fact + (digit if exact > measured.value else -digit)
    for number in (plain, written_value(feature, further, measured.unit)):
        if not number.states(measured.value, measured.unit) and wins(number.fact):
            return number.fact
    return None


def _ask(probabilities: Probabilities, batch: npt.NDArray[np.float32], count: int) -> FloatArray:
    answer = np.asarray(probabilities(batch), dtype=np.float64)
    if answer.shape != (len(batch), count):
        raise InputError(
            f"probabilities have shape {answer.shape}; expected ({len(batch)}, {count})"
        )
    return answer


def probabilities_if_changed(
    classification: ClassificationResult,
    main: SliceReading,
    classifier: TumorTypeClassifier,
    measured: npt.NDArray[np.float32],
) -> Probabilities:
    """Probabilities of the case, from all its slices, for other values of the main slice.

    Only the named values change: the appearance of the main slice and everything that the other
    slices say stay as they are.

    Args:
        classification: Of the case.
        main: Slice whose measurements are told; one of the case.
        classifier: Made the classification.
        measured: Values of the main slice in the order of the model's features, (F,), NaN where
            missing. For these the probabilities are those of the case.

    Returns:
        From values of shape (n, F) to probabilities of shape (n, types).
    """
    statistics = classifier.statistics
    lone = len(classification.slices) == 1
    calibration = statistics.slice_calibration if lone else statistics.case_calibration

    def scores(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Logits of the main slice, up to a constant for each row."""
        found = np.maximum(classifier.probabilities_of(main, values), np.finfo(np.float64).tiny)
        return np.asarray(statistics.slice_calibration.temperature * np.log(found))

    unchanged = scores(measured[None, :])

    def probabilities(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        # The difference is added, so that rounding in the network cannot move the measured case.
        changed = main.logits + scores(values) - unchanged
        readings = [
            replace(
                reading,
                logits=changed.T
                if reading is main
                else np.repeat(reading.logits[:, None], len(values), axis=1),
            )
            for reading in classification.slices
        ]
        pooled = pool_logits(readings)
        return np.asarray(calibration.probabilities(pooled.T), dtype=np.float64)

    return probabilities
