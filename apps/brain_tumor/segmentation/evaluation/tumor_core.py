"""Accuracy of a tumour-core bundle on patients that it has not seen.

Slices and volumes go through `TumorCoreSegmenter.segment`, exactly as a case of a user does.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from brain_tumor.bundles import read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.segmentation.data.cheng_slices import (
    CHENG_PIXEL_MM,
    FOLDS,
    cheng_slices_of_fold,
    read_cheng_slice,
    volume_patient,
)
from brain_tumor.segmentation.evaluation.tumor_core_cases import (
    estimate_plane,
    read_reference,
    slice_case,
    volume_paths,
)
from brain_tumor.segmentation.metrics.metrics import OverlapScores, score_masks, score_overlap
from brain_tumor.segmentation.metrics.overlap import dice
from brain_tumor.segmentation.result import Segmenter
from brain_tumor.segmentation.tumor_core.segmenter import TumorCoreSegmenter
from brain_tumor.segmentation.tumor_core.slices import Plane

BoolArray = npt.NDArray[np.bool_]

SMALL_TUMOUR_MM2 = 300.0
"""Below this area (a disc of 19.5 mm) a slice counts as a small tumour."""
RESAMPLES = 1000
COMPARED_SLICES = 40
MEANS = ("iou", "surface_dice", "sensitivity", "specificity", "precision")


@dataclass(frozen=True)
class CoreRow:
    """Score of one slice or one volume.

    Scores are those of `segmentation.metrics`, empty outlines those of its policy: a missed tumour
    has Dice and precision 0 and the diagonal of the image for a distance.

    Attributes:
        case: Name of the slice or volume.
        collection: `cheng`, `t1ce_gbm` or `glioma3d`.
        patient: Unit of the split.
        tumor_type: glioma, meningioma or pituitary.
        cohort: `MR` or `numeric` for slices, else the collection.
        plane: Estimated plane of a slice (see `estimate_plane`), `volume` for volumes.
        reference_size: Reference tumour: mm2 for slices, mL for volumes.
        found_size: Same for the outline found.
        dice: See `segmentation.metrics.OverlapScores`, as for the six that follow.
        false_lesion_ml: Volume of the largest false lesion; None for slices, as the next.
        lesion_dice: See `segmentation.lesions.LesionScores`.
        seconds: Array in to labelmap out.
    """

    case: str
    collection: str
    patient: str
    tumor_type: str
    cohort: str
    plane: str
    reference_size: float
    found_size: float
    dice: float
    iou: float
    sensitivity: float
    specificity: float
    precision: float
    hd95_mm: float
    surface_dice: float
    false_lesion_ml: float | None
    lesion_dice: float | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary."""
        return asdict(self)


def evaluate_tumor_core(
    bundle_path: Path,
    data_dir: Path,
    fold: int = 0,
    *,
    segmenter: Segmenter | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[CoreRow]:
    """Score a bundle on the held-out patients of one fold.

    Args:
        bundle_path: Bundle that was trained without this fold.
        data_dir: Folder with `cheng`, `t1ce_gbm` and `glioma3d`.
        fold: 0-4.
        segmenter: Scored instead of the bundle's own, if given.
        progress: Called with the name of each case before it is read.

    Returns:
        Slices in the order of the index, then volumes by name.
    """
    scored = segmenter or TumorCoreSegmenter.load(bundle_path)
    rows = []
    for row in _cheng_rows(data_dir, fold, scored, progress):
        rows.append(row)
    for row in _volume_rows(data_dir, fold, scored, progress):
        rows.append(row)
    return rows


def _cheng_rows(
    data_dir: Path, fold: int, segmenter: Segmenter, progress: Callable[[str], None] | None
) -> Iterator[CoreRow]:
    for entry in cheng_slices_of_fold(data_dir, fold):
        name = f"cheng {entry.index}"
        if progress:
            progress(name)
        image, mask = read_cheng_slice(data_dir, entry)
        started = time.perf_counter()
        result = segmenter.segment(slice_case(name, image))
        seconds = time.perf_counter() - started
        found = result.labelmap[:, :, 0].T > 0
        scores = score_overlap(found, mask, (CHENG_PIXEL_MM,) * 2)
        pixel_mm2 = CHENG_PIXEL_MM**2
        yield CoreRow(
            case=name,
            collection="cheng",
            patient=entry.group,
            tumor_type=entry.tumor_type,
            cohort=entry.cohort,
            plane=estimate_plane(image).value,
            reference_size=float(np.count_nonzero(mask)) * pixel_mm2,
            found_size=float(np.count_nonzero(found)) * pixel_mm2,
            false_lesion_ml=None,
            lesion_dice=None,
            **_cells(scores),
            seconds=seconds,
        )


def _volume_rows(
    data_dir: Path, fold: int, segmenter: Segmenter, progress: Callable[[str], None] | None
) -> Iterator[CoreRow]:
    for path in volume_paths(data_dir, fold):
        if progress:
            progress(path.stem)
        volume, core, ignored = read_reference(path)
        case = Case(path.stem, MriSequence.T1C, {MriSequence.T1C: volume})
        started = time.perf_counter()
        result = segmenter.segment(case)
        seconds = time.perf_counter() - started
        found = (result.labelmap > 0) & ~ignored
        scores = score_masks(found, core, volume.spacing_mm)
        voxel_ml = float(np.prod(volume.spacing_mm)) / 1000.0
        yield CoreRow(
            case=path.stem,
            collection=path.parent.name,
            patient=volume_patient(path.stem),
            tumor_type="glioma",
            cohort=path.parent.name,
            plane="volume",
            reference_size=float(np.count_nonzero(core)) * voxel_ml,
            found_size=float(np.count_nonzero(found)) * voxel_ml,
            false_lesion_ml=scores.lesions.largest_false_lesion_ml,
            lesion_dice=scores.lesions.lesion_dice,
            **_cells(scores),
            seconds=seconds,
        )


def _cells(scores: OverlapScores) -> dict[str, Any]:
    return {f.name: getattr(scores, f.name) for f in fields(OverlapScores) if f.name != "state"}


def summarise(rows: Sequence[CoreRow]) -> dict[str, Any]:
    """Tables of the card: slices overall and by subgroup, volumes one by one.

    Confidence intervals are percentile bootstraps over patients, seeded.
    """
    slices = [row for row in rows if row.collection == "cheng"]
    groups: dict[str, list[CoreRow]] = {"all slices": slices}
    groups["glioma, numeric cohort"] = [
        r for r in slices if r.tumor_type == "glioma" and r.cohort == "numeric"
    ]
    groups["glioma, MR cohort"] = [
        r for r in slices if r.tumor_type == "glioma" and r.cohort == "MR"
    ]
    for kind in ("glioma", "meningioma", "pituitary"):
        groups[kind] = [r for r in slices if r.tumor_type == kind]
    for plane in Plane:
        groups[f"{plane.value} (estimated)"] = [r for r in slices if r.plane == plane.value]
    groups[f"under {SMALL_TUMOUR_MM2:.0f} mm2"] = [
        r for r in slices if r.reference_size < SMALL_TUMOUR_MM2
    ]
    return {
        "slices": {name: _group_summary(found) for name, found in groups.items() if found},
        "volumes": [row.to_json() for row in rows if row.collection != "cheng"],
    }


def _group_summary(rows: Sequence[CoreRow]) -> dict[str, Any]:
    dice = np.array([row.dice for row in rows])
    patients = np.array([row.patient for row in rows])
    by_patient = [dice[patients == p] for p in np.unique(patients)]
    low, high = _bootstrap(by_patient)
    return {
        "slices": len(rows),
        "patients": len(by_patient),
        "dice_mean": float(dice.mean()),
        "dice_mean_ci95": [low, high],
        "dice_median": float(np.median(dice)),
        "dice_mean_of_patients": float(np.mean([d.mean() for d in by_patient])),
        "share_below_half": float(np.mean(dice < 0.5)),
        "missed": int(np.count_nonzero(dice == 0)),
        **{f"{name}_mean": float(np.mean([getattr(r, name) for r in rows])) for name in MEANS},
        "hd95_mm_median": float(np.median([row.hd95_mm for row in rows])),
        "seconds_median": float(np.median([row.seconds for row in rows])),
    }


def _bootstrap(by_patient: Sequence[npt.NDArray[np.float64]]) -> tuple[float, float]:
    numbers = np.random.default_rng(0)
    sums = np.array([d.sum() for d in by_patient])
    counts = np.array([len(d) for d in by_patient])
    drawn = numbers.integers(len(sums), size=(RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def held_out_fold(bundle_path: Path) -> int | None:
    """Fold that a bundle was trained without, or None if it has seen every patient."""
    training = read_bundle(bundle_path).metadata.get("training", {})
    fold: int | None = training.get("options", {}).get("fold")
    return fold


def write_rows(path: Path, rows: Sequence[CoreRow]) -> None:
    """Per-case table as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(CoreRow)])
        writer.writeheader()
        writer.writerows(row.to_json() for row in rows)


def compare_precisions(bundle_path: Path, cases: Sequence[Case]) -> float:
    """Mean Dice between the labelmaps in bfloat16 and in float32 (1 is the same)."""
    fast, exact = (TumorCoreSegmenter.load(bundle_path, bf16=flag) for flag in (True, False))
    scores = [dice(fast.segment(c).labelmap > 0, exact.segment(c).labelmap > 0) for c in cases]
    return float(np.mean(scores))


def time_segmenter(segmenter: Segmenter, case: Case, *, repeats: int = 3) -> dict[str, float]:
    """Shortest and median seconds of `segment` after a warm-up, and under which conditions."""
    segmenter.segment(case)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        segmenter.segment(case)
        seconds.append(time.perf_counter() - started)
    return {
        "threads": float(torch.get_num_threads()),
        "load": os.getloadavg()[0],
        "min_s": min(seconds),
        "median_s": float(np.median(seconds)),
    }


def evaluate_bundle(
    bundle_path: Path, data: Path, output: Path, *, fold: int | None = None
) -> Path:
    """Measure a bundle and write the tables: `output` and, next to it, one line a case as CSV.

    Args:
        bundle_path: Bundle of a trained model.
        data: Folder with `cheng`, `t1ce_gbm` and `glioma3d`.
        output: JSON file; the table of cases gets the suffix `.csv`.
        fold: Fold to measure, or None for the one that the bundle's training held out (all
            folds if it held out none).

    Returns:
        `output`.
    """
    bundle = read_bundle(bundle_path)
    held_out = held_out_fold(bundle_path)
    folds = [fold] if fold is not None else [held_out] if held_out is not None else range(FOLDS)
    segmenter = TumorCoreSegmenter.load(bundle_path)
    rows: list[CoreRow] = []
    with tqdm(desc="tumour core", unit="case", file=sys.stderr) as bar:
        for one in folds:
            rows += evaluate_tumor_core(
                bundle_path, data, one, segmenter=segmenter, progress=lambda _: bar.update()
            )
    cases = _sample_cases(data, folds[0])
    speed = {"slice 256x256": time_segmenter(segmenter, cases[0], repeats=5)}
    for case in cases[COMPARED_SLICES:]:
        name = "volume " + "x".join(str(length) for length in case.shape)
        speed[name] = time_segmenter(segmenter, case)
    metrics = {
        "model": bundle.version.to_json(),
        "measured_folds": list(folds),
        "folds": FOLDS,
        "seen_in_training": list(folds) != [held_out],
        **summarise(rows),
        "speed": speed,
        "dice_bf16_against_fp32": compare_precisions(bundle_path, cases),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    write_rows(output.with_suffix(".csv"), rows)
    return output


def _sample_cases(data_dir: Path, fold: int) -> list[Case]:
    """Forty slices, then the whole volumes, of a fold."""
    held_out = cheng_slices_of_fold(data_dir, fold)
    chosen = np.linspace(0, len(held_out) - 1, COMPARED_SLICES).astype(int)
    cases = [
        slice_case(str(row.index), read_cheng_slice(data_dir, row)[0])
        for row in (held_out[i] for i in chosen)
    ]
    for path in volume_paths(data_dir, fold):
        if path.parent.name == "glioma3d":
            volume, _, _ = read_reference(path)
            cases.append(Case(path.stem, MriSequence.T1C, {MriSequence.T1C: volume}))
    return cases
