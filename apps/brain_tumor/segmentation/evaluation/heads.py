"""Accuracy on heads as the scanner makes them, and silence where there is no tumour.

Whole-tumour Dice in 3-D by patient on heads with skull, what is outlined in their slices without
tumour and in healthy volumes, and how often a tumour is called absent. Two parts of every head are
read as cases of their own: three slices through the tumour, and a slab in which there is none.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.geometry import case_on_reference_grid
from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import InputError, TumorLensError
from brain_tumor.segmentation.data.folds import FOLDS
from brain_tumor.segmentation.data.healthy import healthy_of_fold
from brain_tumor.segmentation.data.lgg import Head, heads_of_fold
from brain_tumor.segmentation.evaluation.evaluation import held_out_fold, whole_rows
from brain_tumor.segmentation.evaluation.rows import WHOLE_COLLECTION, join_sequences
from brain_tumor.segmentation.evaluation.summary import patient_statistics, summarise
from brain_tumor.segmentation.joint import JointSegmenter
from brain_tumor.segmentation.result import Segmenter

SCHEMA_VERSION = 1
HEADS, HEALTHY = "heads", "healthy"
THIN_SLABS, FREE_SLABS = "thin_slabs", "free_slabs"
THIN_SLAB_SLICES = 3
LEAST_SLAB_MM = 25.0
MARGIN_SLICES = 1
FREE_SLICE_MM2 = 100.0
SILENT_ML = 1.0
SMALL_TUMOUR_ML = 10.0
THICK_MM = 5.0
WORST_CASES = 5
_T1, _T1C, _FLAIR = MriSequence.T1, MriSequence.T1C, MriSequence.FLAIR
SUBSETS = ((_T1, _FLAIR), (_T1C, _FLAIR), (_FLAIR,))


@dataclass(frozen=True)
class HeadRow:
    """One head from one subset of its sequences.

    Attributes:
        collection: `heads` (with a tumour), `thin_slabs` (three slices of one, at its largest),
            `free_slabs` (slices of a head far from its tumour) or `healthy`.
        case: Name of the case.
        person: Unit of the split and of every interval.
        available: Sequences of the case, joined by `+`.
        sequences: Sequences that the model was given.
        thickness_mm: Distance of the slices.
        failure: Why there is no answer; empty if there is one.
        tumour_ml: Whole tumour of the reference.
        predicted_ml: What was outlined.
        dice: Of the whole tumour in 3-D; None in health, 0 without an answer.
        presence: Probability that there is a tumour; None if the model tells none.
        free_slices: Slices in which the reference shows no tumour.
        free_slices_outlined: Those of them with more than 100 mm2 outlined.
    """

    collection: str
    case: str
    person: str
    available: str
    sequences: str
    thickness_mm: float
    failure: str
    tumour_ml: float
    predicted_ml: float
    dice: float | None
    presence: float | None
    free_slices: int
    free_slices_outlined: int

    @property
    def is_complete(self) -> bool:
        """Whether the model was given all that the case has."""
        return self.sequences == self.available


@dataclass(frozen=True)
class HeadReport:
    """Per-case table and what it was made with; see `summarise_heads` for its JSON.

    Attributes:
        models: What was measured.
        fold: Fold of persons measured on, None for all.
        rows: One row per head and subset of sequences.
        brains: Whole stripped cases by the same models, as `evaluation.summary` has `wholes`.
    """

    models: tuple[ModelVersion, ...]
    fold: int | None
    rows: tuple[HeadRow, ...]
    brains: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Summary; neither times nor dates, so the same models write the same file."""
        return {
            "schema_version": SCHEMA_VERSION,
            "models": [model.to_json() for model in self.models],
            "fold": self.fold,
            "folds": FOLDS,
            **summarise_heads(self.rows),
            "brains": dict(self.brains),
        }

    def write(self, path: Path) -> None:
        """Write the per-case table `<stem>.csv` next to the summary `path`, the table first."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, [column.name for column in fields(HeadRow)])
            writer.writeheader()
            writer.writerows(asdict(row) for row in self.rows)
        path.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")


def evaluate_heads(
    segmenter: Segmenter,
    data: Path,
    *,
    fold: int | None,
    models: Sequence[ModelVersion] = (),
) -> HeadReport:
    """Measure a segmenter on heads with skull and on healthy heads; shows a progress bar.

    Args:
        segmenter: Reads cases as a user's are read; it must not have seen persons of the fold.
        data: Folder with `lgg` and `healthy`; either may be missing.
        fold: Fold of persons to measure on, or None for all.
        models: What the segmenter is made of.
    """
    rows: list[HeadRow] = []
    with tqdm(desc="heads", unit="case", file=sys.stderr) as bar:
        for head in heads_of_fold(data, fold):
            rows.extend(_head_rows(segmenter, head))
            bar.update()
        for case in healthy_of_fold(data, fold):
            rows.append(_row(segmenter, HEALTHY, case, case.case_id, case.present, None))
            bar.update()
    return HeadReport(tuple(models) or (segmenter.version,), fold, tuple(rows))


def evaluate_bundles(
    subregions: Path, heads: Path, data: Path, output: Path, *, fold: int | None = None
) -> HeadReport:
    """Measure two bundles as one segmenter, on heads, in health and on stripped brains.

    Args:
        subregions: Bundle of the 3-D network.
        heads: Bundle of the whole-head network.
        data: Folder with `lgg`, `healthy`, `brats20` and `glioma3d`.
        output: JSON file; the per-case table goes next to it as CSV.
        fold: Fold to measure; by default the one that the whole-head network held out.

    Raises:
        InputError: If the whole-head network has seen the persons of the fold.
        ModelError: If a bundle is damaged.
    """
    held_out = held_out_fold(heads)
    fold = held_out if fold is None else fold
    if held_out is None or fold != held_out:
        seen = "every person" if held_out is None else f"the persons of fold {fold}"
        raise InputError(
            f"the whole-head network in '{heads.parent.name}' has seen {seen}",
            remedy="Measure a run that held out a fold: --runs DIR.",
        )
    segmenter = JointSegmenter.load(subregions, heads)
    report = evaluate_heads(segmenter, data, fold=fold, models=segmenter.models)
    brains = summarise(whole_rows(segmenter, data, fold=fold))[WHOLE_COLLECTION]
    report = replace(report, brains=brains)
    report.write(output)
    return report


def summarise_heads(rows: Sequence[HeadRow]) -> dict[str, Any]:
    """Tables of an evaluation; a pure function of the per-case table.

    Returns:
        - `heads`: `groups`, weak sub-groups first and `all` last, each with `cases`, the
          statistics of the Dice (`evaluation_summary.patient_statistics`), `under_half` (share of
          cases with a Dice under 0.5) and `called_empty` (share); `subsets` alike by `sequences`;
          `worst` cases;
        - `thin_slabs`: the same table of the three slices at each tumour's largest;
        - `free_slabs`: `cases`, `silent` (share under 1 mL) and `largest_ml`;
        - `free_slices`: `slices` and `outlined` (share with more than 100 mm2), complete cases;
        - `healthy`: `volumes`, `silent` (share under 1 mL), and one row a volume.
    """
    heads = [row for row in rows if row.collection == HEADS]
    complete = [row for row in heads if row.is_complete]
    healthy = [row for row in rows if row.collection == HEALTHY]
    free = sum(row.free_slices for row in complete)
    groups = [
        {"name": name, **_table(found)}
        for name, belongs in _GROUPS
        if (found := [row for row in complete if belongs(row)])
    ]
    names = sorted({row.sequences for row in heads}, key=lambda name: (-name.count("+"), name))
    worst = sorted(complete, key=lambda row: (row.dice or 0.0, row.case))[:WORST_CASES]
    return {
        HEADS: {
            "groups": groups,
            "subsets": [
                {"sequences": name, **_table([row for row in heads if row.sequences == name])}
                for name in names
            ],
            "worst": [asdict(row) for row in worst],
        },
        THIN_SLABS: _table(thin)
        if (thin := [r for r in rows if r.collection == THIN_SLABS])
        else None,
        FREE_SLABS: _silence([row for row in rows if row.collection == FREE_SLABS]),
        "free_slices": {
            "slices": free,
            "outlined": sum(row.free_slices_outlined for row in complete) / free if free else None,
        },
        HEALTHY: {
            "volumes": len(healthy),
            "silent": _silence(healthy)["silent"],
            "rows": [asdict(row) for row in healthy],
        },
    }


def _silence(rows: Sequence[HeadRow]) -> dict[str, Any]:
    outlined = [row.predicted_ml for row in rows]
    return {
        "cases": len(rows),
        "silent": float(np.mean([ml < SILENT_ML for ml in outlined])) if rows else None,
        "largest_ml": max(outlined, default=None),
    }


_GROUPS: tuple[tuple[str, Callable[[HeadRow], bool]], ...] = (
    (f"tumour under {SMALL_TUMOUR_ML:g} mL", lambda row: row.tumour_ml < SMALL_TUMOUR_ML),
    ("t1 or t1c missing", lambda row: row.available.count("+") < 2),
    (f"slices of {THICK_MM:g} mm or more", lambda row: row.thickness_mm >= THICK_MM),
    (f"slices under {THICK_MM:g} mm", lambda row: row.thickness_mm < THICK_MM),
    ("all", lambda _: True),
)


def _table(rows: Sequence[HeadRow]) -> dict[str, Any]:
    dice = [row.dice for row in rows]
    return {
        "cases": len(rows),
        "failures": sum(bool(row.failure) for row in rows),
        "dice": patient_statistics([row.person for row in rows], dice),
        "under_half": float(np.mean([(d or 0.0) < 0.5 for d in dice])),
        "called_empty": float(np.mean([row.predicted_ml == 0.0 for row in rows])),
    }


def _head_rows(segmenter: Segmenter, head: Head) -> Iterator[HeadRow]:
    present = head.case.present
    given = [present, *(s for s in SUBSETS if set(s) < set(present))]
    for sequences in given:
        case = case_on_reference_grid(head.patient, {s: head.case.volumes[s] for s in sequences})
        yield _row(segmenter, HEADS, case, head.person, present, head.whole_tumor)
    largest = int(head.whole_tumor.sum(axis=(0, 1)).argmax())
    thin = slice(max(largest - THIN_SLAB_SLICES // 2, 0), largest + THIN_SLAB_SLICES // 2 + 1)
    drawn = head.whole_tumor[..., thin]
    yield _row(segmenter, THIN_SLABS, _part(head.case, thin), head.person, present, drawn)
    free = free_slab(head.whole_tumor, head.thickness_mm)
    if free is not None:
        yield _row(segmenter, FREE_SLABS, _part(head.case, free), head.person, present, None)


def _part(case: Case, slices: slice) -> Case:
    """Some slices of a case as a case of their own."""
    volumes = {s: Volume(v.array[..., slices], v.affine) for s, v in case.volumes.items()}
    return Case(case.case_id, case.reference, volumes)


def free_slab(drawn: npt.NDArray[np.bool_], thickness_mm: float) -> slice | None:
    """The thickest run of slices far from any tumour; None if it is thinner than 25 mm.

    Args:
        drawn: Whole tumour, slices along the last axis.
        thickness_mm: Distance of the slices.

    Example:
        >>> drawn = np.zeros((1, 1, 10), dtype=bool)
        >>> drawn[..., 2] = True
        >>> free_slab(drawn, 5.0)
        slice(4, 10, None)
    """
    tumour = drawn.any(axis=(0, 1))
    near = np.convolve(tumour, np.ones(2 * MARGIN_SLICES + 1), mode="same") > 0
    best, start = slice(0, 0), 0
    for end in [*np.flatnonzero(near).tolist(), len(near)]:
        if end - start > best.stop - best.start:
            best = slice(start, end)
        start = end + 1
    return best if (best.stop - best.start) * thickness_mm >= LEAST_SLAB_MM else None


def _row(
    segmenter: Segmenter,
    collection: str,
    case: Case,
    person: str,
    available: tuple[MriSequence, ...],
    reference: Any,
) -> HeadRow:
    drawn = np.zeros(case.shape, dtype=bool) if reference is None else reference
    outlined, failure, presence = np.zeros(case.shape, dtype=bool), "", None
    try:
        result = segmenter.segment(case)
        outlined = result.labelmap > 0
        presence = result.presence.probability if result.presence else None
    except (TumorLensError, ValueError, RuntimeError, MemoryError) as error:
        failure = " ".join(f"{type(error).__name__}: {error}".split())
    spacing = case.spacing_mm
    voxel_ml = float(np.prod(spacing)) / 1000.0
    total = int(drawn.sum()) + int(outlined.sum())
    free = ~drawn.any(axis=(0, 1))
    areas_mm2 = outlined[..., free].sum(axis=(0, 1)) * spacing[0] * spacing[1]
    return HeadRow(
        collection=collection,
        case=case.case_id,
        person=person,
        available=join_sequences(available),
        sequences=join_sequences(case.present),
        thickness_mm=spacing[2],
        failure=failure,
        tumour_ml=float(drawn.sum()) * voxel_ml,
        predicted_ml=float(outlined.sum()) * voxel_ml,
        dice=2.0 * int((drawn & outlined).sum()) / total if reference is not None else None,
        presence=presence,
        free_slices=int(free.sum()),
        free_slices_outlined=int((areas_mm2 > FREE_SLICE_MM2).sum()),
    )
