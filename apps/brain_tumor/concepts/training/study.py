"""All variants of one fold: trained on its known patients, read on its held-out ones."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from brain_tumor.cases.files.durable import write_durably
from brain_tumor.concepts.attribution import deletion_test
from brain_tumor.concepts.captions import truths
from brain_tumor.concepts.consistency import (
    Consistency,
    ConsistencyPlan,
    caption_features,
    train_heads,
)
from brain_tumor.concepts.encoders import TextTower, default_text_tower
from brain_tumor.concepts.grounding import Grounding
from brain_tumor.concepts.head import SymptomScale
from brain_tumor.concepts.prompts import TEMPERATURE, Merging, similarities
from brain_tumor.concepts.training.embeddings import (
    EXPERT,
    HELD_OUT,
    KNOWN,
    PLAN,
    EmbeddedSlices,
    not_in_run,
    part_folder,
    read_part,
)
from brain_tumor.concepts.training.fit import (
    Foundation,
    PromptPlan,
    Prompts,
    build_foundation,
    class_rows,
    encode_symptoms,
    fit_prompts,
    phrase_features,
    predict,
    slice_weights,
)
from brain_tumor.concepts.vocabulary import (
    Control,
    Vocabulary,
    control_vocabulary,
    read_candidates,
)
from brain_tumor.labels import TYPES

logger = logging.getLogger(__name__)

STUDY = "concepts.npz"
NOTES = "concepts.json"
CLASS_NAMES = ("a glioma", "a meningioma", "a pituitary tumour")
"""What zero-shot without symptoms compares a picture with, in the order of `TumorType`."""
PAPER = "CoP + MeP"
READER = "grounded CoP + MeP"
"""What is shipped: with symptoms in the captions that the space is learnt from."""
Logits = npt.NDArray[np.float32]
SHOTS = (1, 5, 20)
SHOT_DRAWS = 3
MERGING_PLAN = PromptPlan(steps=150, learning_rate=3e-3)
CONTEXT_PLAN = PromptPlan(steps=40, learning_rate=6e-3)
"""With context every step runs the text tower, so there are fewer and larger ones."""


@dataclass(frozen=True, eq=False)
class FoldStudy:
    """Held-out logits of all variants of a fold.

    Attributes:
        logits: Variant to logits with each outline, (N, V, classes).
        fused: The hybrid's logits, (N, V, 3).
        truth: (N,).
        patient: (N,).
        cohort: (N,).
        index: Number of each slice in the collection, (N,).
        fold: Fold of each slice, (N,).
        notes: Deletion test, symptoms and times.
    """

    logits: Mapping[str, npt.NDArray[np.float32]]
    fused: npt.NDArray[np.float32]
    truth: npt.NDArray[np.int64]
    patient: npt.NDArray[np.str_]
    cohort: npt.NDArray[np.str_]
    index: npt.NDArray[np.int64]
    fold: npt.NDArray[np.int64]
    notes: Mapping[str, Any]


def study_fold(run: Path, fold: int, tower: TextTower | None = None) -> FoldStudy:
    """Train and read every variant of a fold; kept in the run folder and not repeated.

    What is kept is used as long as it was made from the same slices and candidates.

    Args:
        run: Run folder of the classifier.
        fold: Fold with a finished network.
        tower: Frozen text tower; the installed one if None. Not needed for a study that is kept.

    Raises:
        NotFoundError: If the fold has not been trained.
        ModelError: If the study is to be made and no text tower is installed.
    """
    folder = part_folder(run, fold)
    inputs = study_inputs(folder)
    if _kept_inputs(folder) != inputs:
        tower = tower or default_text_tower()
        part = read_part(run, fold)
        held_out = part.held_out
        if held_out is None:
            raise ValueError("only folds have held-out patients")
        logits = study_prompts(part.names, part.known, held_out, tower)
        more, notes = study_reader(part.names, part.known, held_out, tower)
        logits |= more
        arrays = io.BytesIO()
        np.savez_compressed(
            arrays,
            names=np.array(list(logits)),
            logits=np.stack(list(logits.values())),
            fused=held_out.fused,
            truth=held_out.truth,
            patient=held_out.patient,
            cohort=held_out.cohort,
            index=held_out.index,
        )
        # The notes go first and come back last: a study is whole when they name its inputs.
        (folder / NOTES).unlink(missing_ok=True)
        write_durably(folder / STUDY, arrays.getvalue())
        text = json.dumps({"inputs": inputs, **notes}, indent=1) + "\n"
        write_durably(folder / NOTES, text.encode())
    with np.load(folder / STUDY) as stored:
        names = [str(name) for name in stored["names"]]
        return FoldStudy(
            dict(zip(names, stored["logits"], strict=True)),
            fused=stored["fused"],
            truth=stored["truth"],
            patient=stored["patient"],
            cohort=stored["cohort"],
            index=stored["index"],
            fold=np.full(len(stored["truth"]), fold),
            notes=json.loads((folder / NOTES).read_text(encoding="utf-8")),
        )


def study_inputs(folder: Path) -> dict[str, str]:
    """Checksums of what a study is made from: slices, names of features, candidates.

    Args:
        folder: Of a fold.

    Raises:
        NotFoundError: If the fold has not been trained.
    """
    found = {}
    for name in (HELD_OUT, KNOWN, PLAN):
        path = folder / name
        if not path.is_file():
            raise not_in_run(path)
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    candidates = json.dumps(read_candidates().to_json())
    return {**found, "candidates": hashlib.sha256(candidates.encode()).hexdigest()}


def _kept_inputs(folder: Path) -> object:
    """What the study in a folder was made from; None without a whole one."""
    if not (folder / STUDY).is_file():
        return None
    try:
        return json.loads((folder / NOTES).read_text(encoding="utf-8"))["inputs"]
    except (OSError, ValueError, KeyError):
        return None


def study_prompts(
    names: tuple[str, ...], known: EmbeddedSlices, held_out: EmbeddedSlices, tower: TextTower
) -> dict[str, Logits]:
    """Variants of the papers: the space has met captions, but none of the symptoms.

    Args:
        names: Feature ids of the columns.
        known: Slices to train on.
        held_out: Slices to read.
        tower: Frozen text tower.
    """
    base = build_foundation(known, names, read_candidates(), tower, grounded=False)
    bench = _Bench(base, known, held_out, tower)
    logits = {"zero-shot, class names": bench.class_names()}
    for merging in (Merging.MEAN, Merging.MAX):
        logits[f"zero-shot, {merging.value}"] = bench.read(bench.fit(merging))
    logits["MeP"] = bench.read(bench.fit(Merging.PROMPT))
    for control in Control:
        other = control_vocabulary(control, base.vocabulary)
        for title, merging in (("zero-shot, mean", Merging.MEAN), ("MeP", Merging.PROMPT)):
            fitted = bench.fit(merging, other)
            logits[f"{title}: {control.value}"] = bench.read(fitted, other)
    logits["CoP + mean"] = bench.read(bench.fit(Merging.MEAN, cop=True))
    best = bench.fit(Merging.PROMPT, cop=True)
    logits[PAPER] = bench.read(best)
    logits[f"{PAPER}: inverted when read"] = bench.read(_inverted(best, base))
    logits |= _heads(base, known, held_out, bench.images, bench.shown, phrase_features(tower))
    for shots in SHOTS:
        for draw in range(SHOT_DRAWS):
            few = draw_patients(known, shots, draw)
            fitted = bench.fit(Merging.PROMPT, few=few)
            logits[f"MeP, {shots}-shot, draw {draw + 1}"] = bench.read(fitted)
    return logits


def study_reader(
    names: tuple[str, ...], known: EmbeddedSlices, held_out: EmbeddedSlices, tower: TextTower
) -> tuple[dict[str, Logits], dict[str, Any]]:
    """The shipped reader: captions may hold symptoms, so that their scores mean something.

    Args:
        names: Feature ids of the columns.
        known: Slices to train on.
        held_out: Slices to read.
        tower: Frozen text tower.

    Returns:
        Logits, and notes on deletion test, symptoms and times.
    """
    base = build_foundation(known, names, read_candidates(), tower, grounded=True)
    bench = _Bench(base, known, held_out, tower)
    logits = {
        "grounded mean": bench.read(bench.fit(Merging.MEAN)),
        "grounded mean: inverted": bench.read(
            bench.fit(Merging.MEAN, base.vocabulary.inverted()), base.vocabulary.inverted()
        ),
        "grounded MeP": bench.read(bench.fit(Merging.PROMPT)),
    }
    best = bench.fit(Merging.PROMPT, cop=True)
    logits[READER] = bench.read(best)
    logits[f"{READER}: inverted when read"] = bench.read(_inverted(best, base))
    return logits, _notes(base, best, held_out, known, bench.images, bench.shown, tower)


class _Bench:
    """Slices in the shared space of a foundation, to train and read variants on."""

    def __init__(
        self, base: Foundation, known: EmbeddedSlices, held_out: EmbeddedSlices, tower: TextTower
    ) -> None:
        self.base, self.known, self.tower = base, known, tower
        project = base.space.project_images
        self.images = project(torch.from_numpy(known.embedding))
        self.shown = project(torch.from_numpy(held_out.embedding))
        self.truth = torch.from_numpy(known.truth)

    def fit(
        self,
        merging: Merging,
        vocabulary: Vocabulary | None = None,
        *,
        cop: bool = False,
        few: npt.NDArray[np.int64] | None = None,
    ) -> Prompts:
        """Prompts on all known slices, or on a few."""
        rows = np.arange(len(self.known)) if few is None else few
        return fit_prompts(
            self.images[rows],
            self.truth[rows],
            slice_weights(self.known.subset(rows)),
            vocabulary or self.base.vocabulary,
            self.tower,
            self.base.space,
            merging=merging,
            with_context=cop,
            plan=CONTEXT_PLAN if cop else MERGING_PLAN,
        )

    def read(self, prompts: Prompts, vocabulary: Vocabulary | None = None) -> Logits:
        """Logits of the held-out slices, (N, V, classes)."""
        words = vocabulary or self.base.vocabulary
        outlines = range(self.shown.shape[1])
        return np.stack([predict(self.shown[:, v], prompts, words).numpy() for v in outlines], 1)

    def class_names(self) -> Logits:
        """Zero-shot logits by the names of the classes."""
        with torch.no_grad():
            names = self.base.space.project_texts(self.tower.encode(CLASS_NAMES))
            outlines = range(self.shown.shape[1])
            near = [similarities(self.shown[:, v], names).numpy() for v in outlines]
        logits: Logits = np.stack(near, axis=1) / np.float32(TEMPERATURE)
        return logits


def draw_patients(known: EmbeddedSlices, shots: int, seed: int) -> npt.NDArray[np.int64]:
    """Rows of all slices of a few patients of each class.

    Args:
        known: Training slices.
        shots: Patients of each class.
        seed: Of the choice.
    """
    rng = np.random.default_rng((seed, shots))
    chosen: list[str] = []
    for kind in range(len(TYPES)):
        patients = np.unique(known.patient[known.truth == kind])
        chosen += [str(p) for p in rng.choice(patients, min(shots, len(patients)), replace=False)]
    return np.flatnonzero(np.isin(known.patient, chosen))


def fit_scales(
    near: npt.NDArray[np.float32],
    features: npt.NDArray[np.float32],
    names: Sequence[str],
    groundings: Sequence[Grounding],
) -> tuple[SymptomScale, ...]:
    """Logistic scale from similarity to measured presence, one a symptom.

    Args:
        near: Similarities, (N, symptoms).
        features: Measured features of the same slices, (N, F).
        names: Feature ids of the columns.
        groundings: Limits of the symptoms.
    """
    scales = []
    for row, grounding in enumerate(groundings):
        present = grounding.presence(features[:, list(names).index(grounding.feature)])
        ok = np.isfinite(present)
        model = LogisticRegression(C=100.0).fit(near[ok, row : row + 1], present[ok])
        scales.append(SymptomScale(float(model.coef_[0, 0]), float(model.intercept_[0])))
    return tuple(scales)


def _inverted(prompts: Prompts, base: Foundation) -> Prompts:
    """Learned tokens as they are, but every class is described by the next one's symptoms.

    Classes may differ in their numbers of symptoms; rows are filled in turn.
    """
    rows = class_rows(base.vocabulary)
    texts = prompts.texts.clone()
    for kind, chosen in enumerate(rows):
        others = rows[(kind + 1) % len(rows)]
        for place, row in enumerate(chosen):
            texts[row] = prompts.texts[others[place % len(others)]]
    return Prompts(prompts.merging, texts, prompts.context, prompts.prompt)


def _heads(
    base: Foundation,
    known: EmbeddedSlices,
    held_out: EmbeddedSlices,
    images: torch.Tensor,
    shown: torch.Tensor,
    phrases: torch.Tensor,
) -> dict[str, npt.NDArray[np.float32]]:
    """Image head, text head and their mean for each way to tie them."""
    said, asked = (
        torch.stack(
            [
                torch.from_numpy(truths(base.rules.grades(part.features[:, v], base.names)))
                for v in range(part.features.shape[1])
            ],
            dim=1,
        )
        for part in (known, held_out)
    )
    with torch.no_grad():
        projected = base.space.project_texts(phrases)
    found = {}
    truth, weights = torch.from_numpy(known.truth), slice_weights(known)
    for variant in Consistency:
        heads = train_heads(images, said, projected, truth, weights, variant, ConsistencyPlan())
        by_outline = [
            heads(shown[:, v], caption_features(asked[:, v], projected))
            for v in range(shown.shape[1])
        ]
        image, text = (np.stack([x[i].numpy() for x in by_outline], axis=1) for i in (0, 1))
        found[f"image head, consistency {variant.value}"] = image
        found[f"text head, consistency {variant.value}"] = text
        found[f"both heads, consistency {variant.value}"] = (image + text) / 2
    return found


def _notes(
    base: Foundation,
    best: Prompts,
    held_out: EmbeddedSlices,
    known: EmbeddedSlices,
    images: torch.Tensor,
    shown: torch.Tensor,
    tower: TextTower,
) -> dict[str, Any]:
    """Deletion test, how well the picture tells each symptom, and the time of reading."""
    if best.prompt is None:
        raise ValueError("the reader merges by prompt")
    test = deletion_test(
        shown[:, EXPERT],
        base.vocabulary.texts,
        class_rows(base.vocabulary),
        best.prompt,
        tower,
        base.space,
        best.context,
    )
    started = time.perf_counter()
    for row in range(50):
        predict(shown[row % len(shown) : row % len(shown) + 1, EXPERT], best, base.vocabulary)
    seconds = (time.perf_counter() - started) / 50
    with torch.no_grad():
        plain = encode_symptoms(base.vocabulary.texts, tower, base.space, None)
    return {
        "deletion": {"passed": float(np.sum(test.top > test.random)), "n": len(test.top)},
        "deletion_drop": {"top": float(test.top.mean()), "random": float(test.random.mean())},
        "symptoms": _symptom_table(base, known, held_out, images, shown, plain, best.texts),
        "head_ms": 1000 * seconds,
    }


def _symptom_table(
    base: Foundation,
    known: EmbeddedSlices,
    held_out: EmbeddedSlices,
    images: torch.Tensor,
    shown: torch.Tensor,
    plain: torch.Tensor,
    with_context: torch.Tensor,
) -> list[dict[str, Any]]:
    near_known = similarities(images[:, EXPERT], plain).numpy()
    near = similarities(shown[:, EXPERT], plain).numpy()
    near_context = similarities(shown[:, EXPERT], with_context).numpy()
    scales = fit_scales(near_known, known.features[:, EXPERT], base.names, base.groundings)
    table = []
    for row, (symptom, grounding) in enumerate(
        zip(base.vocabulary.symptoms, base.groundings, strict=True)
    ):
        column = base.names.index(grounding.feature)
        present = grounding.presence(held_out.features[:, EXPERT, column])
        ok = np.isfinite(present)
        both = 0 < present[ok].sum() < ok.sum()
        score = np.array([scales[row].score(float(s)) for s in near[:, row]])
        table.append(
            {
                "text": symptom.text,
                "kind": symptom.kind,
                **{k: v for k, v in asdict(grounding).items() if k != "direction"},
                "direction": grounding.direction.value,
                "n": int(ok.sum()),
                "picture_auc": float(roc_auc_score(present[ok], near[ok, row])) if both else None,
                "picture_auc_with_context": float(roc_auc_score(present[ok], near_context[ok, row]))
                if both
                else None,
                "agreement": float(((score[ok] >= 0.5) == (present[ok] > 0.5)).mean()),
            }
        )
    return table
