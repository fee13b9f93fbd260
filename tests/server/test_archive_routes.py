"""A server with an archive: its brain studies are cases, and opening one fetches it."""

from pathlib import Path

import numpy as np
import pytest
from brain_tumor.dicom.web import ArchiveAddress, case_id_of_study
from brain_tumor.errors import InputError
from brain_tumor.server.archive import ArchiveCases, archive_of_environment
from brain_tumor.server.settings import URL_ENV, split_studies

from tests.helpers.dicom import write_dicom_series
from tests.helpers.dicomweb import fake_archive
from tests.helpers.server import AFFINE, a_phantom
from tests.server.conftest import InProcessApp, client_of, everything_below, refusal

STUDY = "1.2.826.0.1.41"
CASE = case_id_of_study(STUDY)


@pytest.fixture
def archive(tmp_path):
    write_dicom_series(
        tmp_path / "images", a_phantom(), AFFINE, study_uid=STUDY, StudyDate="20261130"
    )
    with fake_archive() as one:
        one.add(tmp_path / "images")
        yield one


@pytest.fixture
def app(studies, segmenter, archive, monkeypatch):
    monkeypatch.setenv(URL_ENV, archive.url)
    return InProcessApp(studies, segmenter)


def fetched_series(archive):
    return [path for path in archive.requests if path.count("/") > 4]


def test_studies_are_listed_without_being_fetched(client, archive, studies):
    (one,) = client.get("/archive/").json()["studies"]
    assert one == {"image": CASE, "date": "20261130", "series": 1, "images": 12, "fetched": False}
    objects = client.get("/datastore/?output=all").json()["objects"]
    assert {"FULL", "LONE", "SPARE", CASE} == set(objects)
    assert client.get("/datastore/").json()["total"] == 3
    assert fetched_series(archive) == []
    assert not list(studies.glob("study-*"))


def test_opening_a_case_fetches_it_once(client, archive, studies):
    for _ in range(2):
        reply = client.post(f"/infer/segmentation?image={CASE}&output=json")
        assert reply.status_code == 200, reply.text
    assert reply.json()["case"] == CASE
    assert len(fetched_series(archive)) == 1
    assert client.get("/archive/").json()["studies"][0]["fetched"] is True
    assert client.get(f"/datastore/image?image={CASE}").status_code == 200


def test_a_study_can_be_fetched_beforehand(client, archive, studies):
    reply = client.post(f"/archive/fetch?image={CASE}").json()
    assert (reply["case"], reply["status"], reply["sequences"]) == (CASE, "imported", ["t1c"])
    assert (studies / f"{CASE}.nii.gz").is_file()
    assert "no brain study" in refusal(client.post("/archive/fetch?image=study-000000000000"), 404)


def test_an_archive_that_is_away_spoils_only_what_needs_it(client, archive, studies):
    archive.refuses = "Bearer x"
    before = everything_below(studies)
    assert "refuses access" in refusal(client.get("/archive/"), 502, "archive")
    assert "refuses access" in refusal(
        client.post(f"/infer/segmentation?image={CASE}&output=json"), 502, "archive"
    )
    assert set(client.get("/datastore/?output=all").json()["objects"]) == {"FULL", "LONE", "SPARE"}
    assert client.post("/infer/segmentation?image=FULL&output=json").status_code == 200
    assert refusal(client.post("/infer/segmentation?image=NOPE"), 404, "not_found")
    assert {p for p in everything_below(studies) if "study-" in str(p)} == set()
    assert before.keys() <= everything_below(studies).keys()


def test_half_a_study_is_no_case(client, archive, studies):
    archive.loses = 3
    message = refusal(client.post(f"/infer/segmentation?image={CASE}"), 502, "archive")
    assert "sent 9 of 12 images" in message
    assert not list(studies.rglob("*study-*"))


def test_the_listing_is_asked_for_at_most_every_30_seconds(archive, tmp_path):
    now = [100.0]
    cases = ArchiveCases(ArchiveAddress(archive.url), tmp_path, lambda: now[0])
    cases.listed()
    now[0] = 129.0
    cases.listed()
    assert len(archive.requests) == 1
    now[0] = 131.0
    cases.listed()
    assert len(archive.requests) == 2


def test_the_form_of_monai_label_is_taken(segmenter, archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    client = client_of(InProcessApp(archive.url, segmenter))
    assert [one["image"] for one in client.get("/archive/").json()["studies"]] == [CASE]
    assert (tmp_path / "studies" / "datastore_v2.json").is_file()


@pytest.mark.parametrize(
    ("given", "url", "folder"),
    [
        ("http:/pacs:8042/dicom-web", "http://pacs:8042/dicom-web", "studies"),
        ("HTTPS://pacs/web", "https://pacs/web", "studies"),
        ("/data/studies", "", "/data/studies"),
        ("dicomweb://x", "", "dicomweb://x"),
    ],
)
def test_addresses_are_told_from_folders(given, url, folder):
    assert split_studies(given) == (url, Path(folder))


def test_a_server_without_an_archive_says_so(studies, segmenter, monkeypatch):
    monkeypatch.delenv(URL_ENV, raising=False)
    client = client_of(InProcessApp(studies, segmenter))
    assert "no archive" in refusal(client.get("/archive/"), 404, "not_found")
    assert archive_of_environment({}) is None


def test_an_address_with_a_login_is_refused():
    with pytest.raises(InputError, match="holds a login"):
        archive_of_environment({URL_ENV: "http://a:b@pacs/web"})


def test_what_is_fetched_is_what_was_sent(client, studies):
    from brain_tumor.cases.loading import resolve_case

    client.post(f"/archive/fetch?image={CASE}")
    case = resolve_case(studies, CASE).case
    assert np.array_equal(case.volumes[case.reference].array, a_phantom())
