"""The loop of the outlines on real pictures of patients that `tumor_core` has never seen.

Started by `python -m benchmarks.learning --data DIR`; see there. Patients are those of the bundle's
held-out fold; the annotator gives the expert's outline. Another site is the `Site` of
`learning_types_fold`: weaker contrast, another gamma, blur across thick slabs, a bias field, noise.
Tuner, strategies, scores and gate are the server's; only the requests are missing here (see
`learning_masks_server`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brain_tumor.bundles import read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.labels import Label, LabelArray, TumorType
from brain_tumor.learning.acquisition import CaseScores, combined_scores, diversity
from brain_tumor.learning.gate.promotion import CaseScore, GateReport, Source, judge
from brain_tumor.learning.retraining.core_tuner import CoreTuner
from brain_tumor.learning.retraining.labelled_cases import picture_case
from brain_tumor.learning.retraining.loop import Schedule, fine_tune
from brain_tumor.learning.retraining.tuner import Examples, Truth
from brain_tumor.segmentation.data.cheng_slices import (
    ChengSlice,
    cheng_slices_of_fold,
    read_cheng_slice,
)
from brain_tumor.segmentation.evaluation.tumor_core import held_out_fold
from brain_tumor.segmentation.metrics.overlap import dice
from brain_tumor.segmentation.tumor_core.segmenter import TumorCoreSegmenter
from brain_tumor.server.learning.scorer import TypeOpinions, score_case
from brain_tumor.server.learning.trainers import RATES

from benchmarks.learning_types_fold import Site, spread

STRATEGIES = ("random", "uncertainty", "diversity", "combined")
RATE = RATES["tumor_core"]  # what POST /train/tumor_core takes by default
HELD_OUT_EVERY = 4
FOLDS = 5
Tell = Callable[[str], None]


@dataclass(frozen=True)
class MaskPlan:
    """How much to do. The whole plan takes about an hour of a core.

    Attributes:
        per_patient: Slices of each unseen patient.
        known_patients: Base data: at most so many patients that the model knows.
        known_per_patient: Slices of each of them.
        seeds: Learning curves of each strategy.
        rounds: Of a curve.
        per_round: Corrections of a round.
        curve_steps: Steps of each training of a curve.
        corrected_patients: Of the shifted site.
        shift_seeds: Runs with so many corrected patients.
        epochs: Passes over the corrected patients.
        poison_tries: Batches with wrong outlines.
        poison_steps: Steps of each training with them.
    """

    per_patient: int = 3
    known_patients: int = 200
    known_per_patient: int = 3
    seeds: int = 3
    rounds: int = 2
    per_round: int = 5
    curve_steps: int = 30
    corrected_patients: int = 20
    shift_seeds: int = 4
    epochs: int = 5
    poison_tries: int = 20
    poison_steps: int = 15

    @classmethod
    def small(cls) -> MaskPlan:
        """A look at real data; estimated at a quarter of an hour of an idle core."""
        return cls(
            per_patient=1,
            known_patients=20,
            known_per_patient=1,
            seeds=1,
            rounds=2,
            curve_steps=20,
            shift_seeds=1,
            epochs=3,
            poison_tries=2,
            poison_steps=30,
        )

    @classmethod
    def quick(cls) -> MaskPlan:
        """Only to see that it runs."""
        return cls(1, 2, 1, 1, 1, 1, 1, 8, 1, 1, 1, 1)


@dataclass(frozen=True, eq=False)
class Picture:
    """A lone slice with its true outline."""

    case: Case
    labels: LabelArray
    patient: str
    kind: str


class CoreModel:
    """The tuner, which starts anew for each training, and what it outlines."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self.tuner = CoreTuner(bundle)
        self.folder = folder
        self._first = {k: v.clone() for k, v in self.tuner.network.state_dict().items()}
        self._number = 0

    def first(self) -> None:
        """The parent's weights again."""
        self.tuner.network.load_state_dict(self._first)
        self.tuner.network.eval()

    def examples(self, pictures: Sequence[Picture], name: str) -> list[Path]:
        """Each picture as an example, weighted where the parent is wrong."""
        paths = []
        for number, one in enumerate(pictures):
            path = self.folder / f"{name}-{number}.npz"
            if not path.exists():
                self.tuner.prepare(one.case, Truth(one.labels), path)
            paths.append(path)
        return paths

    def learn(self, corrections: list[Path], replay: list[Path], steps: int, seed: int) -> None:
        """Fine-tune the parent, not the last candidate: as the server does with all corrections."""
        self._number += 1
        self.first()
        fine_tune(
            self.tuner,
            Examples(corrections, replay),
            Schedule(1, steps, RATE, seed),
            self.folder / f"checkpoint-{self._number}.pt",
            on_step=lambda report: None,
            on_epoch=lambda epoch, network: None,
            shall_stop=lambda: False,
        )
        (self.folder / f"checkpoint-{self._number}.pt").unlink()

    def segmenter(self) -> TumorCoreSegmenter:
        """What would answer requests with the weights in memory."""
        return self.tuner.segmenter_of(self.tuner.network)

    def measure(self, pictures: Sequence[Picture]) -> dict[str, Any]:
        """Dice of each picture, and the area that an annotator would have to change, in mm2."""
        segmenter = self.segmenter()
        scores, edits = [], []
        for one in pictures:
            found, core = segmenter.segment(one.case).labelmap == Label.CORE, one.labels > 0
            scores.append(dice(found, core))
            area_mm2 = float(np.prod(sorted(one.case.spacing_mm)[:2]))
            edits.append(float(np.count_nonzero(found != core)) * area_mm2)
        return {"dice": scores, "edit_mm2": edits}

    def scores(self, pictures: Sequence[Picture]) -> list[CaseScores]:
        """What the server's background scoring would write down."""
        segmenter = self.segmenter()
        return [
            score_case(p.case, segmenter.segment(p.case), None, TypeOpinions()) for p in pictures
        ]


def read_pictures(data: Path, rows: list[ChengSlice], site: Site | None = None) -> list[Picture]:
    """Slices as cases, at their own site or at another."""
    rng, found = np.random.default_rng(4), []
    for row in rows:
        image, mask = read_cheng_slice(data, row)
        shown = image if site is None else site.picture(image, rng)
        case, labels = picture_case(f"picture-{row.index}", shown, mask)
        found.append(Picture(case, labels, row.group, row.tumor_type))
    return found


def run_masks(plan: MaskPlan, data: Path, bundle: Path, folder: Path, tell: Tell) -> dict[str, Any]:
    """All experiments in this process."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True)
    fold, rows = unseen_rows(data, bundle)
    held = spread(rows, plan.per_patient)
    base, other = read_pictures(data, held), read_pictures(data, held, Site())
    known = read_pictures(data, known_rows(data, fold, plan))
    model = CoreModel(bundle, folder)
    model.first()
    paths = {"other": model.examples(other, "other"), "known": model.examples(known, "known")}
    untouched = {"base": _mean(model.measure(base)), "shifted": _mean(model.measure(other))}
    tell(f"fold {fold}: {len({r.group for r in rows})} patients; untouched {untouched}")
    found: dict[str, Any] = {
        "bundle": read_bundle(bundle).version.to_json(),
        "fold": fold,
        "patients": len({row.group for row in rows}),
        "slices": len(held),
        "untouched": untouched,
    }
    found["shifted"] = [_shifted(model, base, other, paths, plan, s, tell) for s in _s(plan)]
    found["poisoned"] = [
        _poisoned(model, base, other, paths, plan, n, tell) for n in range(plan.poison_tries)
    ]
    found["curves"] = [
        _curve(model, other, paths, plan, strategy, seed, tell)
        for seed in range(plan.seeds)
        for strategy in STRATEGIES
    ]
    return found


def unseen_rows(data: Path, bundle: Path) -> tuple[int, list[ChengSlice]]:
    """The fold that a bundle has never seen, and its slices.

    Raises:
        SystemExit: If the bundle has seen every patient.
    """
    fold = held_out_fold(bundle)
    if fold is None:
        raise SystemExit("this tumor_core has seen every patient; name one with a held-out fold")
    return fold, cheng_slices_of_fold(data, fold)


def known_rows(data: Path, fold: int, plan: MaskPlan) -> list[ChengSlice]:
    """Slices of patients that the bundle knows, of all of them if they are no more than planned."""
    rows = [r for f in range(FOLDS) if f != fold for r in cheng_slices_of_fold(data, f)]
    patients = sorted({row.group for row in rows})
    chosen = set(np.random.default_rng(1).permutation(patients)[: plan.known_patients].tolist())
    return spread([row for row in rows if row.group in chosen], plan.known_per_patient)


def _s(plan: MaskPlan) -> range:
    return range(plan.shift_seeds)


def split(pictures: Sequence[Picture], count: int, seed: Sequence[int]) -> tuple[set[str], ...]:
    """Patients in two parts, the first with about so many, each type in the same proportion."""
    rng = np.random.default_rng(list(seed))
    share = count / len({p.patient for p in pictures})
    first: set[str] = set()
    for kind in TumorType:
        names = sorted({p.patient for p in pictures if p.kind == kind.value})
        first |= set(rng.permutation(names)[: round(len(names) * share)].tolist())
    return first, {p.patient for p in pictures} - first


def _where(pictures: Sequence[Picture], patients: set[str]) -> list[int]:
    return [n for n, p in enumerate(pictures) if p.patient in patients]


def _shifted(model, base, other, paths, plan, seed, tell) -> dict[str, Any]:
    """20 corrected patients of another site: what it gains, what base data lose."""
    corrected, rest = split(other, plan.corrected_patients, (50, seed))
    learnt, judged = _where(other, corrected), _where(other, rest)
    shifted, usual = [other[n] for n in judged], [base[n] for n in judged]
    model.first()
    before = model.measure(shifted), model.measure(usual)
    files = [paths["other"][n] for n in learnt]
    steps = plan.epochs * len(corrected)
    one: dict[str, Any] = {"seed": seed, "patients": len(corrected), "steps": steps}
    one |= {"shifted_before": _mean(before[0]), "base_before": _mean(before[1])}
    one["edit_mm2_before"] = _mean(before[0], "edit_mm2")
    for replay, name in (([], "without_replay"), (paths["known"], "after")):
        model.learn(files, replay, steps, seed)
        after = model.measure(shifted), model.measure(usual)
        one |= {f"shifted_{name}": _mean(after[0]), f"base_{name}": _mean(after[1])}
        one[f"edit_mm2_{name}"] = _mean(after[0], "edit_mm2")
    report = _judge(shifted, usual, before, after)
    one |= {"promoted": report.promote, "reasons": list(report.reasons)}
    tell(f"shifted {seed}: {json.dumps(one)}")
    return one


def _poisoned(model, base, other, paths, plan, seed, tell) -> dict[str, Any]:
    """Outlines at the wrong place, one patient of four held out with its wrong outline."""
    corrected, rest = split(other, plan.corrected_patients, (7, seed))
    rng = np.random.default_rng((90, seed))
    names = rng.permutation(sorted(corrected)).tolist()
    held = _where(other, set(names[::HELD_OUT_EVERY]))
    learnt = sorted(set(_where(other, corrected)) - set(held))
    mirrored = seed % 2 == 0
    wrong = {n: _moved(other[n], rng, mirrored=mirrored) for n in (*held, *learnt)}
    files = model.examples([wrong[n] for n in learnt], f"wrong-{seed}")
    bad, usual = [wrong[n] for n in held], [base[n] for n in _where(base, rest)]
    model.first()
    before = model.measure(bad), model.measure(usual)
    model.learn(files, paths["known"], plan.poison_steps, seed)
    report = _judge(bad, usual, before, (model.measure(bad), model.measure(usual)))
    kind = "mirrored" if mirrored else "moved by chance"
    tell(f"poisoned {seed} ({kind}): {'PROMOTED' if report.promote else 'refused'}")
    return {
        "seed": seed,
        "kind": kind,
        "promoted": report.promote,
        "reasons": list(report.reasons),
    }


def _moved(one: Picture, rng: np.random.Generator, *, mirrored: bool) -> Picture:
    """The same picture with its outline mirrored left to right, or rolled somewhere else."""
    if mirrored:
        labels = one.labels[::-1].copy()
    else:
        shift = tuple(int(rng.integers(n // 5, n // 2)) for n in one.labels.shape[:2])
        labels = np.roll(one.labels, shift, axis=(0, 1))
    return Picture(one.case, labels, one.patient, one.kind)


def _curve(model, other, paths, plan, strategy, seed, tell) -> dict[str, Any]:
    """Dice on other patients of the site after each round of corrections."""
    pool, test = (_where(other, part) for part in split(other, plan.corrected_patients, (11, seed)))
    judged = [other[n] for n in test]
    rng = np.random.default_rng(seed)
    model.first()
    waiting, corrected, curve = list(pool), [], [_mean(model.measure(judged))]
    for _ in range(plan.rounds):
        chosen = _pick(strategy, model, other, waiting, corrected, plan.per_round, rng)
        corrected += chosen
        waiting = [n for n in waiting if n not in chosen]
        files = [paths["other"][n] for n in corrected]
        model.learn(files, paths["known"], plan.curve_steps, seed)
        curve.append(_mean(model.measure(judged)))
    tell(f"curve {strategy} {seed}: {curve}")
    return {"strategy": strategy, "seed": seed, "dice": curve}


def _pick(strategy, model, pictures, waiting, corrected, count, rng) -> list[int]:
    """Pictures to correct next, one after the other, by what the server's strategies look at."""
    if strategy == "random":
        return [int(n) for n in rng.permutation(waiting)[:count]]
    every = [*waiting, *corrected]
    scores = dict(zip(every, model.scores([pictures[n] for n in every]), strict=True))
    chosen: list[int] = []
    for _ in range(count):
        rest = [n for n in waiting if n not in chosen]
        left, seen = [scores[n] for n in rest], [scores[n] for n in (*corrected, *chosen)]
        if strategy == "uncertainty":
            values = np.array([one.uncertainty for one in left])
        elif strategy == "diversity":
            values = diversity(left, seen)[0]
        else:
            values = combined_scores(left, seen)
        chosen.append(rest[int(np.argmax(values))])
    return chosen


def _judge(corrections, usual, before, after) -> GateReport:
    rows = []
    for source, pictures, old, new in (
        (Source.CORRECTIONS, corrections, before[0], after[0]),
        (Source.BASE, usual, before[1], after[1]),
    ):
        for n, one in enumerate(pictures):
            scores = {"TC": old["dice"][n]}, {"TC": new["dice"][n]}
            names = f"{source.value}-{n}", f"{source.value}-{one.patient}"
            rows.append(CaseScore(*names, source, *scores, {"type": one.kind}))
    return judge(
        rows, model="tumor_core", current="parent", candidate="next", rules=CoreTuner.rules
    )


def _mean(measured: dict[str, Any], what: str = "dice") -> float:
    return round(float(np.mean(measured[what])), 4)
