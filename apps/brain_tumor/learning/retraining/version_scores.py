"""Two versions of a model on the same cases, for the gate to compare."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from brain_tumor.errors import InputError
from brain_tumor.learning.gate.promotion import CaseScore
from brain_tumor.learning.retraining.labelled_cases import LabelledCase, LeftOut, groups_of
from brain_tumor.learning.retraining.tuner import Scorer


def score_versions(
    current: Scorer,
    candidate: Scorer,
    cases: Sequence[LabelledCase],
    left_out: LeftOut,
    shall_stop: Callable[[], bool],
    confirmed: Collection[str] = (),
) -> list[CaseScore]:
    """Scores of two versions; cases that the model does not read say nothing.

    Args:
        current: The active version.
        candidate: The version to judge; where only it fails on a case, that is its fault.
        cases: Held-out cases.
        left_out: Takes those that cannot be used.
        shall_stop: Asked before each case; the scores are then incomplete.
        confirmed: Names of the cases that somebody other than the annotator has reviewed.

    Raises:
        InputError: If the candidate fails on a case that the active version can read.
    """
    scores = []
    for one in cases:
        if shall_stop():
            break
        loaded = left_out.load(one)
        if loaded is None:
            continue
        case, truth = loaded
        try:
            before = current(case, truth)
        except InputError as error:
            left_out.note(one, error)
            continue
        if before:
            after = candidate(case, truth)
            groups = {**groups_of(case), **one.groups}
            names = one.name, one.patient, one.source
            scores.append(CaseScore(*names, before, after, groups, one.name in confirmed))
    return scores
