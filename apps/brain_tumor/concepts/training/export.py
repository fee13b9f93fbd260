r"""Bundle of the symptom reader from a run of the classifier.

    tumorlens train concepts --data DIR --output RUN --fold all
    python -m brain_tumor.concepts.training.export --run RUN --output models/concepts

The bundle notes whose embedding it reads. Where only that note is to be renewed, weights as they
are, name the classifier and no run:

    python -m brain_tumor.concepts.training.export --classifier models/classification \
        --output models/concepts

The map of text features, which new classes need, is written with the bundle; for a bundle that
lacks it, `--text-map` makes it again from the same run and leaves the weights as they are.

The image tower is the run's final network, trained on all patients; calibration and the limit of
disagreement come from held-out patients of the folds. Needs the text tower (extra `text`); what is
written does not.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from brain_tumor.bundles import METADATA, read_bundle, write_checksums
from brain_tumor.classification.model.calibration import fit_calibration
from brain_tumor.classification.model.network import embedding_sha256
from brain_tumor.concepts.attribution import leave_one_out, list_words
from brain_tumor.concepts.card import METRICS, write_card
from brain_tumor.concepts.encoders import TextTower, default_text_tower
from brain_tumor.concepts.evaluation import COVERAGE, disagreement_limit, join, rounded, summarise
from brain_tumor.concepts.generator import Verdict, judge
from brain_tumor.concepts.grounding import patient_medians
from brain_tumor.concepts.head import (
    MADE_FOR,
    ConceptHead,
    ConceptSettings,
    read_concepts,
    write_concepts,
)
from brain_tumor.concepts.prompts import Merging, similarities
from brain_tumor.concepts.text_map import write_text_map
from brain_tumor.concepts.training.embeddings import (
    EXPERT,
    OWN,
    RunPart,
    finished_folds,
    part_folder,
    read_part,
)
from brain_tumor.concepts.training.fit import (
    Foundation,
    Prompts,
    build_foundation,
    class_rows,
    encode_symptoms,
    fit_prompts,
    slice_weights,
)
from brain_tumor.concepts.training.study import (
    CONTEXT_PLAN,
    READER,
    FoldStudy,
    fit_scales,
    study_fold,
)
from brain_tumor.concepts.vocabulary import SYMPTOMS_FILE, read_candidates
from brain_tumor.errors import InputError, NotFoundError
from brain_tumor.labels import TYPES

logger = logging.getLogger(__name__)

FIRST_VERSION = "0.1.1"
CLASSIFIER = Path("classification")
"""Bundle of the classifier in a run folder."""


def train_concepts(run: Path, tower: TextTower | None = None, *, fold: int | None = None) -> Path:
    """What `tumorlens train concepts` does: the variants of a fold, or of all and the bundle.

    Args:
        run: Run folder of `tumorlens train classification`; the embeddings are read from it.
        tower: Frozen text tower; the installed one if None.
        fold: Only this fold, or None for all five and the bundle.

    Returns:
        The fold's folder, or the bundle `run/concepts`.

    Raises:
        NotFoundError: If the classifier's part is not finished.
        ModelError: If no text tower is installed.
    """
    if fold is not None:
        study_fold(run, fold, tower)
        return part_folder(run, fold)
    bundle = run / "concepts"
    export(run, bundle, run / CLASSIFIER, tower)
    return bundle


def export(
    run: Path, bundle: Path, classifier: Path, tower: TextTower | None = None
) -> dict[str, Any]:
    """Train the shipped reader on all patients and write its bundle, metrics and card.

    Args:
        run: Run folder with finished folds and the final network.
        bundle: For example `models/concepts`.
        classifier: Bundle of the classifier of the same run, to which the reader is bound.
        tower: Frozen text tower; the installed one if None.

    Returns:
        The figures in the bundle's `metrics.json`.

    Raises:
        NotFoundError: If no fold, no final network or no classifier is finished.
        ModelError: If no text tower is installed, or the classifier is damaged.
    """
    part = read_part(run, None)
    folds = finished_folds(run)
    if len(folds) < 2:
        raise NotFoundError(
            f"the run has {len(folds)} finished folds; expected five, at least two",
            remedy="Run `tumorlens train classification --fold all` first.",
        )
    if not classifier.is_dir():
        raise NotFoundError(
            "the run has no bundle of the classifier, whose embedding the symptoms are bound to",
            remedy="Run `tumorlens train classification --fold all` first, or name the bundle.",
        )
    tower = tower or default_text_tower()
    studies = [study_fold(run, fold, tower) for fold in folds]
    figures: dict[str, Any] = rounded(summarise(studies))
    base = build_foundation(part.known, part.names, read_candidates(), tower, grounded=True)
    prompts = train_reader(part, base, tower)
    head, settings = assemble(part, base, prompts, join(studies), tower)
    write_concepts(head, settings, _metadata(run, part, base, folds), bundle)
    write_text_map(base.space, bundle)
    bind_to_classifier(bundle, classifier)
    (bundle / METRICS).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    write_card(bundle)
    return figures


def renew_text_map(run: Path, bundle: Path, tower: TextTower | None = None) -> None:
    """Write the text map of a bundle that was exported from this run; nothing else changes.

    Args:
        run: Run folder.
        bundle: Bundle of the symptom reader.
        tower: Frozen text tower; the installed one if None.

    Raises:
        InputError: If the bundle is not of this run.
        ModelError: If no text tower is installed, or the bundle is damaged.
    """
    head = read_concepts(bundle).head
    part = read_part(run, None)
    tower = tower or default_text_tower()
    base = build_foundation(part.known, part.names, read_candidates(), tower, grounded=True)
    if not torch.equal(base.space.image.weight, head.image.weight):
        raise InputError(
            f"bundle '{bundle.name}' has another image map than this run leads to",
            remedy="Name the run that the bundle was exported from.",
        )
    write_text_map(base.space, bundle)
    write_checksums(bundle)


def train_reader(part: RunPart, base: Foundation, tower: TextTower) -> Prompts:
    """Both prompts on the known slices of a part."""
    return fit_prompts(
        base.space.project_images(torch.from_numpy(part.known.embedding)),
        torch.from_numpy(part.known.truth),
        slice_weights(part.known),
        base.vocabulary,
        tower,
        base.space,
        merging=Merging.PROMPT,
        with_context=True,
        plan=CONTEXT_PLAN,
    )


def assemble(
    part: RunPart, base: Foundation, prompts: Prompts, held_out: FoldStudy, tower: TextTower
) -> tuple[ConceptHead, ConceptSettings]:
    """Head and settings for serving, the text tower baked in.

    Args:
        part: The final network's slices.
        base: Symptoms and space.
        prompts: Trained tokens.
        held_out: Logits of held-out slices of the folds, for the calibration.
        tower: Frozen text tower.
    """
    if prompts.prompt is None or prompts.context is None:
        raise ValueError("the reader has both prompts")
    texts = base.vocabulary.texts
    with torch.no_grad():
        plain = encode_symptoms(texts, tower, base.space, None)
    head = ConceptHead(
        part.known.embedding.shape[-1],
        plain.shape[1],
        len(texts),
        len(list_words(texts)),
        class_rows(base.vocabulary),
        (prompts.context.shape[0], prompts.context.shape[1]),
    )
    head.prompt.load_state_dict(prompts.prompt.state_dict())
    head.image.load_state_dict(base.space.image.state_dict())
    for name, value in (
        ("image_centre", base.space.image_centre),
        ("image_scale", base.space.image_scale),
        ("texts", prompts.texts),
        ("seen_texts", plain),
        ("shorter_texts", leave_one_out(texts, tower, base.space, None)),
        ("context", prompts.context),
    ):
        getattr(head, name).copy_(value)
    head.eval().requires_grad_(requires_grad=False)
    shown = base.space.project_images(torch.from_numpy(part.known.embedding[:, EXPERT]))
    near = similarities(shown, plain).numpy()
    logits = held_out.logits[READER]
    settings = ConceptSettings(
        vocabulary=base.vocabulary,
        groundings=base.groundings,
        scales=fit_scales(near, part.known.features[:, EXPERT], part.names, base.groundings),
        rules=base.rules,
        calibration=fit_calibration(
            np.concatenate([logits[:, EXPERT], logits[:, OWN]]),
            np.tile(held_out.truth, 2),
            COVERAGE,
            len(np.unique(held_out.patient)),
        ),
        disagreement_limit=disagreement_limit(held_out, OWN),
        image_width=part.known.embedding.shape[-1],
    )
    return head, settings


def write_symptoms(run: Path, path: Path = SYMPTOMS_FILE) -> tuple[Verdict, ...]:
    """Second stage of the vocabulary on all patients, kept for review.

    Args:
        run: Run folder with any finished part.
        path: File of the kept symptoms, and of the reasons why others are not.

    Returns:
        All verdicts.
    """
    part = read_part(run, None if part_folder(run, None).is_dir() else finished_folds(run)[0])
    known = [part.known, *([part.held_out] if part.held_out else [])]
    medians, types = patient_medians(
        np.concatenate([slices.features[:, EXPERT] for slices in known]),
        np.concatenate([slices.patient for slices in known]),
        np.concatenate([slices.truth for slices in known]),
    )
    kinds = np.array([kind.value for kind in TYPES])
    verdicts = judge(read_candidates(), part.names, medians, kinds[types])
    plain: dict[str, Any] = {
        "about": "second stage of candidates.json on the training patients; see generator",
        "patients": {str(kinds[t]): int((types == t).sum()) for t in range(len(kinds))},
        "symptoms": {},
        "rejected": {},
    }
    for verdict in verdicts:
        row = verdict.symptom.to_json()
        if verdict.grounding is not None:
            row["auc"] = round(verdict.grounding.auc, 3)
        if not verdict.kept:
            row["reason"] = verdict.reason
        group = plain["symptoms" if verdict.kept else "rejected"]
        group.setdefault(verdict.symptom.kind, []).append(row)
    path.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    return verdicts


def _metadata(run: Path, part: RunPart, base: Foundation, folds: tuple[int, ...]) -> dict[str, Any]:
    plan = json.loads((part_folder(run, None) / "plan.json").read_text(encoding="utf-8"))
    return {
        "name": "concepts",
        "version": FIRST_VERSION,
        "task": "Visual symptoms and tumour type from the embedding of the hybrid classifier",
        "description": "Image map, symptoms encoded with learned context, merging prompt",
        "authors": "TumorLens",
        "copyright": "Apache-2.0; weights for research use only (terms of the training data)",
        "intended_use": "Research; a second reader whose reasons are words. Not for diagnosis.",
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "python_version": platform.python_version(),
        "image_tower": "embedding of models/classification",
        "text_tower": "all-MiniLM-L6-v2 (Apache-2.0), baked in",
        "training": {
            "slices": len(part.known),
            "patients": len(np.unique(part.known.patient)),
            "held_out_folds": list(folds),
            "classifier": {key: plan[key] for key in ("steps", "seed") if key in plan},
            "data": ["cheng"],
        },
        "network_data_format": {
            "inputs": {
                "embedding": {
                    "type": "feature",
                    "format": "embedding of the hybrid network",
                    "num_channels": part.known.embedding.shape[-1],
                }
            },
            "outputs": {
                "types": {"type": "logits", "channel_def": dict(enumerate(base.vocabulary.kinds))},
                "symptoms": {"type": "similarity", "num_channels": len(base.vocabulary.symptoms)},
            },
        },
    }


def bind_to_classifier(bundle: Path, classifier: Path) -> None:
    """Note in a bundle whose embedding it reads; it is not used with any other.

    Args:
        bundle: Bundle of the symptom reader.
        classifier: Bundle of the classifier that was exported from the same run.

    Raises:
        ModelError: If the classifier's bundle is missing or damaged.
    """
    metadata = json.loads((bundle / METADATA).read_text(encoding="utf-8"))
    metadata[MADE_FOR] = embedding_sha256(read_bundle(classifier))
    (bundle / METADATA).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    write_checksums(bundle)


def main(argv: Sequence[str] | None = None) -> None:
    """Export from the command line."""
    parser = argparse.ArgumentParser(description="Bundle of the symptom reader")
    parser.add_argument("--run", type=Path, metavar="DIR", help="left out: only bind again")
    parser.add_argument("--output", type=Path, default=Path("models/concepts"), metavar="DIR")
    parser.add_argument("--classifier", type=Path, metavar="DIR", help="default: the run's bundle")
    parser.add_argument("--write-symptoms", action="store_true", help="renew symptoms.json")
    parser.add_argument("--text-map", action="store_true", help="only renew the text map")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO)
    run, classifier = arguments.run, arguments.classifier
    if run is None and classifier is None:
        parser.error("name a run, or a classifier to bind the bundle to")
    if run is None:
        bind_to_classifier(arguments.output, classifier)
    elif arguments.text_map:
        renew_text_map(run, arguments.output)
    else:
        if arguments.write_symptoms:
            write_symptoms(run)
        export(run, arguments.output, classifier or run / CLASSIFIER)
    logger.info("wrote %s", arguments.output / METADATA)


if __name__ == "__main__":
    main()
