"""Evaluation of the classifier: five folds of a run, or a bundle on any collection.

    tumorlens evaluate classification --data DIR --output FILE.json [--runs RUN | --models DIR]

With `--runs` the figures are those of five networks, each on patients that it has never seen. The
outlines of the tumour-core bundle are read as well on the fold that it has not seen either, or,
with `--core-runs`, those of five tumour-core networks on all folds.
With a bundle every slice of the collection is read by the bundle; patients that it was trained on
are counted and scored apart.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from collections.abc import Sequence as Items
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.bundles import read_bundle
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.evaluation.case_study import kept_or_estimated_planes, study_cases
from brain_tumor.classification.evaluation.segmented import Segmented, outline_with_segmenters
from brain_tumor.classification.evaluation.studies import (
    cohort_probe,
    leak_of_shuffled_slices,
    withhold,
)
from brain_tumor.classification.evaluation.whole_gliomas import run_classifiers, study_whole_gliomas
from brain_tumor.classification.features.feature_table import FeatureGroup
from brain_tumor.classification.model.calibration import fit_mixed_calibration
from brain_tumor.classification.predictions import (
    Predictions,
    Reading,
    own_outlines,
    predict_collection,
)
from brain_tumor.classification.scores import (
    Calibrated,
    apply_calibration,
    cross_calibrate_mixed,
    join_calibrated,
    pool_patients,
    score,
)
from brain_tumor.classification.training.run import (
    COVERAGE,
    group_mark,
    held_out_predictions,
    load_run,
    run_features,
)
from brain_tumor.errors import InputError
from brain_tumor.labels import TYPES
from brain_tumor.segmentation.data.cheng_slices import FOLDS, cheng_slices_of_fold, read_cheng_index

DIGITS = 4
Folds = npt.NDArray[np.int64]


def evaluate_run(
    run: Path, output: Path, *, data: Path | None = None, cores: Items[Path] = ()
) -> dict[str, Any]:
    """Cross-validated figures of a run; writes JSON and a CSV of slices beside it.

    Args:
        run: Run folder with five folds.
        output: `.json` file.
        data: Folder with `cheng` and `glioma3d`; with it cases and whole gliomas are scored, and
            with `cores` the segmenter's outlines are read as well.
        cores: Tumour-core bundles, each of which has not seen another fold.

    Raises:
        InputError: If a fold is missing.
    """
    predictions, folds = held_out_predictions(run)
    segmented = outline_with_segmenters(run, data, cores) if data and cores else None
    by_slice = cross_calibrate_mixed(_fused(predictions), predictions.truth, folds, COVERAGE)
    found: dict[str, Any] = {
        "model": "classification",
        "protocol": f"{FOLDS} folds of patient groups, stratified by type and cohort; every figure "
        "on held-out patients; each fold calibrated on the other folds, on experts' and own "
        "outlines alike, as the shipped model is",
        "slices": {name: _score(c, predictions) for name, c in by_slice.items()},
        "patients": _score_patients(predictions, folds),
        "own_outline_dice": _dice_table(predictions),
        "cases": _cases(run, data, predictions, folds, segmented) if data else None,
        "segmenter": segmenter_study(predictions, folds, segmented) if segmented else None,
        "whole_gliomas": study_whole_gliomas(data, run_classifiers(run), cores) if data else None,
        "ablations": _ablations(run, predictions, folds),
        "leak": leak_of_shuffled_slices(
            predictions.expert.features, predictions.truth, predictions.patient
        ),
        "cohort_probe_auc": {
            "embedding": _probe_by_fold(predictions, folds, predictions.expert.embedding),
            "measured_features": cohort_probe(predictions, _filled(predictions.expert.features)),
        },
    }
    _write(output, found, predictions, by_slice, folds)
    return found


def evaluate_bundle(
    bundle: Path,
    data: Path,
    output: Path,
    *,
    fold: int | None = None,
    cores: Items[Path] = (),
) -> dict[str, Any]:
    """Figures of a bundle on a collection with the layout of the data README.

    Args:
        bundle: Bundle folder.
        data: Folder with `cheng`, and `glioma3d` for whole gliomas.
        output: `.json` file.
        fold: Only this fold's patients, or None for all.
        cores: Tumour-core bundles that outline the whole gliomas.

    Raises:
        InputError: If there is nothing to evaluate on.
        ModelError: If the bundle cannot be read.
    """
    classifier = TumorTypeClassifier.load(bundle)
    rows = read_cheng_index(data) if fold is None else cheng_slices_of_fold(data, fold)
    if not rows:
        raise InputError("the collection has no slices to evaluate on")
    predictions = predict_collection(
        classifier.network,
        classifier.features,
        data,
        rows,
        outliner=partial(own_outlines, classifier.network),
    )
    training = read_bundle(bundle).metadata.get("training", {})
    marks = set(training.get("groups_seen", ()))
    seen = np.array([group_mark(str(group)) in marks for group in predictions.patient])
    statistics = classifier.statistics
    by_slice = {
        name: apply_calibration(reading.fused, statistics.slice_calibration)
        for name, reading in (("expert", predictions.expert), ("own", predictions.own))
    }
    found: dict[str, Any] = {
        "model": classifier.version.to_json(),
        "protocol": "every slice read by the bundle",
        "slices_of_patients_seen_in_training": int(seen.sum()),
        "whole_gliomas": study_whole_gliomas(
            data, {training.get("plan", {}).get("fold"): classifier}, cores
        ),
    }
    for title, chosen in (("unseen", ~seen), ("seen_in_training", seen)):
        if not chosen.any():
            continue
        part = _select(predictions, chosen)
        pooled, first = pool_patients(part.expert.fused, part.patient)
        pooled_own, _ = pool_patients(part.own.fused, part.patient)
        found[title] = {
            "slices": {
                name: _score(Calibrated(c.probabilities[chosen], c.sets[chosen]), part)
                for name, c in by_slice.items()
            },
            "patients": {
                name: score(
                    apply_calibration(logits, statistics.case_calibration),
                    part.truth[first],
                    part.cohort[first],
                    part.patient[first],
                )
                for name, logits in (("expert", pooled), ("own", pooled_own))
            },
            "own_outline_dice": _dice_table(part),
        }
    _write(output, found, predictions, by_slice, np.full(len(predictions), -1))
    return found


def segmenter_study(everyone: Predictions, folds: Folds, segmented: Segmented) -> dict[str, Any]:
    """What the outlines of the tumour-core segmenter cost.

    Calibrated on the other folds, as in use: on the experts' and the network's own outlines.

    Args:
        everyone: Held-out predictions of all folds.
        folds: Fold of each, (N,).
        segmented: Slices read with the segmenter's outlines.
    """
    by_slice: dict[str, list[Calibrated]] = {"expert": [], "segmenter": []}
    for fold in segmented.held_out:
        known = _select(everyone, folds != fold)
        found = _select(segmented.predictions, segmented.folds == fold)
        calibration = fit_mixed_calibration(list(_fused(known).values()), known.truth, COVERAGE)
        by_slice["expert"].append(apply_calibration(found.expert.fused, calibration))
        by_slice["segmenter"].append(apply_calibration(found.own.fused, calibration))
    pooled = segmented.predictions
    return {
        "models": [model.to_json() for model in segmented.models],
        "folds": list(segmented.held_out),
        "dice": _dice_table(pooled),
        "slices": {name: _score(join_calibrated(c), pooled) for name, c in by_slice.items()},
    }


def _cases(
    run: Path, data: Path, predictions: Predictions, folds: Folds, segmented: Segmented | None
) -> dict[str, Any]:
    """Scores of whole cases, pooled as the product pools."""
    outlines = {
        "expert": (predictions, predictions.expert),
        "own": (predictions, predictions.own),
    }
    if segmented is not None:
        outlines["segmenter"] = (segmented.predictions, segmented.predictions.own)
    planes = kept_or_estimated_planes(data, run)
    return study_cases(predictions, folds, run_features(run / "fold0"), planes, COVERAGE, outlines)


def _score(calibrated: Calibrated, predictions: Predictions) -> dict[str, Any]:
    return score(calibrated, predictions.truth, predictions.cohort, predictions.patient)


def _fused(predictions: Predictions) -> dict[str, npt.NDArray[np.float32]]:
    """The hybrid's logits by the outlines that they were read with."""
    return {"expert": predictions.expert.fused, "own": predictions.own.fused}


def _score_patients(predictions: Predictions, folds: Folds) -> dict[str, Any]:
    _, first = np.unique(predictions.patient, return_index=True)
    pooled = {
        name: pool_patients(logits, predictions.patient)[0]
        for name, logits in _fused(predictions).items()
    }
    truth, cohort = predictions.truth[first], predictions.cohort[first]
    by_patient = cross_calibrate_mixed(pooled, truth, folds[first], COVERAGE)
    return {
        name: score(calibrated, truth, cohort, predictions.patient[first])
        for name, calibrated in by_patient.items()
    }


def _ablations(run: Path, predictions: Predictions, folds: Folds) -> dict[str, Any]:
    """Slice accuracy and macro-F1 with a part left out, with experts' outlines."""
    features = run_features(run / "fold0")
    readings = {"expert": predictions.expert, "own": predictions.own}
    variants: dict[str, dict[str, npt.NDArray[np.float32]]] = {
        "whole": _fused(predictions),
        "appearance alone": {name: reading.deep for name, reading in readings.items()},
        "measured features alone": {name: reading.measured for name, reading in readings.items()},
    }
    for group in (
        FeatureGroup.BOUNDARY,
        FeatureGroup.CHAOS,
        FeatureGroup.MORPHOLOGY,
        FeatureGroup.ENHANCEMENT,
        FeatureGroup.LOCATION,
    ):
        logits = {name: np.zeros_like(values) for name, values in _fused(predictions).items()}
        for fold in range(FOLDS):
            inside = folds == fold
            part = _select(predictions, inside)
            network = load_run(run / f"fold{fold}")
            for name, reading in (("expert", part.expert), ("own", part.own)):
                logits[name][inside] = withhold(network, reading, features, group)
        variants[f"{group.value} features withheld"] = logits
    table = {}
    for name, logits in variants.items():
        calibrated = cross_calibrate_mixed(logits, predictions.truth, folds, COVERAGE)
        scores = _score(calibrated["expert"], predictions)
        table[name] = {key: scores[key] for key in ("accuracy", "macro_f1", "sensitivity", "ece")}
    return table


def _probe_by_fold(
    predictions: Predictions, folds: Folds, values: npt.NDArray[np.float32]
) -> float:
    """Mean probe over folds: embeddings of different networks cannot be compared."""
    found = []
    for fold in np.unique(folds):
        inside = folds == fold
        part = _select(predictions, inside)
        found.append(cohort_probe(part, values[inside]))
    return float(np.mean(found))


def _filled(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Features with medians in place of missing values."""
    measured = np.isfinite(features).any(axis=0)
    kept = features[:, measured]
    filled: npt.NDArray[np.float32] = np.where(np.isnan(kept), np.nanmedian(kept, axis=0), kept)
    return filled


def _dice_table(predictions: Predictions) -> dict[str, float]:
    table = {"all": float(predictions.dice.mean())}
    for index, kind in enumerate(TYPES):
        for cohort in np.unique(predictions.cohort):
            inside = (predictions.truth == index) & (predictions.cohort == cohort)
            if inside.any():
                table[f"{kind.value} {cohort}"] = float(predictions.dice[inside].mean())
    return table


def _select(predictions: Predictions, chosen: npt.NDArray[np.bool_]) -> Predictions:
    def cut(reading: Reading) -> Reading:
        return Reading(
            reading.fused[chosen],
            reading.deep[chosen],
            reading.measured[chosen],
            reading.embedding[chosen],
            reading.features[chosen],
        )

    return Predictions(
        cut(predictions.expert),
        cut(predictions.own),
        predictions.dice[chosen],
        predictions.truth[chosen],
        predictions.patient[chosen],
        predictions.cohort[chosen],
        predictions.index[chosen],
    )


def _write(
    output: Path,
    found: Mapping[str, Any],
    predictions: Predictions,
    by_slice: Mapping[str, Calibrated],
    folds: Folds,
) -> None:
    """JSON with the summary, and a CSV with a row a slice."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(_rounded(found), indent=2) + "\n", encoding="utf-8")
    with output.with_suffix(".csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        columns = [f"{name}_{kind.value}" for name in by_slice for kind in TYPES]
        writer.writerow(["index", "fold", "truth", "cohort", "own_outline_dice", *columns])
        for row in range(len(predictions)):
            values = [v for c in by_slice.values() for v in c.probabilities[row]]
            writer.writerow(
                [
                    int(predictions.index[row]),
                    int(folds[row]),
                    TYPES[predictions.truth[row]].value,
                    predictions.cohort[row],
                    f"{predictions.dice[row]:.3f}",
                    *(f"{v:.4f}" for v in values),
                ]
            )


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inside) for inside in value]
    return round(value, DIGITS) if isinstance(value, float) else value
