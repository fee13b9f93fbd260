"""The parts of desktop Slicer's application object that slicer-core leaves out."""

from __future__ import annotations

import tempfile
import types
from pathlib import Path

import slicer
import vtk

LOGICS = (
    ("volumes", "vtkSlicerVolumesLogic", "Volumes"),
    ("terminologies", "vtkSlicerTerminologiesModuleLogic", "Terminologies"),
    ("segmentations", "vtkSlicerSegmentationsModuleLogic", "Segmentations"),
    ("subjecthierarchy", "vtkSlicerSubjectHierarchyModuleLogic", "SubjectHierarchy"),
    ("colors", "vtkSlicerColorLogic", "Colors"),
    ("markups", "vtkSlicerMarkupsLogic", "Markups"),
)
LABELMAP_OPTION, SINGLE_FILE_OPTION = 1, 8


class _Module:
    """What `slicer.modules.name` offers."""

    def __init__(self, logic):
        self._logic = logic

    def logic(self):
        return self._logic


class _IOManager:
    """The reading and writing that slicer.util asks the core IO manager for."""

    def fileType(self, _path):
        return "VolumeFile"

    def loadNodes(self, kind, properties, collection, _messages=None):
        path = str(properties["fileName"])
        name = properties.get("name") or Path(path).name.split(".")[0]
        if kind == "VolumeFile":
            options = SINGLE_FILE_OPTION | (LABELMAP_OPTION if properties.get("labelmap") else 0)
            node = slicer.modules.volumes.logic().AddArchetypeVolume(path, name, options)
        elif kind == "SegmentationFile":
            storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
            storage.SetFileName(path)
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
            if not storage.ReadData(node):
                slicer.mrmlScene.RemoveNode(node)
                return False
            node.CreateDefaultDisplayNodes()
        else:
            raise NotImplementedError(kind)
        if node is None:
            return False
        collection.AddItem(node)
        return True

    def extractKnownExtension(self, path, _node=None):
        known = (".nii.gz", ".seg.nrrd")
        return next((e for e in known if str(path).endswith(e)), Path(path).suffix)

    def fileWriterFileType(self, _node, _extension=""):
        return "AnyFile"

    def fileWriterExtensions(self, _node):
        return ["(*.nii.gz)", "(*.nrrd)", "(*.seg.nrrd)"]

    def saveNodes(self, _kind, properties, _messages=None):
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        storage = node.CreateDefaultStorageNode()
        storage.SetFileName(str(properties["fileName"]))
        slicer.mrmlScene.AddNode(storage)
        written = bool(storage.WriteData(node))
        slicer.mrmlScene.RemoveNode(storage)
        return written


class Application:
    """`slicer.app` and `slicer.mrmlScene`, with the real scene and logics behind them."""

    applicationName = "Slicer"
    majorVersion, minorVersion = 5, 11

    def __init__(self, qt):
        self._qt = qt
        self._io = _IOManager()
        self.temporaryPath = tempfile.mkdtemp(prefix="slicer-")
        self.scene = slicer.vtkMRMLScene()
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        self.scene.AddNode(slicer.vtkMRMLSelectionNode())
        self.scene.AddNode(slicer.vtkMRMLInteractionNode())
        self.logic = slicer.vtkSlicerApplicationLogic()
        self.logic.SetMRMLScene(self.scene)
        self.logic.GetColorLogic().SetMRMLScene(self.scene)
        self.logic.GetColorLogic().AddDefaultColorNodes()
        self.logic.SetSliceLogics(vtk.vtkCollection())
        self.logic.SetViewLogics(vtk.vtkCollection())
        for factory in (
            slicer.vtkMRMLThreeDViewDisplayableManagerFactory,
            slicer.vtkMRMLSliceViewDisplayableManagerFactory,
        ):
            factory.GetInstance().SetMRMLApplicationLogic(self.logic)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        slicer.mrmlScene, slicer.app = self.scene, self
        slicer.modules = types.SimpleNamespace()
        for name, cls, key in LOGICS:
            logic = getattr(slicer, cls)()
            logic.SetMRMLApplicationLogic(self.logic)  # before the scene, or logics complain
            logic.SetMRMLScene(self.scene)
            self.logic.SetModuleLogic(key, logic)
            setattr(slicer.modules, name, _Module(logic))

    def applicationLogic(self):
        return self.logic

    def coreIOManager(self):
        return self._io

    def layoutManager(self):
        return None

    def mainWindow(self):
        return None

    def testingEnabled(self):
        return True

    def userSettings(self):
        return self._qt.QSettings()

    def palette(self):
        return self._qt.QApplication.palette()

    def processEvents(self):
        self._qt.QApplication.processEvents()

    def translate(self, _context, text):
        return text

    def setOverrideCursor(self, cursor):
        self._qt.QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self):
        self._qt.QApplication.restoreOverrideCursor()

    def pauseRender(self):
        pass

    def resumeRender(self):
        pass
