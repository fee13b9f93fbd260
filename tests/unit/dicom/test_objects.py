"""Results as DICOM objects: on the planes of their source, equal to what was measured."""

from __future__ import annotations

import logging
import shutil
import subprocess
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from brain_tumor.cases.dicom_source import DicomSource, SourceSeries, read_source
from brain_tumor.cases.files.readers import read_label
from brain_tumor.cases.loading import resolve_case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.studies import import_cases
from brain_tumor.dicom.objects import (
    Findings,
    encoded,
    objects_of,
    reference_series,
    write_objects,
)
from brain_tumor.dicom.page import page_object
from brain_tumor.errors import InputError
from brain_tumor.labels import Label
from pydicom import dcmread

from tests.helpers.dicom import write_dicom_series, write_enhanced_dicom
from tests.helpers.dicom_results import a_report
from tests.helpers.volumes import GRIDS, SHAPE, grid

VALUES = np.arange(1, 1 + np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
STUDY = "1.2.826.0.1.7"
THICK = grid((0.5, 0.5, 6.5), (-10.0, 20.0, -30.0), euler_degrees=(12.0, 0.0, 0.0))


def a_labelmap() -> Any:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[1:6, 2:9, 1:6] = Label.ED
    labels[2:5, 3:8, 2:5] = Label.ET
    labels[3, 4:7, 3] = Label.NCR
    return labels


def import_classic(folder: Path, affine: Any) -> None:
    write_dicom_series(
        folder,
        VALUES,
        affine,
        study_uid=STUDY,
        FrameOfReferenceUID="1.2.3.4",
        StudyDate="20261201",
        StudyTime="101112",
        StudyID="7",
    )


def import_enhanced(folder: Path, affine: Any) -> None:
    order = [2, 0, 3, 1, *range(4, SHAPE[2])]
    write_enhanced_dicom(folder / "a.dcm", VALUES, affine, order, description="T1 POST GD 3D")


def import_split(folder: Path, affine: Any) -> None:
    """Every slice a series of its own, as some archives have it."""
    write_dicom_series(
        folder, VALUES, affine, study_uid=STUDY, SeriesInstanceUID=lambda k: f"1.2.9.{k + 1}"
    )


STUDIES = {
    "classic": (import_classic, GRIDS["shifted"]),
    "oblique": (import_classic, GRIDS["oblique"]),
    "sagittal": (import_classic, GRIDS["sagittal"]),
    "thick": (import_classic, THICK),
    "enhanced": (import_enhanced, GRIDS["oblique"]),
    "split": (import_split, GRIDS["oblique"]),
}


class Study:
    """An imported study and what was inferred from it."""

    def __init__(self, folder: Path, kind: str) -> None:
        write, affine = STUDIES[kind]
        (folder / "case").mkdir()
        write(folder / "case", affine)
        (report,) = import_cases(folder / "case", folder / "studies")
        assert report.case_id == "case", report.message
        self.source = read_source(folder / "studies", "case")
        assert self.source is not None
        self.case = resolve_case(folder / "studies", "case").case
        self.series = reference_series(self.source, Sequence.T1C)
        labels = a_labelmap()
        ramp = np.linspace(0.0, 1.0, labels.size).reshape(labels.shape)
        self.findings = Findings(a_report(), labels, self.case.affine, ramp, ramp[::-1])
        self.paths = {
            path.name: path
            for path in write_objects(
                folder / "out", objects_of(self.findings, self.source, self.series)
            )
        }

    def planes(self, values: Any) -> Any:
        return np.transpose(values, (2, 1, 0))


@pytest.fixture(scope="module", params=STUDIES)
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def an_oblique_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(tmp_path_factory.mktemp("one"), "oblique")


def test_a_segmentation_read_back_is_the_labelmap(study: Study) -> None:
    read = read_label(study.paths["segmentation.dcm"])
    labels = a_labelmap()
    assert np.array_equal(read.values, labels[:, :, 1:6])  # frames without a voxel are left out
    first = study.case.affine @ [0, 0, 1, 1]
    assert np.abs(read.affine[:3, 3] - first[:3]).max() < 1e-4
    assert np.abs(read.affine[:3, :3] - study.case.affine[:3, :3]).max() < 1e-4


def test_highdicom_finds_each_frame_by_its_source(study: Study) -> None:
    read = highdicom.seg.segread(study.paths["segmentation.dcm"])
    planes = study.planes(a_labelmap())
    options: dict[str, Any] = {
        "combine_segments": True,
        "relabel": False,
        "assert_missing_frames_are_empty": True,
    }
    series = study.series.planes
    if series[0].frame:
        stack = read.get_pixels_by_source_frame(
            series[0].instance, [p.frame for p in series], **options
        )
    else:
        stack = read.get_pixels_by_source_instance([p.instance for p in series], **options)
    assert np.array_equal(stack, planes)


def test_a_segmentation_names_its_source_its_codes_and_its_model(study: Study) -> None:
    read = highdicom.seg.segread(study.paths["segmentation.dcm"])
    listed = {
        (str(series.SeriesInstanceUID), str(item.ReferencedSOPInstanceUID))
        for series in read.ReferencedSeriesSequence
        for item in series.ReferencedInstanceSequence
    }
    assert listed == {(p.series, p.instance) for p in study.series.planes}
    assert [str(s.SegmentLabel) for s in read.SegmentSequence] == [
        "necrotic core",
        "oedema",
        "enhancing tumour",
    ]
    codes = [s.SegmentedPropertyTypeCodeSequence[0].CodeValue for s in read.SegmentSequence]
    assert codes == ["6574001", "79654002", "C113842"]
    made_by = read.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert (made_by.AlgorithmName, made_by.AlgorithmVersion) == ("segmentation", "0.4.0")
    assert made_by.AlgorithmParameters == "sha256=" + "ab" * 32
    assert read.PatientName == "Doe^Jane"
    assert read.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"


def test_maps_give_their_values_back_plane_by_plane(study: Study) -> None:
    read = dcmread(study.paths["heatmap.dcm"])
    mapping = read.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    values = read.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    heights = [
        float(np.dot(f.PlanePositionSequence[0].ImagePositionPatient, normal_of(study.series)))
        for f in read.PerFrameFunctionalGroupsSequence
    ]
    assert heights == sorted(heights)
    assert np.abs(values - study.planes(study.findings.heat)).max() <= 0.5 / 65535 + 1e-9
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"


def normal_of(series: SourceSeries) -> Any:
    directions = np.array(series.orientation, dtype=float).reshape(2, 3)
    return np.cross(*directions)


def test_a_report_holds_the_volumes_of_the_segments_it_refers_to(study: Study) -> None:
    content = highdicom.sr.srread(study.paths["report.dcm"]).content
    segmentation = dcmread(study.paths["segmentation.dcm"])
    voxel_ml = float(np.prod(study.case.spacing_mm)) / 1000
    told = {}
    for group in content.get_volumetric_roi_measurement_groups():
        (volume,) = group.get_measurements()
        (image,) = [i for i in group[0].ContentSequence if i.ValueType == "IMAGE"]
        reference = image.ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        told[int(reference.ReferencedSegmentNumber)] = volume.value
    labels = a_labelmap()
    assert told == {
        number: pytest.approx(int((labels == number).sum()) * voxel_ml) for number in (1, 2, 3)
    }


def test_sentences_stand_beside_the_values_that_they_rest_on(an_oblique_study: Study) -> None:
    content = highdicom.sr.srread(an_oblique_study.paths["report.dcm"]).content
    groups = {g.tracking_identifier: g for g in content.get_image_measurement_groups()}
    second = groups["rationale s2"]
    texts = [item.TextValue for item in second[0].ContentSequence if item.ValueType == "TEXT"]
    assert texts == [
        "rationale s2",
        "It lies 16 mm off the dura.",
        "dural tail index: not measured (the tumour does not reach the border of the brain)",
    ]
    (measured,) = second.get_measurements()
    assert measured.value == 15.568128603182037
    assert measured.unit.value == "mm"
    (place,) = [i for i in measured[0].ContentSequence if i.ValueType == "SCOORD3D"]
    assert list(place.GraphicData) == [48.5, -36.5, 27.5]  # LPS+
    assert place.ReferencedFrameOfReferenceUID == "1.2.3.4"


def test_the_type_is_an_evaluation_with_its_probabilities(an_oblique_study: Study) -> None:
    content = highdicom.sr.srread(an_oblique_study.paths["report.dcm"]).content
    groups = {g.tracking_identifier: g for g in content.get_image_measurement_groups()}
    told = [
        (e.name.value, e.value.meaning) for e in groups["tumor type"].get_qualitative_evaluations()
    ]
    assert told == [
        ("TUMORTYPE", "Glioma"),
        ("NOTEXCLUDED", "Glioma"),
        ("NOTEXCLUDED", "Intracranial meningioma"),
    ]
    shares = {m.name.value: m.value for m in groups["tumor type"].get_measurements()}
    assert shares == {"PROBGLIOMA": 0.75, "PROBMENINGIOMA": 0.2, "PROBPITUITARY": 0.05}
    core = {m.name.meaning: m.value for m in groups["tumor core"].get_measurements()}
    assert core["Diameter"] == 45.6


def test_dciodvfy_finds_no_error(an_oblique_study: Study, tmp_path: Path) -> None:
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    made = page_object(
        a_report(),
        an_oblique_study.case,
        a_labelmap(),
        an_oblique_study.findings.heat,
        an_oblique_study.source or DicomSource({}),
    )
    page = tmp_path / "page.dcm"
    page.write_bytes(encoded(made))
    for path in (page, *an_oblique_study.paths.values()):
        told = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
        assert "Error" not in told.stderr, f"{path.name}: {told.stderr}"


def test_an_empty_labelmap_is_a_segmentation_without_a_voxel(
    an_oblique_study: Study, tmp_path: Path
) -> None:
    empty = Findings(a_report(), np.zeros(SHAPE, np.uint8), an_oblique_study.case.affine)
    made = objects_of(empty, an_oblique_study.source or DicomSource({}), an_oblique_study.series)
    (path, *_) = write_objects(tmp_path, made)
    assert not read_label(path).values.any()
    assert set(made) == {"segmentation.dcm", "report.dcm"}


def test_a_corrected_label_says_that_a_person_took_part(an_oblique_study: Study) -> None:
    labels = np.where(a_labelmap() > 0, Label.CORE, 0).astype(np.uint8)
    corrected = Findings(a_report(), labels, an_oblique_study.case.affine, is_corrected=True)
    made = objects_of(
        corrected, an_oblique_study.source or DicomSource({}), an_oblique_study.series
    )["segmentation.dcm"]
    (segment,) = made.SegmentSequence
    assert segment.SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert segment.SegmentLabel == "tumour core"


def test_a_case_without_dicom_is_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match="the case has no DICOM source for its t1c") as told:
        reference_series(None, Sequence.T1C)
    assert "tumorlens import" in told.value.remedy


def test_an_odd_patient_is_kept_as_it_is_and_told_to_nobody(
    an_oblique_study: Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    odd = {
        "PatientName": "Onlyname",
        "PatientSex": "weiblich",
        "PatientBirthDate": "1.2.1970",
        "StudyTime": "noon",
        "StudyInstanceUID": STUDY,
    }
    source = DicomSource(odd, (an_oblique_study.source or DicomSource({})).series)
    made = objects_of(an_oblique_study.findings, source, an_oblique_study.series)
    for path in write_objects(tmp_path, made):
        read = dcmread(path)
        assert {key: str(read[key].value) for key in odd} == odd
    assert "Onlyname" not in caplog.text
