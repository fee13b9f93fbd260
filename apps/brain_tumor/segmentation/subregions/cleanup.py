"""Clean-up of sub-region labels: stray components and implausible enhancement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.errors import ModelError
from brain_tumor.labels import Label, LabelArray

CONNECTIVITY = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class EnhancementRule:
    """Which enhancement of a patient is believed.

    A network that is asked for enhancement finds a little of it in tumours without, and is not
    sure of it anywhere.

    Attributes:
        smallest_ml: Least volume in all.
        least_probability: Least mean probability of the voxels outlined as enhancing.
    """

    smallest_ml: float = 0.0
    least_probability: float = 0.0

    def believes(self, volume_ml: float, probability: float) -> bool:
        """Whether enhancement of a volume and a mean probability is believed.

        Example:
            >>> EnhancementRule(0.5, 0.6).believes(3.0, 0.55)
            False
        """
        return volume_ml >= self.smallest_ml and probability >= self.least_probability


@dataclass(frozen=True)
class CleanUpRule:
    """Rule for stray pieces; part of a bundle's metadata.

    The defaults were set beforehand, not tuned; `training.subregions.enhancing_rule` and
    `training.subregions.oedema_rule` choose the last three for a bundle.

    Attributes:
        smallest_component_ml: A component of the whole tumour under this volume is removed,
            unless it is the largest.
        least_peak: A component whose highest tumour probability stays under this is removed.
        smallest_enhancing_ml: Enhancing tumour under this volume in all becomes necrotic core.
        least_enhancing_probability: Enhancing tumour whose voxels are on average less likely to
            be it becomes necrotic core, too.
        smallest_oedema_ml: A component of oedema alone under this volume is removed, unless it is
            the largest or no component holds any core.
    """

    smallest_component_ml: float = 0.1
    least_peak: float = 0.7
    smallest_enhancing_ml: float = 0.05
    least_enhancing_probability: float = 0.0
    smallest_oedema_ml: float = 0.0

    @property
    def enhancement(self) -> EnhancementRule:
        """What is believed of the enhancement."""
        return EnhancementRule(self.smallest_enhancing_ml, self.least_enhancing_probability)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> CleanUpRule:
        """Rule of a bundle.

        Raises:
            ModelError: If the rule has unknown or non-numeric entries.
        """
        try:
            return cls(**{str(k): float(v) for k, v in metadata.get("clean_up", {}).items()})
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"clean_up of the metadata is unusable: {error}") from error


def clean_up(
    labels: LabelArray,
    tumour_probability: npt.NDArray[np.float32],
    voxel_ml: float,
    rule: CleanUpRule,
    *,
    enhancing_probability: npt.NDArray[np.float32] | None = None,
) -> LabelArray:
    """Remove stray components and enhancement that is not to be believed.

    Args:
        labels: Label values, shape (I, J, K).
        tumour_probability: Probability of any tumour label, same shape.
        voxel_ml: Volume of a voxel in mL.
        rule: Thresholds.
        enhancing_probability: Probability of enhancing tumour, same shape; 1 if not given.

    Returns:
        New labels.
    """
    cleaned = labels.copy()
    found = ndimage.find_objects(np.asarray(cleaned > 0, dtype=np.uint8))
    if not found:
        return cleaned
    box = found[0]
    part = cleaned[box]  # a view: changing it changes the result
    components, count = ndimage.label(part > 0, structure=CONNECTIVITY)
    sizes = np.bincount(components.ravel(), minlength=count + 1)[1:] * voxel_ml
    peaks = ndimage.maximum(tumour_probability[box], components, index=np.arange(1, count + 1))
    kept = np.asarray(peaks) >= rule.least_peak
    largest = sizes == sizes.max()
    kept &= (sizes >= rule.smallest_component_ml) | largest
    has_core = np.zeros(count + 1, dtype=bool)
    has_core[components[np.isin(part, (Label.NCR, Label.ET))]] = True
    if has_core.any():
        kept &= has_core[1:] | (sizes >= rule.smallest_oedema_ml) | largest
    part[~np.concatenate([[True], kept])[components]] = Label.BACKGROUND
    enhancing = part == Label.ET
    if enhancing.any():
        likely = enhancing_probability
        mean = 1.0 if likely is None else float(likely[box][enhancing].mean(dtype=np.float64))
        if not rule.enhancement.believes(np.count_nonzero(enhancing) * voxel_ml, mean):
            part[enhancing] = Label.NCR
    return cleaned
