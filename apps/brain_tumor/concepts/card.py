"""Card and experiments of the symptom reader, generated from its bundle.

python -m brain_tumor.concepts.card models/concepts
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brain_tumor.bundles import METADATA, read_bundle
from brain_tumor.concepts.evaluation import MOST_DISAGREED
from brain_tumor.concepts.head import CONCEPTS
from brain_tumor.concepts.training.study import PAPER, READER
from brain_tumor.errors import FileFormatError
from brain_tumor.model_cards.rendering import Pages, card_command, render, write_pages

METRICS = Path("metrics.json")
NAME = "concepts"
ZERO_SHOT = "zero-shot, class names"


def write_card(bundle: Path) -> Path:
    """Write `docs/README.md` of a bundle from its metadata, settings and metrics."""
    return write_pages(pages_of(bundle), bundle)


def pages_of(bundle: Path) -> Pages:
    """The card that a bundle should have, and its page of experiments.

    Raises:
        FileFormatError: If a file of the bundle is missing or lacks a figure.
        ModelError: If the bundle cannot be read.
    """
    version = read_bundle(bundle).version
    try:
        metadata, settings, metrics = (
            json.loads((bundle / part).read_text(encoding="utf-8"))
            for part in (METADATA, CONCEPTS, METRICS)
        )
        values = _values(metadata, settings, metrics)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"card of '{bundle.name}' cannot be written: {error!r}") from error
    values |= {"name": NAME, "version": version.version, "sha256": version.sha256}
    return Pages(
        NAME, render("concepts_card.md", **values), render("concepts_experiments.md", **values)
    )


def _values(
    metadata: Mapping[str, Any], settings: Mapping[str, Any], metrics: Mapping[str, Any]
) -> dict[str, Any]:
    variants = metrics["variants"]
    return {
        "task": "A second reader of the tumour type whose reasons are words",
        "metadata": metadata,
        "settings": settings,
        "metrics": metrics,
        "training": metadata["training"],
        "deletion": metrics["deletion_test"],
        "paper": PAPER,
        "reader": READER,
        "most_disagreed": f"{100 * MOST_DISAGREED:.0f}",
        "variant_rows": _variant_rows(variants),
        "points": {
            "class names": _points(variants, PAPER, ZERO_SHOT),
            "class names, grounded": _points(variants, READER, ZERO_SHOT),
            "mean": _points(variants, PAPER, "zero-shot, mean"),
            "mean, grounded": _points(variants, READER, "grounded mean"),
            "max": _points(variants, PAPER, "zero-shot, max"),
            "mean with context": _points(variants, PAPER, "CoP + mean"),
        },
        "reader_rows": _reader_rows(metrics),
        "shot_rows": _shot_rows(metrics["few_shot"]),
        "second_rows": _second_rows(metrics["second_reader"]),
        "symptom_rows": _symptom_rows(metrics["symptoms"]),
    }


def _variant_rows(variants: Mapping[str, Any]) -> str:
    rows = []
    for name, by_outline in variants.items():
        expert, own = by_outline["expert"], by_outline["own"]
        numeric = expert["numeric_glioma_sensitivity"]
        rows.append(
            f"| {name} | {expert['accuracy']:.3f} | {expert['macro_f1']:.3f} | "
            f"{own['macro_f1']:.3f} | {'-' if numeric is None else f'{numeric:.3f}'} |"
        )
    return "\n".join(rows)


def _reader_rows(metrics: Mapping[str, Any]) -> str:
    rows = []
    for title, part in (("this reader", "reader"), ("hybrid classifier", "hybrid")):
        for outline in ("expert", "own"):
            found = metrics[part][outline]
            rows.append(
                f"| {title}, {outline} outline | {found['accuracy']:.3f} "
                f"({_range(found['accuracy_interval'])}) | {found['macro_f1']:.3f} "
                f"({_range(found['macro_f1_interval'])}) | {found['ece']:.3f} |"
            )
    return "\n".join(rows)


def _shot_rows(few: Mapping[str, Any]) -> str:
    return "\n".join(
        f"| {shots} | {row['accuracy']['mean']:.3f} | {row['macro_f1']['mean']:.3f} "
        f"(sd {row['macro_f1']['sd']:.3f}) |"
        for shots, row in few.items()
    )


def _second_rows(second: Mapping[str, Any]) -> str:
    share = f"{100 * MOST_DISAGREED:.0f} %"
    lines = (
        ("macro-F1 of the hybrid", "hybrid_macro_f1"),
        ("macro-F1 of both, mixed by likelihood on the other folds", "together_macro_f1"),
        ("mean share of this reader in the mixture", "reader_share"),
        (f"hybrid errors among the {share} most disagreed slices", "errors_in_most_disagreed"),
        (f"the same among its own {share} least confident", "errors_in_least_confident"),
        ("share of different answers", "different_answers"),
    )
    rows = [
        f"| {title} | {second['expert'][key]:.3f} | {second['own'][key]:.3f} |"
        for title, key in lines
    ]
    outlines = (second["expert"], second["own"])
    gains = [
        f"{found['together_gain']:+.4f} ({low:+.4f} to {high:+.4f})"
        for found in outlines
        for low, high in [found["together_gain_interval"]]
    ]
    errors = [_range(found["errors_in_most_disagreed_interval"]) for found in outlines]
    rows.insert(2, f"| gain of macro-F1, 95 % interval over patients | {' | '.join(gains)} |")
    rows.insert(5, f"| 95 % interval over patients | {' | '.join(errors)} |")
    return "\n".join(rows)


def _symptom_rows(symptoms: Sequence[Mapping[str, Any]]) -> str:
    def shown(row: Mapping[str, Any], key: str) -> str:
        return f"{row[key]:.2f}" if key in row else "-"

    return "\n".join(
        f"| {row['kind']} | {row['text']} | `{row['feature']}` {row['direction']} | "
        f"{row['folds']} | "
        f"{shown(row, 'auc')} | {shown(row, 'picture_auc')} | "
        f"{shown(row, 'picture_auc_with_context')} | {shown(row, 'agreement')} |"
        for row in symptoms
    )


def _points(variants: Mapping[str, Any], first: str, second: str) -> str:
    apart = variants[first]["expert"]["macro_f1"] - variants[second]["expert"]["macro_f1"]
    return f"{100 * apart:+.1f}"


def _range(pair: Sequence[float]) -> str:
    return f"{pair[0]:.3f}-{pair[1]:.3f}"


if __name__ == "__main__":
    raise SystemExit(card_command(pages_of))
