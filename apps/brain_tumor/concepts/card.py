"""Model card of the symptom reader, generated from its bundle."""

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

METRICS = Path("metrics.json")
CARD = Path("docs/README.md")
ZERO_SHOT = "zero-shot, class names"


def write_card(bundle: Path) -> Path:
    """Write `docs/README.md` of a bundle from its metadata, settings and metrics."""
    path = bundle / CARD
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_card(bundle), encoding="utf-8")
    return path


def render_card(bundle: Path) -> str:
    """The card as Markdown.

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
        return _render(version.version, version.sha256, metadata, settings, metrics)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"card of '{bundle.name}' cannot be written: {error!r}") from error


def _render(
    version: str,
    sha256: str,
    metadata: Mapping[str, Any],
    settings: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> str:
    training = metadata["training"]
    variants = metrics["variants"]
    deletion = metrics["deletion_test"]
    return f"""# Visual symptoms

A second reader of the tumour type whose reasons are words. It compares the embedding of the hybrid
classifier with short descriptions of what is seen; the classes are merged descriptions. Version
{version}, weights sha256 `{sha256}`.

Research use; not a medical device and not for diagnosis.

## Intended use

Words beside the heatmap: which visual symptoms the picture matches, which words carry the match,
and whether a measurement in the same slice agrees. As a second reader it raises the uncertainty
where it disagrees with the classifier.

## Input and output

- Input: embedding of `models/classification` ({settings["image_width"]} numbers) and the measured
  features of the slice. The bundle fits only the classifier of the run that it was exported from.
- Output: for every symptom its score (0-1), whether it is matched, the measured feature that proves
  it, and the weight of each word (exact: the similarity with the word less without it);
  probabilities of the types, calibrated; disagreement with the classifier (1 less the probability
  of the classifier's answer; limit {settings["disagreement_limit"]:.3f}, which
  {100 * MOST_DISAGREED:.0f} % of the held-out patients exceed with outlines that the network draws
  itself); a caption of what was measured.
- No text encoder is needed to serve: the features of all symptoms are in the bundle.

## How it works

Frozen image tower: the hybrid network up to its embedding. Frozen text tower:
{metadata["text_tower"]}. Two linear maps into one space are learnt with a contrastive loss between
slices and captions by rule (measured features in words, never the class; every caption that is
true of a slice is a positive; symptoms count as captions). Then four context tokens before the
words of every symptom (CoP) and a merging token per class (MeP) are learnt:
s = g + softmax(g W_q (T W_k)^T / sqrt(d)) T, logits cos(f, s) / 0.01. Symptom scores use the words
without CoP, because CoP serves the classes and spoils the meaning of single symptoms (table).
Departures from the paper: the candidates of the symptoms were written from published radiological
criteria, not proposed by a language model; the space is learnt, because no CLIP weights are
shipped; AdamW instead of SGD and fewer, larger steps; the second look at the symptoms is a
measurement in training patients, not a language model's look at sheets of images.

The image tower has been trained on tumour types, so "zero-shot" here means that neither the space
nor the words have seen a type, not that the picture features have not.

## Data and split

T1c slices with expert outlines (Cheng, figshare 1512427, CC BY 4.0,
doi:10.6084/m9.figshare.1512427). Figures: {metrics["slices"]} slices of
{metrics["patients"]} patient groups, folds {", ".join(str(fold) for fold in metrics["folds"])}
of 5; every slice is held out once, from image tower, symptoms, limits, space and prompts alike.
Prompts of a fold train on every third slice of the other patients. The shipped weights:
{training["slices"]} slices of {training["patients"]} patients.

## Accuracy of slices

Expert: with the expert's outline. Own: with the outline that the network draws itself. Glioma of
the numeric cohort apart, because the other cohort holds gliomas only.

| variant | accuracy | macro-F1 | macro-F1, own outline | glioma, numeric cohort |
| --- | --- | --- | --- | --- |
{_variant_rows(variants)}

"Grounded" means that the captions from which the space was learnt hold symptoms too, wherever the
measurements show them; the other variants have met captions only. Grounded {PAPER} is shipped.

Macro-F1 of {PAPER} less that of the baselines, in points (with the grounded space in brackets):
zero-shot with class names {_points(variants, PAPER, ZERO_SHOT)}
({_points(variants, READER, ZERO_SHOT)}),
zero-shot with mean-merged symptoms {_points(variants, PAPER, "zero-shot, mean")}
({_points(variants, READER, "grounded mean")}),
with max merging {_points(variants, PAPER, "zero-shot, max")},
mean merging with trained context {_points(variants, PAPER, "CoP + mean")}.

| {READER} | accuracy (95 % CI) | macro-F1 (95 % CI) | ECE |
| --- | --- | --- | --- |
{_reader_rows(metrics)}

### Few patients

Merging prompt only, all slices of so many patients a class, mean of three draws.

| patients a class | accuracy | macro-F1 |
| --- | --- | --- |
{_shot_rows(metrics["few_shot"])}

## As second reader

| | expert outline | own outline |
| --- | --- | --- |
{_second_rows(metrics["second_reader"])}

## Words

Deletion test on {deletion["n"]} held-out slices: removing the three weightiest words of the
predicted class together lowers its cosine by {deletion["drop_top"]:.3f}, three random words by
{deletion["drop_random"]:.3f}; more than random in {100 * deletion["passed"]:.1f} % of the slices.

Symptoms, with the AUC of the measured feature for the class among training patients, and how well
the picture alone tells on held-out slices whether the measurement shows the symptom.

| class | symptom | measured feature | folds | feature AUC | picture AUC | with CoP | agreement |
| --- | --- | --- | --- | --- | --- | --- | --- |
{_symptom_rows(metrics["symptoms"])}

## Speed

One slice from embedding to class logits: {metrics["head_ms"]:.2f} ms on one thread. That leaves out
the image network, whose embedding comes with the classifier, the measured features, and the
symptoms and word weights of a reading.

## Limitations

- The reader shares its image features with the classifier: it is a second opinion on the same
  view, not an independent one.
- Zero-shot and mean merging are strong here because the image features have been trained on the
  types; learned prompts add little once the space has met the symptoms.
- With a merging prompt the words hardly matter for the accuracy: prompts trained on symptoms of
  another domain come near (see the table). The words are checked one by one by their measurements;
  the class decision is not proof of them.
- Oedema, side and lobe are not in the symptoms: single T1c slices do not tell them.
- Broad dural base and dural tail, textbook signs, were not kept: the measurements did not tell the
  class among these patients (see `symptoms.json`).
- Metastases, lymphomas and other tumours are unknown.

## New class by words

Write two to six symptoms as a JSON list, each with the feature that proves it and `high` or `low`,
and a table (CSV, columns `case` and `class`) of a few labelled patients of every class:

```
tumorlens concepts add-class NAME --symptoms FILE.json --cases FILE.csv --output DIR
```

`DIR` is a new bundle; a server uses it as `concepts` in its models folder. The words are encoded
by the text tower (`pip install 'tumorlens[text]'`); where it is not installed, `--words FILE.npz`
takes what `tumorlens concepts encode-words NAME --symptoms FILE.json --output FILE.npz` wrote
elsewhere.
Known classes keep their weights; only the merging token of the new class learns. The hybrid
classifier does not know the class: where the reader names it, replies say so in a warning, and the
case counts as one that the readers disagree on.

## Reproduce

```
tumorlens train classification --data DIR --output RUN --fold all
tumorlens train concepts --data DIR --output RUN --fold all
tumorlens evaluate concepts --data DIR --runs RUN --output FILE.json
```

## References

ViP (MICCAI 2024), arXiv:2409.00341 (prompts). Cho, Park, Jeong (captions by rule, consistency).
Wang 2020, arXiv:2002.10957 (MiniLM). Cheng 2015, doi:10.1371/journal.pone.0140381 (slices).
"""


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
