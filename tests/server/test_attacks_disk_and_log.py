"""A disk that is full, pictures that call other programs, and what the log may hold."""

import errno
import io
import json
import logging
import zlib
from pathlib import Path

import pytest
from brain_tumor.cases.files import durable
from brain_tumor.cases.files.readers import MAX_PIXELS, read_slice
from brain_tumor.errors import FileFormatError, StorageError, VolumeError
from brain_tumor.learning.registry.registry import VersionRecord
from brain_tumor.learning.retraining.job_folder import TrainingRequest
from brain_tumor.server.learning.jobs import TrainingJobs
from brain_tumor.server.logs import brief_exception, keep_log_private
from PIL import Image

from tests.helpers.attacks import nrrd_file
from tests.helpers.server import write_label
from tests.server.conftest import everything_below, refusal


@pytest.fixture
def label(tmp_path):
    return write_label(tmp_path / "label.nii.gz").read_bytes()


def requests_that_write(label):
    """Every kind of request that stores something."""
    volume = {"file": ("a_t1c.nrrd", nrrd_file())}
    saved = {"params": json.dumps({"save_label": True})}
    named = {"files": {"label": ("label.nii.gz", label)}}
    return {
        "image": ("put", "/datastore/image?image=NEW", {"files": volume}),
        "label": ("put", "/datastore/label?image=FULL", named),
        "image info": ("put", "/datastore/image/info?image=FULL", {"data": {"info": "{}"}}),
        "session": ("put", "/session/", {"files": {"files": ("a.nrrd", nrrd_file())}}),
        "upload": ("post", "/infer/segmentation", {"files": volume}),
        "save_label": ("post", "/infer/segmentation?image=FULL", {"data": saved}),
        "next case": ("post", "/activelearning/first", {"json": {}}),
    }


@pytest.mark.parametrize("where", ["write", "open", "fsync", "mkdir"])
def test_a_full_disk_is_507_wherever_it_is_noticed(client, studies, label, monkeypatch, where):
    before = everything_below(studies / "labels")

    def refuse(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    if where == "fsync":
        monkeypatch.setattr(durable.os, "fsync", refuse)
    elif where == "write":
        monkeypatch.setattr(durable, "write_synced", refuse)
        monkeypatch.setattr("brain_tumor.server.datastore.file_batch.write_new", refuse)
        monkeypatch.setattr("shutil.copyfileobj", refuse)
        monkeypatch.setattr("pathlib.Path.write_bytes", refuse)
    elif where == "mkdir":
        monkeypatch.setattr("pathlib.Path.mkdir", refuse)
        monkeypatch.setattr("tempfile.mkdtemp", refuse)
        monkeypatch.setattr(durable, "write_synced", refuse)
        monkeypatch.setattr("brain_tumor.server.datastore.file_batch.write_new", refuse)
    else:
        monkeypatch.setattr("tempfile.SpooledTemporaryFile.write", refuse)
    for name, (method, path, given) in requests_that_write(label).items():
        reply = client.request(method, path, **given)
        if reply.status_code == 200:  # needed no disk, or only to note something
            assert where in ("open", "fsync") or name == "next case", name
            continue
        assert "disk is full" in refusal(reply, 507, "storage"), name
    monkeypatch.undo()
    if where != "open":
        assert everything_below(studies / "labels") == before


def test_a_label_that_is_stored_is_not_called_unchanged(app, client, label, monkeypatch):
    def refuse(_version):
        raise StorageError("the ledger is full")

    monkeypatch.setattr(app.datastore(), "on_version", refuse)
    sent = {"label": ("label.nii.gz", label)}
    reply = client.put("/datastore/label?image=FULL", files=sent)
    said = refusal(reply, 507, "storage")
    assert "is stored (version 1), not yet in the ledger" in said
    assert "do not send the label again" in reply.json()["remedy"]
    assert client.get("/datastore/label?label=FULL&tag=final").content == label


def test_a_full_disk_keeps_nobody_from_reading_a_session(client, monkeypatch):
    sent = {"files": ("a_t1c.nrrd", nrrd_file())}
    session = client.put("/session/", files=sent).json()["session_id"]

    def refuse(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(durable, "write_new", refuse)
    reply = client.get(f"/session/{session}?update_ts=true")
    assert (reply.status_code, reply.json()["image"]) == (200, "a_t1c.nrrd")


def test_a_case_that_is_handed_out_is_told_although_the_disk_takes_no_note(client, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("brain_tumor.server.datastore.file_batch.write_new", refuse)
    reply = client.post("/activelearning/first", json={"client_id": "anna"})
    assert (reply.status_code, reply.json()["id"]) == (200, "FULL")


def test_a_label_that_is_stored_is_told_although_the_ledger_does_not_answer_any_more(
    app, client, label, monkeypatch
):
    def full(*_args):
        raise StorageError("the ledger failed: disk I/O error")

    monkeypatch.setattr(app.learning.ledger.cases, "state", full)
    sent = {"label": ("label.nii.gz", label)}
    reply = client.put("/datastore/label?image=FULL", files=sent)
    assert (reply.status_code, reply.json()["version"]) == (200, 1)


def test_a_training_that_the_disk_refused_is_not_started_later(tmp_path, monkeypatch):
    jobs = TrainingJobs(tmp_path / "training", lambda folder: pytest.fail("started"))

    def refuse(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(jobs, "_spawn", refuse)
    with pytest.raises(StorageError, match="disk is full"):
        jobs.start(TrainingRequest("", "segmentation", "s", "t", "m", ()))
    assert jobs.jobs() == []
    assert not jobs.recover()
    assert list((tmp_path / "training").iterdir()) == []


def test_a_switch_that_the_ledger_lacks_is_told_as_one_that_was_made(app, client, monkeypatch):
    record = VersionRecord("segmentation", "0.1.1", "a" * 64, Path("x"))
    monkeypatch.setattr(
        "brain_tumor.server.routes.models.promote_if_accepted", lambda *_, **__: record
    )

    def full(*_args):
        raise StorageError("the ledger failed: database or disk is full")

    monkeypatch.setattr(app.learning.ledger, "note_model", full)
    reply = client.post("/models/segmentation/promote", json={"version": "0.1.1"})
    said = refusal(reply, 507, "storage")
    assert said.startswith("segmentation 0.1.1 is active now, but that is not in the ledger: ")
    assert "do not switch again" in reply.json()["remedy"]


@pytest.mark.parametrize("asked", ["x", "bytes=-", "bytes=5-2", "bytes=0-1", "items=0-5"])
def test_an_archive_goes_whatever_part_of_it_is_asked_for(app, client, label, asked):
    client.put("/datastore/label?image=FULL", files={"label": ("label.nii.gz", label)})
    reply = client.get("/datastore/dataset", headers={"Range": asked})
    assert (reply.status_code, reply.content[:2]) == (200, b"PK")
    assert list(app.staging.iterdir()) == []


def test_the_start_removes_what_a_killed_server_left(app, client, studies):
    sent = {"files": ("a_t1c.nrrd", nrrd_file())}
    kept = client.put("/session/", files=sent).json()["session_id"]
    torn, private = app.sessions().open_upload()[1], studies / ".tumorlens"
    (torn / "a_t1c.nrrd").write_bytes(b"half")
    left = [
        app.sessions().folder / kept / f"{durable.TEMPORARY_PREFIX}1",
        private / f"{durable.TEMPORARY_PREFIX}2",
        private / "staging" / "dataset-3.zip",
        studies / f"{durable.TEMPORARY_PREFIX}4",
        studies / "sequences" / f"{durable.TEMPORARY_PREFIX}5",
    ]
    app.datastore().make_staging()
    for path in left:
        path.write_bytes(b"half")
    app.tidy_up()
    assert [path for path in left if path.exists()] == []
    assert [path.name for path in app.sessions().folder.iterdir()] == [kept]
    assert client.get(f"/session/{kept}").status_code == 200


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n"


def picture(kind):
    held = io.BytesIO()
    Image.linear_gradient("L").save(held, kind)
    return held.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg"])
@pytest.mark.parametrize("kind", ["EPS", "GIF", "TIFF", "BMP", "PPM", "TGA", "ICO", "WEBP", "PDF"])
def test_a_picture_is_taken_for_nothing_but_png_and_jpeg(tmp_path, suffix, kind, monkeypatch):
    monkeypatch.setattr("subprocess.check_call", lambda *_a, **_k: pytest.fail("ran a program"))
    content = POSTSCRIPT if kind == "EPS" else picture(kind)
    (tmp_path / f"slice{suffix}").write_bytes(content)
    with pytest.raises(FileFormatError, match="picture cannot be read"):
        read_slice(tmp_path / f"slice{suffix}")


def test_png_and_jpeg_are_read_under_either_name(tmp_path):
    for kind, suffix in (("PNG", ".jpg"), ("JPEG", ".png")):
        (tmp_path / f"slice{suffix}").write_bytes(picture(kind))
        assert read_slice(tmp_path / f"slice{suffix}").shape == (256, 256, 1)


def png_of(width, height, *chunks):
    def chunk(name, content):
        body = name + content
        return len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\0\0\0\0"
    parts = [chunk(b"IHDR", head), *(chunk(*one) for one in chunks), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "slice.png"
    path.write_bytes(png_of(4097, 4096, (b"IDAT", zlib.compress(b""))))
    assert MAX_PIXELS < 4097 * 4096
    with pytest.raises(VolumeError, match="4097 x 4096 pixels"):
        read_slice(path)


def test_a_picture_whose_text_is_a_bomb_is_refused(tmp_path):
    path = tmp_path / "slice.png"
    text = b"Comment\0\0" + zlib.compress(bytes(2**28), 9)
    rows = zlib.compress(b"\0\0\1" * 2)
    path.write_bytes(png_of(2, 2, (b"zTXt", text), (b"IDAT", rows)))
    with pytest.raises(FileFormatError, match="picture cannot be read"):
        read_slice(path)


def a_failure():
    """An exception whose message quotes a patient, raised deep down and raised again."""

    def deep(left):
        if left:
            deep(left - 1)
        raise ValueError("could not convert string to float: 'Doe^Jane'")

    try:
        deep(800)
    except ValueError as error:
        try:
            raise KeyError("Doe^Jane") from error
        except KeyError as again:
            return again


def test_a_failure_is_told_in_a_few_lines_without_what_it_quotes():
    failure = a_failure()
    told = brief_exception((type(failure), failure, failure.__traceback__))
    assert "Doe" not in told
    assert "KeyError" in told
    assert "ValueError" in told
    assert len(told.split("\n")) < 20


def test_every_handler_becomes_private(monkeypatch):
    monkeypatch.setattr("warnings.simplefilter", lambda *_: None)
    held = io.StringIO()
    handler = logging.StreamHandler(held)
    logger = logging.getLogger("tumorlens.test")
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logging.root, "handlers", [])
    keep_log_private()
    try:
        raise a_failure()
    except KeyError:
        logger.exception("request failed")
    assert "request failed" in held.getvalue()
    assert "KeyError" in held.getvalue()
    assert "Doe" not in held.getvalue()


def test_what_holds_patients_is_for_this_user_alone(app, client, studies, label):
    known = set(studies.rglob("*"))
    sent = {"label": ("label.nii.gz", label)}
    assert client.put("/datastore/label?image=FULL", files=sent).status_code == 200
    volume = {"file": ("a_t1c.nrrd", nrrd_file())}
    assert client.put("/datastore/image?image=NEW", files=volume).status_code == 200
    assert client.put("/session/", files={"files": volume["file"]}).status_code == 200
    assert client.delete("/datastore/image?id=LONE").status_code == 200
    made = set(studies.rglob("*")) - known
    assert {"FULL.nii.gz", "NEW.nrrd", "000001.json"} <= {path.name for path in made}
    open_to_others = [
        path
        for path in made
        if path.stat().st_mode & 0o077 and ".tumorlens" not in path.parts and path.name != ".lock"
    ]
    assert [p for p in open_to_others if "removed" not in p.parts] == []
    assert (studies / ".tumorlens").stat().st_mode & 0o077 == 0
    assert (studies / "removed").stat().st_mode & 0o077 == 0
