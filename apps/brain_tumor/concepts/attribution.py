"""Which words carry a score: exact, by leaving each word out.

A word's weight is the score with the whole phrase less the score without the word; nothing is
approximated. The deletion test asks whether the words named first matter more than others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from brain_tumor.concepts.alignment import SharedSpace
from brain_tumor.concepts.encoders import TextTower
from brain_tumor.concepts.prompts import MergingPrompt, merge, similarities
from brain_tumor.concepts.text_map import TextProjection
from brain_tumor.concepts.vocabulary import words_of

DELETED_WORDS = 3
RANDOM_DRAWS = 20


@dataclass(frozen=True)
class Word:
    """One word of the vocabulary.

    Attributes:
        symptom: Row of its symptom.
        position: Its place in the phrase.
        text: The word.
    """

    symptom: int
    position: int
    text: str


@dataclass(frozen=True, eq=False)
class DeletionTest:
    """Drop of the class logit when words are removed, one entry a slice.

    Attributes:
        top: Drop without the words that weigh most, (N,).
        random: Mean drop over random choices of as many words, (N,).
    """

    top: npt.NDArray[np.float64]
    random: npt.NDArray[np.float64]

    @property
    def passed(self) -> float:
        """Share of slices where the named words matter more than random ones."""
        return float((self.top > self.random).mean())


def list_words(texts: Sequence[str]) -> tuple[Word, ...]:
    """Every word of every phrase, in order."""
    return tuple(
        Word(row, position, word)
        for row, text in enumerate(texts)
        for position, word in enumerate(words_of(text))
    )


def without(text: str, positions: frozenset[int]) -> str:
    """A phrase without some of its words.

    Example:
        >>> without("bright ring around it", frozenset({1}))
        'bright around it'
    """
    return " ".join(w for place, w in enumerate(words_of(text)) if place not in positions)


@torch.no_grad()
def leave_one_out(
    texts: Sequence[str], tower: TextTower, space: TextProjection, context: torch.Tensor | None
) -> torch.Tensor:
    """Features of every phrase without each of its words, in the order of `list_words`."""
    shorter = [without(texts[w.symptom], frozenset({w.position})) for w in list_words(texts)]
    return space.project_texts(tower.encode(shorter, context))


@torch.no_grad()
def word_weights_of_symptoms(
    images: torch.Tensor, texts: torch.Tensor, shorter: torch.Tensor, owners: Sequence[int]
) -> torch.Tensor:
    """Share of every word in the similarity of its symptom, (N, words).

    Args:
        images: (N, width).
        texts: Features of the symptoms, (symptoms, width).
        shorter: Features without each word, (words, width).
        owners: Symptom of each word.
    """
    whole = similarities(images, texts)[:, list(owners)]
    return whole - similarities(images, shorter)


@torch.no_grad()
def word_weights_of_class(
    images: torch.Tensor,
    texts: torch.Tensor,
    shorter: torch.Tensor,
    owners: Sequence[int],
    rows: Sequence[int],
    prompt: MergingPrompt,
    kind: int,
) -> torch.Tensor:
    """Share of every word of a class in the cosine of that class, (N, words of the class).

    Args:
        images: (N, width).
        texts: Features of all symptoms, (symptoms, width).
        shorter: Features without each word, (words, width).
        owners: Symptom of each word.
        rows: Rows of the class's symptoms.
        prompt: Merging prompt.
        kind: Class.
    """
    own = texts[list(rows)]
    merged = [prompt(kind, own)]
    for word, owner in enumerate(owners):
        if owner in rows:
            changed = own.clone()
            changed[list(rows).index(owner)] = shorter[word]
            merged.append(prompt(kind, changed))
    near = similarities(images, torch.stack(merged))
    return near[:, :1] - near[:, 1:]


@torch.no_grad()
def deletion_test(
    images: torch.Tensor,
    vocabulary_texts: Sequence[str],
    rows: Sequence[Sequence[int]],
    prompt: MergingPrompt,
    tower: TextTower,
    space: SharedSpace,
    context: torch.Tensor | None,
    *,
    seed: int = 3,
) -> DeletionTest:
    """Remove the `DELETED_WORDS` weightiest words of the predicted class together, or random ones.

    The words are removed jointly and the phrases encoded anew, so the test is not the definition
    of the weights.

    Args:
        images: Image features in the shared space, (N, width).
        vocabulary_texts: All symptoms.
        rows: Rows of each class.
        prompt: Merging prompt.
        tower: Text tower.
        space: Space.
        context: Context tokens, if any.
        seed: Of the random choices.
    """
    rng = np.random.default_rng(seed)
    texts = space.project_texts(tower.encode(vocabulary_texts, context))
    words = list_words(vocabulary_texts)
    shorter = leave_one_out(vocabulary_texts, tower, space, context)
    owners = [word.symptom for word in words]
    predicted = similarities(images, merge(texts, rows, prompt)).argmax(dim=1)
    top, random = np.zeros(len(images)), np.zeros(len(images))
    for kind, chosen in enumerate(rows):
        inside = torch.nonzero(predicted == kind)[:, 0]
        if not len(inside):
            continue
        shown = images[inside]
        weights = word_weights_of_class(shown, texts, shorter, owners, chosen, prompt, kind)
        own = [word for word in words if word.symptom in chosen]
        best = np.sort(weights.topk(DELETED_WORDS, dim=1).indices.numpy(), axis=1)
        draws = [
            np.sort(rng.choice(len(own), DELETED_WORDS, replace=False)) for _ in range(RANDOM_DRAWS)
        ]
        sets, where = np.unique(best, axis=0, return_inverse=True)
        merged = []
        for removed in (*sets, *draws):
            gone: dict[int, set[int]] = {}
            for place in removed:
                gone.setdefault(own[place].symptom, set()).add(own[place].position)
            cut = [without(vocabulary_texts[r], frozenset(gone.get(r, set()))) for r in chosen]
            merged.append(prompt(kind, space.project_texts(tower.encode(cut, context))))
        full = similarities(shown, prompt(kind, texts[list(chosen)])[None])
        drops = (full - similarities(shown, torch.stack(merged))).numpy()
        top[inside] = drops[np.arange(len(shown)), where.ravel()]
        random[inside] = drops[:, len(sets) :].mean(axis=1)
    return DeletionTest(top, random)
