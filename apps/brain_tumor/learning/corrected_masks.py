"""Which masks of a ledger a model may learn from."""

from __future__ import annotations

from collections.abc import Iterable

from brain_tumor.learning.ledger.ledger import LEARNT_TAG, ReviewState, Submission, newest_masks


def corrected_masks(submissions: Iterable[Submission]) -> list[Submission]:
    """Masks to learn from: of every case the newest final one, submitted or reviewed.

    A reviewed mask goes before a newer one that nobody has reviewed.

    Args:
        submissions: Submitted masks.

    Returns:
        Submissions in the order of their numbers.
    """
    masks = [one for one in submissions if one.tag == LEARNT_TAG]
    submitted = newest_masks(m for m in masks if m.state is ReviewState.SUBMITTED)
    reviewed = newest_masks(m for m in masks if m.state is ReviewState.REVIEWED)
    return sorted({**submitted, **reviewed}.values(), key=lambda submission: submission.id)
