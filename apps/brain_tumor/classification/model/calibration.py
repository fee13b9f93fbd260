"""Probabilities that mean what they say: temperature, and prediction sets with a coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from brain_tumor.errors import InputError

Array = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

TEMPERATURES = (0.2, 20.0)
BINS = 15


@dataclass(frozen=True)
class Calibration:
    """How logits become probabilities and prediction sets.

    Attributes:
        temperature: Logits are divided by it.
        coverage: Promised share of cases whose true class is in the prediction set.
        least_probability: A class is in the conformal set from this probability on.
        patients: Held-out patients that it was fitted on; None where nobody counted.
    """

    temperature: float
    coverage: float
    least_probability: float
    patients: int | None = None

    def probabilities(self, logits: Array) -> Array:
        """Calibrated probabilities, (..., classes), of logits of the same shape."""
        found: Array = softmax(np.asarray(logits, dtype=np.float64) / self.temperature, axis=-1)
        return found

    def reported(self, probabilities: Array) -> Array:
        """Probabilities as they may be told: none beyond what the held-out patients can show.

        With n patients who all were right, the next one is right with 1 - 1 / (n + 2) by Laplace's
        rule, so nobody who has seen n patients may claim more. What exceeds it goes to the other
        classes in proportion. A calibration of unknown patients tells what it has.

        Args:
            probabilities: Calibrated, (..., classes), each row sums to 1.

        Example:
            >>> Calibration(1.0, 0.95, 0.6, patients=8).reported(np.array([0.98, 0.015, 0.005]))
            array([0.9  , 0.075, 0.025])
        """
        values = np.asarray(probabilities, dtype=np.float64)
        if self.patients is None:
            return values
        most = certainty_bound(self.patients)
        top = values.argmax(axis=-1)[..., None]
        is_top = np.arange(values.shape[-1]) == top
        likeliest = np.take_along_axis(values, top, axis=-1)
        rest = 1.0 - likeliest
        even = np.full_like(values, 1.0 / (values.shape[-1] - 1))
        shares = np.divide(values, rest, out=even, where=np.broadcast_to(rest > 0, values.shape))
        bounded = np.where(is_top, most, (1.0 - most) * shares)
        return np.asarray(np.where(likeliest > most, bounded, values))

    def prediction_set(self, probabilities: Array) -> npt.NDArray[np.bool_]:
        """Which classes are in the set, same shape; never empty.

        The classes from `least_probability` on. Where there is none, nothing is decided: the
        likeliest classes whose probabilities sum to the coverage, at least two. More classes than
        the conformal set has cannot break its promise.

        Args:
            probabilities: Calibrated, (..., classes).

        Example:
            >>> Calibration(1.0, 0.95, 0.64).prediction_set(np.array([0.6, 0.38, 0.02])).tolist()
            [True, True, False]
        """
        values = np.asarray(probabilities)
        likely = values >= self.least_probability
        order = np.argsort(-values, axis=-1, kind="stable")
        ranked = np.take_along_axis(values, order, axis=-1)
        wanted = ranked.cumsum(axis=-1) - ranked < self.coverage
        wanted[..., :2] = True
        candidates = np.zeros_like(likely)
        np.put_along_axis(candidates, order, wanted, axis=-1)
        kept: npt.NDArray[np.bool_] = np.where(likely.any(-1, keepdims=True), likely, candidates)
        return kept


def certainty_bound(patients: int) -> float:
    """Most that may be told after a number of patients: Laplace's rule of succession.

    Args:
        patients: Held out while the model was trained.

    Example:
        >>> round(certainty_bound(168), 4)
        0.9941
    """
    return 1.0 - 1.0 / (patients + 2)


def fit_calibration(
    logits: Array, truth: Integers, coverage: float, patients: int | None = None
) -> Calibration:
    """Temperature by likelihood, then the threshold of split-conformal prediction sets.

    Args:
        logits: Of held-out examples, (N, classes).
        truth: Their classes, (N,).
        coverage: Wanted share, between 0 and 1.
        patients: Whose examples they are, as a number of people.

    Raises:
        InputError: If there are no examples or coverage is not between 0 and 1.

    References:
        Guo et al. 2017, arXiv:1706.04599 (temperature); Sadinle et al. 2019,
        doi:10.1080/01621459.2017.1395341 (least ambiguous sets).
    """
    if len(truth) == 0 or not 0 < coverage < 1:
        raise InputError(f"{len(truth)} examples at coverage {coverage} cannot be calibrated on")
    scores = np.asarray(logits, dtype=np.float64)

    def loss(log_temperature: float) -> float:
        chosen = log_softmax(scores / np.exp(log_temperature), axis=1)[np.arange(len(truth)), truth]
        return -float(chosen.mean())

    low, high = np.log(TEMPERATURES)
    temperature = float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))
    true_probability = softmax(scores / temperature, axis=1)[np.arange(len(truth)), truth]
    threshold = conformal_threshold(true_probability, coverage)
    return Calibration(temperature, coverage, threshold, patients)


def fit_mixed_calibration(
    readings: Sequence[Array], truth: Integers, coverage: float, patients: int | None = None
) -> Calibration:
    """One calibration for examples read in several ways, each of which occurs in use.

    Args:
        readings: Logits of the same held-out examples, each (N, classes): with experts' outlines
            and with a model's own.
        truth: Their classes, (N,).
        coverage: Wanted share, between 0 and 1.
        patients: Whose examples they are, as a number of people.

    Raises:
        InputError: If there are no examples or coverage is not between 0 and 1.
    """
    repeated = np.tile(truth, len(readings))
    return fit_calibration(np.concatenate(readings), repeated, coverage, patients)


def conformal_threshold(true_probability: Array, coverage: float) -> float:
    """Probability from which on a class is in the set.

    The k-th smallest probability of the true class, k = floor((n + 1) (1 - coverage)); 0 if n is
    too small for the promise, so that every class is in every set.

    Args:
        true_probability: Probability given to the true class, (N,).
        coverage: Promised share.

    Example:
        >>> conformal_threshold(np.arange(1, 20) / 20, 0.9)
        0.1
    """
    rank = int(np.floor((len(true_probability) + 1) * (1 - coverage) + 1e-9))
    return float(np.sort(true_probability)[rank - 1]) if rank >= 1 else 0.0


def expected_calibration_error(probabilities: Array, truth: Integers, bins: int = BINS) -> float:
    """Mean distance between confidence and accuracy over equally wide bins of confidence.

    Args:
        probabilities: (N, classes).
        truth: (N,).
        bins: Number of bins over 0 ... 1.

    References:
        Naeini et al. 2015, doi:10.1609/aaai.v29i1.9602.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0.0
    for chosen in range(bins):
        inside = place == chosen
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return float(error)


def brier_score(probabilities: Array, truth: Integers) -> float:
    """Mean squared distance to the one-hot truth, summed over classes: 0 is perfect, 2 worst."""
    wanted = np.eye(probabilities.shape[1])[truth]
    return float(((probabilities - wanted) ** 2).sum(axis=1).mean())


def pool_slices(
    logits: npt.NDArray[Any], planes: Sequence[str], areas_mm2: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Mean of the slices' log-probabilities, large cross-sections first.

    Planes count the same however many slices they give; inside a plane a slice weighs as much as
    the square root of its area.

    Args:
        logits: Of each slice, (N, 3), N >= 1.
        planes: Plane of each slice, (N,).
        areas_mm2: Area of the tumour in each slice, (N,), each > 0.

    Returns:
        Shape (3,).

    Example:
        >>> even = np.log([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])
        >>> np.exp(pool_slices(even, ["axial", "coronal"], [400.0, 100.0])).round(3).tolist()
        [0.354, 0.354, 0.25]
    """
    scores = np.asarray(logits, dtype=np.float64)
    scores = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    plane, weights = np.asarray(planes), np.sqrt(areas_mm2)
    means = [
        np.average(scores[plane == one], axis=0, weights=weights[plane == one])
        for one in dict.fromkeys(planes)
    ]
    pooled: npt.NDArray[np.float64] = np.mean(means, axis=0)
    return pooled
