"""The plain U-Net of nnU-Net v2, written anew, with the names of its weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

SLOPE = 0.01


class PlainConvUNet(nn.Module):
    """3-D U-Net of stacked convolutions with instance normalisation.

    Args:
        in_channels: Sequences.
        out_channels: Labels or regions.
        features_per_stage: Features of each stage of the encoder.
        kernel_sizes: Of each stage.
        strides: Of the first convolution of each stage.
        n_conv_per_stage: Convolutions of each stage of the encoder.
        n_conv_per_stage_decoder: The same of the decoder, the deepest first.
        conv_bias: Whether convolutions have a bias.

    References:
        Isensee et al. 2021, doi:10.1038/s41592-020-01008-z.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        features_per_stage: Sequence[int],
        kernel_sizes: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        n_conv_per_stage: Sequence[int],
        n_conv_per_stage_decoder: Sequence[int],
        conv_bias: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.stages = nn.ModuleList()
        before = in_channels
        for features, kernel, stride, count in zip(
            features_per_stage, kernel_sizes, strides, n_conv_per_stage, strict=True
        ):
            blocks = _Blocks(before, features, kernel, stride, count, conv_bias)
            self.encoder.stages.append(nn.Sequential(blocks))
            before = features
        self.decoder = nn.Module()
        self.decoder.stages, self.decoder.transpconvs = nn.ModuleList(), nn.ModuleList()
        self.decoder.seg_layers = nn.ModuleList()
        for number, count in enumerate(n_conv_per_stage_decoder):
            stage = len(features_per_stage) - 1 - number
            below, here = features_per_stage[stage], features_per_stage[stage - 1]
            x, y, z = strides[stage]
            step = (int(x), int(y), int(z))
            self.decoder.transpconvs.append(
                nn.ConvTranspose3d(below, here, step, step, bias=conv_bias)
            )
            ones = (1, 1, 1)
            kernel = kernel_sizes[stage - 1]
            self.decoder.stages.append(_Blocks(2 * here, here, kernel, ones, count, conv_bias))
            self.decoder.seg_layers.append(nn.Conv3d(here, out_channels, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits at full resolution; deep supervision is only for its training."""
        skips: list[torch.Tensor] = []
        x = images
        for stage in self.encoder.stages:  # type: ignore[union-attr]
            x = stage(x)
            skips.append(x)
        for number, skip in enumerate(reversed(skips[:-1])):
            x = torch.cat([self.decoder.transpconvs[number](x), skip], dim=1)  # type: ignore[index, operator]
            x = self.decoder.stages[number](x)  # type: ignore[index, operator]
        logits: torch.Tensor = self.decoder.seg_layers[-1](x)  # type: ignore[index, operator]
        return logits


class _Blocks(nn.Module):
    """Stacked convolutions, each normalised and rectified; the first one may stride."""

    def __init__(
        self,
        before: int,
        features: int,
        kernel: Sequence[int],
        stride: Sequence[int],
        count: int,
        bias: bool,
    ) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            *(
                _Block(
                    before if n == 0 else features, features, kernel, stride if n == 0 else 1, bias
                )
                for n in range(count)
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features."""
        features: torch.Tensor = self.convs(x)
        return features


class _Block(nn.Module):
    """Convolution, instance norm, leaky ReLU."""

    def __init__(
        self,
        before: int,
        features: int,
        kernel: Sequence[int],
        stride: Sequence[int] | int,
        bias: bool,
    ) -> None:
        super().__init__()
        size = tuple(int(k) for k in kernel)
        step = stride if isinstance(stride, int) else tuple(int(s) for s in stride)
        padding = tuple((k - 1) // 2 for k in size)
        self.conv = nn.Conv3d(before, features, size, step, padding, bias=bias)  # type: ignore[arg-type]
        self.norm = nn.InstanceNorm3d(features, eps=1e-5, affine=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features."""
        return nn.functional.leaky_relu(self.norm(self.conv(x)), SLOPE)


def without_copies(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights under one name each: nnU-Net lists many of them up to four times."""
    return {
        name: value
        for name, value in state.items()
        if ".all_modules." not in name and not name.startswith("decoder.encoder.")
    }
