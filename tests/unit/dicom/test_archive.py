"""Studies from and to an archive: whole or not at all, and one sentence for whatever is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from brain_tumor.cases.dicom_source import read_source
from brain_tumor.cases.loading import resolve_case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cli import main
from brain_tumor.dicom.fetching import import_from_archive
from brain_tumor.dicom.objects import Findings, objects_of, reference_series
from brain_tumor.dicom.pseudonyms import PseudonymTable
from brain_tumor.dicom.web import (
    LOGIN_ENV,
    TOKEN_ENV,
    ArchiveAddress,
    archive_address,
    case_id_of_study,
    list_brain_studies,
    store_objects,
)
from brain_tumor.errors import ArchiveError, InputError, NotFoundError

from tests.helpers.dicom import write_dicom_series
from tests.helpers.dicom_results import a_report
from tests.helpers.dicomweb import FakeArchive, fake_archive, self_signed_certificate
from tests.helpers.volumes import GRIDS, SHAPE

VALUES = np.arange(1, 1 + np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
STUDY = "1.2.826.0.1.7"
CASE = case_id_of_study(STUDY)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a study with t1c and flair, a diffusion map, and a study of the knee."""
    folder = tmp_path_factory.mktemp("images")
    for number, name in enumerate(("AX T1 POST", "AX FLAIR", "ADC MAP"), start=1):
        write_dicom_series(
            folder / str(number),
            VALUES + 10 * number,
            GRIDS["oblique"],
            description=name,
            number=number,
            study_uid=STUDY,
            StudyDate="20261130",
            FrameOfReferenceUID="1.2.3.4",
            BodyPartExamined="BRAIN",
        )
    write_dicom_series(
        folder / "knee", VALUES, GRIDS["identity"], study_uid="1.2.5", BodyPartExamined="KNEE"
    )
    return folder


@pytest.fixture
def archive(images: Path) -> Iterator[FakeArchive]:
    with fake_archive() as one:
        one.add(images)
        yield one


def fetch(archive: FakeArchive, folder: Path, **more: object) -> list[str]:
    address = ArchiveAddress(archive.url, **more)  # type: ignore[arg-type]
    return [r.case_id for r in import_from_archive(address, STUDY, folder / "s")]


def stored(folder: Path) -> list[str]:
    return [p.name for p in (folder / "s").rglob("*") if p.is_file()]


def test_a_fetched_study_is_a_case_with_its_identity(archive: FakeArchive, tmp_path: Path) -> None:
    assert fetch(archive, tmp_path) == [CASE]
    case = resolve_case(tmp_path / "s", CASE).case
    assert case.present == (Sequence.T1C, Sequence.FLAIR)
    assert np.array_equal(case.volumes[Sequence.T1C].array, VALUES + 10)
    source = read_source(tmp_path / "s", CASE)
    assert source is not None
    assert source.study == STUDY
    assert not list((tmp_path / "s" / ".tumorlens").iterdir())  # nothing is left of the fetching


def test_what_names_another_image_stays_in_the_archive(
    archive: FakeArchive, tmp_path: Path
) -> None:
    (report,) = import_from_archive(ArchiveAddress(archive.url), STUDY, tmp_path / "s")
    assert "not fetched: ADC MAP" in report.notes
    fetched = [path for path in archive.requests if path.count("/") > 4]
    assert len(fetched) == 2


def test_brain_studies_are_listed(archive: FakeArchive) -> None:
    (one,) = list_brain_studies(ArchiveAddress(archive.url))
    assert (one.uid, one.date, one.series, one.images) == (STUDY, "20261130", 3, 3 * SHAPE[2])
    assert one.case_id == CASE


def test_results_go_back_into_their_study(archive: FakeArchive, tmp_path: Path) -> None:
    fetch(archive, tmp_path)
    source, case = read_source(tmp_path / "s", CASE), resolve_case(tmp_path / "s", CASE).case
    assert source is not None
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:6, 3:6, 2:5] = 3
    made = objects_of(
        Findings(a_report(), labels, case.affine),
        source,
        reference_series(source, Sequence.T1C),
    )
    store_objects(ArchiveAddress(archive.url), list(made.values()))
    kept = [i for i in archive.instances.values() if i.Modality in ("SEG", "SR")]
    assert {str(i.StudyInstanceUID) for i in kept} == {STUDY}
    assert len(kept) == 2


def test_an_archive_that_refuses_an_object_is_told(archive: FakeArchive) -> None:
    archive.refuses_objects = True
    one = next(iter(archive.instances.values()))
    with pytest.raises(ArchiveError, match="refused 1 of 1 objects"):
        store_objects(ArchiveAddress(archive.url), [one])


@pytest.mark.parametrize(
    ("header", "more"),
    [
        ("Bearer abc", {"token": "abc"}),
        ("Basic dXNlcjpwYXNz", {"login": ("user", "pass")}),  # base64 of user:pass
    ],
)
def test_a_login_opens_the_archive(
    archive: FakeArchive, tmp_path: Path, header: str, more: dict[str, object]
) -> None:
    archive.refuses = header
    assert fetch(archive, tmp_path, **more) == [CASE]


def test_an_archive_that_refuses_access_is_one_sentence(
    archive: FakeArchive, tmp_path: Path
) -> None:
    archive.refuses = "Bearer abc"
    with pytest.raises(ArchiveError, match=r"refuses access \(401\)") as told:
        fetch(archive, tmp_path)
    assert TOKEN_ENV in told.value.remedy
    assert stored(tmp_path) == []


def test_half_a_study_is_not_imported(archive: FakeArchive, tmp_path: Path) -> None:
    archive.loses = 2
    sentence = f"sent {SHAPE[2] - 2} of {SHAPE[2]} images of a series; nothing was imported"
    with pytest.raises(ArchiveError, match=sentence):
        fetch(archive, tmp_path)
    assert stored(tmp_path) == []


def test_a_silent_archive_is_given_up(archive: FakeArchive, tmp_path: Path) -> None:
    archive.silent = True
    with pytest.raises(ArchiveError, match=r"was silent for 0\.2 s"):
        fetch(archive, tmp_path, silence_s=0.2)
    assert stored(tmp_path) == []


def test_an_archive_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    with fake_archive() as gone:
        pass
    with pytest.raises(ArchiveError, match="does not answer"):
        fetch(gone, tmp_path)
    assert stored(tmp_path) == []


@pytest.mark.parametrize("says", ["<html></html>", '{"a": 1}', '["x"]'])
def test_what_is_no_dicomweb_is_told(archive: FakeArchive, tmp_path: Path, says: str) -> None:
    archive.says = says
    with pytest.raises(ArchiveError, match="answers, but not as DICOMweb"):
        fetch(archive, tmp_path)


def test_a_busy_archive_is_asked_again_where_that_was_wished(
    archive: FakeArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brain_tumor.dicom.web._PAUSE_S", 0.0)
    archive.failures = 1
    with pytest.raises(ArchiveError, match=r"refuses the request \(503\)"):
        fetch(archive, tmp_path)
    archive.failures = 2
    assert fetch(archive, tmp_path, attempts=3) == [CASE]


def test_a_certificate_must_be_trusted(images: Path, tmp_path: Path) -> None:
    certificate = self_signed_certificate(tmp_path)
    with fake_archive(certificate) as archive:
        archive.add(images)
        with pytest.raises(ArchiveError, match=r"certificate of archive .* cannot be verified"):
            fetch(archive, tmp_path)
        assert stored(tmp_path) == []
        assert fetch(archive, tmp_path, certificates=tmp_path / "certificate.pem") == [CASE]


def test_a_study_that_is_not_there_is_told(archive: FakeArchive, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="has no study with this UID"):
        import_from_archive(ArchiveAddress(archive.url), "1.2.99", tmp_path / "s")


@pytest.mark.parametrize("uid", ["", "1..2", "../etc", "1.2/3", "1" * 65, "x"])
def test_a_study_must_be_a_uid(archive: FakeArchive, tmp_path: Path, uid: str) -> None:
    with pytest.raises(InputError, match="expected a DICOM UID"):
        import_from_archive(ArchiveAddress(archive.url), uid, tmp_path / "s")
    assert archive.requests == []


def test_a_fetched_study_can_be_kept_under_a_pseudonym(
    archive: FakeArchive, tmp_path: Path
) -> None:
    table = PseudonymTable(tmp_path / "table.json")
    address = ArchiveAddress(archive.url)
    (report,) = import_from_archive(address, STUDY, tmp_path / "s", disguise=table.disguise)
    assert report.case_id.startswith("TL-")
    assert report.notes == ()
    assert CASE not in " ".join(stored(tmp_path))


def test_the_login_comes_from_the_environment() -> None:
    environ = {TOKEN_ENV: "t", LOGIN_ENV: "u:p:q"}
    address = archive_address("https://pacs.example/web/", environ)
    assert (address.url, address.token, address.login) == (
        "https://pacs.example/web",
        "t",
        ("u", "p:q"),
    )
    assert address.host == "pacs.example"


@pytest.mark.parametrize(
    "url", ["", "pacs.example", "ftp://pacs.example", "https://u:p@pacs.example", "https://"]
)
def test_an_address_is_checked_and_holds_no_login(url: str) -> None:
    with pytest.raises(InputError):
        archive_address(url, {})


def test_the_command_fetches_and_says_what_is_missing(
    archive: FakeArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studies = ["--studies", str(tmp_path / "s")]
    assert main(["import", "--dicomweb", archive.url, "--study", STUDY, *studies]) == 0
    told = capsys.readouterr()
    assert f"{CASE}: imported (t1c, flair)" in told.out
    assert main(["import", "--dicomweb", archive.url, *studies]) == 2
    assert "need --dicomweb URL and --study UID" in capsys.readouterr().err


def test_a_series_with_a_path_for_a_uid_is_passed_over(archive: FakeArchive) -> None:
    odd = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}, "0020000E": {"Value": ["../../etc"]}}
    archive.says = json.dumps([odd])
    assert list_brain_studies(ArchiveAddress(archive.url)) == []
