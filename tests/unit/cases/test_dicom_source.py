"""Identity of a case from DICOM: kept, private, and good enough to give results their place."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from brain_tumor.cases.dicom_source import read_source, source_path
from brain_tumor.cases.loading import resolve_case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.studies import ImportStatus, import_cases
from brain_tumor.errors import StorageError
from pydicom import dcmread

from tests.helpers.dicom import write_dicom_series, write_enhanced_dicom
from tests.helpers.volumes import GRIDS, SHAPE

VALUES = np.arange(1, 1 + np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
STUDY = "1.2.826.0.1.7"


def import_study(folder: Path, grid: str = "oblique") -> tuple[Path, list[Path]]:
    files = write_dicom_series(
        folder / "dicom",
        VALUES,
        GRIDS[grid],
        study_uid=STUDY,
        FrameOfReferenceUID="1.2.3.4",
        StudyDate="20261201",
    )
    (report,) = import_cases(folder / "dicom", folder / "studies")
    assert report.status is ImportStatus.IMPORTED
    return folder / "studies", files


@pytest.mark.parametrize("grid", sorted(GRIDS))
def test_the_grid_of_the_source_is_that_of_the_stored_volume(tmp_path: Path, grid: str) -> None:
    studies, _ = import_study(tmp_path, grid)
    source = read_source(studies, "dicom")
    assert source is not None
    case, series = resolve_case(studies, "dicom").case, source.series[Sequence.T1C]
    assert series.shape == case.shape
    assert np.abs(series.affine - case.affine).max() < 1e-4


def test_every_plane_names_the_instance_whose_pixels_it_holds(tmp_path: Path) -> None:
    studies, files = import_study(tmp_path)
    source = read_source(studies, "dicom")
    assert source is not None
    stored = resolve_case(studies, "dicom").case.volumes[Sequence.T1C].array
    instances = {str(h.SOPInstanceUID): h for h in map(dcmread, files)}
    series = source.series[Sequence.T1C]
    assert {p.instance for p in series.planes} == set(instances)
    for k, plane in enumerate(series.planes):
        header = instances[plane.instance]
        assert np.array_equal(header.pixel_array.T, stored[:, :, k])
        assert plane.frame == 0
        assert np.allclose([float(v) for v in plane.position], header.ImagePositionPatient)
    assert series.frame_of_reference == "1.2.3.4"
    assert source.study == STUDY
    assert source.attributes["PatientName"] == "Doe^Jane"


def test_frames_of_an_enhanced_image_are_numbered_from_one(tmp_path: Path) -> None:
    order = [2, 0, 3, 1, *range(4, SHAPE[2])]
    write_enhanced_dicom(tmp_path / "dicom" / "flair.dcm", VALUES, GRIDS["oblique"], order)
    import_cases(tmp_path / "dicom", tmp_path / "studies")
    source = read_source(tmp_path / "studies", "dicom")
    assert source is not None
    frames = [plane.frame for plane in source.series[Sequence.FLAIR].planes]
    by_slice = [order.index(k) + 1 for k in range(SHAPE[2])]
    assert frames in (by_slice, by_slice[::-1])


def test_identity_is_for_its_user_alone_and_in_no_other_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    studies, _ = import_study(tmp_path)
    private = source_path(studies, "dicom")
    assert private.stat().st_mode & 0o777 == 0o600
    for path in studies.rglob("*"):
        if path.is_file() and path != private:
            content = path.read_bytes()
            assert b"Doe" not in content
            assert b"H123456" not in content
    assert "Doe" not in caplog.text
    assert STUDY not in caplog.text


def test_a_case_that_was_imported_without_identity_gets_it(tmp_path: Path) -> None:
    studies, _ = import_study(tmp_path)
    kept = source_path(studies, "dicom").read_bytes()
    source_path(studies, "dicom").unlink()
    (report,) = import_cases(tmp_path / "dicom", studies)
    assert report.status is ImportStatus.ALREADY_THERE
    assert source_path(studies, "dicom").read_bytes() == kept
    assert source_path(studies, "dicom").stat().st_mode & 0o777 == 0o600


def test_a_damaged_identity_is_one_sentence(tmp_path: Path) -> None:
    studies, _ = import_study(tmp_path)
    content = json.loads(source_path(studies, "dicom").read_text())
    del content["series"]["t1c"]["planes"]
    source_path(studies, "dicom").write_text(json.dumps(content))
    with pytest.raises(StorageError, match=r"source\.json of case dicom is damaged"):
        read_source(studies, "dicom")
