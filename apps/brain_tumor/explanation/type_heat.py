"""Heat of a tumour type: the slices of the classifier, explained, fused and put to the test."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from brain_tumor.cases.case import Case
from brain_tumor.classification.case_slices import stack_patches
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.result import ClassificationResult
from brain_tumor.devices import autocast, compute_device
from brain_tumor.explanation.facts.model import HeatFacts
from brain_tumor.explanation.faithfulness.infidelity import Explain
from brain_tumor.explanation.faithfulness.method_sanity import UNMEASURED, MethodSanity
from brain_tumor.explanation.faithfulness.report import (
    CASE_NOISE_DRAWS,
    CheckedHeat,
    TestedSlice,
    case_faithfulness,
    with_sanity,
)
from brain_tumor.explanation.heat.fusion import SliceHeat, fuse_slices
from brain_tumor.explanation.heat.methods import ClassTarget, HeatMethod, explain_slices
from brain_tumor.explanation.heat.volume import (
    BoolArray,
    HeatVolume,
    heat_volume,
    peak_inside,
    peak_ras,
)
from brain_tumor.explanation.options import PREDICTION, RUNNER_UP
from brain_tumor.labels import TYPES, TumorType

TESTED_SLICES = 1
"""Slices with the largest cross-sections whose heat is put to the test."""
SLOW_METHODS = frozenset({HeatMethod.INTEGRATED_GRADIENTS, HeatMethod.OCCLUSION})
MOST_REPEATED = 0.3
"""Slow methods explain noisy copies of the tested slices only if those are few among all."""


def explain_type(
    classifier: TumorTypeClassifier,
    case: Case,
    tumour: BoolArray,
    classification: ClassificationResult,
    asked: str,
    method: HeatMethod,
    sanity: MethodSanity = UNMEASURED,
) -> CheckedHeat:
    """Heat of a type on the reference grid of a case.

    Args:
        classifier: Made the classification.
        case: Case.
        tumour: Tumour on the grid of the case.
        classification: Its type.
        asked: What to explain: "prediction", "runner_up" or a type.
        method: How.
        sanity: How the method did in the sanity check of the classifier.
    """
    started = time.perf_counter()
    target = choose_type(classification, asked)
    scored = class_target(classification, target, asked)
    heat, tested = _case_heat(classifier, case, classification, (target, scored), method)
    heated = time.perf_counter()
    shuffled = sanity.correlations.get(method)
    report = with_sanity(case_faithfulness(heat, tumour, tested, scored), shuffled)
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
    network = classifier.explained

    def maps_of(*inputs: torch.Tensor) -> npt.NDArray[np.float32]:
        return explain_slices(
            network, network.looks, inputs, scored, method, bf16=compute_device().bf16
        ).maps

    def explain(index: int) -> Explain:
        def versions_of(versions: torch.Tensor) -> torch.Tensor:
            mask = masks[index][None].expand(len(versions), -1, -1, -1)
            measured = values[index][None].expand(len(versions), -1)
            return torch.from_numpy(maps_of(versions, mask, measured))

        return versions_of

    maps = maps_of(images, masks, values)
    slices = [
        SliceHeat(
            plane=reading.part.plane,
            index=reading.part.index,
            heat=heat,
            pixel_to_voxel=reading.part.to_voxel @ reading.patch.to_pixel,
            evidence=reading.part.area_mm2,
        )
        for reading, heat in zip(readings, maps, strict=True)
    ]
    raw = fuse_slices(slices, case.shape)
    copies = TESTED_SLICES * CASE_NOISE_DRAWS
    repeats = method not in SLOW_METHODS or copies <= MOST_REPEATED * len(readings)
    largest = sorted(range(len(readings)), key=lambda i: -readings[i].part.area_mm2)
    tested = tuple(
        TestedSlice(
            score=_scorer(classifier, masks[index], values[index]),
            image=images[index],
            heat=maps[index],
            explain=explain(index) if repeats else None,
        )
        for index in largest[:TESTED_SLICES]
    )
    return heat_volume(raw, case.affine, method.value, target.value), tested


def _scorer(
    classifier: TumorTypeClassifier, mask: torch.Tensor, values: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor]:
    """From versions of a slice to logits, with its outline and its measurements kept."""
    network, there = classifier.explained, compute_device().torch_device
    mask, values = mask.to(there), values.to(there)

    def score(images: torch.Tensor) -> torch.Tensor:
        count = len(images)
        with autocast():
            named = network.name(
                network.see(images.to(there)),
                mask[None].expand(count, -1, -1, -1),
                values[None].expand(count, -1),
            )
        return named.fused.float().cpu()

    return score
