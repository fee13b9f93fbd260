"""The model card of the sub-region bundle, generated from its metadata and metrics.

    python -m brain_tumor.segmentation.cards.subregions BUNDLE [--log RUN/log.jsonl]

writes `docs/README.md` from `configs/metadata.json` and `metrics.json` (see
`segmentation.evaluation`); the log of a training is kept as `docs/history.jsonl` and drawn as
`docs/learning_curve.png`. A run that continues a bundle without a history has but its own steps:
the bundle's picture may be kept as `docs/learning_curve_earlier.png`.
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
from brain_tumor.model_cards.rendering import markdown_table
from brain_tumor.segmentation.cards.tables import (
    calibration_section,
    collection_section,
    failure_section,
    patient_section,
    weak_table,
)
from brain_tumor.segmentation.evaluation.rows import CUBE_COLLECTION, WHOLE_COLLECTION
from brain_tumor.segmentation.learning_curve import HISTORY, draw_learning_curve

METRICS = Path("metrics.json")
CARD = Path("docs/README.md")
CURVE = Path("docs/learning_curve.png")
EARLIER_CURVE = Path("docs/learning_curve_earlier.png")


def render_card(
    metadata: Mapping[str, Any],
    metrics: Mapping[str, Any],
    *,
    weights_sha256: str,
    curves: Sequence[str] = (),
) -> str:
    """Model card in Markdown; every number comes from the two files.

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
        return _render(metadata, metrics, weights_sha256, curves)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise FileFormatError(f"metadata or metrics lack what a card needs: {error!r}") from error


def _render(
    metadata: Mapping[str, Any], metrics: Mapping[str, Any], sha256: str, curves: Sequence[str]
) -> str:
    definitions = metrics["definitions"]
    lesions = definitions["lesions"]
    bootstrap = definitions["bootstrap"]
    plan = metadata["training"]["plan"]
    curve = "".join(f"\n![Training loss and held-out Dice]({name})\n" for name in curves)
    fold = metrics["fold"]
    return f"""# Brain tumour sub-regions: {metadata["name"]} {metadata["version"]}

{metadata["task"]}. Weights sha256 `{sha256}`.

**Research use. Not a medical device and not for diagnosis.**

## Intended use

{metadata["intended_use"]}

The model outlines the necrotic core, oedema and enhancing tumour of a glioma and gives their
volumes, from whichever of the four sequences there are.

## Data and split

- BraTS 2020 training data (lesion cubes, whole expert masks) and whole BraTS cases. Free for
  research after registration, citation required (Menze 2015, Bakas 2017, Bakas 2018). BraTS 2013
  cases: CC BY-NC-SA 3.0. Treat the weights as research use only.
- Split by patient into {metrics["folds"]} folds by a hash of the patient's id (patients with an
  expert whole case are spread by hand); a whole case is in the fold of the same patient's cubes.
- {_honesty(metadata, metrics, sha256)} Training logs their Dice, but the weights
  are those of the last step, not of the best.
- {_measured(metrics)}

## Input

{_input(metadata)}

Skull-stripped brains or heads, any voxel size and orientation: the preprocessing crops, resamples
and normalises. A missing sequence is a channel of zeros.

## Output

{_output(metadata)}

Regions nest: ET = enhancing tumour, TC = ET + necrotic core, WT = TC + oedema. Clean-up on whole
cases: {_clean_up(metadata)}. {_chosen_rule(metadata)}

## Scores

Means over patients with the 95 % interval of a bootstrap over patients
({bootstrap["resamples"]} resamples, seed {bootstrap["seed"]}). Weak groups come first. A case
without an answer counts with the worst scores and under "failures". If both masks are empty Dice
is 1 and HD95 0; if one is, Dice is 0 and HD95 the diagonal of the image. A dash is undefined.

{collection_section(metrics, WHOLE_COLLECTION)}

{collection_section(metrics, CUBE_COLLECTION)}

{patient_section(metrics)}

### Labels made by algorithms

{metrics["weak_cases"]["note"]}

{weak_table(metrics["weak_cases"]["rows"])}

### Definitions

- HD95: {definitions["hd95_mm"]}. Surface Dice at {definitions["surface_tolerance_mm"]:g} mm.
- Lesions: {lesions["connectivity"]}-connected after a dilation of
  {lesions["merge_distance_mm"]:g} mm; reference lesions up to {lesions["min_lesion_ml"]:g} mL do
  not count; false lesions count from {lesions["min_false_ml"]:g} mL.
- Volume error: absolute difference; share: signed difference over the reference.
- Every case, subset and region: `metrics.csv`; every interval: `metrics.json`.

## Calibration

{calibration_section(metrics)}

## Known failures

{failure_section(metrics)}
- Without t1c, enhancing tumour and necrotic core cannot be told reliably; see the tables by
  sequences.
- Few healthy brains and heads with skull were in the data: expect false pieces there.
- Adult gliomas before treatment only: no metastases, meningiomas, lymphomas, abscesses,
  post-operative cavities or children.

## Hardware and time

Trained on a CPU: {plan["steps"]} steps, {plan["threads"]} thread(s), seed {plan["seed"]}, network
channels {_join(plan["channels"])}. Runs on a CPU; bfloat16 where the CPU has it.
{_speed(metrics)}{curve}
## Reproduce

{_notes(metadata)}
```
{_commands(metadata, fold)}
```

## References

- Menze 2015, The Multimodal Brain Tumor Image Segmentation Benchmark, doi:10.1109/TMI.2014.2377694
- Bakas 2017, Advancing The Cancer Genome Atlas glioma MRI collections, doi:10.1038/sdata.2017.117
- Bakas 2018, Identifying the best machine learning algorithms, arXiv:1811.02629
- Kerfoot 2019, Left-ventricle quantification using residual U-Net, doi:10.1007/978-3-030-12029-0_40
- Nikolov 2021, surface Dice, doi:10.2196/26151
"""


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
        return "Time is measured apart from accuracy, in `benchmarks/`.\n"
    return "\n".join(f"- {name}: {value}" for name, value in found.items()) + "\n"


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


def _commands(metadata: Mapping[str, Any], fold: int) -> str:
    name, plan = metadata["name"], metadata["training"]["plan"]
    left_out = "all" if plan["fold"] is None else plan["fold"]
    earlier = " --continue-from EARLIER" if plan.get("continued_from") else ""
    return (
        f"tumorlens train {name} --data DIR --output RUN --fold {left_out} "
        f"--steps {plan['steps']} --threads {plan['threads']}{earlier}\n"
        f"python -m brain_tumor.segmentation.training.subregions.enhancing_rule --data DIR "
        f"--bundle models/{name}\n"
        f"python -m brain_tumor.segmentation.training.subregions.oedema_rule --data DIR "
        f"--bundle models/{name}\n"
        f"tumorlens evaluate {name} --data DIR --output models/{name}/metrics.json --fold {fold}\n"
        f"python -m brain_tumor.segmentation.cards.subregions models/{name} --log RUN/log.jsonl"
    )


def _join(values: Sequence[Any]) -> str:
    return ", ".join(str(value) for value in values)


def write_card(bundle: Path) -> Path:
    """Write `docs/README.md` of a bundle.

    Args:
        bundle: Folder with metadata, weights and `metrics.json`.

    Returns:
        Path of the card.

    Raises:
        NotFoundError: If there is no `metrics.json`.
        FileFormatError: If a file is damaged.
        ModelError: If the bundle is damaged or the scores are of patients of its training.
    """
    path = bundle / CARD
    text = card_of(bundle)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def card_of(bundle: Path) -> str:
    """The card that a bundle should have; raises as `write_card`."""
    read = read_bundle(bundle)
    if not (bundle / METRICS).is_file():
        raise NotFoundError(
            f"bundle '{bundle.name}' has no {METRICS}", remedy="Run tumorlens evaluate first."
        )
    try:
        metrics = json.loads((bundle / METRICS).read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileFormatError(f"{METRICS} cannot be read: {error}") from error
    return render_card(
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
    chosen = parser.parse_args(argv)
    if chosen.log:
        draw_learning_curve(chosen.log, chosen.bundle / CURVE)
        if chosen.log.resolve() != (chosen.bundle / HISTORY).resolve():
            shutil.copyfile(chosen.log, chosen.bundle / HISTORY)
    write_card(chosen.bundle)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
