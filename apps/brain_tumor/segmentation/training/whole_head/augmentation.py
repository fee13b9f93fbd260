"""Random variants of slices: how heads lie, and how scanners and archives treat them."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import ScalarArray
from brain_tumor.segmentation.whole_head.stack import (
    BACKGROUND,
    HIGHEST,
    LOWEST,
    head_of_slice,
)

SIDE = 112
MAX_ROTATION_DEG = 25.0
ZOOM_RANGE = (0.78, 1.25)
STRETCH = 0.08
SHIFT_SHARE = 0.12
ALL_SEQUENCES_SHARE = 0.5
KEEP_FLAIR_SHARE = 0.75
INFORMATIVE = (Sequence.FLAIR, Sequence.T1C, Sequence.T2)


def strip_roughly(slices: ScalarArray, rng: np.random.Generator) -> ScalarArray:
    """What a crude skull stripping leaves: everything within some millimetres of the skin goes.

    Args:
        slices: Shape (3, 4, I, J).
        rng: Source of randomness.

    Returns:
        Slices of the same shape, normalised over what is left.
    """
    inside = head_of_slice(slices[1])
    depth = ndimage.distance_transform_edt(inside)
    wobble = ndimage.zoom(rng.standard_normal((5, 5)), np.array(inside.shape) / 5, order=1)
    kept = depth > rng.uniform(4.0, 9.0) + 0.8 * wobble
    if kept.sum() < SIDE:
        return slices
    stripped = slices.copy()
    for channel in range(slices.shape[1]):
        if not slices[1, channel].any():
            continue
        values = slices[1, channel][kept]
        scaled = (slices[:, channel] - values.mean()) / max(float(values.std()), 1e-3)
        stripped[:, channel] = np.where(kept, np.clip(scaled, LOWEST, HIGHEST), BACKGROUND)
    return stripped


def lie_randomly(
    slices: ScalarArray, labels: ScalarArray, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn, zoom, stretch, shift and mirror; the result is 112 x 112 pixels.

    Args:
        slices: Shape (3, 4, I, J).
        labels: Shape (I, J).
        rng: Source of randomness.
    """
    angle = np.deg2rad(rng.uniform(-MAX_ROTATION_DEG, MAX_ROTATION_DEG))
    zoom = rng.uniform(*ZOOM_RANGE) * rng.uniform(1 - STRETCH, 1 + STRETCH, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        turn[:, 0] *= -1  # the first axis runs from left to right
    shape = np.array(labels.shape)
    pixels = turn @ np.diag(zoom)
    unit = np.diag(1 / shape) @ pixels * SIDE
    offset = rng.uniform(-SHIFT_SHARE, SHIFT_SHARE, 2)
    # affine_grid wants x, the last axis, first
    theta = np.concatenate([unit, offset[:, None]], axis=1)[::-1][:, [1, 0, 2]]
    matrix = torch.from_numpy(theta.astype(np.float32).copy())[None]
    grid = F.affine_grid(matrix, [1, 1, SIDE, SIDE], align_corners=False)
    flat = torch.from_numpy(slices.reshape(1, -1, *labels.shape)) - BACKGROUND
    moved = F.grid_sample(flat, grid, mode="bilinear", align_corners=False) + BACKGROUND
    drawn = F.grid_sample(
        torch.from_numpy(labels)[None, None], grid, mode="nearest", align_corners=False
    )
    return moved.reshape(*slices.shape[:2], SIDE, SIDE), drawn[0, 0]


def vary_contrast(
    slices: torch.Tensor, present: tuple[bool, ...], rng: np.random.Generator
) -> torch.Tensor:
    """Gain, offset, gamma, bias field, noise, blur and small movement, each sequence on its own.

    Args:
        slices: Shape (3, 4, I, J); the result is new.
        present: Which channels hold a sequence; the others come back as 0.
        rng: Source of randomness.
    """
    result = torch.zeros_like(slices)
    for channel, there in enumerate(present):
        if not there:
            continue
        value = slices[:, channel]
        head = value > BACKGROUND + 1e-3
        if rng.random() < 0.3:
            unit = ((value - LOWEST) / (HIGHEST - LOWEST)).clamp(1e-4, 1)
            curved = unit.pow(float(np.exp(rng.uniform(-0.4, 0.4)))) * (HIGHEST - LOWEST) + LOWEST
            value = curved - (curved[head].mean() - value[head].mean()) if head.any() else value
        if rng.random() < 0.35:
            coarse = torch.from_numpy(rng.standard_normal((1, 1, 4, 4), dtype=np.float32))
            field = F.interpolate(
                coarse, size=tuple(value.shape[1:]), mode="bicubic", align_corners=True
            )[0]
            value = (value - LOWEST) * torch.exp(field * float(rng.uniform(0.05, 0.25))) + LOWEST
        if rng.random() < 0.12:
            value = _coarsen(value, rng)
        if rng.random() < 0.15:
            value = F.avg_pool2d(value[None], 3, 1, 1, count_include_pad=False)[0]
        value = value * float(rng.uniform(0.8, 1.25)) + float(rng.normal(0, 0.2))
        if rng.random() < 0.3:
            seed = torch.Generator().manual_seed(int(rng.integers(2**31)))
            value = value + torch.randn(value.shape, generator=seed) * float(rng.uniform(0, 0.25))
        if rng.random() < 0.1:
            shift = (int(rng.integers(-1, 2)), int(rng.integers(-1, 2)))
            value, head = value.roll(shift, (1, 2)), head.roll(shift, (1, 2))
        result[:, channel] = torch.where(head, value.clamp(LOWEST, HIGHEST), BACKGROUND)
    return result


def choose_sequences(present: tuple[bool, ...], rng: np.random.Generator) -> tuple[bool, ...]:
    """A subset of the sequences that are there; one that can show a tumour stays if there is any.

    Args:
        present: Which channels hold a sequence.
        rng: Source of randomness.
    """
    if rng.random() < ALL_SEQUENCES_SHARE:
        return present
    telling = [i for i, s in enumerate(Sequence) if present[i] and s in INFORMATIVE]
    if not telling:
        return present
    flair = list(Sequence).index(Sequence.FLAIR)
    if flair in telling and rng.random() < KEEP_FLAIR_SHARE:
        telling = [flair]
    sure = telling[int(rng.integers(len(telling)))]
    return tuple(
        there and (channel == sure or bool(rng.random() < 0.5))
        for channel, there in enumerate(present)
    )


def _coarsen(value: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Thick voxels along one axis, as in a sagittal or coronal scan."""
    factor = int(rng.integers(2, 4))
    size = list(value.shape[1:])
    small = list(size)
    small[int(rng.integers(2))] //= factor
    coarse = F.interpolate(value[None], size=small, mode="area")
    return F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)[0]
