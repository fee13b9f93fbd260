"""One bounded cache, least recently used out first, measured in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

T = TypeVar("T")

DEFAULT_CAPACITY_BYTES = 512 * 1024**2  # three four-sequence cases of 240 x 240 x 155


class ByteCache:
    """Values by key up to a number of bytes; safe to share between threads.

    A key must hold everything that the value depends on: the content of the case and the version
    of the model. Nothing is ever invalidated; what is no longer asked for falls out.

    Args:
        capacity_bytes: Upper bound of the sum of sizes; 0 keeps nothing.
    """

    def __init__(self, capacity_bytes: int = DEFAULT_CAPACITY_BYTES) -> None:
        self._capacity = capacity_bytes
        self._mutex = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """Bytes held now."""
        with self._mutex:
            return self._bytes

    def __len__(self) -> int:
        with self._mutex:
            return len(self._values)

    def get(self, key: Hashable) -> object | None:
        """Value of a key, or None; a hit becomes the most recently used."""
        with self._mutex:
            held = self._values.get(key)
            if held is None:
                return None
            self._values.move_to_end(key)
            return held[0]

    def put(self, key: Hashable, value: object, size_bytes: int) -> None:
        """Keep a value, dropping the least recently used ones to make room.

        Args:
            key: Everything that the value depends on.
            value: Anything but None; callers must not change it afterwards.
            size_bytes: What it counts for; a value larger than the capacity is not kept.
        """
        with self._mutex:
            self._drop(key)
            if size_bytes > self._capacity:
                return
            while self._values and self._bytes + size_bytes > self._capacity:
                self._drop(next(iter(self._values)))
            self._values[key] = (value, size_bytes)
            self._bytes += size_bytes

    def get_or_make(self, key: Hashable, make: Callable[[], T], size_of: Callable[[T], int]) -> T:
        """Value of a key, made and kept if it is not there.

        Two threads may make the same value at once; the last one is kept.
        """
        held = self.get(key)
        if held is not None:
            return cast("T", held)
        value = make()
        self.put(key, value, size_of(value))
        return value

    def clear(self) -> None:
        """Drop everything."""
        with self._mutex:
            self._values.clear()
            self._bytes = 0

    def _drop(self, key: Hashable) -> None:
        """Forget a key; the mutex is held."""
        held = self._values.pop(key, None)
        if held is not None:
            self._bytes -= held[1]
