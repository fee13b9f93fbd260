"""What a bundle knows about its training patients besides weights.

`configs/statistics.json` holds the calibration, `models/statistics.safetensors` the outlier model.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from brain_tumor.classification.model.calibration import Calibration
from brain_tumor.classification.model.outliers import OutlierModel
from brain_tumor.errors import ModelError

STATISTICS = Path("configs/statistics.json")
ARRAYS = Path("models/statistics.safetensors")
METRICS = Path("metrics.json")


@dataclass(frozen=True, eq=False)
class ClassifierStatistics:
    """Calibration and outliers.

    Attributes:
        slice_calibration: For one slice.
        case_calibration: For the pooled slices of a case.
        outliers: Of the embedding.
        least_agreement: Of the outline with the network's own map (see `agreement`); with less the
            type is not told. 0 asks for none.
    """

    slice_calibration: Calibration
    case_calibration: Calibration
    outliers: OutlierModel
    least_agreement: float = 0.0

    def write(self, bundle: Path) -> None:
        """Write both files into a bundle folder."""
        plain = {
            "slice_calibration": asdict(self.slice_calibration),
            "case_calibration": asdict(self.case_calibration),
            "outlier_threshold": self.outliers.threshold,
            "least_agreement": self.least_agreement,
        }
        for path in (STATISTICS, ARRAYS):
            (bundle / path).parent.mkdir(parents=True, exist_ok=True)
        (bundle / STATISTICS).write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
        arrays: dict[str, npt.NDArray[Any]] = {
            "outlier_means": self.outliers.means.astype(np.float32),
            "outlier_precision": self.outliers.precision.astype(np.float32),
        }
        save_file(arrays, bundle / ARRAYS)


def read_statistics(bundle: Path) -> ClassifierStatistics:
    """Read what `write` wrote.

    Calibrations that do not count their patients get the number of the bundle's `metrics.json`; a
    bundle without either has shown nothing on anybody, and its calibrations have 0.

    Raises:
        ModelError: If a file is missing or damaged.
    """
    try:
        plain: dict[str, Any] = json.loads((bundle / STATISTICS).read_text(encoding="utf-8"))
        arrays = load_file(bundle / ARRAYS)
        by_slice, by_case = (
            _counted(Calibration(**plain[name]), bundle)
            for name in ("slice_calibration", "case_calibration")
        )
        return ClassifierStatistics(
            by_slice,
            by_case,
            OutlierModel(
                arrays["outlier_means"].astype(np.float64),
                arrays["outlier_precision"].astype(np.float64),
                float(plain["outlier_threshold"]),
            ),
            float(plain.get("least_agreement", 0.0)),
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(f"statistics of bundle '{bundle.name}' cannot be read: {error}") from error


def _counted(calibration: Calibration, bundle: Path) -> Calibration:
    """Calibration with the number of its patients, by the metrics of its bundle if need be."""
    if calibration.patients is not None:
        return calibration
    metrics = bundle / METRICS
    if not metrics.is_file():
        return replace(calibration, patients=0)
    measured = json.loads(metrics.read_text(encoding="utf-8"))
    count = measured.get("patients", {}).get("expert", {}).get("n", 0)
    return replace(calibration, patients=int(count))
