"""Lesion cubes as cases to correct: for fitting the score and for measuring it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.labels import Label, LabelArray
from brain_tumor.segmentation.evaluation.data import CUBE_SPACING_MM, read_cubes
from brain_tumor.segmentation.refinement.evidence import Evidence
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter

T1, T1C, T2, FLAIR = MriSequence
SUBSETS = ((T1, T1C, T2, FLAIR), (T1C, FLAIR))
"""What the network is given in turn; a reduced set makes more of the errors that are corrected."""

AFFINE = np.diag([*CUBE_SPACING_MM, 1.0])
_TOLD_APART = (Label.NCR, Label.ED, Label.ET)


@dataclass(frozen=True, eq=False)
class CubeToCorrect:
    """A proposal with everything that is known about it.

    Attributes:
        patient: Whose.
        labels: Proposal.
        reference: Labels by experts.
        evidence: What images and network say.
        sequences: What the network was given.
    """

    patient: str
    labels: LabelArray
    reference: LabelArray
    evidence: Evidence
    sequences: tuple[MriSequence, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the cube."""
        i, j, k = self.labels.shape
        return i, j, k


def cubes_to_correct(
    segmenter: SubregionSegmenter,
    data: Path,
    fold: int,
    subsets: Sequence[tuple[MriSequence, ...]] = SUBSETS,
) -> Iterator[CubeToCorrect]:
    """Proposals for the cubes of a fold, once per subset of sequences.

    Raises:
        FileFormatError: If the data cannot be read.
    """
    for cube in read_cubes(data, fold):
        for sequences in subsets:
            image = cube.reduced(sequences)
            maps = segmenter.predict_probabilities(image)
            channels = image[[s in sequences for s in MriSequence]]
            evidence = Evidence(
                torch.from_numpy(channels).half().numpy(),
                {label: maps[int(label)].astype(np.float16) for label in _TOLD_APART},
                image.any(axis=0),
                AFFINE,
            )
            labels = np.asarray(maps.argmax(axis=0), dtype=np.uint8)
            yield CubeToCorrect(cube.patient, labels, cube.labels, evidence, sequences)
