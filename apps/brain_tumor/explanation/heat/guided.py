"""Guided backpropagation and guided Grad-CAM, through captum.

Captum guides the modules `nn.ReLU` of the network that it is given by hooks. Ours is shared between
threads and rectifies by functions, some of which (ReLU6) captum does not know. So captum gets a
shell with a rectifier of its own, and while the shell runs, each rectification of the network in
this thread goes through that: nothing is ever hooked onto the shared network, and every
rectification is guided.

Both methods show the picture's edges more than the network's reasons (Adebayo et al. 2018); the
sanity check of benchmarks/explanation_heat.py says how much here.

References:
    Springenberg et al. 2015, arXiv:1412.6806 (guided backpropagation);
    Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74 (guided Grad-CAM).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop
from torch import nn
from torch.overrides import TorchFunctionMode

from brain_tumor.explanation.heat.baseline import gaussian_blur
from brain_tumor.explanation.heat.cam import grad_cam
from brain_tumor.explanation.heat.capture import (
    Objective,
    layer_gradients,
    outside_inference_mode,
    upsample,
)
from brain_tumor.explanation.heat.perturbation import SMOOTHING_SHARE

# Captum tells that it places hooks: it does so on the shell below, and takes them away.
warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU activations")


class _Rectifier(nn.ReLU):
    """ReLU up to a largest value; a ReLU to captum, which guides its gradient."""

    def __init__(self, largest: float | None = None) -> None:
        super().__init__()
        self._largest = largest

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.clamp(0.0, self._largest)


class _Through(TorchFunctionMode):
    """Sends the rectifications of this thread through modules, each for a function."""

    def __init__(self, rectifiers: Mapping[Callable[..., Any], nn.Module]) -> None:
        super().__init__()
        self._rectifiers = rectifiers

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        rectifier = self._rectifiers.get(func)
        if rectifier is None or not args[0].requires_grad:
            return func(*args, **(kwargs or {}))
        # a view, because captum guides all that flows back into the tensor that it is given
        return rectifier(args[0].view_as(args[0]))


class _Shell(nn.Module):
    """A network's score with guided rectifications; the network is no part of it, so unhooked."""

    def __init__(self, network: nn.Module, objective: Objective) -> None:
        super().__init__()
        self._relu, self._relu6 = _Rectifier(), _Rectifier(6.0)
        self._score: Callable[..., torch.Tensor] = lambda *inputs: objective(
            network(*inputs).float()
        )

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        with _Through({F.relu: self._relu, F.relu6: self._relu6}):
            found = self._score(*inputs)
        return found


def guided_backpropagation(
    network: nn.Module, inputs: Sequence[torch.Tensor], objective: Objective
) -> tuple[torch.Tensor, torch.Tensor]:
    """Size of the guided gradients of the slices, smoothed.

    The size, because the score of a dark tumour rises where its pixels get darker.

    Args:
        network: In evaluation mode; rectifies by `nn.ReLU`, `nn.ReLU6` or their functions.
        inputs: Slices (N, 1, H, W) first, then the network's other inputs, which stay as they are.
        objective: Score to explain.

    Returns:
        Maps (N, H, W), at least 0, in units of the score per unit of the slice; and the scores,
        (N,).
    """
    gradients, scores = guided_gradients(network, inputs, objective)
    smooth = gaussian_blur(gradients.abs(), SMOOTHING_SHARE * max(gradients.shape[2:]))
    return smooth[:, 0], scores


def guided_grad_cam(
    network: nn.Module, layer: nn.Module, inputs: Sequence[torch.Tensor], objective: Objective
) -> tuple[torch.Tensor, torch.Tensor]:
    """Grad-CAM of a layer times `guided_backpropagation`: its fine grain, where the map is warm.

    Captum's own product would hook the shared network; the factors are the same, but for the
    smoothing.

    Args:
        network: See `guided_backpropagation`.
        layer: See `layer_gradients`.
        inputs: See `guided_backpropagation`.
        objective: Score to explain.

    Returns:
        Maps (N, H, W), at least 0; and the scores, (N,).
    """
    (found,) = layer_gradients(network, layer, inputs, [objective])
    coarse = upsample(grad_cam(found.activations, found.gradients), inputs[0].shape[2:])
    fine, scores = guided_backpropagation(network, inputs, objective)
    return coarse * fine, scores


def guided_gradients(
    network: nn.Module, inputs: Sequence[torch.Tensor], objective: Objective
) -> tuple[torch.Tensor, torch.Tensor]:
    """Guided gradients with their signs, (N, 1, H, W), and the scores, (N,)."""
    with torch.inference_mode(mode=False):
        images, *others = (outside_inference_mode(tensor) for tensor in inputs)
        found: torch.Tensor = GuidedBackprop(_Shell(network, objective)).attribute(
            images.clone().requires_grad_(), additional_forward_args=tuple(others) or None
        )
        with torch.no_grad():
            scores = objective(network(images, *others).float())
    return found.detach().float(), scores
