"""The learning loop inside the server: its parts over one ledger."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from brain_tumor.cases.files.durable import file_sha256
from brain_tumor.cases.study_layout import PATIENT_KEY, clean_patient
from brain_tumor.errors import ConflictError, InputError
from brain_tumor.learning.ledger.database import LedgerDatabase, ledger_url
from brain_tumor.learning.ledger.ledger import CaseRef, Ledger
from brain_tumor.learning.registry.registry import ModelRegistry
from brain_tumor.server.datastore.store import PRIVATE_FOLDER, StudyDatastore
from brain_tumor.server.learning.jobs import TrainingJobs
from brain_tumor.server.learning.labels import LabelSubmissions
from brain_tumor.server.learning.proposals import Proposals
from brain_tumor.server.learning.requests import TrainingRequests
from brain_tumor.server.learning.sources import CorrectionSources
from brain_tumor.server.learning.work import CaseWork

PROPOSALS_FOLDER = "proposals"
TRAINING_FOLDER = "training"


class LearningServices:
    """Ledger, proposals and trainings of one studies folder.

    Args:
        datastore: The studies folder.
        registry: Versions of the models.

    Attributes:
        ledger: What the loop remembers.
        proposals: What models proposed last.
        labels: Stored labels as submissions.
        trainings: When a model is retrained, and from what.
        work: Who works on which case.

    Raises:
        InputError: If the ledger's address or the retraining policy makes no sense.
        StorageError: If the ledger cannot be opened.
    """

    def __init__(self, datastore: StudyDatastore, registry: ModelRegistry) -> None:
        self._datastore = datastore
        folder = datastore.root / PRIVATE_FOLDER
        self.proposals = Proposals(folder / PROPOSALS_FOLDER)
        self.ledger = Ledger(LedgerDatabase(ledger_url(os.environ, folder)))
        self.labels = LabelSubmissions(datastore, self.ledger, self.proposals, self.case_ref)
        jobs = TrainingJobs(folder / TRAINING_FOLDER)
        sources = CorrectionSources(datastore, self.ledger, self.case_ref)
        self.trainings = TrainingRequests(datastore, sources, registry, jobs)
        self.work = CaseWork(datastore, self.ledger)

    @property
    def jobs(self) -> TrainingJobs:
        """Trainings, running and over."""
        return self.trainings.jobs

    def case_ref(self, image: str) -> CaseRef:
        """Case as the ledger knows it: checksum of its volume, and its patient.

        Raises:
            NotFoundError: If there is no such case.
        """
        path = self._datastore.require_image(image)
        status = path.stat()
        digest = _file_sha256(path, status.st_mtime_ns, status.st_size)
        return CaseRef(image, digest, _patient(image, self._datastore.get_image_info(image)))

    def check_patient(self, image: str, info: Mapping[str, Any], volume: Path) -> None:
        """Refuse information that moves a case to another patient than the ledger has it under.

        Args:
            image: Case.
            info: What a client tells about it.
            volume: File of its reference volume.

        Raises:
            InputError: If it does.
        """
        if PATIENT_KEY not in info:
            return
        status = volume.stat()
        digest = _file_sha256(volume, status.st_mtime_ns, status.st_size)
        held, told = self.ledger.patient_of(image, digest), _patient(image, info)
        if held not in (None, told):
            raise InputError(
                f"case '{image}' was inferred or corrected as one of patient '{held}' already; "
                f"its patient cannot become '{told}'",
                remedy="Tell the patient before the first inference; or add the volume again "
                "under another id, with its patient.",
            )

    def check_volume(self, image: str, told: str | None, client: str | None) -> None:
        """Refuse a label that was drawn on a volume which was replaced since.

        Args:
            image: Case.
            told: Checksum of the volume as the client tells it, if it does.
            client: Who sends the label; without a checksum, the volume of its newest result counts.

        Raises:
            ConflictError: If the case has another volume now.
        """
        now = self.case_ref(image).image_sha256
        seen = told or (self.ledger.results.volume_seen_by(image, client) if client else None)
        if seen not in (None, now):
            raise ConflictError(
                f"the volume of case '{image}' was replaced after this label was begun",
                remedy="Load the case again and draw on the new volume; or submit with force, if "
                "the label fits it.",
            )

    def on_result(self, image: str, params: Mapping[str, Any], client: str | None) -> None:
        """Write down what was inferred for whom by which versions.

        Raises:
            StorageError: If the ledger cannot take it.
        """
        case = self.case_ref(image)
        self.ledger.results.add(
            case_id=image,
            image_sha256=case.image_sha256,
            patient=case.patient,
            task=params["task"],
            models=params["models"],
            client=client,
            summary=summary_of(params),
        )


def summary_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """What the table of results keeps of a reply: volumes, type, and how many warnings."""
    segmentation = params.get("segmentation") or {}
    classification = params.get("classification") or {}
    kept = {
        "scheme": segmentation.get("scheme"),
        "volumes_ml": segmentation.get("volumes_ml"),
        "prediction": classification.get("prediction"),
        "probabilities": classification.get("probabilities"),
        "warnings": len(params.get("warnings") or ()),
    }
    return {key: value for key, value in kept.items() if value is not None}


def _patient(image: str, info: Mapping[str, Any]) -> str:
    """Key of the patient that a case's information tells; the case itself where it tells none."""
    return clean_patient(str(info.get(PATIENT_KEY) or "")) or image


@lru_cache(maxsize=100_000)
def _file_sha256(path: Path, mtime_ns: int, size: int) -> str:
    """Checksum of a volume; time and size only tell files apart."""
    return file_sha256(path)
