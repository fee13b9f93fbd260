"""How often unseen patients with a known type are warned of as unlike known patients.

    python -m benchmarks.false_warnings --data DATA [--keep FILE.jsonl]

Patients of the slice collection whom `tumor_core` has not seen, each as volumes of thick slices (a
run of consecutive slices, as they come from one plane), outlined by the product. A patient's own
row is left out of the known patients: it is the one that the experts' outlines of all slices lead
to. The classifier has seen these patients, so its types are no figures; what is measured does not
depend on it.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from brain_tumor.bundles import models_folder
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.classification.features.features import slice_features
from brain_tumor.explanation.analyst import Analyst
from brain_tumor.explanation.facts.similar_cases import (
    TrainingTable,
    distances,
    medians_of,
)
from brain_tumor.explanation.facts.unlikeness import is_rounder, unlikeness_of
from brain_tumor.explanation.type_reader import load_type_reader
from brain_tumor.labels import TumorType
from brain_tumor.segmentation.data.cheng_slices import (
    CHENG_PIXEL_MM,
    ChengSlice,
    cheng_slices_of_fold,
    read_cheng_slice,
)
from brain_tumor.segmentation.evaluation.tumor_core import held_out_fold
from brain_tumor.segmentation.segmenter import load_segmenter

from benchmarks.environment import write_result

SLICE_MM = 7.0
LEAST_SLICES = 3
MOST_SLICES = 12
SAME_ROW = 0.02
"""Distance up to which a row of the table is the patient itself; features are rounded in it."""


def run_of(rows: list[ChengSlice]) -> list[ChengSlice]:
    """The longest run of consecutive slices of a patient."""
    runs: list[list[ChengSlice]] = []
    for row in sorted(rows, key=lambda row: row.index):
        if runs and row.index == runs[-1][-1].index + 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    return max(runs, key=len)[:MOST_SLICES]


def without(table: TrainingTable, row: int) -> TrainingTable:
    """The table without one patient, on the same scale."""
    kept = [n for n in range(len(table.groups)) if n != row]
    return TrainingTable(
        table.features,
        table.values[kept],
        tuple(table.groups[n] for n in kept),
        tuple(table.types[n] for n in kept),
        table.centre,
        table.spread,
    )


def own_row(data: Path, rows: list[ChengSlice], table: TrainingTable) -> tuple[int, float]:
    """Row of the table that the patient is, and how far it is from it."""
    measured = [
        slice_features(*read_cheng_slice(data, row), CHENG_PIXEL_MM).to_array(table.features)
        for row in rows
    ]
    found = distances(medians_of(np.stack(measured)), table.values, table.spread)
    return int(np.argmin(found)), float(found.min())


def volume_of(data: Path, rows: list[ChengSlice]) -> Case:
    """Slices of one plane as a volume of thick slices."""
    stack = np.stack([read_cheng_slice(data, row)[0].T for row in rows], axis=-1)
    affine = np.diag([-CHENG_PIXEL_MM, -CHENG_PIXEL_MM, SLICE_MM, 1.0])
    volume = Volume(stack.astype(np.float32), affine)
    return Case(f"cheng-{rows[0].index}", Sequence.T1C, {Sequence.T1C: volume})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--keep", type=Path, metavar="FILE.jsonl")
    arguments = parser.parse_args()
    models = models_folder()
    reader = load_type_reader(models / "classification", models / "concepts")
    analyst = Analyst(load_segmenter(models), lambda: reader)
    table = reader.known or reader.patients
    fold = held_out_fold(models / "tumor_core")
    if fold is None:
        raise SystemExit("tumor_core has seen every patient; nobody is left")
    patients: dict[tuple[str, str], list[ChengSlice]] = {}
    for row in cheng_slices_of_fold(arguments.data, fold):
        patients.setdefault((row.group, row.tumor_type), []).append(row)
    kept = arguments.keep
    lines = kept.read_text("utf-8").splitlines() if kept is not None and kept.is_file() else []
    cases: list[dict[str, Any]] = [json.loads(line) for line in lines]
    done = {case["case"] for case in cases}
    for (_, kind), rows in patients.items():
        case = volume_of(arguments.data, run_of(rows))
        if case.case_id in done or case.shape[2] < LEAST_SLICES:
            continue
        number, apart = own_row(arguments.data, rows, reader.patients)
        read = analyst.read_type(case, analyst.segment(case)).classification
        values = [reading.features.to_array(table.features) for reading in read.slices]
        found = {
            "case": case.case_id,
            "type": kind,
            "answer": read.prediction.value if read.prediction else None,
            "own_row": number if apart <= SAME_ROW else None,
            "other_warnings": sum(
                "measures unlike" not in text and "rounder than" not in text
                for text in read.warnings
            ),
            "values": [[float(v) if np.isfinite(v) else None for v in row] for row in values],
        }
        print({name: value for name, value in found.items() if name != "values"}, flush=True)
        cases.append(found)
        if kept is not None:
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
    for found in cases:
        values, row = found.pop("values"), found["own_row"]
        others = table if row is None else without(table, row)
        rows_of = np.array(values, dtype=np.float64).reshape(-1, len(table.features))
        told = TumorType(found["answer"]) if found["answer"] else None
        unlike = None if told is None else unlikeness_of(rows_of, others, told)
        found["distance"] = unlike and round(unlike.score, 3)
        found["limit"] = unlike and round(unlike.threshold, 3)
        round_one = told is TumorType.GLIOMA and is_rounder(rows_of, others)
        found["unlike"] = round_one or (unlike is not None and unlike.is_out)
    summary = {}
    for kind in (*TumorType, None):
        answered = [c for c in cases if c["answer"] and kind in (None, c["type"])]
        counts = Counter(unlike=sum(c["unlike"] for c in answered))
        counts["warned"] = sum(c["unlike"] or c["other_warnings"] > 0 for c in answered)
        name = kind.value if kind else "all"
        summary[name] = {"answered": len(answered), **counts}
    write_result("false_warnings", {"fold": fold, "summary": summary, "cases": cases})


if __name__ == "__main__":
    main()
