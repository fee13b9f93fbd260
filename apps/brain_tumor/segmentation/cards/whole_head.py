"""The model card of the whole-head bundle, generated from its metadata and metrics.

    python -m brain_tumor.segmentation.cards.whole_head BUNDLE

writes `docs/README.md` of the bundle and `docs/experiments/whole_head.md` from
`configs/metadata.json` and `metrics.json` (see `evaluation.heads`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brain_tumor.bundles import read_bundle
from brain_tumor.errors import FileFormatError, ModelError
from brain_tumor.model_cards.rendering import Pages, card_command, markdown_table, render

METRICS = Path("metrics.json")
NONE = "-"


def render_pages(metadata: Mapping[str, Any], metrics: Mapping[str, Any], sha256: str) -> Pages:
    """Card and experiments in Markdown; every number comes from the two files.

    Args:
        metadata: Content of `configs/metadata.json`.
        metrics: Content of `metrics.json`, of a network of the same recipe that held out a fold.
        sha256: Checksum of the bundle's weights.

    Raises:
        ModelError: If the scores are of a network that has seen the persons measured.
        FileFormatError: If a needed entry is missing.
    """
    try:
        if metrics["fold"] is None:
            raise ModelError("the scores are of persons that the network has seen")
        return _render(metadata, metrics, sha256)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise FileFormatError(f"metadata or metrics lack what a card needs: {error!r}") from error


def heads_table(metrics: Mapping[str, Any]) -> str:
    """Dice of the whole tumour in heads with skull, weak groups first, then fewer sequences."""
    heads = metrics["heads"]
    rows = [_row(group["name"], group) for group in heads["groups"]]
    rows += [_row(f"given {table['sequences']}", table) for table in heads["subsets"]]
    if metrics["thin_slabs"]:
        rows.append(_row("three slices alone", metrics["thin_slabs"]))
    titles = ["heads with skull", "cases", "Dice, mean", "median", "under 0.5", "called empty"]
    return markdown_table(titles, rows)


def _row(name: str, table: Mapping[str, Any]) -> list[str]:
    dice = table["dice"]
    interval = dice["ci95"]
    mean = f"{dice['mean']:.2f}"
    if interval:
        mean += f" ({interval[0]:.2f}-{interval[1]:.2f})"
    return [
        name,
        str(table["cases"]),
        mean,
        f"{dice['median']:.2f}",
        f"{table['under_half']:.0%}",
        f"{table['called_empty']:.0%}",
    ]


def silence_sentence(metrics: Mapping[str, Any]) -> str:
    """What is outlined where there is no tumour."""
    free, healthy = metrics["free_slices"], metrics["healthy"]
    parts = [
        f"Of {free['slices']} slices of these heads that show no tumour {free['outlined']:.1%} "
        "have more than 100 mm2 outlined."
    ]
    if metrics["free_slabs"]["cases"]:
        free_slabs = metrics["free_slabs"]
        parts.append(
            f"Of {free_slabs['cases']} slabs without tumour, read as cases of their own, in "
            f"{free_slabs['silent']:.0%} less than 1 mL is outlined (most: "
            f"{free_slabs['largest_ml']:.1f} mL)."
        )
    for row in healthy["rows"]:
        parts.append(
            f"Healthy head {row['case']} ({row['sequences']}): {row['predicted_ml']:.1f} mL"
            + (", for nothing is outlined on t1 alone." if row["sequences"] == "t1" else ".")
        )
    return " ".join(parts)


def brains_table(metrics: Mapping[str, Any]) -> str:
    """Mean Dice in whole stripped brains."""
    rows = []
    for group in metrics["brains"]["groups"]:
        regions = group["regions"]
        cells = [_mean(regions[name]["dice"]) for name in ("WT", "TC", "ET")]
        rows.append([group["name"], str(group["cases"]), *cells])
    return markdown_table(["stripped brains, Dice", "cases", "WT", "TC", "ET"], rows)


def _mean(score: Mapping[str, Any]) -> str:
    return NONE if score["mean"] is None else f"{score['mean']:.2f}"


def _render(metadata: Mapping[str, Any], metrics: Mapping[str, Any], sha256: str) -> Pages:
    measured = metrics["models"][-1]
    what = (
        "These are the weights that ship."
        if measured["sha256"] == sha256
        else f"They are of version {measured['version']} (sha256 `{measured['sha256'][:12]}`), "
        "which held out the fold; the weights that ship went on from there on all persons and "
        "have no figures of their own."
    )
    values = {
        **{key: metadata[key] for key in ("name", "version", "task")},
        "sha256": sha256,
        "presence": _presence(metadata.get("presence")),
        "format": metadata["network_data_format"]["inputs"]["image"]["format"],
        "fold": metrics["fold"],
        "folds": metrics["folds"],
        "cases": metrics["heads"]["groups"][-1]["cases"],
        "what": what,
        "heads": heads_table(metrics),
        "silence": silence_sentence(metrics),
        "brains": brains_table(metrics),
        "run": _run(metadata["training"]["held_out"], metadata["training"]["plan"]),
    }
    return Pages(
        metadata["name"],
        render("whole_head_card.md", **values),
        render("whole_head_experiments.md", **values),
    )


def _run(held_out: str, plan: Mapping[str, Any]) -> str:
    began = f" after {plan['began_with']}" if plan["began_with"] else ""
    return (
        f"{held_out.capitalize()} held out; {plan['steps']} steps of {plan['batch']} "
        f"slices{began}, seed {plan['seed']}."
    )


def _presence(presence: Mapping[str, Any] | None) -> str:
    if presence is None:
        return ""
    return (
        f": a logistic model of {presence['cases']} held-out readings; under "
        f"{presence['threshold']:.0%} nothing is outlined"
    )


def pages_of(bundle: Path) -> Pages:
    """The card that a bundle should have, and its page of experiments.

    Raises:
        ModelError: If the bundle is damaged.
        FileFormatError: If the metrics are missing or lack an entry.
    """
    found = read_bundle(bundle)
    try:
        metrics = json.loads((bundle / METRICS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{METRICS} of {bundle.name} cannot be read: {error}") from error
    return render_pages(found.metadata, metrics, found.version.sha256)


if __name__ == "__main__":
    raise SystemExit(card_command(pages_of))
