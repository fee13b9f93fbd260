"""A text tower of a few lines, and a run of the classifier with made-up embeddings."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from brain_tumor.classification.predictions import Predictions, Reading
from brain_tumor.concepts.vocabulary import words_of

NAMES = (
    "area_mm2",
    "compactness",
    "necrosis_fraction",
    "margin_contrast",
    "contralateral_ratio",
    "darkest_tenth",
    "surface_distance_mm",
    "sella_distance_mm",
    "lateral_offset",
    "surrounding_brain_share",
    "surrounding_dark_share",
    "irregularity",
)
CENTRES = {
    "glioma": (3, -2, 3, -3, -3, -3, 0, 0, 3, 3, -2, 2),
    "meningioma": (0, 2, -2, 2, 3, 3, -3, 3, 1, 0, 0, -3),
    "pituitary": (-3, 0, 0, 2, 0, 0, 3, -3, -3, -3, 3, 0),
}
EMBEDDING = 10


class AToyTower:
    """A phrase is the mean of fixed random vectors of its words and of the context tokens."""

    token_width = 16
    feature_width = 16

    def encode(self, texts: Sequence[str], context: torch.Tensor | None = None) -> torch.Tensor:
        rows = []
        for text in texts:
            words = [self.word(w) for w in words_of(text)] or [torch.zeros(self.token_width)]
            tokens = torch.stack(words)
            if context is not None:
                tokens = torch.cat([context, tokens])
            rows.append(tokens.mean(dim=0))
        return torch.stack(rows)

    def word(self, word: str) -> torch.Tensor:
        rng = np.random.default_rng(zlib.crc32(word.encode()))
        return torch.from_numpy(rng.standard_normal(self.token_width).astype(np.float32))


def a_reading(truth: np.ndarray, rng: np.random.Generator, mixing: np.ndarray) -> Reading:
    """Features around the centre of each class; the embedding is a noisy map of them."""
    centres = np.array(list(CENTRES.values()), dtype=np.float32)
    features = centres[truth] + rng.normal(0, 1, (len(truth), len(NAMES)))
    embedding = features @ mixing + rng.normal(0, 0.5, (len(truth), EMBEDDING))
    logits = np.eye(3)[truth] * 2 + rng.normal(0, 1, (len(truth), 3))
    f32 = np.float32
    return Reading(
        logits.astype(f32),
        logits.astype(f32),
        logits.astype(f32),
        embedding.astype(f32),
        features.astype(f32),
    )


def some_predictions(patients: Sequence[int], seed: int, slices: int = 3) -> Predictions:
    """Slices of patients; patient n has class n modulo 3."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(0, 1, (len(NAMES), EMBEDDING))
    number = np.repeat(np.array(patients), slices)
    truth = number % 3
    return Predictions(
        expert=a_reading(truth, rng, mixing),
        own=a_reading(truth, rng, mixing),
        dice=np.ones(len(truth), dtype=np.float32),
        truth=truth.astype(np.int64),
        patient=np.array([f"p{n}" for n in number]),
        cohort=np.array(["numeric"] * len(truth)),
        index=np.arange(len(truth)),
    )


def write_run(run: Path, folds: Sequence[int] = (0, 1), *, final: bool = True) -> None:
    """A run folder as `tumorlens train classification` leaves it, without the networks."""
    everyone = range(60)
    for fold in folds:
        folder = run / f"fold{fold}"
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text(json.dumps({"features": list(NAMES)}))
        held = [n for n in everyone if (n // 3) % 5 == fold]
        some_predictions(held, fold).save(folder / "predictions.npz")
        known = [n for n in everyone if n not in held]
        some_predictions(known, fold + 10).save(folder / "known.npz")
    if final:
        folder = run / "final"
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text(json.dumps({"features": list(NAMES), "steps": 5}))
        some_predictions(list(everyone), 7).save(folder / "predictions.npz")
