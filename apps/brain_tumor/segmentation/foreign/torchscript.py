"""Weights out of a TorchScript file, of which nothing is executed.

A TorchScript file is a zip archive: code, tensors as plain bytes, and `data.pkl`, the tree of
modules in the bytes of a pickle. Loading it as torch does would run a program. Here its steps are
read one by one as data: a step may build dictionaries, lists, tuples and views of tensors, and
anything else is refused.

References:
    PyTorch, torch/csrc/jit/docs/serialization.md (layout of the archive).
"""

from __future__ import annotations

import math
import pickletools
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from brain_tumor.errors import FileFormatError

MAX_WEIGHTS_BYTES = 8 * 1024**3
MAX_TREE_BYTES = 64 * 1024**2
MAX_DEPTH = 60
REBUILD = "torch._utils _rebuild_tensor_v2"
_TYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "DoubleStorage": torch.float64,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}
_PLAIN = {
    *("BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING", "BININT", "BININT1"),
    *("BININT2", "LONG1", "BINFLOAT"),
}
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, type] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}


@dataclass(frozen=True)
class _Name:
    """Name of a class or function; it is never looked up."""

    text: str


@dataclass
class _Module:
    """An object of the tree, as its attributes."""

    name: str
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Storage:
    """Bytes of tensors."""

    kind: str
    key: str


class _Mark:
    """Begin of a group on the stack."""


def read_torchscript(path: Path) -> dict[str, torch.Tensor]:
    """Parameters and buffers of a TorchScript file by name.

    Args:
        path: The file; its code is not looked at.

    Raises:
        FileFormatError: If it is no TorchScript file, or holds what is none of its parts.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            root = _root(archive)
            if archive.getinfo(f"{root}/data.pkl").file_size > MAX_TREE_BYTES:
                raise _refused(path, "its tree of modules is too large")
            tree = _read_tree(archive.read(f"{root}/data.pkl"), _Tensors(archive, root, path))
    except (OSError, KeyError, ValueError, IndexError, TypeError, zipfile.BadZipFile) as error:
        if isinstance(error, FileFormatError):
            raise
        raise _refused(path, f"{type(error).__name__}: {error!s:.80}") from error
    if not isinstance(tree, _Module):
        raise _refused(path, "it holds no module")
    found = dict(_named(tree, ""))
    if not found:
        raise _refused(path, "it holds no weights")
    return found


def _root(archive: zipfile.ZipFile) -> str:
    names = [n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl")]
    if len(names) != 1:
        raise ValueError(f"{len(names)} trees of modules")
    return names[0].split("/")[0]


class _Tensors:
    """Tensors of an archive.

    Args:
        archive: The archive.
        root: Its one folder.
        path: The file, for messages.
    """

    def __init__(self, archive: zipfile.ZipFile, root: str, path: Path) -> None:
        self._archive = archive
        self._root = root
        self._path = path
        self._left = MAX_WEIGHTS_BYTES
        self._read: dict[str, torch.Tensor] = {}

    def rebuilt(self, arguments: tuple[Any, ...]) -> torch.Tensor:
        """A contiguous copy of a view: storage, offset, size, strides."""
        storage, offset, size, strides = arguments[:4]
        numbers = [offset, *size, *strides]
        if not isinstance(storage, _Storage) or len(size) != len(strides):
            raise ValueError("a tensor without its bytes")
        if any(not isinstance(n, int) or n < 0 for n in numbers):
            raise ValueError("a tensor with impossible numbers")
        values = self._storage(storage)
        last = offset + sum((n - 1) * s for n, s in zip(size, strides, strict=True))
        if math.prod(size) and last >= len(values):
            raise ValueError("a tensor beyond its bytes")
        if math.prod(size) > len(values):
            raise ValueError("a tensor larger than its bytes")
        return values.as_strided(tuple(size), tuple(strides), offset).clone()

    def _storage(self, storage: _Storage) -> torch.Tensor:
        if storage.key not in self._read:
            if not storage.key.isdigit():
                raise ValueError("bytes with an impossible name")
            info = self._archive.getinfo(f"{self._root}/data/{storage.key}")
            self._left -= info.file_size
            if self._left < 0:
                raise _refused(self._path, "its weights are larger than 8 GiB")
            content = np.frombuffer(self._archive.read(info), dtype=np.uint8).copy()
            self._read[storage.key] = torch.from_numpy(content).view(_TYPES[storage.kind])
        return self._read[storage.key]


def _read_tree(content: bytes, tensors: _Tensors) -> Any:
    """What the steps build. No name is looked up and nothing is called.

    Raises:
        ValueError: If a step is none that TorchScript writes.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, argument, _ in pickletools.genops(content):
        step = opcode.name
        if step in ("PROTO", "FRAME"):
            continue
        if step == "STOP":
            return stack.pop()
        if step in _PLAIN:
            stack.append(argument)
        elif step in _CONSTANTS:
            stack.append(_CONSTANTS[step])
        elif step in _EMPTY:
            stack.append(_EMPTY[step]())
        elif step == "GLOBAL":
            stack.append(_Name(str(argument)))
        elif step in ("BINPUT", "LONG_BINPUT"):
            memo[argument or 0] = stack[-1]
        elif step in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument or 0])
        elif step == "MARK":
            stack.append(_Mark())
        elif step == "BINPERSID":
            stack.append(_storage_of(stack.pop()))
        else:
            _combine(step, stack, tensors)
    raise ValueError("the tree of modules has no end")


def _combine(step: str, stack: list[Any], tensors: _Tensors) -> None:
    """A step that takes something from the stack."""
    if step == "TUPLE":
        stack.append(tuple(_group(stack)))
    elif step in ("TUPLE1", "TUPLE2", "TUPLE3"):
        count = int(step[-1])
        stack[-count:] = [tuple(stack[-count:])]
    elif step in ("APPEND", "APPENDS"):
        items = [stack.pop()] if step == "APPEND" else _group(stack)
        _only(stack[-1], list).extend(items)
    elif step in ("SETITEM", "SETITEMS"):
        items = [stack.pop() for _ in range(2)][::-1] if step == "SETITEM" else _group(stack)
        _only(stack[-1], dict).update(zip(items[::2], items[1::2], strict=True))
    elif step == "NEWOBJ":
        stack.pop()
        stack.append(_Module(_only(stack.pop(), _Name).text))
    elif step == "BUILD":
        state = stack.pop()
        if isinstance(stack[-1], _Module) and isinstance(state, dict):
            stack[-1].attributes.update(state)
    elif step == "REDUCE":
        arguments, function = _only(stack.pop(), tuple), _only(stack.pop(), _Name)
        is_tensor = function.text == REBUILD
        stack.append(tensors.rebuilt(arguments) if is_tensor else _Module(function.text))
    else:
        raise ValueError(f"the step {step}, which TorchScript does not write")


def _group(stack: list[Any]) -> list[Any]:
    """Everything above the last mark."""
    items: list[Any] = []
    while not isinstance(top := stack.pop(), _Mark):
        items.append(top)
    return items[::-1]


def _only(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"a {type(value).__name__} where a {kind.__name__} is expected")
    return value


def _storage_of(told: Any) -> _Storage:
    """Bytes that a persistent id names: ('storage', type, key, device, count)."""
    values = _only(told, tuple)
    kind = _only(values[1], _Name).text.split()[-1]
    if values[0] != "storage" or kind not in _TYPES:
        raise ValueError(f"bytes of the type {kind:.40}")
    return _Storage(kind, str(values[2]))


def _named(module: _Module, prefix: str, depth: int = 0) -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors of a module and of those below it."""
    if depth > MAX_DEPTH:
        raise FileFormatError("the modules of the TorchScript file are nested too deep")
    for name, value in module.attributes.items():
        if isinstance(value, torch.Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, _Module):
            yield from _named(value, f"{prefix}{name}.", depth + 1)


def _refused(path: Path, why: str) -> FileFormatError:
    return FileFormatError(
        f"{path.name} cannot be read as TorchScript: {why}",
        remedy="Export the network again, or save its weights as safetensors.",
    )
