"""What segmentation returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import nn

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.volume import Affine
from brain_tumor.labels import (
    SCHEME_REGIONS,
    IntegerArray,
    Label,
    LabelArray,
    LabelScheme,
    Region,
    region_mask,
)
from brain_tumor.segmentation.presence import Presence


@dataclass(frozen=True, eq=False)
class ClassProbabilities:
    """What a model thought of each tumour label, before anything was cleaned up.

    Attributes:
        labels: Tumour labels that the model tells apart.
        maps: Probability of each, shape (len(labels), I, J, K); the rest to 1 is background.
        affine: Voxel centres of the maps to RAS+ mm; the grid is the model's own.
    """

    labels: tuple[Label, ...]
    maps: npt.NDArray[np.float16]
    affine: Affine


@dataclass(frozen=True, eq=False)
class SegmentationResult:
    """A labelmap on the reference grid and how it came about.

    Attributes:
        labelmap: Label values, shape of the case, uint8.
        scheme: Which label values the labelmap may hold.
        model: Model that made it.
        reason: One sentence: why this model was chosen.
        uncertainty: Doubt of the model before any clean-up, voxel by voxel on the reference grid:
            entropy of its labels in bits, at most 1. So 1 is an even choice between two labels,
            whatever number of labels the model tells apart. None if the model gives none.
        volumes_ml: Millilitres per region of the scheme.
        timings_s: Seconds per stage.
        warnings: Sentences that a reader must see first.
        probabilities: Of each tumour label, or None if the model gives none.
        network: What told the sub-regions, for whoever explains the outline; shared, so neither
            changed nor trained. None where sub-regions were not told by one network.
        presence: Whether there is a tumour at all, or None if the model does not tell. Where it
            says no, the labelmap is empty and the probabilities are as the model has them.
        helpers: Models that took part beside `model`.
    """

    labelmap: LabelArray
    scheme: LabelScheme
    model: ModelVersion
    reason: str
    volumes_ml: Mapping[Region, float]
    uncertainty: npt.NDArray[np.float32] | None = None
    timings_s: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    probabilities: ClassProbabilities | None = None
    network: nn.Module | None = None
    presence: Presence | None = None
    helpers: tuple[ModelVersion, ...] = ()

    @property
    def models(self) -> tuple[ModelVersion, ...]:
        """Every model that took part, the one that is named first."""
        return (self.model, *self.helpers)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        total = self.labelmap.nbytes
        if self.uncertainty is not None:
            total += self.uncertainty.nbytes
        if self.probabilities is not None:
            total += self.probabilities.maps.nbytes
        return int(total)


def duration_s(timings_s: Mapping[str, float]) -> float:
    """Seconds of all stages: their `total` where it was noted, else their sum."""
    return float(timings_s.get("total", sum(timings_s.values())))


class Segmenter(Protocol):
    """Anything that outlines the tumour of a case."""

    @property
    def version(self) -> ModelVersion:
        """Model behind this segmenter; part of every cache key."""

    def segment(self, case: Case, *, mirrored: bool = False) -> SegmentationResult:
        """Outline the tumour; thread-safe.

        Args:
            case: Any case.
            mirrored: Average with the left-right mirrored case, also where the model would not of
                itself: twice the network's time.
        """


def region_volumes_ml(
    labelmap: IntegerArray,
    spacing_mm: tuple[float, float, float],
    scheme: LabelScheme = LabelScheme.SUBREGIONS,
) -> dict[Region, float]:
    """Volume of each region of a scheme.

    Args:
        labelmap: Integer labels, shape (I, J, K), values from `Label`.
        spacing_mm: Voxel size along I, J, K in mm.
        scheme: Scheme of the labelmap; decides which regions can be told.

    Returns:
        Millilitres per region; regions nest, so WT >= TC >= ET.

    References:
        Menze et al. 2015, doi:10.1109/TMI.2014.2377694 (region definitions).

    Example:
        >>> box = np.full((10, 20, 30), 3, dtype=np.uint8)
        >>> region_volumes_ml(box, (1.0, 2.0, 0.5))[Region.ET]
        6.0
    """
    voxel_ml = spacing_mm[0] * spacing_mm[1] * spacing_mm[2] / 1000.0
    return {
        region: float(np.count_nonzero(region_mask(labelmap, region)) * voxel_ml)
        for region in SCHEME_REGIONS[scheme]
    }
