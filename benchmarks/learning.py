"""A simulated annotator: how many corrections does each strategy need?

    python -m benchmarks.learning --data DIR [--plan whole|small|quick] [--no-server|--only-server]
    python -m benchmarks.learning [--quick]

With `--data` (laid out as the data README says; `cheng/` is read) on real pictures of the patients
that `tumor_core` was trained without, at their own site and at a shifted one: 20 corrected
patients, poisoned batches, learning curves, and two whole rounds over HTTP. See
`learning_masks` and `learning_masks_server`. Writes benchmarks/results/learning_masks.json and
docs/learning_masks.png (`quick` writes nothing).

Without it on coarse phantoms (4 mm), no patients; a tiny network, no HTTP; selection,
fine-tuning and gate are those of the server. The first network knows skull-stripped gliomas only.
The pool holds three tumour types with skull at another contrast, half of it near-copies of a few
patients. Each round hands out two cases, the annotator gives the true mask, and the first network
is fine-tuned on all corrections so far. Writes benchmarks/results/learning.json.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from brain_tumor.bundles import METADATA, WEIGHTS, models_folder
from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.preprocessing import foreground_mask, zscore
from brain_tumor.labels import TumorType
from brain_tumor.learning.acquisition import (
    CaseScores,
    case_features,
    combined_scores,
    diversity,
    tumour_uncertainty,
    unsure_ml,
)
from brain_tumor.learning.gate.promotion import CaseScore, Source, judge
from brain_tumor.learning.retraining.loop import Schedule, fine_tune
from brain_tumor.learning.retraining.segmentation_tuner import SegmentationTuner
from brain_tumor.learning.retraining.tuner import CHANGED, Examples, write_example
from brain_tumor.phantoms.phantom import PhantomSpec, make_phantom
from brain_tumor.segmentation.metrics.overlap import region_dice
from brain_tumor.segmentation.subregions.networks import build_unet
from safetensors.torch import save_file

from benchmarks.environment import write_result
from benchmarks.learning_masks import MaskPlan, run_masks
from benchmarks.learning_masks_curve import draw_mask_curves, summarise_masks
from benchmarks.learning_masks_server import run_mask_round

RESULTS = Path(__file__).parent / "results" / "learning.json"
PICTURES_RESULT = RESULTS.with_name("learning_masks.json")
FIGURE = Path(__file__).parents[1] / "docs" / "learning_masks.png"
CHANNELS = (8, 16, 32)
SHAPE = (48, 64, 48)
STRATEGIES = ("random", "uncertainty", "diversity", "combined")
PER_ROUND = 2


@dataclass(frozen=True, eq=False)
class Patient:
    name: str
    image: np.ndarray
    labels: np.ndarray
    case: Case


def fit(array):
    """Centre on the common shape: crop or pad with zeros."""
    out = np.zeros(SHAPE, dtype=array.dtype)
    source, goal = [], []
    for have, want in zip(array.shape, SHAPE, strict=True):
        kept = min(have, want)
        source.append(slice((have - kept) // 2, (have - kept) // 2 + kept))
        goal.append(slice((want - kept) // 2, (want - kept) // 2 + kept))
    out[tuple(goal)] = array[tuple(source)]
    return out


def patient(seed, tumor, *, stripped, noise=0.03):
    spec = PhantomSpec(
        seed=seed,
        tumor=tumor,
        skull_stripped=stripped,
        spacing_mm=(4.0, 4.0, 4.0),
        render_step_mm=4.0,
        noise=noise,
        bias=0.1 if stripped else 0.3,
    )
    phantom = make_phantom(spec)
    volumes = [v.array for v in phantom.case.volumes.values()]
    image = np.stack([fit(zscore(v, foreground_mask(v))) for v in volumes])
    return Patient(f"{tumor.value}-{seed}", image, fit(phantom.labelmap), phantom.case)


def write_bundle(folder, network):
    for file in (METADATA, WEIGHTS):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / WEIGHTS)
    content = {"name": "segmentation", "version": "0.0.1", "network": {"channels": CHANNELS}}
    (folder / METADATA).write_text(json.dumps(content))
    return folder


def predict(network, one):
    """Labels and entropy (0-1)."""
    with torch.inference_mode():
        p = network.eval()(torch.from_numpy(one.image)[None]).float().softmax(dim=1)[0]
    entropy = torch.special.entr(p).sum(dim=0) / float(np.log(4))
    labels = p.max(dim=0).indices.numpy().astype(np.uint8)
    return labels, np.where(p[0].numpy() < 0.95, entropy.numpy(), 0).astype(np.float32)


def score(network, patients):
    return {
        p.name: {r.value: d for r, d in region_dice(predict(network, p)[0], p.labels).items()}
        for p in patients
    }


def mean(scores):
    return float(np.mean([v for one in scores.values() for v in one.values()]))


def acquisition(network, one):
    labels, entropy = predict(network, one)
    case = one.case
    native = np.zeros(case.shape, dtype=np.uint8)  # features need the labels on the case's grid
    offsets = [(h - w) // 2 for h, w in zip(case.shape, SHAPE, strict=True)]
    found = np.argwhere(labels > 0) + np.array(offsets)
    keep = ((found >= 0) & (found < np.array(case.shape))).all(axis=1)
    values = labels[labels > 0]
    native[tuple(found[keep].T)] = values[keep]
    return CaseScores(
        tumour_uncertainty(entropy, labels),
        case_features(case, native),
        unsure_ml(entropy, (4.0, 4.0, 4.0)),
    )


def pick(strategy, network, waiting, corrected, rng):
    if strategy == "random":
        return list(rng.permutation(len(waiting))[:PER_ROUND])
    cases = [acquisition(network, p) for p in waiting]
    known = [acquisition(network, p) for p in corrected]
    chosen = []
    for _ in range(PER_ROUND):
        rest = [i for i in range(len(waiting)) if i not in chosen]
        left, seen = [cases[i] for i in rest], [*known, *(cases[i] for i in chosen)]
        values = {
            "uncertainty": lambda left=left: np.array([c.uncertainty for c in left]),
            "diversity": lambda left=left, seen=seen: diversity(left, seen)[0],
            "combined": lambda left=left, seen=seen: combined_scores(left, seen),
        }[strategy]()
        chosen.append(rest[int(np.argmax(values))])
    return chosen


def retrain(bundle, corrected, base, steps, seed, folder):
    tuner = SegmentationTuner(bundle, crop=(48, 48, 48))
    first = copy.deepcopy(tuner.network)
    paths = {}
    for kind, patients in (("c", corrected), ("b", base)):
        for p in patients:
            changed = (predict(first, p)[0] != p.labels).astype(np.uint8)
            path = folder / f"{kind}-{p.name}.npz"
            write_example(path, p.image, (p.labels + CHANGED * changed).astype(np.uint8))
            paths.setdefault(kind, []).append(path)
    checkpoint = folder / "checkpoint.pt"
    checkpoint.unlink(missing_ok=True)
    fine_tune(
        tuner,
        Examples(paths["c"], paths.get("b", [])),
        Schedule(1, steps, 2e-3, seed),
        checkpoint,
        on_step=lambda report: None,
        on_epoch=lambda epoch, network: None,
        shall_stop=lambda: False,
    )
    return tuner.network


def poisoned(one, rng):
    """The same patient with a ball somewhere else as its mask."""
    centre = rng.uniform(0.2, 0.8, 3) * np.array(SHAPE)
    grid = np.indices(SHAPE).T - centre
    ball = (np.sqrt((grid**2).sum(axis=-1)) < 8).T
    return Patient(one.name, one.image, np.where(ball, 3, 0).astype(np.uint8), one.case)


def gate(current, candidate, held_out, base):
    rows = []
    for source, patients in ((Source.CORRECTIONS, held_out), (Source.BASE, base)):
        before, after = score(current, patients), score(candidate, patients)
        rows += [CaseScore(p.name, p.name, source, before[p.name], after[p.name]) for p in patients]
    return judge(rows, model="segmentation", current="0.0.1", candidate="0.0.2")


def on_real_pictures(chosen):
    """The loop of the outlines on patients that the bundle has never seen."""
    plan = {"whole": MaskPlan(), "small": MaskPlan.small(), "quick": MaskPlan.quick()}[chosen.plan]
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.only_server:
            result = json.loads(PICTURES_RESULT.read_text(encoding="utf-8"))
        else:
            result = on_real_pictures_in_process(chosen, plan, folder / "own")
        if not chosen.no_server:
            result["over_http"] = [
                run_mask_round(
                    plan, chosen.data, chosen.bundle, folder / f"http-{bad}", poisoned=bad
                )
                for bad in (False, True)
            ]
    if chosen.plan == "quick":
        print(json.dumps(result, indent=1))
    else:
        print(write_result("learning_masks", result))


def on_real_pictures_in_process(chosen, plan, folder):
    """Everything but the rounds over HTTP, written before they begin."""
    started, cpu = time.monotonic(), time.process_time()
    result = {"plan_name": chosen.plan, "plan": vars(plan)}
    result |= run_masks(
        plan, chosen.data, chosen.bundle, folder, lambda text: print(text, flush=True)
    )
    result["cpu_minutes_in_process"] = round((time.process_time() - cpu) / 60, 1)
    result |= summarise_masks(result, plan)
    result["minutes_in_process"] = round((time.monotonic() - started) / 60, 1)
    if chosen.plan != "quick":
        draw_mask_curves(result["summary"]["curves"], FIGURE)
        write_result("learning_masks", result)
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, help="real pictures instead of phantoms")
    parser.add_argument("--plan", choices=("whole", "small", "quick"), default="whole")
    parser.add_argument("--bundle", type=Path, default=models_folder() / "tumor_core")
    parser.add_argument("--no-server", action="store_true", help="leave out the rounds over HTTP")
    parser.add_argument(
        "--only-server",
        action="store_true",
        help="with --data: add the rounds to the stored result",
    )
    chosen = parser.parse_args()
    if chosen.data is not None:
        return on_real_pictures(chosen)
    quick = chosen.quick
    seeds, rounds, steps, start_steps = (1, 2, 6, 30) if quick else (3, 4, 40, 300)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    started = time.process_time()
    types = list(TumorType)
    known = [patient(n, TumorType.GLIOMA, stripped=True) for n in range(6)]
    base = [patient(50 + n, TumorType.GLIOMA, stripped=True) for n in range(5)]
    fresh = [patient(100 + n, types[n % 3], stripped=False) for n in range(12)]
    copies = [
        patient(100 + n % 3, types[n % 3], stripped=False, noise=0.03 + 0.002 * n)
        for n in range(3, 15)
    ]
    pool = fresh + [
        Patient(f"{p.name}-copy{n}", p.image, p.labels, p.case) for n, p in enumerate(copies)
    ]
    test = [patient(200 + n, types[n % 3], stripped=False) for n in range(9)]
    curves, outcome = {}, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        untrained = write_bundle(folder / "untrained", build_unet(CHANNELS))
        network = retrain(untrained, known, [], start_steps, 0, folder / "first")
        bundle = write_bundle(folder / "first-model", network)
        first = {"test": mean(score(network, test)), "base": mean(score(network, base))}
        for strategy in STRATEGIES:
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                waiting, corrected = list(rng.permutation(pool)), []
                current, curve = network, [first["test"]]
                for turn in range(rounds):
                    chosen = pick(strategy, current, waiting, corrected, rng)
                    corrected += [waiting[i] for i in chosen]
                    waiting = [p for i, p in enumerate(waiting) if i not in chosen]
                    place = folder / f"{strategy}-{seed}-{turn}"
                    current = retrain(bundle, corrected, known, steps, seed, place)
                    curve.append(mean(score(current, test)))
                curves.setdefault(strategy, []).append(curve)
                kept = mean(score(current, base)) - first["base"]
                outcome.append({"strategy": strategy, "seed": seed, "base_change": kept})
                print(strategy, seed, [round(v, 3) for v in curve], round(kept, 3), flush=True)
        refused = []
        for seed in range(1 if quick else 5):
            rng = np.random.default_rng(90 + seed)
            wrong = [poisoned(p, rng) for p in fresh[:6]]
            bad = retrain(bundle, wrong, known, steps, seed, folder / f"poison-{seed}")
            report = gate(network, bad, test, base)
            refused.append({"promote": report.promote, "reasons": list(report.reasons)})
            print("poisoned:", "promoted" if report.promote else "refused", flush=True)
    content = {
        "what": "phantoms of 4 mm, tiny network, in one process; see the module's docstring",
        "quick": quick,
        "seeds": seeds,
        "corrections_per_round": PER_ROUND,
        "first_model": first,
        "test_dice": curves,
        "mean_test_dice": {s: np.mean(c, axis=0).tolist() for s, c in curves.items()},
        "base_change": outcome,
        "poisoned": refused,
        "cpu_seconds": round(time.process_time() - started, 1),
    }
    RESULTS.write_text(json.dumps(content, indent=2) + "\n")
    print(json.dumps(content["mean_test_dice"], indent=2))


if __name__ == "__main__":
    main()
