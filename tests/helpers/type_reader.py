"""A classifier with random weights and made-up training patients: fast, and the same every time."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from brain_tumor.bundles import ModelVersion
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.model.calibration import Calibration
from brain_tumor.classification.model.network import HybridNetwork, NetworkArguments
from brain_tumor.classification.model.outliers import OutlierModel
from brain_tumor.classification.model.training_statistics import ClassifierStatistics
from brain_tumor.classification.training.run import model_features
from brain_tumor.explanation.facts.reference import build_reference
from brain_tumor.explanation.facts.similar_cases import build_table
from brain_tumor.explanation.type_reader import TypeReader
from brain_tumor.labels import TumorType

CLASSIFIER = ModelVersion("classification", "0.0.1", "c" * 64)
PATIENTS = 45


@cache
def a_type_reader() -> TypeReader:
    """Reader whose answers mean nothing but have the right form."""
    features = model_features()
    torch.manual_seed(11)
    network = HybridNetwork(NetworkArguments(features)).eval().requires_grad_(requires_grad=False)
    dimensions = network.deep_head.in_features
    statistics = ClassifierStatistics(
        Calibration(1.0, 0.9, 0.2),
        Calibration(1.0, 0.9, 0.2),
        OutlierModel(np.zeros((3, dimensions)), np.eye(dimensions), 1e6),
    )
    rng = np.random.default_rng(12)
    values = rng.normal(1.0, 0.5, size=(PATIENTS, len(features)))
    types = [tuple(TumorType)[row % 3] for row in range(PATIENTS)]
    groups = list(range(1, PATIENTS + 1))
    return TypeReader(
        TumorTypeClassifier(network, features, statistics, CLASSIFIER),
        build_reference(values, features, types, groups),
        build_table(values, features, types, groups),
    )
