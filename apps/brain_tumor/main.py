"""The app that MONAI Label finds: which parts the server is made of."""

from __future__ import annotations

from monailabel.interfaces.app import MONAILabelApp

from brain_tumor.bundles import models_folder
from brain_tumor.segmentation.result import Segmenter
from brain_tumor.segmentation.segmenter import load_segmenter
from brain_tumor.server import app as server_app
from brain_tumor.server.serving import serve_through_front


class BrainTumorApp(server_app.ServerApp, MONAILabelApp):  # type: ignore[misc]
    """TumorLens for MONAI Label; the loader wants `MONAILabelApp` among the direct bases."""

    def load_segmenter(self) -> Segmenter:
        """Segmenter with the weights of the models folder."""
        return load_segmenter(models_folder())

    def on_init_complete(self) -> None:
        """Begin to serve, behind the front."""
        serve_through_front(self)
        super().on_init_complete()
