"""The calibrations of the product, fitted on predictions for patients that were held out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.model.calibration import Calibration, fit_mixed_calibration
from brain_tumor.classification.predictions import Predictions
from brain_tumor.classification.scores import pool_patients


def fit_calibrations(
    held_out: Predictions, coverage: float, known: npt.NDArray[np.bool_] | None = None
) -> tuple[Calibration, Calibration]:
    """Calibration of a lone slice and of a case, on experts' and own outlines alike.

    Args:
        held_out: Predictions of networks that have not seen the patients.
        coverage: Promise of the prediction sets.
        known: Slices to fit on, (N,); all if None.

    Returns:
        Of a lone slice; of a case, fitted on the mean of all slices of a patient.
    """
    chosen = np.ones(len(held_out), dtype=bool) if known is None else known
    readings = [reading.fused[chosen] for reading in (held_out.expert, held_out.own)]
    truth, patient = held_out.truth[chosen], held_out.patient[chosen]
    pooled = [pool_patients(logits, patient) for logits in readings]
    by_case = fit_mixed_calibration([p for p, _ in pooled], truth[pooled[0][1]], coverage)
    return fit_mixed_calibration(readings, truth, coverage), by_case
