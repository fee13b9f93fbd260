"""Objects to an archive by C-STORE, and studies that an archive or a scanner sends by C-STORE.

References:
    DICOM PS3.4 annex B (storage service class), PS3.8 (associations).
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import threading
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from brain_tumor.cases.files.durable import make_folder, storage_errors
from brain_tumor.cases.studies import Disguise, ImportReport, import_cases
from brain_tumor.dicom.web import case_id_of_study, check_uid
from brain_tumor.errors import ArchiveError, InputError, TumorLensError

logger = logging.getLogger(__name__)

OWN_TITLE = "TUMORLENS"
TIMEOUT_S = 30.0
_ADDRESS = re.compile(r"([\x21-\x5b\x5d-\x7e]{1,16})@([A-Za-z0-9.:_\-\[\]]+):(\d{1,5})")
_SUCCESS = 0x0000
_WARNINGS = range(0xB000, 0xC000)
_OUT_OF_RESOURCES = 0xA700
_CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True)
class Node:
    """A DICOM node.

    Attributes:
        title: Application entity title.
        host: Name or address.
        port: Port.
    """

    title: str
    host: str
    port: int


def node_of(text: str) -> Node:
    """Node from TITLE@host:port.

    Raises:
        InputError: If it is none.

    Example:
        >>> node_of("ORTHANC@127.0.0.1:4242")
        Node(title='ORTHANC', host='127.0.0.1', port=4242)
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match[3]) < 65536:
        raise InputError(f"node is {text!r:.80}; expected TITLE@host:port, as ORTHANC@pacs:4242")
    return Node(match[1], match[2], int(match[3]))


def store_by_network(node: Node, made: Items[Dataset]) -> None:
    """Send objects to a node by C-STORE.

    Raises:
        ArchiveError: If it does not answer, refuses the association, or refuses an object.
    """
    entity = ApplicationEntity(ae_title=OWN_TITLE)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = TIMEOUT_S
    entity.connection_timeout = 5.0
    contexts = {(str(o.SOPClassUID), str(o.file_meta.TransferSyntaxUID)) for o in made}
    entity.requested_contexts = [build_context(kind, syntax) for kind, syntax in sorted(contexts)]
    association = entity.associate(node.host, node.port, ae_title=node.title)
    name = f"{node.title}@{node.host}:{node.port}"
    if not association.is_established:
        refused = "refuses the association" if association.is_rejected else "does not answer"
        raise ArchiveError(
            f"archive {name} {refused}",
            remedy=f"Check the address, and that the archive knows the title {OWN_TITLE}.",
        )
    try:
        failed = [code for code in (_stored(association, one) for one in made) if code]
    finally:
        association.release()
    if failed:
        raise ArchiveError(
            f"archive {name} refused {len(failed)} of {len(made)} objects ({failed[0]})",
            remedy="See the archive's log; it may not take segmentations or reports.",
        )


def _stored(association: Any, one: Dataset) -> str:
    """Why an object was not stored; empty if it was."""
    try:
        status = association.send_c_store(one)
    except ValueError:  # the node accepted no context for this class
        return f"does not take {one.SOPClassUID.name}"
    code = status.get("Status")
    if code is None:
        return "no answer"
    return "" if code == _SUCCESS or code in _WARNINGS else f"status {code:04X}"


class Receiver:
    """Takes MR images that are sent to it and turns studies into cases.

    A study becomes a case when the association that brought it ends. What an association leaves
    unfinished is dropped.

    Args:
        studies: Studies folder.
        port: Port to listen on; 0 takes a free one.
        host: Address to listen on.
        title: Own application entity title.
        disguise: Replaces the identity of cases; None keeps it.
        on_report: Called after each case.
    """

    def __init__(
        self,
        studies: Path,
        port: int,
        *,
        host: str = "127.0.0.1",
        title: str = OWN_TITLE,
        disguise: Disguise | None = None,
        on_report: Callable[[ImportReport], None] | None = None,
    ) -> None:
        self._studies = studies
        self._disguise = disguise
        self._on_report = on_report
        self._folders: dict[Any, Path] = {}
        self._importing = threading.Lock()
        with storage_errors(studies.name):
            make_folder(studies / ".tumorlens")
        entity = ApplicationEntity(ae_title=title)
        entity.require_called_aet = True
        entity.network_timeout = TIMEOUT_S
        for kind in (MRImageStorage, EnhancedMRImageStorage):
            entity.add_supported_context(kind)
        entity.add_supported_context(Verification)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_RELEASED, self._finish),
            (evt.EVT_ABORTED, self._drop),
            (evt.EVT_CONN_CLOSE, self._drop),
        ]
        try:
            self._server: Any = entity.start_server(
                (host, port), block=False, evt_handlers=handlers
            )
        except OSError as error:
            raise InputError(
                f"port {port} cannot be listened on ({error.strerror or type(error).__name__})",
                remedy="Name a free port with --port.",
            ) from error

    @property
    def port(self) -> int:
        """Port that is listened on."""
        port: int = self._server.server_address[1]
        return port

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()

    def _store(self, event: Any) -> int:
        """Keep an image until its association ends."""
        try:
            dataset = event.dataset
            study = check_uid(str(dataset.StudyInstanceUID))
            folder = self._folders.get(event.assoc)
            if folder is None:
                made = tempfile.mkdtemp(prefix="receive-", dir=self._studies / ".tumorlens")
                folder = self._folders.setdefault(event.assoc, Path(made))
            place = folder / case_id_of_study(study)
            place.mkdir(exist_ok=True)
            dataset.file_meta = event.file_meta
            dataset.save_as(
                place / f"{case_id_of_study(str(event.request.AffectedSOPInstanceUID))}.dcm",
                write_like_original=False,
            )
        except OSError:
            return _OUT_OF_RESOURCES
        except (InputError, AttributeError, ValueError, TypeError):
            return _CANNOT_UNDERSTAND
        return _SUCCESS

    def _finish(self, event: Any) -> None:
        """Import what an association brought."""
        folder = self._folders.pop(event.assoc, None)
        if folder is None:
            return
        try:
            for study in sorted(folder.iterdir()):
                self._import(study)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _import(self, study: Path) -> None:
        try:
            with self._importing:
                reports = import_cases(study, self._studies, disguise=self._disguise)
        except TumorLensError as error:
            logger.warning("a study that was sent is no case: %s", error.code)
            return
        for report in reports:
            if self._on_report is not None:
                self._on_report(report)

    def _drop(self, event: Any) -> None:
        folder = self._folders.pop(event.assoc, None)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
