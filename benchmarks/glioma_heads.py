"""What the product says of gliomas of a source that it has learnt no type from.

    python -m benchmarks.glioma_heads --data DATA [--keep FILE.jsonl] [--bundle BUNDLE]

Heads with skull of TCGA-LGG (lgg), every one a glioma, most of them hardly enhancing: the whole
pipeline with its own outlines, and the type once more with the experts' outlines. Cases without t1c
count apart, because no type is told of them by design. `outline_unseen` are the persons whom the
outline model has not seen, either.

`--keep` holds finished cases, so that an interrupted run goes on. `--bundle` writes the summary for
the model card, and what was measured of the cases, as patients of a known type whom the classifier
has not seen: a tumour that is unlike them, too, carries a warning (`explanation.facts.unlikeness`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from brain_tumor.bundles import models_folder, read_bundle
from brain_tumor.cases.sequences import Sequence
from brain_tumor.classification.evaluation.card_limits import OTHER_SOURCE
from brain_tumor.classification.model.calibration import expected_calibration_error
from brain_tumor.classification.result import ClassificationResult
from brain_tumor.explanation.analyst import Analyst
from brain_tumor.explanation.facts.similar_cases import build_table, joined_tables
from brain_tumor.explanation.facts.unlikeness import is_rounder, unlikeness_of
from brain_tumor.explanation.type_reader import KNOWN, TypeReader, load_type_reader
from brain_tumor.labels import TYPES, Label, Region, TumorType, region_mask
from brain_tumor.segmentation.data.folds import FOLDS
from brain_tumor.segmentation.data.lgg import Head, heads_of_fold, person_fold
from brain_tumor.segmentation.metrics.overlap import dice
from brain_tumor.segmentation.segmenter import load_segmenter

from benchmarks.environment import write_result

OUTLINES = ("own", "expert")
SEED = 22
UNLIKE = ("measures unlike the known", "rounder than")
"""Told of a case that is left out of the known patients; see `unlike`."""


def heads(data: Path) -> Iterator[Head]:
    """All heads, those whom the outline model has not seen first."""
    for fold in range(FOLDS):
        yield from heads_of_fold(data, fold)


def measure(analyst: Analyst, reader: TypeReader, head: Head) -> dict[str, Any]:
    """What is said of one head."""
    segmentation = analyst.segment(head.case)
    drawn = np.where(head.whole_tumor, Label.ED, Label.BACKGROUND).astype(np.uint8)
    own = analyst.read_type(head.case, segmentation).classification
    expert = reader.classifier.classify(head.case, drawn)
    outlined = region_mask(segmentation.labelmap, Region.WT)
    return {
        "patient": head.patient,
        "person": head.person,
        "fold": person_fold(head.person),
        "dice": round(dice(outlined, head.whole_tumor), 4),
        "own": answer(own),
        "expert": answer(expert),
        "values": [
            [float(f"{v:.6g}") if np.isfinite(v) else None for v in row]
            for row in (
                reading.features.to_array(reader.patients.features) for reading in own.slices
            )
        ],
    }


def answer(found: ClassificationResult) -> dict[str, Any]:
    return {
        "answer": found.prediction.value if found.prediction else None,
        "probabilities": {k.value: round(p, 4) for k, p in (found.probabilities or {}).items()},
        "reasons": list(found.reasons),
        "warnings": [text for text in found.warnings if not any(part in text for part in UNLIKE)],
    }


def unlike(cases: list[dict[str, Any]], reader: TypeReader) -> Iterator[bool]:
    """Whether each case is measured unlike, or rounder than, the known patients without itself."""
    for number, case in enumerate(cases):
        others = [c for k, c in enumerate(cases) if k != number and c["person"] != case["person"]]
        table = joined_tables(reader.patients, known_table(others, reader))
        rows = np.array(case["values"], dtype=np.float64).reshape(-1, len(table.features))
        score = unlikeness_of(rows, table, TumorType.GLIOMA)
        far = score is not None and score.is_out
        yield far or (len(rows) > 0 and is_rounder(rows, table))


def known_table(cases: list[dict[str, Any]], reader: TypeReader) -> Any:
    """Measurements of the cases, a row for each, numbered in a mixed order."""
    read = [case for case in cases if case["values"]]
    numbers = np.random.default_rng(SEED).permutation(len(read)) + 1
    rows = [np.array(case["values"], dtype=np.float64) for case in read]
    groups = [int(n) for n, part in zip(numbers, rows, strict=True) for _ in part]
    types = [TumorType.GLIOMA] * len(groups)
    return build_table(np.concatenate(rows), reader.patients.features, types, groups)


def summary(cases: list[dict[str, Any]], outline: str) -> dict[str, Any]:
    """Answered, refused, right and warned of; calibration of the answered and of all read."""
    answers = [case[outline] for case in cases]
    answered = [one for one in answers if one["answer"]]
    right = sum(one["answer"] == TumorType.GLIOMA for one in answered)
    return {
        "n": len(cases),
        "answered": len(answered),
        "refused_share": round(1 - len(answered) / len(cases), 4),
        "glioma_among_answered": round(right / len(answered), 4) if answered else None,
        "warned_among_answered": round(
            sum(bool(one["warnings"] or one.get("unlike")) for one in answered) / len(answered), 4
        )
        if answered
        else None,
        "ece": calibration_error(answered),
        "ece_of_all_read": calibration_error([one for one in answers if one["probabilities"]]),
        "unlike_known_patients": sum(bool(one.get("unlike")) for one in answered),
    }


def calibration_error(answers: list[dict[str, Any]]) -> float | None:
    """Expected calibration error of gliomas; None if there are none."""
    if not answers:
        return None
    told = np.array([[one["probabilities"][kind.value] for kind in TYPES] for one in answers])
    truth = np.full(len(answers), TYPES.index(TumorType.GLIOMA))
    return round(expected_calibration_error(told, truth), 4)


def finished(
    data: Path, keep: Path | None, analyst: Analyst, reader: TypeReader
) -> Iterator[dict[str, Any]]:
    """Cases with t1c, those kept read from the file."""
    done: dict[str, dict[str, Any]] = {}
    if keep is not None and keep.is_file():
        rows = (json.loads(line) for line in keep.read_text("utf-8").splitlines())
        done = {row["patient"]: row for row in rows}
    for head in heads(data):
        if Sequence.T1C not in head.case.volumes:
            continue
        if head.patient in done:
            yield done[head.patient]
            continue
        row = measure(analyst, reader, head)
        print(row["patient"], row["fold"], row["dice"], row["own"]["answer"], row["own"]["reasons"])
        if keep is not None:
            with keep.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--keep", type=Path, metavar="FILE.jsonl")
    parser.add_argument("--bundle", type=Path)
    arguments = parser.parse_args()
    models = models_folder()
    reader = load_type_reader(models / "classification", models / "concepts")
    analyst = Analyst(load_segmenter(models), lambda: reader)
    cases = list(finished(arguments.data, arguments.keep, analyst, reader))
    for case, is_unlike in zip(cases, unlike(cases, reader), strict=True):
        case["own"]["unlike"] = is_unlike
    groups = {"all": cases, "outline_unseen": [case for case in cases if case["fold"] == 0]}
    told = {
        name: {outline: summary(group, outline) for outline in OUTLINES}
        for name, group in groups.items()
    }
    found = {
        "models": [
            read_bundle(models / name).version.to_json()
            for name in ("segmentation", "whole_head", "classification")
        ],
        **told,
        "cases": [{k: v for k, v in case.items() if k != "values"} for case in cases],
    }
    write_result("glioma_heads", found)
    if arguments.bundle is not None:
        (arguments.bundle / OTHER_SOURCE).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
        text = json.dumps(known_table(cases, reader).to_json(), separators=(",", ":")) + "\n"
        (arguments.bundle / KNOWN).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
