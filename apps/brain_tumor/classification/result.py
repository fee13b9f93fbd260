"""What classification returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from brain_tumor.bundles import ModelVersion
from brain_tumor.classification.case_slices import CaseSlice, Patch
from brain_tumor.classification.features.case_shape import CaseShape
from brain_tumor.classification.features.features import FeatureVector
from brain_tumor.labels import TumorType

UNDETERMINED = "undetermined"
Probabilities = Mapping[TumorType, float]


@dataclass(frozen=True, eq=False)
class SliceReading:
    """One slice and what was read from it.

    Attributes:
        part: Slice.
        patch: What the network saw.
        features: What was measured.
        logits: Fused logits in the order of `TumorType`, (3,).
        probabilities: Calibrated for a single slice.
        embedding: Appearance as a vector, (D,).
        contributions: Share of every measured feature in each logit, (F, 3): its signed
            contribution against an unmeasured one, in the order of the model's features.
        agreement: Of the outline with the network's own map of the tumour, 0-1.
    """

    part: CaseSlice
    patch: Patch
    features: FeatureVector
    logits: npt.NDArray[np.float32]
    probabilities: Probabilities
    embedding: npt.NDArray[np.float32]
    contributions: npt.NDArray[np.float32]
    agreement: float = 1.0


@dataclass(frozen=True)
class OutlierScore:
    """How far the case is from the training data.

    Attributes:
        score: Distance; 1 is a typical training case.
        threshold: Beyond it the case is out of distribution.
    """

    score: float
    threshold: float

    @property
    def is_out(self) -> bool:
        """Whether the case is out of distribution."""
        return self.score > self.threshold


@dataclass(frozen=True, eq=False)
class ClassificationResult:
    """Tumour type of a case, or why it cannot be told.

    Attributes:
        prediction: Type, or None if undetermined.
        probabilities: Calibrated, sum 1; None if no tumour was found.
        prediction_set: Types that cannot be excluded at the promised coverage; one exactly if
            the probabilities decide, none only if no tumour was read.
        coverage: That promise.
        reasons: Why the type is undetermined; empty otherwise.
        outlier: Distance from the training data; None if no tumour was found.
        slices: Per-slice results, in the order of planes and positions.
        model: Model behind the result.
        timings_s: Seconds per stage.
        warnings: Sentences that a reader must see first.
        shape: Of the tumour in space; None if it was not asked for.
        pieces: Separate tumours that are believed; see `pieces`.
        unlike: Distance of the measurements from known patients with the likeliest type; None
            where nothing was compared.
    """

    prediction: TumorType | None
    probabilities: Probabilities | None
    prediction_set: tuple[TumorType, ...]
    coverage: float
    reasons: tuple[str, ...]
    outlier: OutlierScore | None
    slices: tuple[SliceReading, ...]
    model: ModelVersion
    timings_s: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    shape: CaseShape | None = None
    pieces: int = 0
    unlike: OutlierScore | None = None

    @property
    def likeliest(self) -> TumorType | None:
        """The most probable type, also when the answer is undetermined."""
        if self.probabilities is None:
            return None
        return max(self.probabilities, key=lambda kind: self.probabilities[kind])  # type: ignore[index]

    @property
    def main_slice(self) -> SliceReading | None:
        """Slice with the largest cross-section."""
        return max(self.slices, key=lambda reading: reading.part.area_mm2, default=None)
