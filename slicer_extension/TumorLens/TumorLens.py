"""TumorLens: see, question, correct and teach a brain tumour model. Only what Slicer looks for."""

import os
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from TumorLensLib.params import Parameters


class TumorLens(ScriptedLoadableModule):
    """Describes the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("TumorLens")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Active Learning")]
        parent.dependencies = []
        parent.contributors = ["The TumorLens developers"]
        parent.helpText = _(
            "Segment a brain tumour, name its type, see where the model looked and why, and teach "
            "it by correcting it. Needs a running TumorLens server. Research use only."
        )
        parent.acknowledgementText = _("Built on MONAI Label and 3D Slicer.")


class TumorLensLogic(ScriptedLoadableModuleLogic):
    """Finds the module's parameter node."""

    def parameters(self):
        """Typed access to what the scene remembers."""
        return Parameters(self.getParameterNode())


class TumorLensWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel; `TumorLensPanels` does the work.

    Args:
        parent: Where Slicer puts it.
        dialogs: Questions to the user; tests pass their own.
        autosave_folder: Where unsent corrections go; by default beside the user's settings.
    """

    def __init__(self, parent=None, dialogs=None, autosave_folder=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self._dialogs, self._autosave_folder = dialogs, autosave_folder
        self.controller = None

    def setup(self):
        """Build the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        from TumorLensPanels.controller import Controller
        from TumorLensPanels.dialogs import Dialogs

        self.logic = TumorLensLogic()
        root = slicer.util.loadUI(self.resourcePath("UI/TumorLens.ui"))
        self.layout.addWidget(root)
        root.setMRMLScene(slicer.mrmlScene)
        settings = Path(os.path.dirname(slicer.app.userSettings().fileName()))  # noqa: PTH120
        folder = self._autosave_folder or settings / "TumorLens" / "unsent"
        self.controller = Controller(
            root, self.logic.parameters(), self._dialogs or Dialogs(), Path(folder)
        )
        self.controller.case_panel.set_scene(slicer.mrmlScene)
        self.controller.correct_panel.attach_editor()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAdded)
        self.controller.on_scene_loaded(self.logic.parameters())

    def cleanup(self):
        """The module is unloaded."""
        self.removeObservers()
        self.controller.cleanup()

    def enter(self):
        """The module comes on screen."""
        self.controller.enter()

    def exit(self):
        """The module leaves the screen."""
        self.controller.exit()

    def onSceneStartClose(self, _caller, _event):
        """The scene is about to be closed."""
        self.controller.on_scene_closing()

    def onSceneEndClose(self, _caller, _event):
        """The scene is empty."""
        self.controller.on_scene_closed(self.logic.parameters())

    def onSceneEndImport(self, _caller, _event):
        """A scene was loaded."""
        self.controller.on_scene_loaded(self.logic.parameters())

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, _caller, _event, node):
        """Something new is in the scene."""
        if node is not None and node.IsA("vtkMRMLSliceCompositeNode"):
            self.controller.on_view_added(node)


class TumorLensTest(ScriptedLoadableModuleTest):
    """Runs the self-test from the module's Reload and Test button."""

    def runTest(self):
        """Run all of it.

        Raises:
            AssertionError: If something failed; the log says what.
        """
        import sys
        import unittest

        folder = Path(__file__).parent / "Testing" / "Python"
        sys.path.insert(0, str(folder))
        suite = unittest.defaultTestLoader.loadTestsFromName("TumorLensSelfTest")
        result = unittest.TextTestRunner(verbosity=2).run(suite)
        if not result.wasSuccessful():
            raise AssertionError(f"{len(result.failures) + len(result.errors)} self-tests failed")
