"""Deletion and insertion: does the score follow the heat?

Hot pixels are taken out of a slice (deletion) or put into its blurred baseline (insertion), hottest
first, and the score is read after every step. Only the head counts; taking out air shows nothing.
What is replaced melts into its surroundings (see `heat.baseline`): sharp holes would be
findings of their own.

The score is the log-odds of the target: unlike a probability it does not saturate. It is scaled so
that the untouched slice is 1 and the blurred one 0: the share of the decision that is left.

References:
    Petsiuk et al. 2018, arXiv:1806.07421 (deletion and insertion).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from brain_tumor.errors import InputError
from brain_tumor.explanation.heat.baseline import (
    blurred_head,
    gaussian_blur,
    head_mask,
)
from brain_tumor.explanation.heat.capture import upsample
from brain_tumor.explanation.heat.methods import ClassTarget

Score = Callable[[torch.Tensor], torch.Tensor]
"""From versions of one slice, (N, 1, H, W), to logits (N, classes); everything else is fixed."""
Curve = npt.NDArray[np.float64]

STEPS = 20
HEAT_STEPS = 20
"""Heat is ordered in steps of a twentieth of the hottest pixel.

Less than that no reader sees; at the rim of a map it is noise of the enlarged layer. With fine
steps that noise, not the map, would order most of the head, and every map would lose to a blob.
"""
WIDE_SHARE = 0.3
"""Blur that orders pixels of equal heat, as a share of the longer side."""
BATCH = 24
BLOB_SHARE = 0.15
"""Standard deviation of the centre blob over the longer side of the slice."""


@dataclass(frozen=True, eq=False)
class PerturbationCurves:
    """Log-odds of the target while one map's pixels are taken out or put in.

    Attributes:
        shares: Share of the head that is replaced or put in, rising from 0 to 1.
        deletion: Log-odds after taking out; starts at the slice, ends at its baseline.
        insertion: Log-odds after putting in; starts at the baseline, ends at the slice.
    """

    shares: Curve
    deletion: Curve
    insertion: Curve

    @property
    def effect(self) -> float:
        """Log-odds that the slice has over its baseline: what there is to explain."""
        return float(self.deletion[0] - self.deletion[-1])

    def __add__(self, other: PerturbationCurves) -> PerturbationCurves:
        """Curves of two slices of a case together: log-odds add up."""
        return PerturbationCurves(
            self.shares, self.deletion + other.deletion, self.insertion + other.insertion
        )

    @property
    def deletion_auc(self) -> float:
        """Mean share of the decision left while deleting; low is good."""
        return self._area(self.deletion)

    @property
    def insertion_auc(self) -> float:
        """Mean share of the decision won while inserting; high is good."""
        return self._area(self.insertion)

    @property
    def gain(self) -> float:
        """Insertion less deletion: 0 for a map that says nothing, towards 1 for the best."""
        return self.insertion_auc - self.deletion_auc

    def _area(self, curve: Curve) -> float:
        if self.effect == 0:
            return 0.0
        left = (curve - self.deletion[-1]) / self.effect
        return float(np.diff(self.shares) @ (left[1:] + left[:-1]) / 2)


def perturbation_curves(
    score: Score,
    image: torch.Tensor,
    heats: Sequence[npt.NDArray[np.float32]],
    target: ClassTarget,
    *,
    steps: int = STEPS,
) -> list[PerturbationCurves]:
    """Deletion and insertion curves of several maps of one slice.

    Steps are finer for small shares: step n of N replaces (n / N)^2 of the head.

    Args:
        score: See `Score`.
        image: The slice, (1, H, W).
        heats: Maps to test, each (H, W).
        target: What the maps explain.
        steps: Number of steps, at least 2.

    Returns:
        One result per map; all share their first and last point.

    Raises:
        InputError: If a map does not have the slice's size or the slice shows no head.
    """
    if steps < 2:
        raise InputError(f"{steps} steps; expected at least 2")
    picture = image[None].float()
    head = head_mask(picture)[0, 0]
    pixels = int(head.sum())
    if pixels == 0:
        raise InputError("the slice shows no head, so no heat can be tested on it")
    baseline = blurred_head(picture)
    versions = [picture, baseline]
    counts = [round(pixels * (step / steps) ** 2) for step in range(1, steps)]
    for heat in heats:
        rank = _hottest_first(torch.as_tensor(np.array(heat)), head)
        for count in counts:
            hot = rank < count
            versions.append(torch.where(hot, baseline, picture))
            versions.append(torch.where(hot, picture, baseline))
    odds = _log_odds(score, torch.cat(versions), target)
    full, blank, rest = odds[0], odds[1], odds[2:].reshape(len(heats), steps - 1, 2)
    shares = np.array([0, *counts, pixels]) / pixels
    return [
        PerturbationCurves(
            shares,
            np.concatenate([[full], own[:, 0], [blank]]),
            np.concatenate([[blank], own[:, 1], [full]]),
        )
        for own in rest
    ]


def random_heat(
    size: tuple[int, int], cells: tuple[int, int], seed: int
) -> npt.NDArray[np.float32]:
    """A map that knows nothing, as smooth as one made from a layer with so many cells."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand((1, *cells), generator=generator)
    return np.asarray(upsample(noise, size)[0].numpy(), dtype=np.float32)


def centre_blob(image: torch.Tensor) -> npt.NDArray[np.float32]:
    """A Gaussian in the middle of the head: what a map is worth that only knows where heads are.

    Args:
        image: The slice, (1, H, W).
    """
    head = head_mask(image[None].float())[0, 0].numpy()
    rows, columns = np.indices(head.shape)
    centre = np.argwhere(head).mean(axis=0) if head.any() else (np.array(head.shape) - 1) / 2
    sigma = BLOB_SHARE * max(head.shape)
    distance = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2
    return np.asarray(np.exp(-0.5 * distance / sigma**2), dtype=np.float32)


def _hottest_first(heat: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    """Rank of every pixel, 0 the hottest of the head; pixels of the air come last."""
    if heat.shape != head.shape:
        raise InputError(f"heat has shape {tuple(heat.shape)}; the slice has {tuple(head.shape)}")
    key = torch.where(head, _unique_heat(heat), -torch.inf)
    order = key.flatten().argsort(descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    rank = rank.reshape(head.shape)
    return torch.where(head, rank, head.numel())


def _unique_heat(heat: torch.Tensor) -> torch.Tensor:
    """Heat in whole steps, and within a step how warm the wide surroundings are.

    Most of a good map is next to zero; without this, those pixels would go row by row from the top.
    """
    largest = heat.max().double()
    if largest <= 0:
        return torch.zeros_like(heat, dtype=torch.float64)
    wide = gaussian_blur(heat[None, None].float(), WIDE_SHARE * max(heat.shape))[0, 0].double()
    steps = (heat.double() / largest * HEAT_STEPS).round()
    return steps + wide / (2 * wide.max())


def _log_odds(score: Score, versions: torch.Tensor, target: ClassTarget) -> Curve:
    with torch.inference_mode():
        logits = torch.cat([score(part).float() for part in torch.split(versions, BATCH)])
        if target.against is not None:
            odds = target.score(logits)
        else:
            own = target.score(logits)
            others = [n for n in range(logits.shape[1]) if n != target.index]
            odds = own - logits[:, others].logsumexp(dim=1) if others else own
    return odds.double().numpy()
