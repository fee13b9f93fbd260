"""Which tumour types of a ledger a classifier may learn from."""

from __future__ import annotations

from collections.abc import Iterable

from brain_tumor.labels import TumorType
from brain_tumor.learning.ledger.ledger import ReviewState, Submission


def corrected_types(submissions: Iterable[Submission]) -> list[tuple[Submission, TumorType]]:
    """Types to learn from: of every case the newest one, submitted or reviewed.

    A reviewed type goes before a newer one that nobody has reviewed. A case whose answer is `other`
    or `none` teaches nothing: the classifier does not know them.

    Args:
        submissions: Submitted types, newest first.

    Returns:
        Submissions in the order of their numbers.
    """
    usable: dict[str, Submission] = {}
    for one in submissions:
        if one.state not in (ReviewState.SUBMITTED, ReviewState.REVIEWED):
            continue
        held = usable.setdefault(one.case_id, one)
        if held.state is not ReviewState.REVIEWED and one.state is ReviewState.REVIEWED:
            usable[one.case_id] = one
    known = {kind.value: kind for kind in TumorType}
    told = sorted(usable.values(), key=lambda one: one.id)
    answers = ((one, (one.payload or {}).get("type")) for one in told)
    return [(one, known[answer]) for one, answer in answers if answer in known]
