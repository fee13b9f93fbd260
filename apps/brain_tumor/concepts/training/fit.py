"""Training of symptoms, space and prompts on the patients of a fold's training side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from brain_tumor.concepts.alignment import AlignmentPlan, SharedSpace, align
from brain_tumor.concepts.captions import PHRASES, CaptionRules, fit_caption_rules, truths
from brain_tumor.concepts.encoders import TextTower
from brain_tumor.concepts.generator import judge, kept
from brain_tumor.concepts.grounding import Grounding, patient_medians
from brain_tumor.concepts.prompts import (
    Merging,
    MergingPrompt,
    class_logits,
    new_context,
)
from brain_tumor.concepts.training.embeddings import EXPERT, EmbeddedSlices
from brain_tumor.concepts.vocabulary import Vocabulary
from brain_tumor.labels import TYPES


@dataclass(frozen=True)
class PromptPlan:
    """How prompts are learnt.

    Attributes:
        steps: Optimiser steps.
        batch_size: Slices per step.
        learning_rate: Peak of the cosine schedule.
        warmup: Share of the steps with a rising rate.
        seed: Of tokens and sampling.
    """

    steps: int = 80
    batch_size: int = 512
    learning_rate: float = 5e-3
    warmup: float = 0.05
    seed: int = 2026


@dataclass(frozen=True, eq=False)
class Foundation:
    """What all variants of a fold share: symptoms, captions and the aligned space.

    Attributes:
        vocabulary: Symptoms that the training patients show.
        groundings: Their limits, in the same order.
        rules: Limits of the captions.
        space: Aligned space.
        names: Feature ids of the columns.
    """

    vocabulary: Vocabulary
    groundings: tuple[Grounding, ...]
    rules: CaptionRules
    space: SharedSpace
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Prompts:
    """Learned tokens of one variant and the symptom features that they lead to.

    Attributes:
        merging: How symptoms become a class.
        texts: Symptom features in the shared space, (symptoms, width).
        context: CoP, or None.
        prompt: MeP, or None.
    """

    merging: Merging
    texts: torch.Tensor
    context: torch.Tensor | None
    prompt: MergingPrompt | None


def build_foundation(
    known: EmbeddedSlices,
    names: tuple[str, ...],
    candidates: Vocabulary,
    tower: TextTower,
    plan: AlignmentPlan | None = None,
    *,
    grounded: bool,
) -> Foundation:
    """Second stage of the symptoms, captions and alignment, on training patients.

    If grounded, a symptom is one more phrase that a caption may hold, true of the slices whose
    measurements show it, so that its similarity tells whether it is seen. Otherwise the space has
    never met the symptoms, as CLIP has not met those of the paper.

    Args:
        known: Slices of the training patients.
        names: Feature ids of their columns.
        candidates: Proposed symptoms.
        tower: Frozen text tower.
        plan: Of the alignment; the default if None.
        grounded: Whether captions may hold symptoms.
    """
    kinds = np.array([kind.value for kind in TYPES])
    medians, types = patient_medians(known.features[:, EXPERT], known.patient, known.truth)
    vocabulary, groundings = kept(judge(candidates, names, medians, kinds[types]))
    rules = fit_caption_rules(names, medians)
    values = known.features[:, EXPERT]
    true, phrases = truths(rules.grades(values, names)), PHRASES
    if grounded:
        shown = [g.presence(values[:, names.index(g.feature)]) for g in groundings]
        true = np.concatenate([true, np.nan_to_num(np.stack(shown, axis=1))], axis=1)
        phrases = (*phrases, *vocabulary.texts)
    with torch.no_grad():
        texts = tower.encode(phrases)
    space = align(
        torch.from_numpy(known.embedding),
        torch.from_numpy(true),
        texts,
        plan or AlignmentPlan(),
        slice_weights(known),
    )
    return Foundation(vocabulary, groundings, rules, space, names)


def slice_weights(slices: EmbeddedSlices) -> torch.Tensor:
    """Chance of each slice: classes alike, and within a class patients by the root of their slices.

    Returns:
        Shape (N,), sum 1.
    """
    return balanced_weights(slices.truth, slices.patient)


def balanced_weights(truth: npt.NDArray[np.int64], patient: npt.NDArray[np.str_]) -> torch.Tensor:
    """The same from classes and patients of slices, (N,) each."""
    weights = np.zeros(len(truth))
    _, group, count = np.unique(patient, return_inverse=True, return_counts=True)
    by_patient = 1.0 / np.sqrt(count[group])
    for kind in np.unique(truth):
        inside = truth == kind
        weights[inside] = by_patient[inside] / by_patient[inside].sum()
    return torch.from_numpy(weights / weights.sum())


def class_rows(vocabulary: Vocabulary) -> tuple[tuple[int, ...], ...]:
    """Rows of the symptoms of each class."""
    return tuple(vocabulary.rows(kind) for kind in vocabulary.kinds)


def fit_prompts(
    images: torch.Tensor,
    truth: torch.Tensor,
    weights: torch.Tensor,
    vocabulary: Vocabulary,
    tower: TextTower,
    space: SharedSpace,
    *,
    merging: Merging,
    with_context: bool,
    plan: PromptPlan | None = None,
) -> Prompts:
    """Learn the tokens; encoders and space stay frozen.

    Nothing is learnt for mean or max merging without context: that is zero-shot.

    Args:
        images: Image features in the shared space, (N, V, width).
        truth: Classes, (N,).
        weights: Chance of each slice to be drawn, (N,).
        vocabulary: Symptoms.
        tower: Frozen text tower.
        space: Frozen space.
        merging: How symptoms become a class.
        with_context: Whether context tokens are learnt.
        plan: How; the default if None.
    """
    plan = plan or PromptPlan()
    torch.manual_seed(plan.seed)
    generator = torch.Generator().manual_seed(plan.seed)
    rows = class_rows(vocabulary)
    with torch.no_grad():
        fixed = space.project_texts(tower.encode(vocabulary.texts))
    context = new_context(tower.token_width) if with_context else None
    prompt = MergingPrompt(len(rows), fixed.shape[1]) if merging is Merging.PROMPT else None
    learnt = [*(prompt.parameters() if prompt else ()), *([context] if context is not None else ())]
    if learnt:
        optimiser = torch.optim.AdamW(learnt, lr=plan.learning_rate, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _factor(step, plan))
        for _ in range(plan.steps):
            chosen = torch.multinomial(
                weights, plan.batch_size, replacement=True, generator=generator
            )
            outline = torch.randint(0, images.shape[1], (len(chosen),), generator=generator)
            texts = fixed
            if context is not None:
                texts = encode_symptoms(vocabulary.texts, tower, space, context)
            logits = class_logits(images[chosen, outline], texts, rows, merging, prompt)
            loss = F.cross_entropy(logits, truth[chosen])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    with torch.no_grad():
        texts = encode_symptoms(vocabulary.texts, tower, space, context)
    if prompt is not None:
        prompt.eval().requires_grad_(requires_grad=False)
    return Prompts(merging, texts, None if context is None else context.detach(), prompt)


def encode_symptoms(
    texts: Sequence[str],
    tower: TextTower,
    space: SharedSpace,
    context: torch.Tensor | None,
) -> torch.Tensor:
    """Symptom features in the shared space, (symptoms, width)."""
    return space.project_texts(tower.encode(texts, context))


def phrase_features(tower: TextTower) -> torch.Tensor:
    """Text features of every phrase that a caption can hold."""
    with torch.no_grad():
        return tower.encode(PHRASES)


def predict(images: torch.Tensor, prompts: Prompts, vocabulary: Vocabulary) -> torch.Tensor:
    """Class logits of projected images, (N, classes)."""
    with torch.no_grad():
        return class_logits(
            images, prompts.texts, class_rows(vocabulary), prompts.merging, prompts.prompt
        )


def _factor(step: int, plan: PromptPlan) -> float:
    """Linear warm-up, then half a cosine."""
    rising = max(1, round(plan.warmup * plan.steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + float(np.cos(np.pi * (step - rising) / max(1, plan.steps - rising))))
