"""MONAI Label's train tasks: fine-tuning from corrections, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask

from brain_tumor.errors import InputError
from brain_tumor.model_names import ModelName
from brain_tumor.server.http.validation import Parameter, check_params
from brain_tumor.server.learning.jobs import TrainingJobs

OPTIONS: Mapping[str, Parameter] = {
    "max_epochs": Parameter((int,), default=20),
    "steps_per_epoch": Parameter((int,), default=0),
    "learning_rate": Parameter((float, int), default=3e-4),
    "promote": Parameter((bool,), default=True),
}
"""What a training may be told: passes, steps a pass (0: one per correction), rate, and whether a
candidate that passes the gate becomes active at once."""

RATES: Mapping[str, float] = {ModelName.CLASSIFICATION: 1e-3, ModelName.TUMOR_CORE: 1e-4}
"""Rates of models that take another one: a few small layers learn faster than a whole network, and
a pretrained encoder forgets at 3e-4."""

Start = Callable[[str, Mapping[str, Any], str], dict[str, Any]]


def training_options(model: str) -> dict[str, Parameter]:
    """What a training of a model may be told, with its defaults."""
    rate = replace(OPTIONS["learning_rate"], default=RATES[model]) if model in RATES else None
    return {**OPTIONS, **({} if rate is None else {"learning_rate": rate})}


def check_training_options(model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a training with defaults.

    Args:
        model: Bundle.
        options: As given.

    Raises:
        InputError: If one is unknown, or outside its range.
    """
    checked = check_params(options, training_options(model))
    ranges = {
        "max_epochs": (1, 1000),
        "steps_per_epoch": (0, 1000),
        "learning_rate": (1e-7, 0.1),
    }
    for key, (low, high) in ranges.items():
        if not low <= checked[key] <= high:
            raise InputError(f"{key} is {checked[key]}; expected {low}-{high}")
    return checked


class CorrectionTrainer(TrainTask):  # type: ignore[misc]
    """Fine-tunes a model from the corrections in the ledger.

    Args:
        model: Bundle.
        jobs: Trainings of the server; asked for when needed, because it is made later.
        start: Starts a training: model, options, client.
    """

    def __init__(self, model: str, jobs: Callable[[], TrainingJobs], start: Start) -> None:
        super().__init__(f"Learns {model} from corrections; a gate decides about the result")
        self._model = model
        self._jobs = jobs
        self._start = start

    def config(self) -> dict[str, Any]:
        """Options and their defaults."""
        return {key: parameter.default for key, parameter in training_options(self._model).items()}

    def stats(self) -> dict[str, Any]:
        """What stock clients show about the newest training."""
        found = self._jobs().newest_of(self._model)
        if found is None:
            return {}
        _, progress = found
        return {
            "epoch": progress.epoch,
            "total_epochs": progress.max_epochs,
            "best_metric": progress.validation or 0.0,
            "total_time": round(progress.seconds, 1),
            "train": {"loss": progress.loss},
        }

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """MONAI Label's contract: train, and return when it is over."""
        options = {key: request[key] for key in OPTIONS if key in request}
        self._start(self._model, options, str(request.get("client_id") or ""))
        while not self._jobs().wait(3600.0):
            pass
        return self._jobs().status() or {}
