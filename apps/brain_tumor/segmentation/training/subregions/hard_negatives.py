"""Places in healthy brains where the network finds tumour: hard negatives for its next steps."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from brain_tumor.segmentation.hardware import bf16_autocast
from brain_tumor.segmentation.training.subregions.composites import Host, healthy_scan

MIN_PIECE_VOXELS = 20
PIECES_PER_HOST = 3
OWN_TUMOUR_MARGIN_VOXELS = 4


@dataclass(frozen=True)
class HardNegative:
    """Centre of a false piece.

    Attributes:
        host: Index of the host in the list that was searched.
        centre: Voxel of the canvas.
        voxels: Size of the piece.
    """

    host: int
    centre: tuple[int, int, int]
    voxels: int


def mine(network: nn.Module, hosts: Items[Host]) -> list[HardNegative]:
    """The largest pieces of false tumour in each host, tumours replaced by healthy tissue.

    What a host has kept of its tumour, and a margin around it, is not counted.

    Args:
        network: Network in eval mode; logits of shape (1, classes, I, J, K).
        hosts: Brains to search.

    Returns:
        In the order of the hosts, the largest piece of each first.
    """
    found = []
    for index, host in enumerate(hosts):
        image = torch.from_numpy(healthy_scan(host))[None]
        with torch.inference_mode(), bf16_autocast():
            false = network(image)[0].max(dim=0).indices.numpy() > 0
        own = host.healthy_labels > 0
        if own.any():
            false &= ~ndimage.binary_dilation(own, iterations=OWN_TUMOUR_MARGIN_VOXELS)
        pieces, _ = ndimage.label(false)
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        for piece in np.argsort(-sizes, kind="stable")[:PIECES_PER_HOST]:
            if sizes[piece] < MIN_PIECE_VOXELS:
                break
            x, y, z = (round(c) for c in ndimage.center_of_mass(pieces == piece))
            found.append(HardNegative(index, (x, y, z), int(sizes[piece])))
    return found
