"""Round trip with a real archive: Orthanc -> case -> segmentation and report -> Orthanc."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from brain_tumor.cases.dicom_source import read_source
from brain_tumor.cases.files.readers import read_label
from brain_tumor.cases.loading import resolve_case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.dicom.fetching import import_from_archive
from brain_tumor.dicom.network import Node, store_by_network
from brain_tumor.dicom.objects import Findings, objects_of, reference_series
from brain_tumor.dicom.web import ArchiveAddress, list_brain_studies, store_objects
from brain_tumor.errors import ArchiveError
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from requests import Session

from tests.helpers.dicom import write_dicom_series, write_enhanced_dicom
from tests.helpers.dicom_results import a_report
from tests.helpers.orthanc import Orthanc, running_orthanc
from tests.helpers.volumes import GRIDS, SHAPE, grid

pytestmark = pytest.mark.integration

VALUES = np.arange(1, 1 + np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
LOGIN = ("tester", "secret")
THICK = grid((0.5, 0.5, 6.5), (-10.0, 20.0, -30.0), euler_degrees=(12.0, 0.0, 0.0))
CLASSIC = {
    "classic": ("1.2.826.0.1.21", GRIDS["shifted"]),
    "oblique": ("1.2.826.0.1.22", GRIDS["oblique"]),
    "thick": ("1.2.826.0.1.23", THICK),
}
ENHANCED = "1.2.826.0.1.1"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    folder = tmp_path_factory.mktemp("orthanc")
    with running_orthanc(folder) as one:
        for name, (study, affine) in CLASSIC.items():
            write_dicom_series(
                folder / "images" / name,
                VALUES,
                affine,
                study_uid=study,
                FrameOfReferenceUID="1.2.3.4",
            )
        order = [2, 0, 3, 1, *range(4, SHAPE[2])]
        enhanced = folder / "images" / "enhanced.dcm"
        write_enhanced_dicom(enhanced, VALUES, GRIDS["oblique"], order, description="T1 POST GD 3D")
        images = [dcmread(path) for path in sorted((folder / "images").rglob("*.dcm"))]
        store_by_network(Node("ORTHANC", "127.0.0.1", one.dicom_port), images)
        yield one


def address(orthanc: Orthanc) -> ArchiveAddress:
    return ArchiveAddress(orthanc.url, login=LOGIN)


def series_of(orthanc: Orthanc, study: str, modality: str) -> list[Any]:
    with Session() as session:
        session.auth = LOGIN
        client = DICOMwebClient(orthanc.url, session=session)
        found = client.search_for_series(study, search_filters={"Modality": modality})
        uids = [entry["0020000E"]["Value"][0] for entry in found]
        return [one for uid in uids for one in client.retrieve_series(study, uid)]


@pytest.mark.parametrize("kind", [*CLASSIC, "enhanced"])
def test_results_come_back_from_the_archive_as_they_went(
    orthanc: Orthanc, tmp_path: Path, kind: str
) -> None:
    study = CLASSIC[kind][0] if kind in CLASSIC else ENHANCED
    (report,) = import_from_archive(address(orthanc), study, tmp_path / "s")
    source = read_source(tmp_path / "s", report.case_id)
    assert source is not None
    case = resolve_case(tmp_path / "s", report.case_id).case
    assert np.array_equal(case.volumes[Sequence.T1C].array, VALUES)
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:6, 3:7, 1:5], labels[3:5, 4:6, 2:4] = 2, 3
    series = reference_series(source, Sequence.T1C)
    made = objects_of(Findings(a_report(), labels, case.affine, labels / 3.0), source, series)
    store_objects(address(orthanc), list(made.values()))

    (segmentation,) = series_of(orthanc, study, "SEG")
    path = tmp_path / "seg.dcm"
    segmentation.save_as(path, write_like_original=False)
    assert np.array_equal(read_label(path).values, labels[:, :, 1:5])
    (told,) = series_of(orthanc, study, "SR")
    stream = BytesIO()
    told.save_as(stream, write_like_original=False)
    stream.seek(0)
    content = highdicom.sr.srread(stream).content
    volumes = [
        group.get_measurements()[0].value
        for group in content.get_volumetric_roi_measurement_groups()
    ]
    voxel_ml = float(np.prod(case.spacing_mm)) / 1000
    assert volumes == pytest.approx([(64 - 8) * voxel_ml, 8 * voxel_ml])
    assert len(series_of(orthanc, study, "OT")) == 1


def test_the_studies_of_the_archive_are_listed(orthanc: Orthanc) -> None:
    listed = {one.uid: one.images for one in list_brain_studies(address(orthanc))}
    assert listed == {**{study: SHAPE[2] for study, _ in CLASSIC.values()}, ENHANCED: 1}


def test_the_archive_refuses_who_has_no_login(orthanc: Orthanc) -> None:
    with pytest.raises(ArchiveError, match=r"refuses access \(401\)"):
        list_brain_studies(ArchiveAddress(orthanc.url))
