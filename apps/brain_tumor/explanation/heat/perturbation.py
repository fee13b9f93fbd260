"""Attributions to the pixels themselves, through captum: slower second opinions.

Both compare with the picture's blurred baseline, give the positive part only (what speaks for the
target) and leave the network untouched: no hooks, no parameter gradients.

References:
    Sundararajan et al. 2017, arXiv:1703.01365 (integrated gradients);
    Zeiler and Fergus 2014, doi:10.1007/978-3-319-10590-1_53 (occlusion).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from captum.attr import IntegratedGradients, Occlusion
from torch import nn

from brain_tumor.explanation.heat.baseline import blurred_head, gaussian_blur
from brain_tumor.explanation.heat.capture import Objective, outside_inference_mode

INTEGRATION_STEPS = 16
SMOOTHING_SHARE = 0.0125
"""Integrated gradients are noise from pixel to pixel: they are smoothed by this share of the
longer side (2 of 160 pixels)."""
WINDOW_SHARE = 0.15
"""Side of the occluding square over the longer side (24 of 160 pixels)."""
BATCH = 24


def integrated_gradients(
    network: nn.Module,
    inputs: Sequence[torch.Tensor],
    objective: Objective,
    *,
    steps: int = INTEGRATION_STEPS,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Positive part of the smoothed integrated gradients of the slices.

    Args:
        network: In evaluation mode.
        inputs: Slices (N, 1, H, W) first, then the network's other inputs, which stay as they are.
        objective: Score to explain.
        steps: Points of the integral.

    Returns:
        Maps (N, H, W), at least 0, in units of the score; and the scores, (N,).
    """
    signed, scores = signed_integrated_gradients(network, inputs, objective, steps=steps)
    smooth = gaussian_blur(signed, SMOOTHING_SHARE * max(signed.shape[2:]))
    return F.relu(smooth[:, 0]), scores


def signed_integrated_gradients(
    network: nn.Module,
    inputs: Sequence[torch.Tensor],
    objective: Objective,
    *,
    steps: int = INTEGRATION_STEPS,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Integrated gradients as they are, (N, 1, H, W); they sum to the change of the score.

    The path runs from the blurred baseline to the picture; see `integrated_gradients`.
    """
    with torch.inference_mode(mode=False):
        images, *others = (outside_inference_mode(tensor) for tensor in inputs)
        forward = _scored(network, objective)
        found: torch.Tensor = IntegratedGradients(forward).attribute(
            images.clone().requires_grad_(),
            baselines=blurred_head(images),
            additional_forward_args=tuple(others) or None,
            n_steps=steps,
            internal_batch_size=max(BATCH, len(images)),
        )
        with torch.no_grad():
            scores = forward(images, *others)
    return found.detach().float(), scores


def occlusion(
    network: nn.Module,
    inputs: Sequence[torch.Tensor],
    objective: Objective,
    *,
    window: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """How far the score falls when a square is replaced by its blurred self.

    Squares move by half their side; a pixel's heat is the mean fall over the squares that cover
    it, 0 where the score rises.

    Args:
        network: In evaluation mode.
        inputs: As for `integrated_gradients`.
        objective: Score to explain.
        window: Side of the square in pixels.

    Returns:
        Maps (N, H, W), at least 0, in units of the score; and the scores, (N,).
    """
    with torch.inference_mode(mode=False), torch.no_grad():
        images, *others = (outside_inference_mode(tensor) for tensor in inputs)
        forward = _scored(network, objective)
        side = window or max(2, round(WINDOW_SHARE * max(images.shape[2:])))
        found: torch.Tensor = Occlusion(forward).attribute(
            images,
            sliding_window_shapes=(images.shape[1], side, side),
            strides=(images.shape[1], max(1, side // 2), max(1, side // 2)),
            baselines=blurred_head(images),
            additional_forward_args=tuple(others) or None,
            perturbations_per_eval=max(1, BATCH // len(images)),
        )
        scores = forward(images, *others)
    return F.relu(found.float().sum(dim=1)), scores


def _scored(network: nn.Module, objective: Objective) -> Callable[..., torch.Tensor]:
    def forward(*inputs: torch.Tensor) -> torch.Tensor:
        return objective(network(*inputs).float())

    return forward
