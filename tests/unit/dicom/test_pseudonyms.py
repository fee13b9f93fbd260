"""De-identification at import: nothing of the patient is left, and the table brings it back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from brain_tumor.cases.dicom_source import PATIENT_AND_STUDY, read_source
from brain_tumor.cases.studies import ImportStatus, import_cases
from brain_tumor.cli import main
from brain_tumor.dicom.pseudonyms import ACTIONS, PseudonymTable
from brain_tumor.errors import FileFormatError, NotFoundError

from tests.helpers.dicom import write_dicom_series
from tests.helpers.volumes import GRIDS, SHAPE

VALUES = np.arange(1, 1 + np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
STUDY, FRAME, SERIES = "1.2.826.0.1.7", "1.2.3.4", "1.2.826.0.1.9"


def write_study(folder: Path, study: str = STUDY, series: str = SERIES) -> Path:
    write_dicom_series(
        folder,
        VALUES,
        GRIDS["oblique"],
        study_uid=study,
        description="AX T1 POST of Doe",
        SeriesInstanceUID=series,
        FrameOfReferenceUID=FRAME,
        PatientBirthDate="19700101",
        PatientSex="F",
        AccessionNumber="A77",
        ReferringPhysicianName="House^Gregory",
        StudyDescription="Brain of Doe",
        StudyDate="20261201",
    )
    return folder


def test_every_attribute_that_is_kept_has_an_action() -> None:
    assert set(ACTIONS) == set(PATIENT_AND_STUDY)


def test_nothing_of_the_patient_is_left_in_the_studies_folder(tmp_path: Path) -> None:
    table = PseudonymTable(tmp_path / "table.json")
    folder = write_study(tmp_path / "Doe")
    (report,) = import_cases(folder, tmp_path / "s", disguise=table.disguise)
    assert report.status is ImportStatus.IMPORTED
    assert report.case_id.startswith("TL-")
    held = b" ".join(p.read_bytes() for p in (tmp_path / "s").rglob("*") if p.is_file())
    names = " ".join(str(p) for p in (tmp_path / "s").rglob("*"))
    for text in ("Doe", "H123456", "House", "A77", "19700101", "20261201", STUDY, FRAME, SERIES):
        assert text.encode() not in held
        assert text not in names
    source = read_source(tmp_path / "s", report.case_id)
    assert source is not None
    assert source.attributes["PatientIdentityRemoved"] == "YES"
    assert source.attributes["PatientID"] == report.case_id.rpartition("-")[0]


def test_one_patient_has_one_pseudonym_and_a_uid_one_replacement(tmp_path: Path) -> None:
    table = PseudonymTable(tmp_path / "table.json")
    ids = []
    for number in (1, 2):
        folder = write_study(tmp_path / f"f{number}", f"1.2.{number}", f"1.2.7.{number}")
        (report,) = import_cases(folder, tmp_path / "s", disguise=table.disguise)
        ids.append(report.case_id)
        table = PseudonymTable(tmp_path / "table.json")  # as another run reads it
    first, second = (read_source(tmp_path / "s", case) for case in ids)
    assert first is not None
    assert second is not None
    assert ids[0] != ids[1]
    assert first.attributes["PatientID"] == second.attributes["PatientID"]
    frames = {s.frame_of_reference for one in (first, second) for s in one.series.values()}
    assert len(frames) == 1
    assert first.study != second.study


def test_the_table_is_private_and_knows_who_is_who(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    folder = write_study(tmp_path / "f")
    (report,) = import_cases(folder, tmp_path / "s", disguise=PseudonymTable(path).disguise)
    assert path.stat().st_mode & 0o777 == 0o600
    identity = PseudonymTable(path).identity_of(report.case_id)
    assert identity.study == STUDY
    assert identity.attributes["PatientName"] == "Doe^Jane"
    with pytest.raises(NotFoundError, match=r"table\.json knows no case x"):
        PseudonymTable(path).identity_of("x")


def test_another_table_gives_other_pseudonyms(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "f")
    ids = [
        import_cases(folder, tmp_path / n, disguise=PseudonymTable(tmp_path / f"{n}.json").disguise)
        for n in ("a", "b")
    ]
    assert ids[0][0].case_id != ids[1][0].case_id


def test_a_file_that_is_no_table_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(FileFormatError, match=r"t\.json is no table of pseudonyms"):
        PseudonymTable(tmp_path / "t.json")


def test_a_table_inside_the_studies_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studies = tmp_path / "s"
    arguments = ["import", str(write_study(tmp_path / "f")), "--studies", str(studies)]
    assert main([*arguments, "--deidentify", str(studies / "t.json")]) == 2
    assert "would travel with the cases" in capsys.readouterr().err
    assert not studies.exists()


def test_volume_files_are_not_said_to_be_deidentified(tmp_path: Path) -> None:
    from tests.helpers.volumes import write_nifti

    write_nifti(tmp_path / "case" / "t1c.nii", VALUES, GRIDS["oblique"])
    table = PseudonymTable(tmp_path / "t.json")
    (report,) = import_cases(tmp_path / "case", tmp_path / "s", disguise=table.disguise)
    assert report.status is ImportStatus.REFUSED
    assert "the case is no DICOM" in report.message
