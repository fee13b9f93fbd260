"""Side studies of the evaluation: ablations, the leak of shuffled slices, the cohort probe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from brain_tumor.classification.features.feature_table import FeatureGroup, feature
from brain_tumor.classification.model.network import HybridNetwork
from brain_tumor.classification.predictions import Predictions, Reading
from brain_tumor.labels import TumorType

FOLDS = 5
SEED = 42
GLIOMA = tuple(TumorType).index(TumorType.GLIOMA)


def withhold(
    network: HybridNetwork, reading: Reading, names: tuple[str, ...], group: FeatureGroup
) -> npt.NDArray[np.float32]:
    """Fused logits when the features of a group count as not measured, (N, 3).

    The network has learnt with features missing at random, so this needs no new training.

    Args:
        network: In evaluation mode.
        reading: What was read before.
        names: Features of the network, in order.
        group: Features to withhold.
    """
    values = reading.features.copy()
    values[:, [feature(name).group is group for name in names]] = np.nan
    with torch.inference_mode():
        measured = network.measure(network.standardise(torch.from_numpy(values)))
        joined = torch.cat([torch.from_numpy(reading.embedding), measured], dim=1)
        fused: npt.NDArray[np.float32] = network.fuse(joined).numpy()
    return fused


def leak_of_shuffled_slices(
    features: npt.NDArray[np.float32],
    truth: npt.NDArray[np.int64],
    patients: npt.NDArray[np.str_],
) -> Mapping[str, float]:
    """Accuracy of one and the same learner under the published protocol and under the honest one.

    Gradient-boosted trees on the measured features: slices shuffled over folds, so that a
    patient's neighbouring slices are on both sides, against folds of patients.

    Args:
        features: (N, F), NaN where missing.
        truth: (N,).
        patients: (N,).
    """
    features = features[:, np.isfinite(features).any(axis=0)]

    def accuracy(splits: Any) -> float:
        right = np.zeros(len(truth), dtype=bool)
        for train, test in splits:
            trees = HistGradientBoostingClassifier(
                max_iter=150, learning_rate=0.07, random_state=SEED
            ).fit(features[train], truth[train])
            right[test] = trees.predict(features[test]) == truth[test]
        return float(right.mean())

    shuffled = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(features, truth)
    grouped = GroupKFold(FOLDS).split(features, truth, patients)
    return {"shuffled_slices": accuracy(shuffled), "grouped_patients": accuracy(grouped)}


def cohort_probe(predictions: Predictions, values: npt.NDArray[np.float32]) -> float:
    """How well the cohort of a glioma can be told from a representation: AUC, 0.5 is not at all.

    A linear probe, fitted and tested on different patients.

    Args:
        predictions: Says which slices are gliomas of which cohort.
        values: Representation of every slice, (N, D), without NaN.
    """
    inside = predictions.truth == GLIOMA
    is_numeric = predictions.cohort[inside] == "numeric"
    found = np.zeros(int(inside.sum()))
    splits = GroupKFold(FOLDS).split(found, is_numeric, predictions.patient[inside])
    for train, test in splits:
        probe = make_pipeline(
            StandardScaler(), LogisticRegression(C=0.1, max_iter=500, class_weight="balanced")
        ).fit(values[inside][train], is_numeric[train])
        found[test] = probe.decision_function(values[inside][test])
    return float(roc_auc_score(is_numeric, found))
