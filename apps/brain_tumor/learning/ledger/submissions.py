"""Corrections as the ledger knows them: what comes in, what is kept, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What was corrected."""

    MASK = "mask"
    TYPE = "type"
    SENTENCES = "sentences"


class ReviewState(StrEnum):
    """What became of a submission."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    REVIEWED = "reviewed"
    REJECTED = "rejected"


class Part(StrEnum):
    """Side of the split that a patient is on for ever."""

    TRAIN = "train"
    HOLD_OUT = "hold_out"


@dataclass(frozen=True)
class CaseRef:
    """A case as the ledger knows it.

    Attributes:
        case_id: Id in the studies folder.
        image_sha256: Checksum of its reference volume.
        patient: Key of the patient; several cases may share one.
    """

    case_id: str
    image_sha256: str
    patient: str


@dataclass(frozen=True)
class NewSubmission:
    """A correction that is about to be written down.

    Attributes:
        case: What was corrected.
        kind: Mask, type or sentences.
        annotator: Client id of who did it, if the client told.
        state: Draft or submitted.
        tag: Label tag, for masks.
        label_version: Version of the label in the history, for masks.
        label_sha256: Checksum of the label file, for masks.
        proposed_by: Model (name, version, sha256) that the annotator started from.
        seconds_spent: Time that the annotator took, if the client told.
        heat_open: Whether the heatmap was shown, if the client told.
        text_open: Whether the rationale was shown, if the client told.
        change: How the label differs from the proposal.
        payload: Type with reason, or sentences with verdicts.
        at: When it was made, UTC, ISO 8601; None for now.
    """

    case: CaseRef
    kind: Kind
    annotator: str | None = None
    state: ReviewState = ReviewState.SUBMITTED
    tag: str | None = None
    label_version: int | None = None
    label_sha256: str | None = None
    proposed_by: Mapping[str, str] | None = None
    seconds_spent: float | None = None
    heat_open: bool | None = None
    text_open: bool | None = None
    change: Mapping[str, Any] | None = None
    payload: Mapping[str, Any] | None = None
    at: str | None = None


@dataclass(frozen=True)
class Review:
    """A decision about a submission."""

    at: str
    reviewer: str | None
    decision: ReviewState
    note: str


@dataclass(frozen=True)
class Submission:
    """A correction in the ledger; see `NewSubmission`.

    Attributes:
        id: Number, increasing.
        at: Time in UTC, ISO 8601.
        state: What became of it: the newest decision.
        part: Side of the split that its patient is on.
        reviews: Decisions, oldest first.
    """

    id: int
    at: str
    case_id: str
    image_sha256: str
    patient: str
    part: Part
    kind: Kind
    state: ReviewState
    annotator: str | None
    tag: str | None
    label_version: int | None
    label_sha256: str | None
    proposed_by: Mapping[str, str] | None
    seconds_spent: float | None
    heat_open: bool | None
    text_open: bool | None
    change: Mapping[str, Any] | None
    payload: Mapping[str, Any] | None
    reviews: tuple[Review, ...] = field(default_factory=tuple)

    @property
    def is_confirmed(self) -> bool:
        """Whether somebody other than the annotator has reviewed it, and nobody objected since.

        Both must have told who they are: else it could be the annotator's own review.
        """
        annotator = _person(self.annotator)
        for review in reversed(self.reviews):
            if review.decision is not ReviewState.REVIEWED:
                return False
            if annotator and _person(review.reviewer) not in ("", annotator):
                return True
        return False

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for replies and exports."""
        return asdict(self)


def newest_masks(masks: Iterable[Submission]) -> dict[str, Submission]:
    """Newest mask of each case, in whatever order they were written down.

    Of one tag it is the highest version of the label; of several tags the one that was made last.

    Args:
        masks: Submitted masks.
    """
    of_tag: dict[tuple[str, str | None], Submission] = {}
    for one in masks:
        held = of_tag.setdefault((one.case_id, one.tag), one)
        if (one.label_version or 0) > (held.label_version or 0):
            of_tag[one.case_id, one.tag] = one
    newest: dict[str, Submission] = {}
    for one in of_tag.values():
        held = newest.setdefault(one.case_id, one)
        if (one.at, one.id) > (held.at, held.id):
            newest[one.case_id] = one
    return newest


def _person(client: str | None) -> str:
    """Name of a client for comparing."""
    return (client or "").strip().casefold()
