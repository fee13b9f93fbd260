"""Sections of the model card on what lies outside the training: other sources, foreign lesions.

`glioma_heads.json` and `foreign_lesions.json` in the bundle are written by the benchmarks of these
names; a bundle without them has no such section. Calibration by cohort comes from `metrics.csv`.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from brain_tumor.classification.model.calibration import expected_calibration_error
from brain_tumor.labels import TYPES

ROWS = Path("metrics.csv")
OTHER_SOURCE, FOREIGN = Path("glioma_heads.json"), Path("foreign_lesions.json")
LEAST_SLICES = 20
KNOWN_OUTLINES = {"expert": "experts' outlines", "own": "the network's own outlines"}


def limits_sections(bundle: Path) -> list[str]:
    """Sections that the bundle has figures for, in Markdown."""
    return [*_cohorts(bundle / ROWS), *_heads(bundle / OTHER_SOURCE), *_foreign(bundle / FOREIGN)]


def outside_lines(bundle: Path) -> list[str]:
    """What the card says of other sources and foreign lesions, of the figures that there are."""
    lines = []
    if (bundle / OTHER_SOURCE).is_file():
        own = json.loads((bundle / OTHER_SOURCE).read_text(encoding="utf-8"))["all"]["own"]
        lines.append(
            f"Gliomas with skull of a source left out: of {own['n']} {own['answered']} were "
            f"answered, {own['glioma_among_answered']:.0%} of these as glioma."
        )
    if (bundle / FOREIGN).is_file():
        total = json.loads((bundle / FOREIGN).read_text(encoding="utf-8"))["foreign_lesions"]
        lines.append(f"{_bare_share(total)} They were painted into real heads, smoother than life.")
    return lines


def _bare_share(total: dict[str, Any]) -> str:
    bare = total["typed_without_warning"]
    return (
        f"Of {total['n']} foreign lesions {bare} ({bare / total['n']:.0%}) got a type without a "
        "warning."
    )


def _cohorts(path: Path) -> list[str]:
    """Calibration of held-out slices in every cohort."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [
        "### Calibration by cohort, slices",
        "",
        "| cohort | outlines | n | accuracy | ECE |",
        "|---|---|---|---|---|",
    ]
    names = [kind.value for kind in TYPES]
    for cohort in sorted({row["cohort"] for row in rows}):
        inside = [row for row in rows if row["cohort"] == cohort]
        truth = np.array([names.index(row["truth"]) for row in inside])
        if len(inside) < LEAST_SLICES:
            continue
        for key, title in KNOWN_OUTLINES.items():
            told = np.array([[float(row[f"{key}_{name}"]) for name in names] for row in inside])
            right = float((told.argmax(axis=1) == truth).mean())
            ece = expected_calibration_error(told, truth)
            lines.append(f"| {cohort} | {title} | {len(inside)} | {right:.3f} | {ece:.3f} |")
    return ["\n".join(lines)]


def _heads(path: Path) -> list[str]:
    """Gliomas with skull of a source that has taught no type."""
    if not path.is_file():
        return []
    study = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        "### Gliomas of a source that was left out",
        "",
        "Heads with skull of TCGA-LGG with T1c, every one a glioma, most of them hardly "
        "enhancing. The network has learnt nothing from them: a cohort left out as a whole. The "
        "product's own outlines are those of its whole pipeline; *outline unseen* are the persons "
        "whom the outline model has not seen, either. Warned of are answers with a sentence that "
        "a lesion outside the types cannot be excluded, or that the second reader doubts; the "
        "case itself is left out of the known patients. ECE is "
        "that of the answered, in brackets that of all that were read, refused ones included.",
        "",
        "| cases | outlines | n | answered | refused | glioma among answered | warned of | ECE |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for part, name in (("all", "all"), ("outline_unseen", "outline unseen")):
        for outline, title in (("own", "the product's own"), ("expert", "experts'")):
            group = study[part][outline]
            warned = f"{group['warned_among_answered']:.3f}" if outline == "own" else "-"
            lines.append(
                f"| {name} | {title} | {group['n']} | {group['answered']} | "
                f"{group['refused_share']:.3f} | {group['glioma_among_answered']:.3f} | "
                f"{warned} | {group['ece']:.3f} "
                f"({group['ece_of_all_read']:.3f}) |"
            )
    return ["\n".join(lines)]


def _foreign(path: Path) -> list[str]:
    """Painted lesions outside the types, and pictures without a lesion."""
    if not path.is_file():
        return []
    study = json.loads(path.read_text(encoding="utf-8"))
    summary: dict[str, Any] = study["summary"]
    lines = [
        "### Lesions that it does not know, and no lesion at all",
        "",
        "Lesions painted by geometry into real brains and heads whose own tumour was replaced by "
        "the mirror image of the healthy side. They are drawings: smoother than life, so the true "
        "share of warnings will be lower. The limits of the warnings were set on patients of the "
        "known types alone; that roundness is asked at all was decided in view of these balls.",
        "",
        "| what | n | type told | of these with a warning | type told without a warning |",
        "|---|---|---|---|---|",
    ]
    for kind, found in summary.items():
        bare = found["typed_without_warning"]
        lines.append(
            f"| {kind} | {found['n']} | {found['typed']} | {found['typed'] - bare} | {bare} |"
        )
    lines += ["", _bare_share(study["foreign_lesions"])]
    return ["\n".join(lines)]
