"""What the server is and does: information, next case, training, batches."""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Body
from fastapi.responses import Response

from brain_tumor.errors import InputError, NotFoundError, StorageError
from brain_tumor.server.http.bodies import BoundedRoute
from brain_tumor.server.http.replies import json_reply
from brain_tumor.server.http.validation import (
    Parameter,
    check_client_id,
    check_name,
    check_object,
    check_params,
)
from brain_tumor.server.routes.common import App

logger = logging.getLogger(__name__)

router = APIRouter(tags=["Work"], route_class=BoundedRoute)

JsonBody = Annotated[Any, Body()]
INFO_THREADS = 4
IDLE: dict[str, Any] = {
    "id": "",
    "status": "IDLE",
    "request": {},
    "start_ts": "",
    "end_ts": "",
    "details": ["No training was started yet."],
}
SAMPLE_PARAMETERS = {
    "client_id": Parameter((str, type(None))),
    "label_tag": Parameter((str,), default="final"),
    "labels": Parameter((list, dict, type(None))),
}


@cache
def _info_threads() -> anyio.CapacityLimiter:
    """Threads for the question whether the server is there, however many uploads are read."""
    return anyio.CapacityLimiter(INFO_THREADS)


@router.get("/info/", summary="Models, labels, strategies and state of the studies folder")
async def info(app: App) -> Response:
    """What stock clients ask for before everything else; has threads of its own."""
    return await anyio.to_thread.run_sync(lambda: json_reply(app.info()), limiter=_info_threads())


@router.post("/activelearning/{strategy}", summary="Next case to annotate")
def next_sample(app: App, strategy: str, params: JsonBody = None) -> Response:
    """Case by a strategy; an empty object if all are labelled."""
    checked = check_params(check_object(params, "params"), SAMPLE_PARAMETERS)
    name = check_name(strategy, "strategy")
    sample = app.next_sample({**checked, "strategy": name})
    if not sample:
        return json_reply({})
    store = app.datastore()
    held = store.get_image_info(sample["id"]).get("strategy")
    held = held if isinstance(held, dict) else {}
    served = {"ts": int(time.time()), "client_id": checked["client_id"]}
    try:
        store.update_image_info(sample["id"], {"strategy": {**held, name: served}})
    except StorageError:  # the case is reserved already, and the note only spreads the choice
        logger.warning("could not note which case was handed out", exc_info=True)
    return json_reply({**sample, **store.get_image_info(sample["id"])})


@router.get("/model/info/{model}", summary="Version, checksum and choices of a model")
def model_info(app: App, model: str) -> Response:
    """The versions that answer requests now, and the values that `methods` and the like may have.

    Every parameter with a fixed choice of texts is listed under its name in the plural.
    """
    task = app.infer_task(check_name(model, "model"))
    versions = [version.to_json() for version in task.models()]
    choices = {f"{key}s": value.choices for key, value in task.parameters.items() if value.choices}
    return json_reply({"checksum": versions[0]["sha256"], "models": versions, **choices})


@router.get("/train/", summary="State of the last training")
def train_status(app: App, all: bool = False, check_if_running: bool = False) -> Response:
    """State; with `check_if_running` 404 unless one runs, which is how stock clients ask."""
    jobs = app.learning.jobs
    if check_if_running:
        return json_reply(jobs.running())
    return json_reply(jobs.all() if all else jobs.status() or IDLE)


@router.post("/train/{model}", summary="Start a training")
def train(app: App, model: str, params: JsonBody = None) -> Response:
    """Start a training in a process of its own, on the corrections in the ledger."""
    trainers = app.trainers()
    if check_name(model, "model") not in trainers:
        known = ", ".join(sorted(trainers)) or "none"
        raise NotFoundError(
            f"model '{model}' cannot be trained on this server; those that can: {known}",
            remedy="See 'trainers' in GET /info/.",
        )
    given = check_object(params, "params")
    check_client_id(given)
    client = given.pop("client_id", None) or ""
    options = trainers[model].config()
    unknown = sorted(set(given) - set(options))
    if unknown:
        raise InputError(f"params holds {unknown}; expected only {sorted(options)}")
    return json_reply(app.learning.trainings.train(model, given, client))


@router.post("/train/", summary="Start a training of every model", deprecated=True)
def train_all(app: App) -> Response:
    """Refused: trainings are started one by one."""
    known = ", ".join(sorted(app.trainers())) or "none"
    raise InputError(f"no model is named; those that can be trained: {known}")


@router.delete("/train/", summary="Stop the running training")
def stop_training(app: App) -> Response:
    """Stop it after its step; idle if none runs."""
    return json_reply(app.learning.jobs.stop() or IDLE)


@router.post("/batch/infer/{model}", summary="Run a model on many cases, in the background")
def start_batch(
    app: App, model: str, images: str = "unlabeled", params: JsonBody = None
) -> Response:
    """Store the results as labels with the tag `original`."""
    check_client_id(check_object(params, "params"))
    return json_reply(app.batches.start(check_name(model, "model"), images))


@router.get("/batch/infer", summary="State of the last batch")
def batch_status(app: App, check_if_running: bool = False) -> Response:
    """State; with `check_if_running` 404 unless one runs."""
    return json_reply(app.batches.status(only_running=check_if_running))


@router.delete("/batch/infer", summary="Stop the running batch after its current case")
def stop_batch(app: App) -> Response:
    """Stop it; what is done is kept."""
    return json_reply(app.batches.stop())
