"""DICOM over HTTP: results of a case from DICOM, and segmentations sent back as labels."""

import io
import json

import numpy as np
import pytest
from brain_tumor.cases.files.readers import read_label
from brain_tumor.cases.studies import import_cases
from pydicom import dcmread

from tests.helpers.dicom import write_dicom_series
from tests.helpers.server import AFFINE, MODEL, a_phantom, expected_labels
from tests.server.conftest import everything_below, refusal

STUDY, FRAME = "1.2.826.0.1.31", "1.2.3.4"


@pytest.fixture
def studies(studies, tmp_path):
    """The studies folder with one more case, SCAN, that came from DICOM."""
    for number, (name, share) in enumerate(
        {"AX T1 POST": 1, "AX T1": 2, "AX T2": 2, "FLAIR": 2}.items()
    ):
        write_dicom_series(
            tmp_path / "SCAN" / str(number),
            a_phantom() / share,
            AFFINE,
            description=name,
            number=number + 1,
            study_uid=STUDY,
            FrameOfReferenceUID=FRAME,
        )
    (report,) = import_cases(tmp_path / "SCAN", studies)
    assert report.case_id == "SCAN", report.message
    return studies


def infer(client, image="SCAN", output="all", task="segmentation", **params):
    data = {"params": json.dumps(params)}
    return client.post(f"/infer/{task}?image={image}&output={output}", data=data)


def submit(client, content, image="SCAN", name="label.dcm"):
    return client.put(f"/datastore/label?image={image}", files={"label": (name, content)})


def labels_in(content, tmp_path):
    path = tmp_path / "read.dcm"
    path.write_bytes(content)
    return read_label(path).values


def test_dicom_seg_is_one_file_on_the_source_series(client, tmp_path):
    reply = infer(client, output="dicom_seg")
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/dicom"
    made = dcmread(io.BytesIO(reply.content))
    assert (made.Modality, made.StudyInstanceUID, made.FrameOfReferenceUID) == ("SEG", STUDY, FRAME)
    segment = made.SegmentSequence[0]
    made_by = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert (made_by.AlgorithmName, made_by.AlgorithmVersion) == (MODEL.name, MODEL.version)
    assert np.array_equal(labels_in(reply.content, tmp_path), expected_labels()[:, :, 3:9])


def test_the_extension_dcm_makes_every_file_of_a_reply_dicom(client):
    reply = infer(client, result_extension=".dcm", uncertainty=True)
    assert reply.status_code == 200, reply.text
    assert reply.content.count(b"Content-Type: application/dicom") == len(
        json.loads(reply.content.split(b"\r\n\r\n")[1].split(b"\r\n--")[0])["files"]
    )


def test_what_dicom_was_proposed_is_kept_as_a_volume(client, studies, tmp_path):
    content = infer(client, output="dicom_seg", save_label=True).content
    held = studies / "labels" / "original" / "SCAN.nii.gz"
    assert np.array_equal(read_label(held).values, expected_labels())
    assert submit(client, content).status_code == 200
    assert not list(studies.rglob("*.dcm"))


def test_a_segmentation_of_the_source_series_is_a_label(client, studies):
    content = infer(client, output="dicom_seg").content
    reply = submit(client, content)
    assert reply.status_code == 200, reply.text
    assert reply.json()["version"] == 1
    held = read_label(studies / "labels" / "final" / "SCAN.nii.gz")
    assert np.array_equal(held.values, expected_labels())


def test_a_segmentation_of_another_examination_is_refused(client, studies):
    made = dcmread(io.BytesIO(infer(client, output="dicom_seg").content))
    made.FrameOfReferenceUID = "1.2.3.5"
    stream = io.BytesIO()
    made.save_as(stream, write_like_original=False)
    before = everything_below(studies / "labels")
    assert "another examination" in refusal(submit(client, stream.getvalue()), 400, "bad_geometry")
    assert everything_below(studies / "labels") == before


def test_an_image_is_no_label(client, tmp_path):
    image = next((tmp_path / "SCAN" / "0").iterdir()).read_bytes()
    assert "no segmentation" in refusal(submit(client, image), 400, "unreadable_file")


@pytest.mark.parametrize("task", ["segmentation", "analysis"])
def test_a_case_without_dicom_is_refused_before_the_work(client, segmenter, task):
    reply = infer(client, image="FULL", output="dicom_seg", task=task)
    assert "the case has no DICOM source for its t1c" in refusal(reply)
    assert segmenter.calls == 0


def test_no_reply_about_a_case_names_its_patient(client):
    for path in ("/datastore/?output=all", "/datastore/image/info?image=SCAN", "/cases", "/info/"):
        assert "Doe" not in client.get(path).text
