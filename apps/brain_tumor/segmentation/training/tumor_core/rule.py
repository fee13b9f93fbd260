"""Choice of the clean-up rule of the tumour core, on patients that each network has not seen.

    python -m brain_tumor.segmentation.training.tumor_core.rule --data DIR --runs RUNS --bundles D

Five networks are read, each on the fifth of the patients that it has not seen. Every bundle gets
the rule that suits the four fifths that it is not itself measured on: the one with the highest
mean Dice of patients (mean of their slices) among those that outline no more tumour-free slices
than the rule that was set beforehand, and do no worse on volumes. Within `TOLERANCE` of the best,
the rule nearest to that one wins: fewer changed numbers, then the smaller change of threshold.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.segmentation.data.cheng_slices import (
    CHENG_PIXEL_MM,
    GBM_SPACING_MM,
    cheng_slices_of_fold,
    read_cheng_slice,
)
from brain_tumor.segmentation.evaluation.tumor_core import held_out_fold
from brain_tumor.segmentation.evaluation.tumor_core_cases import (
    read_reference,
    slice_case,
    tumour_free_slices,
    volume_paths,
)
from brain_tumor.segmentation.evaluation.tumor_core_five_folds import fold_bundles
from brain_tumor.segmentation.metrics.overlap import dice
from brain_tumor.segmentation.training.cleanup_choice import folds_to_choose_on, keep_choice
from brain_tumor.segmentation.tumor_core.segmenter import CleanUp, TumorCoreSegmenter, keep_pieces

logger = logging.getLogger(__name__)

THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55)
SMALLEST_SHARES = (0.05, 0.1, 0.25)
LEAST_PEAKS = (0.5, 0.6, 0.7, 0.8, 0.9)
TOLERANCE = 0.0005


@dataclass(frozen=True)
class RuleScore:
    """What one rule does on held-out patients.

    Attributes:
        rule: The rule.
        patients: Mean Dice of patients of the slice collection, each the mean of its slices.
        volumes: Mean Dice of whole volumes.
        outlined_free: Share of tumour-free slices in which something is outlined.
    """

    rule: CleanUp
    patients: float
    volumes: float
    outlined_free: float


def candidates() -> list[CleanUp]:
    """Every rule that is compared; the one set beforehand comes first."""
    rules = [CleanUp(*values) for values in product(THRESHOLDS, SMALLEST_SHARES, LEAST_PEAKS)]
    return [CleanUp(), *(rule for rule in rules if rule != CleanUp())]


def choose(scores: Sequence[RuleScore]) -> RuleScore:
    """The rule to take; see the head of this file.

    Args:
        scores: The rule set beforehand first.
    """
    before = scores[0]
    allowed = [
        score
        for score in scores
        if score.outlined_free <= before.outlined_free and score.volumes >= before.volumes
    ]
    best = max(score.patients for score in allowed)
    near = [score for score in allowed if score.patients >= best - TOLERANCE]

    def change(score: RuleScore) -> tuple[int, float]:
        pairs = list(zip(astuple(score.rule), astuple(before.rule), strict=True))
        return sum(a != b for a, b in pairs), abs(pairs[0][0] - pairs[0][1])

    return min(near, key=change)


@dataclass(frozen=True, eq=False)
class FoldScores:
    """What every rule does on one fold; columns are rules.

    Attributes:
        patients: Mean Dice of each patient's slices, (patients, rules).
        volumes: Dice of each volume, (volumes, rules).
        outlined_free: Whether a tumour-free slice is outlined, (slices, rules).
    """

    patients: npt.NDArray[np.float64]
    volumes: npt.NDArray[np.float64]
    outlined_free: npt.NDArray[np.float64]


def measure(
    segmenter: TumorCoreSegmenter, data: Path, fold: int, rules: Sequence[CleanUp]
) -> FoldScores:
    """Scores of every rule on a fold that the segmenter has not seen.

    Args:
        segmenter: Trained without the fold.
        data: Folder with `cheng`, `t1ce_gbm` and `glioma3d`.
        fold: 0-4.
        rules: Rules to compare.
    """
    by_patient: dict[str, list[list[float]]] = {}
    for row in cheng_slices_of_fold(data, fold):
        image, mask = read_cheng_slice(data, row)
        probability = _of_slice(segmenter, image, CHENG_PIXEL_MM)
        found = [dice(keep_pieces(probability, rule), mask) for rule in rules]
        by_patient.setdefault(row.group, []).append(found)
    volumes = []
    for path in volume_paths(data, fold):
        volume, core, ignored = read_reference(path)
        probability = segmenter.probabilities(volume).probability
        volumes.append([dice(keep_pieces(probability, r) & ~ignored, core) for r in rules])
    free = []
    for _, picture in tumour_free_slices(data, fold):
        probability = _of_slice(segmenter, picture, GBM_SPACING_MM[0])
        free.append([float(keep_pieces(probability, rule).any()) for rule in rules])
    patients = [np.mean(slices, axis=0) for slices in by_patient.values()]
    return FoldScores(*(np.reshape(t, (-1, len(rules))) for t in (patients, volumes, free)))


def pool(folds: Sequence[FoldScores], rules: Sequence[CleanUp]) -> list[RuleScore]:
    """Means over the patients, volumes and slices of several folds; 0 where there is none."""
    columns = []
    for name in ("patients", "volumes", "outlined_free"):
        table = np.concatenate([getattr(fold, name) for fold in folds])
        columns.append(table.mean(axis=0) if len(table) else np.zeros(len(rules)))
    return [
        RuleScore(rule, float(a), float(b), float(c))
        for rule, a, b, c in zip(rules, *columns, strict=True)
    ]


def keep(bundle: Path, chosen: RuleScore, before: RuleScore, folds: Sequence[int]) -> None:
    """Write a chosen rule, and what it was chosen by, into the metadata of a bundle."""
    told = {"chosen": asdict(chosen), "set_beforehand": asdict(before)}
    keep_choice(bundle, "clean_up", asdict(chosen.rule), folds, told)


def _of_slice(
    segmenter: TumorCoreSegmenter, image: npt.NDArray[Any], pixel_mm: float
) -> npt.NDArray[np.float32]:
    volume = slice_case("", image, pixel_mm).volumes[MriSequence.T1C]
    return segmenter.probabilities(volume).probability[:, :, 0].T


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: choose the rules and write them into the metadata of the bundles."""
    parser = argparse.ArgumentParser(description="Choose which pieces of a tumour core to keep.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True, help="five-fold run of tumor_core")
    parser.add_argument("--bundles", type=Path, required=True, nargs="+", help="get their rules")
    asked = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)
    chosen_on = {b: folds_to_choose_on(b, held_out_fold(b)) for b in asked.bundles}
    rules = candidates()
    scores = []
    for fold, run in enumerate(fold_bundles(asked.runs)):
        scores.append(measure(TumorCoreSegmenter.load(run), asked.data, fold, rules))
        logger.info("fold %d read", fold)
    for bundle, folds in chosen_on.items():
        pooled = pool([scores[fold] for fold in folds], rules)
        chosen = choose(pooled)
        keep(bundle, chosen, pooled[0], folds)
        logger.info("%s\n  before: %s\n  chosen: %s", bundle, pooled[0], chosen)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
