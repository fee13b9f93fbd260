"""What lies in a studies folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.errors import InputError
from brain_tumor.server.http.validation import VOLUME_SUFFIXES, check_tag, split_volume_name

Suffixes = tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """Volumes and labels by name. Several suffixes mean several files of one name.

    Attributes:
        images: Suffixes of each case's reference volume, the preferred one first.
        labels: Suffixes of each label, by case and tag.
    """

    images: Mapping[str, Suffixes]
    labels: Mapping[tuple[str, str], Suffixes]


def list_studies(studies: Path) -> Listing:
    """List a studies folder.

    Hidden files (macOS `._*` among them), folders and names that are no case are passed over.

    Raises:
        OSError: If the folder cannot be listed.
    """
    labels: dict[tuple[str, str], Suffixes] = {}
    for folder in sorted((studies / "labels").glob("*/")):
        try:
            tag = check_tag(folder.name)
        except InputError:
            continue
        labels.update({(image, tag): found for image, found in _volumes(folder).items()})
    return Listing(_volumes(studies), labels)


def _volumes(folder: Path) -> dict[str, Suffixes]:
    """Suffixes by case id of the volume files in one folder, sorted by id."""
    found: dict[str, list[str]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            parts = split_volume_name(entry.name)
            if parts is not None and entry.is_file():
                found.setdefault(parts[0], []).append(parts[1])
    return {
        image: tuple(sorted(suffixes, key=VOLUME_SUFFIXES.index))
        for image, suffixes in sorted(found.items())
    }
