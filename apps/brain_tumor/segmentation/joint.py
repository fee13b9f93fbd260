"""One opinion of two networks: the 3-D network of brains and the 2.5-D network of whole heads.

The 3-D network has learnt sub-regions on stripped brains; the 2.5-D network has seen heads with
skull, thick slices and health as well. Both are asked; `JointRule` says what each counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from brain_tumor.bundles import ModelVersion, combined_version
from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.interpolation import interpolate
from brain_tumor.cases.grid.preprocessing import WorkingCase, to_native_grid
from brain_tumor.cases.volume import ScalarArray
from brain_tumor.errors import ModelError
from brain_tumor.labels import Label
from brain_tumor.segmentation.presence import Presence, PresenceModel, cannot_tell
from brain_tumor.segmentation.result import SegmentationResult
from brain_tumor.segmentation.subregions.inference import (
    StageTimer,
    SubregionSegmenter,
    WorkingPrediction,
)
from brain_tumor.segmentation.subregions.losses import region_probabilities
from brain_tumor.segmentation.whole_head.reader import HeadReading, WholeHeadReader

SMALLEST = 1e-4


@dataclass(frozen=True)
class JointRule:
    """How much the whole-head network counts; part of its bundle's metadata.

    The defaults: in stripped brains the 3-D network outlines as well alone, and the other one is
    asked so that what only one of them sees is not sure enough to stay.

    Attributes:
        stripped: Weight of its whole tumour where the skull is gone; the rest is the 3-D network's.
        with_skull: The same where skull and scalp are in the images.
        parts_stripped: Weight of its division of the tumour into parts, skull gone.
        parts_with_skull: The same, with skull.
        thin_slab_mm: Slices that span less are read by the whole-head network alone: the 3-D
            network has learnt whole brains.
    """

    stripped: float = 0.3
    with_skull: float = 1.0
    parts_stripped: float = 0.0
    parts_with_skull: float = 0.5
    thin_slab_mm: float = 30.0

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> JointRule:
        """Rule of a bundle.

        Raises:
            ModelError: If the rule has unknown or non-numeric entries.
        """
        try:
            return cls(**{str(k): float(v) for k, v in metadata.get("joint", {}).items()})
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"joint of the metadata is unusable: {error}") from error


def joint_probabilities(
    probabilities: torch.Tensor, working: WorkingCase, reading: HeadReading, rule: JointRule
) -> torch.Tensor:
    """Class probabilities of both networks together.

    The whole tumour and, given the tumour, its core and, given the core, its enhancement are
    averaged each, so that a network that is unsure of the tumour does not blur its parts.

    Args:
        probabilities: Of the 3-D network, shape (4, I, J, K), classes in the order of `Label`.
        working: Their grid.
        reading: Of the whole-head network, on a grid of its own.
        rule: Weights.

    Returns:
        Shape (4, I, J, K).
    """
    shape = (probabilities.shape[1], probabilities.shape[2], probabilities.shape[3])
    theirs = interpolate(reading.regions, reading.affine, working.affine, shape)
    ours = region_probabilities(probabilities[None])[0]
    whole, parts = _weights(reading, rule)
    tumour = torch.lerp(ours[0], theirs[0], whole)
    core = torch.lerp(_given(ours[1], ours[0]), _given(theirs[1], theirs[0]), parts)
    enhancing = torch.lerp(_given(ours[2], ours[1]), _given(theirs[2], theirs[1]), parts)
    joint = torch.empty_like(probabilities)
    joint[int(Label.BACKGROUND)] = 1 - tumour
    joint[int(Label.ED)] = tumour * (1 - core)
    joint[int(Label.NCR)] = tumour * core * (1 - enhancing)
    joint[int(Label.ET)] = tumour * core * enhancing
    return joint


class JointSegmenter:
    """Outlines sub-regions with both networks, if there is a tumour; thread-safe.

    Args:
        subregions: 3-D network with its clean-up.
        heads: 2.5-D network; its metadata hold the rule and the model of presence.
    """

    def __init__(self, subregions: SubregionSegmenter, heads: WholeHeadReader) -> None:
        self._subregions = subregions
        self._heads = heads
        self._rule = JointRule.from_metadata(heads.metadata)
        self._presence = PresenceModel.from_metadata(heads.metadata)

    @classmethod
    def load(cls, subregions: Path, heads: Path) -> JointSegmenter:
        """Read both bundles.

        Raises:
            ModelError: If one is missing or damaged.
        """
        return cls(SubregionSegmenter.load(subregions), WholeHeadReader.load(heads))

    @property
    def version(self) -> ModelVersion:
        """Both models as one: changes when either changes."""
        return combined_version(self._subregions.version.name, self.models)

    @property
    def models(self) -> tuple[ModelVersion, ...]:
        """What takes part."""
        return (self._subregions.version, self._heads.version)

    def segment(self, case: Case, *, mirrored: bool = False) -> SegmentationResult:
        """Outline the tumour of a case with any subset of sequences.

        Args:
            case: The case.
            mirrored: Average both networks with the left-right mirrored case.

        Raises:
            VolumeError: If the reference volume is empty or no head.
        """
        timer = StageTimer()
        prediction, reading = self._predict(case, timer, mirrored=mirrored)
        result = self._subregions.finish(
            case,
            prediction,
            timer,
            presence=self._judge(case, prediction, reading),
            helpers=(self._heads.version,),
        )
        return replace(result, reason=f"{result.reason} {self._role(reading)}".strip())

    def _role(self, reading: HeadReading) -> str:
        """What the whole-head network was asked for, in words; empty if both count alike."""
        if reading.extent_mm < self._rule.thin_slab_mm:
            return "It is a thin slab, read slice by slice by the whole-head model."
        if reading.with_skull:
            return "Skull and scalp are in the images, so the whole-head model outlines the tumour."
        return ""

    def tumour_probability(self, case: Case) -> ScalarArray:
        """Probability of any tumour on the grid of a case, before anything is cleaned up."""
        prediction, _ = self._predict(case, StageTimer(), mirrored=False)
        tumour = 1.0 - prediction.probabilities[int(Label.BACKGROUND)]
        found = np.zeros(case.shape, dtype=np.float32)
        part, place = to_native_grid(tumour[None], prediction.case.affine, case.affine, case.shape)
        found[place] = part[0].numpy()
        return found

    def _predict(
        self, case: Case, timer: StageTimer, *, mirrored: bool
    ) -> tuple[WorkingPrediction, HeadReading]:
        with timer.stage("preprocess"):
            working = self._subregions.working(case)
        with timer.stage("network"):
            prediction = self._subregions.predict(working, mirrored=mirrored)
        with timer.stage("whole_head"):
            reading = self._heads.read(case, mirrored=mirrored)
            joint = joint_probabilities(prediction.probabilities, working, reading, self._rule)
        return WorkingPrediction(joint, working), reading

    def _judge(
        self, case: Case, prediction: WorkingPrediction, reading: HeadReading
    ) -> Presence | None:
        if self._presence is None:
            return None
        threshold = self._presence.threshold
        reason = cannot_tell(case.present, with_skull=reading.with_skull)
        if reason:
            return Presence(None, threshold, reason)
        tumour = 1.0 - prediction.probabilities[int(Label.BACKGROUND)].numpy()
        voxel_ml = float(abs(np.linalg.det(prediction.case.affine[:3, :3]))) / 1000.0
        return Presence(self._presence.probability(tumour, voxel_ml), threshold)


def _weights(reading: HeadReading, rule: JointRule) -> tuple[float, float]:
    """What the whole-head network counts for the whole tumour and for its parts."""
    if reading.extent_mm < rule.thin_slab_mm:
        return 1.0, 1.0
    if reading.with_skull:
        return rule.with_skull, rule.parts_with_skull
    return rule.stripped, rule.parts_stripped


def _given(part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Probability of a part where the whole is certain."""
    return (part / whole.clamp(min=SMALLEST)).clamp(max=1)
