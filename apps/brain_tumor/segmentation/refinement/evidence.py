"""What images and model say about every voxel, on the working grid.

Kept per case, so that a click costs neither the network nor another preprocessing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.interpolation import interpolate
from brain_tumor.cases.grid.preprocessing import BoolArray, to_working_grid
from brain_tumor.cases.volume import Affine, ScalarArray
from brain_tumor.labels import SCHEME_LABELS, Label, LabelArray
from brain_tumor.segmentation.result import ClassProbabilities, SegmentationResult

SMOOTHING_VOXELS = 0.7
LEAST_PROBABILITY = 1e-3
TRUST = 0.9
"""Probability given to the label of a model that returns no probabilities."""

Box = tuple[slice, slice, slice]
HalfArray = npt.NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Images and probabilities of a case on the working grid.

    Attributes:
        channels: z-scores of the sequences present, shape (S, I, J, K).
        tumour: Probability of each tumour label that the model tells apart, shape (I, J, K) each.
        foreground: Head or brain, shape (I, J, K).
        affine: Voxel centres to RAS+ mm; axes along R, A and S.
    """

    channels: HalfArray
    tumour: Mapping[Label, HalfArray]
    foreground: BoolArray
    affine: Affine

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        arrays = (self.channels, self.foreground, *self.tumour.values())
        return int(sum(array.nbytes for array in arrays))

    def intensities(self, box: Box) -> ScalarArray:
        """Smoothed z-scores of a box, shape (S, ...)."""
        part = self.channels[(slice(None), *box)].astype(np.float32)
        sigma = (0.0, SMOOTHING_VOXELS, SMOOTHING_VOXELS, SMOOTHING_VOXELS)
        return np.asarray(ndimage.gaussian_filter(part, sigma), dtype=np.float32)

    def log_probabilities(self, box: Box) -> ScalarArray:
        """Natural logarithm of the probability of each `Label` in a box, shape (5, ...).

        It is at least log(0.001).
        """
        part = {label: p[box].astype(np.float32) for label, p in self.tumour.items()}
        shared = np.stack(share_out(part, self.foreground[box].shape))
        return np.asarray(np.log(np.clip(shared, LEAST_PROBABILITY, 1.0)), dtype=np.float32)

    def likeliest(
        self, voxel: npt.NDArray[np.intp], affine: Affine, among: Collection[Label]
    ) -> Label:
        """Label that the model finds likeliest at a voxel; of equals, the first by value.

        Args:
            voxel: Index on the grid of the case.
            affine: Voxel centres of that grid to RAS+ mm.
            among: Labels to choose from, at least one.
        """
        i, j, k = self.nearest(voxel[None], affine)[0].tolist()
        log_p = self.log_probabilities((slice(i, i + 1), slice(j, j + 1), slice(k, k + 1)))
        return max(sorted(among), key=lambda label: float(log_p[label, 0, 0, 0]))

    def nearest(self, voxels: npt.NDArray[np.intp], affine: Affine) -> npt.NDArray[np.intp]:
        """Working-grid indices, shape (M, 3), nearest to voxels of a case, without repeats."""
        to_working = np.linalg.inv(self.affine) @ affine
        index = np.rint(voxels @ to_working[:3, :3].T + to_working[:3, 3]).astype(np.intp)
        inside = np.clip(index, 0, np.array(self.foreground.shape) - 1)
        return np.asarray(np.unique(inside, axis=0))


def gather_evidence(case: Case, result: SegmentationResult) -> Evidence:
    """Evidence of a case that a model has read.

    Raises:
        VolumeError: If the reference volume is empty or no head.
    """
    working = to_working_grid(case)
    shape = (working.foreground.shape[0], working.foreground.shape[1], working.foreground.shape[2])
    if result.probabilities is None:
        own = sample_nearest(result.labelmap, case.affine, working.affine, shape)
        labels = SCHEME_LABELS[result.scheme]
        tumour = {label: (TRUST * (own == label)).astype(np.float16) for label in labels}
    else:
        tumour = _on_grid(result.probabilities, working.affine, shape)
    channels = torch.from_numpy(working.channels[np.array(working.present)]).half().numpy()
    return Evidence(channels, tumour, working.foreground, working.affine)


def share_out(
    tumour: Mapping[Label, ScalarArray], shape: tuple[int, ...]
) -> tuple[ScalarArray, ScalarArray, ScalarArray, ScalarArray, ScalarArray]:
    """Probability of every `Label`, also of those that the model does not tell apart.

    An annotator may divide a core that the model sees as one, or the reverse: a model of the
    undivided core gives half of its probability to each of necrotic and enhancing core, and half
    of the background to oedema; a model of sub-regions gives their sum to the core. The shares
    therefore overlap: a labelmap holds the core or its parts, never both.

    Args:
        tumour: Probability of each tumour label that the model knows.
        shape: Shape of each of them.
    """
    nothing = np.zeros(shape, dtype=np.float32)
    given = {label: np.asarray(tumour.get(label, nothing), dtype=np.float32) for label in Label}
    parts, core = given[Label.NCR] + given[Label.ET], given[Label.CORE]
    background = np.clip(1.0 - parts - given[Label.ED] - core, 0.0, 1.0)
    if Label.CORE not in tumour:
        return background, given[Label.NCR], given[Label.ED], given[Label.ET], parts
    return background, core / 2, background / 2, core / 2, core


def sample_nearest(
    labels: LabelArray, affine: Affine, target: Affine, shape: tuple[int, int, int]
) -> LabelArray:
    """Label of the nearest voxel for every voxel of another grid; background outside.

    Args:
        labels: Label values, shape (I, J, K).
        affine: Their voxel centres to mm.
        target: Voxel centres of the result to mm.
        shape: Shape of the result.
    """
    voxel = np.linalg.inv(affine) @ target
    index = np.tensordot(voxel[:3, :3], np.indices(shape), axes=1) + voxel[:3, 3].reshape(
        3, 1, 1, 1
    )
    nearest = np.rint(index).astype(np.intp)
    limit = np.array(labels.shape).reshape(3, 1, 1, 1)
    inside = ((nearest >= 0) & (nearest < limit)).all(axis=0)
    i, j, k = np.clip(nearest, 0, limit - 1)
    return np.where(inside, labels[i, j, k], np.uint8(0))


def _on_grid(
    known: ClassProbabilities, affine: Affine, shape: tuple[int, int, int]
) -> dict[Label, HalfArray]:
    maps = torch.from_numpy(known.maps).float()
    sampled = interpolate(maps, known.affine, affine, shape).half().numpy()
    return dict(zip(known.labels, sampled, strict=True))
