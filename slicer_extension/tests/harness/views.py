"""Offscreen slice and 3D views with the real displayable managers."""

from __future__ import annotations

import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

SLICE_MANAGERS = (
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)
THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
)


def _window(size):
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(*size)
    renderer = vtk.vtkRenderer()
    window.AddRenderer(renderer)
    interactor = vtk.vtkRenderWindowInteractor()
    interactor.SetRenderWindow(window)
    interactor.Initialize()
    return window, renderer, interactor


def _managers(factory, names, renderer):
    for name in names:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    group = slicer.vtkMRMLDisplayableManagerGroup()
    group.SetRenderer(renderer)
    group.Initialize(factory, renderer)
    return group


class _View:
    def pixels(self):
        """RGB of what was rendered last, shape (rows, columns, 3), integers."""
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        columns, rows, _ = image.GetDimensions()
        flat = vtk_to_numpy(image.GetPointData().GetScalars())
        return flat.reshape(rows, columns, -1)[::-1, :, :3].astype(int)

    def save(self, path):
        """Write what was rendered last as a PNG file."""
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        writer = vtk.vtkPNGWriter()
        writer.SetFileName(str(path))
        writer.SetInputConnection(grab.GetOutputPort())
        writer.Write()


class SliceView(_View):
    """A slice view, as Slicer's Red, Green and Yellow."""

    def __init__(self, name, orientation, size=(300, 300)):
        app = slicer.app
        self.window, self.renderer, self._interactor = _window(size)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._actor.SetVisibility(False)
        self.renderer.AddViewProp(self._actor)  # first: 2D props are drawn in this order
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self._group = _managers(factory, SLICE_MANAGERS, self.renderer)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(app.logic)
        app.logic.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(app.scene)
        self.node = self.logic.AddSliceNode(name)
        self.node.SetOrientation(orientation)
        self.composite = self.logic.GetSliceCompositeNode()
        self._group.SetMRMLDisplayableNode(self.node)

    def render(self, fit=False):
        self.logic.ResizeSliceNode(*self.window.GetSize())
        if fit:
            self.logic.FitSliceToBackground()
        connection = self.logic.GetImageDataConnection()
        self._actor.SetVisibility(connection is not None)
        if connection is not None:
            self._mapper.SetInputConnection(connection)
        self.window.Render()
        return self


class ThreeDView(_View):
    """A 3D view."""

    def __init__(self, name="1", size=(300, 300)):
        app = slicer.app
        self.window, self.renderer, self._interactor = _window(size)
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        self._group = _managers(factory, THREE_D_MANAGERS, self.renderer)
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(app.logic)
        app.logic.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(app.scene)
        self.node = self.logic.AddViewNode(name)
        self._group.SetMRMLDisplayableNode(self.node)

    def render(self, zoom=1.8):
        self.window.Render()
        name = "vtkMRMLCameraDisplayableManager"
        camera = self._group.GetDisplayableManagerByClassName(name).GetCameraNode()
        camera.RotateTo(slicer.vtkMRMLCameraNode.Anterior)
        self.renderer.ResetCamera()
        self.renderer.GetActiveCamera().Zoom(zoom)
        self.window.Render()
        return self


def three_slice_views(size=(300, 300)):
    """Red, Green and Yellow, the classical arrangement."""
    kinds = (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal"))
    return [SliceView(name, orientation, size) for name, orientation in kinds]


def colourful(pixels, spread=25):
    """How many pixels are not grey."""
    return int(((pixels.max(axis=2) - pixels.min(axis=2)) > spread).sum())
