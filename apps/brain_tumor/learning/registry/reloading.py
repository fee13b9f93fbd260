"""A model in memory that follows the registry: loaded again when another version is promoted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.errors import ModelError, NotFoundError, TumorLensError
from brain_tumor.learning.registry.registry import ModelRegistry
from brain_tumor.segmentation.result import SegmentationResult, Segmenter
from brain_tumor.segmentation.segmenter import FindBundle, compose_segmenter, segmenter_models

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _Held(Generic[T]):
    """What is loaded, and when the registry said so."""

    stamp: Hashable
    paths: tuple[Path, ...]
    model: T


class ReloadingModel(Generic[T]):
    """Anything made of bundles, exchanged when the registry switches one of them.

    `current` returns one whole model. Who holds it keeps it: requests that run during a switch
    finish on the version that they started with.

    Args:
        registry: Says which version is active.
        names: Bundles that the model is made of.
        load: Makes the model; gets a function from a name to the bundle's folder.

    Raises:
        ModelError: If the active version cannot be loaded at the start.
        NotFoundError: If there is no bundle of a name.
    """

    def __init__(
        self, registry: ModelRegistry, names: tuple[str, ...], load: Callable[[FindBundle], T]
    ) -> None:
        self._registry = registry
        self._names = names
        self._load = load
        self._mutex = threading.Lock()
        self._held = self._make(registry.stamp(), self._paths())

    def current(self) -> T:
        """Model of the versions that are active now.

        A version that cannot be loaded is logged, and the one in memory goes on answering.
        """
        stamp = self._registry.stamp()
        if self._held.stamp != stamp:
            with self._mutex:
                if self._held.stamp != stamp:
                    self._held = self._follow(stamp)
        return self._held.model

    def _follow(self, stamp: Hashable) -> _Held[T]:
        """What to hold after a switch."""
        try:
            paths = self._paths()
            if paths != self._held.paths:
                return self._make(stamp, paths)
        except TumorLensError:
            logger.exception("a promoted version of %s cannot be loaded", " or ".join(self._names))
        return _Held(stamp, self._held.paths, self._held.model)

    def _paths(self) -> tuple[Path, ...]:
        return tuple(self._registry.active(name) for name in self._names)

    def _make(self, stamp: Hashable, paths: tuple[Path, ...]) -> _Held[T]:
        chosen = dict(zip(self._names, paths, strict=True))
        return _Held(stamp, paths, self._load(chosen.__getitem__))


class SwitchingSegmenter:
    """A segmenter that always is the active one.

    Args:
        model: Segmenter that follows the registry.
    """

    def __init__(self, model: ReloadingModel[Segmenter]) -> None:
        self._model = model

    @property
    def version(self) -> ModelVersion:
        """Version that the next request will get."""
        return self._model.current().version

    def segment(self, case: Case, *, mirrored: bool = False) -> SegmentationResult:
        """Outline the tumour with the version that is active when this is called."""
        return self._model.current().segment(case, mirrored=mirrored)


def active_segmenter(registry: ModelRegistry) -> SwitchingSegmenter:
    """The segmenter of the versions that are active, also after a switch.

    Raises:
        ModelError: If a bundle is missing or damaged.
    """
    names = segmenter_models(registry.names())
    try:
        return SwitchingSegmenter(
            ReloadingModel(registry, names, lambda find: compose_segmenter(find, names))
        )
    except NotFoundError as error:
        raise ModelError(f"the models folder lacks a model: {error.message}") from error
