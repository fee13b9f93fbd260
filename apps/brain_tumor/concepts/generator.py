"""Visual symptoms in two stages: what words propose, and what the training patients confirm.

The paper asks a language model for candidates, shows it sheets of images of the class and keeps
what it says both times. Here the second look is a measurement: a candidate stays only if patients
of its class show it more often than others do. Without a language model the reviewed candidates
are used.

References:
    ViP: Visual symptom generator, arXiv:2409.00341.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.feature_table import FeatureGroup, feature
from brain_tumor.concepts.grounding import Grounding, ground_symptom
from brain_tumor.concepts.vocabulary import Direction, Symptom, Vocabulary
from brain_tumor.errors import InputError

logger = logging.getLogger(__name__)

SYMPTOMS_PER_CLASS = 6
LEAST_AUC = 0.65
MOST_OF_A_GROUP = 3
PROMPT = (
    "List useful visual features of {kind} in contrast-enhanced T1 brain MRI. Use simple words "
    "that someone who has never studied medicine can see in the picture. One feature a line, at "
    "most ten words, without the name of the disease."
)
FeatureOf = Callable[[str], tuple[str, Direction] | None]


class TextProvider(Protocol):
    """A language model that answers a prompt."""

    def complete(self, prompt: str) -> str:
        """Answer in plain text."""
        ...


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


def propose(provider: TextProvider, kinds: Mapping[str, str], find: FeatureOf) -> Vocabulary:
    """First stage: candidates of a language model, as far as they can be measured.

    Phrases that name a class, are too long or have no measured feature are left out.

    Args:
        provider: Language model.
        kinds: Class to its name in words, for the prompt.
        find: Feature and direction that prove a phrase, or None; see `feature_of_phrase`.

    Raises:
        InputError: If nothing usable is proposed.
    """
    found: list[Symptom] = []
    for kind, name in kinds.items():
        for text in parse_list(provider.complete(PROMPT.format(kind=name))):
            proof = find(text)
            if proof is None:
                logger.info("no measurement proves '%s'", text)
                continue
            try:
                found.append(Symptom(text, kind, *proof))
            except InputError as error:
                logger.info("%s", error.message)
    if not found:
        raise InputError("the language model proposed no symptom that can be measured")
    return Vocabulary(tuple(found))


def parse_list(answer: str) -> tuple[str, ...]:
    r"""Items of a list, one a line, whatever its bullets; in lower case, without a full stop.

    Example:
        >>> parse_list("1. Ragged edge.\n- Bright ring\n\n* ragged edge")
        ('ragged edge', 'bright ring')
    """
    items = []
    for line in answer.splitlines():
        text = re.sub(r"^\s*(?:[-*\u2022]|\d+[.)])?\s*", "", line).strip().rstrip(".").lower()
        if text and not text.endswith(":"):
            items.append(text)
    return tuple(dict.fromkeys(items))


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
