"""Heat of a tumour type: the slices of the classifier, explained, fused and put to the test."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from brain_tumor.cases.case import Case
from brain_tumor.classification.case_slices import stack_patches
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.result import ClassificationResult
from brain_tumor.explanation.attribution import ClassTarget, HeatMethod, explain_slices
from brain_tumor.explanation.checked_heat import CheckedHeat
from brain_tumor.explanation.facts import HeatFacts
from brain_tumor.explanation.faithfulness import TestedSlice, case_faithfulness
from brain_tumor.explanation.heatmap import (
    BoolArray,
    HeatVolume,
    heat_volume,
    peak_inside,
    peak_ras,
)
from brain_tumor.explanation.options import PREDICTION, RUNNER_UP
from brain_tumor.explanation.slice_fusion import SliceHeat, fuse_slices
from brain_tumor.labels import TYPES, TumorType
from brain_tumor.segmentation.hardware import cpu_has_bf16

TESTED_SLICES = 1
"""Slices with the largest cross-sections whose heat is put to the test."""


def explain_type(
    classifier: TumorTypeClassifier,
    case: Case,
    tumour: BoolArray,
    classification: ClassificationResult,
    asked: str,
    method: HeatMethod,
) -> CheckedHeat:
    """Heat of a type on the reference grid of a case.

    Args:
        classifier: Made the classification.
        case: Case.
        tumour: Tumour on the grid of the case.
        classification: Its type.
        asked: What to explain: "prediction", "runner_up" or a type.
        method: How.
    """
    started = time.perf_counter()
    target = choose_type(classification, asked)
    scored = class_target(classification, target, asked)
    heat, tested = _case_heat(classifier, case, classification, (target, scored), method)
    heated = time.perf_counter()
    report = case_faithfulness(heat, tumour, tested, scored)
    checked = time.perf_counter()
    facts = None
    if not heat.is_empty:
        facts = HeatFacts(
            target=target,
            inside_share=report.inside_share,
            peak_inside=peak_inside(heat, tumour, reach_mm=0.0),
            faithful=report.passed,
            peak_ras=peak_ras(heat),
            near_share=report.near_share,
            peak_near=report.peak_inside,
        )
    timings = {"heatmap": heated - started, "faithfulness": checked - heated}
    return CheckedHeat(heat, report, facts, timings)


def class_target(classification: ClassificationResult, kind: TumorType, asked: str) -> ClassTarget:
    """What the heat of a type explains: its logit, or what it has over the most probable type.

    Args:
        classification: Of the case.
        kind: From `choose_type`.
        asked: As there; heat of the runner-up is contrastive, against the most probable type.
    """
    likeliest = classification.likeliest
    if asked != RUNNER_UP or likeliest is None:
        return ClassTarget(TYPES.index(kind))
    return ClassTarget(TYPES.index(kind), against=TYPES.index(likeliest))


def choose_type(classification: ClassificationResult, target: str) -> TumorType:
    """Type that a heatmap explains.

    Args:
        classification: Tells the most probable type and the runner-up; the first type counts
            where nothing was classified.
        target: "prediction", "runner_up" or a type.
    """
    if target not in (PREDICTION, RUNNER_UP):
        return TumorType(target)
    probabilities = classification.probabilities or dict.fromkeys(TumorType, 0.0)
    ranked = sorted(probabilities, key=lambda kind: -probabilities[kind])
    return ranked[0 if target == PREDICTION else 1]


def _case_heat(
    classifier: TumorTypeClassifier,
    case: Case,
    classification: ClassificationResult,
    explained: tuple[TumorType, ClassTarget],
    method: HeatMethod,
) -> tuple[HeatVolume, tuple[TestedSlice, ...]]:
    """Heat on the reference grid, and the slices whose heat is put to the test."""
    readings, (target, scored) = classification.slices, explained
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
        scored,
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
