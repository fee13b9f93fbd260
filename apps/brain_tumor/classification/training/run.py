"""A whole training: five folds for honest figures, then all patients for the shipped weights.

    tumorlens train classification --data DIR --output DIR --fold all

Every finished part is kept in the run folder and not repeated, so an interrupted run goes on where
it stopped. Calibration, prediction sets and the outlier threshold come from held-out patients of
the five folds; the shipped weights have seen every patient.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from brain_tumor.bundles import METADATA, WEIGHTS
from brain_tumor.classification.case_slices import PATCH_PIXELS
from brain_tumor.classification.features.feature_table import FEATURE_IDS
from brain_tumor.classification.model.network import (
    PIXEL_MM,
    HybridNetwork,
    NetworkArguments,
    load_network,
)
from brain_tumor.classification.model.outliers import OutlierModel, fit_outliers
from brain_tumor.classification.model.training_statistics import ClassifierStatistics
from brain_tumor.classification.predictions import (
    Predictions,
    fit_calibrations,
    join,
    load_predictions,
    own_outlines,
    predict_collection,
)
from brain_tumor.classification.training.data import TypedSlices, load_typed_slices
from brain_tumor.classification.training.train import TrainingPlan, train
from brain_tumor.errors import InputError
from brain_tumor.labels import TumorType
from brain_tumor.segmentation.data.cheng_slices import FOLDS, cheng_folds, read_cheng_index

logger = logging.getLogger(__name__)

COVERAGE = 0.95
OUTLIER_QUANTILE = 0.985
FIRST_VERSION = "0.1.0"
LEFT_OUT_FEATURES = frozenset({"margin_width_mm", "surrounding_bright_share"})
"""They tell the scanner rather than the tumour; see the card."""
NEEDED = ("cheng", "t1ce_gbm", "glioma3d")
RUN_WEIGHTS = "model.safetensors"
PREDICTIONS, KNOWN = "predictions.npz", "known.npz"
NO_INFLUENCE = frozenset({"report_every", "threads"})
"""Settings of a plan that do not decide what is learnt."""


def model_features() -> tuple[str, ...]:
    """Ids of the features that the network is trained on."""
    return tuple(name for name in FEATURE_IDS if name not in LEFT_OUT_FEATURES)


def train_classification(
    data: Path,
    output: Path,
    *,
    fold: int | None,
    steps: int | None = None,
    seed: int | None = None,
    boundary: bool = True,
) -> Path:
    """What `tumorlens train classification` does.

    Args:
        data: Folder with `cheng`, `t1ce_gbm` and `glioma3d`.
        output: Run folder; finished parts of the same plan are reused.
        fold: Train only this fold's network, or None for the whole run with a bundle.
        steps: Optimiser steps per network; the plan's default if None.
        seed: Of weights, sampling and augmentation; the plan's default if None.
        boundary: False to train a fold without the boundary layer and its term of the loss.

    Returns:
        The fold's run folder, or the bundle `output/classification`.

    Raises:
        InputError: If a part of the data is missing, a finished part was trained by another plan,
            or a whole run is asked for without the boundary layer, which no shipped model lacks.
        ModelError: If the pretrained weights are not installed.
    """
    missing = [name for name in NEEDED if not (data / name).exists()]
    if missing:
        raise InputError(f"training data lacks {', '.join(missing)}; expected {', '.join(NEEDED)}")
    if fold is None and not boundary:
        raise InputError(
            "a run over all folds makes a model to ship; expected one fold without the boundary",
            remedy="Give a fold, 0-4.",
        )
    slices = load_typed_slices(data, model_features(), output / "features.npz")
    given = {"steps": steps, "seed": seed}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    plan = replace(TrainingPlan(boundary=boundary), **chosen)
    folds = range(FOLDS) if fold is None else (fold,)
    for number in folds:
        _train_part(replace(plan, fold=number), slices, data, output / f"fold{number}")
    if fold is not None:
        return output / f"fold{fold}"
    network = _train_part(replace(plan, fold=None), slices, data, output / "final")
    bundle = output / "classification"
    export_bundle(network, output, bundle)
    return bundle


def run_features(folder: Path) -> tuple[str, ...]:
    """Features of one part of a run, as its network takes them."""
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    return tuple(str(name) for name in plan["features"])


def load_run(folder: Path) -> HybridNetwork:
    """Network of one part of a run."""
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    return load_network(NetworkArguments.from_json(plan), load_file(folder / RUN_WEIGHTS))


def held_out_predictions(run: Path) -> tuple[Predictions, np.ndarray[Any, np.dtype[np.int64]]]:
    """Predictions of the five folds, each on its held-out patients, and the folds.

    Raises:
        InputError: If a fold has not been trained.
    """
    parts = []
    for fold in range(FOLDS):
        path = run / f"fold{fold}" / PREDICTIONS
        if not path.is_file():
            raise InputError(f"the run has no predictions of fold {fold}; expected all {FOLDS}")
        parts.append(load_predictions(path))
    folds = np.concatenate([np.full(len(p), fold) for fold, p in enumerate(parts)])
    return join(parts), folds


def export_bundle(network: HybridNetwork, run: Path, bundle: Path) -> None:
    """Write weights, statistics and metadata of a finished run.

    Args:
        network: Trained on all patients.
        run: Run folder with the predictions of five folds and of the final network.
        bundle: Folder, for example `models/classification`.
    """
    plan = json.loads((run / "final" / "plan.json").read_text(encoding="utf-8"))
    features = tuple(plan["features"])
    for file in (METADATA, WEIGHTS):
        (bundle / file).parent.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.half().contiguous() if value.is_floating_point() else value.contiguous()
        for name, value in network.state_dict().items()
        if not name.startswith("feature_")
    }
    # Scales of features span five orders of magnitude: they stay in full precision.
    state |= {k: v for k, v in network.state_dict().items() if k.startswith("feature_")}
    save_file(state, bundle / WEIGHTS)
    fit_statistics(run).write(bundle)
    final = load_predictions(run / "final" / PREDICTIONS)
    metadata = {
        "name": "classification",
        "version": FIRST_VERSION,
        "task": "Tumour type (glioma, meningioma, pituitary) from T1c slices or a volume",
        "description": "EfficientNet-Lite0 encoder with a boundary layer, fused with measured "
        "features; calibrated, and undetermined when unsure",
        "authors": "TumorLens",
        "copyright": "Apache-2.0; trained on figshare 1512427 (CC BY 4.0) and TCIA (CC BY 3.0)",
        "intended_use": "Research; a proposal for an annotator to correct. Not for diagnosis.",
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "python_version": platform.python_version(),
        "network": NetworkArguments(features).to_json(),
        "training": {
            "held_out": "none; figures are those of five networks of the same plan",
            "plan": plan,
            "groups_seen": sorted({group_mark(str(name)) for name in final.patient}),
        },
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "per slice (x - median) / (p90 - p10) of the foreground, -3 to 5",
                    "num_channels": 1,
                    "spatial_shape": [PATCH_PIXELS, PATCH_PIXELS],
                    "spacing_mm": [PIXEL_MM, PIXEL_MM],
                    "orientation": "rows and columns towards: axial P and L, coronal I and L, "
                    "sagittal I and P",
                    "channel_def": {"0": "t1c"},
                }
            },
            "outputs": {
                "pred": {
                    "type": "probabilities",
                    "num_channels": len(TumorType),
                    "channel_def": {str(i): kind.value for i, kind in enumerate(TumorType)},
                }
            },
        },
    }
    text = json.dumps(metadata, indent=2) + "\n"
    (bundle / METADATA).write_text(text, encoding="utf-8")


def fit_statistics(run: Path) -> ClassifierStatistics:
    """Calibration from held-out predictions, outliers from all patients.

    The outlier threshold is what `OUTLIER_QUANTILE` of held-out slices stay under, each measured
    by the Gaussians of its own fold's training slices, scaled to the final network.

    Args:
        run: Run folder.
    """
    held, _ = held_out_predictions(run)
    final = load_predictions(run / "final" / PREDICTIONS)
    by_slice, by_case = fit_calibrations(held, COVERAGE)
    outliers = fit_outliers(final.expert.embedding, final.truth)
    threshold = _outlier_threshold(run, outliers, final)
    return ClassifierStatistics(
        slice_calibration=by_slice,
        case_calibration=by_case,
        outliers=OutlierModel(outliers.means, outliers.precision, threshold),
    )


def group_mark(group: str) -> str:
    """Mark by which a patient group is recognised without naming it."""
    return hashlib.sha256(f"cheng {group}".encode()).hexdigest()[:12]


def _outlier_threshold(run: Path, final_model: OutlierModel, final: Predictions) -> float:
    ratios = []
    for fold in range(FOLDS):
        folder = run / f"fold{fold}"
        held = load_predictions(folder / PREDICTIONS)
        known = load_predictions(folder / KNOWN)
        model = fit_outliers(known.expert.embedding, known.truth)
        outside = np.quantile(model.distance(held.expert.embedding), OUTLIER_QUANTILE)
        inside = np.quantile(model.distance(known.expert.embedding), OUTLIER_QUANTILE)
        ratios.append(float(outside / inside))
    inside = np.quantile(final_model.distance(final.expert.embedding), OUTLIER_QUANTILE)
    return float(np.median(ratios) * inside)


def _train_part(plan: TrainingPlan, slices: TypedSlices, data: Path, folder: Path) -> HybridNetwork:
    """Train one network and read its slices, unless that was done before."""
    features = model_features()
    if (folder / RUN_WEIGHTS).is_file():
        _check_plan(plan, features, folder)
    else:
        network = train(plan, slices, NetworkArguments(features, plan.boundary), folder)
        record = {**asdict(plan), "features": list(features)}
        (folder / "plan.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
        state = {k: v.contiguous() for k, v in network.state_dict().items()}
        _write_whole(folder / RUN_WEIGHTS, lambda path: save_file(state, path))
    network = load_run(folder)
    _predict_part(network, plan.fold, slices, data, folder)
    return network


def _check_plan(plan: TrainingPlan, features: tuple[str, ...], folder: Path) -> None:
    """Refuse to go on with a part that was trained by another plan.

    Raises:
        InputError: If a setting that decides the weights differs.
    """
    recorded = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    defaults = asdict(TrainingPlan())  # of settings that the plan of an older run does not have
    wanted = {**asdict(plan), "features": list(features)}
    differing = [
        f"{name} {recorded.get(name, defaults.get(name))} instead of {value}"
        if name != "features"
        else "other features"
        for name, value in wanted.items()
        if name not in NO_INFLUENCE and recorded.get(name, defaults.get(name)) != value
    ]
    if differing:
        raise InputError(
            f"{folder.name} was trained with {', '.join(differing)}",
            remedy="Give another output folder, or the settings that the run was begun with.",
        )


def _write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file under another name first, so that an interrupted run leaves no half of it."""
    partial_file = path.with_name(f"partial-{path.name}")
    write(partial_file)
    partial_file.replace(path)


def _predict_part(
    network: HybridNetwork, fold: int | None, slices: TypedSlices, data: Path, folder: Path
) -> None:
    """Predictions on held-out patients and, for a fold, on the known ones for the outliers."""
    features = run_features(folder)
    rows = read_cheng_index(data)
    folds = cheng_folds(rows)
    wanted = {PREDICTIONS: [r for r, f in zip(rows, folds, strict=True) if fold in (None, f)]}
    if fold is not None:
        wanted[KNOWN] = [r for r, f in zip(rows, folds, strict=True) if f != fold][::3]
    measured = {
        int(number): vector
        for number, vector in zip(slices.collection_index, slices.features[:, 0], strict=True)
    }
    for name, chosen in wanted.items():
        if not (folder / name).is_file():
            found = predict_collection(
                network,
                features,
                data,
                chosen,
                measured=measured,
                outliner=partial(own_outlines, network)
                if fold is not None and name == PREDICTIONS
                else None,
            )
            _write_whole(folder / name, found.save)
