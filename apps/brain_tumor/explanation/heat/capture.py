"""Activations of one layer and the gradient of a score with respect to them.

The network is shared between threads and lives under a server that runs in inference mode. So a
forward hook only acts in the call that placed it, is taken away also after an error, and cuts the
graph at the layer: the layer's output becomes a leaf, gradients flow from the score to that leaf
and no further, and no parameter ever gets a `.grad`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import nn

from brain_tumor.devices import autocast, memory_watched
from brain_tumor.errors import InputError, ModelError

Objective = Callable[[torch.Tensor], torch.Tensor]
"""From the network's output to one score per sample, shape (N,)."""


@dataclass(frozen=True, eq=False)
class LayerGradients:
    """A layer's activations and the gradient of a score, both float32.

    Attributes:
        activations: Shape (N, C, *spatial).
        gradients: Derivative of each sample's score by its own activations; same shape.
        scores: The scores, shape (N,).
        output: What the network returned, without graph.
    """

    activations: torch.Tensor
    gradients: torch.Tensor
    scores: torch.Tensor
    output: torch.Tensor


@dataclass
class _Recording:
    activations: list[torch.Tensor] = field(default_factory=list)

    def only_activation(self) -> torch.Tensor:
        if len(self.activations) != 1:
            raise ModelError(
                f"the layer ran {len(self.activations)} times in one pass; expected once",
                remedy="Choose a layer of this network that runs once.",
            )
        return self.activations[0]


_RECORDING: ContextVar[_Recording | None] = ContextVar("recording", default=None)
"""The recording of the current call; other threads and other calls see another value."""

_PLACING = Lock()
"""torch numbers hooks without a lock: two placed at once could get one number, and one be lost."""


def layer_gradients(
    network: nn.Module,
    layer: nn.Module,
    inputs: Sequence[torch.Tensor],
    objectives: Sequence[Objective],
    *,
    bf16: bool = False,
) -> tuple[LayerGradients, ...]:
    """Gradients of several scores at one layer, from one forward pass.

    Args:
        network: In evaluation mode; no sample's score may depend on another sample.
        layer: Sub-module whose output is one tensor (N, C, *spatial); runs once a pass.
        inputs: Positional arguments of the network, the first dimension is the batch.
        objectives: Scores to explain; each maps the output to shape (N,).
        bf16: Run in bfloat16 autocast; scores are computed in float32.

    Returns:
        One result per objective.

    Raises:
        ModelError: If the network is in training mode, or the layer is not part of the pass, runs
            more than once or gives no tensor of features.
        InputError: If an objective does not give one score per sample.
    """
    if network.training:
        raise ModelError("the network is in training mode; explanations need it in evaluation mode")
    with torch.inference_mode(mode=False), torch.enable_grad():
        usable = [outside_inference_mode(tensor) for tensor in inputs]
        with memory_watched(), _recording(layer) as recording, autocast(bf16=bf16):
            output = network(*usable)
        leaf = recording.only_activation()
        results = []
        output = output.float()
        for number, objective in enumerate(objectives):
            score = objective(output)
            if score.shape != (len(leaf),):
                raise InputError(
                    f"objective gives shape {tuple(score.shape)}; expected ({len(leaf)},)"
                )
            last = number == len(objectives) - 1
            results.append(_result(leaf, score, output, keep_graph=not last))
    return tuple(results)


def outside_inference_mode(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, or a copy that may take part in gradients if it was made in inference mode."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()


@contextmanager
def _recording(layer: nn.Module) -> Iterator[_Recording]:
    """Record the layer's output for the calls made inside the block, by this thread only.

    What is recorded is a new leaf of the graph, and the network goes on from it.
    """
    own = _Recording()

    def record(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if _RECORDING.get() is not own:
            return None
        if not isinstance(output, torch.Tensor) or output.ndim < 3:
            raise ModelError(
                f"layer {type(layer).__name__} gives {_described(output)}; expected a tensor of "
                "features (N, C, *spatial)"
            )
        leaf = output.detach().requires_grad_()
        own.activations.append(leaf)
        return leaf.clone()  # operations in place after the layer must not write into the leaf

    with _PLACING:
        handle = layer.register_forward_hook(record)
    token = _RECORDING.set(own)
    try:
        yield own
    finally:
        _RECORDING.reset(token)
        with _PLACING:
            handle.remove()


def _result(
    leaf: torch.Tensor, score: torch.Tensor, output: torch.Tensor, *, keep_graph: bool
) -> LayerGradients:
    gradient = None
    if score.requires_grad:
        (gradient,) = torch.autograd.grad(
            score.sum(), leaf, retain_graph=keep_graph, allow_unused=True
        )
    if gradient is None:  # the score does not depend on the layer
        gradient = torch.zeros_like(leaf)
    return LayerGradients(
        leaf.detach().float().cpu(),
        gradient.float().cpu(),
        score.detach().float().cpu(),
        output.detach().cpu(),
    )


def _described(output: Any) -> str:
    if isinstance(output, torch.Tensor):
        return f"a tensor of shape {tuple(output.shape)}"
    return f"a {type(output).__name__}"


def upsample(maps: torch.Tensor, pixels: Sequence[int]) -> torch.Tensor:
    """Maps on the pixels of the input, linear between cell centres.

    Cells tile the input: with s pixels a cell, cell n is centred at (n + 1/2) s - 1/2. The padding
    of stride-2 convolutions puts the middle of a receptive field up to half a cell elsewhere, but
    networks that pool their features under a mask learn to put them where the mask's tiles are.
    Beyond the outermost cell centres the edge value holds.

    Args:
        maps: Shape (N, *cells), 2-D or 3-D.
        pixels: Size of the input.

    Returns:
        Shape (N, *pixels), float32. No value is above the largest of the map.

    Raises:
        InputError: If map and size have different dimensions.

    Example:
        >>> upsample(torch.tensor([[0.0, 4.0]]), (4,))
        tensor([[0., 1., 3., 4.]])
    """
    cells = tuple(maps.shape[1:])
    if len(cells) != len(pixels):
        raise InputError(f"map has {len(cells)} dimensions; the input has {len(pixels)}")
    result = maps.float()
    with torch.autocast("cpu", enabled=False):
        for axis, (count, size) in enumerate(zip(cells, pixels, strict=True), start=1):
            result = (result.movedim(axis, -1) @ _weights(count, size).T).movedim(-1, axis)
    return result.contiguous()


def _weights(cells: int, pixels: int) -> torch.Tensor:
    """Linear interpolation along one axis as a matrix of shape (pixels, cells)."""
    rows = np.arange(pixels)
    position = np.clip((rows + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    lower = np.minimum(position.astype(int), max(cells - 2, 0))
    share = position - lower
    weights = np.zeros((pixels, cells), dtype=np.float32)
    weights[rows, lower] = 1 - share
    if cells > 1:
        weights[rows, lower + 1] = share
    return torch.from_numpy(weights)
