"""The model card of the sub-region bundle, generated from its metadata and metrics.

    python -m brain_tumor.segmentation.cards.subregions BUNDLE [--log RUN/log.jsonl]

writes `docs/README.md` of the bundle and `docs/experiments/segmentation.md` from
`configs/metadata.json` and `metrics.json` (see `segmentation.evaluation`); the log of a training
is kept as `docs/history.jsonl` and drawn as `docs/learning_curve.png`. A run that continues a
bundle without a history has but its own steps: the bundle's picture may be kept as
`docs/learning_curve_earlier.png`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from brain_tumor.bundles import read_bundle
from brain_tumor.errors import FileFormatError, InputError, ModelError, NotFoundError
from brain_tumor.model_cards.rendering import (
    Pages,
    add_experiments_option,
    markdown_table,
    render,
    write_pages,
)
from brain_tumor.segmentation.cards.tables import (
    calibration_section,
    collection_section,
    failure_section,
    group_table,
    patient_section,
    patient_table,
    weak_table,
)
from brain_tumor.segmentation.evaluation.rows import CUBE_COLLECTION, WHOLE_COLLECTION
from brain_tumor.segmentation.learning_curve import HISTORY, draw_learning_curve

METRICS = Path("metrics.json")
CURVE = Path("docs/learning_curve.png")
EARLIER_CURVE = Path("docs/learning_curve_earlier.png")


def render_pages(
    metadata: Mapping[str, Any],
    metrics: Mapping[str, Any],
    *,
    weights_sha256: str,
    curves: Sequence[str] = (),
) -> Pages:
    """Card and experiments in Markdown; every number comes from the two files.

    Args:
        metadata: Content of `configs/metadata.json`.
        metrics: Content of `metrics.json`.
        weights_sha256: Checksum of the bundle's weights.
        curves: Names of the pictures of learning curves beside the card, the earliest first.

    Raises:
        ModelError: If the scores are of patients that the measured weights were trained on.
        FileFormatError: If a needed entry is missing.
    """
    try:
        values = _values(metadata, metrics, weights_sha256, curves)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise FileFormatError(f"metadata or metrics lack what a card needs: {error!r}") from error
    return Pages(
        metadata["name"],
        render("segmentation_card.md", **values),
        render("segmentation_experiments.md", **values),
    )


def _values(
    metadata: Mapping[str, Any], metrics: Mapping[str, Any], sha256: str, curves: Sequence[str]
) -> dict[str, Any]:
    definitions = metrics["definitions"]
    plan = metadata["training"]["plan"]
    image = metadata["network_data_format"]["inputs"]["image"]
    classes = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    return {
        **{key: metadata[key] for key in ("name", "version", "task")},
        "sha256": sha256,
        "metadata": metadata,
        "metrics": metrics,
        "plan": plan,
        "definitions": definitions,
        "lesions": definitions["lesions"],
        "bootstrap": definitions["bootstrap"],
        "fold": metrics["fold"],
        "left_out": _left_out(plan),
        "options": _options(plan),
        "honesty": _honesty(metadata, metrics, sha256),
        "measured": _measured(metrics),
        "channels": list(image["channel_def"].values()),
        "spacing": " x ".join(f"{mm:.3f}" for mm in image["spacing_mm"]),
        "classes": [f"{label} {name}" for label, name in classes.items()],
        "input": _input(metadata),
        "output": _output(metadata),
        "clean_up": _clean_up(metadata),
        "chosen_rule": _chosen_rule(metadata),
        "table": patient_table(metrics),
        "groups": group_table(metrics),
        "wholes": collection_section(metrics, WHOLE_COLLECTION),
        "cubes": collection_section(metrics, CUBE_COLLECTION),
        "patients": patient_section(metrics),
        "weak": weak_table(metrics["weak_cases"]["rows"]),
        "calibration": calibration_section(metrics),
        "failures": failure_section(metrics),
        "speed": _speed(metrics),
        "curves": curves,
        "notes": _notes(metadata),
        "commands": _commands(metadata, metrics["fold"]),
    }


def _honesty(metadata: Mapping[str, Any], metrics: Mapping[str, Any], sha256: str) -> str:
    """Whether the scores are of these weights, and of unseen patients."""
    fold, trained_without = metrics["fold"], metadata["training"]["plan"]["fold"]
    if fold is None:
        raise ModelError(
            "metrics.json covers every patient of the data, those of training included",
            remedy="Measure again with --fold and the fold that training left out.",
        )
    if metrics["model"]["sha256"] == sha256:
        if fold != trained_without:
            raise ModelError(
                f"metrics.json is of fold {fold}, but training left out {_fold(trained_without)}",
                remedy="Measure the fold that training left out.",
            )
        return f"These weights have not seen fold {fold}, on which they are measured."
    return (
        f"These weights were trained without {_fold(trained_without)}; the scores are those of "
        f"sister weights (sha256 `{metrics['model']['sha256']}`) that have not seen fold {fold}."
    )


def _fold(fold: int | None) -> str:
    return "any fold" if fold is None else f"fold {fold}"


def _measured(metrics: Mapping[str, Any]) -> str:
    parts = []
    for name in (CUBE_COLLECTION, WHOLE_COLLECTION):
        groups = metrics[name]["groups"]
        if groups:
            parts.append(f"{name}: {groups[-1]['cases']} of {groups[-1]['patients']} patients")
    return "Measured: " + ("; ".join(parts) or "no case") + "."


def _input(metadata: Mapping[str, Any]) -> str:
    image = metadata["network_data_format"]["inputs"]["image"]
    spacing = " x ".join(f"{mm:.3f}" for mm in image["spacing_mm"])
    channels = ", ".join(f"{n} {name}" for n, name in image["channel_def"].items())
    return (
        f"- Channels: {channels}; any subset.\n"
        f"- Grid: {spacing} mm, {image['orientation']}, axes {' x '.join(image['spatial_shape'])}."
        f"\n- Intensities: {image['format']}."
    )


def _output(metadata: Mapping[str, Any]) -> str:
    classes = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    rows = [[channel, channel, name] for channel, name in classes.items()]
    return markdown_table(["output channel", "label value", "meaning"], rows)


def _clean_up(metadata: Mapping[str, Any]) -> str:
    rule = metadata.get("clean_up", {})
    parts = []
    for name, value in rule.items():
        words = name.removesuffix("_ml").replace("_", " ")
        parts.append(f"{words} {value:g}{' mL' if name.endswith('_ml') else ''}")
    return ", ".join(parts) or "none"


def _chosen_rule(metadata: Mapping[str, Any]) -> str:
    training = metadata["training"]
    told = []
    if enhancing := training.get("enhancement_rule"):
        by_volume, by_probability = (
            ", ".join(f"{key} {mean:.3f}" for key, mean in enhancing[name].items())
            for name in ("mean_dice_by_volume", "mean_dice_by_probability")
        )
        told.append(
            "Enhancement is believed from a volume and a mean probability of its voxels that were "
            f"chosen on {enhancing['chosen_on']}, together (mean Dice of ET without a rule "
            f"{enhancing['mean_dice_without']:.3f}; with the other threshold as chosen: "
            f"{by_volume}; probability {by_probability}); other enhancement is outlined as "
            "necrotic core, and the reply says so."
        )
    if oedema := training.get("smallest_oedema_ml"):
        losses = ", ".join(
            f"{ml} {loss['mean_share']:.2%}, {loss['patients']} patients, at most "
            f"{loss['largest_share']:.1%}"
            for ml, loss in oedema["lost"].items()
        )
        told.append(
            "A piece of oedema without core, apart from a tumour with core, is believed from a "
            "volume at which experts' masks would lose at most "
            f"{oedema['allowed_loss']:.1%} of the tumour on average ({oedema['patients']} "
            f"patients of {oedema['chosen_on']}; lost: {losses}). That such pieces are "
            "mostly false was seen in whole cases, a held-out one among them; the volume was not "
            "chosen on them."
        )
    return " ".join([*told, "The rest was not tuned." if told else "None of it was tuned."])


def _speed(metrics: Mapping[str, Any]) -> str:
    found = metrics.get("speed")
    if not found:
        return "Time is measured apart from accuracy, in `benchmarks/`."
    return "\n".join(f"- {name}: {value}" for name, value in found.items())


_NEGATIVES = MappingProxyType(
    {
        "remnants": "remnants of the skull at the rim of a quarter of the stripped brains",
        "mined": "places of healthy brains where the network had found tumour at a validation",
    }
)


def _notes(metadata: Mapping[str, Any]) -> str:
    plan = metadata["training"]["plan"]
    notes = [f"{note}\n" for note in metadata["training"].get("notes", ())]
    earlier = plan.get("continued_from")
    if earlier:
        notes.append(f"The first {earlier} steps are those of an earlier run.\n")
    since = f" since step {earlier}" if earlier else ""
    negatives = " and ".join(_NEGATIVES[name] for name in plan.get("negatives", ()))
    if negatives:
        notes.append(f"Further healthy tissue{since}: {negatives}.\n")
    if plain := plan.get("plain_share"):
        notes.append(f"Samples that kept their contrast and resolution{since}: {plain:.0%}.\n")
    return "\n".join([*notes, ""]) if notes else ""


def _left_out(plan: Mapping[str, Any]) -> str:
    return "all" if plan["fold"] is None else str(plan["fold"])


def _options(plan: Mapping[str, Any]) -> str:
    earlier = " --continue-from EARLIER" if plan.get("continued_from") else ""
    return f" --threads {plan['threads']}{earlier}"


def _commands(metadata: Mapping[str, Any], fold: int) -> str:
    name, plan = metadata["name"], metadata["training"]["plan"]
    return (
        f"tumorlens train {name} --data DIR --output RUN --fold {_left_out(plan)} "
        f"--steps {plan['steps']}{_options(plan)}\n"
        f"python -m brain_tumor.segmentation.training.subregions.enhancing_rule --data DIR "
        f"--bundle models/{name}\n"
        f"python -m brain_tumor.segmentation.training.subregions.oedema_rule --data DIR "
        f"--bundle models/{name}\n"
        f"tumorlens evaluate {name} --data DIR --output models/{name}/metrics.json --fold {fold}\n"
        f"python -m brain_tumor.segmentation.cards.subregions models/{name} --log RUN/log.jsonl"
    )


def pages_of(bundle: Path) -> Pages:
    """The card that a bundle should have, and its page of experiments.

    Args:
        bundle: Folder with metadata, weights and `metrics.json`.

    Raises:
        NotFoundError: If there is no `metrics.json`.
        FileFormatError: If a file is damaged.
        ModelError: If the bundle is damaged or the scores are of patients of its training.
    """
    read = read_bundle(bundle)
    if not (bundle / METRICS).is_file():
        raise NotFoundError(
            f"bundle '{bundle.name}' has no {METRICS}", remedy="Run tumorlens evaluate first."
        )
    try:
        metrics = json.loads((bundle / METRICS).read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileFormatError(f"{METRICS} cannot be read: {error}") from error
    return render_pages(
        read.metadata,
        metrics,
        weights_sha256=read.version.sha256,
        curves=[path.name for path in (EARLIER_CURVE, CURVE) if (bundle / path).is_file()],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write the card of the sub-region bundle.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--log", type=Path, help="keep and draw this training's log")
    add_experiments_option(parser)
    chosen = parser.parse_args(argv)
    if chosen.log:
        draw_learning_curve(chosen.log, chosen.bundle / CURVE)
        if chosen.log.resolve() != (chosen.bundle / HISTORY).resolve():
            shutil.copyfile(chosen.log, chosen.bundle / HISTORY)
    write_pages(pages_of(chosen.bundle), chosen.bundle, chosen.experiments)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
