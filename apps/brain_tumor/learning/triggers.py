"""When a retraining starts by itself: never per save, only by a policy that somebody chose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from brain_tumor.errors import InputError

TRIGGER_ENV = "TUMORLENS_RETRAIN"
LEAST_INTERVAL = timedelta(hours=1)
"""Automatic trainings of one model are at least this far apart."""

_EVERY = re.compile(r"every (\d{1,5})")
_NIGHTLY = re.compile(r"nightly ([01]\d|2[0-3]):([0-5]\d)")


class Trigger(StrEnum):
    """Kind of policy."""

    MANUAL = "manual"
    EVERY = "every"
    NIGHTLY = "nightly"


@dataclass(frozen=True)
class Policy:
    """When to retrain.

    Attributes:
        trigger: Kind.
        corrections: New corrections that start a training, for `EVERY`.
        at: Local time of day, for `NIGHTLY`.
    """

    trigger: Trigger = Trigger.MANUAL
    corrections: int = 0
    at: time = time(0, 0)


def parse_policy(text: str) -> Policy:
    """Policy from a setting: `manual`, `every 20` (corrections) or `nightly 02:30`.

    Raises:
        InputError: If it is none of these.

    Example:
        >>> parse_policy("every 20").corrections
        20
    """
    if text == Trigger.MANUAL:
        return Policy()
    every = _EVERY.fullmatch(text)
    if every and int(every[1]) >= 1:
        return Policy(Trigger.EVERY, corrections=int(every[1]))
    nightly = _NIGHTLY.fullmatch(text)
    if nightly:
        return Policy(Trigger.NIGHTLY, at=time(int(nightly[1]), int(nightly[2])))
    raise InputError(
        f"{TRIGGER_ENV} is {text!r:.40}; expected 'manual', 'every N' or 'nightly HH:MM'"
    )


def is_due(policy: Policy, now: datetime, last: datetime | None, new_corrections: int) -> bool:
    """Whether a training shall start now.

    Args:
        policy: Policy.
        now: Local time.
        last: Start of the last training of the model, local time; None if there was none.
        new_corrections: Corrections that it may learn from and has not learnt from, of those made
            before `last_turn`.
    """
    if new_corrections < 1 or policy.trigger is Trigger.MANUAL:
        return False
    if last is not None and now - last < LEAST_INTERVAL:
        return False
    if policy.trigger is Trigger.EVERY:
        return new_corrections >= policy.corrections
    return last is None or last < last_turn(policy, now)


def last_turn(policy: Policy, now: datetime) -> datetime:
    """When corrections were last counted: of a nightly policy the newest set time, else now.

    A night's turn stays open until the next one, so that every model has it, one after the other.
    """
    if policy.trigger is not Trigger.NIGHTLY:
        return now
    turn = datetime.combine(now.date(), policy.at, tzinfo=now.tzinfo)
    return turn if turn <= now else turn - timedelta(days=1)
