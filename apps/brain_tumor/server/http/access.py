"""Who may talk to the server: this machine's programs, or holders of the token.

Three attacks are met here. A web page that the user happens to open may send requests to a
loopback server (so the `Origin` is checked), may point its own domain name at 127.0.0.1 (DNS
rebinding, so the `Host` is checked), and on a network anybody may connect (so a token is needed).
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from brain_tumor.errors import AccessError, InputError

TOKEN_ENV = "TUMORLENS_TOKEN"
HOST_ENV = "TUMORLENS_HOST"
ALLOWED_HOSTS_ENV = "TUMORLENS_ALLOWED_HOSTS"
ROOT_PATH_ENV = "TUMORLENS_ROOT_PATH"
MIN_TOKEN_CHARACTERS = 16

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?", re.ASCII)
_LOOPBACK_NAMES = frozenset({"localhost"})
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?|[0-9a-f:]+")
_ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True)
class AccessPolicy:
    """What a request must bring.

    Attributes:
        token: Bearer token that every request must carry; None serves only programs on this
            machine and asks for none.
        hosts: Names in the `Host` header that mean this server, besides loopback; lower case.
        any_address: Whether an IP address is accepted as `Host`; an address cannot be rebound.
        origins: Web origins (``scheme://host:port``, lower case) whose pages may call the server.
        generated: Whether the token was made up for this run and must be shown to the user.
    """

    token: str | None = field(default=None, repr=False)
    hosts: frozenset[str] = frozenset()
    any_address: bool = False
    origins: frozenset[str] = frozenset()
    generated: bool = False


def access_policy(
    environ: Mapping[str, str], argv: Items[str], origins: Iterable[str] = ()
) -> AccessPolicy:
    """Policy for the way this process was started.

    Args:
        environ: Environment; `TUMORLENS_HOST`, `TUMORLENS_TOKEN` and `TUMORLENS_ALLOWED_HOSTS`
            (names behind which a proxy serves, with commas) are read.
        argv: Command line; the `--host` of `monailabel start_server` is read.
        origins: Web origins allowed explicitly.

    Returns:
        With a token if one was given, or if a host beyond loopback was asked for (then one is
        generated). Without: only this machine is served, whatever address the socket is bound to.

    Raises:
        InputError: If the token given is too short to be one, or Keycloak is asked for.
    """
    if environ.get("MONAI_LABEL_AUTH_ENABLE", "").lower() in {"1", "true", "yes", "on"}:
        raise InputError(
            "MONAI_LABEL_AUTH_ENABLE is set; MONAI Label 0.8.5 refuses every valid Keycloak token",
            remedy=f"Unset it and give a token in {TOKEN_ENV}.",
        )
    token = environ.get(TOKEN_ENV) or None
    if token is not None and len(token) < MIN_TOKEN_CHARACTERS:
        raise InputError(
            f"{TOKEN_ENV} has {len(token)} characters; expected {MIN_TOKEN_CHARACTERS} or more",
            remedy="Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    host = environ.get(HOST_ENV) or host_argument(argv)
    beyond = host is not None and not is_loopback(host)
    generated = beyond and token is None
    allowed = frozenset(_origin(text) for text in origins)
    # a page that may call the server may also be served beside it, by a proxy that keeps the Host
    names = {_host_name(urlsplit(origin).netloc) for origin in allowed}
    names |= allowed_hosts(environ.get(ALLOWED_HOSTS_ENV, "").split(","))
    return AccessPolicy(
        token=secrets.token_urlsafe(24) if generated else token,
        hosts=frozenset(names) | (_names_of(host) if beyond or token else frozenset()),
        any_address=beyond or token is not None,
        origins=allowed,
        generated=generated,
    )


def allowed_hosts(names: Iterable[str]) -> frozenset[str]:
    """Names that a proxy may pass on in the `Host` header, as they are compared.

    Raises:
        InputError: If one is no host name.

    Example:
        >>> sorted(allowed_hosts(["Imaging.Example.org", "pacs:8443", ""]))
        ['imaging.example.org', 'pacs']
    """
    given = [name.strip() for name in names if name.strip()]
    for name in given:
        if not _HOST_NAME.fullmatch(_host_name(name)):
            raise InputError(
                f"allowed host is {name!r:.80}; expected a host name without scheme and path",
                remedy="Write it as in --allowed-host imaging.example.org.",
            )
    return frozenset(_host_name(name) for name in given)


def root_path_of(text: str) -> str:
    """Path below which a proxy serves the server; empty if there is none.

    Raises:
        InputError: If it is no path.

    Example:
        >>> root_path_of("/tumorlens/"), root_path_of("")
        ('/tumorlens', '')
    """
    path = text.strip().rstrip("/")
    if path and not _ROOT_PATH.fullmatch(path):
        raise InputError(
            f"root path is {text!r:.80}; expected a path such as /tumorlens",
            remedy="Write it as in --root-path /tumorlens.",
        )
    return path


def host_argument(argv: Items[str]) -> str | None:
    """Host asked for on the command line of `monailabel start_server`, if any.

    Example:
        >>> host_argument(["monailabel", "start_server", "--host", "0.0.0.0"])
        '0.0.0.0'
    """
    for position, argument in enumerate(argv):
        name, equals, value = argument.partition("=")
        if name == "--host" or (name.startswith("--ho") and "--host".startswith(name)):
            return value if equals else next(iter(argv[position + 1 :]), None)
        if argument == "-i":
            return next(iter(argv[position + 1 :]), None)
        if argument.startswith("-i") and not argument.startswith("--"):
            return argument[2:]
    return None


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    if host.lower().rstrip(".") in _LOOPBACK_NAMES:
        return True
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def is_page(method: str, path: str) -> bool:
    """Whether a request asks for the page itself, which holds no data and asks for the token.

    Example:
        >>> is_page("GET", "/web/js/main.js"), is_page("PUT", "/"), is_page("GET", "/info/")
        (True, False, False)
    """
    return method in {"GET", "HEAD"} and (path == "/" or path.startswith("/web/"))


def check_client(policy: AccessPolicy, client: str | None) -> None:
    """Refuse other machines where there is no token.

    Raises:
        AccessError: If the policy has no token and the client is not this machine.
    """
    if policy.token is None and client is not None and not is_loopback(client):
        raise AccessError(
            "this server was started for programs on its own machine only",
            remedy=f"Start it with an explicit --host and a token in {TOKEN_ENV}.",
        )


def check_host(policy: AccessPolicy, host: str | None) -> None:
    """Refuse a `Host` header that does not mean this server.

    Raises:
        AccessError: If the name could belong to somebody else's domain.
    """
    name = _host_name(host or "")
    known = is_loopback(name) or name in policy.hosts
    if not known and not (policy.any_address and _address(name) is not None):
        raise AccessError(
            f"the Host header is {host!r:.80}; expected the address this server was started with",
            remedy="Use that address, or start the server with --allowed-host NAME.",
        )


def check_origin(policy: AccessPolicy, headers: Mapping[str, str], method: str) -> str | None:
    """Refuse requests that a foreign web page makes.

    Args:
        policy: Who may.
        headers: Request headers, names in lower case.
        method: HTTP method.

    Returns:
        The origin that may read the reply, or None when the request has no foreign origin.

    Raises:
        AccessError: If a page of a foreign origin sent the request.
    """
    origin = headers.get("origin")
    if origin is not None:
        if origin.lower() in policy.origins:
            return origin
        if urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != "":
            return None
        raise AccessError(
            f"a web page of {origin!r:.80} sent this request; expected none or a listed origin",
            remedy="Start the server with --origin and the page's origin if you trust it.",
        )
    site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode")
    if site in {"cross-site", "same-site"} and not (mode == "navigate" and method == "GET"):
        raise AccessError("another web site sent this request", remedy="Open the address itself.")
    return None


def check_token(policy: AccessPolicy, authorization: str | None) -> None:
    """Refuse a request without the token, in constant time.

    Raises:
        AccessError: If a token is needed and another or none was sent.
    """
    if policy.token is None:
        return
    scheme, _, sent = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not is_token(policy, sent.strip()):
        raise AccessError("this server needs its token; the request carries another or none")


def is_token(policy: AccessPolicy, sent: str) -> bool:
    """Whether a text is the token, in constant time."""
    wanted = (policy.token or "").encode()
    same = hmac.compare_digest(sent.encode("utf-8", "surrogatepass"), wanted)
    return policy.token is not None and same


def _names_of(host: str | None) -> frozenset[str]:
    """Names under which this machine may be addressed when bound to a host."""
    names = {socket.gethostname(), socket.getfqdn()}
    if host and _address(host) is None:
        names.add(host)
    return frozenset(name.lower().rstrip(".") for name in names if name)


def _host_name(host: str) -> str:
    """Host header without its port, lower case; empty if it is no name or address with a port."""
    found = _HOST.fullmatch(host.strip().lower())
    return (found.group(1) or found.group(2)).rstrip(".") if found else ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """IP address, or None if the text is none."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _origin(text: str) -> str:
    """Web origin in the form that browsers send.

    Raises:
        InputError: If the text is no origin.
    """
    parts = urlsplit(str(text).strip().rstrip("/"))
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path:
        raise InputError(f"allowed origin is {text!r:.80}; expected scheme://host:port")
    return f"{parts.scheme}://{parts.netloc}".lower()
