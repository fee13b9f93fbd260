"""The index as text: written entry by entry, and read entry by entry where it is damaged."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monailabel.datastore.local import ImageLabelModel, LocalDatastoreModel
from pydantic import ValidationError

from brain_tumor.cases.case_ids import check_case_id
from brain_tumor.errors import InputError
from brain_tumor.server.http.json_values import is_sound
from brain_tumor.server.http.validation import LABEL_SUFFIXES, VOLUME_SUFFIXES, check_tag

logger = logging.getLogger(__name__)

LABELS_FOLDER = "labels"
_ENTRY_LINE = re.compile(r'^    "([A-Za-z0-9._-]{1,64})": (?=\{)', re.MULTILINE)
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class IndexFile:
    """What a file holds of an index.

    Attributes:
        name: Name of the datastore.
        description: Its description.
        entries: Cases that can be used, by id.
        is_whole: Whether the file is JSON to its end.
        damaged: Ids of the entries that cannot be used, as far as they can be told.
    """

    name: str
    description: str
    entries: Mapping[str, ImageLabelModel]
    is_whole: bool
    damaged: frozenset[str] = frozenset()

    def mended(self, others: Iterator[Mapping[str, ImageLabelModel]]) -> LocalDatastoreModel:
        """Index with what is damaged here taken from elsewhere, entry by entry.

        Args:
            others: Entries of copies, the most trustworthy first. Of a file that is cut off, they
                also give the entries that it lacks.
        """
        entries = dict(self.entries)
        for other in others:
            for image, entry in other.items():
                if image not in entries and (image in self.damaged or not self.is_whole):
                    entries[image] = entry
        return LocalDatastoreModel(
            name=self.name, description=self.description, images_dir=".", objects=entries
        )


def read_index(path: Path) -> IndexFile | None:
    """Read what can be read of an index; None if there is no file.

    Raises:
        OSError: If it cannot be opened.
    """
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    content, is_whole = _parsed(text)
    raw = content.get("objects")
    is_whole = is_whole and isinstance(raw, dict)
    found = raw.items() if is_whole and isinstance(raw, dict) else _entries_of(text)
    entries: dict[str, ImageLabelModel] = {}
    damaged: set[str] = set()
    for image, value in found:
        entry = _entry(image, value)
        if entry is None:
            logger.error("an entry of %s is damaged or no case of this folder", path.name)
            damaged.add(image)
        else:
            entries[image] = entry
    name, description = content.get("name"), content.get("description")
    return IndexFile(
        name if isinstance(name, str) else "studies",
        description if isinstance(description, str) else "TumorLens studies",
        entries,
        is_whole,
        frozenset(damaged),
    )


def encode(index: LocalDatastoreModel, known: dict[str, tuple[ImageLabelModel, str]]) -> bytes:
    """Index as it stands on disk, in the layout of `json.dumps(..., indent=2)`.

    Args:
        index: Index whose entries are replaced, not changed, when something changes.
        known: Text of the entries that were encoded before; brought up to date.
    """
    for image in set(known) - set(index.objects):
        del known[image]
    lines = []
    for image, entry in index.objects.items():
        held = known.get(image)
        if held is None or held[0] is not entry:
            text = json.dumps(entry.model_dump(), indent=2, default=str).replace("\n", "\n    ")
            held = known[image] = (entry, f"    {json.dumps(image)}: {text}")
        lines.append(held[1])
    head = {
        "name": index.name,
        "description": index.description,
        "images_dir": index.images_dir,
        "labels_dir": index.labels_dir,
    }
    objects = "{\n" + ",\n".join(lines) + "\n  }" if lines else "{}"
    return (json.dumps(head, indent=2)[:-2] + f',\n  "objects": {objects}\n}}').encode()


def _parsed(text: str) -> tuple[Mapping[str, Any], bool]:
    """Object of a JSON text, and whether there is one."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}, False
    return (content, True) if isinstance(content, dict) else ({}, False)


def _entries_of(text: str) -> Iterator[tuple[str, Any]]:
    """Entries of a text that is cut off or damaged somewhere: each begins on a line of its own."""
    for found in _ENTRY_LINE.finditer(text):
        try:
            yield found.group(1), _DECODER.raw_decode(text, found.end())[0]
        except (ValueError, RecursionError):
            yield found.group(1), None


def _entry(image: str, value: Any) -> ImageLabelModel | None:
    """Entry of a case without information that cannot be used; None if nothing is left."""
    try:
        entry = ImageLabelModel.model_validate(value)
        check_case_id(image)
        for tag in entry.labels:
            check_tag(tag)
    except (ValidationError, InputError, RecursionError):
        return None
    if entry.image.ext not in VOLUME_SUFFIXES:
        return None
    for held in (entry.image, *entry.labels.values()):
        if held.ext not in LABEL_SUFFIXES:
            return None
        held.info = {key: one for key, one in held.info.items() if is_sound({key: one})}
    return entry
