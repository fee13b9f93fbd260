"""Stand-ins for the CTK and MRML widgets that the panel uses.

Real Qt widgets on the real scene, with the part of the published interface that the module may use.
Nothing else: an attribute that is not here fails, as a misspelt one would.
"""

from __future__ import annotations

import sys
import types

import qt
import shiboken6
import slicer

from slicer_extension.tests.harness.pythonqt import check_thread, register

Property, Signal = qt.Property, qt.Signal


def stored(name, kind, default):
    """Qt property that only remembers its value."""
    key = f"_{name}"

    def get(self):
        return self.__dict__.get(key, default)

    def put(self, value):
        self.__dict__[key] = value

    return Property(kind, get, put)


class ctkCollapsibleButton(qt.QWidget):
    """Section with a heading that folds it away."""

    contentsCollapsed = Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._heading = qt.QToolButton(self)
        self._heading.setToolButtonStyle(qt.Qt.ToolButtonTextBesideIcon)
        self._heading.setAutoRaise(True)
        self._heading.setArrowType(qt.Qt.DownArrow)
        self._heading.clicked.connect(lambda *_: self._fold(not self._folded))
        self._folded = False
        self.setContentsMargins(4, 26, 0, 2)

    def resizeEvent(self, event):
        self._heading.setGeometry(0, 0, event.size().width(), 24)

    def _fold(self, folded):
        self._folded = bool(folded)
        self._heading.setArrowType(qt.Qt.RightArrow if folded else qt.Qt.DownArrow)
        for child in self.children():
            if isinstance(child, qt.QWidget) and child is not self._heading:
                child.setVisible(not folded)
        self.setMaximumHeight(26 if folded else 16777215)
        self.contentsCollapsed.emit(self._folded)

    def setText(self, text):
        self._heading.setText(text)

    collapsed = Property(bool, lambda self: self._folded, _fold)
    text = Property(str, lambda self: self._heading.property("text"), setText)


class ctkSliderWidget(qt.QWidget):
    """Slider with a spin box."""

    valueChanged = Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        row = qt.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._slider = qt.QSlider(qt.Qt.Horizontal)
        self._box = qt.QDoubleSpinBox()
        row.addWidget(self._slider)
        row.addWidget(self._box)
        self._low, self._high, self._step, self._now = 0.0, 99.0, 1.0, 0.0
        self._arrange()
        self._box.valueChanged.connect(self._move)
        self._slider.valueChanged.connect(lambda i: self._move(self._low + i * self._step))

    def _arrange(self):
        self._box.setRange(self._low, self._high)
        self._box.setSingleStep(self._step)
        self._slider.setRange(0, max(1, round((self._high - self._low) / self._step)))

    def _move(self, value):
        value = min(max(float(value), self._low), self._high)
        if value == self._now:
            return
        self._now = value
        position = round((value - self._low) / self._step)
        for part, shown in ((self._box, value), (self._slider, position)):
            part.blockSignals(True)
            part.setValue(shown)
            part.blockSignals(False)
        self.valueChanged.emit(value)

    def _limits(key):
        def put(self, value):
            setattr(self, key, float(value))
            self._arrange()
            self._move(self._now)

        return Property(float, lambda self: getattr(self, key), put)

    minimum, maximum, singleStep = _limits("_low"), _limits("_high"), _limits("_step")
    del _limits
    value = Property(float, lambda self: self._now, _move)
    decimals = Property(
        int, lambda s: s._box.property("decimals"), lambda s, v: s._box.setDecimals(v)
    )
    pageStep = stored("pageStep", float, 10.0)


class ctkRangeWidget(qt.QWidget):
    """Two values between limits."""

    valuesChanged = Signal(float, float)

    def __init__(self, parent=None):
        super().__init__(parent)
        row = qt.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._boxes = (qt.QDoubleSpinBox(), qt.QDoubleSpinBox())
        for box in self._boxes:
            box.setSingleStep(0.05)
            row.addWidget(box)
            box.valueChanged.connect(lambda *_: self._tell())

    def _tell(self):
        self.valuesChanged.emit(*(box.property("value") for box in self._boxes))

    def setValues(self, low, high):
        for box, value in zip(self._boxes, (low, high), strict=True):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)
        self._tell()

    def _end(index):
        return Property(
            float,
            lambda self: self._boxes[index].property("value"),
            lambda self, value: self._boxes[index].setValue(value),
        )

    def _limit(method):
        def put(self, value):
            self.__dict__[f"_{method}"] = value
            for box in self._boxes:
                getattr(box, method)(value)

        return Property(float, lambda self: self.__dict__.get(f"_{method}", 0.0), put)

    minimumValue, maximumValue = _end(0), _end(1)
    minimum, maximum = _limit("setMinimum"), _limit("setMaximum")
    del _end, _limit
    singleStep = stored("singleStep", float, 0.05)
    decimals = stored("decimals", int, 2)


class qMRMLWidget(qt.QWidget):
    """Widget that knows the scene."""

    def setMRMLScene(self, scene):
        self.__dict__["_scene"] = scene

    def mrmlScene(self):
        return self.__dict__.get("_scene")


class qMRMLNodeComboBox(qt.QComboBox):
    """Chooser of nodes; follows the real scene."""

    currentNodeChanged = Signal(object)

    nodeTypes = stored("nodeTypes", list, [])
    noneEnabled = stored("noneEnabled", bool, False)
    addEnabled = stored("addEnabled", bool, True)
    removeEnabled = stored("removeEnabled", bool, True)
    renameEnabled = stored("renameEnabled", bool, False)
    showChildNodeTypes = stored("showChildNodeTypes", bool, True)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None
        self.currentIndexChanged.connect(
            lambda _index: self.currentNodeChanged.emit(self.currentNode())
        )

    def setMRMLScene(self, scene):
        self._scene = scene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent):
            scene.AddObserver(event, lambda *_: qt.QTimer.singleShot(0, self._fill))
        self._fill()

    def _nodes(self):
        found = []
        for kind in self.nodeTypes:
            for index in range(self._scene.GetNumberOfNodesByClass(kind)):
                node = self._scene.GetNthNodeByClass(index, kind)
                if node.GetHideFromEditors() or node in found:
                    continue
                if self.showChildNodeTypes or node.GetClassName() == kind:
                    found.append(node)
        return found

    def _fill(self):
        if not shiboken6.isValid(self) or self._scene is None:
            return
        before = self.property("currentData") or ""
        self.blockSignals(True)
        self.clear()
        if self.noneEnabled:
            self.addItem("None", "")
        for node in self._nodes():
            self.addItem(node.GetName(), node.GetID())
        index = self.findData(before) if before else -1
        if index < 0:
            index = 0 if self.property("count") else -1
        self.setCurrentIndex(index)
        self.blockSignals(False)
        if (self.property("currentData") or "") != before:
            self.currentNodeChanged.emit(self.currentNode())

    def currentNode(self):
        check_thread()
        identity = self.property("currentData") or ""
        return self._scene.GetNodeByID(identity) if self._scene and identity else None

    def setCurrentNode(self, node):
        self._fill()
        none = 0 if self.noneEnabled else -1
        self.setCurrentIndex(self.findData(node.GetID()) if node else none)


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """Segment editor: the real editor logic and node, with the list of segments and effects."""

    EFFECTS = ("Paint", "Erase", "Draw", "Islands", "Smoothing", "Grow from seeds")

    def __init__(self, parent=None):
        super().__init__(parent)
        column = qt.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._list = qt.QListWidget()
        self._list.setMaximumHeight(80)
        column.addWidget(self._list)
        row = qt.QHBoxLayout()
        column.addLayout(row)
        for name in self.EFFECTS:
            button = qt.QToolButton()
            button.setText(name)
            button.setCheckable(True)
            row.addWidget(button)
            button.clicked.connect(lambda *_, name=name: self.setActiveEffectByName(name))
        self._list.currentRowChanged.connect(self._select)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._calls = []

    segmentationNodeSelectorVisible = stored("segmentationNodeSelectorVisible", bool, True)
    sourceVolumeNodeSelectorVisible = stored("sourceVolumeNodeSelectorVisible", bool, True)
    addRemoveSegmentButtonsVisible = Property(
        bool,
        lambda self: self.__dict__.get("_add_remove", True),
        lambda self, value: self.__dict__.__setitem__("_add_remove", value),
    )
    unorderedEffectsVisible = stored("unorderedEffectsVisible", bool, True)
    autoShowSourceVolumeNode = stored("autoShowSourceVolumeNode", bool, True)

    @property
    def calls(self):
        """What was called, in order; for tests."""
        return self._calls

    def setMRMLScene(self, scene):
        super().setMRMLScene(scene)
        self._logic.SetMRMLScene(scene)

    def setMRMLSegmentEditorNode(self, node):
        self._logic.SetSegmentEditorNode(node)

    def mrmlSegmentEditorNode(self):
        return self._logic.GetSegmentEditorNode()

    def setSegmentationNode(self, node):
        self._calls.append("segmentation")
        self._logic.SetSegmentationNode(node)
        self._list.clear()
        segmentation = node.GetSegmentation() if node else None
        for index in range(segmentation.GetNumberOfSegments() if segmentation else 0):
            segment = segmentation.GetNthSegment(index)
            item = qt.QListWidgetItem(segment.GetName())
            colour = qt.QColor.fromRgbF(*segment.GetColor())
            swatch = qt.QPixmap(12, 12)
            swatch.fill(colour)
            item.setIcon(qt.QIcon(swatch))
            self._list.addItem(item)

    def segmentationNode(self):
        return self._logic.GetSegmentationNode()

    def setSourceVolumeNode(self, node):
        self._calls.append("source")
        self._logic.SetSourceVolumeNode(node)
        if node is not None and self.autoShowSourceVolumeNode:
            self._hide_other_layers()

    def _hide_other_layers(self):
        """As the real widget does when it shows the source volume by itself."""
        scene = slicer.mrmlScene
        for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
            composite = scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode")
            composite.SetForegroundVolumeID(None)
            composite.SetLabelVolumeID(None)

    def sourceVolumeNode(self):
        return self._logic.GetSourceVolumeNode()

    def _select(self, row):
        node = self.segmentationNode()
        if node and row >= 0:
            self.setCurrentSegmentID(node.GetSegmentation().GetNthSegmentID(row))

    def setCurrentSegmentID(self, identity):
        self.mrmlSegmentEditorNode().SetSelectedSegmentID(identity)

    def currentSegmentID(self):
        return self.mrmlSegmentEditorNode().GetSelectedSegmentID()

    def setActiveEffectByName(self, name):
        self.mrmlSegmentEditorNode().SetActiveEffectName(name)

    def setActiveEffect(self, effect):
        assert effect is None, "effects themselves are not modelled"
        self.mrmlSegmentEditorNode().SetActiveEffectName("")

    def setEffectNameOrder(self, names):
        self.__dict__["_order"] = list(names)

    def saveStateForUndo(self):
        self._calls.append("undo state")
        self._logic.SaveStateForUndo()

    def undo(self):
        self._logic.Undo()

    def redo(self):
        self._logic.Redo()

    def installKeyboardShortcuts(self):
        self._calls.append("shortcuts on")

    def uninstallKeyboardShortcuts(self):
        self._calls.append("shortcuts off")

    def removeViewObservations(self):
        self._calls.append("views off")

    def setupViewObservations(self):
        self._calls.append("views on")


STAND_INS = (
    ctkCollapsibleButton,
    ctkSliderWidget,
    ctkRangeWidget,
    qMRMLWidget,
    qMRMLNodeComboBox,
    qMRMLSegmentEditorWidget,
)


def install():
    """Make `import ctk` work and put the MRML widgets into `slicer`."""
    ctk = types.ModuleType("ctk")
    for cls in STAND_INS:
        register(cls)
        setattr(ctk if cls.__name__.startswith("ctk") else slicer, cls.__name__, cls)
    sys.modules["ctk"] = ctk
