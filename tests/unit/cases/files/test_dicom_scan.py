"""Studies as archives export them: doubled, scattered, dynamic, linked, without preamble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from brain_tumor.cases.files.dicom_scan import find_series, scan_dicom
from brain_tumor.cases.files.dicom_series import read_series
from brain_tumor.cases.loading import load_case
from brain_tumor.cases.sequences import Agent, Sequence
from brain_tumor.cases.source_trees import find_cases
from brain_tumor.errors import GeometryError, SequenceError
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import JPEG2000Lossless, generate_uid

from tests.helpers.dicom import write_dicom_series, write_enhanced_dicom
from tests.helpers.volumes import SHAPE, grid, write_nifti

VALUES = np.arange(1, 1 + np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
THICK = grid((1.0, 1.0, 3.0))


def change(paths: list[Path], **attributes: Any) -> list[Path]:
    """Set attributes of files; a callable is given the file's place in the list."""
    for index, path in enumerate(paths):
        header = pydicom.dcmread(path)
        for keyword, value in attributes.items():
            setattr(header, keyword, value(index) if callable(value) else value)
        header.save_as(path)
    return paths


def code(meaning: str, value: str = "C-1") -> Items:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99TEST", meaning
    return Items([item])


@pytest.mark.parametrize(
    ("attributes", "agent"),
    [
        ({"ContrastBolusAgent": "NONE"}, Agent.NOT_GIVEN),
        ({"ContrastBolusAgent": "No"}, Agent.NOT_GIVEN),
        ({"ContrastBolusAgent": "N/A"}, Agent.NOT_GIVEN),
        ({"ContrastBolusAgent": "0"}, Agent.NOT_GIVEN),
        ({"ContrastBolusAgent": "Dotarem"}, Agent.GIVEN),
        ({"ContrastBolusAgentSequence": code("Gadobutrol")}, Agent.GIVEN),
        ({"ContrastBolusAgentSequence": code("No contrast agent")}, Agent.NOT_GIVEN),
        ({"ContrastBolusAgentSequence": code("")}, Agent.GIVEN),
        ({"ContrastBolusVolume": 15}, Agent.GIVEN),
        ({"ContrastBolusVolume": 0}, Agent.UNTOLD),
        ({"ContrastBolusRoute": "IV"}, Agent.GIVEN),
        ({"ContrastBolusRoute": "NONE"}, Agent.NOT_GIVEN),
        ({"ContrastBolusStartTime": "101500"}, Agent.GIVEN),
        ({"ContrastBolusIngredient": "GADOLINIUM"}, Agent.GIVEN),
        (
            {
                "ContrastBolusAgent": "Gd",
                "ContrastBolusStartTime": "1015",
                "AcquisitionTime": "1009",
            },
            Agent.NOT_GIVEN,
        ),
        ({}, Agent.UNTOLD),
    ],
)
def test_every_attribute_of_the_agent_counts(
    tmp_path: Path, attributes: dict[str, Any], agent: Agent
) -> None:
    write_dicom_series(tmp_path, VALUES, THICK, description="t1_mprage_sag", **attributes)
    (series,) = find_series(tmp_path)
    assert series.agent is agent
    assert series.sequence is (Sequence.T1C if agent is Agent.GIVEN else Sequence.T1)


def test_a_name_that_speaks_of_contrast_is_believed_before_the_header(tmp_path: Path) -> None:
    write_dicom_series(
        tmp_path / "a", VALUES, THICK, description="T1 vor KM", ContrastBolusAgent="Gadovist"
    )
    write_dicom_series(
        tmp_path / "b", VALUES, THICK, description="T1 nach KM", number=2, ContrastBolusAgent="NONE"
    )
    assert [s.sequence for s in find_series(tmp_path)] == [Sequence.T1, Sequence.T1C]


@pytest.mark.parametrize("renamed", [False, True])
def test_a_series_exported_twice_counts_once(tmp_path: Path, renamed: bool) -> None:
    paths = write_dicom_series(tmp_path / "a", VALUES, THICK)
    (tmp_path / "b").mkdir()
    for path in paths:
        header = pydicom.dcmread(path)
        if renamed:  # some archives give copies new instance UIDs
            header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        header.save_as(tmp_path / "b" / path.name)
    loaded = load_case(tmp_path)
    np.testing.assert_array_equal(loaded.case.volumes[Sequence.T1C].array, VALUES)
    assert loaded.notes == (
        "the same images twice, each counts once: "
        + ", ".join(f"b/{path.name}" for path in sorted(paths)),
    )


def test_one_uid_for_all_slices_loses_none(tmp_path: Path) -> None:
    change(write_dicom_series(tmp_path, VALUES, THICK), SOPInstanceUID="1.2.3")
    np.testing.assert_array_equal(read_series(find_series(tmp_path)[0]).array, VALUES)


@pytest.mark.parametrize("split", ["every slice", "odd and even", "lower and upper"])
def test_a_series_in_pieces_is_joined(tmp_path: Path, split: str) -> None:
    paths = write_dicom_series(tmp_path, VALUES, THICK)
    uids = [generate_uid() for _ in paths]
    pick = {
        "every slice": lambda k: uids[k],
        "odd and even": lambda k: uids[k % 2],
        "lower and upper": lambda k: uids[k >= 3],
    }[split]
    change(paths, SeriesInstanceUID=pick)
    (series,) = find_series(tmp_path)
    np.testing.assert_array_equal(read_series(series).array, VALUES)


def test_alternating_echo_times_in_one_stack_are_one_volume(tmp_path: Path) -> None:
    change(write_dicom_series(tmp_path, VALUES, THICK), EchoTime=lambda k: 2.5 + 0.1 * (k % 2))
    (series,) = find_series(tmp_path)
    np.testing.assert_array_equal(read_series(series).array, VALUES)


def test_pieces_that_lack_a_slice_are_refused(tmp_path: Path) -> None:
    paths = write_dicom_series(tmp_path, VALUES, THICK)
    change(paths, SeriesInstanceUID=lambda k: generate_uid())
    paths[3].unlink()
    with pytest.raises(GeometryError, match="split over 6 series that make no regular stack"):
        load_case(tmp_path)


def test_two_slabs_with_a_gap_are_refused(tmp_path: Path) -> None:
    paths = write_dicom_series(tmp_path, VALUES, THICK)
    uids = [generate_uid(), generate_uid()]
    change(paths, SeriesInstanceUID=lambda k: uids[k > 3])
    paths[3].unlink()
    with pytest.raises(GeometryError, match="2 series with a gap between them"):
        load_case(tmp_path)


def test_two_whole_stacks_half_a_slice_apart_stay_two(tmp_path: Path) -> None:
    shifted = THICK.copy()
    shifted[2, 3] += 1.5
    write_dicom_series(tmp_path / "a", VALUES, THICK, number=1)
    write_dicom_series(tmp_path / "b", VALUES + 1, shifted, number=2)
    assert [len(s.slices) for s in find_series(tmp_path)] == [7, 7]


def write_dynamic(folder: Path, description: str, times: int = 3) -> None:
    uid = generate_uid()
    for time in range(times):
        paths = write_dicom_series(
            folder / f"t{time}", VALUES + 50 * time, THICK, description=description, number=6
        )
        change(paths, SeriesInstanceUID=uid)


def test_a_dynamic_series_is_left_out_with_a_note(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "7", VALUES, THICK, description="COR T1 POST GD", number=7)
    write_dicom_series(tmp_path / "4", VALUES + 9, THICK, description="COR T1", number=4)
    write_dynamic(tmp_path / "6", "t1_vibe_tra")
    loaded = load_case(tmp_path)
    np.testing.assert_array_equal(loaded.case.volumes[Sequence.T1].array, VALUES + 9)
    assert loaded.notes == (
        "not used: series 6 (t1_vibe_tra): series 6 (t1_vibe_tra) holds several images at one "
        "place; expected one volume",
    )


def test_a_dynamic_series_alone_of_its_sequence_is_a_warning(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "7", VALUES, THICK, description="COR T1 POST GD", number=7)
    write_dynamic(tmp_path / "6", "t1_vibe_tra")
    loaded = load_case(tmp_path)
    assert loaded.case.present == (Sequence.T1C,)
    assert loaded.warnings == ("t1: only a dynamic series of it is there, which is not used",)


def test_a_dynamic_series_alone_is_refused(tmp_path: Path) -> None:
    write_dynamic(tmp_path / "6", "T1 POST")
    with pytest.raises(GeometryError, match="several images at one place"):
        load_case(tmp_path)


def test_an_incomplete_series_gives_way_to_a_whole_one(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "7", VALUES, THICK, description="T1 POST GD", number=7)
    fine = grid((0.5, 0.5, 1.0))
    write_dicom_series(tmp_path / "8", VALUES, fine, description="mprage post", number=8)[
        3
    ].unlink()
    loaded = load_case(tmp_path)
    assert loaded.case.spacing_mm == (1.0, 1.0, 3.0)
    assert loaded.notes[0].startswith("not used: series 8 (mprage post): ")
    assert "slices are missing" in loaded.notes[0]


def test_a_series_whose_pixels_are_cut_short_gives_way_to_another(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "7", VALUES, THICK, description="T1 POST GD", number=7)
    fine = grid((0.5, 0.5, 1.0))
    bad = write_dicom_series(tmp_path / "8", VALUES, fine, description="mprage post", number=8)[2]
    bad.write_bytes(bad.read_bytes()[:-100])
    loaded = load_case(tmp_path)
    assert loaded.case.spacing_mm == (1.0, 1.0, 3.0)
    assert "series 8 (mprage post) lacks 1 images that cannot be read" in loaded.notes[0]


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_damaged_slice_at_any_place_makes_a_series_incomplete(tmp_path: Path, place: int) -> None:
    bad = write_dicom_series(tmp_path, VALUES, THICK)[place]
    bad.write_bytes(bad.read_bytes()[:-100])
    with pytest.raises(GeometryError, match="lacks 1 images that cannot be read"):
        load_case(tmp_path)


def test_a_series_that_cannot_be_decoded_gives_way_to_another(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "7", VALUES, THICK, description="T1 POST GD", number=7)
    fine = grid((0.5, 0.5, 1.0))
    paths = write_dicom_series(tmp_path / "8", VALUES, fine, description="mprage post", number=8)
    for path in paths:  # says JPEG 2000 and holds plain numbers
        header = pydicom.dcmread(path)
        header.file_meta.TransferSyntaxUID = JPEG2000Lossless
        header.PixelData = encapsulate([header.PixelData])
        header["PixelData"].is_undefined_length = True
        header.save_as(path)
    loaded = load_case(tmp_path)
    assert loaded.case.spacing_mm == (1.0, 1.0, 3.0)
    assert loaded.warnings == ("t1c: a series of it cannot be read; another one is used",)


def test_two_echoes_at_one_place_are_two_series_and_t2_is_the_later(tmp_path: Path) -> None:
    uid = generate_uid()
    for echo, shift in ((20, 0), (90, 500)):
        paths = write_dicom_series(
            tmp_path / str(echo), VALUES + shift, THICK, description="T2 TSE", EchoTime=echo
        )
        change(paths, SeriesInstanceUID=uid)
    loaded = load_case(tmp_path)
    np.testing.assert_array_equal(loaded.case.volumes[Sequence.T2].array, VALUES + 500)


def test_magnitude_and_phase_in_one_series_are_told_apart(tmp_path: Path) -> None:
    uid = generate_uid()
    for kind, shift in (("M", 0), ("P", 500)):
        paths = write_dicom_series(
            tmp_path / kind,
            VALUES + shift,
            THICK,
            description="T1 POST",
            ImageType=["ORIGINAL", "PRIMARY", kind],
        )
        change(paths, SeriesInstanceUID=uid)
    loaded = load_case(tmp_path)
    np.testing.assert_array_equal(loaded.case.volumes[Sequence.T1C].array, VALUES)


def test_one_patient_date_and_frame_of_reference_is_one_study(tmp_path: Path) -> None:
    same = {"StudyDate": "20250102", "FrameOfReferenceUID": "1.2.3"}
    for n, name in enumerate(("T1", "T1 GD", "T2")):
        write_dicom_series(
            tmp_path / str(n), VALUES + n, THICK, description=name, study_uid=f"1.2.9.{n}", **same
        )
    assert load_case(tmp_path).case.present == (Sequence.T1, Sequence.T1C, Sequence.T2)
    assert len(find_cases(tmp_path)) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"PatientID": "other"},
        {"StudyDate": "20250103"},
        {"FrameOfReferenceUID": "1.2.4"},
        {"StudyDate": ""},
    ],
)
def test_what_differs_in_patient_date_or_frame_is_two_studies(
    tmp_path: Path, other: dict[str, str]
) -> None:
    same = {"StudyDate": "20250102", "FrameOfReferenceUID": "1.2.3"}
    write_dicom_series(tmp_path / "a", VALUES, THICK, study_uid="1.2.9.1", **same)
    write_dicom_series(tmp_path / "b", VALUES, THICK, study_uid="1.2.9.2", **same | other)
    assert len({series.study for series in find_series(tmp_path)}) == 2


def test_two_patients_under_one_study_uid_are_two_cases(tmp_path: Path) -> None:
    for name in ("A1", "B2"):
        write_dicom_series(tmp_path / name, VALUES, THICK, PatientID=name, PatientName="")
    with pytest.raises(SequenceError, match="several studies"):
        load_case(tmp_path)
    assert len(find_cases(tmp_path)) == 2


@pytest.mark.parametrize("is_implicit", [True, False])
def test_files_without_preamble_are_read(tmp_path: Path, is_implicit: bool) -> None:
    paths = write_dicom_series(tmp_path, VALUES, THICK)
    for path in paths:
        header = pydicom.dcmread(path)
        stream = DicomBytesIO()
        stream.is_little_endian, stream.is_implicit_VR = True, is_implicit
        write_dataset(stream, header)
        path.write_bytes(stream.getvalue())
    np.testing.assert_array_equal(read_series(find_series(tmp_path)[0]).array, VALUES)


def test_linked_folders_are_entered_and_rings_end(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "store" / "a", VALUES, THICK)
    case = tmp_path / "in" / "case"
    case.mkdir(parents=True)
    (case / "link").symlink_to(tmp_path / "store" / "a")
    (case / "ring").symlink_to(case)
    (case / "again").symlink_to(tmp_path / "store" / "a")
    loaded = load_case(case)
    np.testing.assert_array_equal(loaded.case.volumes[Sequence.T1C].array, VALUES)
    assert loaded.notes == ()
    (case / "gone.dcm").symlink_to(tmp_path / "nowhere")
    assert load_case(case).notes == ("not used, links that lead nowhere: gone.dcm",)
    write_nifti(tmp_path / "nii" / "t1c.nii.gz", VALUES)
    (tmp_path / "in2").mkdir()
    (tmp_path / "in2" / "anat").symlink_to(tmp_path / "nii")
    assert load_case(tmp_path / "in2").case.present == (Sequence.T1C,)


@pytest.mark.parametrize("order", [list(range(7)), [3, 1, 6, 0, 5, 2, 4]])
def test_every_frame_of_an_enhanced_file_has_its_own_slope(
    tmp_path: Path, order: list[int]
) -> None:
    path = write_enhanced_dicom(tmp_path / "e.dcm", VALUES, THICK, order)
    header = pydicom.dcmread(path)
    for n, frame in enumerate(header.PerFrameFunctionalGroupsSequence):
        item = Dataset()
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = 0.5 * (n + 1), -3, "US"
        frame.PixelValueTransformationSequence = Items([item])
    header.save_as(path)
    expected = np.empty(SHAPE)
    for n, k in enumerate(order):
        expected[:, :, k] = VALUES[:, :, k] * 0.5 * (n + 1) - 3
    np.testing.assert_allclose(read_series(find_series(path)[0]).array, expected, rtol=1e-6)


def test_what_is_passed_over_is_named_with_its_reason(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "t1", VALUES, THICK, description="T1 POST")
    write_dicom_series(tmp_path / "ct", VALUES, THICK, Modality="CT")
    header = pydicom.dcmread(next((tmp_path / "ct").iterdir()))
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(header, keyword)
    header.Modality = "SR"
    header.save_as(tmp_path / "report.dcm")
    (tmp_path / "torn.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    (tmp_path / "old.mgz").write_bytes(b"\x1f\x8b")
    reasons = {p.path.name: p.reason for p in scan_dicom(tmp_path).passed_over}
    assert reasons["report.dcm"] == "SR without an image"
    assert set(reasons.values()) >= {"modality CT, not MR", "SR without an image"}
    text = " ".join(load_case(tmp_path).notes)
    for name in ("ct/", "report.dcm", "torn.dcm", "old.mgz"):
        assert name in text
