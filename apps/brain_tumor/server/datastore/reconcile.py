"""Bringing the index in line with the files that lie in the studies folder."""

from __future__ import annotations

import hashlib
import logging
import time
from pathlib import Path

from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastoreModel

from brain_tumor.cases.files.durable import storage_errors
from brain_tumor.cases.study_layout import read_record
from brain_tumor.errors import StorageError
from brain_tumor.server.datastore.history import LabelEvent, LabelHistory, LabelVersion, NewVersion
from brain_tumor.server.datastore.index import Change, StudyIndex
from brain_tumor.server.datastore.index_file import LABELS_FOLDER
from brain_tumor.server.datastore.listing import Listing, Suffixes

logger = logging.getLogger(__name__)


def differs(index: LocalDatastoreModel, listing: Listing) -> bool:
    """Whether the index says something else than the files."""
    labels = {
        (image, tag): label.ext
        for image, case in index.objects.items()
        for tag, label in case.labels.items()
    }
    on_disk = {key: found for key, found in listing.labels.items() if key[0] in listing.images}
    return (
        set(index.objects) != set(listing.images)
        or any(index.objects[i].image.ext != found[0] for i, found in listing.images.items())
        or set(labels) != set(on_disk)
        or any(labels[key] not in found for key, found in on_disk.items())
    )


def reconcile(change: Change, history: LabelHistory, listing: Listing) -> None:
    """Enter files that appeared, drop entries whose files went.

    Args:
        change: Open transaction.
        history: Versions of labels; a label that went is recorded, one that appeared gets a
            version unless it has one.
        listing: What lies in the folder.

    Raises:
        StorageError: If a file cannot be read or a record not be stored.
    """
    objects = change.index.objects
    for image in sorted(set(objects) - set(listing.images)):
        logger.warning("case %s is no longer in the studies folder", image)
        del objects[image]
    for image, suffixes in listing.images.items():
        _enter_image(change, image, suffixes)
    for image, case in list(objects.items()):
        for tag in [tag for tag in case.labels if (image, tag) not in listing.labels]:
            history.stage_removal(change.batch, (image, tag))
            del change.edit(image).labels[tag]
    for (image, tag), suffixes in listing.labels.items():
        if image in objects:
            _enter_label(change, history, (image, tag), suffixes)


def stage_unrecorded(
    change: Change, history: LabelHistory, image: str, tag: str
) -> LabelVersion | None:
    """Put the current file of a label into the history if another program wrote it.

    Returns:
        The staged version, or None if the history has the file already.

    Raises:
        StorageError: If it cannot be read or stored.
    """
    label = change.index.label(image, tag)
    if label is None:
        return None
    content = _read(change.root / LABELS_FOLDER / tag / f"{image}{label.ext}")
    if content is None or hashlib.sha256(content).hexdigest() == label.info.get("sha256"):
        return None
    new = NewVersion(event=LabelEvent.FOUND, info=dict(label.info))
    return history.stage(change.batch, (image, tag), content, label.ext, new)


def finish_cut_off_writes(index: StudyIndex, history: LabelHistory) -> None:
    """Carry through versions that reached the history but not the labels folder.

    A crash between two renames leaves such versions; nobody was told that they are stored, but
    finishing them keeps history and labels equal.

    Raises:
        StorageError: If one cannot be stored.
    """
    index.load()
    for image, case in index.current.objects.items():
        for tag in history.tags(image):
            newest = history.latest(image, tag)
            held = case.labels.get(tag)
            known = held.info.get("version", 0) if held else 0
            if newest is None or newest.file is None or newest.version <= known:
                continue
            try:
                content = history.content(newest)
            except StorageError:
                logger.exception("version %d of %s is damaged", newest.version, image)
                continue
            with index.transaction() as change:
                change.put_label(newest, content)
            logger.warning("completed a cut-off write of label %s of case %s", tag, image)


def _enter_image(change: Change, image: str, suffixes: Suffixes) -> None:
    """Enter a volume, keeping the labels of a case whose volume changed its suffix.

    The title under which the case was imported becomes part of its information.
    Of several files the first counts, as in `brain_tumor.cases.studies.resolve_case`.
    """
    index = change.index
    held = index.objects.get(image)
    if held is not None and held.image.ext == suffixes[0]:
        return
    if len(suffixes) > 1:
        logger.warning("case %s has the files %s; only the first counts", image, suffixes)
    info = {"ts": int(time.time()), "name": f"{image}{suffixes[0]}"}
    info |= _title(change.root, image)
    index.objects[image] = ImageLabelModel(
        image=DataModel(ext=suffixes[0], info=info), labels=held.labels if held else {}
    )


def _title(root: Path, image: str) -> dict[str, str]:
    """Title of a case whose import recorded one."""
    try:
        record = read_record(root, image)
    except StorageError:  # told when the case is loaded
        return {}
    return {"title": record.title} if record is not None and record.title else {}


def _enter_label(
    change: Change, history: LabelHistory, label: tuple[str, str], suffixes: Suffixes
) -> None:
    """Enter a label file that the index does not know, with what its history knows about it."""
    image, tag = label
    held = change.index.label(image, tag)
    if held is not None and held.ext in suffixes:
        return
    suffix = suffixes[0]
    content = _read(change.root / LABELS_FOLDER / tag / f"{image}{suffix}")
    if content is None:
        return  # gone since the listing
    sha256 = hashlib.sha256(content).hexdigest()
    known = (v for v in reversed(history.versions(image, tag)) if v.sha256 == sha256)
    version = next(known, None)
    if version is None:
        new = NewVersion(event=LabelEvent.FOUND)
        version = history.stage(change.batch, label, content, suffix, new)
    logger.info("found labels/%s/%s%s", tag, image, suffix)
    change.note_label(version, suffix)


def _read(path: Path) -> bytes | None:
    """Content of a file, or None if there is none."""
    with storage_errors(path.name):
        return path.read_bytes() if path.is_file() else None
