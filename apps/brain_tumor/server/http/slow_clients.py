"""Connections that never finish the header of a request are closed.

uvicorn closes a connection that is idle after a reply, but waits for ever for the first request,
and for the rest of a header. Both ways to start the server share its protocol classes, so the
clock is put there.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

HEADER_PATIENCE_S = 15.0

_CLOCK = "_tumorlens_header_clock"
_PROTOCOLS = (
    ("uvicorn.protocols.http.h11_impl", "H11Protocol"),
    ("uvicorn.protocols.http.httptools_impl", "HttpToolsProtocol"),
)


def end_slow_connections(patience_s: float = HEADER_PATIENCE_S) -> None:
    """Make uvicorn's protocols close connections whose header takes too long.

    Args:
        patience_s: Seconds from the connection, or from the first byte of a further request, to
            the end of its header.
    """
    for module, name in _PROTOCOLS:
        try:
            protocol = getattr(importlib.import_module(module), name)
        except ImportError:
            continue
        if not hasattr(protocol, _CLOCK):
            setattr(protocol, _CLOCK, None)
            for method in ("connection_made", "data_received", "connection_lost"):
                setattr(protocol, method, _timed(getattr(protocol, method), patience_s))


def _timed(method: Any, patience_s: float) -> Any:
    """Method of a protocol that starts or stops the clock after its work."""

    @functools.wraps(method)
    def timed(self: Any, *given: Any) -> None:
        method(self, *given)
        is_closing = self.transport is None or self.transport.is_closing()
        clock = getattr(self, _CLOCK)
        if (is_closing or not _is_between_requests(self)) and clock is not None:
            clock.cancel()
            setattr(self, _CLOCK, None)
        elif not is_closing and clock is None and _is_between_requests(self):
            setattr(self, _CLOCK, self.loop.call_later(patience_s, _close, self))

    return timed


def _is_between_requests(protocol: Any) -> bool:
    """Whether no request is being answered."""
    return protocol.cycle is None or protocol.cycle.response_complete


def _close(protocol: Any) -> None:
    """Close a connection whose header did not come; one that is idle has uvicorn's own clock."""
    setattr(protocol, _CLOCK, None)
    if _is_between_requests(protocol) and not protocol.transport.is_closing():
        protocol.transport.abort()
