"""Where a told type does not fit what was measured: warnings by rule, whatever the network says.

The network has three answers, so a lymphoma deep in the brain is a meningioma to it, and two
tumours are one glioma. These rules do not change the answer; they say what speaks against it.
"""

from __future__ import annotations

from collections.abc import Sequence

from brain_tumor.classification.result import SliceReading
from brain_tumor.labels import TumorType

DURA_MM = 12.0
"""Nearest distance to the dura, over all slices read, beyond which a meningioma is unlikely."""
SELLA_MM = 25.0
"""The same to the sella, of a pituitary tumour: 95 % of the training patients lie within 19 mm."""
TWO = 2


def contradictions(
    prediction: TumorType | None, readings: Sequence[SliceReading], pieces: int
) -> tuple[str, ...]:
    """Sentences on what speaks against the told type; none where no type is told.

    Args:
        prediction: Told type.
        readings: Slices that were read.
        pieces: Separate tumours that are believed.
    """
    found = []
    dura = _nearest_mm(readings, "border_distance_mm")
    if prediction is TumorType.MENINGIOMA and dura is not None and dura > DURA_MM:
        found.append(
            f"The tumour lies {dura:.0f} mm from the dura, where meningiomas are rare; lymphoma "
            "and metastasis, which the model does not know, cannot be excluded."
        )
    sella = _nearest_mm(readings, "sella_distance_mm")
    if prediction is TumorType.PITUITARY and sella is not None and sella > SELLA_MM:
        found.append(
            f"The tumour lies {sella:.0f} mm from the sella, where pituitary tumours are rare."
        )
    if prediction is not None and pieces == TWO:
        found.append(
            "There are 2 separate tumours; metastases, which the model does not know, cannot be "
            "excluded."
        )
    return tuple(found)


def _nearest_mm(readings: Sequence[SliceReading], feature: str) -> float | None:
    """Least measured distance over the slices; None if none was measured."""
    values = [reading.features.measurements.get(feature) for reading in readings]
    distances = [value.value for value in values if value is not None and value.measured]
    return min(distances, default=None)
