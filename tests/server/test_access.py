import pytest
from brain_tumor.errors import AccessError, InputError
from brain_tumor.server.http.access import (
    AccessPolicy,
    access_policy,
    check_client,
    check_host,
    check_origin,
    check_token,
    host_argument,
    is_loopback,
)

LOCAL = AccessPolicy()
TOKEN = "a-token-of-some-length"
OPEN = AccessPolicy(token=TOKEN, hosts=frozenset({"ward7"}), any_address=True)
START = ["monailabel", "start_server", "--app", "apps/brain_tumor", "--studies", "s"]


@pytest.mark.parametrize(
    ("arguments", "host"),
    [
        ([], None),
        (["--host", "0.0.0.0"], "0.0.0.0"),
        (["--host=10.0.0.1"], "10.0.0.1"),
        (["-i", "::"], "::"),
        (["-i0.0.0.0"], "0.0.0.0"),
        (["--hos", "10.0.0.1"], "10.0.0.1"),  # argparse accepts unique beginnings
        (["--host"], None),
    ],
)
def test_the_host_of_the_stock_command_line_is_found(arguments, host):
    assert host_argument([*START, *arguments]) == host


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("192.168.0.7", False),
        ("localhost.evil.example", False),
    ],
)
def test_loopback_is_told_from_the_network(host, expected):
    assert is_loopback(host) is expected


def test_the_default_serves_this_machine_without_a_token():
    for environ, argv in (({}, START), ({"TUMORLENS_HOST": "127.0.0.1"}, ["tumorlens", "serve"])):
        policy = access_policy(environ, argv)
        assert policy.token is None
        assert not policy.generated


@pytest.mark.parametrize("environ", [{"TUMORLENS_HOST": "0.0.0.0"}, {"TUMORLENS_HOST": "ward7"}])
def test_a_host_beyond_loopback_gets_a_generated_token(environ):
    policy = access_policy(environ, [])
    assert policy.generated
    assert len(policy.token) >= 32
    assert access_policy(environ, []).token != policy.token


def test_an_explicit_stock_host_gets_a_generated_token_too():
    assert access_policy({}, [*START, "--host", "0.0.0.0"]).generated


def test_a_given_token_is_used_and_never_printed_by_repr():
    policy = access_policy({"TUMORLENS_TOKEN": TOKEN}, START)
    assert policy.token == TOKEN
    assert not policy.generated
    assert TOKEN not in repr(policy)


def test_a_token_that_can_be_guessed_is_refused():
    with pytest.raises(InputError, match="TUMORLENS_TOKEN has 5 characters"):
        access_policy({"TUMORLENS_TOKEN": "12345"}, [])


def test_keycloak_is_refused_because_it_would_lock_everybody_out():
    with pytest.raises(InputError, match="Keycloak"):
        access_policy({"MONAI_LABEL_AUTH_ENABLE": "true"}, [])


def test_other_machines_are_refused_where_there_is_no_token():
    check_client(LOCAL, "127.0.0.1")
    check_client(LOCAL, None)  # a Unix socket
    check_client(OPEN, "192.168.0.7")
    with pytest.raises(AccessError):
        check_client(LOCAL, "192.168.0.7")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000", "LOCALHOST:1"])
def test_loopback_names_are_this_server(host):
    check_host(LOCAL, host)


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "127.0.0.1.evil.example", "192.168.0.7", "", None, "localhost@x"]
)
def test_a_rebound_name_is_refused(host):
    with pytest.raises(AccessError, match="Host"):
        check_host(LOCAL, host)


def test_a_networked_server_answers_to_addresses_and_its_own_name_only():
    check_host(OPEN, "192.168.0.7:8000")
    check_host(OPEN, "ward7:8000")
    with pytest.raises(AccessError):
        check_host(OPEN, "evil.example")


def test_programs_that_are_no_browser_pass():
    assert check_origin(LOCAL, {"host": "127.0.0.1:8000"}, "POST") is None


def test_the_servers_own_pages_pass():
    headers = {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"}
    assert check_origin(LOCAL, headers, "POST") is None


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:3000", "http://127.0.0.1:8000.evil", ""],
)
def test_a_foreign_page_is_refused(origin):
    headers = {"host": "127.0.0.1:8000", "origin": origin}
    with pytest.raises(AccessError, match="web page"):
        check_origin(LOCAL, headers, "GET")


def test_a_listed_origin_may_read_replies():
    policy = access_policy({}, [], ["http://Viewer.example:3000/"])
    headers = {"host": "127.0.0.1", "origin": "http://viewer.example:3000"}
    assert check_origin(policy, headers, "GET") == "http://viewer.example:3000"
    with pytest.raises(AccessError):
        check_origin(policy, {"host": "127.0.0.1", "origin": "http://viewer.example"}, "GET")


@pytest.mark.parametrize("text", ["*", "viewer.example", "file:///x", "http://a/b"])
def test_an_origin_that_is_none_is_refused_at_the_start(text):
    with pytest.raises(InputError, match="origin"):
        access_policy({}, [], [text])


def test_a_foreign_page_cannot_embed_what_the_server_sends():
    embedded = {"host": "127.0.0.1", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    with pytest.raises(AccessError):
        check_origin(LOCAL, embedded, "GET")
    clicked = {"host": "127.0.0.1", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert check_origin(LOCAL, clicked, "GET") is None
    with pytest.raises(AccessError):
        check_origin(LOCAL, clicked, "POST")


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN],
)
def test_every_request_needs_the_very_token(authorization):
    with pytest.raises(AccessError, match="token"):
        check_token(OPEN, authorization)


def test_the_token_opens_the_server():
    check_token(OPEN, f"Bearer {TOKEN}")
    check_token(OPEN, f"bearer {TOKEN}")
    check_token(LOCAL, None)
