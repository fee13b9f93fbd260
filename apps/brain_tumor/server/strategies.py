"""Which case an annotator gets next: two simple, reproducible baselines."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy


class FirstStrategy(Strategy):  # type: ignore[misc]
    """The first unlabelled case by id."""

    def __init__(self) -> None:
        super().__init__("First unlabelled case by name")

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """Id of the case, or None if all are labelled."""
        images = sorted(datastore.get_unlabeled_images(request.get("label_tag")))
        return {"id": images[0]} if images else None


class RandomStrategy(Strategy):  # type: ignore[misc]
    """A random unlabelled case among those that were handed out longest ago.

    Cases that nobody got yet come first, so every case is seen once before any is seen twice.

    Args:
        seed: Makes the choice reproducible; None takes the system's entropy.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__("Random unlabelled case, never-served ones first")
        self._random = random.Random(seed)

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """Id of the case, or None if all are labelled."""
        images = sorted(datastore.get_unlabeled_images(request.get("label_tag")))
        if not images:
            return None
        name = request.get("strategy", "random")
        served = {
            image: datastore.get_image_info(image).get("strategy", {}).get(name, {}).get("ts", 0)
            for image in images
        }
        longest_ago = min(served.values())
        return {"id": self._random.choice([i for i in images if served[i] == longest_ago])}
