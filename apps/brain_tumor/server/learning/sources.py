"""Which corrections a training learns from: those whose label and volume are still there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from brain_tumor.learning.ledger.ledger import (
    CaseRef,
    Kind,
    Ledger,
    Part,
    Submission,
    corrected_masks,
    corrected_types,
)
from brain_tumor.learning.retraining.job_folder import Correction
from brain_tumor.model_names import ModelName
from brain_tumor.server.datastore.history import HISTORY_FOLDER, LabelEvent, LabelVersion
from brain_tumor.server.datastore.store import StudyDatastore

ANOTHER_VOLUME = "the volume of its case is another one now"
REMOVED = "its label was removed"
MISSING = "its label is not in the history"


class CorrectionSources:
    """Corrections in the ledger that a model may learn from now.

    Args:
        datastore: The studies folder.
        ledger: Corrections.
        case_ref: Case as the ledger knows it.
    """

    def __init__(
        self, datastore: StudyDatastore, ledger: Ledger, case_ref: Callable[[str], CaseRef]
    ) -> None:
        self._datastore = datastore
        self._ledger = ledger
        self._case_ref = case_ref

    def select(self, model: str) -> tuple[list[Correction], tuple[str, ...]]:
        """What a model learns from or is measured on: types for the classifier, else masks.

        Returns:
            Corrections, and which cases are left out for what reason. Cases that are no longer in
            the studies folder are not named.
        """
        return self._types() if model == ModelName.CLASSIFICATION else self._masks()

    def made_until(self, moment: datetime) -> set[int]:
        """Numbers of the corrections that were made up to a moment."""
        return {
            one.id for one in self._ledger.submissions() if datetime.fromisoformat(one.at) <= moment
        }

    def _masks(self) -> tuple[list[Correction], tuple[str, ...]]:
        submitted, faults = self._submitted(Kind.MASK)
        kept = corrected_masks(one for one in submitted if one.id not in faults)
        found = []
        for one in kept:
            version = self._datastore.history.get(
                one.case_id, one.tag or "", one.label_version or 0
            )
            file = f"{HISTORY_FOLDER}/{one.case_id}/{one.tag}/{version.file}"
            held_out = one.part is Part.HOLD_OUT
            found.append(
                Correction(one.id, one.case_id, one.patient, held_out, file, version.sha256)
            )
        return found, _left_out(corrected_masks(submitted), kept, faults)

    def _types(self) -> tuple[list[Correction], tuple[str, ...]]:
        """Types, each with the annotator's mask of the case if there is one."""
        masks = {mask.case_id: mask for mask in self._masks()[0]}
        submitted, faults = self._submitted(Kind.TYPE)
        kept = corrected_types(one for one in submitted if one.id not in faults)
        found = []
        for one, kind in kept:
            held_out, mask = one.part is Part.HOLD_OUT, masks.get(one.case_id)
            file, digest = (mask.label_file, mask.label_sha256) if mask else ("", "")
            found.append(
                Correction(one.id, one.case_id, one.patient, held_out, file, digest, kind.value)
            )
        wanted = [one for one, _ in corrected_types(submitted)]
        return found, _left_out(wanted, [one for one, _ in kept], faults)

    def _submitted(self, kind: Kind) -> tuple[list[Submission], dict[int, str]]:
        """Submissions of the cases that are there, and why some of them may not teach."""
        digests = dict.fromkeys(self._datastore.list_images(), "")
        labels: dict[tuple[str, str], list[LabelVersion]] = {}
        found, faults = [], {}
        for one in self._ledger.submissions(kind=kind):
            if one.case_id not in digests:
                continue
            found.append(one)
            held = digests[one.case_id] or self._case_ref(one.case_id).image_sha256
            digests[one.case_id] = held
            if one.image_sha256 != held:
                faults[one.id] = ANOTHER_VOLUME
            elif kind is Kind.MASK:
                label = (one.case_id, one.tag or "")
                if label not in labels:
                    labels[label] = self._datastore.history.versions(*label)
                current = self._datastore.get_label_info(*label).get("version")
                fault = _label_fault(one.label_version, labels[label], current)
                faults.update({one.id: fault} if fault else {})
        return found, faults


def _label_fault(number: int | None, versions: list[LabelVersion], current: object) -> str:
    """Why a version of a label may not teach; empty if it may.

    A version from before a removal may not, unless its file came back as the current one.
    """
    removals = [v.version for v in versions if v.event is LabelEvent.REMOVED]
    if all(v.version != number for v in versions):
        return MISSING
    is_removed = (number or 0) < max(removals, default=0) and number != current
    return REMOVED if is_removed else ""


def _left_out(
    wanted: Iterable[Submission], kept: Iterable[Submission], faults: dict[int, str]
) -> tuple[str, ...]:
    """Cases that would have taught something, with the reason why they do not."""
    taught = {one.case_id for one in kept}
    return tuple(f"{one.case_id}: {faults[one.id]}" for one in wanted if one.case_id not in taught)
