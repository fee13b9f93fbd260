"""The studies folder as MONAI Label's datastore: atomic, locked, backed up, with a history.

The layout on disk is the stock one, so that stock clients and tools work: volumes at the top,
labels in `labels/<tag>/`, the index in `datastore_v2.json`. Beside it stand `history/` (every
version of every label), `removed/` (volumes that a client deleted) and a private `.tumorlens/`.

Every change builds a new index, writes all its files beside their destinations, puts them in
place and only then becomes visible to readers. What is acknowledged is on disk; what a crash cuts
off is completed or forgotten at the next start. The index is rebuilt from the files if it is torn.
"""

from __future__ import annotations

import copy
import logging
import os
import secrets
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from monailabel.datastore.local import (
    DataModel,
    ImageLabelModel,
    LocalDatastore,
    LocalDatastoreModel,
)
from monailabel.interfaces.datastore import DefaultLabelTag

from brain_tumor.cases.case_ids import check_case_id
from brain_tumor.cases.files.durable import make_folder, remove_leftovers, storage_errors
from brain_tumor.cases.study_layout import sequences_folder
from brain_tumor.errors import ConflictError, InputError, NotFoundError, StorageError
from brain_tumor.server.datastore.history import LabelEvent, LabelHistory, LabelVersion, NewVersion
from brain_tumor.server.datastore.index import Change, StudyIndex, label_files
from brain_tumor.server.datastore.index_file import LABELS_FOLDER
from brain_tumor.server.datastore.listing import Listing, list_studies
from brain_tumor.server.datastore.reconcile import (
    differs,
    finish_cut_off_writes,
    reconcile,
    stage_unrecorded,
)
from brain_tumor.server.http.json_values import merged_info
from brain_tumor.server.http.validation import VOLUME_SUFFIXES, check_tag, volume_suffix

logger = logging.getLogger(__name__)

REMOVED_FOLDER = "removed"
PRIVATE_FOLDER = ".tumorlens"
STAGING_FOLDER = "staging"
FINAL: str = DefaultLabelTag.FINAL.value
ORIGINAL: str = DefaultLabelTag.ORIGINAL.value


@dataclass(frozen=True)
class AcceptedLabel:
    """A label file that passed the checks.

    Attributes:
        content: Bytes to store; those uploaded unless segments had to be renumbered.
        suffix: File suffix.
        scheme: Which label values it holds.
    """

    content: bytes
    suffix: str
    scheme: str


@dataclass(frozen=True)
class AcceptedImage:
    """A volume file that passed the checks.

    Attributes:
        content: Bytes to store instead of the file's; None stores the file.
        warnings: What its reader warns of.
    """

    content: bytes | None = None
    warnings: tuple[str, ...] = ()


class LabelCheck(Protocol):
    """Reads a label file and compares it with the volume it belongs to."""

    def __call__(self, label: Path, image: Path, info: Mapping[str, Any]) -> AcceptedLabel:
        """Accept a label.

        Raises:
            InputError: If it is unreadable, on another grid, or holds values of no scheme.
        """


class ImageCheck(Protocol):
    """Reads a volume file."""

    def __call__(self, image: Path) -> AcceptedImage | None:
        """Accept a volume; None stores the file as it is.

        Raises:
            InputError: If it is unreadable or unusable.
        """


class StudyDatastore(LocalDatastore):  # type: ignore[misc]
    """Datastore over a studies folder.

    Args:
        studies: Folder; made if it does not exist.
        check_label: Decides about every label before it is stored.
        check_image: Decides about every uploaded volume before it is stored.

    Attributes:
        on_version: Called with every label version that a client stored, before the client hears
            of it.
        on_missing: Asked for a case that is not there; gives None if it cannot bring it.

    Raises:
        StorageError: If the folder cannot be read or written.
    """

    def __init__(self, studies: Path, *, check_label: LabelCheck, check_image: ImageCheck) -> None:
        # The base class's constructor would write the index in place and start a watcher, so it
        # is not called; its reading methods need these three attributes.
        self._datastore_path = str(studies)
        self._extensions = [f"*{suffix}" for suffix in VOLUME_SUFFIXES]
        self._auto_reload = False
        self._root = studies
        self._check_label = check_label
        self._check_image = check_image
        self._passed_over: dict[str, str] = {}
        self.on_version: Callable[[LabelVersion], object] | None = None
        self.on_missing: Callable[[str], object | None] | None = None
        self._history = LabelHistory(studies)
        with storage_errors(studies.name):
            for tag in (FINAL, ORIGINAL):
                make_folder(studies / LABELS_FOLDER / tag)
            make_folder(studies / PRIVATE_FOLDER, 0o700)
        self._index = StudyIndex(studies)
        self.refresh()
        self._index.ensure_on_disk()

    def recover(self) -> None:
        """Finish or forget what a killed process left half-done.

        Only for the process that serves the folder: it must not disturb one that is writing.

        Raises:
            StorageError: If the folder cannot be read or written.
        """
        with self._index.mutex, storage_errors(self._root.name):
            for folder in (self._root, *(self._root / LABELS_FOLDER).glob("*/")):
                remove_leftovers(folder)
            self._history.tidy()
            finish_cut_off_writes(self._index, self._history)
            self.refresh()

    @property
    def _datastore(self) -> LocalDatastoreModel:
        """Index under the name that the base class's reading methods use."""
        return self._index.current

    @property
    def root(self) -> Path:
        """The studies folder."""
        return self._root

    @property
    def staging(self) -> Path:
        """Private folder for files of running requests, made if need be; emptied at each start.

        Raises:
            StorageError: If it cannot be made.
        """
        return self.make_staging()

    def make_staging(self) -> Path:
        """See `staging`."""
        folder = self._root / PRIVATE_FOLDER / STAGING_FOLDER
        with storage_errors(folder.name):
            make_folder(folder, 0o700)
        return folder

    @property
    def history(self) -> LabelHistory:
        """Every version of every label."""
        return self._history

    # Reading. Changes replace the whole index, so a reader sees the old one or the new one.

    def list_images(self) -> list[str]:
        """Ids of all cases, sorted."""
        self._glance()
        return sorted(self._datastore.objects)

    def get_labeled_images(
        self, label_tag: str | None = None, labels: list[str] | None = None
    ) -> list[str]:
        """Ids of the cases with a label of a tag, sorted.

        Args:
            label_tag: Tag, default `final`.
            labels: Unused; part of MONAI Label's interface.
        """
        self._glance()
        tag = label_tag or FINAL
        return sorted(k for k, v in self._datastore.objects.items() if tag in v.labels)

    def get_unlabeled_images(
        self, label_tag: str | None = None, labels: list[str] | None = None
    ) -> list[str]:
        """Ids of the cases without; arguments as for `get_labeled_images`."""
        labelled = set(self.get_labeled_images(label_tag))
        return [image for image in sorted(self._datastore.objects) if image not in labelled]

    def get_image_uri(self, image_id: str) -> str:
        """Path of a case's reference volume, or an empty string."""
        if image_id not in self._datastore.objects:
            self.refresh()
        path: str = super().get_image_uri(image_id)
        return path

    def require_image(self, image_id: str) -> Path:
        """Path of a case's reference volume.

        Raises:
            InputError: If the id is no id.
            NotFoundError: If there is no such case.
        """
        path = self.get_image_uri(check_case_id(image_id))
        if not path and self.on_missing is not None and self.on_missing(image_id) is not None:
            path = self.get_image_uri(image_id)
        if not path:
            raise NotFoundError(
                f"no case '{image_id}' in the studies folder",
                remedy="List the cases (GET /datastore/?output=all) and try again.",
            )
        return Path(path)

    def require_label(self, label_id: str, label_tag: str) -> Path:
        """Path of a label.

        Raises:
            InputError: If the id or the tag is none.
            NotFoundError: If there is no such label.
        """
        path = self.get_label_uri(check_case_id(label_id), check_tag(label_tag))
        if not path:
            raise NotFoundError(f"case '{label_id}' has no label with the tag '{label_tag}'")
        return Path(path)

    def read_label(self, label_id: str, label_tag: str) -> tuple[str, bytes]:
        """File name and content of a label; whole, also while it is being replaced.

        Raises:
            InputError: If the id or the tag is none.
            NotFoundError: If there is no such label.
        """
        path = self.require_label(label_id, label_tag)
        try:
            return path.name, path.read_bytes()
        except FileNotFoundError:  # replaced by a file with another suffix since
            with self._index.mutex, storage_errors(path.name):
                path = self.require_label(label_id, label_tag)
                return path.name, path.read_bytes()

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        """Copy of a label's information."""
        info: dict[str, Any] = copy.deepcopy(super().get_label_info(label_id, label_tag))
        return info

    def status(self) -> dict[str, Any]:
        """Counts of cases and labels, as MONAI Label's clients show them."""
        self._glance()
        objects = self._datastore.objects
        counts: dict[str, int] = {}
        for case in objects.values():
            for tag in case.labels:
                counts[tag] = counts.get(tag, 0) + 1
        return {"total": len(objects), "completed": counts.get(FINAL, 0), "label_tags": counts}

    def json(self) -> dict[str, Any]:
        """The index."""
        self._glance()
        index: dict[str, Any] = super().json()
        return index

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """Zip archive of labelled cases in a temporary file, which the caller removes.

        Raises:
            NotFoundError: If no case has a final label.
        """
        pairs = self.datalist()[: limit_cases or None]
        if not pairs:
            raise NotFoundError("no case has a final label yet; there is nothing to download")
        path = self.staging / f"dataset-{secrets.token_hex(8)}.zip"
        with storage_errors(path.name):
            try:
                with zipfile.ZipFile(path, "x") as archive:
                    for pair in pairs:
                        for kind, file in pair.items():
                            archive.write(file, f"{kind}/{Path(file).name}")
                    archive.writestr("metadata.json", self._index.encoded())
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return str(path)

    # Changing.

    def set_name(self, name: str) -> None:
        """Set the datastore's name."""
        with self._index.transaction() as change:
            change.index.name = name

    def set_description(self, description: str) -> None:
        """Set the datastore's description."""
        with self._index.transaction() as change:
            change.index.description = description

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Store a volume as a new case.

        Args:
            image_id: Id of the case; empty takes the file's name.
            image_filename: File with a volume suffix.
            image_info: Free-form information.

        Returns:
            The id. Sending the same bytes again changes nothing.

        Raises:
            InputError: If the id is no id or is taken by another volume, or the file is unusable.
        """
        source = Path(image_filename)
        suffix = volume_suffix(source.name)
        image = check_case_id(image_id or source.name[: -len(suffix)])
        accepted = self._check_image(source) or AcceptedImage()
        with storage_errors(source.name):
            content = accepted.content or source.read_bytes()
        with self._index.mutex:
            self.refresh()
            held = self._datastore.objects.get(image)
            if held is not None:
                if Path(self.get_image_uri(image)).read_bytes() == content:
                    return image
                raise InputError(
                    f"case '{image}' exists already with another volume",
                    remedy="Choose another id, or delete the case first.",
                )
            if sequences_folder(self._root, image).exists():
                raise InputError(
                    f"case id '{image}' is taken by the sequences of an unfinished import",
                    remedy="Import that case again, or choose another id.",
                )
            with self._index.transaction() as change:
                name = f"{image}{suffix}"
                change.batch.write(self._root / name, content)
                told = merged_info({}, image_info or {}, f"case '{image}'")
                info = {**told, "ts": int(time.time()), "name": name}
                if accepted.warnings:
                    info["warnings"] = list(accepted.warnings)
                change.index.objects[image] = ImageLabelModel(
                    image=DataModel(ext=suffix, info=info)
                )
        logger.info("added case %s", image)
        return image

    def remove_image(self, image_id: str) -> None:
        """Take a case out: its volumes go to `removed/`, its labels stay in the history.

        Raises:
            NotFoundError: If there is no such case.
        """
        with self._index.mutex:
            path = self.require_image(image_id)
            with self._index.transaction() as change:
                for tag in list(change.index.objects[image_id].labels):
                    self._stage_removal(change, image_id, tag)
                del change.index.objects[image_id]
                bin_folder = self._root / REMOVED_FOLDER
                with storage_errors(bin_folder.name):
                    make_folder(bin_folder, 0o700)
                stamp = time.time_ns()
                change.batch.move(path, bin_folder / f"{stamp}-{path.name}")
                siblings = sequences_folder(self._root, image_id)
                if siblings.is_dir():
                    change.batch.move(siblings, bin_folder / f"{stamp}-{image_id}-sequences")
        logger.info("removed case %s", image_id)

    def save_label(
        self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]
    ) -> str:
        """Check and store a label; see `submit_label`.

        Returns:
            Id of the label, which is that of the case.
        """
        self.submit_label(image_id, Path(label_filename), label_tag, label_info)
        return image_id

    def submit_label(
        self,
        image_id: str,
        label: Path,
        tag: str,
        info: Mapping[str, Any] | None,
        *,
        base_version: int | None = None,
    ) -> LabelVersion:
        """Check and store a label as the newest version of its tag.

        Args:
            image_id: Case it belongs to.
            label: Label file; not changed.
            tag: Label tag.
            info: What the client sent along; `client_id` names the annotator.
            base_version: Version that it started from, 0 for none; None if it need not be the
                newest.

        Returns:
            The version; it is on disk.

        Raises:
            NotFoundError: If there is no such case.
            InputError: If the label is refused.
            ConflictError: If another version came in between, or the volume was replaced while
                the label was checked.
            StorageError: If it cannot be stored; then nothing changed, unless the message says that
                the label is stored and only the ledger lacks it.
        """
        tag = check_tag(tag)
        image = self.require_image(image_id)
        plain = merged_info({}, info or {}, f"the label of case '{image_id}'")
        before = image.stat()
        held = self.get_image_info(image_id).get("proposed_by")
        accepted = self._check_label(label, image, {**plain, "proposed_by": held})
        with self._index.mutex:
            self._check_unchanged(image_id, image, before)
            if base_version is not None:
                self._check_base(image_id, tag, base_version)
            proposal = self.get_image_info(image_id).get("proposed_by")
            new = NewVersion(
                event=LabelEvent.SAVED,
                saved_by=plain.get("client_id"),
                proposed_by=proposal if isinstance(proposal, dict) else None,
                info=plain,
            )
            stored = self._put_label(image_id, tag, accepted.content, accepted.suffix, new)
        return self._announced(stored)

    def _check_unchanged(self, image_id: str, image: Path, before: os.stat_result) -> None:
        """Refuse a label whose volume was replaced while it was read."""
        now = image.stat() if image.is_file() else None
        if now is None or (now.st_mtime_ns, now.st_ino) != (before.st_mtime_ns, before.st_ino):
            raise ConflictError(f"the volume of case '{image_id}' was replaced meanwhile")

    def _check_base(self, image_id: str, tag: str, base_version: int) -> None:
        """Refuse a label that started from another version than the newest."""
        newest = self._history.latest(image_id, tag)
        number = 0 if newest is None else newest.version
        if number != base_version:
            who = newest.saved_by if newest is not None and newest.saved_by else "somebody"
            raise ConflictError(
                f"label {tag} of case '{image_id}' is at version {number}, saved by {who}; yours "
                f"started from version {base_version}",
                remedy="Load the newer version and compare, or submit again with force: both are "
                "kept.",
            )

    def restore_label(self, image_id: str, tag: str, number: int, by: str | None) -> LabelVersion:
        """Bring a version back as the newest one.

        Args:
            image_id: Case.
            tag: Label tag.
            number: Version to bring back.
            by: Client id of who asks.

        Raises:
            NotFoundError: If there is no such case or version, or the version is a removal.
            StorageError: If the stored file is damaged.
        """
        self.require_image(image_id)
        with self._index.mutex:
            tag = check_tag(tag)
            version = self._history.get(image_id, tag, number)
            content = self._history.content(version)
            new = NewVersion(
                event=LabelEvent.RESTORED,
                saved_by=by,
                proposed_by=version.proposed_by,
                restored_from=number,
                info=version.info,
            )
            stored = self._put_label(image_id, tag, content, version.suffix, new)
        return self._announced(stored)

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Take a label away; its versions stay in the history.

        Raises:
            NotFoundError: If there is no such label.
        """
        with self._index.mutex:
            self.require_label(label_id, label_tag)
            with self._index.transaction() as change:
                self._stage_removal(change, label_id, check_tag(label_tag))

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Merge keys into a case's information.

        Raises:
            NotFoundError: If there is no such case.
        """
        self.require_image(image_id)
        with self._index.transaction() as change:
            held = change.edit(image_id).image
            held.info = merged_info(held.info, info, f"case '{image_id}'")

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Merge keys into a label's information.

        Raises:
            NotFoundError: If there is no such label.
        """
        with self._index.mutex:
            self.require_label(label_id, label_tag)
            with self._index.transaction() as change:
                held = change.edit(label_id).labels[check_tag(label_tag)]
                held.info = merged_info(held.info, info, f"the label of case '{label_id}'")

    def record_proposal(self, image_id: str, model: Mapping[str, str]) -> None:
        """Remember which model's labelmap a client got for a case; written only when it changes."""
        held = self._datastore.objects.get(image_id)
        if held is not None and held.image.info.get("proposed_by") != dict(model):
            self.update_image_info(image_id, {"proposed_by": dict(model)})

    def refresh(self) -> None:
        """Notice files that other programs added to the folder or took from it.

        Costs one listing of the folders, and nothing more when the index agrees with it.
        """
        with self._index.mutex:
            self._index.load()
            with storage_errors(self._root.name):
                listing = list_studies(self._root)
            self._tell_passed_over(listing)
            agrees = not differs(self._datastore, listing)
            if agrees:
                return
            with self._index.transaction() as change:  # listed again: nobody writes now
                reconcile(change, self._history, list_studies(self._root))

    @property
    def passed_over(self) -> Mapping[str, str]:
        """Why image files of the folder are no cases or labels, by their path."""
        return self._passed_over

    def _tell_passed_over(self, listing: Listing) -> None:
        """Log every file that is newly passed over, once."""
        for name in sorted(listing.passed_over.keys() - self._passed_over.keys()):
            logger.warning("passed over %s: %s", name, listing.passed_over[name])
        self._passed_over = dict(listing.passed_over)

    def _glance(self) -> None:
        """Refresh, unless the index is being changed: readers need not wait for the disk."""
        if self._index.mutex.acquire(blocking=False):
            try:
                self.refresh()
            finally:
                self._index.mutex.release()

    def _put_label(
        self, image_id: str, tag: str, content: bytes, suffix: str, new: NewVersion
    ) -> list[LabelVersion]:
        """Store a label that passed the checks.

        Returns:
            New versions, oldest first: what another program wrote before, if it did, and the label.
        """
        label = (image_id, tag)
        with self._index.transaction() as change:
            if image_id not in change.index.objects:
                raise NotFoundError(f"case '{image_id}' was removed in the meantime")
            found = stage_unrecorded(change, self._history, image_id, tag)
            version = self._history.stage(change.batch, label, content, suffix, new, after=found)
            change.put_label(version, content)
        logger.info("stored version %d of label %s of case %s", version.version, tag, image_id)
        return [version] if found is None else [found, version]

    def _announced(self, stored: list[LabelVersion]) -> LabelVersion:
        """Newest version, once who wants to know of all has written them down."""
        newest = stored[-1]
        announce = self.on_version or (lambda _: None)
        for version in stored:
            try:
                announce(version)
            except StorageError as error:
                raise StorageError(
                    f"label {newest.tag} of case '{newest.image}' is stored "
                    f"(version {newest.version}), not yet in the ledger: {error.message}",
                    remedy="Free disk space and start the server again, which completes it; "
                    "do not send the label again.",
                ) from error
        return newest

    def _stage_removal(self, change: Change, image_id: str, tag: str) -> None:
        """Stage that a label goes away; its file goes before the index does."""
        found = stage_unrecorded(change, self._history, image_id, tag)
        self._history.stage_removal(change.batch, (image_id, tag), after=found)
        for path in label_files(self._root / LABELS_FOLDER / tag, image_id):
            change.batch.remove(path)
        del change.edit(image_id).labels[tag]
