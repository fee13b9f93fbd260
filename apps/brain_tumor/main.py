"""The app that MONAI Label finds: which parts the server is made of."""

from __future__ import annotations

from monailabel.interfaces.app import MONAILabelApp

from brain_tumor.learning.holder import active_segmenter
from brain_tumor.segmentation.result import Segmenter
from brain_tumor.server import app as server_app
from brain_tumor.server.serving import serve_through_front


class BrainTumorApp(server_app.ServerApp, MONAILabelApp):  # type: ignore[misc]
    """TumorLens for MONAI Label; the loader wants `MONAILabelApp` among the direct bases."""

    def load_segmenter(self) -> Segmenter:
        """Segmenter of the active model versions; follows a switch without a restart."""
        return active_segmenter(self.registry)

    def on_init_complete(self) -> None:
        """Begin to serve, behind the front."""
        serve_through_front(self)
        super().on_init_complete()
