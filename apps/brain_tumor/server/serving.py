"""Turning the stock server into this one, in the moment it begins to serve."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.requests import Request
from fastapi.responses import Response
from filelock import FileLock, Timeout
from monailabel.interfaces.exception import MONAILabelException
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from brain_tumor import __version__
from brain_tumor.cases.files.durable import storage_errors, storage_reason
from brain_tumor.errors import BusyError, StorageError, TumorLensError
from brain_tumor.server.app import NAME, ServerApp
from brain_tumor.server.datastore.store import PRIVATE_FOLDER
from brain_tumor.server.ending import end_in_time
from brain_tumor.server.http.access import (
    ALLOWED_HOSTS_ENV,
    ROOT_PATH_ENV,
    TOKEN_ENV,
    AccessPolicy,
    access_policy,
    root_path_of,
)
from brain_tumor.server.http.front import Front, take_over
from brain_tumor.server.http.replies import REFERENCE_KEY, error_reply, internal_reply, reply_to
from brain_tumor.server.http.slow_clients import end_slow_connections
from brain_tumor.server.http.stock import StockRoutes
from brain_tumor.server.logs import keep_log_private
from brain_tumor.server.routes import (
    archive,
    auth,
    cases,
    corrections,
    follow_up,
    images,
    imports,
    inference,
    labels,
    models,
    overview,
    page,
    uploads,
    work,
)

logger = logging.getLogger(__name__)


def serve_through_front(app: ServerApp) -> None:
    """Put the front before the stock application that is starting around an app.

    Called from the app's `on_init_complete`, hence inside the stock lifespan: no request has been
    answered yet, and none will get past the front.

    Raises:
        BusyError: If another server works on the same studies folder.
        InputError: If the access settings make no sense.
    """
    from monailabel.app import app as stock
    from monailabel.config import settings

    os.umask(0o077)  # what libraries write beside us is for this user alone, too
    keep_log_private()
    hold_studies(app)
    policy = access_policy(os.environ, sys.argv, map(str, settings.MONAI_LABEL_CORS_ORIGINS))
    root_path = root_path_of(os.environ.get(ROOT_PATH_ENV, ""))
    front = build_front(
        app, policy, stock=stock, inside=stock.middleware_stack, root_path=root_path
    )
    # what libraries keep in files lies beside the studies, and goes at the next start
    tempfile.tempdir = str(app.staging)
    take_over(stock, front)
    end_slow_connections()
    end_in_time(app.learning.jobs.close)
    announce(policy)
    if not page.is_built():
        logger.warning(page.NOT_BUILT)


def build_front(
    app: ServerApp,
    policy: AccessPolicy,
    *,
    stock: ASGIApp,
    inside: ASGIApp,
    root_path: str = "",
) -> Front:
    """Front with all routes behind it.

    Args:
        app: What answers.
        policy: Who may ask.
        stock: Stock application, for the pages that stay open.
        inside: Its own middleware and routes.
        root_path: Path below which a proxy serves.
    """
    routes = build_routes(app, StockRoutes(stock, inside))
    routes.state.policy = policy
    return Front(routes, policy, app.limits.max_body_bytes, root_path)


def build_routes(app: ServerApp, stock_routes: ASGIApp) -> FastAPI:
    """Our routes, with the stock pages behind them."""
    routes = FastAPI(
        title=NAME,
        version=__version__,
        description=app.description,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    routes.state.server = app
    ours = (auth, inference, labels, images, uploads, work, corrections, cases, imports, overview)
    for module in (*ours, archive, follow_up, models, page):
        routes.include_router(module.router)
    for kind in (TumorLensError, MONAILabelException, RequestValidationError, HTTPException):
        routes.add_exception_handler(kind, _foreseen)
    routes.add_exception_handler(OSError, _disk)
    routes.add_exception_handler(MemoryError, _memory)
    routes.add_exception_handler(Exception, _unforeseen)
    routes.mount("/", stock_routes)
    return routes


def hold_studies(app: ServerApp) -> None:
    """Keep other servers off the studies folder for as long as this process lives.

    Raises:
        BusyError: If another server holds it.
    """
    path = app.datastore().root / PRIVATE_FOLDER / "server.lock"
    lock = FileLock(path)
    with storage_errors(path.name):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:  # an OSError itself
            raise BusyError(
                "another TumorLens server works on this studies folder",
                remedy="Stop it, or serve another folder.",
            ) from error
    app.folder_lock = lock  # released when the process ends


def announce(policy: AccessPolicy) -> None:
    """Show a generated token once, on the terminal only: logs are kept, terminals are not."""
    if os.environ.get(ALLOWED_HOSTS_ENV) and policy.token is None:
        logger.warning(
            "a proxy brings requests of other machines, and no token is asked for: set %s, or let "
            "the proxy ask who they are",
            TOKEN_ENV,
        )
    if policy.generated:
        sys.stderr.write(
            f"\nThis server is reachable from the network, so every request needs a token:\n\n"
            f"    Authorization: Bearer {policy.token}\n\n"
            f"It holds for this run; set {TOKEN_ENV} to choose one.\n\n"
        )
        sys.stderr.flush()


async def _foreseen(_request: Request, error: Exception) -> Response:
    """Reply to an error that has a class of its own."""
    reply = reply_to(error)
    if reply is None:  # FastAPI calls this for the registered classes only
        raise error
    return reply


async def _disk(_request: Request, error: Exception) -> Response:
    """Reply to a disk that takes nothing, wherever that was noticed."""
    reason = storage_reason(error) if isinstance(error, OSError) else None
    if reason is None:
        raise error
    return error_reply(StorageError(f"the disk does not take it: {reason}"))


async def _memory(_request: Request, _error: Exception) -> Response:
    """Reply to a request for which there is not enough memory now."""
    return error_reply(
        BusyError(
            "the server has not enough memory for this request now",
            remedy="Wait until others are done, or crop the volume.",
        )
    )


async def _unforeseen(request: Request, _error: Exception) -> Response:
    """Reply to any other; the front logs it under the same reference."""
    reference: Any = request.scope.get(REFERENCE_KEY, "none")
    return internal_reply(str(reference))
