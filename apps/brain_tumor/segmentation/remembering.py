"""A segmenter that does not outline the same case twice while the case is in memory."""

from __future__ import annotations

import threading
import weakref

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.segmentation.result import SegmentationResult, Segmenter


class RememberingSegmenter:
    """Keeps the last result of every case for as long as somebody holds the case.

    Segmentation, classification and explanation of one case are asked for one after the other;
    they share the outline through this.

    Args:
        segmenter: Does the work.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._lock = threading.Lock()
        self._kept: weakref.WeakKeyDictionary[Case, tuple[ModelVersion, SegmentationResult]] = (
            weakref.WeakKeyDictionary()
        )

    @property
    def version(self) -> ModelVersion:
        """Model behind the segmenter."""
        return self._segmenter.version

    def segment(self, case: Case, *, mirrored: bool = False) -> SegmentationResult:
        """Outline of the case by the present version; thread-safe. A mirrored one is not kept."""
        if mirrored:
            return self._segmenter.segment(case, mirrored=True)
        version = self._segmenter.version
        with self._lock:
            kept = self._kept.get(case)
        if kept is not None and kept[0] == version:
            return kept[1]
        result = self._segmenter.segment(case)
        if self._segmenter.version == version:  # else a switch came in between
            with self._lock:
                self._kept[case] = (version, result)
        return result
