"""Write the generated parts of the docs: tables from metrics and benchmarks, the command line.

python -m docs.update_readme
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from brain_tumor.segmentation.cards.whole_head import heads_table, silence_sentence

from docs import commands
from docs.summary import Measurements, failures, summary_table

ROOT = Path(__file__).resolve().parents[1]


def blocks(root: Path = ROOT) -> dict[str, dict[str, str]]:
    """Markdown between the marks, by file and name of the mark."""
    measured = Measurements(
        segmentation=_read(root / "models/segmentation/metrics.json"),
        heads=_read(root / "models/whole_head/metrics.json"),
        core=_read(root / "models/tumor_core/five_folds.json"),
        types=_read(root / "models/classification/metrics.json"),
        serving=_read(root / "benchmarks/results/serve.json"),
        foreign=_read(root / "benchmarks/results/foreign_lesions.json"),
    )
    return {
        "README.md": {"results": summary_table(measured), "failures": failures(measured)},
        "docs/results.md": {"results": results(root)},
    }


def results(root: Path = ROOT) -> str:
    """All tables in Markdown."""
    segmentation = _read(root / "models/segmentation/metrics.json")
    core = _read(root / "models/tumor_core/metrics.json")
    types = _read(root / "models/classification/metrics.json")
    pooled = root / "models/tumor_core/five_folds.json"
    five_folds = _read(pooled) if pooled.exists() else None
    heads = _read(root / "models/whole_head/metrics.json")
    parts = [_heads(heads), _types(types), _product(types)]
    parts += [_segmentation(segmentation), _core(core, five_folds)]
    heat = root / "benchmarks/results/explanation_heat_segmenter_all_folds.json"
    if heat.exists():
        parts.append(_heat(_read(heat)))
    serve = root / "benchmarks/results/serve.json"
    if serve.exists():
        parts.append(_serving(_read(serve)))
    refine = root / "benchmarks/results/refine.json"
    if refine.exists():
        parts.append(_refinement(_read(refine)))
    return "\n\n".join(parts)


def _heads(metrics: dict[str, Any]) -> str:
    published = "Published on the whole set, another split: mean 0.82, median 0.85 (Buda 2019)."
    return "\n\n".join([heads_table(metrics), f"{silence_sentence(metrics)} {published}"])


def _segmentation(metrics: dict[str, Any]) -> str:
    rows = ["| sub-regions, Dice | patients | WT | TC | ET |", "|---|---|---|---|---|"]
    for collection, name in (("wholes", "whole unseen cases"), ("cubes", "unseen lesion cubes")):
        for group in metrics[collection]["groups"]:
            cells = [_dice(group, region) for region in ("WT", "TC", "ET")]
            label = f"{name}: {group['name']}"
            rows.append(f"| {label} | {group['patients']} | {' | '.join(cells)} |")
    for table in metrics["cubes"]["whole_patients"]:
        if table["sequences"] in ("t1+t1c+t2+flair", "t1c+flair"):
            scores = (_score(table["regions"][region]) for region in ("WT", "TC", "ET"))
            label = f"all lesion cubes of a patient as one: {table['sequences']}"
            rows.append(f"| {label} | {table['patients']} | {' | '.join(scores)} |")
    return "\n".join(rows)


def _dice(group: dict[str, Any], region: str) -> str:
    return _score(group["regions"][region]["dice"])


def _score(score: dict[str, Any]) -> str:
    if score["mean"] is None:
        return "-"
    interval = score["ci95"]
    text = f"{score['mean']:.2f}"
    return f"{text} ({interval[0]:.2f}-{interval[1]:.2f})" if interval else text


def _core(metrics: dict[str, Any], five_folds: dict[str, Any] | None) -> str:
    rows = [
        "| tumour core on one T1c slice, Dice | patients | slices | mean |",
        "|---|---|---|---|",
    ]
    groups = metrics["slices"]
    order = sorted(groups, key=lambda name: name == "all slices")
    rows += [_core_row(name, groups[name]) for name in order]
    if five_folds:
        steps = ", ".join(str(fold["steps"]) for fold in five_folds["folds"])
        label = f"all folds, a network each ({steps} steps)"
        rows.append(_core_row(label, five_folds["slices"]["all slices"]))
    return "\n".join(rows)


def _core_row(name: str, group: dict[str, Any]) -> str:
    low, high = group["dice_mean_ci95"]
    mean = f"{group['dice_mean']:.2f} ({low:.2f}-{high:.2f})"
    return f"| {name} | {group['patients']} | {group['slices']} | {mean} |"


def _types(metrics: dict[str, Any]) -> str:
    poor = metrics["own_outline_dice"]["all"]
    outlines = {"expert": "experts' outlines", "own": f"poor outlines (Dice {poor:.2f})"}
    rows = [
        "| tumour type, five folds | n | accuracy | weakest type | ECE | refusing 10 % |",
        "|---|---|---|---|---|---|",
    ]
    numeric = metrics["slices"]["expert"]
    rows.append(
        f"| gliomas of the numeric cohort, slices | {numeric['numeric_glioma_n']} | "
        f"{numeric['numeric_glioma_sensitivity']:.2f} | - | - | - |"
    )
    for level in ("slices", "patients"):
        for key, name in reversed(outlines.items()):
            group = metrics[level][key]
            low, high = group["accuracy_interval"]
            kind = min(group["sensitivity"], key=lambda k: group["sensitivity"][k])
            rows.append(
                f"| {level}, {name} | {group['n']} | {group['accuracy']:.2f} "
                f"({low:.2f}-{high:.2f}) | {kind} {group['sensitivity'][kind]:.2f} | "
                f"{group['ece']:.3f} | {group['accuracy_at_10_percent_refusals']:.2f} |"
            )
    return "\n".join(rows)


def _product(metrics: dict[str, Any]) -> str:
    """The type from the outlines of the product's segmenter, on folds that neither has seen."""
    study = metrics["segmenter"]
    expert, product = study["slices"]["expert"], study["slices"]["segmenter"]
    low, high = product["accuracy_interval"]
    folds = ", ".join(str(fold) for fold in study["folds"])
    return (
        f"With the outlines that `tumor_core` draws itself (fold {folds}, unseen by both models, "
        f"{product['n']} slices of {product['patients']} "
        f"patients): {product['accuracy']:.3f} ({low:.2f}-{high:.2f}), with the experts' "
        f"{expert['accuracy']:.3f}; gliomas of the numeric cohort "
        f"{product['numeric_glioma_sensitivity']:.2f} and "
        f"{expert['numeric_glioma_sensitivity']:.2f} of {product['numeric_glioma_n']} slices."
    )


def _heat(result: dict[str, Any]) -> str:
    found = result["faithfulness"]["gradcam++"]
    lost = result["patients_without_outline"]
    numbers = ", ".join(str(fold) for fold in result["folds"])
    folds = "all folds" if len(result["folds"]) == 5 else f"fold {numbers}"
    tested = round(found["measurable"] * found["patients"])
    return (
        f"Heat (Grad-CAM++, one slice of each of {found['patients'] + lost} patients of "
        f"{folds}, outlined by `tumor_core`): {lost} got no outline and so no heat; of the others "
        f"the hottest point lies in the tumour or within 5 mm of it in "
        f"{found['pointing_game']:.0%}, and {found['near_share']:.0%} of the heat. In {tested} of "
        f"{found['patients']} blurring the slice moves the answer enough to measure; of these, "
        f"deleting and inserting by heat "
        f"beats random maps in {found['beats_random']:.0%}, a blob in the middle of the head in "
        f"{found['beats_blob']:.0%} (pituitary tumours, which lie under the blob: "
        f"{found['beats_blob_by_type']['pituitary']:.0%}); the blob is ahead by more than 0.05 in "
        f"{found['blob_ahead']:.0%}."
    )


def _serving(result: dict[str, Any]) -> str:
    ours, environment = result["ours"], result["environment"]
    peer = result["peer"]["files_to_labelmap_s"]["median"]
    return (
        f"Serving a 240 x 240 x 155 case of four sequences on {environment['cores']} cores "
        f"({environment['cpu']}), files on disk to labelmap received over HTTP: "
        f"{ours['request_to_labelmap_s']['median']:.1f} s, {result['times_faster']:.0f} times "
        f"faster than {result['peer']['what']} in the same run ({peer:.0f} s). `/info/` meanwhile: "
        f"p95 {1000 * ours['info_during_infer_s']['p95']:.0f} ms. Ready after "
        f"{ours['ready_s']:.0f} s; {ours['idle_memory_gb']:.1f} GB idle."
    )


def _refinement(result: dict[str, Any]) -> str:
    methods = result["groups"]["cubes: all"]
    ours = methods["ours"]
    low, high = ours["last_gain_ci95"]
    others = ", ".join(
        f"{name} {entry['gain_after_click'][-1]:+.2f}"
        for name, entry in methods.items()
        if name != "ours"
    )
    gain = ours["gain_after_click"][-1]
    return (
        f"Correcting by clicks: {ours['cases']} proposals for unseen patients, of mean Dice under "
        f"{result['start_below']:.2f}, gain {gain:+.2f} ({low:.2f}-{high:.2f}) after "
        f"{result['clicks']} simulated clicks; with the same image and probabilities: {others}. "
        f"One click takes {ours['click_s']['median']:.2f} s (p95 {ours['click_s']['p95']:.2f} s)."
    )


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def updated(text: str, name: str, block: str) -> str:
    """Text with the block between the marks of a name replaced.

    Raises:
        ValueError: If the text has no such marks, so that nothing is left behind in silence.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"the text has no marks {begin} and {end}")
    return pattern.sub(lambda _: f"{begin}\n{block}\n{end}", text)


def with_blocks(text: str, named: dict[str, str]) -> str:
    """Text with every block replaced."""
    for name, block in named.items():
        text = updated(text, name, block)
    return text


if __name__ == "__main__":
    for name, named in blocks().items():
        path = ROOT / name
        path.write_text(with_blocks(path.read_text(encoding="utf-8"), named), encoding="utf-8")
    (ROOT / "docs/cli.md").write_text(commands.page(), encoding="utf-8")
