"""What every object says about who made it, and the UIDs that the objects of an export share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from highdicom import UID, AlgorithmIdentificationSequence

from brain_tumor import __version__
from brain_tumor.bundles import ModelVersion
from brain_tumor.dicom.codes import codes

MANUFACTURER = "TumorLens"
MODEL_NAME = "TumorLens"
SERIAL_NUMBER = "0"  # software has none, and the attribute must not be empty
SERIES_NUMBERS = {"SEG": 9001, "SR": 9002, "HEAT": 9003, "UNCERTAINTY": 9004, "REPORT": 9005}
"""Numbers of the series of results; scanners count from 1."""


@dataclass(frozen=True)
class Instance:
    """Identity of an object that is being made.

    Attributes:
        kind: Key of `SERIES_NUMBERS`.
        description: SeriesDescription.
        series: SeriesInstanceUID.
        uid: SOPInstanceUID.
    """

    kind: str
    description: str
    series: str = field(default_factory=lambda: str(UID()))
    uid: str = field(default_factory=lambda: str(UID()))

    def arguments(self) -> dict[str, Any]:
        """What constructors of highdicom ask for."""
        return {
            "series_instance_uid": self.series,
            "series_number": SERIES_NUMBERS[self.kind],
            "sop_instance_uid": self.uid,
            "instance_number": 1,
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": MODEL_NAME,
            "software_versions": __version__,
            "device_serial_number": SERIAL_NUMBER,
            "series_description": self.description,
        }


def algorithm_of(model: ModelVersion) -> AlgorithmIdentificationSequence:
    """Name, version and checksum of a model."""
    return AlgorithmIdentificationSequence(
        name=model.name,
        family=codes.cid7162.ArtificialIntelligence,
        version=model.version,
        source=MANUFACTURER,
        parameters={"sha256": model.sha256},
    )
