"""Gain per click of the refinement, beside three other ways to use a click.

    python -m benchmarks.refine --data DIR [--models DIR] [--fold 0] [--clicks 3] [--every 1]

A simulated annotator clicks the middle of the largest wrong piece (`refinement.simulation`) on
proposals of the sub-region model for patients that it has not seen: lesion cubes, each with four
sequences and with t1c and flair only, and whole cases of 1 mm. Only proposals with a mean Dice
of WT, TC and ET under 0.75 are corrected. All methods see the same image, probabilities and
labels; each is judged with its own clicks. The score's weights come from another fold.

Others: a sphere of 6 mm around the click; the random walker of scikit-image from click and
untouched surroundings, its odds added to the network's; a graph cut (numpymaxflow, which MONAI
Label's scribbles use, with their lambda and sigma) on the network's probabilities.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpymaxflow
from brain_tumor.bundles import models_folder
from brain_tumor.cases.volume import spacing_from_affine
from brain_tumor.labels import Label, Region, region_mask
from brain_tumor.model_names import ModelName
from brain_tumor.segmentation.evaluation.data import read_wholes
from brain_tumor.segmentation.refinement.claims import explore, reachable_box
from brain_tumor.segmentation.refinement.cubes import AFFINE, cubes_to_correct
from brain_tumor.segmentation.refinement.evidence import Evidence, gather_evidence
from brain_tumor.segmentation.refinement.refine import refine
from brain_tumor.segmentation.refinement.simulation import next_click
from brain_tumor.segmentation.refinement.strokes import click
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter
from skimage.segmentation import random_walker
from tqdm import tqdm

from benchmarks.environment import spread, write_result

LIMIT = 0.75
SPHERE_MM = 6.0
LOCAL_MM, SEEDS_MM = 25.0, 20.0
WALKER_BETA = 130.0
CUT_LAMBDA, CUT_SIGMA = 1.0, 0.1


@dataclass(frozen=True, eq=False)
class Task:
    """A proposal to correct."""

    group: str
    patient: str
    labels: np.ndarray
    reference: np.ndarray
    affine: np.ndarray
    evidence: Evidence


def mean_dice(labels: np.ndarray, reference: np.ndarray) -> float:
    """Mean over the regions that either has."""
    scores = []
    for region in Region:
        a, b = region_mask(labels, region), region_mask(reference, region)
        if a.any() or b.any():
            scores.append(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))
    return float(np.mean(scores)) if scores else 1.0


def ours(task: Task, labels: np.ndarray, clicks: list) -> np.ndarray:
    strokes = [click(voxel, label, labels.shape) for voxel, label in clicks]
    return refine(labels, task.affine, task.evidence, strokes)


def sphere(task: Task, labels: np.ndarray, clicks: list) -> np.ndarray:
    voxel, label = clicks[-1]
    result = labels.copy()
    result[distance_mm(task, voxel) <= SPHERE_MM] = label
    return result


def distance_mm(task: Task, voxel: tuple) -> np.ndarray:
    steps = [
        (np.arange(n) - at) * mm
        for n, at, mm in zip(
            task.labels.shape, voxel, spacing_from_affine(task.affine), strict=True
        )
    ]
    return np.sqrt(
        steps[0][:, None, None] ** 2 + steps[1][None, :, None] ** 2 + steps[2][None, None] ** 2
    )


def local(task: Task, labels: np.ndarray, clicks: list) -> tuple:
    """What the two peers work on: intensities, log-odds of the click's label, distances."""
    voxel, label = clicks[-1]
    box, _ = reachable_box(task.evidence, np.array([voxel]))
    around = explore(task.evidence, labels[box] > 0, np.array([voxel]), label)
    low = [part.start for part in box]
    log_p = around.log_probabilities
    now = np.take_along_axis(log_p, labels[box][None].astype(int), axis=0)[0]
    at = tuple(v - a for v, a in zip(voxel, low, strict=True))
    near = distance_mm(task, voxel)[box]
    return box, task.evidence.intensities(box), log_p[label] - now, near, at, label


def walker(task: Task, labels: np.ndarray, clicks: list) -> np.ndarray:
    box, image, odds, near, at, label = local(task, labels, clicks)
    part = labels[box]
    seeds = np.zeros(part.shape, dtype=int)
    seeds[(near > SEEDS_MM) & (part != label)] = 2
    seeds[part == label] = 1
    seeds[near > LOCAL_MM] = -1
    seeds[at] = 1
    result = labels.copy()
    if (seeds == 2).any() and (seeds == 0).any():
        walked = random_walker(
            np.moveaxis(image, 0, -1),
            seeds,
            beta=WALKER_BETA,
            mode="cg_j",
            tol=1e-2,
            spacing=spacing_from_affine(task.affine),
            channel_axis=-1,
            return_full_prob=True,
        )
        if len(walked) == 2:
            found = np.log(np.clip(walked[0], 1e-4, 1)) - np.log(np.clip(walked[1], 1e-4, 1))
            result[box][(found + odds > 0) & (near <= SEEDS_MM)] = label
    result[clicks[-1][0]] = label
    return result


def cut(task: Task, labels: np.ndarray, clicks: list) -> np.ndarray:
    box, image, odds, near, _, label = local(task, labels, clicks)
    part = labels[box]
    probability = 1 / (1 + np.exp(-odds))
    probability[part == label] = 0.9
    probability[near <= 2.0] = 1 - 1e-6
    probability[(near > SEEDS_MM) & (part != label)] = 1e-6
    both = np.stack([1 - probability, probability]).astype(np.float32)
    with contextlib.redirect_stdout(io.StringIO()):
        found = numpymaxflow.maxflow(
            image.mean(axis=0, keepdims=True), both, CUT_LAMBDA, CUT_SIGMA, connectivity=6
        )[0]
    result = labels.copy()
    result[box][(found > 0) & (near <= SEEDS_MM)] = label
    return result


METHODS: dict[str, Callable] = {
    "ours": ours,
    "sphere of 6 mm": sphere,
    "random walker": walker,
    "graph cut": cut,
}


def tasks(segmenter: SubregionSegmenter, data: Path, fold: int) -> Iterator[Task]:
    for cube in cubes_to_correct(segmenter, data, fold):
        group = "cubes: " + "+".join(s.value for s in cube.sequences)
        yield Task(group, cube.patient, cube.labels, cube.reference, AFFINE, cube.evidence)


def correct(task: Task, method: Callable, count: int) -> tuple[list[float], list[float]]:
    """Mean Dice before and after each click, and seconds per click."""
    labels, clicks = task.labels, []
    scores, seconds = [mean_dice(labels, task.reference)], []
    for _ in range(count):
        found = next_click(labels, task.reference, spacing_from_affine(task.affine))
        if found is not None:
            clicks.append((found[0], Label(found[1])))
            begun = time.perf_counter()
            labels = method(task, labels, clicks)
            seconds.append(time.perf_counter() - begun)
        scores.append(mean_dice(labels, task.reference))
    return scores, seconds


def summary(tracks: list[tuple[str, list[float]]], seconds: list[float]) -> dict:
    """Gains, averaged first over the cases of a patient, then over patients."""
    gains: dict[str, list[np.ndarray]] = {}
    for patient, scores in tracks:
        gains.setdefault(patient, []).append(np.array(scores[1:]) - scores[0])
    by_patient = np.array([np.mean(rows, axis=0) for rows in gains.values()])
    numbers = np.random.default_rng(0)
    chosen = numbers.integers(len(by_patient), size=(2000, len(by_patient)))
    interval = np.percentile(by_patient[chosen, -1].mean(axis=1), (2.5, 97.5))
    return {
        "cases": len(tracks),
        "patients": len(gains),
        "dice_before": float(np.mean([scores[0] for _, scores in tracks])),
        "gain_after_click": [float(g) for g in by_patient.mean(axis=0)],
        "last_gain_ci95": [float(x) for x in interval],
        "share_worse_in_the_end": float(np.mean([s[-1] < s[0] for _, s in tracks])),
        "click_s": spread(seconds),
    }


def measure_cubes(segmenter: SubregionSegmenter, options: argparse.Namespace) -> dict:
    chosen = [
        task
        for task in tqdm(
            tasks(segmenter, options.data, options.fold), desc="proposals", file=sys.stderr
        )
        if mean_dice(task.labels, task.reference) < LIMIT
    ]
    chosen = chosen[:: options.every]
    found: dict[str, dict[str, dict]] = {}
    for name, method in METHODS.items():
        tracks: dict[str, list] = {}
        times: dict[str, list[float]] = {}
        for task in tqdm(chosen, desc=name, file=sys.stderr):
            scores, seconds = correct(task, method, options.clicks)
            for group in (task.group, "cubes: all"):
                tracks.setdefault(group, []).append((task.patient, scores))
                times.setdefault(group, []).extend(seconds)
        for group, rows in tracks.items():
            found.setdefault(group, {})[name] = summary(rows, times[group])
    return found


def measure_wholes(segmenter: SubregionSegmenter, options: argparse.Namespace) -> list[dict]:
    """Ours only: the peers as written here work on the working grid."""
    rows = []
    for whole in read_wholes(options.data, options.fold):
        if not whole.expert:
            continue
        result = segmenter.segment(whole.case)
        begun = time.perf_counter()
        evidence = gather_evidence(whole.case, result)
        gathered = time.perf_counter() - begun
        task = Task(
            "whole", whole.patient, result.labelmap, whole.labels, whole.case.affine, evidence
        )
        scores, seconds = correct(task, ours, options.clicks)
        rows.append(
            {
                "case": whole.case.case_id,
                "dice": scores,
                "first_click_adds_s": gathered,
                "click_s": seconds,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=models_folder())
    parser.add_argument("--fold", type=int, default=0, help="patients the model has not seen")
    parser.add_argument("--clicks", type=int, default=3)
    parser.add_argument("--every", type=int, default=1, help="only every n-th proposal")
    parser.add_argument("--cubes-only", action="store_true", help="no whole cases")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="skimage")
    segmenter = SubregionSegmenter.load(options.models / ModelName.SEGMENTATION)
    result = {
        "model": segmenter.version.to_json(),
        "fold": options.fold,
        "start_below": LIMIT,
        "clicks": options.clicks,
        "every": options.every,
        "groups": measure_cubes(segmenter, options),
        "wholes": [] if options.cubes_only else measure_wholes(segmenter, options),
    }
    path = write_result("refine", result)
    sys.stderr.write(f"wrote {path}\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
