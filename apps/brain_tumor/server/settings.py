"""Settings of the stock server that this app decides, and the limits of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.errors import InputError

UPLOAD_ENV = "TUMORLENS_MAX_UPLOAD_MB"
CACHE_ENV = "TUMORLENS_CACHE_MB"
URL_ENV = "TUMORLENS_DICOMWEB_URL"
CERTIFICATES_ENV = "TUMORLENS_DICOMWEB_CA"
LOCAL_FOLDER = Path("studies")
"""Where fetched cases are kept if an address was given instead of a folder."""
_MIB = 1024**2
_ADDRESS = re.compile(r"(https?):/+(.+)", re.IGNORECASE)


@dataclass(frozen=True)
class ServerLimits:
    """What one server takes.

    Attributes:
        max_body_bytes: Largest request body.
        max_unpacked_bytes: Largest unpacked archive.
        cache_bytes: Memory for cases and results.
    """

    max_body_bytes: int = 512 * _MIB
    max_unpacked_bytes: int = 2048 * _MIB
    cache_bytes: int = 512 * _MIB


def split_studies(studies: str) -> tuple[str, Path]:
    """Address of an archive and folder of what is fetched from it, from one argument.

    Args:
        studies: A folder, or an address as MONAI Label takes it; a path may have lost a slash.

    Returns:
        The address (empty for a folder), and the folder.

    Example:
        >>> split_studies("http:/pacs:8042/dicom-web")
        ('http://pacs:8042/dicom-web', PosixPath('studies'))
    """
    match = _ADDRESS.fullmatch(studies)
    if match is None:
        return "", Path(studies)
    return f"{match[1].lower()}://{match[2]}", LOCAL_FOLDER


def server_limits(environ: Mapping[str, str]) -> ServerLimits:
    """Limits from the environment.

    Raises:
        InputError: If a limit is not a positive whole number.
    """
    standard = ServerLimits()
    body = _mebibytes(environ, UPLOAD_ENV, standard.max_body_bytes)
    return ServerLimits(
        max_body_bytes=body,
        max_unpacked_bytes=max(4 * body, _MIB),
        cache_bytes=_mebibytes(environ, CACHE_ENV, standard.cache_bytes),
    )


def quiet_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Environment variables to set before torch and monailabel are imported.

    Experiment tracking is off (monai 1.6 refuses its default store), scoring after every click is
    off (it starts a new interpreter each time), the file watcher is off (it dies of a race; the
    datastore looks itself). OpenMP threads wait passively: two cores have no cycles to burn.
    """
    decided = {
        "MONAI_LABEL_TRACKING_ENABLED": "false",
        "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",
        "MONAI_LABEL_DATASTORE_AUTO_RELOAD": "false",
    }
    wishes = {"OMP_WAIT_POLICY": "passive"}
    return decided | {name: value for name, value in wishes.items() if name not in environ}


def apply_to_stock(sessions: Path) -> None:
    """Set the stock server's settings object, and the environment of its child processes.

    Args:
        sessions: Folder for uploaded volumes, unless the user named one.
    """
    from monailabel.config import settings

    os.environ.update(quiet_environment(os.environ))
    settings.MONAI_LABEL_TRACKING_ENABLED = False
    settings.MONAI_LABEL_AUTO_UPDATE_SCORING = False
    settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD = False
    settings.MONAI_LABEL_INFER_CONCURRENCY = -1
    settings.MONAI_LABEL_SESSION_PATH = settings.MONAI_LABEL_SESSION_PATH or str(sessions)


def _mebibytes(environ: Mapping[str, str], name: str, standard: int) -> int:
    """Bytes from an environment variable in MiB."""
    text = environ.get(name)
    if text is None:
        return standard
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{name} is {text!r:.40}; expected a positive whole number of MiB")
    return int(text) * _MIB
