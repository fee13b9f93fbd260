"""C-STORE out and in, against a node of pynetdicom on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brain_tumor.cases.loading import resolve_case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.studies import ImportReport
from brain_tumor.dicom.network import Node, Receiver, node_of, store_by_network
from brain_tumor.dicom.web import case_id_of_study
from brain_tumor.errors import ArchiveError, InputError
from pydicom import dcmread
from pydicom.uid import MRImageStorage
from pynetdicom import AE, evt

from tests.helpers.dicom import write_dicom_series
from tests.helpers.volumes import GRIDS, SHAPE

VALUES = np.arange(1, 1 + np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
STUDY = "1.2.826.0.1.7"


class Reports:
    """What a receiver reported."""

    def __init__(self) -> None:
        self.held: list[ImportReport] = []
        self.came = threading.Event()

    def __call__(self, report: ImportReport) -> None:
        self.held.append(report)
        self.came.set()


@pytest.fixture
def images(tmp_path: Path) -> list[Any]:
    return [
        dcmread(path)
        for path in write_dicom_series(tmp_path / "out", VALUES, GRIDS["oblique"], study_uid=STUDY)
    ]


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def receiver(tmp_path: Path, reports: Reports) -> Iterator[Receiver]:
    one = Receiver(tmp_path / "s", 0, on_report=reports)
    yield one
    one.close()


def test_a_study_that_is_sent_becomes_a_case(
    receiver: Receiver, reports: Reports, images: list[Any], tmp_path: Path
) -> None:
    store_by_network(Node("TUMORLENS", "127.0.0.1", receiver.port), images)
    assert reports.came.wait(60)
    case_id = case_id_of_study(STUDY)
    assert [r.case_id for r in reports.held] == [case_id]
    case = resolve_case(tmp_path / "s", case_id).case
    assert np.array_equal(case.volumes[Sequence.T1C].array, VALUES)


def test_what_an_association_leaves_unfinished_is_dropped(
    receiver: Receiver, reports: Reports, images: list[Any], tmp_path: Path
) -> None:
    entity = AE()
    entity.add_requested_context(MRImageStorage)
    association = entity.associate("127.0.0.1", receiver.port, ae_title="TUMORLENS")
    assert association.send_c_store(images[0]).Status == 0
    association.abort()
    store_by_network(Node("TUMORLENS", "127.0.0.1", receiver.port), images)
    assert reports.came.wait(60)
    assert len(reports.held) == 1
    assert len(list((tmp_path / "s").glob("*.nii.gz"))) == 1


def test_a_receiver_called_by_another_name_refuses(receiver: Receiver, images: list[Any]) -> None:
    with pytest.raises(ArchiveError, match="refuses the association"):
        store_by_network(Node("OTHER", "127.0.0.1", receiver.port), images)


def test_a_node_that_is_away_is_one_sentence(images: list[Any], tmp_path: Path) -> None:
    gone = Receiver(tmp_path / "gone", 0)
    port = gone.port
    gone.close()
    with pytest.raises(ArchiveError, match=f"archive A@127.0.0.1:{port} does not answer"):
        store_by_network(Node("A", "127.0.0.1", port), images)


def test_a_node_that_refuses_objects_is_one_sentence(images: list[Any]) -> None:
    entity = AE(ae_title="FULL")
    entity.add_supported_context(MRImageStorage)
    server: Any = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _: 0xA700)]
    )
    try:
        node = Node("FULL", "127.0.0.1", server.server_address[1])
        with pytest.raises(ArchiveError, match=r"refused 7 of 7 objects \(status A700\)"):
            store_by_network(node, images)
    finally:
        server.shutdown()


@pytest.mark.parametrize("text", ["", "A", "A@b", "A@b:0", "A@b:70000", "A" * 17 + "@b:1", "@b:1"])
def test_a_node_is_checked(text: str) -> None:
    with pytest.raises(InputError, match="expected TITLE@host:port"):
        node_of(text)
