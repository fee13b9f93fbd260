"""The app's own life: settings, start, background work."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from brain_tumor.cases.sequences import Sequence
from brain_tumor.errors import BusyError, InputError, StorageError
from brain_tumor.explanation.rationale.providers.embedded import EmbeddedProvider
from brain_tumor.server import app as app_module
from brain_tumor.server.serving import announce, hold_studies
from brain_tumor.server.settings import ServerLimits, quiet_environment, server_limits
from brain_tumor.server.tasks import warm_up
from brain_tumor.server.tasks.warm_up import synthetic_cases

from tests.helpers.server import ThresholdSegmenter
from tests.server.conftest import InProcessApp, client_of

DEADLINE_S = 180.0


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_stock_features_that_break_are_switched_off(app):
    from monailabel.config import settings

    assert settings.MONAI_LABEL_TRACKING_ENABLED is False
    assert settings.MONAI_LABEL_AUTO_UPDATE_SCORING is False
    assert settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD is False
    assert app._batch_infer is None
    assert app._infers_threadpool is None


def test_a_wish_of_the_user_is_kept_and_a_need_of_the_app_is_not():
    environ = {"OMP_WAIT_POLICY": "active", "MONAI_LABEL_TRACKING_ENABLED": "true"}
    decided = quiet_environment(environ)
    assert "OMP_WAIT_POLICY" not in decided
    assert decided["MONAI_LABEL_TRACKING_ENABLED"] == "false"
    assert quiet_environment({})["OMP_WAIT_POLICY"] == "passive"


def test_limits_come_from_the_environment():
    assert server_limits({}) == ServerLimits()
    limits = server_limits({"TUMORLENS_MAX_UPLOAD_MB": "3", "TUMORLENS_CACHE_MB": "5"})
    assert limits.max_body_bytes == 3 * 1024**2
    assert limits.max_unpacked_bytes == 12 * 1024**2
    assert limits.cache_bytes == 5 * 1024**2


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", ""])
def test_a_limit_that_is_no_number_is_refused(text):
    with pytest.raises(InputError, match="TUMORLENS_CACHE_MB"):
        server_limits({"TUMORLENS_CACHE_MB": text})


def test_sessions_are_kept_in_a_private_folder_of_the_studies(app, studies):
    folder = studies / ".tumorlens" / "sessions"
    assert folder.is_dir()
    assert folder.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_told(tmp_path, segmenter):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StorageError):
        InProcessApp(tmp_path / "file" / "studies", segmenter)


def test_the_start_warms_up_tidies_and_keeps_house(app, studies, segmenter, monkeypatch):
    cleaned = []
    monkeypatch.setattr(app_module, "HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr(app, "cleanup_sessions", lambda: cleaned.append(1) or 1 // 0)
    (app.staging / "left-behind").write_bytes(b"x")
    app.on_init_complete()
    assert list(app.staging.iterdir()) == []
    wait_until(lambda: segmenter.calls == 2)
    wait_until(lambda: len(cleaned) >= 3)  # one failure does not end it
    wait_until(lambda: not any(t.name == "warm-up" for t in threading.enumerate()))


def test_the_warm_up_is_waited_for_and_stops_when_the_server_does(app, segmenter, monkeypatch):
    # A daemon thread in native code aborts the process at its end: "terminate called".
    started = []
    monkeypatch.setattr(app_module.threading.Thread, "start", lambda thread: started.append(thread))
    app.on_init_complete()
    (thread,) = (t for t in started if t.name == "warm-up")
    assert not thread.daemon
    ended = threading.Thread()  # never started, so not alive: as the main thread is at the end
    monkeypatch.setattr(app_module.threading, "main_thread", lambda: ended)
    thread.run()
    assert segmenter.calls == 0


def test_a_failing_warm_up_does_not_stop_the_server(studies, monkeypatch, caplog):
    segmenter = ThresholdSegmenter()
    monkeypatch.setattr(segmenter, "segment", lambda case, **_: 1 // 0)
    app = InProcessApp(studies, segmenter)
    app._warm_up()
    assert "warming up segmentation failed" in caplog.text
    assert client_of(app).get("/info/").status_code == 200


def test_the_embedded_model_is_started_with_the_server_where_it_is_installed(app, monkeypatch):
    started = []

    class Embedded(EmbeddedProvider):
        def warm_up(self):
            started.append(1)

    monkeypatch.setattr(warm_up, "available_providers", lambda _settings: ("composer",))
    monkeypatch.setattr(warm_up, "provider_of_environment", lambda _name: Embedded())
    warm_up.warm_up_language_model()
    assert started == []
    monkeypatch.setattr(warm_up, "available_providers", lambda _settings: ("composer", "smollm2"))
    monkeypatch.setattr(app, "_warm_up", lambda: None)  # no thread in native code may outlive us
    app.on_init_complete()
    wait_until(lambda: started == [1])


def test_an_embedded_model_that_cannot_be_started_does_not_stop_the_server(
    app, monkeypatch, caplog
):
    monkeypatch.setattr(warm_up, "available_providers", lambda _settings: ("composer", "smollm2"))
    monkeypatch.setattr(warm_up, "provider_of_environment", lambda _name: EmbeddedProvider())
    monkeypatch.setattr(
        "brain_tumor.explanation.rationale.providers.embedded.embedded_model_file", lambda: None
    )
    warm_up.warm_up_language_model()
    assert "the embedded language model is not warm" in caplog.text


def test_the_warm_up_reaches_both_models_without_a_patient():
    full, lone = synthetic_cases()
    assert full.present == tuple(Sequence)
    assert lone.present == (Sequence.T1C,)
    assert full.shape == lone.shape == (64, 64, 64)
    assert np.isfinite(full.volumes[Sequence.T1].array).all()


def test_one_server_holds_a_studies_folder(app, studies):
    hold_studies(app)
    other = InProcessApp(studies, ThresholdSegmenter())  # a training may open the folder
    with pytest.raises(BusyError, match="another TumorLens server"):
        hold_studies(other)
    app.folder_lock.release()
    hold_studies(other)
    other.folder_lock.release()


def test_a_generated_token_is_shown_once_on_the_terminal(capsys, caplog):
    from brain_tumor.server.http.access import access_policy

    policy = access_policy({"TUMORLENS_HOST": "0.0.0.0"}, [])
    announce(policy)
    assert capsys.readouterr().err.count(policy.token) == 1
    assert policy.token not in caplog.text
    announce(access_policy({"TUMORLENS_TOKEN": "a-token-of-some-length"}, []))
    assert capsys.readouterr().err == ""


def test_a_result_is_given_even_if_its_provenance_cannot_be_stored(client, app, monkeypatch):
    def refuse(*_):
        raise StorageError("disk full")

    monkeypatch.setattr(app.datastore(), "record_proposal", refuse)
    assert client.post("/infer/segmentation?image=FULL").status_code == 200


def test_the_loader_of_monailabel_finds_the_app_class():
    """The loader wants `MONAILabelApp` among the direct bases of one class in main.py."""
    import ast

    import brain_tumor

    source = Path(brain_tumor.__file__).with_name("main.py").read_text(encoding="utf-8")
    classes = [n for n in ast.parse(source).body if isinstance(n, ast.ClassDef)]
    assert [c.name for c in classes] == ["BrainTumorApp"]
    assert "MONAILabelApp" in [b.id for b in classes[0].bases if isinstance(b, ast.Name)]


def test_the_launcher_sets_the_environment_before_torch_is_imported():
    import subprocess
    import sys

    code = (
        "import sys; import brain_tumor.server.launcher; "
        "sys.exit('torch' in sys.modules or 'monailabel' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ})
    assert result.returncode == 0


def test_the_launcher_refuses_what_makes_no_sense(tmp_path, monkeypatch):
    from brain_tumor.server.launcher import serve

    monkeypatch.setattr(os, "environ", dict(os.environ))
    with pytest.raises(InputError, match="port is 70000"):
        serve(tmp_path, port=70000)
    with pytest.raises(InputError, match="TUMORLENS_TOKEN has 3"):
        serve(tmp_path, token="abc")
    with pytest.raises(InputError, match="origin"):
        serve(tmp_path, token="a-token-of-some-length", origins=["*"])
