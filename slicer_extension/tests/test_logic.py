"""Jobs, session, comparison, autosave and the smaller parts; no Slicer, no Qt."""

import doctest
import threading

import numpy as np
import pytest
from TumorLensLib import labels, rationale, refine, sequences, training
from TumorLensLib.autosave import Autosave, AutosaveError
from TumorLensLib.compare import compare, region_volumes_ml
from TumorLensLib.jobs import CancelledError, DeadlineError, Jobs
from TumorLensLib.params import Parameters
from TumorLensLib.session import ALLOWED, Action, Case, Session, SessionError, State

from slicer_extension.tests import phantoms

# Jobs.


class Clock:
    """Time that a test moves."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def drain(jobs):
    while jobs.is_running:
        jobs.poll(0.05)


def test_what_happened_today_has_a_time_and_anything_else_a_date():
    from TumorLensLib.cases import shortened

    assert shortened("2026-01-02 10:00", "2026-01-02") == "10:00"
    assert shortened("2026-01-02 10:00", "2026-01-03") == "2026-01-02"
    assert shortened("", "2026-01-03") == ""


def test_results_and_errors_arrive_where_poll_is_called():
    jobs, got = Jobs(), []
    here = threading.current_thread()
    jobs.start("a", lambda _t: 3, lambda r: got.append((r, threading.current_thread())), got.append)
    drain(jobs)
    assert got == [(3, here)]

    def fails(_token):
        raise KeyError("x")

    jobs.start("b", fails, got.append, lambda e: got.append(repr(e)))
    drain(jobs)
    assert got[-1] == "KeyError('x')"


def test_an_error_while_showing_a_result_is_told_too():
    jobs, got = Jobs(), []
    jobs.start("a", lambda _t: 0, lambda r: 1 / r, lambda e: got.append(type(e)))
    drain(jobs)
    assert got == [ZeroDivisionError]


def test_a_cancelled_job_ends_at_once_and_its_result_is_dropped():
    jobs, got, leave = Jobs(), [], threading.Event()
    job = jobs.start("a", lambda _t: leave.wait(5), got.append, got.append)
    assert jobs.current is job
    jobs.cancel(job)
    assert jobs.current is None
    assert not jobs.is_running
    leave.set()
    for _ in range(20):
        jobs.poll(0.01)
    assert got == []
    with pytest.raises(CancelledError):
        job.token.check()


def test_a_job_past_its_deadline_fails_once():
    clock = Clock()
    jobs, got, leave = Jobs(clock), [], threading.Event()
    jobs.start("Asking", lambda _t: leave.wait(5), got.append, got.append, timeout_s=30.0)
    clock.now_s = 30.0
    jobs.poll(0.0)
    assert got == []
    clock.now_s = 30.1
    jobs.poll(0.0)
    leave.set()
    for _ in range(20):
        jobs.poll(0.01)
    assert [str(e) for e in got] == ["Asking: no answer within 30 s"]
    assert isinstance(got[0], DeadlineError)


def test_quiet_jobs_do_not_make_the_panel_busy():
    jobs, leave = Jobs(), threading.Event()
    jobs.start("quiet", lambda _t: leave.wait(5), print, print, is_quiet=True)
    assert jobs.current is None
    assert jobs.is_running
    leave.set()
    drain(jobs)


def test_elapsed_time_is_that_of_the_clock():
    clock = Clock()
    jobs, leave = Jobs(clock), threading.Event()
    job = jobs.start("a", lambda _t: leave.wait(5), lambda _r: None, print)
    clock.now_s = 12.5
    assert jobs.elapsed_s(job) == 12.5
    leave.set()
    drain(jobs)


# Session.


def a_session(state=State.REVIEW):
    session = Session()
    session.connected()
    session.opened(Case("A"))
    session.proposed(phantoms.labelmap(), "subregions", {"task": "analysis"})
    session.state = state
    return session


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("state", State)
def test_an_action_begins_only_where_it_is_allowed(action, state):
    session = a_session(state)
    if action in (Action.CONNECT, Action.EDIT):
        assert session.can(action) == (state in ALLOWED[action])
    elif session.can(action):
        session.begin(action)
        assert session.is_working
        session.failed()
        assert session.state is state
    else:
        with pytest.raises(SessionError, match=f"while {state.value}"):
            session.begin(action)
        assert session.state is state


def test_a_lost_connection_keeps_case_proposal_and_edits():
    session = a_session()
    session.edited()
    session.disconnected()
    assert not session.can(Action.SUBMIT)
    session.connected()
    assert session.state is State.REVIEW
    assert session.is_edited
    assert session.case == Case("A")


def test_edits_count_until_they_are_submitted_or_another_case_is_opened():
    session = a_session()
    assert not session.is_edited
    session.edited()
    session.begin(Action.SUBMIT)
    session.failed()
    assert session.is_edited
    session.begin(Action.SUBMIT)
    session.submitted()
    assert not session.is_edited
    session.edited()
    session.opened(Case("B"))
    assert not session.is_edited
    assert session.proposal is None


def test_the_proposal_is_a_copy():
    session, label = a_session(), phantoms.labelmap()
    session.proposed(label, "subregions", {})
    label.array[:] = 0
    np.testing.assert_array_equal(session.proposal.array, phantoms.labels())


def test_an_explanation_replaces_only_the_sections_it_brings():
    session = a_session()
    session.explained({"rationale": 1})
    assert session.reply == {"task": "analysis", "rationale": 1}


def test_requests_name_a_stored_case_or_a_session():
    assert Case("A").query == {"image": "A"}
    assert Case("A", "s1").query == {"session_id": "s1"}
    assert not Case("A", "s1").is_stored


# Comparison.


def test_volumes_are_counted_voxels_times_their_size():
    # 5 microlitres a voxel: 8 necrosis, 56 enhancement, 152 oedema
    volumes = region_volumes_ml(phantoms.labels(), (1.0, 2.0, 2.5), "subregions")
    assert volumes == pytest.approx({"WT": 1.08, "TC": 0.32, "ET": 0.28})


def test_a_comparison_by_hand():
    before = np.zeros((1, 1, 10), np.uint8)
    before[0, 0, :4] = 3
    after = np.zeros_like(before)
    after[0, 0, 2:5] = 3
    after[0, 0, 9] = 1
    found = compare(before, after, (10.0, 10.0, 10.0), "subregions")
    enhancing = found.classes[2]
    assert (enhancing.name, enhancing.before_ml, enhancing.after_ml) == (
        "enhancing tumour",
        4.0,
        3.0,
    )
    assert enhancing.dice == pytest.approx(2 * 2 / (4 + 3))
    assert found.classes[0].dice == 0.0  # necrosis appeared
    assert found.classes[1].dice == 1.0  # oedema is absent in both
    whole = found.regions[0]
    assert (whole.name, whole.before_ml, whole.after_ml) == ("WT", 4.0, 4.0)
    assert whole.dice == pytest.approx(2 * 2 / 8)
    assert (found.changed_voxels, found.changed_ml) == (4, 4.0)


def test_labelmaps_of_two_grids_are_not_compared():
    with pytest.raises(ValueError, match="cannot be compared"):
        compare(np.zeros((1, 1, 2), np.uint8), np.zeros((1, 2, 1), np.uint8), (1, 1, 1), "core")


# Autosave.


def test_a_saved_correction_comes_back_for_its_case_and_server_only(tmp_path):
    store = Autosave(tmp_path / "unsent")
    label = phantoms.labelmap()
    proposal = phantoms.VolumeData(np.zeros_like(label.array), label.ijk_to_ras)
    path = store.save("http://a", "CASE", label, proposal, "subregions")
    assert "CASE" not in path.name
    saved = store.load("http://a", "CASE")
    np.testing.assert_array_equal(saved.label.array, label.array)
    np.testing.assert_array_equal(saved.label.ijk_to_ras, label.ijk_to_ras)
    assert saved.proposal.array.sum() == 0
    assert saved.scheme == "subregions"
    assert store.load("http://b", "CASE") is None
    assert store.load("http://a", "OTHER") is None
    store.remove("http://a", "CASE")
    assert store.load("http://a", "CASE") is None


def test_a_torn_file_counts_as_none_and_is_kept_aside(tmp_path):
    store = Autosave(tmp_path)
    path = store.save("s", "c", phantoms.labelmap(), phantoms.labelmap(), "subregions")
    path.write_bytes(path.read_bytes()[:-40])
    assert store.load("s", "c") is None
    assert [p.suffix for p in tmp_path.iterdir()] == [".unreadable"]


def test_a_failed_save_leaves_the_old_one(tmp_path, monkeypatch):
    from TumorLensLib import autosave

    store = Autosave(tmp_path)
    store.save("s", "c", phantoms.labelmap(), phantoms.labelmap(), "subregions")

    def full(stream, **_arrays):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(autosave.np, "savez_compressed", full)
    changed = phantoms.VolumeData(np.zeros_like(phantoms.labels()), phantoms.OBLIQUE)
    with pytest.raises(AutosaveError, match="No space left on device"):
        store.save("s", "c", changed, changed, "subregions")
    np.testing.assert_array_equal(store.load("s", "c").label.array, phantoms.labels())
    assert len(list(tmp_path.iterdir())) == 1


# Smaller parts.


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("BraTS20_001_t1ce", "t1c"),
        ("T2 FLAIR axial", "flair"),
        ("t2w_tse", "t2"),
        ("MPRAGE sag", "t1"),
        ("T1 post contrast", "t1c"),
        ("t1", "t1"),
        ("volume 3", ""),
        ("gadget", ""),
    ],
)
def test_sequences_are_recognised_by_whole_words(name, sequence):
    assert sequences.recognise(name) == sequence


def test_volumes_are_assigned_once_and_a_lone_unknown_one_is_contrast():
    assert sequences.assign(["a_t1", "b_t1", "c_flair"]) == {"t1": "a_t1", "flair": "c_flair"}
    assert sequences.assign(["volume"]) == {"t1c": "volume"}
    assert sequences.assign(["volume", "other"]) == {}


def test_clicks_become_parameters_once_each():
    params = refine.click_params([(1, 2, 3), (1, 2, 3)], [(4, 5, 6)], 3)
    assert params["clicks"] == {
        "positive": [{"ijk": [1, 2, 3], "label": 3}],
        "negative": [{"ijk": [4, 5, 6]}],
    }
    with pytest.raises(ValueError, match="at least one point"):
        refine.click_params([], [], 3)
    with pytest.raises(ValueError, match="also marked"):
        refine.click_params([(1, 2, 3)], [(1, 2, 3)], 3)


def test_a_training_is_read_with_its_progress():
    state = training.parse_training(
        {
            "status": "running",
            "details": ["start", "epoch 3/12: loss 0.2", "saving"],
            "request": {"model": "segmentation"},
        }
    )
    assert (state.status, state.is_running, state.model) == ("RUNNING", True, "segmentation")
    assert state.progress == pytest.approx(0.25)
    numbers = {"epoch": 2, "max_epochs": 20, "loss": 0.41237, "seconds_left": 120, "progress": 0.1}
    state = training.parse_training({"status": "RUNNING", **numbers})
    assert state.lines == ("epoch 2/20, loss 0.4124, seconds left 120",)
    assert state.progress == 0.1
    assert training.parse_training({}).is_running is False
    assert training.parse_training({"status": "RUNNING"}).progress is None


def test_models_are_read_with_flat_metrics():
    versions = training.parse_models(
        {
            "m": {
                "active": "2",
                "versions": [
                    {"version": "2", "created": "2026-02-01T00:00:00Z", "metrics": {"a": {"b": 1}}},
                    {"version": "1", "created": "2026-01-01T00:00:00Z", "metrics": {"c": True}},
                ],
            }
        }
    )
    assert [(v.version, v.is_active, dict(v.metrics)) for v in versions] == [
        ("1", False, {}),
        ("2", True, {"a/b": 1.0}),
    ]
    assert training.common_metrics(versions) == ["a/b"]


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [("7", 5, 7), ("0.5", 0.1, 0.5), ("no", True, False), (" x ", "y", "x")],
)
def test_options_are_of_the_kind_of_their_default(text, default, value):
    parsed = training.parse_option(text, default)
    assert parsed == value
    assert type(parsed) is type(default)


@pytest.mark.parametrize(("text", "default"), [("x", 5), ("maybe", True), ("", 1.0)])
def test_options_of_another_kind_are_refused(text, default):
    with pytest.raises(ValueError, match=r"int|neither|float"):
        training.parse_option(text, default)


def test_values_of_two_schemes_are_refused():
    assert labels.scheme_of({0, 1, 3}) == "subregions"
    assert labels.scheme_of({0, 4}) == "core"
    assert labels.scheme_of({0}) == "subregions"
    with pytest.raises(ValueError, match=r"\[1, 4\]"):
        labels.scheme_of({0, 1, 4})


class FakeNode:
    """Parameter node without Slicer."""

    def __init__(self):
        self.values = {}

    def GetParameter(self, key):
        return self.values.get(key, "")

    def SetParameter(self, key, value):
        self.values[key] = value


def test_parameters_are_typed_and_have_defaults():
    parameters = Parameters(FakeNode())
    assert parameters.text("case") == ""
    parameters.set_text("case", "A")
    parameters.set_number("opacity", 0.1)
    assert parameters.text("case") == "A"
    assert parameters.number("opacity", 0.5) == 0.1
    assert parameters.number("absent", 0.5) == 0.5


@pytest.mark.parametrize("module", [rationale, sequences])
def test_examples_in_docstrings_are_right(module):
    assert doctest.testmod(module).failed == 0
