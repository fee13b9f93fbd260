"""Clicks as clients send them: our own form, deepgrow's and deepedit's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from brain_tumor.errors import InputError
from brain_tumor.labels import Label, label_names
from brain_tumor.server.http.validation import Parameter

MAX_CLICKS = 64
FURTHEST = 1e6  # voxels or mm; also keeps infinity out
_SIDES = ("positive", "negative")
_FIELDS = frozenset({"ijk", "ras", "label"})

CLICK_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "clicks": Parameter((dict, type(None))),
        "foreground": Parameter((list, type(None))),
        "background": Parameter((list, type(None))),
        "label": Parameter((str, type(None)), (None, *label_names())),
        **{name: Parameter((list, type(None))) for name in label_names()},
    }
)
"""`clicks` is our own; the others are what the stock deepgrow and deepedit clients send."""


@dataclass(frozen=True)
class RequestedClick:
    """A click that was understood.

    Attributes:
        position: Voxel index of the reference volume, or RAS+ mm.
        is_ras: Whether the position is in mm.
        is_positive: Whether something is there, or is not.
        label: What; None leaves it to the model.
    """

    position: tuple[float, float, float]
    is_ras: bool
    is_positive: bool
    label: Label | None


def requested_clicks(options: Mapping[str, Any]) -> tuple[RequestedClick, ...]:
    """Clicks of a request: first those that add, then those that remove, each in their order.

    Raises:
        InputError: If a click cannot be understood or there are too many.
    """
    found = sorted(_all(options), key=lambda click: not click.is_positive)
    if len(found) > MAX_CLICKS:
        raise InputError(
            f"params hold {len(found)} clicks; expected {MAX_CLICKS} at most",
            remedy="Send the corrected labelmap along and only the clicks made since.",
        )
    return tuple(found)


def _all(options: Mapping[str, Any]) -> Iterator[RequestedClick]:
    clicks = options.get("clicks") or {}
    unknown = sorted(set(clicks) - set(_SIDES))
    if unknown:
        raise InputError(f"params.clicks holds {unknown}; expected {list(_SIDES)}")
    for side in _SIDES:
        what = f"params.clicks.{side}"
        for entry in _list(clicks.get(side), what):
            yield _own(entry, what, is_positive=side == "positive")
    names = label_names()
    named = options.get("label")
    # deepedit names the label of every point; there, background is background and not "not this"
    is_deepedit = any(options.get(name) is not None for name in names)
    label = Label(names[named]) if named and not is_deepedit else None
    for key, is_positive in (("foreground", True), ("background", False)):
        for point in _list(options.get(key), f"params.{key}"):
            yield RequestedClick(_point(point, f"params.{key}"), False, is_positive, label)
    for name, value in names.items():
        for point in _list(options.get(name), f"params.{name}"):
            yield RequestedClick(_point(point, f"params.{name}"), False, True, Label(value))


def _own(entry: object, what: str, *, is_positive: bool) -> RequestedClick:
    if (
        not isinstance(entry, dict)
        or not set(entry) <= _FIELDS
        or ("ijk" in entry) == ("ras" in entry)
    ):
        raise InputError(
            f"{what} holds {entry!r:.80}; expected an object with either ijk or ras, and label"
        )
    value = entry.get("label")
    known = {int(label) for label in Label if label}
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and not (is_number and value in known):
        raise InputError(f"{what} has the label {value!r:.20}; expected one of {sorted(known)}")
    is_ras = "ras" in entry
    position = _point(entry["ras" if is_ras else "ijk"], what)
    return RequestedClick(position, is_ras, is_positive, None if value is None else Label(value))


def _point(value: object, what: str) -> tuple[float, float, float]:
    if isinstance(value, list) and len(value) == 3 and all(_is_number(x) for x in value):
        return float(value[0]), float(value[1]), float(value[2])
    raise InputError(f"{what} holds the point {value!r:.80}; expected three numbers")


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < FURTHEST  # type: ignore[operator,arg-type]


def _list(value: object, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"{what} is a {type(value).__name__}; expected a list")
    return value
