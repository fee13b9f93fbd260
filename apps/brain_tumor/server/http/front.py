"""The gate that every request passes, however the server was started.

`take_over` puts it around the stock application's middleware, so `monailabel start_server` and
`tumorlens serve` run the same checks and the same routes.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brain_tumor.errors import AccessError, InputError
from brain_tumor.server.http.access import (
    AccessPolicy,
    check_client,
    check_host,
    check_origin,
    check_token,
    is_page,
)
from brain_tumor.server.http.bodies import BodyClock, body_limit
from brain_tumor.server.http.replies import REFERENCE_KEY, error_reply, internal_reply, status_reply

logger = logging.getLogger(__name__)

_PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Allow-Private-Network": "true",
    "Access-Control-Max-Age": "600",
}
_SINGLE_HEADERS = ("host", "origin", "authorization", "content-type", "content-length")
"""Headers that are believed; two of one would be believed by one reader each."""
_NOT_FOR_ROUTES = frozenset({b"origin", b"range", b"if-range"})
"""Headers that no route is to follow: files are sent whole, and replies are JSON."""
_DRAINED_BYTES = 64 * 1024
"""What is read of a body that nobody wants, so that its sender gets to read the reply."""
_CLOSE = {"Connection": "close"}

_LOGIN = frozenset({"/auth", "/auth/", "/auth/token"})
"""Addresses that clients ask before they have the token."""
_SLASHED = frozenset({"/auth", "/info", "/datastore", "/train", "/session", "/scoring"})
_UNSLASHED = frozenset({"/batch/infer/"})
"""Addresses that clients write with or without the final slash."""


class Front:
    """ASGI application: access, size limit and error replies; then the routes.

    Args:
        routes: The application behind.
        policy: Who may.
        max_body_bytes: Largest request body.
        root_path: Path below which a proxy serves this server, whether it takes it off or not.
    """

    def __init__(
        self, routes: ASGIApp, policy: AccessPolicy, max_body_bytes: int, root_path: str = ""
    ) -> None:
        self._routes = routes
        self._policy = policy
        self._max_body_bytes = max_body_bytes
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; other protocols than HTTP are closed."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return
        scope = _below(scope, self._root_path)
        headers = Headers(scope=scope)
        kind = headers.get("content-type", "")
        limit = body_limit(scope["method"], scope["path"], kind, self._max_body_bytes)
        exchange = _Exchange(scope, receive, send, limit)
        try:
            exchange.readable_by = self._admit(scope, headers)
        except (AccessError, InputError) as error:
            await exchange.reply(error_reply(error, headers=_CLOSE))
            return
        reply = _preflight(scope, headers, exchange.readable_by)
        if reply is not None:
            await exchange.reply(reply)
            return
        is_open = scope["path"] in _LOGIN or is_page(scope["method"], scope["path"])
        reply = None if is_open else self._ask_for_token(headers)
        drained = _DRAINED_BYTES if reply is not None else 2 * limit
        reply = reply or _refuse_length(headers, limit)
        if reply is not None:
            if "expect" not in headers:  # else the client waits for leave before it sends
                await exchange.drain(drained)
            await exchange.reply(reply)
            return
        await exchange.run(self._routes)

    def _admit(self, scope: Scope, headers: Headers) -> str | None:
        """Origin that may read the reply, after all checks that need no token.

        Raises:
            AccessError: If the client, host or origin is foreign.
            InputError: If the path is none.
        """
        for name in _SINGLE_HEADERS:
            if len(headers.getlist(name)) > 1:
                raise InputError(f"the request has two {name} headers; expected one")
        client = scope.get("client")
        check_client(self._policy, client[0] if client else None)
        check_host(self._policy, headers.get("host"))
        readable_by = check_origin(self._policy, dict(headers), scope["method"])
        path = scope["path"]
        if ".." in path.split("/") or "\\" in path or not path.isprintable():
            raise InputError(f"path is {path!r:.80}; expected a route of this server")
        return readable_by

    def _ask_for_token(self, headers: Headers) -> Response | None:
        """Reply that asks for the token, or None if it was sent."""
        try:
            check_token(self._policy, headers.get("authorization"))
        except AccessError as error:
            challenge = {"WWW-Authenticate": "Bearer", **_CLOSE}
            return error_reply(error, status=401, code="unauthorised", headers=challenge)
        return None


def _below(scope: Scope, root_path: str) -> Scope:
    """Request as if it were asked at the root; links in replies lead below the root path."""
    if not root_path:
        return scope
    path, raw = scope["path"], scope.get("raw_path") or b""
    if path == root_path or path.startswith(f"{root_path}/"):
        path = path[len(root_path) :] or "/"
        raw = raw[len(root_path) :] or b"/"
    return {**scope, "path": path, "raw_path": raw, "root_path": root_path}


class _Exchange:
    """One request and its reply: counts the body, replaces failures, sets headers.

    Attributes:
        readable_by: Web origin that may read the reply, if any.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        self.readable_by: str | None = None
        self._scope = _behind_front(scope)
        self._receive_raw, self._send_raw = receive, send
        self._limit = limit
        self._received = 0
        self._is_whole = False
        self._is_started = False
        self._clock = BodyClock()

    async def run(self, routes: ASGIApp) -> None:
        """Let the routes answer; a failure that they did not foresee is logged and replied."""
        try:
            await routes(self._scope, self._receive, self._send)
        except Exception:
            logger.exception("request failed (reference %s)", self._scope[REFERENCE_KEY])
            if not self._is_started:
                await self.reply(internal_reply(self._scope[REFERENCE_KEY]))

    async def reply(self, reply: Response) -> None:
        """Send a whole reply."""
        await reply(self._scope, self._receive_raw, self._send)

    async def drain(self, most: int) -> None:
        """Read and forget the body, so that the client gets to read the reply.

        Args:
            most: Bytes to read before giving up.
        """
        seen = 0
        while seen <= most:
            try:
                message = await self._next_message()
            except HTTPException:  # too slow to be waited for
                return
            seen += len(message.get("body", b""))
            if not message.get("more_body"):
                return

    async def _receive(self) -> Message:
        """Next message of the client.

        Raises:
            HTTPException: 413, once the body is longer than the limit; 408, if it comes too slowly.
        """
        message = await self._next_message()
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            if message.get("more_body"):
                await self.drain(2 * self._limit)
            raise HTTPException(413, _too_large(self._limit))
        return message

    async def _next_message(self) -> Message:
        """Next message, waited for as long as the body's clock allows.

        Raises:
            HTTPException: 408, if it does not come.
        """
        if self._is_whole:  # what comes now is that the client is gone, at any time
            return await self._receive_raw()
        patience_s = self._clock.patience_s(self._received)
        try:
            message = await asyncio.wait_for(self._receive_raw(), max(patience_s, 0.0))
        except TimeoutError as error:
            raise HTTPException(408, "the body of the request comes too slowly") from error
        self._is_whole = not message.get("more_body")
        return message

    async def _send(self, message: Message) -> None:
        """Next message to the client, with the headers that every reply carries."""
        if message["type"] == "http.response.start":
            self._is_started = True
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store")
            headers.add_vary_header("Origin")
            if self.readable_by is not None:
                headers["Access-Control-Allow-Origin"] = self.readable_by
        await self._send_raw(message)


def take_over(stock: Any, front: Front) -> None:
    """Make the front answer for the stock application.

    Args:
        stock: `monailabel.app.app`, whose middleware is built already: its lifespan is running.
        front: What answers from now on; it holds the stock middleware.
    """
    stock.middleware_stack = front


def _preflight(scope: Scope, headers: Headers, readable_by: str | None) -> Response | None:
    """Answer to a browser that asks before it sends, or None if it does not ask."""
    asks = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
    if not asks or readable_by is None:
        return None
    return Response(status_code=204, headers=_PREFLIGHT_HEADERS)


def _refuse_length(headers: Headers, limit: int) -> Response | None:
    """Reply that refuses a body announced as too long, or None."""
    announced = headers.get("content-length", "0")
    if announced.isdecimal() and (len(announced) > 15 or int(announced) > limit):
        return status_reply(413, _too_large(limit))
    return None


def _behind_front(scope: Scope) -> Scope:
    """Scope for the routes: one spelling of each address, and only headers that they may follow."""
    path = scope["path"]
    if path in _SLASHED:
        path = f"{path}/"
    if path in _UNSLASHED:
        path = path.rstrip("/")
    headers = [pair for pair in scope["headers"] if pair[0] not in _NOT_FOR_ROUTES]
    return {**scope, "path": path, "headers": headers, REFERENCE_KEY: secrets.token_hex(4)}


def _too_large(limit: int) -> str:
    """Sentence for a body over the limit."""
    return f"the request is larger than the {limit / 1024**2:g} MiB that this server accepts"
