"""What the limit of the agreement costs the product's own outlines.

Slices of patients that neither `tumor_core` nor the classifier has seen are outlined by
`tumor_core` and typed with that outline; where it finds nothing, nothing can be refused. Whether
the type was wrong more often where the outline is refused tells what the refusals are worth.

What was measured is kept in the run folder and not measured again; delete the file to do so.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from brain_tumor.classification.case_slices import cut_patch, stack_patches
from brain_tumor.classification.features.features import slice_features
from brain_tumor.classification.features.outline import MIN_PIXELS
from brain_tumor.classification.model.plausibility import outline_agreement
from brain_tumor.classification.predictions import lone_slice, segmenter_outlines
from brain_tumor.classification.training.run import load_run, run_features
from brain_tumor.errors import FileFormatError
from brain_tumor.labels import TYPES
from brain_tumor.segmentation.data.cheng_slices import cheng_slices_of_fold, read_cheng_slice
from brain_tumor.segmentation.evaluation.tumor_core_five_folds import fold_bundles
from brain_tumor.segmentation.hardware import cpu_has_bf16
from brain_tumor.segmentation.tumor_core.segmenter import TumorCoreSegmenter

OWN_OUTLINES = Path("own_outlines.csv")
SLICE_STEP = 4
"""Of the collection every fourth slice is read."""


@dataclass(frozen=True)
class OwnOutline:
    """An outline of the product on a slice that it has not seen.

    Attributes:
        fold: Fold of the patient.
        patient: Patient group.
        value: Agreement with the classifier's map; see `agreement`.
        right: Whether the likeliest type is the true one.
    """

    fold: int
    patient: str
    value: float
    right: bool


def measure_own_outlines(
    data: Path, runs: Path, cores: Path, *, progress: bool = True
) -> list[OwnOutline]:
    """Agreement of outlines that `tumor_core` draws, and whether the type is right with them.

    Args:
        data: Folder with `cheng`.
        runs: Run folder of the classifier with five folds.
        cores: Five-fold run of `tumor_core`.
        progress: Show bars.
    """
    found = []
    for fold, core in enumerate(fold_bundles(cores)):
        network, features = load_run(runs / f"fold{fold}"), run_features(runs / f"fold{fold}")
        draw = segmenter_outlines(TumorCoreSegmenter.load(core))
        held = cheng_slices_of_fold(data, fold)[::SLICE_STEP]
        for row in tqdm(held, desc=f"own outlines, fold {fold}", disable=not progress):
            part = lone_slice(*read_cheng_slice(data, row))
            (outline,) = draw([part])
            if np.count_nonzero(outline) < MIN_PIXELS:
                continue
            part = replace(part, mask=outline)
            patch = cut_patch(part)
            images, masks = stack_patches([patch])
            vector = slice_features(part.image, part.mask, part.pixel_mm).to_array(features)
            values = torch.from_numpy(vector[None])
            bf16 = cpu_has_bf16()
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                maps = network.see(images)
                guess = int(network.name(maps, masks, values).fused.float().argmax())
            seen = maps.mask_logits[0, 0].float().numpy()
            value = outline_agreement(seen, patch.mask, patch.image)
            right = TYPES[guess].value == row.tumor_type
            found.append(OwnOutline(fold, row.group, value, right))
    return found


def kept_or_measured_own(data: Path, runs: Path, cores: Path) -> list[OwnOutline]:
    """Own outlines of the run folder; measured first if it has none."""
    path = runs / OWN_OUTLINES
    if not path.is_file():
        write_own_outlines(path, measure_own_outlines(data, runs, cores))
    return read_own_outlines(path)


def write_own_outlines(path: Path, found: Sequence[OwnOutline]) -> None:
    """Keep what was measured in a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ("fold", "patient", "value", "right"))
        writer.writeheader()
        for one in found:
            writer.writerow({**asdict(one), "value": f"{one.value:.5f}", "right": int(one.right)})


def read_own_outlines(path: Path) -> list[OwnOutline]:
    """Read what `write_own_outlines` wrote.

    Raises:
        FileFormatError: If the file is not such a table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return [
                OwnOutline(
                    int(row["fold"]), row["patient"], float(row["value"]), row["right"] == "1"
                )
                for row in csv.DictReader(stream)
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"'{path.name}' holds no own outlines: {error!r}") from error


def own_figures(found: Sequence[OwnOutline], limits: Mapping[int, float]) -> dict[str, Any]:
    """What the limits of the other folds refuse of the own outlines.

    Args:
        found: From `measure_own_outlines`, at least one.
        limits: Limit of each fold.

    Returns:
        n, patients, share refused, and the share typed wrongly of the refused and of the passed;
        None where there is none.
    """
    refused = np.array([one.value < limits[one.fold] for one in found])
    wrong = np.array([not one.right for one in found])
    return {
        "n": len(found),
        "patients": len({one.patient for one in found}),
        "refused": round(float(refused.mean()), 4),
        "wrong_of_refused": _share(wrong[refused]),
        "wrong_of_passed": _share(wrong[~refused]),
    }


def _share(values: Any) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None
