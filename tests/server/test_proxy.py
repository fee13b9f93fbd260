"""Behind a proxy: names it passes on, a path it serves below, and a real nginx if there is one."""

import re
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import uvicorn
from brain_tumor.errors import AccessError, InputError
from brain_tumor.server.http.access import (
    AccessPolicy,
    access_policy,
    allowed_hosts,
    check_host,
    check_origin,
    root_path_of,
)
from brain_tumor.server.serving import build_front
from starlette.testclient import TestClient

from tests.helpers.server import free_port
from tests.server.conftest import LOCAL, a_stock_app

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
DOCS = Path(__file__).parents[2] / "docs" / "http-api.md"
PAGE = "https://imaging.example.org"


def test_the_names_of_a_proxy_are_accepted_and_no_others():
    policy = access_policy({"TUMORLENS_ALLOWED_HOSTS": "Imaging.example.org, pacs:8443"}, [])
    for host in ("imaging.example.org", "IMAGING.example.org:443", "pacs", "127.0.0.1:8000"):
        check_host(policy, host)
    for host in ("evil.example", "example.org", "imaging.example.org.evil.example", None):
        with pytest.raises(AccessError, match="Host header") as refused:
            check_host(policy, host)
        assert "--allowed-host NAME" in refused.value.remedy


def test_an_allowed_origin_may_be_served_beside_the_server():
    policy = access_policy({}, [], [PAGE])
    check_host(policy, "imaging.example.org")
    headers = {"host": "imaging.example.org", "origin": PAGE}
    assert check_origin(policy, headers, "GET") == PAGE
    with pytest.raises(AccessError):
        check_host(policy, "viewer.example.org")


@pytest.mark.parametrize("name", ["https://x.example", "a/b", "a b", "-x", "*"])
def test_what_is_no_host_name_is_refused_at_the_start(name):
    with pytest.raises(InputError, match="allowed host is"):
        allowed_hosts([name])


@pytest.mark.parametrize("path", ["tumorlens", "/a//b", "/a b", "http://x/y", "/a?b"])
def test_what_is_no_root_path_is_refused_at_the_start(path):
    with pytest.raises(InputError, match="root path is"):
        root_path_of(path)


def front_of(app, policy=None, root_path=""):
    stock = a_stock_app()
    inside = stock.build_middleware_stack()
    return build_front(
        app, policy or AccessPolicy(), stock=stock, inside=inside, root_path=root_path
    )


def test_a_root_path_is_taken_off_wherever_it_is_still_on(app):
    front = front_of(app, root_path="/tumorlens")
    client = TestClient(front, base_url=LOCAL, client=("127.0.0.1", 1))
    for path in ("/info/", "/tumorlens/info/", "/tumorlens/info"):
        assert client.get(path).json()["name"] == "TumorLens"
    assert client.get("/tumorlensinfo/").status_code == 404
    assert client.get("/tumorlens/../etc").status_code in {400, 404}
    assert client.get("/tumorlens/datastore/?output=stats").json()["total"] == 3


@contextmanager
def serving(front, port):
    server = uvicorn.Server(uvicorn.Config(front, port=port, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def nginx(folder, port, server_port):
    """nginx with the location of docs/http-api.md."""
    (example,) = re.findall(r"```nginx\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    location = example[example.index("location") :].replace(":8000", f":{server_port}")
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events {}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; server_name imaging.example.org;\n{location}}}\n"
    )
    command = [NGINX, "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                requests.get(f"http://127.0.0.1:{port}/", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_the_example_of_the_docs_works_behind_nginx(app, tmp_path):
    policy = access_policy({"TUMORLENS_ALLOWED_HOSTS": "imaging.example.org"}, [])
    server_port, port = free_port(), free_port()
    front = front_of(app, policy, root_path="/tumorlens")
    with serving(front, server_port), nginx(tmp_path, port, server_port) as address:
        headers = {"Host": "imaging.example.org"}
        info = requests.get(f"{address}/tumorlens/info/", headers=headers, timeout=60)
        assert info.json()["name"] == "TumorLens"
        reply = requests.get(
            f"{address}/tumorlens/infer/segmentation",
            headers={**headers, "Origin": "https://evil.example"},
            timeout=60,
        )
        assert reply.status_code == 403
        body = b"x" * 3_000_000  # more than nginx takes unless it is told to
        sent = requests.put(
            f"{address}/tumorlens/datastore/image?image=BIG",
            files={"file": ("BIG.nii.gz", body)},
            headers=headers,
            timeout=60,
        )
        assert sent.status_code == 400
        assert "BIG" in sent.text or "image.nii.gz" in sent.text
