"""Infidelity and sensitivity of heatmaps, by captum; few perturbations for every request.

References:
    Yeh et al. 2019, arXiv:1901.09392 (infidelity and max-sensitivity).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from captum.metrics import infidelity, sensitivity_max

from brain_tumor.errors import InputError
from brain_tumor.explanation.faithfulness.curves import BATCH, Score
from brain_tumor.explanation.heat.baseline import blurred_head, head_mask
from brain_tumor.explanation.heat.methods import ClassTarget

SQUARES = 32
SQUARE_SHARES = (0.1, 0.3)
"""Sides of the squares over the longer side of the slice."""
NOISE = 0.02
NOISE_DRAWS = 4

Explain = Callable[[torch.Tensor], torch.Tensor]
"""From slices (N, 1, H, W) to their raw heat (N, H, W)."""


def normalised_infidelity(
    score: Score,
    image: torch.Tensor,
    heat: npt.NDArray[np.float32],
    target: ClassTarget,
    *,
    squares: int = SQUARES,
    seed: int = 0,
) -> float:
    """How badly the heat in a square foretells what blurring the square costs.

    The heat of a square is the sum over its pixels, scaled as fits best over all squares; the mean
    squared error of the cost is divided by the mean squared cost. 0: every cost is foretold; 1:
    the map foretells nothing.

    Args:
        score: See `Score`.
        image: The slice, (1, H, W).
        heat: Its heat, (H, W).
        target: What the heat explains.
        squares: Number of random squares, each centred in the head.
        seed: Of the squares.

    Raises:
        InputError: If the slice shows no head.
    """
    picture = image[None].float()
    attributions = torch.as_tensor(np.array(heat, dtype=np.float32))[None, None]
    covers = _squares(picture, squares, seed)
    baseline = blurred_head(picture)
    batch = min(BATCH, squares)
    used = iter(torch.split(covers, batch))

    def perturb(versions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cover = next(used)
        return cover, torch.where(cover > 0, baseline, versions)

    known: list[torch.Tensor] = []

    def foresee(versions: torch.Tensor) -> torch.Tensor:
        known.append(target.score(score(versions).float()))
        return known[-1]

    def measured(forward: Score, attributed: torch.Tensor, *, normalize: bool) -> float:
        nonlocal used
        used = iter(torch.split(covers, batch))
        value = infidelity(
            forward,
            perturb,
            picture,
            attributed,
            n_perturb_samples=squares,
            max_examples_per_batch=batch,
            normalize=normalize,
        )
        return float(value)

    # a map of zeros foretells no cost: its infidelity is the mean squared cost itself
    cost = measured(foresee, torch.zeros_like(attributions), normalize=False)
    if cost <= 0:
        return 1.0
    again = iter(known)  # the same versions in the same order
    return measured(lambda _: next(again), attributions, normalize=True) / cost


def max_sensitivity(
    explain: Explain,
    image: torch.Tensor,
    *,
    noise: float = NOISE,
    draws: int = NOISE_DRAWS,
    seed: int = 0,
) -> float:
    """Largest relative change of the heat under noise that nobody would see.

    Args:
        explain: See `Explain`.
        image: The slice, (1, H, W).
        noise: Largest change of a pixel, in units of the slice (1 is about the contrast between
            tissues).
        draws: Number of noisy versions.
        seed: Of the noise.

    Returns:
        Norm of the change over the norm of the heat, the largest of the draws; 0 is steady.
    """
    generator = torch.Generator().manual_seed(seed)

    def perturb(versions: torch.Tensor, radius: float) -> torch.Tensor:
        change = torch.rand(versions.shape, generator=generator) * 2 - 1
        return versions + radius * change

    def explanation(versions: Any) -> tuple[torch.Tensor]:
        # captum gives a tuple for the slice and a tensor for its noisy versions
        return (explain(versions[0] if isinstance(versions, tuple) else versions),)

    found = sensitivity_max(
        explanation, image[None].float(), perturb, perturb_radius=noise, n_perturb_samples=draws
    )
    return float(found.max())


def _squares(picture: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Random squares around pixels of the head, 1 inside, shape (count, 1, H, W)."""
    places = torch.nonzero(head_mask(picture)[0, 0])
    if len(places) == 0:
        raise InputError("the slice shows no head, so no heat can be tested on it")
    generator = np.random.default_rng(seed)
    height, width = picture.shape[2:]
    covers = torch.zeros(count, 1, height, width)
    for cover in covers:
        row, column = places[int(generator.integers(len(places)))].tolist()
        half = int(max(height, width) * generator.uniform(*SQUARE_SHARES) / 2)
        cover[0, max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1] = 1
    return covers
