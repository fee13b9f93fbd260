"""HTTP itself: the address of a server, one request to it, and what can go wrong.

Standard library only; no proxy, no redirect, no cookies.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from TumorLensLib.jobs import CancelledError, CancelToken

CONNECT_S = 5.0
MAX_REPLY_BYTES = 2**31
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class ServerError(Exception):
    """A request failed; the text is one sentence for the user.

    Attributes:
        remedy: What to do about it.
        code: The server's code, or a short name.
    """

    code = "failed"

    def __init__(self, message: str, remedy: str = "", code: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
        self.code = code or self.code


class UnreachableError(ServerError):
    """Nobody answers at the address."""

    code = "unreachable"


class TimedOutError(ServerError):
    """The server accepted the request and did not answer in time."""

    code = "timed_out"


class RefusedError(ServerError):
    """The server answered with an error.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, message: str, remedy: str = "", code: str = "", status: int = 0) -> None:
        super().__init__(message, remedy, code)
        self.status = status


class NotOfferedError(RefusedError):
    """The server does not know this route."""

    code = "not_offered"


class BadReplyError(ServerError):
    """The answer is not what the interface promises."""

    code = "bad_reply"


@dataclass(frozen=True)
class Address:
    """Where a server is.

    Attributes:
        scheme: http or https.
        host: Host name or address.
        port: Port.
        path: Prefix of every route, without the last slash.
    """

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def is_this_computer(self) -> bool:
        """Whether requests stay on this computer."""
        return self.host in LOOPBACK

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse_address(text: str) -> Address:
    """Address that a user typed; `http://` and the port may be left out.

    Raises:
        ServerError: If it is none, with what to write instead.
    """
    written = text.strip().rstrip("/")
    if "://" not in written:
        written = f"http://{written}"
    remedy = "Write it as http://127.0.0.1:8000."
    try:
        split = urlsplit(written)
        port = split.port
    except ValueError as error:
        raise ServerError(f"'{text}' is not a server address", remedy, "address") from error
    is_web = split.scheme in ("http", "https")
    if not is_web or not split.hostname or not written.isprintable() or " " in written:
        raise ServerError(f"'{text}' is not a server address", remedy, "address")
    if split.username or split.password or split.query or split.fragment:
        raise ServerError(f"'{text}' holds more than an address", remedy, "address")
    if split.hostname in ("0.0.0.0", "::"):
        raise ServerError(
            f"{split.hostname} means 'every address' to a server and none to a client",
            "Use 127.0.0.1 for a server on this computer, else the name of its computer.",
            "address",
        )
    default = 443 if split.scheme == "https" else 8000
    return Address(split.scheme, split.hostname, port or default, split.path)


@dataclass(frozen=True)
class Transport:
    """Requests to one server.

    Attributes:
        address: Where it is.
        token: Sent with every request, if any.
        cancel: Breaks off the requests.
    """

    address: Address
    token: str = ""
    cancel: CancelToken = field(default_factory=CancelToken)

    def request(
        self,
        method: str,
        route: str,
        query: Mapping[str, str],
        body: bytes | None,
        content_type: str,
        timeout_s: float,
    ) -> tuple[bytes, str]:
        """Send a request and wait for all of the reply.

        Args:
            method: HTTP method.
            route: Path of the route.
            query: Query parameters.
            body: Body, or None.
            content_type: Of the body.
            timeout_s: How long the server may stay silent.

        Returns:
            Content and content type of a good reply.

        Raises:
            ServerError: If there is none.
            CancelledError: If it was broken off.
        """
        headers = {"Accept": "application/json, multipart/form-data, application/octet-stream"}
        if content_type:
            headers["Content-Type"] = content_type
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        target = self.address.path + route + (f"?{urlencode(query)}" if query else "")
        connection = self._connection()
        self.cancel.on_cancel(lambda: _break_off(connection))
        try:
            self.cancel.check()
            connection.connect()
            connection.sock.settimeout(timeout_s)
            connection.request(method, target, body, headers)
            reply = connection.getresponse()
            content = reply.read(MAX_REPLY_BYTES)
            kind = reply.getheader("Content-Type") or ""
            status = reply.status
        except (OSError, http.client.HTTPException) as error:
            if self.cancel.is_cancelled:
                raise CancelledError from error
            raise self._translated(error, route) from error
        finally:
            connection.close()
        self.cancel.check()
        if status >= 300:
            raise _refusal(status, content, route)
        return content, kind

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self.address.host, self.address.port
        if self.address.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=CONNECT_S, context=context)
        return http.client.HTTPConnection(host, port, timeout=CONNECT_S)

    def _translated(self, error: Exception, route: str) -> ServerError:
        if isinstance(error, ConnectionRefusedError):
            return UnreachableError(
                f"no server answers at {self.address}",
                "Start it (tumorlens serve) and check address and port.",
            )
        if isinstance(error, socket.gaierror):
            return UnreachableError(
                f"the name '{self.address.host}' is unknown", "Check the address."
            )
        if isinstance(error, ssl.SSLError):
            return UnreachableError(
                f"no secure connection to {self.address}: {error.reason or 'TLS error'}",
                "Use http:// if the server has no certificate, or install its certificate.",
            )
        if isinstance(error, TimeoutError):
            return TimedOutError(
                f"the server at {self.address} did not answer {route} in time",
                "It may be busy; try again in a minute.",
            )
        return UnreachableError(
            f"the connection to {self.address} broke off", "Check that the server still runs."
        )


def _break_off(connection: http.client.HTTPConnection) -> None:
    """Wake a thread that waits for this connection."""
    sock = connection.sock
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _refusal(status: int, content: bytes, route: str) -> RefusedError:
    """Error of an error reply; of TumorLens, or of something else at that address."""
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("message"), str):
        detail = body.get("detail") if isinstance(body, dict) else None
        said = f": {detail}" if isinstance(detail, str) else ""
        if status in (404, 405):
            return NotOfferedError(f"this server does not offer {route}{said}", status=status)
        return RefusedError(
            f"the server answered {route} with status {status}{said}",
            "Check that a TumorLens server runs at this address.",
            "http",
            status,
        )
    message, code = body["message"], str(body.get("code", ""))
    remedy = str(body.get("remedy", ""))
    if status == 401:
        remedy = "Enter the token that the server printed when it started."
    is_unknown_route = code == "not_found" and message.startswith("no route for")
    if status == 405 or is_unknown_route:
        return NotOfferedError(f"this server does not offer {route}", status=status)
    return RefusedError(message, remedy, code, status)
