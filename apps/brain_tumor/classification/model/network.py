"""The hybrid network: what a slice looks like, fused with what was measured in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from brain_tumor.bundles import Bundle
from brain_tumor.classification.model.boundary_layer import BoundaryNormalisation
from brain_tumor.errors import ModelError
from brain_tumor.labels import TYPES
from brain_tumor.segmentation.tumor_core.decoder import Decoder
from brain_tumor.segmentation.tumor_core.encoder import OUTPUT_CHANNELS, Encoder

PIXEL_MM = 1.5
"""Pixel of the slices that the network reads."""
DIVISOR = 16
LESION_CHANNELS = 128
EMBEDDING = 96
FEATURE_WIDTH = 64
LARGEST_Z = 4.0
LOOKS_STRIDE = 2


@dataclass(frozen=True)
class NetworkArguments:
    """What the network was built for.

    Attributes:
        features: Ids of the measured features, in the order of the input.
        boundary: Whether edges count; without, every pixel is as important as any other, so that
            the boundary layer passes features on and the pool of the edge is that of the tumour.
            Only to measure what the layer is worth.
    """

    features: tuple[str, ...]
    boundary: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for the metadata."""
        return {
            "name": "HybridNetwork",
            "features": list(self.features),
            **({} if self.boundary else {"boundary": False}),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> NetworkArguments:
        """Read what `to_json` wrote.

        Raises:
            ModelError: If features are missing.
        """
        features = values.get("features")
        if not isinstance(features, list) or not features:
            raise ModelError("network arguments hold no features; expected a list of feature ids")
        return cls(tuple(str(name) for name in features), bool(values.get("boundary", True)))


@dataclass(frozen=True, eq=False)
class SliceMaps:
    """What the network sees in slices before it names the tumour.

    Attributes:
        mask_logits: Of tumour core, (N, 1, H, W).
        boundary_logits: Importance of edge pixels, same shape; 0 without a boundary layer.
        levels: Encoder features with strides 2 to 32.
    """

    mask_logits: torch.Tensor
    boundary_logits: torch.Tensor
    levels: tuple[torch.Tensor, ...]

    @cached_property
    def importance(self) -> torch.Tensor:
        """Importance of every pixel, 0-1, (N, 1, H, W)."""
        return self.boundary_logits.sigmoid()


@dataclass(frozen=True, eq=False)
class TypeLogits:
    """Logits of the tumour types, in the order of `TYPES`, each (N, 3).

    Attributes:
        fused: From appearance and measured features together: the answer.
        deep: From appearance alone.
        measured: From measured features alone.
        embedding: Appearance as a vector, (N, EMBEDDING).
    """

    fused: torch.Tensor
    deep: torch.Tensor
    measured: torch.Tensor
    embedding: torch.Tensor


class HybridNetwork(nn.Module):
    """Encoder, outline decoder, boundary layer and fusion with measured features.

    `forward` is the classifier; `see` is its first half, which does not depend on a mask. The
    sub-module `looks` passes what each position adds to the pooled appearance: its output, summed
    over positions, is all that the fusion gets to see, so a class-activation map of this layer
    splits the appearance over positions and leaves nothing out.

    Args:
        arguments: Names of the measured features.
        dropout: Of the fused representation, in training.
    """

    feature_centre: torch.Tensor
    feature_scale: torch.Tensor

    def __init__(self, arguments: NetworkArguments, dropout: float = 0.3) -> None:
        super().__init__()
        count = len(arguments.features)
        self.encoder = Encoder()
        self.decoder = Decoder(2)
        widths = OUTPUT_CHANNELS[2:]
        self.lateral = nn.ModuleList(nn.Conv2d(w, LESION_CHANNELS, 1) for w in widths)
        self.boundary = BoundaryNormalisation()
        self._has_boundary = arguments.boundary
        self.lesion = nn.Sequential(
            nn.Conv2d(LESION_CHANNELS, LESION_CHANNELS, 3, padding=1),
            nn.GroupNorm(8, LESION_CHANNELS),
            nn.ReLU(),
        )
        self.looks = nn.Identity()
        self.embed = nn.Sequential(nn.Linear(3 * LESION_CHANNELS, EMBEDDING), nn.ReLU())
        self.register_buffer("feature_centre", torch.zeros(count))
        self.register_buffer("feature_scale", torch.ones(count))
        self.measure = nn.Sequential(
            nn.Linear(2 * count, 96),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(96, FEATURE_WIDTH),
            nn.ReLU(),
        )
        self.deep_head = nn.Linear(EMBEDDING, len(TYPES))
        self.measured_head = nn.Linear(FEATURE_WIDTH, len(TYPES))
        self.fuse = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(EMBEDDING + FEATURE_WIDTH, 64),
            nn.ReLU(),
            nn.Linear(64, len(TYPES)),
        )

    def see(self, images: torch.Tensor) -> SliceMaps:
        """Outline and importance maps.

        Args:
            images: Normalised slices, (N, 1, H, W), sides multiples of `DIVISOR`.
        """
        levels = self.encoder(images)
        maps = self.decoder(images, levels)
        mask, edge = maps[:, :1], maps[:, 1:]
        return SliceMaps(mask, edge if self._has_boundary else torch.zeros_like(edge), levels)

    def name(self, maps: SliceMaps, masks: torch.Tensor, features: torch.Tensor) -> TypeLogits:
        """Tumour types of slices that were seen.

        Args:
            maps: From `see`.
            masks: Tumour core, 0-1, (N, 1, H, W).
            features: Measured features, (N, F), NaN where missing.
        """
        return self.name_pooled(self.pool(maps, masks), features)

    def pool(self, maps: SliceMaps, masks: torch.Tensor) -> torch.Tensor:
        """Appearance of slices, pooled over the slice, the tumour and its edge.

        Args:
            maps: From `see`.
            masks: Tumour core, 0-1, (N, 1, H, W).

        Returns:
            Shape (N, 3 * LESION_CHANNELS).
        """
        lesion = self.lesion_map(maps)
        near = F.adaptive_avg_pool2d(_with_margin(masks), (lesion.shape[2], lesion.shape[3]))
        weights = self._weights(near, maps)
        return torch.cat([(lesion * weight).sum(dim=(2, 3)) for weight in weights], dim=1)

    def name_pooled(self, pooled: torch.Tensor, features: torch.Tensor) -> TypeLogits:
        """Tumour types of pooled slices.

        Args:
            pooled: From `pool`.
            features: Measured features, (N, F), NaN where missing.
        """
        embedding = self.embed(pooled)
        measured = self.measure(self.standardise(features))
        fused = self.fuse(torch.cat([embedding, measured], dim=1))
        return TypeLogits(fused, self.deep_head(embedding), self.measured_head(measured), embedding)

    def forward(
        self, images: torch.Tensor, masks: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """Fused logits, (N, 3), in the order of `TYPES`; the same as of `see` and `name`.

        Here the pooling is written out over positions with stride 2, so that `looks` can be read.
        """
        maps = self.see(images)
        lesion = self.lesion_map(maps)
        fine = F.avg_pool2d(_with_margin(masks), LOOKS_STRIDE)
        cells = (lesion.shape[2], lesion.shape[3])
        weights = self._weights(F.adaptive_avg_pool2d(fine, cells), maps)
        repeat = fine.shape[2] // cells[0]
        inside = fine / _repeat(F.adaptive_avg_pool2d(fine, cells), repeat).clamp(min=1e-6)
        shares = [_repeat(weight, repeat) / repeat**2 for weight in weights]
        shares[1:] = [share * inside for share in shares[1:]]
        spread = _repeat(lesion, repeat)
        looks = self.looks(torch.cat([spread * share for share in shares], dim=1))
        return self.name_pooled(looks.sum(dim=(2, 3)), features).fused

    def _weights(self, near: torch.Tensor, maps: SliceMaps) -> list[torch.Tensor]:
        """Pooling weights over the slice, the tumour with a margin, and its edge.

        Args:
            near: Tumour with its margin on the cells of the lesion map, (N, 1, h, w).
            maps: From `see`.

        Returns:
            Three maps like `near`, each with the sum 1 (0 where there is no tumour).
        """
        size = (near.shape[2], near.shape[3])
        edge = F.adaptive_avg_pool2d(maps.importance, size) * near
        everywhere = torch.full_like(near, 1 / (size[0] * size[1]))
        return [
            everywhere,
            *(w / w.sum(dim=(2, 3), keepdim=True).clamp(min=1e-3) for w in (near, edge)),
        ]

    def lesion_map(self, maps: SliceMaps) -> torch.Tensor:
        """Boundary-normalised features with stride 8."""
        fine, *coarser = maps.levels[2:]
        total = self.lateral[0](fine)
        for lateral, level in zip(list(self.lateral)[1:], coarser, strict=True):
            total = total + F.interpolate(
                lateral(level), size=fine.shape[2:], mode="bilinear", align_corners=False
            )
        found: torch.Tensor = self.lesion(self.boundary(F.relu(total), maps.importance))
        return found

    def standardise(self, features: torch.Tensor) -> torch.Tensor:
        """Features as robust z-scores, then 1 for each that is missing: (N, 2 F)."""
        missing = torch.isnan(features)
        scores = (features - self.feature_centre) / self.feature_scale
        scores = torch.where(missing, torch.zeros_like(scores), scores)
        return torch.cat([scores.clamp(-LARGEST_Z, LARGEST_Z), missing.float()], dim=1)


def _with_margin(masks: torch.Tensor) -> torch.Tensor:
    """Mask grown by two pixels, along columns and then along rows."""
    tall = F.max_pool2d(masks, (5, 1), stride=1, padding=(2, 0))
    return F.max_pool2d(tall, (1, 5), stride=1, padding=(0, 2))


def _repeat(cells: torch.Tensor, times: int) -> torch.Tensor:
    """Every cell as a square of equal ones."""
    return cells.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)


def load_network(arguments: NetworkArguments, weights: Mapping[str, torch.Tensor]) -> HybridNetwork:
    """Network with its weights, ready for inference.

    Raises:
        ModelError: If the weights do not belong to this network.
    """
    network = HybridNetwork(arguments)
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise ModelError(f"weights do not fit the hybrid network: {error}") from error
    return network.eval().requires_grad_(requires_grad=False)


EMBEDDING_PARTS = ("encoder", "decoder", "lateral", "boundary", "lesion", "embed")
"""Parts of the hybrid network that the embedding of a slice depends on."""


def embedding_sha256(bundle: Bundle, weights: Mapping[str, torch.Tensor] | None = None) -> str:
    """Checksum of the weights up to the embedding; layers after it do not count.

    It is taken of the values as they are used (float32), so the precision on disk does not matter,
    and of whether the boundary layer is used, because the embedding pools by it.

    Args:
        bundle: Of a classifier.
        weights: Its weights, where they have been read already.

    Returns:
        Hexadecimal SHA-256.

    Raises:
        ModelError: If the weights or the network arguments are damaged.
    """
    arguments = NetworkArguments.from_json(bundle.metadata.get("network", {}))
    digest = hashlib.sha256(f"boundary {arguments.boundary}".encode())
    for name, value in sorted((bundle.weights() if weights is None else weights).items()):
        if name.split(".", 1)[0] in EMBEDDING_PARTS:
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
