"""One door to all heatmap methods of a slice classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from brain_tumor.errors import InputError
from brain_tumor.explanation.heat.cam import CAM_RULES
from brain_tumor.explanation.heat.capture import layer_gradients, upsample
from brain_tumor.explanation.heat.guided import guided_backpropagation, guided_grad_cam
from brain_tumor.explanation.heat.perturbation import integrated_gradients, occlusion


class HeatMethod(StrEnum):
    """How a heatmap is made."""

    GRADCAM_PLUS_PLUS = "gradcam++"
    GRADCAM = "gradcam"
    LAYERCAM = "layercam"
    INTEGRATED_GRADIENTS = "integrated_gradients"
    OCCLUSION = "occlusion"
    GUIDED_GRADCAM = "guided_gradcam"
    GUIDED_BACKPROPAGATION = "guided_backpropagation"


DEFAULT_METHOD = HeatMethod.GRADCAM_PLUS_PLUS


_PIXEL_RULES = {
    HeatMethod.INTEGRATED_GRADIENTS: integrated_gradients,
    HeatMethod.OCCLUSION: occlusion,
    HeatMethod.GUIDED_BACKPROPAGATION: guided_backpropagation,
}


@dataclass(frozen=True)
class ClassTarget:
    """What a heatmap explains: a class, or a class against another one.

    Attributes:
        index: Class whose logit is explained.
        against: Class whose logit is taken off, or None.
    """

    index: int
    against: int | None = None

    def score(self, logits: torch.Tensor) -> torch.Tensor:
        """Score of every sample, shape (N,), of logits (N, classes).

        Raises:
            InputError: If there is no such class.
        """
        classes = logits.shape[1]
        for index in (self.index, self.against):
            if index is not None and not 0 <= index < classes:
                raise InputError(f"target names class {index}; the network has {classes} classes")
        own = logits[:, self.index]
        return own if self.against is None else own - logits[:, self.against]


@dataclass(frozen=True, eq=False)
class SliceHeatmaps:
    """Raw heat of every slice of a batch.

    Attributes:
        maps: Shape (N, H, W), float32, at least 0; not scaled, so slices can be compared.
        scores: What was explained, of every slice, shape (N,).
        method: How the maps were made.
        target: What they explain.
    """

    maps: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    method: HeatMethod
    target: ClassTarget


def explain_slices(
    network: nn.Module,
    layer: nn.Module,
    inputs: Sequence[torch.Tensor],
    target: ClassTarget,
    method: HeatMethod = DEFAULT_METHOD,
    *,
    bf16: bool = False,
) -> SliceHeatmaps:
    """Heat of every slice at the pixels of the network's input; thread-safe.

    Args:
        network: In evaluation mode; `network(*inputs)` gives logits (N, classes).
        layer: Sub-module that class-activation maps read, guided ones too; not used by the others.
        inputs: Slices (N, 1, H, W) first, then whatever else the network takes, batch first.
        target: What to explain.
        method: How.
        bf16: Run class-activation maps in bfloat16.

    Raises:
        ModelError: See `layer_gradients`.
        InputError: If the target is not a class of the network.
    """
    if method.value in CAM_RULES:
        (found,) = layer_gradients(network, layer, inputs, [target.score], bf16=bf16)
        coarse = CAM_RULES[method.value](found.activations, found.gradients)
        maps, scores = upsample(coarse, inputs[0].shape[2:]), found.scores
    elif method is HeatMethod.GUIDED_GRADCAM:
        maps, scores = guided_grad_cam(network, layer, inputs, target.score)
    else:
        maps, scores = _PIXEL_RULES[method](network, inputs, target.score)
    return SliceHeatmaps(maps.numpy(), scores.numpy(), method, target)
