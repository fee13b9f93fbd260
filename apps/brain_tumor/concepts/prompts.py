"""Prompts on frozen encoders: context tokens before the words, and a merging token per class.

    t_d = text([p_1 ... p_M, words of symptom d])                      context prompt (CoP)
    s_c = g_c + softmax((g_c W_q) (T_c W_k)^T / sqrt(w)) T_c           merging prompt (MeP)
    p(c) = softmax_c(cos(f, s_c) / 0.01)

Only p, g, W_q and W_k learn.

References:
    ViP, MICCAI 2024, arXiv:2409.00341.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import torch
import torch.nn.functional as F
from torch import nn

from brain_tumor.errors import InputError

CONTEXT_TOKENS = 4
INITIAL_SD = 0.02
TEMPERATURE = 0.01
Rows = Sequence[Sequence[int]]
"""For every class the rows of its symptoms."""


class Merging(StrEnum):
    """How the symptoms of a class become one text feature."""

    MEAN = "mean"
    MAX = "max"
    PROMPT = "prompt"


class MergingPrompt(nn.Module):
    """A learned token per class that attends over the class's symptoms.

    Args:
        classes: Number of classes.
        width: Width of text features.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.tokens = nn.Parameter(INITIAL_SD * torch.randn(classes, width))
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        for layer in (self.query, self.key):
            nn.init.xavier_normal_(layer.weight)

    def weights(self, kind: int, texts: torch.Tensor) -> torch.Tensor:
        """Attention over the symptoms of a class, (..., k), from their features (..., k, width)."""
        query = self.query(self.tokens[kind])
        scores = (self.key(texts) @ query) / math.sqrt(texts.shape[-1])
        attention: torch.Tensor = scores.softmax(dim=-1)
        return attention

    def forward(self, kind: int, texts: torch.Tensor) -> torch.Tensor:
        """Merged feature of a class, (..., width), from its symptoms' (..., k, width)."""
        attention = self.weights(kind, texts)
        merged: torch.Tensor = self.tokens[kind] + (attention[..., None] * texts).sum(dim=-2)
        return merged


def merge(texts: torch.Tensor, rows: Rows, prompt: MergingPrompt | None) -> torch.Tensor:
    """One feature a class, (classes, width): the mean, or by the merging prompt.

    Args:
        texts: Features of all symptoms, (symptoms, width).
        rows: Rows of each class.
        prompt: Learned tokens, or None for the mean.
    """
    _check_rows(texts, rows)
    if prompt is None:
        return torch.stack([texts[list(chosen)].mean(dim=0) for chosen in rows])
    return torch.stack([prompt(kind, texts[list(chosen)]) for kind, chosen in enumerate(rows)])


def class_logits(
    images: torch.Tensor,
    texts: torch.Tensor,
    rows: Rows,
    merging: Merging,
    prompt: MergingPrompt | None = None,
    temperature: float = TEMPERATURE,
) -> torch.Tensor:
    """Cosine of image and class over the temperature, (N, classes).

    Args:
        images: Image features, (N, width), any norm.
        texts: Text features of all symptoms, (symptoms, width), any norm.
        rows: Rows of each class.
        merging: With `MAX` a class is as near as its nearest symptom.
        prompt: Of `PROMPT`.
        temperature: Above 0.

    Raises:
        InputError: If there is no prompt for `PROMPT`, or a class has no symptoms.
    """
    if merging is Merging.PROMPT and prompt is None:
        raise InputError("merging by prompt needs a merging prompt; none was given")
    if merging is Merging.MAX:
        _check_rows(texts, rows)
        near = similarities(images, texts)
        return torch.stack([near[:, list(r)].amax(dim=1) for r in rows], dim=1) / temperature
    merged = merge(texts, rows, prompt if merging is Merging.PROMPT else None)
    return similarities(images, merged) / temperature


def similarities(images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
    """Cosine of every image with every text, (N, texts)."""
    return F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T


def new_context(width: int) -> nn.Parameter:
    """Context tokens before training, (CONTEXT_TOKENS, width)."""
    return nn.Parameter(INITIAL_SD * torch.randn(CONTEXT_TOKENS, width))


def _check_rows(texts: torch.Tensor, rows: Rows) -> None:
    for kind, chosen in enumerate(rows):
        if not chosen or max(chosen) >= len(texts):
            raise InputError(f"class {kind} has the symptom rows {list(chosen)} of {len(texts)}")
