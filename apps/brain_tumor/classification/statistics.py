"""What a bundle knows about its training patients besides weights.

`configs/statistics.json` holds the calibration and the distribution of every feature per class;
`models/statistics.safetensors` the outlier model and the feature vectors of training patients.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from brain_tumor.classification.calibration import Calibration
from brain_tumor.classification.outliers import OutlierModel
from brain_tumor.errors import ModelError
from brain_tumor.labels import TumorType

STATISTICS = Path("configs/statistics.json")
ARRAYS = Path("models/statistics.safetensors")
QUANTILES = tuple(np.round(np.arange(0.05, 1.0, 0.05), 2).tolist())


@dataclass(frozen=True, eq=False)
class TrainingPatients:
    """One feature vector a patient, for similar cases; numbers only.

    Attributes:
        features: Median of every feature over the patient's slices, (P, F), NaN where missing.
        types: Index into `TumorType`, (P,).
    """

    features: npt.NDArray[np.float32]
    types: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassifierStatistics:
    """Calibration, reference ranges and outliers.

    Attributes:
        slice_calibration: For one slice.
        case_calibration: For the pooled slices of a case.
        outliers: Of the embedding.
        quantiles: Per feature and type the values at `QUANTILES` over training patients.
        patients: For similar cases.
    """

    slice_calibration: Calibration
    case_calibration: Calibration
    outliers: OutlierModel
    quantiles: Mapping[str, Mapping[TumorType, tuple[float, ...]]]
    patients: TrainingPatients

    def write(self, bundle: Path) -> None:
        """Write both files into a bundle folder."""
        plain = {
            "slice_calibration": asdict(self.slice_calibration),
            "case_calibration": asdict(self.case_calibration),
            "outlier_threshold": self.outliers.threshold,
            "quantile_levels": list(QUANTILES),
            "quantiles": {
                name: {
                    kind.value: [float(f"{v:.5g}") for v in values] for kind, values in row.items()
                }
                for name, row in self.quantiles.items()
            },
        }
        for path in (STATISTICS, ARRAYS):
            (bundle / path).parent.mkdir(parents=True, exist_ok=True)
        (bundle / STATISTICS).write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
        arrays: dict[str, npt.NDArray[Any]] = {
            "outlier_means": self.outliers.means.astype(np.float32),
            "outlier_precision": self.outliers.precision.astype(np.float32),
            "patient_features": self.patients.features.astype(np.float32),
            "patient_types": self.patients.types.astype(np.int64),
        }
        save_file(arrays, bundle / ARRAYS)


def read_statistics(bundle: Path) -> ClassifierStatistics:
    """Read what `write` wrote.

    Raises:
        ModelError: If a file is missing or damaged.
    """
    try:
        plain: dict[str, Any] = json.loads((bundle / STATISTICS).read_text(encoding="utf-8"))
        arrays = load_file(bundle / ARRAYS)
        return ClassifierStatistics(
            Calibration(**plain["slice_calibration"]),
            Calibration(**plain["case_calibration"]),
            OutlierModel(
                arrays["outlier_means"].astype(np.float64),
                arrays["outlier_precision"].astype(np.float64),
                float(plain["outlier_threshold"]),
            ),
            {
                name: {TumorType(kind): tuple(values) for kind, values in row.items()}
                for name, row in plain["quantiles"].items()
            },
            TrainingPatients(arrays["patient_features"], arrays["patient_types"]),
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(f"statistics of bundle '{bundle.name}' cannot be read: {error}") from error


def feature_quantiles(
    names: tuple[str, ...], features: npt.NDArray[np.float32], types: npt.NDArray[np.int64]
) -> dict[str, dict[TumorType, tuple[float, ...]]]:
    """Quantiles of every feature per type over patients; types without a value are left out.

    Args:
        names: Feature ids, (F,).
        features: One row a patient, (P, F), NaN where missing.
        types: Index into `TumorType`, (P,).
    """
    found: dict[str, dict[TumorType, tuple[float, ...]]] = {}
    for column, name in enumerate(names):
        row = {}
        for index, kind in enumerate(TumorType):
            values = features[types == index, column]
            values = values[np.isfinite(values)]
            if len(values):
                row[kind] = tuple(float(v) for v in np.quantile(values, QUANTILES))
        if row:
            found[name] = row
    return found
