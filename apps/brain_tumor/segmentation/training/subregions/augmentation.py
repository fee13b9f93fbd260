"""Random changes to training samples: geometry, contrast, resolution, missing sequences.

All functions take and return float32 intensities of shape (4, I, J, K), normalised, with 0 in
the background; the background stays 0.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from brain_tumor.cases.volume import Affine, ScalarArray
from brain_tumor.labels import LabelArray

MAX_ROTATION_DEG = 20.0
ZOOM_RANGE = (0.85, 1.2)
SHEAR = 0.05
FLOOR = -4.0
SEQUENCE_SUBSETS: tuple[tuple[float, tuple[int, ...]], ...] = (
    (0.45, (0, 1, 2, 3)),
    (0.20, (1, 3)),
    (0.08, (1,)),
    (0.05, (3,)),
)
"""Probability and kept channels (order of `Sequence`); the rest is a random subset."""


def random_crop(
    image: ScalarArray,
    labels: LabelArray,
    shape: tuple[int, int, int],
    rng: np.random.Generator,
    *,
    place: tuple[int, int, int] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotated, zoomed, sheared, perhaps mirrored crop; centred on tumour half of the time.

    Args:
        image: Shape (4, I, J, K).
        labels: Shape (I, J, K).
        shape: Shape of the crop.
        rng: Source of randomness.
        place: Voxel to centre the crop near instead.

    Returns:
        Image of shape (4, *shape) and labels of that shape (int64).
    """
    size = np.array(labels.shape)
    tumour = np.argwhere(labels > 0) if rng.random() < 0.5 else np.empty((0, 3))
    if place is not None:
        centre = np.array(place) + rng.uniform(-12, 12, 3)
    elif len(tumour):
        centre = tumour[rng.integers(len(tumour))] + rng.uniform(-12, 12, 3)
    else:
        centre = size / 2 + rng.uniform(-0.25, 0.25, 3) * size
    half = np.array(shape) / 2
    centre = np.clip(centre, np.minimum(half, size / 2) - 8, np.maximum(size - half, size / 2) + 8)
    matrix = _random_linear(rng)
    # from unit coordinates of the crop to unit coordinates of the source, x = last axis
    voxels = matrix @ np.diag((np.array(shape) - 1) / 2)
    unit = np.diag(2 / (size - 1)) @ voxels
    offset = centre * 2 / (size - 1) - 1
    theta = np.concatenate([unit, offset[:, None]], axis=1)[::-1]
    theta = theta[:, [2, 1, 0, 3]].astype(np.float32)
    grid = F.affine_grid(torch.from_numpy(theta.copy())[None], [1, 1, *shape], align_corners=True)
    source = torch.from_numpy(image)[None]
    crop = F.grid_sample(source, grid, mode="bilinear", align_corners=True)[0]
    target = torch.from_numpy(labels.astype(np.float32))[None, None]
    crop_labels = F.grid_sample(target, grid, mode="nearest", align_corners=True)[0, 0].long()
    if rng.random() < 0.5:
        crop, crop_labels = crop.flip(1), crop_labels.flip(0)
    return crop, crop_labels


def random_symmetry(
    image: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random flips and quarter turns of a cube, without interpolation."""
    for axis in range(3):
        if rng.random() < 0.5:
            image, labels = image.flip(axis + 1), labels.flip(axis)
    turns = int(rng.integers(0, 4))
    return torch.rot90(image, turns, (1, 2)), torch.rot90(labels, turns, (0, 1))


def random_contrast(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Scale, shift, gamma, bias field, noise, blur and thick slices, each sequence on its own."""
    inside = (image != 0).any(dim=0)
    bias = _smooth_field(image.shape[1:], rng) if rng.random() < 0.4 else None
    thick = int(rng.integers(2, 6)) if rng.random() < 0.15 else 1
    axis = int(rng.integers(0, 3))
    channels = []
    for channel in image:
        if not channel.any():
            channels.append(channel)
            continue
        value = channel
        if rng.random() < 0.3:
            unit = ((value - FLOOR) / 10).clamp(1e-3, 1)
            value = unit.pow(float(np.exp(rng.uniform(-0.35, 0.35)))) * 10 + FLOOR
            value = value - (value[inside].mean() - channel[inside].mean())
        if bias is not None:
            value = (value - FLOOR) * torch.exp(bias * float(rng.uniform(0.05, 0.3))) + FLOOR
        value = value * float(rng.uniform(0.8, 1.25)) + float(rng.uniform(-0.3, 0.3))
        if rng.random() < 0.15:
            value = _blur(value)
        if thick > 1 and rng.random() < 0.8:
            value = _thick_slices(value, axis, thick)
        if rng.random() < 0.4:
            seed = torch.Generator().manual_seed(int(rng.integers(2**31)))
            value = value + torch.randn(value.shape, generator=seed) * float(rng.uniform(0, 0.25))
        channels.append(torch.where(channel != 0, value, 0.0))
    return torch.stack(channels)


def drop_sequences(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Keep a random subset of the sequences that are there; at least one stays."""
    there = [c for c in range(len(image)) if bool(image[c].any())]
    draw, kept = rng.random(), None
    for probability, subset in SEQUENCE_SUBSETS:
        if draw < probability:
            kept = [c for c in subset if c in there]
            break
        draw -= probability
    if kept is None:
        count = int(rng.integers(1, len(there) + 1)) if there else 0
        kept = list(rng.permutation(there)[:count])
    if not kept:
        kept = there
    keep = torch.zeros(len(image), 1, 1, 1)
    keep[kept] = 1.0
    return image * keep


def _random_linear(rng: np.random.Generator) -> Affine:
    angles = np.deg2rad(rng.uniform(-MAX_ROTATION_DEG, MAX_ROTATION_DEG, 3))
    matrix = np.eye(3)
    spacing = np.array([1.882, 1.882, 1.213])
    for axis, angle in enumerate(angles):
        i, j = [a for a in range(3) if a != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    shear = np.eye(3) + rng.uniform(-SHEAR, SHEAR, (3, 3)) * (1 - np.eye(3))
    zoom = np.diag(rng.uniform(*ZOOM_RANGE) * rng.uniform(0.95, 1.05, 3))
    in_mm = matrix @ shear @ zoom
    return np.asarray(np.diag(1 / spacing) @ in_mm @ np.diag(spacing))


def _smooth_field(shape: torch.Size, rng: np.random.Generator) -> torch.Tensor:
    coarse = torch.from_numpy(rng.standard_normal((1, 1, 4, 4, 4), dtype=np.float32))
    return F.interpolate(coarse, size=tuple(shape), mode="trilinear", align_corners=True)[0, 0]


def _blur(value: torch.Tensor) -> torch.Tensor:
    return F.avg_pool3d(value[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]


def _thick_slices(value: torch.Tensor, axis: int, count: int) -> torch.Tensor:
    size = list(value.shape)
    small = list(size)
    small[axis] = max(size[axis] // count, 1)
    coarse = F.interpolate(value[None, None], size=small, mode="area")
    return F.interpolate(coarse, size=size, mode="trilinear", align_corners=False)[0, 0]
