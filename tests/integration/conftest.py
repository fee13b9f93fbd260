"""Real server processes, one for each way to start them, shared by the tests of this folder."""

import pytest

from tests.helpers.server import (
    free_port,
    launcher_command,
    running,
    stock_command,
    write_app,
    write_studies,
)

COMMANDS = {"tumorlens": launcher_command, "monailabel": stock_command}


@pytest.fixture(scope="session", params=COMMANDS)
def server(request, tmp_path_factory):
    """Server without a token on loopback; tests leave its cases as they are."""
    folder = tmp_path_factory.mktemp(request.param)
    studies, app, port = write_studies(folder / "studies"), write_app(folder / "app"), free_port()
    host = {"tumorlens": "127.0.0.1", "monailabel": None}[request.param]  # the defaults
    command = COMMANDS[request.param](studies, app, host, port)
    temporary = folder / "tmp"
    temporary.mkdir()
    with running(
        command, port, studies=studies, app_folder=app, environment={"TMPDIR": str(temporary)}
    ) as server:
        yield server
