"""Corrections: tumour types, sentences, reviews, and how far annotators agree."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.responses import Response

from brain_tumor.cases.case_ids import check_case_id
from brain_tumor.errors import InputError
from brain_tumor.labels import TumorType
from brain_tumor.learning.ledger.agreement import fleiss_kappa, mask_agreement
from brain_tumor.learning.ledger.ledger import (
    LEARNT_TAG,
    Kind,
    NewSubmission,
    ReviewState,
    Submission,
)
from brain_tumor.model_names import ModelName
from brain_tumor.server.http.bodies import BoundedRoute
from brain_tumor.server.http.replies import json_reply
from brain_tumor.server.http.validation import Parameter, check_object, check_params
from brain_tumor.server.learning.labels import EFFORT_PARAMETERS, check_effort
from brain_tumor.server.routes.common import App

router = APIRouter(prefix="/corrections", tags=["Corrections"], route_class=BoundedRoute)

JsonBody = Annotated[Any, Body()]
MAX_NOTE_CHARACTERS = 4000
MAX_SENTENCES = 200
MAX_LISTED = 1000
RESULTS_ASKED = 200
TYPES = (*(t.value for t in TumorType), "other", "none")
VERDICTS = ("right", "wrong", "unclear")
DECISIONS = ("reviewed", "rejected")

_CLIENT = {"client_id": Parameter((str, type(None)))}
_EFFORT = {key: p for key, p in EFFORT_PARAMETERS.items() if key != "draft"}
_MODEL = {"model": Parameter((str, dict, type(None)))}


@router.get("", summary="Corrections, newest first, or page by page from the oldest")
def corrections(
    app: App,
    image: str = "",
    state: str = "",
    kind: str = "",
    after: int | None = None,
    limit: int = 100,
) -> Response:
    """Masks, types and sentences that annotators submitted, with what became of them."""
    if after is not None and after < 0:
        raise InputError(f"after is {after}; expected 0 or the number of a correction")
    if not 1 <= limit <= MAX_LISTED:
        raise InputError(f"limit is {limit}; expected 1-{MAX_LISTED}")
    found = app.learning.ledger.submissions(
        case_id=check_case_id(image) if image else None,
        state=_one_of(ReviewState, state, "state") if state else None,
        kind=_one_of(Kind, kind, "kind") if kind else None,
        after=after,
        limit=limit,
    )
    return json_reply([one.to_json() for one in found])


@router.post("/type", summary="Say which tumour type is right")
def correct_type(app: App, body: JsonBody = None) -> Response:
    """The reply means that it is on disk."""
    allowed = {
        "image": Parameter((str,)),
        "type": Parameter((str,), TYPES),
        "reason": Parameter((str,), default=""),
        **_CLIENT,
        **_EFFORT,
        **_MODEL,
    }
    given = check_object(body, "the body")
    reason = _long_text(given.pop("reason", ""), "reason")
    checked = _required(check_params(given, allowed, "the body"), given, ("image", "type"))
    payload = {"type": checked["type"], "reason": reason}
    return _submit(app, Kind.TYPE, checked, payload)


@router.post("/sentences", summary="Say which sentences of a rationale are right or wrong")
def judge_sentences(app: App, body: JsonBody = None) -> Response:
    """The reply means that it is on disk."""
    allowed = {"image": Parameter((str,)), **_CLIENT, **_EFFORT, **_MODEL}
    given = check_object(body, "the body")
    sentences = _sentences(given.pop("sentences", None))
    checked = _required(check_params(given, allowed, "the body"), given, ("image",))
    return _submit(app, Kind.SENTENCES, checked, {"sentences": sentences})


@router.post("/review", summary="Decide about a correction")
def review(app: App, body: JsonBody = None) -> Response:
    """Write a reviewer's decision down; earlier decisions stay."""
    allowed = {
        "submission": Parameter((int,)),
        "decision": Parameter((str,), DECISIONS),
        **_CLIENT,
    }
    given = check_object(body, "the body")
    note = _long_text(given.pop("note", ""), "note")
    needed = ("submission", "decision")
    checked = _required(check_params(given, allowed, "the body"), given, needed)
    decision = ReviewState(checked["decision"])
    ledger = app.learning.ledger
    reviewed = ledger.review(checked["submission"], decision, checked["client_id"], note)
    return json_reply(reviewed.to_json())


@router.get("/agreement", summary="How far annotators agree")
def agreement(app: App, image: str = "") -> Response:
    """Dice of each pair of annotators for a case; kappa of the types over all cases or one."""
    ledger = app.learning.ledger
    case = check_case_id(image) if image else None
    types = _newest_by_annotator(ledger.submissions(case_id=case, kind=Kind.TYPE))
    answers: dict[str, list[str]] = {}
    for (held_case, _), one in types.items():
        answers.setdefault(held_case, []).append((one.payload or {})["type"])
    reply: dict[str, Any] = {
        "types": {
            "kappa": fleiss_kappa(list(answers.values())),
            "cases": sum(len(a) >= 2 for a in answers.values()),
            "answers": answers,
        }
    }
    if case is not None:
        submitted = ledger.submissions(case_id=case, kind=Kind.MASK)
        found = _newest_by_annotator([one for one in submitted if one.tag == LEARNT_TAG])
        masks = app.learning.labels.labelmaps({who: one for (_, who), one in found.items()})
        reply["masks"] = mask_agreement(masks)
        reply["annotators"] = sorted(masks)
    return json_reply(reply)


def _submit(app: App, kind: Kind, checked: dict[str, Any], payload: dict[str, Any]) -> Response:
    """Write a correction down and say so."""
    check_effort({key: checked[key] for key in _EFFORT})
    case = app.learning.case_ref(check_case_id(checked["image"]))
    written = app.learning.ledger.submit(
        NewSubmission(
            case=case,
            kind=kind,
            annotator=checked["client_id"],
            proposed_by=_proposed_by(app, checked),
            seconds_spent=checked["seconds_spent"],
            heat_open=checked["heat_open"],
            text_open=checked["text_open"],
            payload=payload,
        )
    )
    return json_reply(written.to_json())


def _proposed_by(app: App, checked: dict[str, Any]) -> dict[str, str] | None:
    """Model whose words were corrected: as the client says, else the newest result's classifier."""
    model = checked["model"]
    if isinstance(model, dict):
        return {key: str(model.get(key, ""))[:64] for key in ("name", "version", "sha256")}
    for row in app.learning.ledger.results.search(case_id=checked["image"], limit=RESULTS_ASKED):
        is_named = model in (row["model"], f"{row['model']} {row['model_version']}")
        is_meant = model in (None, "", row["task"]) and row["model"] == ModelName.CLASSIFICATION
        if row["case"] == checked["image"] and (is_named or is_meant):
            return {
                "name": row["model"],
                "version": row["model_version"],
                "sha256": row["model_sha256"],
            }
    if not model:
        return None
    name, _, version = model.partition(" ")
    return {"name": name[:64], "version": version[:64], "sha256": ""}


def _newest_by_annotator(found: list[Submission]) -> dict[tuple[str, str], Submission]:
    """Newest submission of each annotator for each case.

    Drafts, rejected ones and those of nobody do not count.
    """
    newest: dict[tuple[str, str], Submission] = {}
    for one in sorted(found, key=lambda one: (one.label_version or 0, one.id), reverse=True):
        if one.annotator and one.state in (ReviewState.SUBMITTED, ReviewState.REVIEWED):
            newest.setdefault((one.case_id, one.annotator), one)
    return newest


def _sentences(value: object) -> list[dict[str, Any]]:
    """Checked verdicts.

    Raises:
        InputError: If it is no list of verdicts.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_SENTENCES:
        raise InputError(f"sentences must be a list of 1-{MAX_SENTENCES} entries")
    checked = []
    for entry in value:
        given = check_object(entry, "a sentence")
        unknown = sorted(set(given) - {"text", "verdict", "evidence", "id", "comment"})
        if unknown:
            raise InputError(f"a sentence holds {unknown}; expected text, verdict and evidence")
        if given.get("verdict") not in VERDICTS:
            raise InputError(
                f"verdict is {given.get('verdict')!r:.40}; expected one of {list(VERDICTS)}"
            )
        evidence = given.get("evidence", [])
        known = isinstance(evidence, list) and all(isinstance(e, str) for e in evidence)
        if not known or len(evidence) > MAX_SENTENCES:
            raise InputError("evidence of a sentence must be a list of ids")
        sentence: dict[str, Any] = {
            "text": _long_text(given.get("text", ""), "text", needed=True),
            "verdict": given["verdict"],
            "evidence": [e[:64] for e in evidence],
        }
        for key in ("id", "comment"):
            if key in given:
                sentence[key] = _long_text(given[key], key)
        checked.append(sentence)
    return checked


def _required(
    checked: dict[str, Any], given: dict[str, Any], keys: tuple[str, ...]
) -> dict[str, Any]:
    """Refuse a body that lacks a key.

    Raises:
        InputError: If it does.
    """
    missing = [key for key in keys if key not in given]
    if missing:
        raise InputError(f"the body lacks {missing}")
    return checked


def _long_text(value: object, what: str, *, needed: bool = False) -> str:
    """Text of several sentences.

    Raises:
        InputError: If it is no text, too long, empty though needed, or holds what is no character
            (NUL, half a surrogate pair): PostgreSQL does not keep those.
    """
    if not isinstance(value, str) or len(value) > MAX_NOTE_CHARACTERS or (needed and not value):
        raise InputError(f"{what} must be a text of at most {MAX_NOTE_CHARACTERS} characters")
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
        raise InputError(f"{what} holds NUL or half a character; expected plain text")
    return value


def _one_of(kind: Any, value: str, what: str) -> Any:
    """Member of an enumeration.

    Raises:
        InputError: If there is none of that value.
    """
    try:
        return kind(value)
    except ValueError as error:
        known = [member.value for member in kind]
        raise InputError(f"{what} is {value!r:.40}; expected one of {known}") from error
