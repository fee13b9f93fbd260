"""How far a stroke speaks for the voxels around it.

A voxel is claimed for the label of a stroke by a logistic score of four things: how easily it is
reached from the stroke through tissue that looks the same, how different it looks, how likely the
model finds the stroke's label there rather than the current one, and how surprised the model is by
the stroke. A stroke that the model finds unlikely says that the model errs here, so it reaches
further through similar tissue.

References:
    Criminisi et al. 2008, doi:10.1007/978-3-540-88682-2_9 (geodesic distance for interactive
    segmentation); Wang et al. 2019, doi:10.1109/TPAMI.2018.2840695 (DeepIGeoS: clicks as geodesic
    distances that correct a network). Departure: distances enter a fitted score, not a network.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.graph import MCP_Geometric

from brain_tumor.cases.volume import Affine, ScalarArray, spacing_from_affine
from brain_tumor.labels import Label, LabelArray
from brain_tumor.segmentation.refinement.evidence import Box, Evidence

REACH_MM = 30.0
"""No voxel further than this from a stroke is changed by it."""
COST_OF_INTENSITY = 2.0
COST_OF_PROBABILITY = 0.5
FURTHEST_COST_MM = 150.0
NEAR_MM = 20.0
FLOOR = -20.0
"""Score of voxels that a stroke cannot reach."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ClaimWeights:
    """Weights of the score; see `python -m brain_tumor.segmentation.refinement.fit`.

    Attributes:
        constant: Score of nothing at all.
        log_path: Per unit of log(1 + path), path in mm-equivalents.
        near: Times exp(-path / 20 mm).
        difference: Per standard deviation of mean intensity difference to the stroke.
        log_probability: Per unit of the log-probability of the stroke's label.
        odds: Per unit of log-odds of the stroke's label against the current one.
        surprise: Per unit of log-odds, at the stroke, of its label against the likeliest one.
        surprise_log_path: The same times log(1 + path).
        negative: Added for a stroke that removes tumour.
        negative_log_path: Added for such a stroke, times log(1 + path).
    """

    constant: float = 1.144
    log_path: float = -0.189
    near: float = 2.828
    difference: float = -0.415
    log_probability: float = 0.791
    odds: float = 0.139
    surprise: float = -0.843
    surprise_log_path: float = 0.124
    negative: float = -1.408
    negative_log_path: float = 0.291


@dataclass(frozen=True, eq=False)
class Surroundings:
    """A stroke and what lies around it, on a box of the working grid.

    Attributes:
        label: Label of the stroke.
        affine: Voxel centres of the box to RAS+ mm.
        path_mm: Length of the easiest path from the stroke, each mm made longer by how different
            the tissue looks; `FURTHEST_COST_MM` at most.
        difference: Mean absolute difference of intensities to the stroke.
        log_probabilities: Of each `Label`, shape (5, ...).
        surprise: Log-odds of the stroke's label against the likeliest one at the stroke, <= 0.
        within: Voxels in reach.
    """

    label: Label
    affine: Affine
    path_mm: ScalarArray
    difference: ScalarArray
    log_probabilities: ScalarArray
    surprise: float
    within: BoolArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the box."""
        i, j, k = self.within.shape
        return i, j, k


def reachable_box(evidence: Evidence, voxels: npt.NDArray[np.intp]) -> tuple[Box, Affine]:
    """Part of the working grid that a stroke can change, and the affine of that part.

    Args:
        evidence: Of the case.
        voxels: Working-grid indices of the stroke, shape (N, 3).
    """
    box = _box(voxels, spacing_from_affine(evidence.affine), evidence.foreground.shape)
    start = np.eye(4)
    start[:3, 3] = [s.start for s in box]
    return box, evidence.affine @ start


def explore(
    evidence: Evidence, tumour: BoolArray, voxels: npt.NDArray[np.intp], label: Label
) -> Surroundings:
    """Look around a stroke.

    Args:
        evidence: Of the case.
        tumour: What is tumour now, in `reachable_box`; passable also outside the foreground.
        voxels: Working-grid indices of the stroke, shape (N, 3).
        label: Its label.
    """
    spacing = spacing_from_affine(evidence.affine)
    box, affine = reachable_box(evidence, voxels)
    low = np.array([s.start for s in box])
    seeds = np.unique(voxels - low, axis=0)
    at = (slice(None), *seeds.T)
    intensities, log_p = evidence.intensities(box), evidence.log_probabilities(box)
    here = intensities[at].mean(axis=1)
    apart = np.abs(intensities - here[:, None, None, None])
    mean_log_p = log_p[at].mean(axis=1)
    unlike = np.abs(log_p - mean_log_p[:, None, None, None]).max(axis=0)
    distance_mm = _distance_mm(seeds, apart.shape[1:], spacing)
    within = distance_mm <= REACH_MM - max(spacing)  # interpolation spreads by one voxel
    passable = within & (evidence.foreground[box] | tumour)
    passable[tuple(seeds.T)] = True
    cost = 1.0 + COST_OF_INTENSITY * apart.max(axis=0) + COST_OF_PROBABILITY * unlike
    cost[tuple(seeds.T)] = 1.0
    path = MCP_Geometric(np.where(passable, cost, -1.0), sampling=spacing).find_costs(
        seeds.tolist()
    )[0]
    return Surroundings(
        label=label,
        affine=affine,
        path_mm=np.minimum(path, FURTHEST_COST_MM).astype(np.float32),
        difference=apart.mean(axis=0),
        log_probabilities=log_p,
        surprise=float(mean_log_p[int(label)] - mean_log_p.max()),
        within=passable,
    )


def score(
    around: Surroundings, current: LabelArray, weights: ClaimWeights | None = None
) -> ScalarArray:
    """Log-odds that voxels have the label of a stroke rather than their current one.

    Args:
        around: Stroke and its surroundings.
        current: Labels now, shape of the box.
        weights: Of the score.

    Returns:
        float32, shape of the box; `FLOOR` out of reach.
    """
    constant, *slopes = astuple(weights or ClaimWeights())
    total = constant + np.tensordot(np.array(slopes, np.float32), terms(around, current), axes=1)
    return np.where(around.within, np.maximum(total, FLOOR), FLOOR).astype(np.float32)


def terms(around: Surroundings, current: LabelArray) -> ScalarArray:
    """What the score weighs, in the order of `ClaimWeights` after the constant.

    Args:
        around: Stroke and its surroundings.
        current: Labels now, shape of the box.

    Returns:
        Shape (9, ...).
    """
    log_path = np.log1p(around.path_mm)
    wanted = around.log_probabilities[int(around.label)]
    now = np.take_along_axis(around.log_probabilities, current[None].astype(np.intp), axis=0)[0]
    is_negative = np.full_like(wanted, float(around.label == Label.BACKGROUND))
    return np.stack(
        [
            log_path,
            np.exp(-around.path_mm / NEAR_MM),
            around.difference,
            wanted,
            wanted - now,
            np.full_like(wanted, around.surprise),
            around.surprise * log_path,
            is_negative,
            is_negative * log_path,
        ]
    )


def _box(
    voxels: npt.NDArray[np.intp], spacing_mm: tuple[float, float, float], shape: tuple[int, ...]
) -> Box:
    margin = np.ceil(REACH_MM / np.array(spacing_mm)).astype(int)
    low = np.maximum(voxels.min(axis=0) - margin, 0)
    high = np.minimum(voxels.max(axis=0) + margin + 1, shape)
    return (
        slice(int(low[0]), int(high[0])),
        slice(int(low[1]), int(high[1])),
        slice(int(low[2]), int(high[2])),
    )


def _distance_mm(
    seeds: npt.NDArray[np.intp], shape: tuple[int, ...], spacing_mm: tuple[float, float, float]
) -> ScalarArray:
    away = np.ones(shape, dtype=bool)
    away[tuple(seeds.T)] = False
    distance = ndimage.distance_transform_edt(away, sampling=spacing_mm)
    return np.asarray(distance, dtype=np.float32)
