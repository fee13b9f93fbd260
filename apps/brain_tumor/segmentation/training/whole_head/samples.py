"""Endless training samples of the whole-head network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from brain_tumor.cases.volume import ScalarArray
from brain_tumor.labels import LabelArray
from brain_tumor.segmentation.training.whole_head.augmentation import (
    choose_sequences,
    lie_randomly,
    strip_roughly,
    vary_contrast,
)
from brain_tumor.segmentation.training.whole_head.paste import paste_lesion
from brain_tumor.segmentation.training.whole_head.sources import LabelledStack, Sources
from brain_tumor.segmentation.whole_head.network import INPUTS

HEADS_SHARE, BRAINS_SHARE = 0.68, 0.26
"""The rest are healthy heads."""
TUMOUR_SHARE = 0.6
PASTE_SHARE = 0.25
STRIP_SHARE = 0.15
THINNEST_STEP_MM, THICKEST_STEP_MM = 2.0, 7.0


def batches(
    sources: Sources, rng: np.random.Generator, size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Inputs (N, 16, 112, 112) and labels (N, 112, 112), for ever.

    Args:
        sources: Training data.
        rng: Of everything that is random; its state is all that a resumed run needs.
        size: Samples a batch.
    """
    while True:
        pairs = [_sample(sources, rng) for _ in range(size)]
        yield torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])


def _sample(sources: Sources, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    stack = _pick(sources, rng)
    slices, labels, step_mm = _three_slices(stack, rng)
    if stack.with_skull and sources.cubes and rng.random() < PASTE_SHARE:
        cube = sources.cubes[int(rng.integers(len(sources.cubes)))]
        paste_lesion(slices, labels, cube, step_mm, rng)
    if stack.with_skull and rng.random() < STRIP_SHARE:
        slices = strip_roughly(slices, rng)
    moved, drawn = lie_randomly(slices, labels.astype(np.float32), rng)
    present = choose_sequences(stack.present, rng)
    varied = vary_contrast(moved, present, rng)
    flags = torch.tensor(present).float()[:, None, None].expand(-1, *varied.shape[2:])
    inputs = torch.cat([varied.flatten(0, 1), flags])
    assert len(inputs) == INPUTS
    return inputs, drawn


def _pick(sources: Sources, rng: np.random.Generator) -> LabelledStack:
    draw = rng.random()
    pool = sources.healthy or sources.heads
    if draw < HEADS_SHARE:
        pool = sources.heads
    elif draw < HEADS_SHARE + BRAINS_SHARE:
        pool = sources.brains
    return pool[int(rng.integers(len(pool)))]


def _three_slices(
    stack: LabelledStack, rng: np.random.Generator
) -> tuple[ScalarArray, LabelArray, float]:
    """A slice, its neighbours, the labels of the middle one, and their distance in mm."""
    count = len(stack.slices)
    with_tumour = np.flatnonzero(stack.labels.any(axis=(1, 2)))
    if len(with_tumour) and rng.random() < TUMOUR_SHARE:
        middle = int(rng.choice(with_tumour))
    else:
        middle = int(rng.integers(count))
    most = max(1, int(THICKEST_STEP_MM / stack.thickness_mm))
    least = max(1, round(THINNEST_STEP_MM / stack.thickness_mm))
    step = int(rng.integers(least, max(least, most) + 1)) if rng.random() < 0.5 else least
    half = (step - 1) // 2
    parts = []
    for offset in (-step, 0, step):
        at = int(np.clip(middle + offset, 0, count - 1))
        window = stack.slices[max(at - half, 0) : at + half + 1]
        parts.append(window.astype(np.float32).mean(axis=0))
    return np.stack(parts), stack.labels[middle].copy(), step * stack.thickness_mm
