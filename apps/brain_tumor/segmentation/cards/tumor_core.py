"""Metrics file, learning curve and model card of the tumour-core bundle.

    python -m brain_tumor.segmentation.cards.tumor_core --bundle DIR [--data DIR] [--run DIR]

measures the bundle if it is given data, and writes `metrics.json` and `metrics.csv`; always
`docs/README.md` of the bundle and `docs/experiments/tumor_core.md`. With `--run` the weights,
metadata and history of a training are taken over first.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from brain_tumor.bundles import METADATA, WEIGHTS
from brain_tumor.errors import FileFormatError, NotFoundError
from brain_tumor.model_cards.rendering import (
    Pages,
    add_experiments_option,
    markdown_table,
    render,
    write_pages,
)
from brain_tumor.segmentation.evaluation.tumor_core import MEANS, evaluate_bundle
from brain_tumor.segmentation.evaluation.tumor_core_five_folds import FIVE_FOLDS
from brain_tumor.segmentation.training.tumor_core.rule import TOLERANCE
from brain_tumor.segmentation.training.tumor_core.train import HISTORY, read_history
from brain_tumor.segmentation.tumor_core.slices import THIN_VOLUME_PIXEL_MM

logger = logging.getLogger(__name__)

METRICS = Path("metrics.json")
NAME = "tumor_core"
CURVE = Path("docs/learning_curve.png")
_SISTER = " The figures are those of a sister model trained the same way without that fold."


def take_over_run(run_dir: Path, bundle_path: Path) -> None:
    """Copy weights, metadata and history of a training into the bundle and draw its curve.

    Raises:
        NotFoundError: If the run is not finished.
    """
    for part in (WEIGHTS, METADATA, Path(HISTORY)):
        if not (run_dir / part).is_file():
            raise NotFoundError(
                f"the run folder has no {part}", remedy="Wait until the training has ended."
            )
    history = Path("docs") / HISTORY
    for part, target in ((WEIGHTS, WEIGHTS), (METADATA, METADATA), (Path(HISTORY), history)):
        (bundle_path / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run_dir / part, bundle_path / target)
    draw_learning_curve(bundle_path / history, bundle_path / CURVE)


def draw_learning_curve(history_path: Path, picture: Path) -> None:
    """Training loss and held-out Dice over steps, as a PNG.

    Raises:
        FileFormatError: If the history is damaged.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    try:
        lines = read_history(history_path)
        steps = [int(line["step"]) for line in lines]
        losses = [float(line["loss"]) for line in lines]
        names = sorted({name for line in lines for name in line["dice"]})
        scores = {name: [line["dice"].get(name, np.nan) for line in lines] for name in names}
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"training history cannot be read: {error}") from error
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    left.plot(steps, losses, color="0.3")
    left.set(xlabel="step", ylabel="training loss (Dice + cross-entropy)")
    for name, values in scores.items():
        right.plot(steps, values, label=name, linewidth=2.5 if name == "all" else 1.2)
    right.set(xlabel="step", ylabel="mean Dice per held-out slice", ylim=(0, 1))
    if scores:
        right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def render_pages(
    metadata: Mapping[str, Any],
    metrics: Mapping[str, Any],
    five_folds: Mapping[str, Any] | None = None,
) -> Pages:
    """Card and experiments in Markdown; every number comes from the files.

    Args:
        metadata: Content of `configs/metadata.json`.
        metrics: Content of `metrics.json`.
        five_folds: Content of `five_folds.json`, if there was a five-fold run.
    """
    training = metadata["training"]
    slices = _slice_table(metrics["slices"])
    volumes = _table(
        "volume|collection|reference mL|found mL|Dice|sensitivity|precision|HD95 mm|"
        "surface Dice|lesion-wise Dice|largest false lesion mL",
        [
            f"{v['case']}|{v['collection']}|{v['reference_size']:.1f}|{v['found_size']:.1f}|"
            f"{v['dice']:.3f}|{v['sensitivity']:.3f}|{v['precision']:.3f}|{v['hd95_mm']:.1f}|"
            f"{v['surface_dice']:.3f}|{v['lesion_dice']:.3f}|{v['false_lesion_ml']:.2f}"
            for v in metrics["volumes"]
        ],
    )
    speed = _table(
        "input|threads|load|fastest s|median s",
        [
            f"{name}|{s['threads']:.0f}|{s['load']:.1f}|{s['min_s']:.3f}|{s['median_s']:.3f}"
            for name, s in metrics["speed"].items()
        ],
    )
    contract = metadata["network_data_format"]["inputs"]["image"]
    label = metadata["network_data_format"]["outputs"]["pred"]["label"]
    held_out = training["held_out"]
    honesty = (
        "These weights have seen every patient of the collections; the scores are those of a "
        "sister model trained the same way without the fold named."
        if held_out == "none"
        else f"These weights were trained without {held_out} (about 4/5 of the patients) and "
        f"measured on that fifth. The weights are those of the last step.{_design_note(training)}"
    )
    measured = ", ".join(str(fold) for fold in metrics["measured_folds"])
    leak = (
        ": **patients that were seen in training, so not a measure of accuracy**"
        if metrics["seen_in_training"]
        else ", held out in training"
    )
    stages = (
        f"The first {training['continued_from_step']} steps were a stage of their own (`--start`). "
        "The commands below run one stage, so they do not repeat these weights exactly."
        if training.get("continued_from_step")
        else "One stage."
    )
    stages = "\n".join([stages, *training.get("notes", ())])
    rule = metadata["clean_up"]
    caution = _rule_origin(training.get("clean_up"))
    values = {
        **{key: metadata[key] for key in ("version", "task")},
        "name": NAME,
        "sha256": metrics["model"]["sha256"],
        "metadata": metadata,
        "metrics": metrics,
        "training": training,
        "contract": contract,
        "rule": rule,
        "label": label,
        "slices": slices,
        "volumes": volumes,
        "speed": speed,
        "measured": measured,
        "leak": leak,
        "honesty": honesty,
        "sister": _SISTER if held_out == "none" else "",
        "stages": stages,
        "caution": caution,
        "pooled": five_folds is not None,
        "five_folds": _five_folds(five_folds),
        "table": _card_table(metrics["slices"], five_folds),
        "thin_volume_pixel_mm": THIN_VOLUME_PIXEL_MM,
    }
    return Pages(
        NAME,
        render("tumor_core_card.md", **values),
        render("tumor_core_experiments.md", **values),
    )


def _card_table(groups: Mapping[str, Any], five_folds: Mapping[str, Any] | None) -> str:
    """Mean Dice of the groups of slices, weakest first, and what all patients give."""
    pooled = five_folds["slices"] if five_folds is not None else {}
    header = ["slices of", "patients", "mean Dice", "missed"]
    if pooled:
        header += ["all patients", "mean Dice", "missed"]
    ranked = sorted(groups.items(), key=lambda item: float(item[1]["dice_mean"]))
    rows = [
        [
            name,
            *_card_cells(group),
            *(_card_cells(pooled.get(name)) if pooled else ()),
        ]
        for name, group in ranked
        if "estimated" not in name
    ]
    return markdown_table(header, rows)


def _card_cells(group: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if group is None:
        return ("-", "-", "-")
    low, high = group["dice_mean_ci95"]
    dice = f"{group['dice_mean']:.3f} ({low:.3f}-{high:.3f})"
    return (str(group["patients"]), dice, f"{group['missed']} of {group['slices']}")


def _design_note(training: Mapping[str, Any]) -> str:
    """What was decided by looking at the measured fold, which makes its scores validation."""
    decided = [
        "this kind of network was chosen because the classifier's decoder, its relative, had "
        "outlined slices of this fold better than version 0.1.0"
    ]
    if training.get("continued_from_step"):
        decided.append(
            "it was trained on because it scored no better on patients of its training than on "
            "this fold"
        )
    return (
        f" The fold was also looked at during development: {'; '.join(decided)}. Read the scores "
        "as validation, somewhat optimistic, not as a test on untouched patients."
    )


def _rule_origin(chosen: Mapping[str, Any] | None) -> str:
    """Where the clean-up rule comes from."""
    if chosen is None:
        return "These three numbers were set beforehand."
    new, old = chosen["chosen"], chosen["set_beforehand"]
    was = old["rule"]
    if new["rule"] == was:
        return (
            "These three numbers were set beforehand. Compared with others on "
            f"{chosen['chosen_on']}, each read\n  by a network that had not seen it, none raises "
            f"the mean Dice of patients there ({new['patients']:.3f})\n  by more than {TOLERANCE} "
            f"without costing volumes (mean Dice {new['volumes']:.3f}) or outlining more\n  "
            f"tumour-free slices ({100 * new['outlined_free']:.1f} %)."
        )
    return (
        f"These three numbers were chosen on {chosen['chosen_on']}, each read by a network that "
        "had not seen it,\n  among rules that do no worse on volumes and outline no more "
        f"tumour-free slices. Instead of {was['threshold']}, {was['smallest_share']} and\n  "
        f"{was['least_peak']}: mean Dice of patients there {new['patients']:.3f} instead of "
        f"{old['patients']:.3f}, of volumes {new['volumes']:.3f} instead of "
        f"{old['volumes']:.3f},\n  tumour-free slices outlined "
        f"{100 * new['outlined_free']:.1f} % instead of {100 * old['outlined_free']:.1f} %."
    )


def _slice_table(groups: Mapping[str, Any]) -> str:
    return _table(
        "slices of|slices|patients|mean Dice (95 % CI)|median|mean of patients|"
        "Dice < 0.5|missed|median HD95 mm|IoU|surface Dice|sensitivity|specificity|precision",
        [
            f"{name}|{s['slices']}|{s['patients']}|{s['dice_mean']:.3f} "
            f"({s['dice_mean_ci95'][0]:.3f}-{s['dice_mean_ci95'][1]:.3f})|{s['dice_median']:.3f}|"
            f"{s['dice_mean_of_patients']:.3f}|{100 * s['share_below_half']:.1f} %|{s['missed']}|"
            f"{s['hd95_mm_median']:.1f}|"
            + "|".join(f"{s[f'{metric}_mean']:.3f}" for metric in MEANS)
            for name, s in groups.items()
        ],
    )


def _five_folds(tables: Mapping[str, Any] | None) -> str:
    if tables is None:
        return ""
    steps = ", ".join(
        f"{fold['steps']} steps on pixels of {fold['pixel_mm']:g} mm (fold {fold['fold']}"
        + (
            f", {earlier} of them in earlier stages)"
            if (earlier := fold["continued_from_step"])
            else ")"
        )
        for fold in tables["folds"]
    )
    scores = ", ".join(f"{fold['dice_mean']:.3f}" for fold in tables["folds"])
    return f"""## All patients: five networks, each on the fifth that it has not seen

One network a fold, not equally long trained: {steps}.
Earlier stages may have seen coarser pixels.
So read the table as what this kind of network does on every patient of the slice collection, not
as the scores of the weights in this folder. Mean Dice of folds 0 to 4: {scores}.

{_slice_table(tables["slices"])}

Every case: `five_folds.csv`.
"""


def _table(header: str, rows: Sequence[str]) -> str:
    """Markdown table from cells divided by bars."""
    return markdown_table(header.split("|"), [row.split("|") for row in rows])


def pages_of(bundle_path: Path) -> Pages:
    """The card that a bundle should have, and its page of experiments.

    Raises:
        NotFoundError: If metadata or metrics are missing.
        FileFormatError: If one is damaged.
    """
    try:
        metadata = json.loads((bundle_path / METADATA).read_text("utf-8"))
        metrics = json.loads((bundle_path / METRICS).read_text("utf-8"))
        five_folds = bundle_path / FIVE_FOLDS
        tables = json.loads(five_folds.read_text("utf-8")) if five_folds.is_file() else None
        return render_pages(metadata, metrics, tables)
    except FileNotFoundError as error:
        raise NotFoundError(
            "metadata or metrics of the bundle are missing", remedy="Measure the bundle first."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"metadata or metrics cannot be read: {error!r}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure the tumour-core bundle, write its card.")
    parser.add_argument("--data", type=Path, help="measure on it first; without, pages alone")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--run", type=Path, help="take over this training first")
    parser.add_argument("--threads", type=int, default=1)
    add_experiments_option(parser)
    chosen = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)
    torch.set_num_threads(chosen.threads)
    if chosen.run:
        take_over_run(chosen.run, chosen.bundle)
    if chosen.data:
        evaluate_bundle(chosen.bundle, chosen.data, chosen.bundle / METRICS, fold=chosen.fold)
    write_pages(pages_of(chosen.bundle), chosen.bundle, chosen.experiments)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
