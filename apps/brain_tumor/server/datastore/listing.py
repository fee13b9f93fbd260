"""What lies in a studies folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from brain_tumor.errors import InputError
from brain_tumor.server.http.validation import (
    LABEL_SUFFIXES,
    VOLUME_SUFFIXES,
    check_tag,
    split_volume_name,
)

Suffixes = tuple[str, ...]

_IMAGES = (*LABEL_SUFFIXES, ".mha", ".mhd", ".nhdr", ".mgz", ".img", ".hdr", ".dcm", ".zip")
"""Endings of files that somebody may take for cases."""
_BAD_NAME = (
    "its name is no case id (1-64 of A-Z a-z 0-9 . _ -); rename it, or import it (tumorlens import)"
)
_BAD_ENDING = "its ending is not .nii.gz, .nii or .nrrd in small letters; rename or import it"
_SEGMENTATION = "a segmentation belongs in labels/final"
_NO_CASE = "no volume of that name lies in the studies folder"
_BAD_TAG = "the name of its folder is no label tag"


@dataclass(frozen=True)
class Listing:
    """Volumes and labels by name. Several suffixes mean several files of one name.

    Attributes:
        images: Suffixes of each case's reference volume, the preferred one first.
        labels: Suffixes of each label, by case and tag.
        passed_over: Why a file is none of these, by its path below the folder.
    """

    images: Mapping[str, Suffixes]
    labels: Mapping[tuple[str, str], Suffixes]
    passed_over: Mapping[str, str] = field(default_factory=dict)


def list_studies(studies: Path) -> Listing:
    """List a studies folder.

    Hidden files (macOS `._*` among them) and folders are passed over without a word; image files
    that are no case are told with the reason.

    Raises:
        OSError: If the folder cannot be listed.
    """
    images, passed_over = _volumes(studies, VOLUME_SUFFIXES)
    labels: dict[tuple[str, str], Suffixes] = {}
    for folder in sorted((studies / "labels").glob("*/")):
        found, others = _volumes(folder, LABEL_SUFFIXES)
        where = f"labels/{folder.name}/"
        try:
            tag = check_tag(folder.name)
        except InputError:
            names = [f"{image}{suffix}" for image, held in found.items() for suffix in held]
            passed_over |= {f"{where}{name}": _BAD_TAG for name in (*names, *others)}
            continue
        labels.update({(image, tag): held for image, held in found.items()})
        passed_over |= {f"{where}{name}": reason for name, reason in others.items()}
        passed_over |= {
            f"{where}{image}{suffix}": _NO_CASE
            for image, held in found.items()
            if image not in images
            for suffix in held
        }
    return Listing(images, labels, passed_over)


def _volumes(folder: Path, accepted: Suffixes) -> tuple[dict[str, Suffixes], dict[str, str]]:
    """Suffixes by case id of the volume files in one folder, sorted by id, and why not others."""
    found: dict[str, list[str]] = {}
    others: dict[str, str] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.is_file():
                continue
            name = entry.name.lower()
            parts = split_volume_name(entry.name, accepted)
            if name.endswith(".seg.nrrd") and ".seg.nrrd" not in accepted:
                others[entry.name] = _SEGMENTATION
            elif parts is not None:
                found.setdefault(parts[0], []).append(parts[1])
            elif entry.name.endswith(accepted):
                others[entry.name] = _BAD_NAME
            elif name.endswith(_IMAGES):
                others[entry.name] = _BAD_ENDING
    sorted_by = LABEL_SUFFIXES.index
    return {
        image: tuple(sorted(suffixes, key=sorted_by)) for image, suffixes in sorted(found.items())
    }, dict(sorted(others.items()))
