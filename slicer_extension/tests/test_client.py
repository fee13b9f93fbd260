"""The client against a server known by hand; no Slicer, no Qt."""

import socket
import threading

import numpy as np
import pytest
from TumorLensLib import multipart
from TumorLensLib.cases import from_datastore, list_cases
from TumorLensLib.client import Client
from TumorLensLib.consent import Consent
from TumorLensLib.jobs import CancelledError, CancelToken
from TumorLensLib.multipart import Part
from TumorLensLib.transport import (
    BadReplyError,
    NotOfferedError,
    RefusedError,
    ServerError,
    UnreachableError,
    parse_address,
)

from slicer_extension.tests import phantoms
from slicer_extension.tests.fake_server import FakeServer, serving


@pytest.fixture
def client(server):
    return Client(parse_address(server.url), client_id="anna")


@pytest.mark.parametrize(
    ("typed", "full"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        (" http://server:9000/ ", "http://server:9000"),
        ("https://server/brain", "https://server:443/brain"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_addresses_are_completed(typed, full):
    assert str(parse_address(typed)) == full


def test_a_loopback_address_is_this_computer():
    here = [parse_address(a).is_this_computer for a in ("localhost", "127.0.0.1", "[::1]", "pc")]
    assert here == [True, True, True, False]


def test_an_analysis_comes_with_its_files(client, server):
    reply = client.infer("analysis", {"image": "CASE-1"}, {"language": "ko"})
    np.testing.assert_array_equal(reply.volumes["image"].array, phantoms.labels())
    np.testing.assert_array_equal(reply.volumes["heatmap"].array, phantoms.heatmap().array)
    np.testing.assert_allclose(reply.volumes["image"].ijk_to_ras, phantoms.OBLIQUE)
    assert reply.params["rationale"]["language"] == "ko"
    assert server.bodies[-1] == {"client_id": "anna", "language": "ko"}


def test_volumes_of_a_session_are_named_after_their_sequence(client, server):
    session = client.create_session({"t1c": phantoms.image(), "flair": phantoms.image()})
    assert sorted(server.sessions[session]) == ["flair.nrrd", "t1c.nrrd"]
    np.testing.assert_array_equal(
        server.sessions[session]["t1c.nrrd"].array, phantoms.image().array
    )


def test_a_refusal_keeps_message_remedy_code_and_status(client, server):
    server.fail["/datastore/label"] = (
        400,
        {"code": "bad_geometry", "message": "label is elsewhere", "remedy": "Export it again."},
    )
    with pytest.raises(RefusedError, match="label is elsewhere") as caught:
        client.submit_label("CASE-1", phantoms.labelmap(), {})
    assert (caught.value.remedy, caught.value.code) == ("Export it again.", "bad_geometry")
    assert caught.value.status == 400


def test_an_absent_route_is_not_offered_and_an_absent_case_is_refused():
    with serving(FakeServer(has_learning=False)) as server:
        client = Client(parse_address(server.url))
        with pytest.raises(NotOfferedError, match="does not offer /models"):
            client.models()
        with pytest.raises(RefusedError) as caught:
            client.infer("analysis", {"session_id": "gone"}, {})
        assert not isinstance(caught.value, NotOfferedError)


def test_statuses_come_from_the_datastore_where_there_is_no_route_for_them():
    with serving(FakeServer(has_learning=False)) as server:
        client = Client(parse_address(server.url))
        client.submit_label("CASE-2", phantoms.labelmap(), {})
        found = {entry.name: entry.status for entry in list_cases(client)}
        assert found == {"CASE-1": "new", "CASE-2": "submitted", "CASE-3": "new"}
    assert from_datastore({"objects": {"A": {"labels": {"original": {}}}}})[0].status == "predicted"
    assert from_datastore({}) == []


def test_a_cancelled_request_is_broken_off_at_once(client, server):
    server.hold.clear()
    token = CancelToken()
    outcome = []

    def ask():
        try:
            client.bound(token).infer("analysis", {"image": "CASE-1"}, {})
        except CancelledError as error:
            outcome.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not server.requests:
        thread.join(0.01)
    token.cancel()
    thread.join(5)
    assert not thread.is_alive()
    assert len(outcome) == 1
    with pytest.raises(CancelledError):
        client.bound(token).info()


def test_a_server_that_hangs_up_is_unreachable():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def hang_up():
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(UnreachableError, match="broke off"):
            Client(parse_address(f"127.0.0.1:{port}")).info()
        thread.join()


def test_an_unknown_name_is_said_so():
    with pytest.raises(UnreachableError, match="is unknown"):
        Client(parse_address("http://no.such.host.invalid:8000")).info()


@pytest.mark.parametrize("content", [b"[]", b"not json", b'"text"'])
def test_replies_of_another_kind_are_bad_replies(client, server, content):
    server.answer = lambda *_: (200, content)
    with pytest.raises(BadReplyError):
        client.info()


def test_multipart_survives_boundaries_and_line_ends_in_the_content():
    content = b"\r\n--x\r\n\x00\xff\n--\r\n"
    body, kind = multipart.encode({"params": "{}"}, [Part("file", content, "a b.nrrd")])
    fields, file = multipart.decode(body, kind)
    assert (fields.name, fields.content, fields.filename) == ("params", b"{}", None)
    assert (file.name, file.content, file.filename) == ("file", content, "a_b.nrrd")
    with pytest.raises(multipart.MultipartError, match="ends in the middle"):
        multipart.decode(body[:-10], kind)


def test_consent_is_for_one_address_and_remembered():
    kept = []
    here, there = parse_address("127.0.0.1:8000"), parse_address("127.0.0.1:8001")
    consent = Consent(["http://127.0.0.1:8000"], kept.append)
    assert consent.is_given(here)
    assert not consent.is_given(there)
    consent.give(there)
    assert kept == [["http://127.0.0.1:8000", "http://127.0.0.1:8001"]]
    consent.withdraw_all()
    assert not consent.is_given(here)
    assert kept[-1] == []


def test_errors_of_the_address_are_server_errors():
    assert issubclass(UnreachableError, ServerError)
