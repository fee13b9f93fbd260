"""The one table of the README, and where the models fail: every figure from a file.

A row has what was measured, ours, and what others published, or why nothing can be set beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REGIONS = ("WT", "TC", "ET")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        question: What a newcomer wants to know.
        ours: Figure with its 95 % interval and n.
        anchor: A published or measured figure, and how far it may be compared.
    """

    question: str
    ours: str
    anchor: str

    def __str__(self) -> str:
        """Row of Markdown."""
        return f"| {self.question} | {self.ours} | {self.anchor} |"


@dataclass(frozen=True)
class Measurements:
    """Contents of the files that figures come from.

    Attributes:
        segmentation: models/segmentation/metrics.json.
        heads: models/whole_head/metrics.json.
        core: models/tumor_core/five_folds.json.
        types: models/classification/metrics.json.
        serving: benchmarks/results/serve.json.
        foreign: benchmarks/results/foreign_lesions.json.
    """

    segmentation: dict[str, Any]
    heads: dict[str, Any]
    core: dict[str, Any]
    types: dict[str, Any]
    serving: dict[str, Any]
    foreign: dict[str, Any]


def summary_table(measured: Measurements) -> str:
    """At most six rows, each with its anchor."""
    rows = [
        _subregions(measured.segmentation),
        _heads(measured.heads),
        _core(measured.core),
        _type_of_slices(measured.types),
        _type_of_patients(measured.types),
        _seconds(measured.serving),
    ]
    head = ["| on patients it has not seen | TumorLens | for comparison |", "|---|---|---|"]
    return "\n".join(head + [str(row) for row in rows])


NO_LESION = ("healthy", "noise", "other organ")
"""Pictures of the benchmark of foreign lesions that show none."""


def failures(measured: Measurements) -> str:
    """Where it fails, worst first."""
    cubes = measured.segmentation["cubes"]["groups"]
    small, plain = (_named(cubes, name) for name in ("tumour under 10 mL", "no enhancing tumour"))
    core = measured.core["slices"]
    own = measured.types["segmenter"]["slices"]["segmenter"]
    weakest = min(own["sensitivity"], key=lambda kind: own["sensitivity"][kind])
    foreign = measured.foreign["summary"]
    strangers = [name for name in foreign if name not in NO_LESION]
    named, silent = (
        sum(foreign[name][key] for name in strangers) for key in ("typed", "typed_without_warning")
    )
    wholes = _named(measured.segmentation["wholes"]["groups"], "all")
    heads = _named(measured.heads["heads"]["groups"], "all")
    free = measured.heads["free_slices"]
    return "\n".join(
        [
            f"- **Small tumours**: under 10 mL the whole tumour has a Dice of "
            f"{_mean(small, 'WT')} ({small['patients']} patients).",
            f"- **No enhancement**: where there is none, {_mean(plain, 'ET')} is the Dice of the "
            f"enhancing tumour, because some is outlined ({plain['patients']} patients).",
            f"- **A glioma on one T1c slice**: Dice {core['glioma, MR cohort']['dice_mean']:.2f}; "
            f"of a meningioma {core['meningioma']['dice_mean']:.2f}.",
            f"- **The weakest type**: {own['sensitivity'][weakest]:.0%} of the slices with a "
            f"{weakest} are named so.",
            f"- **Other diseases**: it knows three types. Of "
            f"{sum(foreign[name]['n'] for name in strangers)} lesions of other kinds (painted into "
            f"real heads: {', '.join(strangers)}) {named} were given a type, {silent} of them "
            "without a warning.",
            f"- **Slices without tumour**: {free['outlined']:.1%} of {free['slices']} have more "
            f"than 100 mm2 outlined.",
            f"- **Few whole cases**: {wholes['cases']} whole brains and {heads['cases']} heads "
            "were measured; children not at all.",
        ]
    )


def _subregions(metrics: dict[str, Any]) -> Row:
    """Four sequences, all lesion cubes of a patient as one."""
    tables = metrics["cubes"]["whole_patients"]
    scores = next(entry for entry in tables if entry["sequences"] == "t1+t1c+t2+flair")
    dice = " / ".join(f"{scores['regions'][region]['mean']:.2f}" for region in REGIONS)
    return Row(
        "Outline of a glioma, four sequences: Dice of whole tumour / core / enhancing",
        f"{dice} ({scores['patients']} patients)",
        "0.89 / 0.85 / 0.82 won BraTS 2020 (Isensee 2021); not comparable: whole brains of a "
        "hidden test set, ours are boxes around the lesions",
    )


def _heads(metrics: dict[str, Any]) -> Row:
    """Whole tumour with skull."""
    every = _named(metrics["heads"]["groups"], "all")
    low, high = every["dice"]["ci95"]
    return Row(
        "Outline in a head with skull, whole tumour: Dice",
        f"{every['dice']['mean']:.2f} ({low:.2f}-{high:.2f}; {every['cases']} patients)",
        "0.82 (Buda 2019): same collection, other split",
    )


def _core(five_folds: dict[str, Any]) -> Row:
    """Tumour core on single slices."""
    group = five_folds["slices"]["all slices"]
    low, high = group["dice_mean_ci95"]
    return Row(
        "Outline on one T1c slice: Dice",
        f"{group['dice_mean']:.2f} ({low:.2f}-{high:.2f}; {group['patients']} patients)",
        "0.72 (Badža 2021), 0.83 (Díaz-Pernas 2021): same collection, all of it, other splits",
    )


def _type_of_slices(metrics: dict[str, Any]) -> Row:
    """Type of a slice, as the product outlines it and as an expert does."""
    slices = metrics["segmenter"]["slices"]
    own, expert = slices["segmenter"], slices["expert"]
    low, high = own["accuracy_interval"]
    return Row(
        "Type of one T1c slice (glioma, meningioma, pituitary tumour): accuracy",
        f"{own['accuracy']:.2f} ({low:.2f}-{high:.2f}; {own['n']} slices); with an expert's "
        f"outline {expert['accuracy']:.2f}",
        "with an expert's outline 0.91 (Cheng 2015), without 0.97 (Díaz-Pernas 2021): same "
        "collection, all of it, other splits",
    )


def _type_of_patients(metrics: dict[str, Any]) -> Row:
    """Type of a case, read as the product reads one."""
    case = metrics["cases"]["all_planes"]["segmenter"]
    low, high = case["accuracy_interval"]
    return Row(
        "Type of a patient, several slices together: accuracy",
        f"{case['accuracy']:.2f} ({low:.2f}-{high:.2f}; {case['patients']} patients)",
        "not comparable: published work scores slices",
    )


def _seconds(result: dict[str, Any]) -> Row:
    """Time of a case over HTTP."""
    peer = result["peer"]
    return Row(
        f"A case of four sequences on {result['environment']['cores']} CPU cores, over HTTP",
        f"{result['ours']['request_to_labelmap_s']['median']:.1f} s",
        f"{peer['files_to_labelmap_s']['median']:.0f} s: {peer['what']}, same machine and run",
    )


def _named(groups: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(group for group in groups if group["name"] == name)


def _mean(group: dict[str, Any], region: str) -> str:
    return f"{group['regions'][region]['dice']['mean']:.2f}"
