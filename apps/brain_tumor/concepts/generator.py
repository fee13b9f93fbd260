"""Visual symptoms in two stages: what is proposed, and what the training patients confirm.

The paper asks a language model for candidates, shows it sheets of images of the class and keeps
what it says both times. Here the second look is a measurement, and the first stage ends with a
review: candidates may come from a language model (`proposals`, `tumorlens concepts propose`); those
that are committed (`candidates.json`) were written from published radiological criteria. In the
second stage a candidate stays only if patients of its class show it more often than
others do.

References:
    ViP: Visual symptom generator, arXiv:2409.00341.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.features.feature_table import FeatureGroup, feature
from brain_tumor.concepts.grounding import Grounding, ground_symptom
from brain_tumor.concepts.vocabulary import Symptom, Vocabulary
from brain_tumor.errors import InputError

SYMPTOMS_PER_CLASS = 6
LEAST_AUC = 0.65
MOST_OF_A_GROUP = 3


@dataclass(frozen=True)
class Verdict:
    """What the training patients say about a candidate.

    Attributes:
        symptom: Candidate.
        grounding: Its limit and figures; None if it could not be measured.
        kept: Whether it is in the vocabulary.
        reason: Why not; empty if kept.
    """

    symptom: Symptom
    grounding: Grounding | None
    kept: bool
    reason: str = ""


def judge(
    candidates: Vocabulary,
    names: Sequence[str],
    patients: npt.NDArray[np.float32],
    kinds: npt.NDArray[Any],
) -> tuple[Verdict, ...]:
    """Second stage: which candidates the training patients show.

    A candidate stays if it tells its class from the others with an AUC of `LEAST_AUC` at least;
    of those the best `SYMPTOMS_PER_CLASS`, each feature once and at most `MOST_OF_A_GROUP` of one
    group of features, so that a class is not described by its place alone.

    Args:
        candidates: Of the first stage.
        names: Feature ids of the columns.
        patients: One feature vector a patient, (P, F), NaN where missing.
        kinds: Class of every patient, (P,).

    Returns:
        One verdict a candidate, best first within a class.
    """
    verdicts: list[Verdict] = []
    for kind in candidates.kinds:
        grounded: list[tuple[Symptom, Grounding | None, str]] = []
        for row in candidates.rows(kind):
            symptom = candidates.symptoms[row]
            try:
                grounded.append((symptom, ground_symptom(symptom, names, patients, kinds), ""))
            except InputError as error:
                grounded.append((symptom, None, error.message))
        grounded.sort(key=lambda item: -(item[1].auc if item[1] else 0.0))
        used: set[str] = set()
        groups: Counter[FeatureGroup] = Counter()
        for symptom, grounding, reason in grounded:
            if grounding is not None:
                reason = _objection(grounding, used, groups)
            if grounding is not None and not reason:
                used.add(grounding.feature)
                groups[feature(grounding.feature).group] += 1
            verdicts.append(Verdict(symptom, grounding, not reason, reason))
    return tuple(verdicts)


def kept(verdicts: Sequence[Verdict]) -> tuple[Vocabulary, tuple[Grounding, ...]]:
    """Vocabulary of the candidates that stay, and their groundings in the same order.

    Raises:
        InputError: If a class has none left.
    """
    chosen = [(v.symptom, v.grounding) for v in verdicts if v.kept and v.grounding is not None]
    lost = {v.symptom.kind for v in verdicts} - {symptom.kind for symptom, _ in chosen}
    if lost:
        raise InputError(f"no symptom of {', '.join(sorted(lost))} is shown by training patients")
    return Vocabulary(tuple(s for s, _ in chosen)), tuple(g for _, g in chosen)


def _objection(grounding: Grounding, used: set[str], groups: Counter[FeatureGroup]) -> str:
    if grounding.auc < LEAST_AUC:
        return f"patients do not show it: AUC {grounding.auc:.2f}, expected {LEAST_AUC}"
    if len(used) >= SYMPTOMS_PER_CLASS:
        return f"{SYMPTOMS_PER_CLASS} better ones exist"
    if grounding.feature in used:
        return f"{grounding.feature} already stands for a better one"
    group = feature(grounding.feature).group
    if groups[group] >= MOST_OF_A_GROUP:
        return f"{MOST_OF_A_GROUP} better ones are of the group {group.value}"
    return ""
