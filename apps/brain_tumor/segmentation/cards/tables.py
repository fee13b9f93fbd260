"""Tables of the sub-region model card, in Markdown, from the summary of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from brain_tumor.model_cards.rendering import markdown_table
from brain_tumor.segmentation.evaluation.rows import CUBE_COLLECTION, WHOLE_COLLECTION
from brain_tumor.segmentation.metrics.metrics import Structure

REGIONS = tuple(structure.value for structure in Structure)
NESTED = (Structure.WT.value, Structure.TC.value, Structure.ET.value)

_TITLES = {
    WHOLE_COLLECTION: "Whole cases at native resolution",
    CUBE_COLLECTION: "Lesion cubes",
}
_EXPLANATIONS = {
    WHOLE_COLLECTION: "Whole brains of held-out patients, array in to labelmap out as for a "
    "user's case, against expert labels. Where they are few, read the cases, not the intervals.",
    CUBE_COLLECTION: "32 x 32 x 32 voxels around each lesion of held-out patients, straight "
    "through the network without clean-up. Healthy tissue is rare in them, so false lesions "
    "elsewhere in the brain do not show here.",
}
_DETAILS: Sequence[tuple[str, str, str, int]] = (
    ("Dice, median", "dice", "median", 3),
    ("IoU", "iou", "mean", 3),
    ("sensitivity", "sensitivity", "mean", 3),
    ("specificity", "specificity", "mean", 4),
    ("precision", "precision", "mean", 3),
    ("HD95 mm, mean", "hd95_mm", "mean", 1),
    ("HD95 mm, median", "hd95_mm", "median", 1),
    ("surface Dice", "surface_dice", "mean", 3),
    ("volume error mL", "absolute_volume_difference_ml", "mean", 1),
    ("volume error, share", "relative_volume_difference", "mean", 2),
    ("lesion-wise Dice", "lesion_dice", "mean", 3),
    ("lesions found", "lesion_sensitivity", "mean", 3),
    ("false lesions per case", "false_lesions", "mean", 2),
    ("false lesions mL", "false_lesions_ml", "mean", 2),
)


def collection_section(metrics: Mapping[str, Any], name: str) -> str:
    """Tables of cubes or of whole cases: groups, all metrics, subsets of sequences."""
    tables, title = metrics[name], f"### {_TITLES[name]}"
    if not tables["groups"]:
        return f"{title}\n\nNone in the data measured."
    everything = tables["groups"][-1]["regions"]
    groups = _score_table("group", "name", tables["groups"])
    subsets = _score_table("sequences given", "sequences", tables["subsets"])
    details = markdown_table(
        ["all cases, mean over patients", *REGIONS],
        [
            [label, *(_number(everything[r][metric][key], digits) for r in REGIONS)]
            for label, metric, key, digits in _DETAILS
        ]
        + [
            [
                "cases with a false lesion over 1 mL",
                *(str(everything[r]["cases_with_false_lesion_over_1_ml"]) for r in REGIONS),
            ]
        ],
    )
    return (
        f"{title}\n\n{_EXPLANATIONS[name]} Dice:\n\n{groups}\n\n{details}\n\n"
        f"Fewer sequences, over the cases that have them. Dice:\n\n{subsets}"
    )


def patient_table(metrics: Mapping[str, Any]) -> str:
    """Dice with all cubes of a patient taken as one, by the sequences given; empty without any."""
    tables = metrics[CUBE_COLLECTION]["whole_patients"]
    if not tables:
        return ""
    rows = [
        [t["sequences"], str(t["patients"])]
        + [_with_interval(t["regions"][region]) for region in NESTED]
        for t in tables
    ]
    return markdown_table(["sequences given", "patients", *NESTED], rows)


def group_table(metrics: Mapping[str, Any]) -> str:
    """Dice of the groups of lesion cubes, weak ones first, and of all whole cases."""
    groups = [("each cube", group) for group in metrics[CUBE_COLLECTION]["groups"]]
    groups += [("whole brains", group) for group in metrics[WHOLE_COLLECTION]["groups"][-1:]]
    rows = [
        [f"{title}, {group['name']}", str(group["patients"])]
        + [_interval(group["regions"][region]["dice"]) for region in NESTED]
        for title, group in groups
    ]
    return markdown_table(["group", "patients", *NESTED], rows)


def patient_section(metrics: Mapping[str, Any]) -> str:
    """Dice with all cubes of a patient taken as one, and how they are scored."""
    table = patient_table(metrics)
    if not table:
        return ""
    smallest = metrics["definitions"]["smallest_enhancing_ml"]
    least = metrics["definitions"]["least_enhancing_probability"]
    return (
        "#### All cubes of a patient taken as one\n\n"
        "As challenges score a patient: a satellite lesion of its own weighs what it measures. "
        f"Less than {smallest:g} mL of enhancement in all, or of a mean probability under "
        f"{least:g}, counts as necrotic core, as in use. Mean Dice over patients (95 % interval):"
        f"\n\n{table}"
    )


def _with_interval(found: Mapping[str, Any]) -> str:
    interval = found["ci95"]
    spread = f" ({interval[0]:.3f}-{interval[1]:.3f})" if interval else ""
    return f"{_number(found['mean'], 3)}{spread}"


def calibration_section(metrics: Mapping[str, Any]) -> str:
    """Probabilities against frequencies, and whether doubt finds what is wrong."""
    tables = metrics.get("calibration")
    if not tables:
        return "Not assessed: do not read the network's probabilities as frequencies."
    bins = len(tables[0]["regions"][NESTED[0]]["bins"])
    bounds = [f"{n / bins:g}-{(n + 1) / bins:g}" for n in range(bins)]
    rows = [
        [table["sequences"], name, _error(region)]
        + [_number(found["frequency"], 2) for found in region["bins"]]
        for table in tables
        for name, region in table["regions"].items()
    ]
    doubts = [
        [
            table["sequences"],
            str(table["patients"]),
            _interval(table["error_auc"]),
            _number(table["doubt_and_dice"], 2),
        ]
        for table in tables
    ]
    return "\n".join(
        [
            "The share of voxels in a region among those that were given a probability of it, on",
            "the lesion cubes without clean-up. ECE is the expected calibration error, with the",
            "interval of a bootstrap over patients. Nothing was fitted to these patients.",
            "",
            markdown_table(["sequences", "region", "ECE", *bounds], rows),
            "",
            "Doubt is the entropy map. AUC: how well it tells wrong voxels from right ones within",
            "a patient (0.5 is chance), mean over patients. Rank correlation: of a patient's mean",
            "doubt in the outline with its mean Dice of WT, TC and ET (-1 is perfect).",
            "",
            markdown_table(["sequences", "patients", "AUC", "rank correlation"], doubts),
        ]
    )


def _error(region: Mapping[str, Any]) -> str:
    return _interval({"mean": region["ece"], "ci95": region["ci95"]})


def weak_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What was outlined away from labels made by algorithms."""
    shown = [row for row in rows if row["region"] in NESTED]
    if not shown:
        return "None in the data measured."
    return markdown_table(
        ["case", "region", "outlined mL", "pieces elsewhere", "their mL", "largest mL"],
        [
            [
                str(row["case"]) + (" (failed)" if row["failure"] else ""),
                str(row["region"]),
                *(_number(row["predicted_ml"], 1), str(row["false_lesions"])),
                _number(row["false_lesions_ml"], 2),
                _number(row["largest_false_lesion_ml"], 2),
            ]
            for row in shown
        ],
    )


def failure_section(metrics: Mapping[str, Any]) -> str:
    """Cases of lowest Dice, then cases without an answer."""
    lines = [
        f"- No answer for {f['case']} ({f['sequences']}): {f['reason']}"
        for f in metrics["failures"]
    ]
    worst = [entry for name in _TITLES for entry in metrics[name]["worst"]]
    if not worst:
        return "\n".join(lines)
    table = markdown_table(
        ["lowest Dice", "sequences", "tumour mL", "enhancing mL", *NESTED],
        [
            [
                *(str(w["case"]), str(w["sequences"])),
                *(_number(w["tumour_ml"], 1), _number(w["enhancing_ml"], 1)),
                *(_number(w["dice"][region], 3) for region in NESTED),
            ]
            for w in worst
        ],
    )
    return "\n".join([table, "", *lines]).rstrip()


def _score_table(title: str, key: str, entries: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            str(entry[key]),
            *(str(entry[count]) for count in ("cases", "patients", "failures")),
            *(_interval(entry["regions"][region]["dice"]) for region in REGIONS),
        ]
        for entry in entries
    ]
    return markdown_table([title, "cases", "patients", "failures", *REGIONS], rows)


def _interval(statistics: Mapping[str, Any]) -> str:
    mean, bounds = statistics["mean"], statistics["ci95"]
    if mean is None:
        return "-"
    return f"{mean:.3f}" + (f" ({bounds[0]:.3f}-{bounds[1]:.3f})" if bounds else "")


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
