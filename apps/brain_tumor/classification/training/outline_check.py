"""How well the network's own map tells right outlines from wrong ones, and the limit to use.

    python -m brain_tumor.classification.training.outline_check --data DIR --runs RUN --bundle DIR
        [--core-runs CORES]

Every network of the five folds reads slices of patients that it has never seen: with the expert's
outline, with that outline a little off, and with outlines that are wrong: moved to another place of
the same brain, mirrored to its other side, or drawn on a tumour-free slice. The limit lets
`PASSING` of the experts' outlines through; the figures of a fold are those of the limit of the
other four. With `CORES`, a five-fold run of `tumor_core`, it is also told what the limit costs the
product's own outlines. The limit goes into the statistics of the bundle, the figures beside its
metrics.

One expert's outline in twenty is the price of refusing nine wrong outlines in ten; at one in sixty
it would be eight in ten. The product's own outlines pay less: it draws where it sees tumour.

Agreements are kept in the run folder and not measured again; delete the file to do so.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from brain_tumor.classification.case_slices import Patch, cut_patch, stack_patches
from brain_tumor.classification.features.head import GRID_MM, find_head
from brain_tumor.classification.features.outline import MaskArray
from brain_tumor.classification.model.network import HybridNetwork
from brain_tumor.classification.model.plausibility import outline_agreement
from brain_tumor.classification.model.training_statistics import read_statistics
from brain_tumor.classification.predictions import lone_slice
from brain_tumor.classification.training.data import disturb_outline
from brain_tumor.classification.training.own_outlines import kept_or_measured_own, own_figures
from brain_tumor.classification.training.run import load_run
from brain_tumor.errors import FileFormatError, InputError
from brain_tumor.segmentation.data.cheng_slices import (
    CHENG_PIXEL_MM,
    FOLDS,
    GBM_SPACING_MM,
    cheng_slices_of_fold,
    read_cheng_slice,
)
from brain_tumor.segmentation.evaluation.tumor_core_cases import tumour_free_slices
from brain_tumor.segmentation.hardware import bf16_autocast

RESULT = Path("outline_check.json")
AGREEMENTS = Path("outline_agreements.csv")
PASSING = 0.95
SLICE_STEP = 8
"""Of the collection every eighth slice is read."""
INSIDE_SHARE = 0.9
MIRROR_INSIDE_SHARE, MIRROR_OVERLAP = 0.8, 0.1
TRIES = 60
SEED = 5
EXPERT, DISTURBED = "expert", "a little off"
MOVED, MIRRORED, HEALTHY = "moved", "mirrored", "on a tumour-free slice"

Picture = npt.NDArray[Any]


@dataclass(frozen=True)
class Agreement:
    """One outline and how far the network that never saw the patient agrees with it.

    Attributes:
        fold: Fold of the patient.
        kind: Kind of outline.
        patient: Patient group.
        value: See `agreement`.
    """

    fold: int
    kind: str
    patient: str
    value: float


def moved_outline(
    outline: MaskArray, brain: MaskArray, taken: MaskArray, rng: np.random.Generator
) -> MaskArray | None:
    """The outline at a random other place of the brain, clear of what is taken, or None.

    Args:
        outline: Shape (rows, columns), not empty.
        brain: Where it may lie, same shape.
        taken: What it must not touch, same shape.
        rng: Source of randomness.
    """
    places, pixels = np.argwhere(brain), np.argwhere(outline)
    middle = np.round(pixels.mean(axis=0)).astype(int)
    for _ in range(TRIES if len(places) else 0):
        rows, columns = (pixels + places[rng.integers(len(places))] - middle).T
        if min(rows.min(), columns.min()) < 0:
            continue
        if rows.max() >= outline.shape[0] or columns.max() >= outline.shape[1]:
            continue
        moved = np.zeros_like(outline)
        moved[rows, columns] = True
        if not (moved & taken).any() and _share(moved, brain) >= INSIDE_SHARE:
            return moved
    return None


def mirrored_outline(outline: MaskArray, brain: MaskArray) -> MaskArray | None:
    """The outline on the other side of the brain, or None if it meets itself or leaves the brain.

    Args:
        outline: Shape (rows, columns), upright, not empty.
        brain: Same shape.
    """
    inside = np.flatnonzero(brain.any(axis=0))
    rows, columns = np.nonzero(outline)
    if len(inside) == 0:
        return None
    columns = inside[0] + inside[-1] - columns
    if columns.min() < 0 or columns.max() >= outline.shape[1]:
        return None
    other = np.zeros_like(outline)
    other[rows, columns] = True
    meets = _share(other, outline) > MIRROR_OVERLAP
    return None if meets or _share(other, brain) < MIRROR_INSIDE_SHARE else other


def agreements(
    network: HybridNetwork, image: Picture, outlines: Sequence[MaskArray], pixel_mm: float
) -> list[float]:
    """Agreement of the network's map of a slice with several outlines.

    Args:
        network: In evaluation mode.
        image: Shape (rows, columns).
        outlines: Same shape each.
        pixel_mm: Side of a pixel.
    """
    part = lone_slice(image, np.zeros(np.shape(image), dtype=bool), pixel_mm)
    patches = [cut_patch(replace(part, mask=outline)) for outline in outlines]
    windows: dict[bytes, Patch] = {patch.to_pixel.tobytes(): patch for patch in patches}
    images, _ = stack_patches(list(windows.values()))
    with torch.inference_mode(), bf16_autocast():
        maps = network.see(images).mask_logits[:, 0].float().numpy()
    seen = dict(zip(windows, maps, strict=True))
    return [outline_agreement(seen[p.to_pixel.tobytes()], p.mask, p.image) for p in patches]


def measure(data: Path, runs: Path, *, progress: bool = True) -> list[Agreement]:
    """Agreement of right and wrong outlines, each read by a network that never saw the patient.

    Args:
        data: Folder with `cheng` and `t1ce_gbm`.
        runs: Run folder with five folds.
        progress: Show bars.
    """
    found: list[Agreement] = []
    for fold in range(FOLDS):
        network, rng = load_run(runs / f"fold{fold}"), np.random.default_rng((SEED, fold))
        held = cheng_slices_of_fold(data, fold)[::SLICE_STEP]
        donors: list[MaskArray] = []
        for row in tqdm(held, desc=f"fold {fold}", disable=not progress):
            image, mask = read_cheng_slice(data, row)
            donors.append(mask)
            outlines = {EXPERT: mask, DISTURBED: disturb_outline(mask, rng)}
            outlines |= _wrong_outlines(image, mask, rng)
            values = agreements(network, image, list(outlines.values()), CHENG_PIXEL_MM)
            found += [Agreement(fold, *pair) for pair in _named(outlines, row.group, values)]
        for patient, image in tumour_free_slices(data, fold):
            drawn = donors[rng.integers(len(donors))]
            outline = _on_healthy(image, drawn, rng)
            if outline is not None:
                (value,) = agreements(network, image, [outline], GBM_SPACING_MM[0])
                found.append(Agreement(fold, HEALTHY, patient, value))
    return found


def kept_or_measured(data: Path, runs: Path) -> list[Agreement]:
    """Agreements of the run folder; measured first if it has none."""
    path = runs / AGREEMENTS
    if not path.is_file():
        write_agreements(path, measure(data, runs))
    return read_agreements(path)


def write_agreements(path: Path, found: Sequence[Agreement]) -> None:
    """Keep agreements in a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ("fold", "kind", "patient", "value"))
        writer.writeheader()
        writer.writerows({**asdict(one), "value": f"{one.value:.5f}"} for one in found)


def read_agreements(path: Path) -> list[Agreement]:
    """Read what `write_agreements` wrote.

    Raises:
        FileFormatError: If the file is not such a table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return [
                Agreement(int(row["fold"]), row["kind"], row["patient"], float(row["value"]))
                for row in csv.DictReader(stream)
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"'{path.name}' holds no agreements: {error!r}") from error


def figures(found: Sequence[Agreement]) -> dict[str, Any]:
    """The limit, and what limits from other patients do to every kind of outline.

    Args:
        found: From `measure`.

    Returns:
        `least_agreement`; and per kind n, patients and the share refused, where the limit of a
        fold comes from the experts' outlines of the other folds.

    Raises:
        InputError: If fewer than two folds have experts' outlines.
    """
    kind = np.array([one.kind for one in found])
    limits = limits_of_others(found)
    refused = np.array([one.value < limits[one.fold] for one in found])
    table = {}
    for name in dict.fromkeys(kind.tolist()):
        inside = kind == name
        patients = {one.patient for one in found if one.kind == name}
        table[name] = {
            "n": int(inside.sum()),
            "patients": len(patients),
            "refused": round(float(refused[inside].mean()), 4),
        }
    least = float(np.quantile([one.value for one in found if one.kind == EXPERT], 1 - PASSING))
    return {"least_agreement": round(least, 4), "outlines": table}


def limits_of_others(found: Sequence[Agreement]) -> dict[int, float]:
    """Limit of each fold, from the experts' outlines of the other folds.

    Raises:
        InputError: If fewer than two folds have experts' outlines.
    """
    experts = [one for one in found if one.kind == EXPERT]
    if len({one.fold for one in experts}) < 2:
        raise InputError("experts' outlines are from fewer than two folds; a limit needs others")
    return {
        fold: float(np.quantile([e.value for e in experts if e.fold != fold], 1 - PASSING))
        for fold in sorted({one.fold for one in found})
    }


def _wrong_outlines(
    image: Picture, mask: MaskArray, rng: np.random.Generator
) -> dict[str, MaskArray]:
    brain = _brain(image, mask, CHENG_PIXEL_MM)
    outlines = {
        MOVED: moved_outline(mask, brain, mask, rng),
        MIRRORED: mirrored_outline(mask, brain),
    }
    return {name: outline for name, outline in outlines.items() if outline is not None}


def _on_healthy(image: Picture, drawn: MaskArray, rng: np.random.Generator) -> MaskArray | None:
    """An outline of another patient, drawn somewhere on the brain of a tumour-free slice."""
    blank = np.zeros(image.shape, dtype=bool)
    outline = blank.copy()
    rows, columns = (min(a, b) for a, b in zip(image.shape, drawn.shape, strict=True))
    outline[:rows, :columns] = drawn[:rows, :columns]
    if not outline.any():
        return None
    return moved_outline(outline, _brain(image, blank, GBM_SPACING_MM[0]), blank, rng)


def _brain(image: Picture, mask: MaskArray, pixel_mm: float) -> MaskArray:
    """Brain on the pixels of the slice; empty if no head is found."""
    head = find_head(np.asarray(image, dtype=np.float32), mask, (pixel_mm, pixel_mm))
    if head is None:
        return np.zeros(image.shape, dtype=bool)
    rows, columns = (
        np.minimum(np.round(np.arange(n) * pixel_mm / GRID_MM).astype(int), last - 1)
        for n, last in zip(image.shape, head.brain.shape, strict=True)
    )
    brain: MaskArray = head.brain[np.ix_(rows, columns)]
    return brain


def _share(mask: MaskArray, of: MaskArray) -> float:
    return float(np.count_nonzero(mask & of)) / max(int(np.count_nonzero(mask)), 1)


def _named(
    outlines: Mapping[str, MaskArray], patient: str, values: Sequence[float]
) -> Iterator[tuple[str, str, float]]:
    for name, value in zip(outlines, values, strict=True):
        yield name, patient, value


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: measures, and writes the limit and the figures into a bundle."""
    parser = argparse.ArgumentParser(description="Limit of the agreement with an outline.")
    parser.add_argument("--data", type=Path, required=True, help="folder with cheng and t1ce_gbm")
    parser.add_argument("--runs", type=Path, required=True, help="run folder with five folds")
    parser.add_argument("--bundle", type=Path, required=True, help="for example models/...")
    parser.add_argument(
        "--core-runs", type=Path, help="five-fold run of tumor_core, to check its outlines as well"
    )
    chosen = parser.parse_args(argv)
    found = kept_or_measured(chosen.data, chosen.runs)
    result = figures(found)
    if chosen.core_runs is not None:
        own = kept_or_measured_own(chosen.data, chosen.runs, chosen.core_runs)
        result["own_outlines"] = own_figures(own, limits_of_others(found))
    (chosen.bundle / RESULT).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    statistics = read_statistics(chosen.bundle)
    replace(statistics, least_agreement=result["least_agreement"]).write(chosen.bundle)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
