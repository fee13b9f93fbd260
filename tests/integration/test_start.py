"""Starting: tokens, second servers, bad settings."""

import re
import subprocess
import sys

import pytest
import requests

from tests.helpers.server import (
    REPOSITORY,
    START_DEADLINE_S,
    free_port,
    launcher_command,
    running,
    stock_command,
    write_app,
    write_studies,
)
from tests.server.conftest import refusal

pytestmark = pytest.mark.integration


@pytest.fixture(
    scope="module", params=[launcher_command, stock_command], ids=["tumorlens", "monailabel"]
)
def networked(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("networked")
    studies, app, port = write_studies(folder / "studies"), write_app(folder / "app"), free_port()
    command = request.param(studies, app, "0.0.0.0", port)
    with running(command, port, studies=studies, app_folder=app) as server:
        yield server


def test_a_networked_server_makes_a_token_shows_it_once_and_needs_it(networked):
    shown = re.findall(r"Bearer (\S{20,})", networked.log.read_text())
    assert len(shown) == 1
    reply = networked.request("GET", "/info/")
    refusal(reply, 401, "unauthorised")
    token = {"Authorization": f"Bearer {shown[0]}"}
    assert networked.request("GET", "/info/", headers=token).status_code == 200
    refusal(networked.request("GET", "/info/", headers={**token, "Host": "evil.example"}), 403)
    kept = [p for p in networked.app_folder.rglob("*") if p.is_file() and p != networked.log]
    assert not [p for p in kept if shown[0].encode() in p.read_bytes()]


@pytest.mark.parametrize("networked", [launcher_command], ids=["tumorlens"], indirect=True)
def test_a_second_server_on_the_same_folder_is_refused(networked, tmp_path):
    port = free_port()
    command = launcher_command(networked.studies, write_app(tmp_path / "two"), "127.0.0.1", port)
    second = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=START_DEADLINE_S,
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "", "HOME": str(tmp_path)},
        check=False,
    )
    assert second.returncode != 0
    assert "another TumorLens server works on this studies folder" in second.stderr
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/info/", timeout=5)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"TUMORLENS_TOKEN": "short"}, "TUMORLENS_TOKEN has 5 characters"),
        ({"TUMORLENS_MAX_UPLOAD_MB": "-1"}, "TUMORLENS_MAX_UPLOAD_MB is '-1'"),
    ],
)
def test_a_bad_setting_is_told_before_anything_starts(tmp_path, settings, sentence):
    studies, app = write_studies(tmp_path / "studies"), write_app(tmp_path / "app")
    code = (
        "from pathlib import Path\n"
        "from brain_tumor.errors import InputError\n"
        "from brain_tumor.server.launcher import serve\n"
        f"try:\n    serve(Path({str(studies)!r}), port=0, app_folder=Path({str(app)!r}))\n"
        "except InputError as error:\n    print(error.message)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=START_DEADLINE_S,
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "", "HOME": str(tmp_path), **settings},
        check=False,
    )
    assert sentence in result.stdout, result.stderr
