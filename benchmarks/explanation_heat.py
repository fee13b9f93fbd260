"""Heatmap methods on held-out patients: where the heat lies, whether the answer follows it, time.

    python -m benchmarks.explanation_heat --data DATA --run RUN [--outlines segmenter]
        [--core-runs CORES] [--quick]

RUN is what `tumorlens train classification` leaves: one network per fold. Of every held-out
patient one slice is read, with the outline that the product's segmenter draws (on the fold that it
has not seen; with a five-fold run of tumor_core, on all), that the network itself draws, or that
an expert drew; places are judged by the expert's outline. Patients without an outline have no heat;
they are counted. Deletion and insertion are compared with random maps and with a blob in the middle
of the head; sanity is the rank correlation of the maps after all weights were shuffled.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brain_tumor.bundles import models_folder
from brain_tumor.classification.case_slices import cut_patch, stack_patches
from brain_tumor.classification.features.features import slice_features
from brain_tumor.classification.model.network import HybridNetwork
from brain_tumor.classification.predictions import (
    Outliner,
    lone_slice,
    own_outlines,
    segmenter_outlines,
)
from brain_tumor.classification.training.run import load_run, run_features
from brain_tumor.explanation.faithfulness.cascade import cascading_randomisation, repeatability
from brain_tumor.explanation.faithfulness.infidelity import max_sensitivity, normalised_infidelity
from brain_tumor.explanation.faithfulness.report import (
    LEAST_EFFECT_LOG_ODDS,
    TestedSlice,
    compare_with_controls,
)
from brain_tumor.explanation.heat.methods import ClassTarget, HeatMethod, explain_slices
from brain_tumor.explanation.heat.volume import DILATION_MM, heat_volume, peak_inside, share_inside
from brain_tumor.labels import TYPES
from brain_tumor.segmentation.data.cheng_slices import (
    FOLDS,
    cheng_slices_of_fold,
    read_cheng_slice,
)
from brain_tumor.segmentation.evaluation.tumor_core import held_out_fold
from brain_tumor.segmentation.evaluation.tumor_core_five_folds import fold_bundles
from brain_tumor.segmentation.hardware import bf16_autocast
from brain_tumor.segmentation.tumor_core.segmenter import TumorCoreSegmenter
from tqdm import tqdm

from benchmarks.environment import spread, write_result

PATCH_AFFINE = np.diag([1.5, 1.5, 6.0, 1.0])
CAMS = (HeatMethod.GRADCAM_PLUS_PLUS, HeatMethod.GRADCAM, HeatMethod.LAYERCAM)
TIMED_SLICES = 12
SANITY_SLICES = 3
SEED = 0
TIE_GAIN = 0.05
"""Gains this close are a tie: `blob_ahead` counts patients whose blob is ahead by more."""


@dataclass(frozen=True)
class Sample:
    """One slice of one patient as the network reads it; `truth` is the expert's outline."""

    inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    truth: np.ndarray[Any, np.dtype[np.bool_]]
    predicted: int


def samples(
    network: HybridNetwork,
    ids: tuple[str, ...],
    data: Path,
    fold: int,
    count: int,
    outliner: Outliner,
) -> tuple[list[Sample], int]:
    """One slice of each patient that has an outline, and the number of patients without."""
    patients: dict[str, list[Any]] = {}
    for row in cheng_slices_of_fold(data, fold):
        patients.setdefault(row.group, []).append(row)
    middle = [found[len(found) // 2] for found in patients.values()]
    order = np.random.default_rng(SEED).permutation(len(middle))[:count]
    parts = [lone_slice(*read_cheng_slice(data, middle[n])) for n in order]
    found = []
    for part, outline in zip(parts, outliner(parts), strict=True):
        if not outline.any():
            continue
        read = lone_slice(part.image, outline, part.pixel_mm[0])
        images, masks = stack_patches([cut_patch(read)])
        values = slice_features(read.image, read.mask, read.pixel_mm).to_array(ids)
        inputs = (images, masks, torch.from_numpy(values)[None])
        patch = cut_patch(read)
        places = np.indices(patch.image.shape).reshape(2, -1)
        pixel = np.rint(patch.to_pixel[:2, :2] @ places + patch.to_pixel[:2, 2:]).astype(int)
        inside = np.all((pixel >= 0) & (pixel < np.array(part.mask.shape)[:, None]), axis=0)
        clipped = np.clip(pixel, 0, np.array(part.mask.shape)[:, None] - 1)
        truth = (part.mask[clipped[0], clipped[1]] & inside).reshape(patch.image.shape)
        with torch.inference_mode():
            predicted = int(network(*inputs).argmax())
        found.append(Sample(inputs, truth, predicted))
    return found, len(parts) - len(found)


def outliner_of(name: str, network: HybridNetwork, core: Path) -> Outliner:
    """Who draws the outlines: `segmenter`, `own` or `expert`."""
    if name == "segmenter":
        return segmenter_outlines(TumorCoreSegmenter.load(core))
    if name == "own":
        return partial(own_outlines, network)
    return lambda parts: [part.mask for part in parts]


def judge(network: HybridNetwork, sample: Sample, method: HeatMethod, steps: int) -> dict[str, Any]:
    target = ClassTarget(sample.predicted)
    heat = explain_slices(network, network.looks, sample.inputs, target, method).maps[0]
    images, masks, values = sample.inputs

    def score(versions: torch.Tensor) -> torch.Tensor:
        n = len(versions)
        with bf16_autocast():
            named = network.name(
                network.see(versions), masks.expand(n, -1, -1, -1), values.expand(n, -1)
            )
        return named.fused.float()

    def explain(versions: torch.Tensor) -> torch.Tensor:
        n = len(versions)
        inputs = (versions, masks.expand(n, -1, -1, -1), values.expand(n, -1))
        return torch.from_numpy(explain_slices(network, network.looks, inputs, target, method).maps)

    volume = heat_volume(heat[..., None], PATCH_AFFINE, method.value, "prediction")
    truth = sample.truth[..., None]
    compared = compare_with_controls(
        [TestedSlice(score, images[0], heat)], target, steps=steps, random_maps=2, seed=SEED
    )
    return {
        "type": TYPES[sample.predicted].value,
        "inside": share_inside(volume, truth),
        "near": share_inside(volume, truth, reach_mm=DILATION_MM),
        "hit": peak_inside(volume, truth),
        "effect": compared.own.effect,
        "gain": compared.own.gain,
        "deletion": compared.own.deletion_auc,
        "insertion": compared.own.insertion_auc,
        "random_gain": compared.random.gain,
        "blob_gain": compared.blob.gain,
        "infidelity": normalised_infidelity(score, images[0], heat, target, seed=SEED),
        "sensitivity": max_sensitivity(explain, images[0], seed=SEED),
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    counted = [row for row in rows if row["effect"] >= LEAST_EFFECT_LOG_ODDS]

    def mean(name: str, of: list[dict[str, Any]]) -> float | None:
        return float(np.mean([row[name] for row in of])) if of else None

    def share(name: str) -> float | None:
        return float(np.mean([r["gain"] > r[name] for r in counted])) if counted else None

    return {
        "patients": len(rows),
        "inside_share": mean("inside", rows),
        "near_share": mean("near", rows),
        "pointing_game": mean("hit", rows),
        "measurable": len(counted) / len(rows),
        **{name: mean(name, counted) for name in ("deletion", "insertion", "gain")},
        "random_gain": mean("random_gain", counted),
        "blob_gain": mean("blob_gain", counted),
        "beats_random": share("random_gain"),
        "beats_blob": share("blob_gain"),
        "blob_ahead": (
            float(np.mean([r["blob_gain"] > r["gain"] + TIE_GAIN for r in counted]))
            if counted
            else None
        ),
        "beats_blob_by_type": {
            kind: float(np.mean([r["gain"] > r["blob_gain"] for r in counted if r["type"] == kind]))
            for kind in sorted({r["type"] for r in counted})
        },
        "infidelity": mean("infidelity", rows),
        "sensitivity": mean("sensitivity", rows),
    }


def sane(network: HybridNetwork, batch: Any, method: HeatMethod) -> dict[str, Any]:
    def explain(copy: Any) -> Any:
        return explain_slices(copy, copy.looks, batch, ClassTarget(0), method).maps

    check = cascading_randomisation(network, explain)
    return {
        "passed": check.passed,
        "stages": [[name, value] for name, value in check.stages],
        "repeatability": repeatability(lambda: explain(network)),
    }


def timed(network: HybridNetwork, batch: Any, method: HeatMethod, repeats: int) -> dict[str, float]:
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        explain_slices(network, network.looks, batch, ClassTarget(0), method)
        seconds.append(time.perf_counter() - started)
    return spread(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--outlines", default="segmenter", choices=("segmenter", "own", "expert"))
    parser.add_argument("--core", type=Path, default=models_folder() / "tumor_core")
    parser.add_argument("--core-runs", type=Path, help="five-fold run of tumor_core")
    parser.add_argument("--folds", type=int, nargs="+", help="not with the segmenter's outlines")
    parser.add_argument("--patients", type=int, default=40, help="per fold, at most")
    parser.add_argument("--methods", nargs="+", default=[m.value for m in CAMS])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="one fold, three patients")
    arguments = parser.parse_args()
    cores = [arguments.core] if arguments.core_runs is None else fold_bundles(arguments.core_runs)
    core_of = {held_out_fold(core): core for core in cores}
    if arguments.outlines == "segmenter":
        if None in core_of or arguments.folds not in (None, list(core_of)):
            parser.error("the segmenter's outlines count only on folds that it has not seen")
        arguments.folds = list(core_of)
    arguments.folds = arguments.folds or list(range(FOLDS))
    if arguments.quick:
        arguments.folds, arguments.patients, arguments.steps = arguments.folds[:1], 3, 6
    methods = [HeatMethod(name) for name in arguments.methods]
    rows: dict[str, list[dict[str, Any]]] = {method.value: [] for method in methods}
    times: dict[str, Any] = {}
    sanity: dict[str, Any] = {}
    without_outline = 0
    for fold in arguments.folds:
        folder = arguments.run / f"fold{fold}"
        network = load_run(folder)
        outliner = outliner_of(arguments.outlines, network, core_of.get(fold, arguments.core))
        ids = run_features(folder)
        found, lost = samples(network, ids, arguments.data, fold, arguments.patients, outliner)
        without_outline += lost
        for sample in tqdm(found, desc=f"fold {fold}"):
            for method in methods:
                rows[method.value].append(judge(network, sample, method, arguments.steps))
        if sanity:
            continue
        few = tuple(
            torch.cat(t) for t in zip(*(s.inputs for s in found[:SANITY_SLICES]), strict=True)
        )
        many = tuple(t[torch.arange(TIMED_SLICES) % len(t)] for t in few)
        for method in methods:
            sanity[method.value] = sane(network, few, method)
            times[method.value] = timed(network, many, method, 1 if arguments.quick else 5)
    result = {
        "outlines": arguments.outlines,
        "folds": arguments.folds,
        "patients_without_outline": without_outline,
        "faithfulness": {name: summary(found) for name, found in rows.items()},
        "sanity": sanity,
        "seconds_for_12_slices": times,
        "steps": arguments.steps,
        "threads": torch.get_num_threads(),
    }
    if arguments.quick:
        print(json.dumps(result, indent=2))  # too few patients to keep
    else:
        everyone = "_all_folds" if len(arguments.folds) == FOLDS else ""
        print(write_result(f"explanation_heat_{arguments.outlines}{everyone}", result))


if __name__ == "__main__":
    main()
