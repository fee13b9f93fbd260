"""`tumorlens export`: what a folder holds afterwards, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from brain_tumor.cases.files.readers import read_label
from brain_tumor.cases.files.writers import write_labelmap, write_scalar_map
from brain_tumor.cases.loading import resolve_case
from brain_tumor.cases.studies import import_cases
from brain_tumor.cli import main
from brain_tumor.dicom.pseudonyms import PseudonymTable
from pydicom import dcmread

from tests.helpers.dicom import write_dicom_series
from tests.helpers.dicom_results import a_report
from tests.helpers.volumes import GRIDS, SHAPE, write_nifti

VALUES = np.arange(1, 1 + np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)


@pytest.fixture
def a_study(tmp_path: Path) -> Path:
    """Folder with a DICOM case, and results of it."""
    write_dicom_series(tmp_path / "case", VALUES, GRIDS["oblique"], study_uid="1.2.7")
    import_cases(tmp_path / "case", tmp_path / "s")
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:6, 3:6, 2:5] = 3
    affine = resolve_case(tmp_path / "s", "case").case.affine
    results = tmp_path / "results"
    results.mkdir()
    write_labelmap(results / "labelmap.nii.gz", labels, affine)
    write_scalar_map(results / "heatmap.nii.gz", labels / 3.0, affine)
    (results / "report.json").write_text(json.dumps(a_report()))
    return tmp_path


def export(folder: Path, *more: str, case: str = "case") -> int:
    studies, out = str(folder / "s"), str(folder / "out")
    given = ["--studies", studies, "--dicom", out, "--results", str(folder / "results")]
    return main(["export", case, *given, *more])


def test_results_become_objects_of_the_source_study(
    a_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(a_study) == 0
    made = {p.name: dcmread(p) for p in (a_study / "out").iterdir()}
    assert set(made) == {"segmentation.dcm", "report.dcm", "heatmap.dcm", "page.dcm"}
    assert {one.StudyInstanceUID for one in made.values()} == {"1.2.7"}
    assert {str(one.PatientName) for one in made.values()} == {"Doe^Jane"}
    assert len({one.SeriesInstanceUID for one in made.values()}) == 4
    assert "Doe" not in capsys.readouterr().out


def test_a_folder_of_dicom_files_is_a_case_too(a_study: Path) -> None:
    assert export(a_study, case=str(a_study / "case")) == 0
    assert (a_study / "out" / "segmentation.dcm").exists()


def test_a_label_of_the_studies_folder_takes_the_place_of_the_outline(a_study: Path) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, 2, 3] = 1
    affine = resolve_case(a_study / "s", "case").case.affine
    (a_study / "s" / "labels" / "final").mkdir(parents=True)
    write_labelmap(a_study / "s" / "labels" / "final" / "case.nii.gz", labels, affine)
    assert export(a_study, "--label", "final") == 0
    read = read_label(a_study / "out" / "segmentation.dcm")
    assert np.array_equal(read.values, labels[:, :, 3:4])
    segment = dcmread(a_study / "out" / "segmentation.dcm").SegmentSequence[0]
    assert segment.SegmentAlgorithmType == "SEMIAUTOMATIC"


def test_a_pseudonymised_case_goes_out_under_its_pseudonym_or_its_name(a_study: Path) -> None:
    table = a_study / "table.json"
    disguise = PseudonymTable(table).disguise
    (report,) = import_cases(a_study / "case", a_study / "s", disguise=disguise)
    assert export(a_study, case=report.case_id) == 0
    made = dcmread(a_study / "out" / "report.dcm")
    assert str(made.PatientName).startswith("TL-")
    assert made.PatientIdentityRemoved == "YES"
    assert made.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert export(a_study, "--reidentify", str(table), case=report.case_id) == 0
    made = dcmread(a_study / "out" / "report.dcm")
    assert str(made.PatientName) == "Doe^Jane"
    assert made.StudyInstanceUID == "1.2.7"
    assert "PatientIdentityRemoved" not in made


@pytest.mark.parametrize(
    ("more", "case", "sentence"),
    [
        ((), "nifti", "the case has no DICOM source for its t1c"),
        ((), "nobody", "case 'nobody' is not in the studies folder"),
        (("--label", "final"), "case", "case case has no label 'final'"),
        (("--label", "../x"), "case", "label is '../x'"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(
    a_study: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    case: str,
    sentence: str,
) -> None:
    write_nifti(a_study / "s" / "nifti.nii.gz", VALUES, GRIDS["oblique"])
    assert export(a_study, *more, case=case) == 2
    assert sentence in capsys.readouterr().err
    assert not (a_study / "out").exists()


def test_results_of_another_grid_are_refused(
    a_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_labelmap(
        a_study / "results" / "labelmap.nii.gz", np.zeros(SHAPE, np.uint8), GRIDS["identity"]
    )
    assert export(a_study) == 2
    assert "labelmap does not lie on the grid of case case" in capsys.readouterr().err
