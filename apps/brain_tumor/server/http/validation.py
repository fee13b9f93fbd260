"""Checks of everything that a client names: cases, tags, models, sessions, parameters.

Names become file names, so they are checked once here and trusted below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from types import MappingProxyType
from typing import Any, NoReturn

from brain_tumor.cases.case_ids import check_case_id
from brain_tumor.cases.study_layout import PATIENT_KEY
from brain_tumor.errors import InputError
from brain_tumor.server.http.json_values import check_json, parse_json

MAX_TEXT_CHARACTERS = 128
MAX_NAME_BYTES = 200  # file names end at 255 bytes
VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd")
"""Files that hold a volume or a labelmap; the longest suffix first."""
DICOM_SUFFIX = ".dcm"
"""Results as DICOM objects, and labels as DICOM segmentations; nothing is stored like this."""
LABEL_SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd")
"""Files that hold a label: a segmentation of 3D Slicer may be one, too."""

_FILE_NAME = re.compile(r"\w[\w .()+,@=#~-]*")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

RESERVED_INFO_KEYS = frozenset(
    {"path", "name", "ts", "sha256", "version", "proposed_by", "saved_at", "strategy"}
)
"""Keys of image and label information that only the server writes."""


def check_tag(value: str) -> str:
    """Label tag as plain text; MONAI Label passes enumeration members about.

    Raises:
        InputError: If it is not 1-32 of ``A-Z a-z 0-9 _ -``.
    """
    text = str(value.value) if isinstance(value, Enum) else value
    if not _TAG.fullmatch(text):
        _refuse("tag", text, "1-32 of A-Z a-z 0-9 _ -, for example 'final'")
    return text


def check_name(value: str, what: str) -> str:
    """Name of a model, strategy or method as given.

    Raises:
        InputError: If it is not 1-64 of ``A-Z a-z 0-9 _ -``.
    """
    if not _NAME.fullmatch(value):
        _refuse(what, value, "1-64 of A-Z a-z 0-9 _ -")
    return value


def check_session_id(value: str) -> str:
    """Session id as given.

    Raises:
        InputError: If it is not a lower-case UUID.
    """
    if not _SESSION.fullmatch(value):
        _refuse("session_id", value, "the id that PUT /session/ returned")
    return value


def volume_suffix(filename: str, what: str = "file") -> str:
    """Volume suffix of a file name.

    Raises:
        InputError: If it has none of `VOLUME_SUFFIXES`.

    Example:
        >>> volume_suffix("T1.final.NII.GZ")
        '.nii.gz'
    """
    for suffix in VOLUME_SUFFIXES:
        if filename.lower().endswith(suffix):
            return suffix
    _refuse(what, filename, f"a name ending in {', '.join(VOLUME_SUFFIXES)}")


def label_suffix(filename: str) -> str:
    """Suffix of the name of a label that a client sends: a volume or a DICOM segmentation.

    Raises:
        InputError: If it has none of these.
    """
    if filename.lower().endswith(DICOM_SUFFIX):
        return DICOM_SUFFIX
    return volume_suffix(filename, "label")


def split_volume_name(
    filename: str, suffixes: tuple[str, ...] = VOLUME_SUFFIXES
) -> tuple[str, str] | None:
    """Case id and suffix of a file in the studies folder; None if it is no case.

    Example:
        >>> split_volume_name("P001.nii.gz")
        ('P001', '.nii.gz')
        >>> split_volume_name("._a.nii.gz") is None
        True
    """
    for suffix in suffixes:
        if filename.endswith(suffix):
            try:
                return check_case_id(filename[: -len(suffix)]), suffix
            except InputError:
                return None
    return None


def check_file_name(value: str, what: str = "file name") -> str:
    """One part of a path as given, if it cannot lead anywhere.

    Sequences are recognised by the names of files, so those keep more than a case id may.

    Raises:
        InputError: If it is empty, too long, begins with a dot or holds a path separator or
            another character outside letters, digits and ``_ .()+,@=#~-``.

    Example:
        >>> check_file_name("Fall 7 (T1 KM).nii.gz")
        'Fall 7 (T1 KM).nii.gz'
    """
    size = len(value.encode("utf-8", "surrogatepass"))
    if size > MAX_NAME_BYTES or not _FILE_NAME.fullmatch(value) or value.endswith((".", " ")):
        _refuse(what, value, "letters, digits or _ .()+,@=#~- without a path")
    return value


def safe_filename(filename: str | None, fallback: str) -> str:
    """Last part of an uploaded file's name, if it can safely be a file name.

    Clients differ in sending a name or a whole path; only the last part counts.

    Raises:
        InputError: If the last part is not a safe name.
    """
    name = re.split(r"[/\\]", filename or "")[-1]
    return check_file_name(name) if name else fallback


def parse_object(text: str | None, what: str) -> dict[str, Any]:
    """JSON object from a form field.

    Args:
        text: The field; empty counts as ``{}``.
        what: How the message names the input.

    Raises:
        InputError: If it is no object, or JSON that `parse_json` refuses.
    """
    return check_object(parse_json(text, what), what) if text else {}


def check_object(value: object, what: str) -> dict[str, Any]:
    """JSON object as given, None as ``{}``.

    Raises:
        InputError: If it is anything else, or holds what cannot be stored.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{what} is a JSON {type(value).__name__}; expected an object")
    check_json(value, what)
    return value


def check_info(info: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Free-form information about an image or a label.

    Raises:
        InputError: If a key belongs to the server, or one that it reads has the wrong type.
    """
    owned = sorted(RESERVED_INFO_KEYS & set(info))
    if owned:
        raise InputError(f"{what} holds {owned}; the server writes these itself")
    check_client_id(info)
    for key, parameter in _READ_INFO.items():
        if key in info:
            _check_value(f"{what}.{key}", info[key], parameter)
    if info.get(STUDY_DATE_KEY):
        check_date(info[STUDY_DATE_KEY], f"{what}.{STUDY_DATE_KEY}")
    for entry in info.get("label_info") or ():
        known = isinstance(entry, dict) and isinstance(entry.get("name"), str)
        if not known or not isinstance(entry.get("idx", 0), int):
            raise InputError(f"{what}.label_info holds {entry!r:.80}; expected a name and an idx")
    return dict(info)


def check_date(value: str, what: str) -> str:
    """A day of the calendar, as `2026-03-31`.

    Raises:
        InputError: If it is none.
    """
    try:
        date.fromisoformat(value)
    except ValueError as error:
        raise InputError(
            f"{what} is {value!r:.40}; expected a date",
            remedy="Write it as year, month and day: 2026-03-31.",
        ) from error
    return value


def check_client_id(params: Mapping[str, Any]) -> None:
    """Check the name under which an annotator's client goes.

    Raises:
        InputError: If it is no short text.
    """
    value = params.get("client_id")
    if value is not None:
        _check_value("client_id", value, Parameter((str,)))


@dataclass(frozen=True)
class Parameter:
    """A key that the `params` of a request may hold.

    Attributes:
        kinds: JSON types accepted; a bool also as "true" or "false".
        choices: Values accepted, or any.
        default: Value when the key is absent.
        affects_result: Whether another value means another computation, not only another reply.
    """

    kinds: tuple[type, ...]
    choices: tuple[Any, ...] = ()
    default: Any = None
    affects_result: bool = True


STUDY_DATE_KEY = "study_date"
"""Key of a case's information: the day of the scan, by which the dates of a patient are ordered."""

_READ_INFO: Mapping[str, Parameter] = MappingProxyType(
    {
        PATIENT_KEY: Parameter((str, int, type(None))),
        STUDY_DATE_KEY: Parameter((str, type(None))),
        "label_info": Parameter((list, type(None))),
    }
)
"""Keys of free-form information that the server reads."""

STOCK_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "client_id": Parameter((str, type(None))),
        "result_extension": Parameter((str,), (*VOLUME_SUFFIXES, DICOM_SUFFIX), ".nrrd"),
        "result_dtype": Parameter((str,), ("uint8",), "uint8"),
        "result_compress": Parameter((bool,), default=True),
        "save_label": Parameter((bool,), default=False),
        "label_tag": Parameter((str,), ("original",), "original"),
        "label_info": Parameter((list, dict, type(None))),
        "device": Parameter((str, type(None))),
        "logging": Parameter((str, type(None))),
        **dict.fromkeys(
            ("reset_state", "largest_cc", "restore_label_idx", "roi", "operation"),
            Parameter((bool, int, float, str, list, dict, type(None)), affects_result=False),
        ),
    }
)
"""What stock clients send with every inference. `device`, `logging` and what only models of other
servers know (the last line) have no effect."""


REGISTRATION = "registration"
CASE_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {REGISTRATION: Parameter((bool,), default=True)}
)
"""How the case is loaded, for every task."""


def check_params(
    params: Mapping[str, Any], allowed: Mapping[str, Parameter], what: str = "params"
) -> dict[str, Any]:
    """Parameters with defaults filled in.

    Args:
        params: JSON object from the request.
        allowed: Keys that may occur.
        what: How the message names the input.

    Raises:
        InputError: If a key is unknown, or a value has another type or is no choice.
    """
    unknown = sorted(set(params) - set(allowed))
    if unknown:
        raise InputError(f"{what} holds {unknown}; expected only {sorted(allowed)}")
    checked: dict[str, Any] = {}
    for key, parameter in allowed.items():
        value = params.get(key, parameter.default)
        if bool in parameter.kinds and value in ("true", "false"):
            value = value == "true"
        if key in params:
            _check_value(f"{what}.{key}", value, parameter)
        checked[key] = value
    return checked


def _check_value(what: str, value: Any, parameter: Parameter) -> None:
    """Refuse a value of the wrong type or outside the choices."""
    is_stray_bool = isinstance(value, bool) and bool not in parameter.kinds
    if not isinstance(value, parameter.kinds) or is_stray_bool:
        kinds = " or ".join(kind.__name__ for kind in parameter.kinds)
        raise InputError(f"{what} is a {type(value).__name__}; expected {kinds}")
    if parameter.choices and value not in parameter.choices:
        raise InputError(f"{what} is {value!r:.80}; expected one of {list(parameter.choices)}")
    if isinstance(value, str) and (len(value) > MAX_TEXT_CHARACTERS or not value.isprintable()):
        raise InputError(f"{what} is too long or not printable; expected a short text")


def _refuse(what: str, value: str, expected: str) -> NoReturn:
    """Raise the sentence that all checks of names share."""
    raise InputError(f"{what} is {value!r:.80}; expected {expected}")
