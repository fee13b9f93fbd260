"""Regions of a tumour by the whole-head network, slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import nn

from brain_tumor.bundles import ModelVersion, read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Affine, ScalarArray
from brain_tumor.devices import compute_device, inference, placed
from brain_tumor.segmentation.whole_head.network import network_from_metadata
from brain_tumor.segmentation.whole_head.stack import (
    IN_PLANE_MM,
    SIDE_MULTIPLE,
    SliceStack,
    to_slice_stack,
    with_neighbours,
)

BATCH_PIXELS = 16 * 128 * 128
FEW_SLICES = 48
"""A stack of at most so many slices is also read mirrored: it is quick anyway."""
LARGEST_BRAIN_ML = 2000.0
SCALP_DEPTHS_MM, BONE_DEPTHS_MM = ((3.0, 6.0), (6.0, 9.0)), ((9.0, 12.0), (12.0, 16.0))
SCALP_OVER_BONE = 0.8
WIDE_SLICE_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class HeadReading:
    """What the whole-head network says of a case.

    Attributes:
        regions: Probability of WT, TC and ET, shape (3, I, J, K); 0 outside the head.
        affine: Their voxel centres to RAS+ mm.
        with_skull: Whether skull and scalp are in the images.
        thickness_mm: Distance of the slices that were read.
    """

    regions: torch.Tensor
    affine: Affine
    with_skull: bool
    thickness_mm: float

    @property
    def extent_mm(self) -> float:
        """What the slices span together."""
        return float(self.regions.shape[3]) * self.thickness_mm


class WholeHeadReader:
    """Reads heads with or without skull; thread-safe, holds no state.

    Args:
        network: From (N, 16, I, J) slices with neighbours to logits of WT, TC and ET.
        version: Model behind it.
        metadata: Of the bundle; what is fitted with the network stands there.
        bf16: Run in bfloat16; by default where the device has it in hardware.
    """

    def __init__(
        self,
        network: nn.Module,
        version: ModelVersion,
        metadata: Mapping[str, Any],
        *,
        bf16: bool | None = None,
    ) -> None:
        self._network = placed(network.eval())
        self._version = version
        self._metadata = metadata
        self._bf16 = compute_device().bf16 if bf16 is None else bf16

    @classmethod
    def load(cls, path: Path, *, bf16: bool | None = None) -> WholeHeadReader:
        """Read a bundle.

        Raises:
            ModelError: If the bundle is damaged.
        """
        bundle = read_bundle(path)
        network = network_from_metadata(bundle.metadata, bundle.weights())
        return cls(network, bundle.version, bundle.metadata, bf16=bf16)

    @property
    def version(self) -> ModelVersion:
        """Model behind this reader."""
        return self._version

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Content of the bundle's metadata."""
        return self._metadata

    def read(self, case: Case, *, mirrored: bool = False) -> HeadReading:
        """Probabilities of the regions on the grid of the slices.

        Args:
            case: Any subset of sequences.
            mirrored: Average with the left-right mirrored slices, also where there are many.

        Raises:
            VolumeError: If the reference volume is empty or no head.
        """
        stack = to_slice_stack(case)
        inputs = torch.from_numpy(with_neighbours(stack.slices, stack.present))
        regions = self.probabilities(inputs)
        if mirrored or len(inputs) <= FEW_SLICES:
            regions = (regions + self.probabilities(inputs.flip(2)).flip(2)) / 2
        regions = regions * torch.from_numpy(stack.foreground)[:, None]
        return HeadReading(
            regions=regions.permute(1, 2, 3, 0).contiguous(),
            affine=stack.affine,
            with_skull=has_skull(stack),
            thickness_mm=stack.thickness_mm,
        )

    def probabilities(self, inputs: torch.Tensor) -> torch.Tensor:
        """Probability of WT, TC and ET, nested, of slices with their neighbours.

        Args:
            inputs: Shape (K, 16, I, J).

        Returns:
            Shape (K, 3, I, J).
        """
        rows, columns = inputs.shape[2:]
        padding = (0, -columns % SIDE_MULTIPLE, 0, -rows % SIDE_MULTIPLE)
        size = max(1, BATCH_PIXELS // (rows * columns))
        parts = []
        with inference(bf16=self._bf16):
            for part in torch.split(F.pad(inputs, padding), size):
                logits = self._network(part.contiguous(memory_format=torch.channels_last))
                parts.append(logits[..., :rows, :columns].float().sigmoid())
        # a clone made outside inference mode is an ordinary tensor
        found = torch.cat(parts).clone()
        return torch.cummin(found, dim=1).values


def has_skull(stack: SliceStack) -> bool:
    """Whether skull and scalp are in the images.

    A head is larger than any brain, or bright scalp lies around dark bone: in one of the first
    millimetres under the surface the median intensity is higher than at the depth of the bone.

    Args:
        stack: Slices of a case.
    """
    area = stack.foreground.sum(axis=(1, 2))
    volume_ml = float(area.sum()) * IN_PLANE_MM**2 * stack.thickness_mm / 1000.0
    if volume_ml > LARGEST_BRAIN_ML:
        return True
    wide = np.flatnonzero(area > WIDE_SLICE_SHARE * area.max())[::2]
    foreground = stack.foreground[wide]
    depth_mm = np.stack([ndimage.distance_transform_edt(part) for part in foreground])
    depth_mm *= IN_PLANE_MM
    names = list(Sequence)
    told = [c for c, there in enumerate(stack.present) if there]
    chosen = [c for c in told if names[c] is not Sequence.T2] or told
    contrasts = [_scalp_over_bone(stack.slices[wide, c], depth_mm) for c in chosen]
    return bool(np.mean(contrasts) > SCALP_OVER_BONE)


def _scalp_over_bone(slices: ScalarArray, depth_mm: npt.NDArray[np.float64]) -> float:
    def median(between: tuple[float, float]) -> float | None:
        values = slices[(depth_mm > between[0]) & (depth_mm <= between[1])]
        return float(np.median(values)) if values.size else None

    scalp = [m for m in map(median, SCALP_DEPTHS_MM) if m is not None]
    bone = [m for m in map(median, BONE_DEPTHS_MM) if m is not None]
    return max(scalp) - min(bone) if scalp and bone else 0.0
