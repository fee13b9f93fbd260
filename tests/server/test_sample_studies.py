"""Sample studies beside a server: what is logged, and that nothing outlives the server."""

import logging
import subprocess
import sys
import threading

import pytest
from brain_tumor import cli
from brain_tumor.server.sample_studies import _follow, samples_beside


def a_process(code):
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, logger="brain_tumor.server.sample_studies")
    return caplog


def test_each_study_is_logged_when_it_is_ready(log):
    _follow(a_process("print('sample study a is ready'); print('b is ready')"), threading.Event())
    assert log.messages == ["sample study a is ready", "b is ready"]


FAILING = "import sys; print('case id a is taken'); print('Choose another folder.'); sys.exit(2)"


def test_a_failure_is_a_warning_with_its_sentence_and_what_to_do(log):
    _follow(a_process(FAILING), threading.Event())
    (warning,) = [r.getMessage() for r in log.records if r.levelno == logging.WARNING]
    assert "(case id a is taken Choose another folder.)" in warning
    assert "'tumorlens sample-data' on the same folder tries again" in warning


def test_being_ended_with_the_server_is_no_failure(log):
    ended = threading.Event()
    ended.set()
    _follow(a_process(FAILING), ended)
    assert not [r for r in log.records if r.levelno == logging.WARNING]


def test_the_process_gets_the_folder_and_ends_with_the_block(tmp_path, log):
    code = (
        "import pathlib, sys, threading\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "threading.Event().wait(60)\n"
        "(folder / 'outlived').touch()\n"
    )
    with samples_beside(tmp_path, [sys.executable, "-c", code]):
        pass
    assert list(tmp_path.iterdir()) == []
    assert not [r for r in log.records if r.levelno == logging.WARNING]


@pytest.mark.parametrize(("options", "expected"), [([], False), (["--samples"], True)])
def test_the_command_line_passes_on_whether_samples_are_wanted(monkeypatch, options, expected):
    given = {}
    monkeypatch.setattr(
        "brain_tumor.server.launcher.serve", lambda *_, **named: given.update(named)
    )
    assert cli.main(["serve", *options]) == 0
    assert given["samples"] is expected
