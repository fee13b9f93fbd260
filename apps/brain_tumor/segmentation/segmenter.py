"""Which segmentation model reads a case, and why."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from brain_tumor.bundles import ModelVersion, combined_version
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.errors import ModelError
from brain_tumor.model_names import ModelName
from brain_tumor.segmentation.joint import JointSegmenter
from brain_tumor.segmentation.result import SegmentationResult, Segmenter
from brain_tumor.segmentation.tumor_core.segmenter import TumorCoreSegmenter


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


def load_segmenter(models: Path) -> Segmenter:
    """The segmenter of a models folder.

    Args:
        models: Folder with the bundles `segmentation`, `whole_head` and `tumor_core`.

    Raises:
        ModelError: If a bundle is missing or damaged.
    """
    if not models.is_dir():
        raise ModelError(f"models folder '{models.name}' does not exist")
    return ChoosingSegmenter(
        JointSegmenter.load(models / ModelName.SEGMENTATION, models / ModelName.WHOLE_HEAD),
        TumorCoreSegmenter.load(models / ModelName.TUMOR_CORE),
    )
