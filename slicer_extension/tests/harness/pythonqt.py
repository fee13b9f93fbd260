"""PySide6 behaving as Slicer's PythonQt does, and strict where PySide6 would be lenient.

Differences that are levelled: a Qt property is an attribute (`label.text`), signals also connect by
string, constructors take no keywords, and a slot gets only as many arguments as it takes.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import threading
import types
import weakref

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import shiboken6
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

QT_MODULES = (QtCore, QtGui, QtWidgets, QtUiTools)
VIRTUAL_GETTERS = frozenset({"sizeHint", "minimumSizeHint"})
"""Qt calls these back on the Python object, so they stay methods."""
INJECTED = frozenset({"connect", "disconnect", "_children_kept"})
COERCED = (
    (QtWidgets.QWidget, "setEnabled", bool),
    (QtWidgets.QWidget, "setVisible", bool),
    (QtWidgets.QAbstractButton, "setChecked", bool),
    (QtWidgets.QProgressBar, "setValue", int),
    (QtWidgets.QSlider, "setValue", int),
)
"""PythonQt converts these arguments without a word; PySide6 raises."""

custom_widgets: list[type] = []
_plain_connect = QtCore.QObject.connect
_plain_disconnect = QtCore.QObject.disconnect


class WrongThreadError(RuntimeError):
    """Qt was touched from a worker thread, which crashes the desktop application now and then."""


def check_thread():
    """Refuse to go on outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        raise WrongThreadError("a widget was touched from a worker thread")


class QtProperty(property):
    """A Qt property as attribute; on the class it is still the getter (`QTimer.singleShot`)."""

    getter_method = None

    def __get__(self, instance, owner=None):
        if instance is None:
            return self.getter_method or self
        return super().__get__(instance, owner)


def _make_property(name, writable, setter):
    def get(self):
        check_thread()
        return self.property(name)

    def put(self, value):
        check_thread()
        if setter is not None:
            try:
                setter(self, value)
            except TypeError:
                pass
            else:
                return
        if not self.setProperty(name, value):
            raise AttributeError(f"property '{name}' of {type(self).__name__} cannot be set")

    return QtProperty(get, put if writable else None)


def give_properties(cls):
    """Turn the getters of the properties that this class declares into attributes."""
    meta = cls.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        declared = meta.property(index)
        name = declared.name()
        own = cls.__dict__.get(name)
        if name in VIRTUAL_GETTERS or isinstance(own, (property, QtCore.Property)):
            continue
        made = _make_property(
            name, declared.isWritable(), getattr(cls, f"set{name[0].upper()}{name[1:]}", None)
        )
        if own is not None:
            made.getter_method = getattr(cls, name)
        setattr(cls, name, made)


def _fitted(slot, count):
    """Slot that drops the arguments beyond those it takes."""
    try:
        parameters = list(inspect.signature(slot).parameters.values())
    except (TypeError, ValueError):
        return slot
    if not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        count = min(count, sum(p.kind in kinds for p in parameters))
    return lambda *arguments: slot(*arguments[:count])


def _signal(sender, signature):
    """Bound signal named by `name(types)`.

    Raises:
        ValueError: If there is no such signal; PythonQt would only print it.
    """
    match = re.fullmatch(r"\s*(\w+)\s*\((.*)\)\s*", signature)
    if match is None:
        raise ValueError(f"signal {signature!r}; expected 'name(types)'")
    name, arguments = match.group(1), match.group(2).replace(" ", "")
    meta = sender.metaObject()
    names = {
        bytes(meta.method(i).name()).decode()
        for i in range(meta.methodCount())
        if meta.method(i).methodType() == QtCore.QMetaMethod.MethodType.Signal
    }
    is_stand_in = not type(sender).__module__.startswith("PySide6")
    exact = bytes(QtCore.QMetaObject.normalizedSignature(f"{name}({arguments})").data()).decode()
    if name not in names or (not is_stand_in and meta.indexOfSignal(exact) < 0):
        raise ValueError(f"no such signal: {type(sender).__name__}::{name}({arguments})")
    signal = getattr(sender, name)
    kinds = [kind for kind in arguments.split(",") if kind]
    if is_stand_in or len(kinds) != 1:
        return signal, len(kinds)
    try:
        return signal[kinds[0]], 1
    except (KeyError, TypeError, IndexError):
        return signal, 1


def inject(instance):
    """Give an object the string form of connect; Shiboken special-cases it on the type."""
    store = instance.__dict__
    if "connect" in store:
        return instance
    me = weakref.ref(instance)
    connections = []

    def connect(*arguments):
        sender = me()
        if len(arguments) == 2 and isinstance(arguments[0], str) and arguments[0][:1] != "2":
            signal, count = _signal(sender, arguments[0])
            slot = _fitted(arguments[1], count)
            signal.connect(slot)
            connections.append((arguments[0], arguments[1], signal, slot))
            return True
        given = arguments if arguments and arguments[0] is sender else (sender, *arguments)
        return _plain_connect(*given)

    def disconnect(*arguments):
        sender = me()
        if len(arguments) == 2 and isinstance(arguments[0], str) and arguments[0][:1] != "2":
            for entry in connections:
                if entry[0] == arguments[0] and entry[1] == arguments[1]:
                    entry[2].disconnect(entry[3])
                    connections.remove(entry)
                    return True
            return False
        given = arguments if arguments and arguments[0] is sender else (sender, *arguments)
        return _plain_disconnect(*given)

    store["connect"], store["disconnect"] = connect, disconnect
    return instance


def _without_keywords(cls):
    plain = cls.__init__

    def construct(self, *arguments, **keywords):
        if not keywords.keys() <= {"parent"}:
            raise TypeError(f"{cls.__name__}: PythonQt constructors take no {sorted(keywords)}")
        plain(self, *arguments, **keywords)
        inject(self)

    try:
        cls.__init__ = construct
    except TypeError:
        return


def unknown_attributes(root):
    """Attributes that PythonQt would have refused and PySide6 stored: misspelt properties."""
    found = []
    for item in [root, *root.findChildren(QtCore.QObject)]:
        is_stand_in = not type(item).__module__.startswith("PySide6")
        found += [
            (type(item).__name__, item.property("objectName"), key)
            for key, value in item.__dict__.items()
            if key not in INJECTED
            and not isinstance(value, (QtCore.SignalInstance, QtCore.QObject))
            and not (is_stand_in and key.startswith("_"))
        ]
    return found


def _object_classes():
    found = {
        value
        for module in QT_MODULES
        for value in (getattr(module, name) for name in dir(module))  # lazy: not in vars()
        if isinstance(value, type)
        and issubclass(value, QtCore.QObject)
        and hasattr(value, "staticMetaObject")
    }
    return sorted(found, key=lambda cls: len(cls.__mro__))


class UiLoader(QtUiTools.QUiLoader):
    """Loader that knows the stand-in widgets."""

    def __init__(self, parent=None):
        super().__init__(parent)
        for cls in custom_widgets:
            self.registerCustomWidget(cls)

    def load(self, *arguments):
        """Load a .ui file; a class that nobody stands in for is an error."""
        check_thread()
        root = super().load(*arguments)
        root.__dict__["_children_kept"] = [
            inject(item) for item in [root, *root.findChildren(QtCore.QObject)]
        ]
        return root


def install():
    """Make `import qt` work; returns the module."""
    if "qt" in sys.modules:
        return sys.modules["qt"]
    classes = _object_classes()
    for cls in classes:
        give_properties(cls)
    for cls in classes:
        _without_keywords(cls)
    base = QtCore.QObject
    base.name = property(lambda s: s.property("objectName"), lambda s, v: s.setObjectName(v))
    base.className = lambda self: self.metaObject().className()
    base.delete = shiboken6.delete
    for cls, name, kind in COERCED:
        plain = getattr(cls, name)

        def coerced(self, value, plain=plain, kind=kind):
            check_thread()
            return plain(self, kind(value))

        setattr(cls, name, coerced)
    qt = types.ModuleType("qt")
    for module in QT_MODULES:
        for name in dir(module):
            if not name.startswith("_") and name != "QUiLoader":
                setattr(qt, name, getattr(module, name))
    qt.QUiLoader = UiLoader
    sys.modules["qt"] = qt
    return qt


def register(cls):
    """Class decorator: the loader may create it."""
    give_properties(cls)
    custom_widgets.append(cls)
    return cls
