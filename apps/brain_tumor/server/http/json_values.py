"""What of a client's JSON is taken: everything that comes back from the disk as it was sent."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from brain_tumor.errors import InputError

MAX_DEPTH = 32
MAX_INTEGER = 2**63
MAX_JSON_CHARACTERS = 256 * 1024
MAX_INFO_BYTES = 64 * 1024
"""What may be told about one case or one label, in all."""


def parse_json(text: str, what: str) -> Any:
    """JSON from a form field.

    Raises:
        InputError: If it is too long, not JSON, or holds a value that `check_json` refuses.
    """
    if len(text) > MAX_JSON_CHARACTERS:
        raise InputError(f"{what} has {len(text)} characters; expected {MAX_JSON_CHARACTERS}")
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise _too_deep(what) from error
    except ValueError as error:
        raise InputError(f"{what} is not JSON: {error}; expected an object") from error
    check_json(value, what)
    return value


def check_json(value: Any, what: str) -> None:
    """Refuse values that cannot be stored and read back.

    Args:
        value: Parsed JSON.
        what: How the message names it.

    Raises:
        InputError: If it is nested deeper than `MAX_DEPTH`, holds a text with half a character or
            NUL, a number that is not finite, or a whole number beyond 64 bits.
    """
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        found, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _too_deep(what)
        if isinstance(found, str):
            if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in found):
                raise InputError(f"{what} holds NUL or half a character; expected plain text")
        elif isinstance(found, Mapping):
            waiting += [(key, depth + 1) for key in found]
            waiting += [(one, depth + 1) for one in found.values()]
        elif isinstance(found, list):
            waiting += [(one, depth + 1) for one in found]
        elif isinstance(found, float) and not math.isfinite(found):
            raise InputError(f"{what} holds a number that is not finite")
        elif isinstance(found, int) and abs(found) >= MAX_INTEGER:
            raise InputError(f"{what} holds a whole number beyond 64 bits")


def is_sound(value: Any) -> bool:
    """Whether `check_json` takes a value."""
    try:
        check_json(value, "")
    except InputError:
        return False
    return True


def merged_info(held: Mapping[str, Any], told: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Information with what was told added.

    Raises:
        InputError: If that is more than one case or label may have.
    """
    merged = {**held, **told}
    size = len(json.dumps(merged, default=str))
    if size > MAX_INFO_BYTES:
        raise InputError(
            f"{what} would have {size} bytes of information; expected at most {MAX_INFO_BYTES}",
            remedy="Keep long texts elsewhere and store where they are.",
        )
    return merged


def _too_deep(what: str) -> InputError:
    """Error for a value that is nested too deep."""
    return InputError(
        f"{what} is nested more than {MAX_DEPTH} levels deep",
        remedy="Send plain lists and objects.",
    )


def _refuse_constant(name: str) -> NoReturn:
    """Refuse the NaN and Infinity that Python's JSON would accept."""
    raise ValueError(f"{name} is not JSON")
