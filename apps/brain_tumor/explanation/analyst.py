"""A case from outline to words: segmentation, type, heat, evidence and rationale in one pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.classification.case_slices import stack_patches
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.result import ClassificationResult
from brain_tumor.concepts.reader import ConceptReading
from brain_tumor.errors import InputError
from brain_tumor.explanation.atlas import installed_atlas
from brain_tumor.explanation.attribution import (
    DEFAULT_METHOD,
    ClassTarget,
    HeatMethod,
    explain_slices,
)
from brain_tumor.explanation.case_facts import case_facts
from brain_tumor.explanation.facts import Facts, HeatFacts, Language
from brain_tumor.explanation.faithfulness import (
    FaithfulnessReport,
    TestedSlice,
    case_faithfulness,
)
from brain_tumor.explanation.heatmap import HeatVolume, heat_volume, peak_ras
from brain_tumor.explanation.rationale import Rationale, explain_in_words
from brain_tumor.explanation.references import TypeReader
from brain_tumor.explanation.slice_fusion import SliceHeat, fuse_slices
from brain_tumor.labels import TumorType
from brain_tumor.segmentation.hardware import cpu_has_bf16
from brain_tumor.segmentation.result import SegmentationResult, Segmenter

PREDICTION, RUNNER_UP = "prediction", "runner_up"
TARGETS = (PREDICTION, RUNNER_UP, *(kind.value for kind in TumorType))
TESTED_SLICES = 1
"""Slices with the largest cross-sections whose heat is put to the test."""
COMPOSER = "composer"
TYPES = tuple(TumorType)


@dataclass(frozen=True)
class ExplanationOptions:
    """What to explain, and how.

    Attributes:
        method: How the heat is made.
        target: "prediction" (the most probable type), "runner_up" or a type.
        language: Of the rationale.
        provider: Who phrases the rationale.

    Raises:
        InputError: If the target is unknown.
    """

    method: HeatMethod = DEFAULT_METHOD
    target: str = PREDICTION
    language: Language = Language.ENGLISH
    provider: str = COMPOSER

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise InputError(f"target is '{self.target}'; expected one of {', '.join(TARGETS)}")


@dataclass(frozen=True, eq=False)
class Explanation:
    """Heat, evidence and words of a case.

    Attributes:
        heat: Heat on the reference grid; empty without a tumour.
        faithfulness: Where the heat lies, and whether it can be believed.
        facts: Everything that may be said.
        rationale: What is said.
        symptoms: What the second reader says in words; None without one, or without a tumour.
        timings_s: Seconds per stage.
    """

    heat: HeatVolume
    faithfulness: FaithfulnessReport
    facts: Facts
    rationale: Rationale
    symptoms: ConceptReading | None
    timings_s: Mapping[str, float]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must see first: that the second reader sees another type."""
        second = self.symptoms
        if second is None or second.disagreement is None or not second.disagrees:
            return ()
        return (
            f"The second reader, which reads visual symptoms, sees a {second.prediction} "
            f"({second.probabilities[second.prediction]:.0%}): the type is less certain than its "
            "probability says.",
        )


class Analyst:
    """Everything that is inferred from a case; thread-safe, holds no state of its own.

    Args:
        segmenter: Outlines the tumour.
        reader: Gives the classifier in use now, with its training patients.
    """

    def __init__(self, segmenter: Segmenter, reader: Callable[[], TypeReader]) -> None:
        self._segmenter = segmenter
        self._reader = reader

    @property
    def versions(self) -> tuple[ModelVersion, ...]:
        """Segmenter, classifier and, if there is one, second reader in use now."""
        return (self._segmenter.version, *self._reader().versions)

    def segment(self, case: Case) -> SegmentationResult:
        """Outline of the tumour."""
        return self._segmenter.segment(case)

    def classify(self, case: Case, segmentation: SegmentationResult) -> ClassificationResult:
        """Tumour type, read in slices through the outline."""
        return self._reader().classifier.classify(case, segmentation.labelmap)

    def explain(
        self,
        case: Case,
        segmentation: SegmentationResult,
        classification: ClassificationResult,
        options: ExplanationOptions,
    ) -> Explanation:
        """Heat and words for a classified case.

        Args:
            case: Case.
            segmentation: Its outline.
            classification: Its type; made by the classifier in use.
            options: What to explain.
        """
        started = time.perf_counter()
        reader = self._reader()
        target = choose_target(classification, options.target)
        heat, tested = _case_heat(reader.classifier, case, classification, target, options.method)
        heated = time.perf_counter()
        report = case_faithfulness(
            heat, segmentation.labelmap > 0, tested, ClassTarget(TYPES.index(target))
        )
        checked = time.perf_counter()
        heat_facts = None
        if not heat.is_empty:
            heat_facts = HeatFacts(
                target=target,
                inside_share=report.inside_share,
                peak_inside=report.peak_inside,
                faithful=report.passed,
                peak_ras=peak_ras(heat),
            )
        facts = case_facts(
            case, segmentation, classification, reader, heat, heat_facts, installed_atlas()
        )
        told = time.perf_counter()
        rationale = explain_in_words(facts, options.language, options.provider)
        second = reader.symptoms
        return Explanation(
            heat=heat,
            faithfulness=report,
            facts=facts,
            rationale=rationale,
            symptoms=None if second is None else second.read_case(classification),
            timings_s={
                "heatmap": heated - started,
                "faithfulness": checked - heated,
                "evidence": told - checked,
                "rationale": time.perf_counter() - told,
            },
        )


def _case_heat(
    classifier: TumorTypeClassifier,
    case: Case,
    classification: ClassificationResult,
    target: TumorType,
    method: HeatMethod,
) -> tuple[HeatVolume, tuple[TestedSlice, ...]]:
    """Heat on the reference grid, and the slices whose heat is put to the test."""
    readings = classification.slices
    if not readings:
        nothing = np.zeros(case.shape, dtype=np.float32)
        return heat_volume(nothing, case.affine, method.value, target.value), ()
    images, masks = stack_patches([reading.patch for reading in readings])
    values = torch.from_numpy(
        np.stack([classifier.inputs(reading.features) for reading in readings])
    )
    network = classifier.network
    found = explain_slices(
        network,
        network.looks,
        (images, masks, values),
        ClassTarget(TYPES.index(target)),
        method,
        bf16=cpu_has_bf16(),
    )
    slices = [
        SliceHeat(
            plane=reading.part.plane,
            index=reading.part.index,
            heat=heat,
            pixel_to_voxel=reading.part.to_voxel @ reading.patch.to_pixel,
            evidence=reading.part.area_mm2,
        )
        for reading, heat in zip(readings, found.maps, strict=True)
    ]
    raw = fuse_slices(slices, case.shape)
    largest = sorted(range(len(readings)), key=lambda i: -readings[i].part.area_mm2)
    tested = tuple(
        TestedSlice(
            score=_scorer(classifier, masks[index], values[index]),
            image=images[index],
            heat=found.maps[index],
        )
        for index in largest[:TESTED_SLICES]
    )
    return heat_volume(raw, case.affine, method.value, target.value), tested


def _scorer(
    classifier: TumorTypeClassifier, mask: torch.Tensor, values: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor]:
    """From versions of a slice to logits, with its outline and its measurements kept."""

    def score(images: torch.Tensor) -> torch.Tensor:
        count = len(images)
        with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
            maps = classifier.network.see(images)
            named = classifier.network.name(
                maps, mask[None].expand(count, -1, -1, -1), values[None].expand(count, -1)
            )
        return named.fused.float()

    return score


def choose_target(classification: ClassificationResult, target: str) -> TumorType:
    """Type that a heatmap explains.

    Args:
        classification: Tells the most probable type and the runner-up; the first type counts
            where nothing was classified.
        target: One of `TARGETS`.
    """
    if target not in (PREDICTION, RUNNER_UP):
        return TumorType(target)
    probabilities = classification.probabilities or dict.fromkeys(TumorType, 0.0)
    ranked = sorted(probabilities, key=lambda kind: -probabilities[kind])
    return ranked[0 if target == PREDICTION else 1]
