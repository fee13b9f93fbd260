"""Which volumes of a replay folder are corrected ones, so that nothing held out is replayed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from brain_tumor.cases.checksums import file_sha256
from brain_tumor.cases.study_layout import find_reference
from brain_tumor.learning.retraining.job_folder import TrainingRequest


class CorrectedVolumes:
    """Tells the cases of a replay folder that are corrected ones.

    Args:
        request: Names the corrections.
    """

    def __init__(self, request: TrainingRequest) -> None:
        cases = {correction.case_id for correction in request.corrections}
        volumes = (find_reference(Path(request.studies), case) for case in cases)
        self._volumes = [path for path in volumes if path is not None]
        self._sizes = {path.stat().st_size for path in self._volumes}
        self._patients = {correction.patient for correction in request.corrections}

    def holds(self, volume: Path | None, patient: str) -> bool:
        """Whether a volume, or its patient, is corrected.

        Args:
            volume: Reference volume; None where there is none.
            patient: As the folder's index tells it; empty if it does not.
        """
        if patient and patient in self._patients:
            return True
        if volume is None or volume.stat().st_size not in self._sizes:
            return False  # files of different size differ: most are never read
        return file_sha256(volume) in self._digests

    @cached_property
    def _digests(self) -> set[str]:
        return {file_sha256(path) for path in self._volumes}
