"""Everything that runs in one process for one fold of `benchmarks.learning_types`."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brain_tumor.bundles import METADATA, WEIGHTS
from brain_tumor.classification.case_slices import cut_patch, stack_patches
from brain_tumor.classification.features.features import slice_features
from brain_tumor.classification.model.calibration import fit_calibration
from brain_tumor.classification.model.network import HybridNetwork, NetworkArguments
from brain_tumor.classification.model.outliers import fit_outliers
from brain_tumor.classification.model.training_statistics import (
    ClassifierStatistics,
    read_statistics,
)
from brain_tumor.classification.predictions import load_predictions, lone_slice
from brain_tumor.classification.training.run import COVERAGE, PREDICTIONS, load_run, run_features
from brain_tumor.labels import TYPES, TumorType
from brain_tumor.learning.acquisition import (
    CaseScores,
    case_features,
    combined_scores,
    diversity,
    normalised_entropy,
)
from brain_tumor.learning.gate.promotion import CaseScore, GateReport, Source, judge
from brain_tumor.learning.registry.registry import CARD
from brain_tumor.learning.retraining.labelled_cases import picture_case
from brain_tumor.learning.retraining.loop import Schedule, fine_tune
from brain_tumor.learning.retraining.tuner import Examples, write_arrays
from brain_tumor.learning.retraining.type_tuner import HEAD_WEIGHTS, TypeTuner, type_scores
from brain_tumor.segmentation.data.cheng_slices import (
    FOLDS,
    ChengSlice,
    cheng_folds,
    read_cheng_index,
    read_cheng_slice,
)
from safetensors.torch import save_file
from scipy import ndimage

STRATEGIES = ("random", "disagreement", "diversity", "combined")
"""As the server names them; of a lone T1c slice, disagreement is the entropy of its type."""
RATE = 1e-3  # what POST /train/classification takes by default
HELD_OUT_EVERY = 4
READ_BATCH = 16


@dataclass(frozen=True)
class Site:
    """How the other site's pictures differ.

    Attributes:
        saturated_at: Share of the range beyond which everything is white: weaker contrast agent.
        gamma: Exponent of the intensities.
        blur_pixels: Blur along rows.
        slab_mm: Blur across rows, as full width at half maximum: thick slices.
        bias: Slope of the logarithm of the bias field from edge to edge, in a random direction.
        noise: Rician noise.
    """

    saturated_at: float = 0.5
    gamma: float = 0.5
    blur_pixels: float = 2.0
    slab_mm: float = 7.0
    bias: float = 0.9
    noise: float = 0.08

    def picture(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        x = np.minimum(image / 255.0, self.saturated_at) / self.saturated_at
        x = ndimage.gaussian_filter(x, (self.slab_mm / 2.355, self.blur_pixels)) ** self.gamma
        rows, columns = np.meshgrid(*(np.linspace(-1, 1, n) for n in x.shape), indexing="ij")
        angle = rng.uniform(0, 2 * np.pi)
        x = x * np.exp(self.bias * (np.cos(angle) * rows + np.sin(angle) * columns))
        real, imaginary = rng.normal(0, self.noise, (2, *x.shape))
        x = np.hypot(x + real, imaginary)
        return np.asarray(255 * np.clip(x / np.percentile(x, 99.8), 0, 1), dtype=np.uint8)


MILD = Site(0.6, 0.6, 1.5, 5.0, 0.7, 0.06)


@dataclass(frozen=True)
class FoldPlan:
    """How much to do in a fold."""

    per_patient: int = 6
    known_per_patient: int = 3
    seeds: int = 3
    rounds: int = 6
    per_round: int = 4
    curve_steps: int = 60
    corrected_patients: int = 20
    shift_seeds: int = 2
    epochs: int = 20
    poison_tries: int = 4

    @classmethod
    def quick(cls) -> FoldPlan:
        return cls(2, 1, 1, 2, 3, 10, 20, 1, 1, 1)


@dataclass(frozen=True, eq=False)
class Seen:
    """Slices as the learning layers see them."""

    paths: list[Path]
    pooled: torch.Tensor
    features: torch.Tensor
    taught: np.ndarray
    kinds: np.ndarray
    patients: np.ndarray
    places: list[tuple[float, ...]]

    def where(self, patients) -> np.ndarray:
        return np.flatnonzero(np.isin(self.patients, list(patients)))


class Model:
    """The fold's tuner, which starts anew for each training, and its answers."""

    def __init__(self, bundle: Path, network: HybridNetwork) -> None:
        self.tuner = TypeTuner(bundle)
        self.calibration = read_statistics(bundle).slice_calibration
        self._network = network
        self._first = {k: v.clone() for k, v in self.tuner.network.state_dict().items()}
        self._number = 0

    def first(self) -> None:
        self.tuner.network.load_state_dict(self._first)

    def fresh(self, seed: int) -> None:
        torch.manual_seed(seed)
        for module in self.tuner.network.modules():
            if isinstance(module, torch.nn.Linear):
                module.reset_parameters()

    def learn(self, corrections, replay, schedule: Schedule, folder: Path) -> None:
        self._number += 1
        fine_tune(
            self.tuner,
            Examples(list(corrections), list(replay)),
            schedule,
            folder / f"checkpoint-{self._number}.pt",
            on_step=lambda report: None,
            on_epoch=lambda epoch, network: None,
            shall_stop=lambda: False,
        )

    def probabilities(self, seen: Seen, chosen: np.ndarray) -> np.ndarray:
        self._network.load_state_dict(self.tuner.network.state_dict(), strict=False)
        with torch.inference_mode():
            said = self._network.name_pooled(seen.pooled[chosen], seen.features[chosen])
        return self.calibration.probabilities(said.fused.numpy())

    def accuracy(self, seen: Seen, chosen: np.ndarray) -> float:
        found = self.probabilities(seen, chosen).argmax(axis=1)
        return round(float((found == seen.kinds[chosen]).mean()), 4)

    def likelihood(self, seen: Seen, chosen: np.ndarray) -> float:
        rows = self.scores(seen, chosen, seen.kinds)
        return round(float(np.mean([row["log_likelihood"] for row in rows])), 4)

    def scores(self, seen: Seen, chosen: np.ndarray, kinds: np.ndarray) -> list[dict[str, float]]:
        rows = self.probabilities(seen, chosen)
        truths = [TYPES[kinds[index]] for index in chosen]
        return [
            type_scores(dict(zip(TYPES, map(float, row), strict=True)), truth)
            for row, truth in zip(rows, truths, strict=True)
        ]


def write_parent(runs: Path, fold: int, folder: Path, references: Path | None = None) -> Path:
    """Bundle of a fold's network; its statistics come from the other folds alone."""
    network, features = load_run(runs / f"fold{fold}"), run_features(runs / f"fold{fold}")
    for file in (METADATA, WEIGHTS, CARD):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / WEIGHTS)
    metadata = {"name": "classification", "version": "0.0.1"}
    metadata["network"] = NetworkArguments(features).to_json()
    (folder / METADATA).write_text(json.dumps(metadata))
    (folder / CARD).write_text(f"# Network of fold {fold}, for a benchmark\n")
    others = [
        load_predictions(runs / f"fold{f}" / PREDICTIONS).expert for f in range(FOLDS) if f != fold
    ]
    truths = [
        load_predictions(runs / f"fold{f}" / PREDICTIONS).truth for f in range(FOLDS) if f != fold
    ]
    fused, truth = np.concatenate([o.fused for o in others]), np.concatenate(truths)
    calibration = fit_calibration(fused, truth, COVERAGE)
    known = load_predictions(runs / f"fold{fold}" / "known.npz")
    outliers = fit_outliers(known.expert.embedding, known.truth)
    threshold = float(np.quantile(outliers.distance(known.expert.embedding), 0.995))
    outliers = replace(outliers, threshold=threshold)
    ClassifierStatistics(calibration, calibration, outliers).write(folder)
    if references is not None:
        for path in sorted((references / "configs").glob("*.json")):
            if not (folder / "configs" / path.name).exists():
                (folder / "configs" / path.name).write_bytes(path.read_bytes())
    return folder


def spread(rows: list[ChengSlice], count: int) -> list[ChengSlice]:
    """Up to so many slices of each patient, evenly over those that there are."""
    groups: dict[str, list[ChengSlice]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    found = []
    for group in groups.values():
        wanted = min(count, len(group))
        found += [group[(2 * n + 1) * len(group) // (2 * wanted)] for n in range(wanted)]
    return found


def read_slices(
    network: HybridNetwork,
    names: tuple[str, ...],
    data: Path,
    rows: list[ChengSlice],
    folder: Path,
    *,
    site: Site | None = None,
    measured: dict[int, np.ndarray] | None = None,
) -> Seen:
    """See and measure slices once, and keep each as an example of its own."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(4)
    pooled, features, taught, places, paths = [], [], [], [], []
    for first in range(0, len(rows), READ_BATCH):
        parts = []
        for row in rows[first : first + READ_BATCH]:
            image, mask = read_cheng_slice(data, row)
            image = image if site is None else site.picture(image, rng)
            parts.append(lone_slice(image, mask))
            places.append(case_features(*picture_case(f"picture-{row.index}", image, mask)))
            features.append(
                slice_features(parts[-1].image, parts[-1].mask, parts[-1].pixel_mm).to_array(names)
                if measured is None or row.index not in measured
                else measured[row.index]
            )
        images, masks = stack_patches([cut_patch(part) for part in parts])
        with torch.inference_mode():
            pooled.append(network.pool(network.see(images), masks))
            values = torch.from_numpy(np.stack(features[first:]))
            said = network.name_pooled(pooled[-1], values)
            taught.append(torch.stack([getattr(said, n) for n in HEAD_WEIGHTS], dim=1).numpy())
    kinds = np.array([TYPES.index(TumorType(row.tumor_type)) for row in rows])
    seen = Seen(
        paths,
        torch.cat(pooled).clone(),
        torch.from_numpy(np.stack(features)),
        np.concatenate(taught),
        kinds,
        np.array([row.group for row in rows]),
        places,
    )
    paths += [
        write_as(seen, index, int(kind), folder / f"{index}.npz")
        for index, kind in enumerate(kinds)
    ]
    return seen


def write_as(seen: Seen, index: int, kind: int, path: Path) -> Path:
    """One slice as an example of a type, right or wrong."""
    write_arrays(
        path,
        pooled=seen.pooled[index : index + 1].numpy(),
        features=seen.features[index : index + 1].numpy(),
        taught=seen.taught[index][:, None],
        kind=np.array(kind),
    )
    return path


def run_fold(plan: FoldPlan, data: Path, runs: Path, fold: int, folder: Path) -> dict[str, Any]:
    """All experiments of a fold."""
    torch.set_num_threads(1)
    site = Site()
    bundle = write_parent(runs, fold, folder / "parent")
    network, names = load_run(runs / f"fold{fold}"), run_features(runs / f"fold{fold}")
    rows = read_cheng_index(data)
    folds = cheng_folds(rows)
    held = [row for row, f in zip(rows, folds, strict=True) if f == fold]
    others = [row for row, f in zip(rows, folds, strict=True) if f != fold]
    measured = {}
    for name in (PREDICTIONS, "known.npz"):
        stored = load_predictions(runs / f"fold{fold}" / name)
        measured |= dict(zip(stored.index.tolist(), stored.expert.features, strict=True))
    known_rows = spread([r for r in others if r.index in measured], plan.known_per_patient)
    held_rows = spread(held, plan.per_patient)
    known = read_slices(network, names, data, known_rows, folder / "known", measured=measured)
    base = read_slices(network, names, data, held_rows, folder / "base", measured=measured)
    other = read_slices(network, names, data, held_rows, folder / "other", site=site)
    mild = read_slices(network, names, data, held_rows, folder / "mild", site=MILD)
    model = Model(bundle, network)
    everything = np.arange(len(base.kinds))
    untouched = {
        "base": model.accuracy(base, everything),
        "shifted": model.accuracy(other, everything),
        "mildly_shifted": model.accuracy(mild, everything),
    }
    work = folder / "work"
    work.mkdir()
    found: dict[str, Any] = {
        "fold": fold,
        "site": vars(site),
        "mild": vars(MILD),
        "untouched": untouched,
    }
    found["relearnt"] = _relearnt(model, known, base, other, fold, plan, work)
    found["curves"] = _curves(model, known, other, fold, plan, work)
    found["shifted"] = _shifted(model, known, base, other, fold, plan, work)
    found["mildly_shifted"] = _shifted(model, known, base, mild, fold, plan, work)
    found["poisoned"] = [
        _poisoned(model, known, base, other, (fold, n), plan, work)
        for n in range(plan.poison_tries)
    ]
    found["systematic"] = [
        _poisoned(model, known, base, other, (fold, 90), plan, work, cyclic=True)
    ]
    return found


def split(seen: Seen, share: float, seed: int | tuple[int, ...]) -> tuple[list[str], list[str]]:
    """Patients in two parts, each type in the same proportion."""
    rng = np.random.default_rng(seed)
    first: list[str] = []
    second: list[str] = []
    for kind in range(len(TYPES)):
        names = rng.permutation(np.unique(seen.patients[seen.kinds == kind])).tolist()
        count = round(len(names) * share)
        first += names[:count]
        second += names[count:]
    return first, second


def _relearnt(model, known, base, other, fold, plan, work) -> list[dict[str, Any]]:
    found = []
    everything = np.arange(len(base.kinds))
    for patients in (1, 2, 4):
        rng = np.random.default_rng((fold, patients))
        chosen: list[int] = []
        for kind in range(len(TYPES)):
            names = np.unique(known.patients[known.kinds == kind])
            chosen += known.where(rng.choice(names, patients, replace=False)).tolist()
        model.fresh(fold)
        paths = [known.paths[index] for index in chosen]
        model.learn(paths, [], Schedule(1, 2 * plan.curve_steps, 3e-3, fold), work)
        found.append(
            {
                "fold": fold,
                "patients_per_type": patients,
                "slices": len(chosen),
                "base": model.accuracy(base, everything),
                "shifted": model.accuracy(other, everything),
            }
        )
    return found


def _curves(model, known, other, fold, plan, work) -> list[dict[str, Any]]:
    found = []
    for seed in range(plan.seeds):
        pool, test = (other.where(part) for part in split(other, 0.5, (fold, seed)))
        for strategy in STRATEGIES:
            rng = np.random.default_rng((fold, seed))
            model.first()
            waiting, corrected = pool.tolist(), []
            accuracy, likelihood = [model.accuracy(other, test)], [model.likelihood(other, test)]
            for _ in range(plan.rounds):
                chosen = _pick(strategy, model, other, waiting, corrected, plan.per_round, rng)
                corrected += chosen
                waiting = [index for index in waiting if index not in chosen]
                model.first()
                paths = [other.paths[index] for index in corrected]
                model.learn(paths, known.paths, Schedule(1, plan.curve_steps, RATE, seed), work)
                accuracy.append(model.accuracy(other, test))
                likelihood.append(model.likelihood(other, test))
            found.append(
                {
                    "fold": fold,
                    "seed": seed,
                    "strategy": strategy,
                    "accuracy": accuracy,
                    "log_likelihood": likelihood,
                    "patients": len({str(other.patients[i]) for i in corrected}),
                }
            )
    return found


def _pick(strategy, model, seen, waiting, corrected, count, rng) -> list[int]:
    """Slices to correct next, one after the other, by what the server's strategies look at."""
    if strategy == "random":
        return [int(n) for n in rng.permutation(waiting)[:count]]
    every = [*waiting, *corrected]
    rows = model.probabilities(seen, np.array(every))
    scores = {
        index: CaseScores(0.5, seen.places[index], 0.0, normalised_entropy(row.tolist()))
        for index, row in zip(every, rows, strict=True)
    }
    chosen: list[int] = []
    for _ in range(count):
        rest = [index for index in waiting if index not in chosen]
        left = [scores[index] for index in rest]
        held = [scores[index] for index in (*corrected, *chosen)]
        if strategy == "disagreement":
            values = np.array([one.type_entropy or 0.0 for one in left])
        elif strategy == "diversity":
            values = diversity(left, held)[0]
        else:
            values = combined_scores(left, held)
        chosen.append(rest[int(np.argmax(values))])
    return chosen


def _shifted(model, known, base, other, fold, plan, work) -> list[dict[str, Any]]:
    found = []
    for seed in range(plan.shift_seeds):
        corrected, test = _corrected_patients(other, plan, (fold, 50 + seed))
        learnt, held = other.where(corrected), other.where(test)
        paths = [other.paths[index] for index in learnt]
        steps = plan.epochs * len(corrected)
        one: dict[str, Any] = {"fold": fold, "seed": seed, "patients": len(corrected)}
        model.first()
        one["shifted_before"] = model.accuracy(other, held)
        one["base_before"] = model.accuracy(base, held)
        before = _gate_scores(model, base, other, held, held, other.kinds)
        for replay, name in (([], "without_replay"), (known.paths, "after")):
            model.first()
            model.learn(paths, replay, Schedule(1, steps, RATE, seed), work)
            one[f"shifted_{name}"] = model.accuracy(other, held)
            one[f"base_{name}"] = model.accuracy(base, held)
        after = _gate_scores(model, base, other, held, held, other.kinds)
        report = _judge(base, held, held, other.kinds, before, after)
        found.append({**one, "promoted": report.promote, "reasons": list(report.reasons)})
    return found


def _poisoned(model, known, base, other, seed, plan, work, *, cyclic=False) -> dict[str, Any]:
    """A batch with wrong types, one patient of four held out with its wrong type."""
    rng = np.random.default_rng(seed)
    corrected, rest = _corrected_patients(other, plan, (*seed, 7))
    names = rng.permutation(corrected).tolist()
    held = other.where(names[::HELD_OUT_EVERY])
    learnt = np.setdiff1d(other.where(names), held)
    wrong = other.kinds.copy()
    for name in names:
        step = 2 if cyclic else int(rng.integers(1, 3))
        wrong[other.patients == name] = (other.kinds[other.patients == name] + step) % len(TYPES)
    mark = "-".join(str(n) for n in seed)
    paths = [write_as(other, int(i), int(wrong[i]), work / f"wrong-{mark}-{i}.npz") for i in learnt]
    judged = other.where(rest)
    model.first()
    before = _gate_scores(model, base, other, held, judged, wrong)
    model.learn(paths, known.paths, Schedule(1, plan.epochs * len(names), RATE, seed[-1]), work)
    after = _gate_scores(model, base, other, held, judged, wrong)
    report = _judge(base, held, judged, wrong, before, after)
    return {"fold": seed[0], "promoted": report.promote, "reasons": list(report.reasons)}


def _corrected_patients(seen: Seen, plan: FoldPlan, seed) -> tuple[list[str], list[str]]:
    return split(seen, plan.corrected_patients / len(np.unique(seen.patients)), seed)


def _gate_scores(model, base, other, held, judged, kinds):
    """Scores of the version in memory on held-out corrections and on base data."""
    return model.scores(other, held, kinds), model.scores(base, judged, base.kinds)


def _judge(base, held, judged, kinds, before, after) -> GateReport:
    rows = []
    for source, chosen, truth, old, new in (
        (Source.CORRECTIONS, held, kinds, before[0], after[0]),
        (Source.BASE, judged, base.kinds, before[1], after[1]),
    ):
        for index, one, two in zip(chosen, old, new, strict=True):
            name, patient = f"{source.value}-{index}", f"{source.value}-{base.patients[index]}"
            groups = {"type": TYPES[truth[index]].value}
            rows.append(CaseScore(name, patient, source, one, two, groups))
    return judge(
        rows,
        model="classification",
        current="0.0.1",
        candidate="0.0.2",
        rules=TypeTuner.rules,
    )
