"""Augmentation of training slices, batch by batch on one thread.

Every step draws its own random numbers per slice from the generator given, so a seed repeats a
training exactly. Images are (N, 1, H, W) float tensors in 0 ... 1 until `normalise_slices`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from brain_tumor.segmentation.data.cheng_slices import (
    FREE_HEAD,
    ByteArray,
    Collection,
    Pixel,
    SliceSet,
)
from brain_tumor.segmentation.tumor_core.slices import normalise_slices

FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class AugmentationPlan:
    """What `BatchMaker` draws.

    Attributes:
        patch_pixels: Side of the square patches.
        patch_mm: Side of the square patches in mm.
        cheng_share: Share of the slice collection; the rest comes from volumes.
        free_head_share: Of all slices, how many are of heads where no tumour is in sight.
        healed_chance: Tumour replaced by the mirrored other side of the head.
        cut_chance: Picture cut beside the tumour, or the part with the tumour cut off.
        cut_away_share: How many of the cuts take the tumour away.
        quarter_turn_chance: Slice turned by 90, 180 or 270 degrees.
        stripped_chance: Skull taken away.
        coarse_chance: Resolution made coarser.
    """

    patch_pixels: int
    patch_mm: float
    cheng_share: float = 0.64
    free_head_share: float = 0.0
    healed_chance: float = 0.4
    cut_chance: float = 0.22
    cut_away_share: float = 0.6
    quarter_turn_chance: float = 0.3
    stripped_chance: float = 0.22
    coarse_chance: float = 0.35


@dataclass(frozen=True, eq=False)
class Batch:
    """What one training step sees.

    Attributes:
        images: Normalised slices, (N, 1, H, W) float32.
        target: 1 in the tumour core, same shape.
        weight: 0 where the loss looks away, else 1, same shape.
        chosen: Index of each slice in the slice set, (N,).
    """

    images: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor
    chosen: npt.NDArray[np.int64]


class BatchMaker:
    """Draws and augments batches.

    Sampling: two thirds from `cheng` (types nearly even, numeric-cohort gliomas raised against
    the MR-cohort ones, patients by the square root of their slices), the rest from volumes, where
    every second slice is healthy. `cheng` has no healthy slice, so some are made: the tumour is
    replaced by the mirrored other side of the head, or the part of the picture with the tumour is
    cut off. Pictures are also cut beside the tumour, so that a cut itself means nothing.

    Args:
        slices: Training slices.
        seed: Seed of all random numbers.
        plan: Chances and sizes.
    """

    def __init__(self, slices: SliceSet, seed: int, plan: AugmentationPlan) -> None:
        self._slices = slices
        self._plan = plan
        self._numbers = np.random.default_rng(seed)
        self._torch_numbers = torch.Generator().manual_seed(seed)
        self._weights = _sampling_weights(slices, self._plan)
        self._healed = {i: h for i in range(len(slices)) if (h := _mirror_axis(slices, i))}

    def batch(self, size: int) -> Batch:
        """One augmented batch of `size` slices."""
        chosen = self._numbers.choice(len(self._slices), size=size, p=self._weights)
        images = self._slices.images[chosen].astype(np.float32) / 255.0
        pixels = self._slices.pixels[chosen].copy()
        for slot, index in enumerate(chosen):
            self._make_healthy(images[slot], pixels[slot], int(index))
        stack = torch.from_numpy(
            np.stack(
                [
                    images,
                    (pixels == Pixel.CORE).astype(np.float32),
                    (pixels == Pixel.IGNORED).astype(np.float32),
                    self._slices.depth_mm[chosen].astype(np.float32),
                ],
                axis=1,
            )
        )
        moved = self._move(stack)
        image, depth = moved[:, :1], moved[:, 3:]
        target = (moved[:, 1:2] > 0.5).float()
        weight = (moved[:, 2:3] < 0.5).float()
        skull = torch.from_numpy(self._slices.collection[chosen] != Collection.WHOLE)
        image = self._strip_skull(image, depth, target, skull)
        image = self._change_intensities(image)
        normalised = torch.from_numpy(normalise_slices(image[:, 0].numpy()))[:, None]
        jitter = 1 + 0.1 * self._normal(size), 0.1 * self._normal(size)
        return Batch(normalised * jitter[0] + jitter[1], target, weight, chosen)

    def _make_healthy(self, image: FloatArray, pixels: ByteArray, index: int) -> None:
        """Heal or cut a slice with a skull, in place, by chance."""
        if self._slices.collection[index] == Collection.WHOLE:
            return
        draw = self._numbers
        if index in self._healed and draw.random() < self._plan.healed_chance:
            image[:] = heal_by_mirroring(image, pixels, self._healed[index], self._slices.pixel_mm)
            pixels[:] = Pixel.OTHER
        elif draw.random() < self._plan.cut_chance and self._slices.has_core[index]:
            angle, gap_mm = draw.uniform(0, 2 * math.pi), draw.uniform(7.5, 31.25)
            gone = beyond_a_line(pixels != Pixel.OTHER, angle, gap_mm / self._slices.pixel_mm)
            if draw.random() < self._plan.cut_away_share:
                gone = ~gone
            head = self._slices.depth_mm[index] > 0
            if np.count_nonzero(head & ~gone) >= 0.3 * np.count_nonzero(head):
                image[gone] = 0
                pixels[gone] = Pixel.OTHER

    def _uniform(self, size: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        drawn = torch.rand(size, 1, 1, 1, generator=self._torch_numbers)
        return drawn * (high - low) + low

    def _normal(self, size: int) -> torch.Tensor:
        return torch.randn(size, 1, 1, 1, generator=self._torch_numbers)

    def _coin(self, size: int, chance: float) -> torch.Tensor:
        return self._uniform(size) < chance

    def _move(self, stack: torch.Tensor) -> torch.Tensor:
        """Turn, flip, zoom, stretch and shift; cut a patch around the head."""
        matrices = []
        share = self._plan.patch_mm / (stack.shape[-1] * self._slices.pixel_mm)
        for image in stack[:, 0]:
            draw = self._numbers
            angle = math.radians(float(np.clip(draw.normal(0, 12), -40, 40)))
            if draw.random() < self._plan.quarter_turn_chance:
                angle += math.pi / 2 * int(draw.integers(1, 4))
            zoom = np.exp(draw.uniform(-0.25, 0.25, size=1)).repeat(2)
            if draw.random() < 0.3:
                zoom[draw.integers(2)] *= np.exp(draw.uniform(-0.3, 0.3))
            mirror = np.array([-1.0 if draw.random() < 0.5 else 1.0, 1.0])
            turn = np.array(
                [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
            )
            linear = np.diag(mirror) @ turn @ np.diag(1 / zoom) * share
            rows, columns = (image.amax(dim=d) > 0.08 for d in (1, 0))
            centre = np.array([_middle(columns), _middle(rows)])
            centre += np.clip(draw.normal(0, 0.08, size=2), -0.25, 0.25)
            matrices.append(np.column_stack([linear, centre]))
        theta = torch.from_numpy(np.stack(matrices)).float()
        side = self._plan.patch_pixels
        size = [len(stack), stack.shape[1], side, side]
        grid = F.affine_grid(theta, size, align_corners=False)
        return F.grid_sample(stack, grid, mode="bilinear", align_corners=False)

    def _strip_skull(
        self, image: torch.Tensor, depth: torch.Tensor, target: torch.Tensor, skull: torch.Tensor
    ) -> torch.Tensor:
        """Keep what lies 9-17 mm inside the head, and the tumour with a narrow surround."""
        edge_mm = self._uniform(len(image), 9.0, 17.0) + 2.0 * self._waves(image)
        chosen = (
            (self._coin(len(image), self._plan.stripped_chance).flatten() & skull)
            .nonzero()
            .flatten()
        )
        if len(chosen) == 0:
            return image
        near = round(3.75 / self._slices.pixel_mm)
        near_tumour = F.avg_pool2d(target[chosen], 2 * near + 1, stride=1, padding=near) > 0
        keep = (depth[chosen] > edge_mm[chosen]) | near_tumour
        stripped = image.clone()
        stripped[chosen] = image[chosen] * keep
        return stripped

    def _waves(self, image: torch.Tensor, cells: int = 6) -> torch.Tensor:
        """Smooth noise of unit size, one map per slice."""
        coarse = torch.randn(len(image), 1, cells, cells, generator=self._torch_numbers)
        return F.interpolate(coarse, size=image.shape[2:], mode="bilinear", align_corners=False)

    def _change_intensities(self, image: torch.Tensor) -> torch.Tensor:
        size = len(image)
        one = torch.ones(size, 1, 1, 1)
        gamma = torch.where(self._coin(size, 0.6), (0.4 * self._normal(size)).clamp(-0.7, 0.7), 0.0)
        image = image.clamp(1e-4, 1) ** gamma.exp()
        field = torch.where(self._coin(size, 0.4), self._uniform(size, 0.05, 0.3), 0 * one)
        image = image * (field * self._waves(image, 4)).clamp(-1, 1).exp()
        image = self._blur(image)
        sigma = torch.where(self._coin(size, 0.5), self._uniform(size, 0.0, 0.05), 0 * one)
        noise = torch.randn(image.shape, generator=self._torch_numbers)
        image = (image + sigma * noise).abs()
        gain = torch.where(self._coin(size, 0.25), self._uniform(size, 1.0, 2.0), one)
        image = (image * gain / image.amax(dim=(2, 3), keepdim=True).clamp(min=1e-3)).clamp(0, 1)
        offset = torch.where(self._coin(size, 0.15), self._uniform(size, 0.0, 0.2), 0 * one)
        image = offset + image * (1 - offset)
        return torch.round(image * 255.0)

    def _blur(self, image: torch.Tensor) -> torch.Tensor:
        """Coarser resolution, along one axis (thick slices) or both, of some slices."""
        blurred = []
        for picture in image:
            if self._numbers.random() > self._plan.coarse_chance:
                blurred.append(picture)
                continue
            factors = np.exp(self._numbers.uniform(0, np.log(2.0), size=2))
            if self._numbers.random() < 0.4:
                factors[self._numbers.integers(2)] *= self._numbers.uniform(1, 2.0)
            sides = picture.shape[1:]
            coarse = [max(8, round(side / f)) for side, f in zip(sides, factors, strict=True)]
            small = F.interpolate(picture[None], size=coarse, mode="bilinear", antialias=True)
            blurred.append(F.interpolate(small, size=sides, mode="bilinear")[0])
        return torch.stack(blurred)


def _middle(occupied: torch.Tensor) -> float:
    """Centre of the occupied rows or columns, -1 ... 1."""
    where = torch.nonzero(occupied)
    if len(where) == 0:
        return 0.0
    return float(where[0] + where[-1] + 1) / len(occupied) - 1.0


def _sampling_weights(slices: SliceSet, plan: AugmentationPlan) -> FloatArray:
    cheng_share = plan.cheng_share
    type_shares = {
        "glioma MR": 0.31,
        "glioma numeric": 0.15,
        "meningioma numeric": 0.28,
        "pituitary numeric": 0.26,
    }
    gbm_share, whole_share = 0.6 * (1 - cheng_share), 0.4 * (1 - cheng_share)
    shares = {stratum: cheng_share * share for stratum, share in type_shares.items()}
    shares["gbm"] = gbm_share
    shares |= {name: whole_share / 3 for name in np.unique(slices.stratum) if name[:5] == "whole"}
    others = 1 - plan.free_head_share
    shares = {stratum: others * share for stratum, share in shares.items()}
    shares[FREE_HEAD] = plan.free_head_share
    weights = np.zeros(len(slices))
    for stratum, share in shares.items():
        inside = np.flatnonzero(slices.stratum == stratum)
        if len(inside) == 0:
            continue
        _, patient, counts = np.unique(
            slices.patient[inside], return_inverse=True, return_counts=True
        )
        part = 1.0 / np.sqrt(counts[patient])
        healthy = ~slices.has_core[inside]
        if healthy.any() and not healthy.all():
            part[healthy] *= 0.5 / part[healthy].sum()
            part[~healthy] *= 0.5 / part[~healthy].sum()
        weights[inside] = share * part / part.sum()
    normalised: FloatArray = weights / weights.sum()
    return normalised


def _mirror_axis(slices: SliceSet, index: int, *, likeness: float = 0.4) -> float:
    """Column about which a head is symmetrical, 0 if it is not or the tumour is on the middle."""
    if slices.collection[index] == Collection.WHOLE or not slices.has_core[index]:
        return 0.0
    head = slices.depth_mm[index] > 0
    columns = np.flatnonzero(head.any(axis=0))
    if len(columns) == 0:
        return 0.0
    axis = float(columns[0] + columns[-1]) / 2
    tumour = slices.pixels[index] != Pixel.OTHER
    image = slices.images[index].astype(np.float32)
    other, other_tumour = _mirrored(image, axis), _mirrored(tumour.astype(np.float32), axis) > 0
    where = np.flatnonzero(tumour.any(axis=0))
    near = 7.5 / slices.pixel_mm
    if where.min() - near <= axis <= where.max() + near:
        return 0.0
    seen = (head | (_mirrored(head.astype(np.float32), axis) > 0)) & ~tumour & ~other_tumour
    score = float(np.corrcoef(image[seen], other[seen])[0, 1])
    return axis if score >= likeness else 0.0


def _mirrored(image: FloatArray, axis: float) -> FloatArray:
    columns = np.round(2 * axis - np.arange(image.shape[1])).astype(int)
    inside = (columns >= 0) & (columns < image.shape[1])
    mirrored = np.zeros_like(image)
    mirrored[:, inside] = image[:, columns[inside]]
    return mirrored


def beyond_a_line(mask: npt.NDArray[np.bool_], angle: float, gap: float) -> npt.NDArray[np.bool_]:
    """Everything on the far side of a line that passes a mask at a distance.

    Args:
        mask: What the line passes, shape (H, W), not empty.
        angle: Direction from the mask to the line, radians, 0 along columns.
        gap: Pixels between mask and line.
    """
    rows, columns = np.indices(mask.shape)
    along = columns * math.cos(angle) + rows * math.sin(angle)
    beyond: npt.NDArray[np.bool_] = along > along[mask].max() + gap
    return beyond


def heal_by_mirroring(
    image: FloatArray, pixels: ByteArray, axis: float, pixel_mm: float
) -> FloatArray:
    """Replace the tumour and 6 mm around it by the other side of the head, softly.

    Args:
        image: Intensities, shape (H, W).
        pixels: `Pixel` values, same shape.
        axis: Column of the plane of symmetry.
        pixel_mm: Pixel of the image.
    """
    near, soften = round(6.25 / pixel_mm), round(5.0 / pixel_mm)
    tumour = torch.from_numpy((pixels != Pixel.OTHER).astype(np.float32))[None, None]
    wide = F.max_pool2d(tumour, 2 * near + 1, stride=1, padding=near)
    soft = F.avg_pool2d(wide, 2 * soften + 1, stride=1, padding=soften)[0, 0].numpy()
    healed: FloatArray = image * (1 - soft) + _mirrored(image, axis) * soft
    return healed
