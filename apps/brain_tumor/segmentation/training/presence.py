"""Fitting whether a case holds a tumour; each network measures its own cases."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from brain_tumor.bundles import METADATA, write_checksums
from brain_tumor.segmentation.presence import PresenceModel

MISSED_AGAINST_FALSE = 4.0
"""A tumour that is called absent is as bad as so many healthy cases that are outlined."""


def fit_presence(
    with_tumour: npt.NDArray[np.float64], without: npt.NDArray[np.float64]
) -> PresenceModel:
    """Logistic model of what `measure_presence` measures; both classes count the same.

    Args:
        with_tumour: Measurements of cases with a tumour, shape (N, 2).
        without: Of cases without, shape (M, 2).
    """
    values = np.concatenate([with_tumour, without])
    truth = np.concatenate([np.ones(len(with_tumour)), np.zeros(len(without))])
    fitted = LogisticRegression(class_weight="balanced").fit(values, truth)
    return PresenceModel(
        intercept=round(float(fitted.intercept_[0]), 4),
        surest=round(float(fitted.coef_[0, 0]), 4),
        volume=round(float(fitted.coef_[0, 1]), 4),
        threshold=round(1 / (1 + MISSED_AGAINST_FALSE), 4),
        cases=len(values),
    )


def write_presence(
    model: PresenceModel,
    bundle: Path,
    with_tumour: npt.NDArray[np.float64],
    without: npt.NDArray[np.float64],
) -> None:
    """Put a fitted model into the metadata of a bundle, and print what it was fitted on.

    Args:
        model: From `fit_presence`.
        bundle: Folder of the bundle.
        with_tumour: Measurements, shape (N, 2).
        without: Measurements, shape (M, 2).
    """
    path = bundle / METADATA
    metadata = json.loads(path.read_text("utf-8"))
    metadata["presence"] = asdict(model)
    path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    write_checksums(bundle)
    for truth, values in (("with", with_tumour), ("without", without)):
        for surest, volume in values:
            sys.stdout.write(f"{truth}\t{surest:.2f}\t{volume:.2f}\n")
    sys.stdout.write(f"{model}\n")
