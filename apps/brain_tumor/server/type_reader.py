"""The classifier in use, which follows the registry without a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable

from brain_tumor.errors import NotFoundError
from brain_tumor.explanation.type_reader import TypeReader, load_type_reader
from brain_tumor.learning.registry.registry import ModelRegistry
from brain_tumor.learning.registry.reloading import ReloadingModel
from brain_tumor.model_names import ModelName
from brain_tumor.segmentation.segmenter import FindBundle

logger = logging.getLogger(__name__)


def active_type_reader(registry: ModelRegistry) -> Callable[[], TypeReader] | None:
    """Gives the classifier of the active version; None if there is no classifier at all.

    With it comes the symptom reader, if there is one that was made for this classifier.

    Raises:
        ModelError: If its bundle is damaged.
    """
    names: tuple[str, ...] = (ModelName.CLASSIFICATION, ModelName.CONCEPTS)

    def load(find: FindBundle) -> TypeReader:
        return load_type_reader(*(find(name) for name in names))

    try:
        return ReloadingModel(registry, names, load).current
    except NotFoundError:
        names = (ModelName.CLASSIFICATION,)
    try:
        return ReloadingModel(registry, names, load).current
    except NotFoundError:
        logger.warning("the models folder has no classifier: tumour types are not told")
        return None
