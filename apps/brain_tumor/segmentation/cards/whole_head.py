"""The model card of the whole-head bundle, generated from its metadata and metrics.

    python -m brain_tumor.segmentation.cards.whole_head BUNDLE

writes `docs/README.md` from `configs/metadata.json` and `metrics.json` (see `evaluation.heads`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from brain_tumor.bundles import read_bundle
from brain_tumor.errors import FileFormatError, ModelError
from brain_tumor.segmentation.cards.tables import markdown_table

METRICS = Path("metrics.json")
CARD = Path("docs/README.md")
NONE = "-"
WIDTH = 100


def render_card(metadata: Mapping[str, Any], metrics: Mapping[str, Any], sha256: str) -> str:
    """Model card in Markdown; every number comes from the two files.

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


def _render(metadata: Mapping[str, Any], metrics: Mapping[str, Any], sha256: str) -> str:
    plan = metadata["training"]["plan"]
    measured = metrics["models"][-1]
    presence = metadata.get("presence")
    same = measured["sha256"] == sha256
    what = (
        "These are the weights that ship."
        if same
        else f"They are of version {measured['version']} (sha256 `{measured['sha256'][:12]}`), "
        "which held out the fold; the weights that ship went on from there on all persons and "
        "have no figures of their own."
    )
    return f"""# Tumour regions in whole heads: {metadata["name"]} {metadata["version"]}

{metadata["task"]}. Weights sha256 `{sha256}`.

**Research use. Not a medical device and not for diagnosis.**

## Use

Reads axial slices with their neighbours, any subset of t1, t1c, t2 and flair, with or without
skull, thick slices or thin. Its opinion and that of `segmentation` are joined: with skull the
whole tumour is this network's, without it both count. It also tells how likely it is that there is
a tumour at all{_presence(presence)}.

Input: {metadata["network_data_format"]["inputs"]["image"]["format"]}.
Output: logits of WT, TC and ET.

## Figures

By person, on fold {metrics["fold"]} of {metrics["folds"]}, through the product's whole pipeline
with `segmentation`, which has not seen these persons either. Other folds have not been trained.
{fill(what, WIDTH)}
The weights of the joint opinion with skull were set beforehand; those for stripped brains were
chosen on the whole cases of this fold, and the model of presence was fitted on these held-out
cases, so the table of brains and `called empty` are validation figures.

{heads_table(metrics)}

{fill(silence_sentence(metrics), WIDTH)}

{brains_table(metrics)}

Published on the whole set, by patient: mean 0.82, median 0.85 (Buda 2019), another split.

## Training

{fill(_run(metadata["training"]["held_out"], plan), WIDTH)} The loss
acts on what is known: the whole tumour in heads of lgg, all regions in BraTS (marginal losses,
Fidon 2021, Shi 2021). Lesions of BraTS are pasted into heads with skull; slices without tumour and
healthy heads say that there is none. A person is in one fold over all sets.

    tumorlens train whole_head --data DIR --output RUN --fold 0 --steps STEPS
    tumorlens train whole_head --data DIR --output ALL --fold all --continue-from RUN/whole_head
    tumorlens evaluate whole_head --data DIR --runs RUN --output models/whole_head/metrics.json

## Limits

- With skull, t2 has been seen in phantoms and one healthy head only: from t1 and t2 of a head
  nothing is outlined, and the reply says which sequence is missing.
- Sub-regions with skull are learnt from pasted lesions; no expert has drawn them in such heads.
- Masks of lgg are a little tighter than those of BraTS; low-grade gliomas of one archive, adults.
- Healthy heads with flair or t1c are few: silence is measured on slices without tumour.

## Data and terms

TCGA-LGG of TCIA with the masks of Buda et al. 2019 (CC BY-NC-SA 4.0 as far as known); BraTS 2020
(Menze 2015, Bakas 2017, 2018; research use after registration) and BraTS 2013 cases (CC BY-NC-SA
3.0); healthy heads of studyforrest (PDDL), a Philips MPRAGE (BSD-3-Clause) and FNNDSC (MIT,
Apache-2.0).
Treat the weights as research use.
"""


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


def write_card(bundle: Path) -> Path:
    """Write the card of a bundle.

    Raises:
        ModelError: If the bundle is damaged.
        FileFormatError: If the metrics are missing or lack an entry.
    """
    found = read_bundle(bundle)
    try:
        metrics = json.loads((bundle / METRICS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{METRICS} of {bundle.name} cannot be read: {error}") from error
    card = bundle / CARD
    card.parent.mkdir(parents=True, exist_ok=True)
    card.write_text(render_card(found.metadata, metrics, found.version.sha256), encoding="utf-8")
    return card


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    write_card(parser.parse_args().bundle)


if __name__ == "__main__":
    main()
