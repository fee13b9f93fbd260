"""The app that MONAI Label finds: which parts the server is made of."""

from __future__ import annotations

from collections.abc import Callable

from monailabel.interfaces.app import MONAILabelApp

from brain_tumor.explanation.type_reader import TypeReader
from brain_tumor.learning.registry.reloading import active_segmenter
from brain_tumor.segmentation.result import Segmenter
from brain_tumor.server import app as server_app
from brain_tumor.server.serving import serve_through_front
from brain_tumor.server.type_reader import active_type_reader


class BrainTumorApp(server_app.ServerApp, MONAILabelApp):  # type: ignore[misc]
    """TumorLens for MONAI Label; the loader wants `MONAILabelApp` among the direct bases."""

    def load_segmenter(self) -> Segmenter:
        """Segmenter of the active model versions; follows a switch without a restart."""
        return active_segmenter(self.registry)

    def load_type_reader(self) -> Callable[[], TypeReader] | None:
        """Classifier of the active version; follows a switch without a restart."""
        return active_type_reader(self.registry)

    def on_init_complete(self) -> None:
        """Begin to serve, behind the front."""
        serve_through_front(self)
        super().on_init_complete()
