"""Sanity of a heatmap method: its maps have to depend on what the network has learnt.

A method whose maps stay the same when the network's weights are shuffled shows the picture, not
the network, and must not be the default.

References:
    Adebayo et al. 2018, arXiv:1810.03292 (model and label randomisation).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import nn

from brain_tumor.errors import InputError

ExplainNetwork = Callable[[nn.Module], npt.NDArray[np.float32]]
"""From a network (or a copy with other weights) to the raw heat of fixed slices, (N, H, W)."""

MAX_RANK_CORRELATION = 0.5
"""Between the maps of the network and those of its fully shuffled copy."""
STAGES = 6


@dataclass(frozen=True)
class RandomisationCheck:
    """How maps change while a network's weights are shuffled, from the output to the input.

    Attributes:
        stages: Name of the module up to which weights were shuffled, and the mean rank correlation
            of the maps with those of the intact network.
        passed: Whether shuffling everything changes the maps.
    """

    stages: tuple[tuple[str, float], ...]
    passed: bool


def cascading_randomisation(
    network: nn.Module, explain: ExplainNetwork, *, stages: int = STAGES, seed: int = 0
) -> RandomisationCheck:
    """Shuffle a copy of a network, layer by layer from the output on, and compare the maps.

    Shuffling permutes the values within each parameter, so that their distribution stays what it
    was. Layers are taken against the order in which the network registers them.

    Args:
        network: Stays as it is.
        explain: See `ExplainNetwork`.
        stages: How many times maps are compared.
        seed: Of the permutations.

    Raises:
        InputError: If the network has no weights.
    """
    shuffled = copy.deepcopy(network)
    named = [
        (name, module)
        for name, module in shuffled.named_modules()
        if any(p.numel() > 1 for p in module.parameters(recurse=False))
    ]
    if not named:
        raise InputError("the network has no weights that could be shuffled")
    original = explain(network)
    generator = torch.Generator().manual_seed(seed)
    stops = {round(s) for s in np.linspace(0, len(named), stages + 1)[1:]}
    found = []
    for done, (name, module) in enumerate(reversed(named), start=1):
        _shuffle(module, generator)
        if done in stops:
            found.append((name, mean_rank_correlation(original, explain(shuffled))))
    return RandomisationCheck(tuple(found), abs(found[-1][1]) <= MAX_RANK_CORRELATION)


def repeatability(explain: Callable[[], npt.NDArray[np.float32]]) -> float:
    """Largest difference between two runs, relative to the largest heat; 0 is repeatable."""
    first, second = explain(), explain()
    largest = float(np.abs(first).max())
    difference = float(np.abs(first - second).max())
    return difference / largest if largest > 0 else difference


def mean_rank_correlation(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """Mean Spearman correlation over slices; a map without contrast correlates with nothing.

    Args:
        first: Maps, (N, H, W).
        second: Maps of the same slices.

    Raises:
        InputError: If the shapes differ or there are no maps.
    """
    if first.shape != second.shape or len(first) == 0:
        raise InputError(f"maps have shapes {first.shape} and {second.shape}; expected equal ones")
    found = [_rank_correlation(a.ravel(), b.ravel()) for a, b in zip(first, second, strict=True)]
    return float(np.mean(found))


def _rank_correlation(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    a, b = (rankdata(values) - (values.size + 1) / 2 for values in (first, second))
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else 0.0


def _shuffle(module: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for parameter in module.parameters(recurse=False):
            order = torch.randperm(parameter.numel(), generator=generator)
            parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))
