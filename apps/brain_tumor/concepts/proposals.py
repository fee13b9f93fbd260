"""First stage of the vocabulary: a language model proposes symptoms, a person reviews them.

What is written is a file in the form of `candidates.json`. A reviewer deletes and mends lines and
commits it as such; the second stage (`generator`) then keeps what the training patients show.

References:
    ViP: text-only candidates, arXiv:2409.00341.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain_tumor.classification.features.feature_table import FEATURE_IDS, FEATURES
from brain_tumor.concepts.vocabulary import Direction, Symptom, Vocabulary
from brain_tumor.errors import InputError

Chat = Callable[[Sequence[dict[str, str]]], str]
"""Answer of a language model to the messages of a chat."""
MOST_PROPOSED = 15
"""Lines of an answer that are looked at."""
_TASK = (
    "You help to describe brain tumours on contrast-enhanced T1 MRI to a person who knows no "
    "medicine. Name what can be seen, in at most {most} plain lower-case words, without the name "
    "of any tumour. Each line must have a measurement that proves it.\n"
    "Write up to 12 lines and nothing else, each as: words | measurement | high or low\n"
    "Measurements:\n{features}"
)
_QUESTION = "What are useful visual features that distinguish {kind} from other brain tumours?"


@dataclass(frozen=True)
class Proposal:
    """A line of a model's answer.

    Attributes:
        line: As it was written.
        symptom: What it proposes; None if it is unusable.
        reason: Why it is unusable; empty if it is not.
    """

    line: str
    symptom: Symptom | None
    reason: str = ""


def messages_for(kind: str) -> list[dict[str, str]]:
    """Messages of a chat that asks for the symptoms of a class; nothing of any patient is in them.

    Args:
        kind: Name of the class.
    """
    features = "\n".join(f"{feature.id}: {feature.name}" for feature in FEATURES)
    return [
        {"role": "system", "content": _TASK.format(most=12, features=features)},
        {"role": "user", "content": _QUESTION.format(kind=kind)},
    ]


def read_answer(text: str, kind: str) -> tuple[Proposal, ...]:
    """Proposals in a model's answer, usable or not.

    Args:
        text: The answer.
        kind: Class that was asked about.
    """
    found: list[Proposal] = []
    said: set[str] = set()
    for line in [line.strip() for line in text.splitlines() if line.strip()][:MOST_PROPOSED]:
        proposal = _read_line(line, kind)
        if proposal.symptom is not None and proposal.symptom.text in said:
            proposal = Proposal(line, None, "proposed before")
        if proposal.symptom is not None:
            said.add(proposal.symptom.text)
        found.append(proposal)
    return tuple(found)


def propose(chat: Chat, kinds: Sequence[str], source: str) -> dict[str, Any]:
    """Ask a model about every class.

    Args:
        chat: The model.
        kinds: Classes.
        source: Who was asked, for the file.

    Returns:
        Content of the file to be reviewed: `candidates` by class, `refused` with reasons.

    Raises:
        InputError: If nothing usable was said of a class.
    """
    usable: list[Symptom] = []
    refused: list[dict[str, str]] = []
    for kind in kinds:
        proposals = read_answer(chat(messages_for(kind)), kind)
        own = [p.symptom for p in proposals if p.symptom is not None]
        if not own:
            raise InputError(
                f"{source} proposed nothing usable for {kind}",
                remedy="Ask a larger model, or write the candidates by hand.",
            )
        usable += own
        refused += [
            {"class": kind, "line": p.line, "reason": p.reason}
            for p in proposals
            if p.symptom is None
        ]
    return {
        "version": 1,
        "source": f"proposed by {source}; not reviewed",
        "candidates": Vocabulary(tuple(usable)).to_json(),
        "refused": refused,
    }


def write_proposals(chat: Chat, kinds: Sequence[str], source: str, path: Path) -> dict[str, Any]:
    """Ask, and write the file to be reviewed.

    Raises:
        InputError: If the file exists, or nothing usable was said of a class.
    """
    if path.exists():
        raise InputError(f"file '{path.name}' exists; expected a new one")
    found = propose(chat, kinds, source)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def _read_line(line: str, kind: str) -> Proposal:
    parts = [part.strip() for part in re.sub(r"^(?:[-*\u2022]|\d+[.)])\s*", "", line).split("|")]
    if len(parts) != 3:
        return Proposal(line, None, "not of the form: words | measurement | high or low")
    text, name, way = parts[0].lower().rstrip("."), parts[1], parts[2].lower()
    if name not in FEATURE_IDS:
        return Proposal(line, None, f"'{name}' is not measured")
    if way not in set(Direction):
        return Proposal(line, None, f"'{way}' is neither high nor low")
    try:
        return Proposal(line, Symptom(text, kind, name, Direction(way)))
    except InputError as error:
        return Proposal(line, None, error.message)
