"""Which segmentation model reads a case, and why."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection
from pathlib import Path

from brain_tumor.bundles import ModelVersion, combined_version
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.errors import ModelError
from brain_tumor.model_names import ModelName
from brain_tumor.segmentation.joint import JointSegmenter
from brain_tumor.segmentation.result import SegmentationResult, Segmenter
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter
from brain_tumor.segmentation.tumor_core.segmenter import TumorCoreSegmenter

logger = logging.getLogger(__name__)


class ChoosingSegmenter:
    """Sub-regions where more than one contrast is there, the undivided core on a lone t1c.

    Args:
        subregions: Reads any subset of t1, t1c, t2 and flair.
        core: Reads a lone t1c, with or without skull.
    """

    def __init__(self, subregions: Segmenter, core: Segmenter) -> None:
        self._subregions = subregions
        self._core = core

    @property
    def version(self) -> ModelVersion:
        """Both models as one: changes when either changes."""
        versions = (self._subregions.version, self._core.version)
        return combined_version(ModelName.SEGMENTATION.value, versions)

    def segment(self, case: Case, *, mirrored: bool = False) -> SegmentationResult:
        """Outline the tumour with the model that fits the case's sequences."""
        if case.present == (Sequence.T1C,):
            result = self._core.segment(case, mirrored=mirrored)
            reason = (
                "Only t1c is present, so oedema and the parts of the core cannot be told: "
                "the tumour-core model outlines the core as a whole."
            )
            return dataclasses.replace(result, reason=reason)
        return self._subregions.segment(case, mirrored=mirrored)


FindBundle = Callable[[str], Path]
"""From the name of a model to the folder of its bundle."""


def load_segmenter(models: Path) -> Segmenter:
    """The segmenter of a models folder.

    Args:
        models: Folder with the bundles `segmentation`, `whole_head` and `tumor_core`.

    Raises:
        ModelError: If a bundle is missing or damaged.
    """
    if not models.is_dir():
        raise ModelError(f"models folder '{models.name}' does not exist")
    held = segmenter_models([path.name for path in models.iterdir() if path.is_dir()])
    return compose_segmenter(lambda name: models / name, held)


def segmenter_models(names: Collection[str]) -> tuple[ModelName, ...]:
    """Models that a segmenter is made of; that of whole heads is left out with a warning.

    Args:
        names: Models that there are.
    """
    if ModelName.WHOLE_HEAD in names:
        return (ModelName.SEGMENTATION, ModelName.WHOLE_HEAD, ModelName.TUMOR_CORE)
    logger.warning(
        "the models folder has no model '%s': heads with skull are outlined badly, and nothing "
        "tells whether there is a tumour; use the models folder of this version",
        ModelName.WHOLE_HEAD,
    )
    return (ModelName.SEGMENTATION, ModelName.TUMOR_CORE)


def compose_segmenter(find: FindBundle, names: Collection[ModelName]) -> Segmenter:
    """The segmenter of some bundles.

    Args:
        find: Gives the folder of a model's bundle.
        names: From `segmenter_models`.

    Raises:
        ModelError: If a bundle is missing or damaged.
    """
    subregions: Segmenter = (
        JointSegmenter.load(find(ModelName.SEGMENTATION), find(ModelName.WHOLE_HEAD))
        if ModelName.WHOLE_HEAD in names
        else SubregionSegmenter.load(find(ModelName.SEGMENTATION))
    )
    return ChoosingSegmenter(subregions, TumorCoreSegmenter.load(find(ModelName.TUMOR_CORE)))
