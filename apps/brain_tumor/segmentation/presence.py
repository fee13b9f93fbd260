"""Whether a case holds a tumour at all: one calibrated probability from the outline's own.

A segmentation network always outlines what looks most like a tumour. How sure it is of the surest
millilitres, and how many it is sure of, tells cases with a tumour from cases without.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import ScalarArray
from brain_tumor.errors import ModelError

SUREST_ML = 0.5
SURE_PROBABILITY = 0.9
"""A tumour that is less likely is outlined with a warning."""
LOWEST_PROBABILITY = 1e-4
SMALLEST_ML = 0.05


@dataclass(frozen=True)
class Presence:
    """Answer to the question whether there is a tumour.

    Attributes:
        probability: That the case holds a tumour; None where its sequences cannot tell.
        threshold: Probability from which a tumour is outlined.
        reason: Why nothing was outlined although nothing speaks against a tumour; else empty.
    """

    probability: float | None
    threshold: float
    reason: str = ""

    @property
    def is_found(self) -> bool:
        """Whether a tumour is outlined."""
        return self.probability is not None and self.probability >= self.threshold

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for replies and reports."""
        return {
            "probability": self.probability,
            "threshold": self.threshold,
            "found": self.is_found,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class PresenceModel:
    """Logistic model of two measurements; part of the metadata of the whole-head bundle.

    Attributes:
        intercept: Of the logit.
        surest: Slope for the logit of the mean probability of the surest half millilitre.
        volume: Slope for the logarithm of the volume above even odds, in mL.
        threshold: Probability from which a tumour is outlined.
        cases: Held-out cases that the model was fitted on; no probability goes beyond what these
            can support, 1 - 1 / (cases + 2).

    References:
        Cox 1958, doi:10.1111/j.2517-6161.1958.tb00292.x (logistic regression); Laplace's rule of
        succession for the bound.
    """

    intercept: float
    surest: float
    volume: float
    threshold: float = 0.5
    cases: int = 0

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> PresenceModel | None:
        """Model of a bundle, or None if it has none.

        Raises:
            ModelError: If an entry is unknown or no number.
        """
        entry = metadata.get("presence")
        if entry is None:
            return None
        try:
            values = {str(k): float(v) for k, v in entry.items()}
            return cls(**{**values, "cases": int(values.get("cases", 0))})  # type: ignore[arg-type]
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"presence of the metadata is unusable: {error}") from error

    def probability(self, tumour: ScalarArray, voxel_ml: float) -> float:
        """Probability that a case holds a tumour.

        Args:
            tumour: Probability of tumour, shape (I, J, K).
            voxel_ml: Volume of a voxel in mL.

        Example:
            >>> model = PresenceModel(intercept=0.0, surest=1.0, volume=0.0, cases=98)
            >>> round(model.probability(np.full((10, 10, 10), 0.8, np.float32), 0.001), 3)
            0.8
        """
        surest, volume = measure_presence(tumour, voxel_ml)
        logit = self.intercept + self.surest * surest + self.volume * volume
        probability = 1.0 / (1.0 + math.exp(-max(min(logit, 50.0), -50.0)))
        bound = 1.0 / (self.cases + 2)
        return min(max(probability, bound), 1.0 - bound)


def measure_presence(tumour: ScalarArray, voxel_ml: float) -> tuple[float, float]:
    """What the presence of a tumour is judged by.

    Args:
        tumour: Probability of tumour, shape (I, J, K).
        voxel_ml: Volume of a voxel in mL.

    Returns:
        Logit of the mean probability of the surest half millilitre, and the natural logarithm of
        the volume above even odds in mL; a twentieth of a millilitre counts as the least.

    Example:
        >>> surest, volume = measure_presence(np.full((10, 10, 10), 0.8, np.float32), 0.001)
        >>> round(surest, 3), round(volume, 3)
        (1.386, 0.0)
    """
    count = min(max(1, round(SUREST_ML / voxel_ml)), tumour.size)
    surest = float(np.partition(tumour.ravel(), tumour.size - count)[-count:].mean())
    surest = min(max(surest, LOWEST_PROBABILITY), 1 - LOWEST_PROBABILITY)
    volume_ml = float(np.count_nonzero(tumour > 0.5)) * voxel_ml
    return math.log(surest / (1 - surest)), math.log(max(volume_ml, SMALLEST_ML))


def cannot_tell(present: tuple[Sequence, ...], *, with_skull: bool) -> str:
    """Why a set of sequences cannot tell a tumour from other tissue; empty if it can.

    Args:
        present: Sequences of a case.
        with_skull: Whether skull and scalp are in the images.
    """
    names = " and ".join(sequence.value for sequence in present)
    if present == (Sequence.T1,):
        return (
            "From t1 alone a tumour cannot be told from other tissue, so nothing is outlined; "
            "add flair, t1c or t2."
        )
    if with_skull and set(present) <= {Sequence.T1, Sequence.T2}:
        return (
            f"From {names} of a head with skull a tumour cannot be told from other tissue, so "
            "nothing is outlined; add flair or t1c."
        )
    return ""


def presence_warnings(probability: float, is_found: bool, voxels: int) -> list[str]:
    """What a reader must know of an answer.

    Args:
        probability: That there is a tumour.
        is_found: Whether it is outlined.
        voxels: How many were outlined.
    """
    if voxels == 0 and not is_found:
        return [f"No tumour was found; the probability that there is one is {probability:.0%}."]
    if voxels == 0:
        return [
            "Nothing is sure enough to be outlined, although the probability that there is a "
            f"tumour is {probability:.0%}; look at the whole scan."
        ]
    if probability < SURE_PROBABILITY:
        return [
            f"Whether there is a tumour at all is doubtful (probability {probability:.0%}); "
            "look at the whole scan."
        ]
    return []
