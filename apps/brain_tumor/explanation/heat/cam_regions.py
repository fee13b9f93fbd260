"""Class-activation maps of the sub-region segmenter: why it calls a region what it calls it.

The score of a region is the sum of its log-odds over the voxels that the network gave to it: how
sure the network is of the region it drew, against everything else each voxel could have been.
Layer-CAM then says which places of a layer carry that. It is the only rule here that does: in a
segmenter each place has its own gradient, and Grad-CAM and Grad-CAM++, which take one weight a
channel, spread the heat far beyond the region.

References:
    Jiang et al. 2021, doi:10.1109/TIP.2021.3089943 (Layer-CAM).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from brain_tumor.cases.grid.preprocessing import WorkingCase, to_native_grid
from brain_tumor.cases.volume import Affine, ScalarArray
from brain_tumor.errors import ModelError
from brain_tumor.explanation.heat.cam import layer_cam
from brain_tumor.explanation.heat.capture import Objective, layer_gradients, upsample
from brain_tumor.explanation.heat.volume import BoolArray
from brain_tumor.labels import REGION_LABELS, Label, Region
from brain_tumor.segmentation.foreign.adapter import AdaptedNetwork


@dataclass(frozen=True, eq=False)
class RegionHeat:
    """Raw heat of one region on the working grid.

    Attributes:
        region: Region whose outline is explained.
        heat: Shape (I, J, K), at least 0, in units of the score.
        score: Sum of the log-odds over the explained voxels.
        explained: Voxels that the network gave to the region, shape (I, J, K); without any there
            is no heat.
    """

    region: Region
    heat: ScalarArray
    score: float
    explained: BoolArray


def explain_regions(
    network: nn.Module,
    layer: nn.Module,
    working: WorkingCase,
    regions: Sequence[Region] = tuple(Region),
    *,
    bf16: bool = False,
    at: BoolArray | None = None,
) -> tuple[RegionHeat, ...]:
    """Layer-CAM of regions of the segmenter, from one forward pass.

    Args:
        network: Sub-region network, from (1, 4, I, J, K) to logits in the order of `Label`, in
            evaluation mode.
        layer: Layer to read; `explained_layer` gives the default.
        working: The case on the working grid.
        regions: Regions to explain.
        bf16: Run the network in bfloat16; scores and maps are float32.
        at: Voxels whose log-odds are explained; by default those that the network outlines.

    Returns:
        One result per region, in the order asked for.

    Raises:
        ModelError: See `layer_gradients`.
    """
    images = torch.from_numpy(working.channels)[None]
    foreground = torch.from_numpy(working.foreground)

    def voxels_of(logits: torch.Tensor, region: Region) -> torch.Tensor:
        return _drawn(logits, region, foreground) if at is None else torch.from_numpy(at)[None]

    def score_of(region: Region) -> Objective:
        return lambda logits: _log_odds(logits, region, voxels_of(logits.detach(), region))

    objectives = [score_of(region) for region in regions]
    found = layer_gradients(network, layer, [images], objectives, bf16=bf16)
    results = []
    for region, gradients in zip(regions, found, strict=True):
        coarse = layer_cam(gradients.activations, gradients.gradients)
        if isinstance(network, AdaptedNetwork):
            coarse = network.in_working_axes(coarse)
        heat = upsample(coarse, images.shape[2:])[0] * foreground
        voxels = voxels_of(gradients.output, region)[0].numpy()
        results.append(RegionHeat(region, heat.numpy(), float(gradients.scores[0]), voxels))
    return tuple(results)


def explained_layer(network: nn.Module, level: int = 1) -> nn.Module:
    """The decoder block that halves the grid `level` times; of an imported network, once.

    Args:
        network: `brain_tumor.segmentation.subregions.networks.build_unet(...)`.
        level: 0 is the full grid, whose block gives the logits themselves; 1 the default.

    Raises:
        ModelError: If the network has no such decoder block.
    """
    if isinstance(network, AdaptedNetwork):
        return network.explained_layer
    block = getattr(network, "model", None)
    for _ in range(level):
        block = _below(block)
    if not isinstance(block, nn.Sequential) or len(block) != 3:
        raise ModelError(f"the network has no decoder block at level {level}")
    return block[2]


def heat_on_reference_grid(
    heat: ScalarArray, working_affine: Affine, affine: Affine, shape: tuple[int, int, int]
) -> ScalarArray:
    """Heat of the working grid on the reference grid of the case; 0 outside.

    Args:
        heat: Raw heat on the working grid.
        working_affine: Voxel centres of the working grid to RAS+ mm.
        affine: Voxel centres of the reference to RAS+ mm.
        shape: Shape of the reference.
    """
    native = np.zeros(shape, dtype=np.float32)
    part, box = to_native_grid(torch.from_numpy(heat)[None], working_affine, affine, shape)
    native[box] = part[0].numpy()
    return native


def _below(block: object) -> object:
    """The part of a MONAI U-Net under a skip connection."""
    if isinstance(block, nn.Sequential) and len(block) == 3:
        return getattr(block[1], "submodule", None)
    return None


def _log_odds(logits: torch.Tensor, region: Region, inside: torch.Tensor) -> torch.Tensor:
    """Sum of a region's log-odds over some voxels (N, I, J, K), shape (N,)."""
    own, rest = _channels(region)
    odds = logits[:, own].logsumexp(dim=1) - logits[:, rest].logsumexp(dim=1)
    return (odds * inside).flatten(1).sum(dim=1)


def _drawn(logits: torch.Tensor, region: Region, foreground: torch.Tensor) -> torch.Tensor:
    """Voxels that the network gives to a region."""
    own, _ = _channels(region)
    labels = logits.argmax(dim=1)
    inside = torch.zeros_like(labels, dtype=torch.bool)
    for channel in own:
        inside |= labels == channel
    return inside & foreground


def _channels(region: Region) -> tuple[list[int], list[int]]:
    """Output channels inside and outside a region; the undivided core has none."""
    channels = [label for label in Label if label is not Label.CORE]
    own = [int(label) for label in channels if label in REGION_LABELS[region]]
    rest = [int(label) for label in channels if label not in REGION_LABELS[region]]
    return own, rest
