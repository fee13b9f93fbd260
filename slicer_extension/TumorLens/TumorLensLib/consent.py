"""Nothing leaves for a server before the user said yes to that server."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from TumorLensLib.transport import Address


class Consent:
    """Servers that the user allowed uploads to.

    Args:
        allowed: Addresses allowed earlier.
        store: Called with all allowed addresses when they change.
    """

    def __init__(self, allowed: Iterable[str], store: Callable[[list[str]], None]) -> None:
        self._allowed = set(allowed)
        self._store = store

    def is_given(self, address: Address) -> bool:
        """Whether uploads to this server are allowed."""
        return str(address) in self._allowed

    def give(self, address: Address) -> None:
        """Allow uploads to this server from now on."""
        self._allowed.add(str(address))
        self._store(sorted(self._allowed))

    def withdraw_all(self) -> None:
        """Ask again before the next upload to any server."""
        self._allowed.clear()
        self._store([])
