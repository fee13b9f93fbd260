"""What the classifier would say of a case if a measurement of its main slice were another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.classifier import TumorTypeClassifier, pool_logits
from brain_tumor.classification.result import ClassificationResult, SliceReading
from brain_tumor.explanation.facts.counterfactual import Probabilities


def probabilities_if_changed(
    classification: ClassificationResult,
    main: SliceReading,
    classifier: TumorTypeClassifier,
    measured: npt.NDArray[np.float32],
) -> Probabilities:
    """Probabilities of the case, from all its slices, for other values of the main slice.

    Only the named values change: the appearance of the main slice and everything that the other
    slices say stay as they are.

    Args:
        classification: Of the case.
        main: Slice whose measurements are told; one of the case.
        classifier: Made the classification.
        measured: Values of the main slice in the order of the model's features, (F,), NaN where
            missing. For these the probabilities are those of the case.

    Returns:
        From values of shape (n, F) to probabilities of shape (n, types).
    """
    statistics = classifier.statistics
    lone = len(classification.slices) == 1
    calibration = statistics.slice_calibration if lone else statistics.case_calibration

    def scores(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Logits of the main slice, up to a constant for each row."""
        found = np.maximum(classifier.probabilities_of(main, values), np.finfo(np.float64).tiny)
        return np.asarray(statistics.slice_calibration.temperature * np.log(found))

    unchanged = scores(measured[None, :])

    def probabilities(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        # The difference is added, so that rounding in the network cannot move the measured case.
        changed = main.logits + scores(values) - unchanged
        readings = [
            replace(
                reading,
                logits=changed.T
                if reading is main
                else np.repeat(reading.logits[:, None], len(values), axis=1),
            )
            for reading in classification.slices
        ]
        pooled = pool_logits(readings)
        return np.asarray(calibration.probabilities(pooled.T), dtype=np.float64)

    return probabilities
