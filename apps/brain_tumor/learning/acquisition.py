"""Which case to correct next: where the models doubt or differ, unlike what was corrected, quickly.

Every measure looks at the tumour, not at the air around it. Scores are ranks from 0 to 1 over the
cases to choose from, so that measures on different scales can be put together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.labels import Label, LabelArray

FloatArray = npt.NDArray[np.float64]

IN_DOUBT = 0.5
"""A voxel is in doubt from half a bit on: where its label is less than 89 % sure."""

NOTHING_FOUND = 1.0
"""Uncertainty of a case in which no tumour was found: it is missed or not there; somebody looks."""

MINUTES_BASE, MINUTES_PER_ML = 2.0, 0.15
"""Expected effort before anybody has told how long corrections take."""

REDUNDANT = 0.25
"""A case nearer to a corrected one than this share of the median distance counts as a repeat."""

WEIGHTS: Mapping[str, float] = {
    "uncertainty": 1.0,
    "type_entropy": 0.5,
    "disagreement": 1.0,
    "diversity": 1.0,
    "effort": -0.5,
}


@dataclass(frozen=True)
class CaseScores:
    """What is known about a case that nobody has corrected.

    Attributes:
        uncertainty: Mean doubt over the tumour and its doubtful surroundings, 0-1.
        features: Position in feature space, see `case_features`.
        unsure_ml: Volume whose label is in doubt.
        type_entropy: Entropy of the tumour type, 0-1; None without a classifier.
        disagreement: How far models differ about the case, 0-1; None if only one read it.
    """

    uncertainty: float
    features: tuple[float, ...]
    unsure_ml: float
    type_entropy: float | None = None
    disagreement: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for the ledger."""
        return {**asdict(self), "features": list(self.features)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CaseScores:
        """Read what `to_json` wrote.

        Raises:
            KeyError: If something is missing.
        """
        return cls(
            uncertainty=float(values["uncertainty"]),
            features=tuple(float(f) for f in values["features"]),
            unsure_ml=float(values["unsure_ml"]),
            type_entropy=values.get("type_entropy"),
            disagreement=values.get("disagreement"),
        )


def tumour_uncertainty(uncertainty: npt.NDArray[np.float32], labelmap: LabelArray) -> float:
    """Mean doubt over the voxels that are labelled or `IN_DOUBT`.

    A faint haze far from the tumour does not count, however many voxels it has: else the score
    would tell how large a box the model has looked at.

    Args:
        uncertainty: Doubt per voxel, 0-1, as of `SegmentationResult.uncertainty`.
        labelmap: Labels, same shape.

    Returns:
        0-1; `NOTHING_FOUND` where no voxel has a label.
    """
    if not labelmap.any():
        return NOTHING_FOUND
    region = (labelmap > 0) | (uncertainty >= IN_DOUBT)
    return float(uncertainty[region].mean())


def unsure_ml(
    uncertainty: npt.NDArray[np.float32], spacing_mm: tuple[float, float, float]
) -> float:
    """Volume that is `IN_DOUBT`."""
    return float(np.count_nonzero(uncertainty >= IN_DOUBT) * np.prod(spacing_mm) / 1000.0)


def normalised_entropy(probabilities: Sequence[float]) -> float:
    """Entropy of a distribution over its maximum, 0-1.

    Example:
        >>> normalised_entropy([0.25, 0.25, 0.25, 0.25])
        1.0
    """
    entropy = -sum(p * math.log(p) for p in probabilities if p > 0)
    return entropy / math.log(len(probabilities))


def case_features(case: Case, labelmap: LabelArray) -> tuple[float, ...]:
    """Where a case lies: size, parts, place and shape of the tumour, contrast, voxels, sequences.

    Args:
        case: The case.
        labelmap: What the model found, on its grid.

    Returns:
        19 numbers of about unit scale.
    """
    voxel_ml = float(np.prod(case.spacing_mm)) / 1000.0
    volumes = [
        math.log1p(np.count_nonzero(labelmap == label) * voxel_ml) / 2
        for label in (Label.NCR, Label.ED, Label.ET, Label.CORE)
    ]
    found = np.argwhere(labelmap > 0)
    place, extent = np.zeros(3), np.zeros(3)
    if len(found):
        world = found @ case.affine[:3, :3].T
        middle = case.affine[:3, :3] @ ((np.array(case.shape) - 1) / 2)
        place = (world.mean(axis=0) - middle) / 40.0
        extent = world.std(axis=0) / 15.0
    contrasts = [_contrast(case, labelmap, sequence) for sequence in MriSequence]
    voxels = [math.log(mm) for mm in sorted(case.spacing_mm)[1:]]
    stripped = float((case.volumes[case.reference].array == 0).mean() > 0.4)
    lone = float(len(case.present) == 1)
    count = len(case.present) / 4
    return tuple(
        float(v) for v in (*volumes, *place, *extent, *contrasts, *voxels, stripped, lone, count)
    )


def _contrast(case: Case, labelmap: LabelArray, sequence: MriSequence) -> float:
    """Mean of the tumour against the rest of the head, in standard deviations; 0 without either."""
    volume = case.volumes.get(sequence)
    if volume is None or not labelmap.any():
        return 0.0
    head = volume.array[volume.array > np.median(volume.array)]
    if head.size < 2 or head.std() == 0:
        return 0.0
    return float(np.clip((volume.array[labelmap > 0].mean() - head.mean()) / head.std(), -3, 3))


def standardised(features: FloatArray) -> FloatArray:
    """Features with median 0 and quartile distance 1; constant ones become 0."""
    low, middle, high = np.percentile(features, [25, 50, 75], axis=0)
    spread = np.where(high > low, high - low, np.inf)
    deviation = features.std(axis=0)
    spread = np.where(np.isinf(spread) & (deviation > 0), deviation, spread)
    scaled: FloatArray = (features - middle) / spread
    return scaled


def distance_to_known(features: FloatArray, known: FloatArray) -> FloatArray:
    """Distance of each case to the nearest known one; to the centre if none is known.

    Args:
        features: Shape (N, F).
        known: Shape (M, F).
    """
    others = known if len(known) else features.mean(axis=0, keepdims=True)
    distances = np.linalg.norm(features[:, None] - others[None], axis=2)
    nearest: FloatArray = distances.min(axis=1)
    return nearest


def ranks(values: Sequence[float | None]) -> FloatArray:
    """Ranks from 0 to 1, ties shared; what is not known gets the middle.

    Example:
        >>> ranks([3.0, 1.0, None, 2.0]).tolist()
        [1.0, 0.0, 0.5, 0.5]
    """
    known = [v for v in values if v is not None]
    if len(set(known)) < 2:
        return np.full(len(values), 0.5)
    place = np.array(
        [
            0.5 if v is None else sum(k < v for k in known) + (sum(k == v for k in known) - 1) / 2
            for v in values
        ]
    )
    missing = np.array([v is None for v in values])
    return np.where(missing, 0.5, place / (len(known) - 1))


def combined_scores(
    cases: Sequence[CaseScores],
    known: Sequence[CaseScores],
    minutes: Sequence[float] | None = None,
) -> FloatArray:
    """All measures put together, higher first; repeats of corrected cases fall behind.

    Args:
        cases: Cases to choose from; at least one.
        known: Corrected or reserved cases.
        minutes: Expected effort per case; by default from the volume in doubt.
    """
    novelty, is_repeat = diversity(cases, known)
    effort = minutes or [MINUTES_BASE + MINUTES_PER_ML * c.unsure_ml for c in cases]
    measures = {
        "uncertainty": ranks([c.uncertainty for c in cases]),
        "type_entropy": ranks([c.type_entropy for c in cases]),
        "disagreement": ranks([c.disagreement for c in cases]),
        "diversity": ranks(novelty.tolist()),
        "effort": ranks(list(effort)),
    }
    total = np.zeros(len(cases))
    for name, weight in WEIGHTS.items():
        total += weight * measures[name]
    return total - 10.0 * is_repeat


def diversity(
    cases: Sequence[CaseScores], known: Sequence[CaseScores]
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """How far each case is from the known ones, and which only repeat one of them."""
    everything = standardised(np.array([c.features for c in (*cases, *known)]))
    features, others = everything[: len(cases)], everything[len(cases) :]
    novelty = distance_to_known(features, others)
    if not len(others):
        return novelty, np.zeros(len(cases), dtype=bool)
    typical = float(np.median(distance_to_known(others, features))) if len(cases) > 1 else 0.0
    spread = float(np.median(np.linalg.norm(everything - everything.mean(axis=0), axis=1)))
    limit = REDUNDANT * max(typical, spread)
    return novelty, np.asarray(novelty < limit, dtype=bool)


def fit_minutes(unsure: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Effort as minutes = a + b * mL in doubt, from corrections that told how long they took.

    Args:
        unsure: Volume in doubt before each correction, mL.
        seconds: Time that each took.

    Returns:
        a and b, both at least 0; the defaults below five corrections or without any spread.
    """
    if len(unsure) < 5 or len(set(unsure)) < 2:
        return MINUTES_BASE, MINUTES_PER_ML
    slope, intercept = np.polyfit(np.asarray(unsure), np.asarray(seconds) / 60.0, 1)
    return max(0.0, float(intercept)), max(0.0, float(slope))
