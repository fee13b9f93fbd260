"""Login of stock clients: their form for name and password gives the server's token."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from brain_tumor.errors import AccessError
from brain_tumor.server.http.access import AccessPolicy, is_token
from brain_tumor.server.http.bodies import BoundedRoute
from brain_tumor.server.http.replies import error_reply, json_reply

router = APIRouter(prefix="/auth", tags=["Access"], route_class=BoundedRoute)


@router.get("/", summary="Is a token needed?")
async def auth(request: Request) -> Response:
    """What stock clients ask before they show their login."""
    is_needed = _policy(request).token is not None
    return json_reply({"enabled": is_needed, "client_id": "tumorlens", "realm": "tumorlens"})


@router.post("/token", summary="Log in with the token as password")
async def log_in(
    request: Request, password: Annotated[str, Form()] = "", username: Annotated[str, Form()] = ""
) -> Response:
    """The token to send with every request, for a client that knows it; any name will do."""
    policy = _policy(request)
    if policy.token is None:
        return json_reply({"access_token": None, "token_type": None})
    if not is_token(policy, password):
        error = AccessError(
            "the password is not the token of this server",
            remedy="Enter the token that the server showed at its start as the password.",
        )
        return error_reply(error, status=401, code="unauthorised")
    return json_reply({"access_token": policy.token, "token_type": "bearer"})


def _policy(request: Request) -> AccessPolicy:
    policy: Any = request.app.state.policy
    return policy if isinstance(policy, AccessPolicy) else AccessPolicy()
