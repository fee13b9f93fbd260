import io
import json
import os
import stat
import time
import zipfile

import pytest
from brain_tumor.errors import InputError, NotFoundError
from brain_tumor.server.datastore.sessions import ABANDONED_S, StudySessions

from tests.helpers.server import parse_reply
from tests.server.conftest import everything_below, refusal


def put(client, *files, query=""):
    return client.put(f"/session/?{query}", files=[("files", file) for file in files])


@pytest.fixture
def volume(studies):
    return (studies / "LONE.nii.gz").read_bytes()


def zip_of(**entries):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_one_volume_is_segmented_without_entering_the_datastore(client, volume):
    session = put(client, ("my_t1c.nii.gz", volume)).json()["session_id"]
    params, files = parse_reply(client.post(f"/infer/segmentation?image=x&session_id={session}"))
    assert params["sequences"]["used"] == ["t1c"]
    assert params["case"] == session
    assert files["image"]
    assert client.get("/datastore/").json()["total"] == 3
    again, _ = parse_reply(client.post(f"/infer/segmentation?session_id={session}"))
    assert again["cached"] is True


def test_several_files_are_the_sequences_that_their_names_tell(client, volume):
    files = [(f"patient_{name}.nii.gz", volume) for name in ("t1", "t1ce", "t2", "flair")]
    session = put(client, *files).json()["session_id"]
    params, _ = parse_reply(client.post(f"/infer/segmentation?session_id={session}"))
    assert params["sequences"]["missing"] == []


@pytest.mark.parametrize(("name", "query"), [("case.zip", ""), ("case.bin", "uncompress=true")])
def test_an_archive_of_sequences_is_unpacked(client, volume, name, query):
    content = zip_of(**{"case/t1c.nii.gz": volume, "case/FLAIR.nii.gz": volume})
    session = put(client, (name, content), query=query).json()["session_id"]
    params, _ = parse_reply(client.post(f"/infer/segmentation?session_id={session}"))
    assert params["sequences"]["used"] == ["t1c", "flair"]


def test_sequences_of_a_session_are_told_by_hand(client, volume):
    session = put(client, ("a.nii.gz", volume), ("b.nii.gz", volume)).json()["session_id"]
    address = f"/infer/segmentation?session_id={session}&output=json"
    assert client.post(address).status_code == 400
    told = {"params": json.dumps({"t1c": "b.nii.gz", "flair": "a.nii.gz"})}
    assert client.post(address, data=told).json()["sequences"]["used"] == ["t1c", "flair"]
    for wrong in ({"t1c": "../../x.nii"}, {"t1c": "c.nii.gz"}, {"t1c": 3}, {"channels": "t1,pd"}):
        assert client.post(address, data={"params": json.dumps(wrong)}).status_code == 400


def test_channels_of_a_session_are_told_by_hand(client, volume):
    files = [(f"BRATS_1_{n:04d}.nii.gz", volume) for n in (0, 1)]
    session = put(client, *files).json()["session_id"]
    address = f"/infer/segmentation?session_id={session}&output=json"
    told = {"params": json.dumps({"channels": ["flair", "t1c"]})}
    assert client.post(address, data=told).json()["sequences"]["used"] == ["t1c", "flair"]


def test_sequences_of_a_stored_case_are_not_told_anew(client):
    told = {"params": json.dumps({"channels": "t1"})}
    refused = client.post("/infer/segmentation?image=LONE", data=told)
    assert refused.status_code == 400
    assert "told at its import" in refused.text


@pytest.mark.parametrize(
    "entry", ["../evil.nii.gz", "/tmp/evil.nii.gz", "a/../../evil.nii.gz", "..\\evil.nii.gz"]
)
def test_an_archive_that_climbs_is_refused_and_leaves_nothing(client, volume, tmp_path, entry):
    before = everything_below(tmp_path)
    reply = put(client, ("case.zip", zip_of(**{entry: volume})), query="uncompress=true")
    assert "archive entry" in refusal(reply, 400)
    assert everything_below(tmp_path) == before


def test_a_bomb_is_refused_and_leaves_nothing(client, app, tmp_path):
    from dataclasses import replace

    app.limits = replace(app.limits, max_unpacked_bytes=100_000)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t1c.nii", b"\0" * 10_000_000)
    before = everything_below(tmp_path)
    assert "more than" in refusal(put(client, ("case.zip", stream.getvalue())), 400)
    assert everything_below(tmp_path) == before


def test_what_is_said_to_be_an_archive_must_be_one(client, volume):
    assert refusal(put(client, ("t1c.nii", b"x"), query="uncompress=true"), 400)
    two = [("t1.nii.gz", volume), ("t2.nii.gz", volume)]
    assert "one archive" in refusal(put(client, *two, query="uncompress=true"), 400)


def test_names_of_files_cannot_climb_or_collide(client, volume, studies):
    session = put(client, ("../../../t1c.nii.gz", volume)).json()
    assert session["session_info"]["image"] == "t1c.nii.gz"
    assert "same name" in refusal(put(client, ("a.nii", volume), ("x/a.nii", volume)), 400)
    assert refusal(put(client, (".bashrc", volume)), 400)


def test_a_session_hides_the_servers_folders(client, volume, studies):
    reply = put(client, ("t1c.nii.gz", volume))
    assert str(studies) not in reply.text
    session = reply.json()["session_id"]
    info = client.get(f"/session/{session}")
    assert str(studies) not in info.text
    assert info.json()["expiry"] == 3600
    assert client.get(f"/session/{session}?image=true").content == volume


def test_a_removed_session_is_gone(client, volume):
    session = put(client, ("t1c.nii.gz", volume)).json()["session_id"]
    assert client.delete(f"/session/{session}").status_code == 200
    refusal(client.get(f"/session/{session}"), 404, "not_found")
    refusal(client.delete(f"/session/{session}"), 404, "not_found")
    refusal(client.post(f"/infer/segmentation?session_id={session}"), 404, "not_found")


def test_a_session_without_files_is_refused(client):
    refusal(client.put("/session/"), 400)
    assert "expiry" in refusal(put(client, ("a.nii", b"x"), query="expiry=-1"), 400)


class TestFolder:
    @pytest.fixture
    def sessions(self, tmp_path):
        return StudySessions(tmp_path / "sessions", 3600)

    def open_one(self, sessions, expiry_s=0):
        session_id, folder = sessions.open_upload()
        (folder / "t1c.nii.gz").write_bytes(b"x")
        return sessions.complete(
            session_id, [folder / "t1c.nii.gz"], expiry_s=expiry_s, max_bytes=100
        )

    def test_sessions_are_private_to_the_servers_user(self, sessions, tmp_path):
        info = self.open_one(sessions)
        for folder in (tmp_path / "sessions", tmp_path / "sessions" / info.name):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_a_session_survives_a_restart(self, sessions, tmp_path):
        info = self.open_one(sessions)
        assert StudySessions(tmp_path / "sessions").require(info.name).image == info.image

    def test_an_expired_session_goes_and_a_used_one_stays(self, sessions):
        old, used = self.open_one(sessions, 100), self.open_one(sessions, 100)
        for info in (old, used):
            info.last_access_ts -= 500
            sessions._write_meta_info(info.name, info)
        sessions.require(used.name)
        assert sessions.remove_expired() == 1
        assert sessions.get_session(old.name) is None
        assert sessions.get_session(used.name) is not None

    def test_no_session_lives_longer_than_the_server_allows(self, sessions):
        assert self.open_one(sessions, 10**9).expiry == 3600

    @pytest.mark.parametrize(
        "torn", [b"", b"{", b"[]", b'{"image": "/etc/passwd"}', b'{"image": 3, "expiry": "x"}']
    )
    def test_a_torn_session_stops_nobody_and_goes_once_it_is_old(self, sessions, tmp_path, torn):
        good, bad = self.open_one(sessions), self.open_one(sessions)
        folder = tmp_path / "sessions" / bad.name
        (folder / "meta.info").write_bytes(torn)
        sessions.pop(bad.name)
        assert sessions.get_session(bad.name) is None
        assert sessions.remove_expired() == 0
        past = time.time() - ABANDONED_S - 10
        os.utime(folder, (past, past))
        assert sessions.remove_expired() == 1
        assert not folder.exists()
        assert sessions.get_session(good.name) is not None

    def test_what_is_no_session_is_left_alone(self, sessions, tmp_path):
        (tmp_path / "sessions" / "notes.txt").write_text("x")
        (tmp_path / "sessions" / "other").mkdir()
        assert sessions.remove_expired() == 0
        assert (tmp_path / "sessions" / "other").exists()

    def test_cleaning_works_before_any_session_is_in_memory(self, sessions, tmp_path):
        info = self.open_one(sessions, 100)
        meta = tmp_path / "sessions" / info.name / "meta.info"
        content = json.loads(meta.read_text())
        content["last_access_ts"] -= 500
        meta.write_text(json.dumps(content))
        fresh = StudySessions(tmp_path / "sessions")
        assert fresh
        assert fresh.remove_expired() == 1

    def test_a_session_that_points_elsewhere_is_none(self, sessions, tmp_path):
        info = self.open_one(sessions)
        (tmp_path / "secret").write_bytes(b"secret")
        meta = tmp_path / "sessions" / info.name / "meta.info"
        meta.write_text(json.dumps({**info.to_json(), "image": str(tmp_path / "secret")}))
        sessions.clear()
        with pytest.raises(NotFoundError):
            sessions.require(info.name)

    def test_what_is_no_id_never_reaches_the_disk(self, sessions, tmp_path):
        victim = tmp_path / "victim"
        victim.mkdir()
        for call in (sessions.get_session, sessions.remove_session, sessions.require):
            with pytest.raises(InputError):
                call("../victim")
        assert victim.exists()
