"""Card and experiments of the classifier, generated from its bundle.

python -m brain_tumor.classification.evaluation.card models/classification
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brain_tumor.bundles import read_bundle
from brain_tumor.classification.evaluation.card_limits import limits_sections, outside_lines
from brain_tumor.classification.model.training_statistics import STATISTICS
from brain_tumor.classification.result import UNDETERMINED
from brain_tumor.classification.training.outline_check import EXPERT, PASSING, RESULT
from brain_tumor.classification.training.run import LEFT_OUT_FEATURES, OUTLIER_QUANTILE
from brain_tumor.model_cards.rendering import Pages, card_command, markdown_table, render

NAME = "classification"
METRICS = Path("metrics.json")
BOUNDARY = Path("ablation_boundary.json")
LEVELS = ("slices", "patients")
OUTLINES = {"expert": "experts' outlines", "own": "the network's own outlines"}


def pages_of(bundle: Path) -> Pages:
    """Card and experiments in Markdown, from metadata, statistics and metrics of a bundle."""
    read = read_bundle(bundle)
    metrics = json.loads((bundle / METRICS).read_text(encoding="utf-8"))
    statistics = json.loads((bundle / STATISTICS).read_text(encoding="utf-8"))
    plan = read.metadata["training"]["plan"]
    values = {
        "name": NAME,
        "version": read.version.version,
        "task": read.metadata["task"].rstrip("."),
        "sha256": read.version.sha256,
        "metrics": metrics,
        "coverage": f"{statistics['case_calibration']['coverage']:.0%}",
        "elsewhere": _elsewhere(statistics),
        "accuracy": _accuracy_table(metrics),
        "types": _class_table(metrics["slices"]["expert"]),
        "outside": outside_lines(bundle),
        "plan": plan,
        "cores": _core_runs(metrics),
        "sections": _sections(bundle, metrics, statistics, plan),
    }
    return Pages(
        NAME,
        render("classification_card.md", **values),
        render("classification_experiments.md", **values),
    )


def _sections(
    bundle: Path, metrics: dict[str, Any], statistics: dict[str, Any], plan: dict[str, Any]
) -> list[str]:
    """Everything that was measured, section by section."""
    return [
        _data(plan),
        "## Accuracy\n\n"
        f"{metrics['protocol']}. The shipped weights are those of one network of the same plan "
        "trained on all patients; it has no figures of its own, because nobody is left whom it "
        "has not seen.\n\nWeakest first: gliomas of the numeric cohort, because every other "
        "glioma comes from a cohort that has no other tumours.",
        _weak(metrics),
        _table("By slice", metrics["slices"]),
        _table("By patient (mean of the log-probabilities of the slices)", metrics["patients"]),
        *_cases(metrics.get("cases")),
        "### By type, slices, experts' outlines\n\n" + _class_table(metrics["slices"]["expert"]),
        _calibration(metrics),
        *_wrong_outlines(bundle, statistics),
        _ablations(metrics, bundle),
        _shortcuts(metrics),
        _outlines(metrics),
        _segmenter(metrics.get("segmenter")),
        *_whole_gliomas(metrics.get("whole_gliomas")),
        *limits_sections(bundle),
        PLAUSIBILITY,
        _reproduce(plan, metrics),
    ]


def _elsewhere(statistics: dict[str, Any]) -> str:
    """That the outline is checked, for a bundle that checks it."""
    checked = float(statistics.get("least_agreement", 0.0)) > 0.0
    return "an outline that does not lie where the network sees tumour; " if checked else ""


def _accuracy_table(metrics: dict[str, Any]) -> str:
    """Accuracy by patient, case and slice with the outlines of the product and of experts."""
    rows = [
        [
            f"gliomas of the numeric cohort, {name}: share found",
            str(metrics["patients"][key]["numeric_glioma_n"]),
            f"{metrics['patients'][key]['numeric_glioma_sensitivity']:.3f}",
            "-",
        ]
        for key, name in OUTLINES.items()
    ]
    groups = [(f"{part}, experts' outlines", metrics[part]["expert"]) for part in LEVELS]
    if study := metrics.get("segmenter"):
        groups.append(("slices, `tumor_core`'s outlines", study["slices"]["segmenter"]))
    if found := (metrics.get("cases") or {}).get("all_planes", {}).get("segmenter"):
        groups.append(("cases as in use, `tumor_core`'s outlines", found))
    for title, group in sorted(groups, key=lambda pair: float(pair[1]["accuracy"])):
        low, high = group["accuracy_interval"]
        accuracy = f"{group['accuracy']:.3f} ({low:.3f}-{high:.3f})"
        rows.append([title, str(group["n"]), accuracy, f"{group['ece']:.3f}"])
    return markdown_table(["held-out patients", "n", "accuracy (95 % CI)", "ECE"], rows)


def _data(plan: dict[str, Any]) -> str:
    left_out = ", ".join(sorted(LEFT_OUT_FEATURES))
    return (
        "## Data and training\n\n- 2435 T1c slices of 168 patient groups (Cheng, figshare 1512427, "
        "CC BY 4.0, doi:10.6084/m9.figshare.1512427): 52 groups with gliomas, 66 with meningiomas, "
        "50 with pituitary tumours.\n- T1c glioblastoma volumes with skull of nine patients (TCIA "
        "Brain-Tumor-Progression, CC BY 3.0; TCGA-GBM), as further gliomas.\n- Skull-stripped "
        "BraTS volumes teach the outline only; their type is never trained on.\n- EfficientNet-"
        "Lite0 encoder from ImageNet weights (Apache-2.0, package efficientnet-lite0-pytorch-"
        "model), a decoder for outline and boundary importance, information-weighted boundary "
        f"normalisation, {len(plan['features'])} measured features; {plan['steps']} steps of "
        f"{plan['batch_size']} slices, seed {plan['seed']}. Types are balanced and the glioma "
        "cohorts evened out in sampling; contrast, resolution, noise and skull are varied.\n"
        f"- Left out on purpose: {left_out}; they tell the cohort better than the tumour. Features "
        "of FLAIR exist but no training slice has them, so they never count."
    )


def _weak(metrics: dict[str, Any]) -> str:
    rows = ["| gliomas of the numeric cohort, sensitivity | n | found |", "|---|---|---|"]
    for level in ("slices", "patients"):
        for key, name in OUTLINES.items():
            group = metrics[level][key]
            found = group["numeric_glioma_sensitivity"]
            rows.append(f"| {level}, {name} | {group['numeric_glioma_n']} | {found:.3f} |")
    return "\n".join(rows)


def _table(title: str, groups: dict[str, Any]) -> str:
    rows = [
        f"### {title}",
        "",
        "| outlines | n | accuracy (95 % CI) | macro-F1 | ECE | Brier | refusing 10 % |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, name in OUTLINES.items():
        group = groups[key]
        low, high = group["accuracy_interval"]
        rows.append(
            f"| {name} | {group['n']} | {group['accuracy']:.3f} ({low:.3f}-{high:.3f}) | "
            f"{group['macro_f1']:.3f} | {group['ece']:.3f} | {group['brier']:.3f} | "
            f"{group['accuracy_at_10_percent_refusals']:.3f} |"
        )
    return "\n".join(rows)


def _cases(study: dict[str, Any] | None) -> list[str]:
    """Scores of cases pooled as the product pools; nothing if they were not measured."""
    if study is None:
        return []
    rows = [
        "### By case, pooled as in use",
        "",
        "The slices of a held-out patient as the product reads a case: chosen by the size of the "
        "outline, up to four a plane, or eight where the case has one plane; planes count alike, "
        "large cross-sections more. A case of all planes stands for a thin volume, a case of one "
        "plane for a volume of thick slices; planes are estimated from the pictures. Each fold is "
        "calibrated on the other folds as the shipped model is, on the mean of all slices of a "
        "patient; the last column has the ECE of a temperature fitted on pooled cases instead.",
        "",
        "| cases, outlines | patients | n | slices a case | accuracy (95 % CI) | ECE | Brier | "
        "coverage | undecided | ECE, fitted on cases |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    unread = 0
    for kind, title in (("all_planes", "all planes"), ("one_plane", "one plane")):
        for key, name in (OUTLINES | {"segmenter": "`tumor_core`'s outlines"}).items():
            group = study[kind].get(key)
            if group is None:
                continue
            unread += group["unread"]
            refitted = group.get("ece_if_fitted_on_cases")
            low, high = group["accuracy_interval"]
            rows.append(
                f"| {title}, {name} | {group['patients']} | {group['n']} | "
                f"{group['slices_a_case']:.1f} | {group['accuracy']:.3f} ({low:.3f}-{high:.3f}) | "
                f"{group['ece']:.3f} | {group['brier']:.3f} | {group['coverage']:.3f} | "
                f"{group['undecided']:.3f} | {'-' if refitted is None else f'{refitted:.3f}'} |"
            )
    if unread:
        rows += [
            "",
            f"Cases of which no slice shows an outline to read: {unread}, all rows "
            "together; they count as wrong.",
        ]
    return ["\n".join(rows)]


def _class_table(group: dict[str, Any]) -> str:
    """Sensitivity, specificity and AUC of the types, the one found worst first."""
    rows = [
        [kind, *(f"{group[key][kind]:.3f}" for key in ("sensitivity", "specificity", "auc"))]
        for kind in sorted(group["sensitivity"], key=lambda k: float(group["sensitivity"][k]))
    ]
    return markdown_table(["type", "sensitivity", "specificity", "AUC"], rows)


def _calibration(metrics: dict[str, Any]) -> str:
    rows = [
        "### Prediction sets",
        "",
        "| examples | coverage (promise 0.95) | mean size | undecided | accuracy of the decided |",
        "|---|---|---|---|---|",
    ]
    for level in ("slices", "patients"):
        for key, name in OUTLINES.items():
            g = metrics[level][key]
            rows.append(
                f"| {level}, {name} | {g['coverage']:.3f} | {g['mean_set_size']:.2f} | "
                f"{g['undecided']:.3f} | {g['accuracy_of_decided']:.3f} |"
            )
    rows += [
        "",
        f"The limit for tumours unlike the training cases lets {OUTLIER_QUANTILE:.1%} of the "
        "slices of unseen patients pass.",
    ]
    return "\n".join(rows)


def _wrong_outlines(bundle: Path, statistics: dict[str, Any]) -> list[str]:
    """What the check of the outline refuses; nothing for a bundle that was not measured."""
    if not (bundle / RESULT).is_file():
        return []
    result = json.loads((bundle / RESULT).read_text(encoding="utf-8"))
    rows = [
        "### Outlines that are wrong",
        "",
        "The type is not told if the outline does not lie where the network itself sees tumour: "
        f"agreement under {statistics['least_agreement']:.2f}, where 1 means that all of the "
        "outline looks more like tumour than all other of the head. Slices of held-out patients, "
        "each read by a network that never saw the patient; the limit lets "
        f"{PASSING:.1%} of the experts' outlines of the *other* folds pass.",
        "",
        "| outline | n | patients | refused |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| {OUTLINES['expert'] if name == EXPERT else name} | {row['n']} | {row['patients']} | "
        f"{row['refused']:.3f} |"
        for name, row in result["outlines"].items()
    ]
    own = result.get("own_outlines")
    if own is not None:
        rows.append(
            f"| `tumor_core`'s own | {own['n']} | {own['patients']} | {own['refused']:.3f} |"
        )
    rows += [
        "",
        "Moved and mirrored outlines lie on other brain of the same slice; the tumour-free slices "
        "are of glioblastoma patients, away from the tumour. What is not refused is typed like "
        "any other outline.",
    ]
    if own is not None:
        rows += ["", _own_refused(own)]
    return ["\n".join(rows)]


def _own_refused(own: dict[str, Any]) -> str:
    """How often the type is wrong where the product's own outline is refused and where not."""
    passed = f"{own['wrong_of_passed']:.1%} where it passes"
    if own["wrong_of_refused"] is None:
        return f"With `tumor_core`'s outline the type is wrong in {passed}; none is refused."
    return (
        f"With `tumor_core`'s outline the type is wrong in {own['wrong_of_refused']:.1%} of the "
        f"slices where it is refused ({round(own['refused'] * own['n'])}) and in {passed}."
    )


def _ablations(metrics: dict[str, Any], bundle: Path) -> str:
    rows = [
        "### Parts withheld when reading, not trained again (slices, experts' outlines)",
        "",
        "| variant | accuracy | macro-F1 | meningioma | ECE |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {name} | {row['accuracy']:.3f} | {row['macro_f1']:.3f} | "
        f"{row['sensitivity']['meningioma']:.3f} | {row['ece']:.3f} |"
        for name, row in metrics["ablations"].items()
    ]
    rows += [
        "",
        "Withheld features count as not measured; the network has learnt to do without some, so "
        "the table tells what the trained network loses, not what one trained without them would.",
        "",
        *_boundary_worth(bundle),
    ]
    return "\n".join(rows)


def _boundary_worth(bundle: Path) -> list[str]:
    """What trainings with and without the boundary layer say; that there are none, else."""
    title = ["### The boundary layer, trained with and without", ""]
    if not (bundle / BOUNDARY).is_file():
        return [*title, "The boundary layer's worth was not measured for this card."]
    found = json.loads((bundle / BOUNDARY).read_text(encoding="utf-8"))
    runs = ", ".join(f"fold {p['fold']} with seed {p['seed']}" for p in found["pairs"])
    steps = " and ".join(str(s) for s in sorted({p["steps"] for p in found["pairs"]}))
    rows = [
        *title,
        f"Pairs of trainings of {steps} steps that differ in the layer alone ({runs}): "
        f"{found['slices']} slices of {found['patients']} patients that neither has seen.",
        "",
        "| outlines | accuracy with | without | difference (95 % CI) |",
        "|---|---|---|---|",
    ]
    for key, name in OUTLINES.items():
        row = found[key]["accuracy"]
        low, high = row["gain_interval"]
        rows.append(
            f"| {name} | {row['with']:.3f} | {row['without']:.3f} | {row['gain']:+.3f} "
            f"({low:+.3f} to {high:+.3f}) |"
        )
    return rows


def _shortcuts(metrics: dict[str, Any]) -> str:
    leak, probe = metrics["leak"], metrics["cohort_probe_auc"]
    return (
        "### Two ways to fool oneself\n\n"
        "The published protocol shuffles slices, so that neighbours of a slice are in training. "
        f"One and the same learner (boosted trees on the measured features) reaches "
        f"{leak['shuffled_slices']:.3f} that way and {leak['grouped_patients']:.3f} by patient.\n\n"
        "From a glioma's embedding a linear probe tells the cohort at AUC "
        f"{probe['embedding']:.2f}, from its measured features at {probe['measured_features']:.2f} "
        "(0.5 is not at all): the cohorts differ, in tumours as well as in scanners, and the "
        "network sees it. What it does with it shows in the numeric-cohort row above."
    )


def _outlines(metrics: dict[str, Any]) -> str:
    rows = [
        "### The network's own outline",
        "",
        "A by-product of the short joint training, used here to see how the classifier bears a "
        "poor outline; the product outlines with `segmentation` and `tumor_core`.",
        "",
        "| slices of | mean Dice |",
        "|---|---|",
    ]
    rows += [f"| {name} | {dice:.2f} |" for name, dice in metrics["own_outline_dice"].items()]
    return "\n".join(rows)


def _segmenter(study: dict[str, Any] | None) -> str:
    if study is None:
        return "The outlines of `tumor_core` were not read for this card."
    expert = study["slices"]["expert"]
    folds = ", ".join(str(fold) for fold in study["folds"])
    several = (
        ""
        if len(study["folds"]) == 1
        else " Each fold has a `tumor_core` of its own (see its card)."
    )
    rows = [
        "### The outlines of the product",
        "",
        f"Slices of fold {folds}, which neither the fold's classifier nor `tumor_core` "
        f"has seen ({expert['patients']} patients), outlined by `tumor_core` as "
        f"a lone slice is in use; mean Dice {study['dice']['all']:.2f}.{several}",
        "",
        "| outlines | n | accuracy (95 % CI) | macro-F1 | ECE | coverage |",
        "|---|---|---|---|---|---|",
    ]
    for key, name in (("segmenter", "tumor_core"), ("expert", "experts")):
        g = study["slices"][key]
        low, high = g["accuracy_interval"]
        rows.append(
            f"| {name} | {g['n']} | {g['accuracy']:.3f} ({low:.3f}-{high:.3f}) | "
            f"{g['macro_f1']:.3f} | {g['ece']:.3f} | {g['coverage']:.3f} |"
        )
    return "\n".join(rows)


def _whole_gliomas(rows: list[dict[str, Any]] | None) -> list[str]:
    """Answers for whole gliomas; nothing if there are none."""
    if not rows:
        return []
    cases = {row["case"] for row in rows}
    told = sum(row["answer"] == "glioma" for row in rows)
    other = sum(row["answer"] not in ("glioma", UNDETERMINED) for row in rows)
    lines = [
        "### Whole gliomas of another scanner, skull-stripped",
        "",
        f"{len(cases)} cases, each another patient, all gliomas; none of them has taught a type. "
        "The network *held out* has not seen the case at all; that of *all patients*, which "
        "ships, has learnt what the last column says. Outlines are the experts', where experts "
        f"drew one, or `tumor_core`'s on the T1c alone. Of {len(rows)} answers {told} are glioma, "
        f"{len(rows) - told - other} undetermined and {other} another type.",
        "",
        "| case | network | outline | answer | likeliest | glioma | learnt of the case |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        glioma = "-" if row["glioma"] is None else f"{row['glioma']:.3f}"
        seen = ", `tumor_core` too" if row["outline_learnt"] else ""
        lines.append(
            f"| {row['case']} | {row['network']} | {row['outline']} | {row['answer']} | "
            f"{row['likeliest'] or '-'} | {glioma} | {row['network_learnt']}{seen} |"
        )
    reasons = dict.fromkeys(reason for row in rows for reason in row["reasons"])
    if reasons:
        lines += ["", "Reasons of the undetermined: " + " ".join(reasons)]
    return ["\n".join(lines)]


PLAUSIBILITY = """### Pictures that are no head, and heat

What is no head is refused by three numbers of the picture (`plausibility.py`). Their limits lie
between 767 slices of heads, none of which is refused, and drawn pictures: noise, flat pictures,
ramps and shaded discs (`training/plausibility_limits.py`). Discs that are noisy as well can
pass.

Grad-CAM++ heat of this network explains the appearance part; measured features have their own
contributions."""


def _core_runs(metrics: dict[str, Any]) -> str:
    """The option that names a `tumor_core` of each fold, where they were used."""
    study = metrics.get("segmenter")
    return " --core-runs CORES" if study is not None and len(study["folds"]) > 1 else ""


def _reproduce(plan: dict[str, Any], metrics: dict[str, Any]) -> str:
    cores = _core_runs(metrics)
    first = "`CORES` is a five-fold run of `tumor_core` (see its card).\n\n" if cores else ""
    return (
        f"## Reproduce\n\n{first}```\ntumorlens train classification --data DATA --output RUN "
        f"--fold all --steps {plan['steps']} --seed {plan['seed']}\n"
        f"tumorlens evaluate classification --data DATA --runs RUN{cores} --output "
        "models/classification/metrics.json\npython -m brain_tumor.classification.training."
        f"outline_check --data DATA --runs RUN{cores} --bundle models/classification\n"
        "python -m brain_tumor.classification.evaluation.card "
        "models/classification\n```"
    )


if __name__ == "__main__":
    raise SystemExit(card_command(pages_of))
