"""What must hold however the server was started: the same checks, the same routes."""

import io
import json
import socket
import tarfile
import threading

import numpy as np
import pytest
import requests
from brain_tumor.cases.files.readers import read_labelmap

from tests.helpers.server import (
    AFFINE,
    ENTERED_FILE,
    HOLD_FILE,
    MODEL,
    expected_labels,
    parse_reply,
    write_label,
)
from tests.server.conftest import everything_below, refusal, same_affine

pytestmark = pytest.mark.integration


def test_a_case_comes_back_as_an_exact_labelmap_on_its_own_grid(server, tmp_path):
    reply = server.request("POST", "/infer/segmentation?image=FULL")
    params, files = parse_reply(reply)
    assert params["models"] == [MODEL.to_json()]
    assert params["segmentation"]["volumes_ml"] == pytest.approx(
        {"WT": 1.08, "TC": 0.32, "ET": 0.28}
    )
    (tmp_path / "a.nrrd").write_bytes(files["image"])
    labels, affine = read_labelmap(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(labels, expected_labels())
    same_affine(affine, AFFINE)


def test_several_files_come_in_one_reply(server):
    data = {"params": json.dumps({"uncertainty": True})}
    _, files = parse_reply(server.request("POST", "/infer/segmentation?image=FULL", data=data))
    assert list(files) == ["image", "uncertainty"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/reload"),
        ("GET", "/proxy/dicom/wado/x"),
        ("GET", "/logs/"),
        ("PUT", "/model/segmentation"),
        ("DELETE", "/model/segmentation"),
        ("GET", "/nothing"),
    ],
)
def test_dangerous_routes_are_closed(server, method, path):
    refusal(server.request(method, path), 404, "not_found")


def test_uploading_code_and_reloading_runs_nothing(server):
    source = "open('hacked', 'w').write('x')"
    before = everything_below(server.app_folder)
    reply = server.request(
        "PUT", "/datastore/image?image=../app/main", files={"file": ("main.py", source)}
    )
    refusal(reply, 400)
    refusal(server.request("POST", "/reload"), 404)
    server.request("GET", "/info/")
    after = everything_below(server.app_folder)
    assert {p for p in after if p.suffix == ".py"} == {p for p in before if p.suffix == ".py"}
    assert after[server.app_folder / "main.py"] == before[server.app_folder / "main.py"]
    assert not (server.app_folder / "hacked").exists()


def test_a_foreign_page_gets_nothing(server):
    for method in ("GET", "POST", "OPTIONS"):
        reply = server.request(
            method,
            "/info/",
            headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
        )
        refusal(reply, 403, "forbidden")
        assert not [name for name in reply.headers if name.lower().startswith("access-control")]


def test_a_rebound_host_name_gets_nothing(server):
    refusal(server.request("GET", "/info/", headers={"Host": "evil.example"}), 403, "forbidden")


def test_the_stock_page_does_not_reflect_origins(server):
    own = server.request("GET", "/stock", headers={"Origin": server.url})
    assert own.status_code == 200
    assert "access-control-allow-origin" not in own.headers


def raw_path(server, path):
    """Status of a request whose path no client library tidied."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("path", ["/static/../../etc/passwd", "/static/%2e%2e/%2e%2e/x", "/..%5cx"])
def test_a_path_that_climbs_is_refused(server, path):
    assert raw_path(server, path) == 400


def test_an_oversized_upload_is_refused_without_being_stored(server):
    before = everything_below(server.studies)
    announced = {
        "Content-Length": str(600 * 1024**2),
        "Content-Type": "multipart/form-data; boundary=x",  # any other body is bounded far lower
        "Expect": "100-continue",
    }
    with requests.Session() as session:
        prepared = session.prepare_request(
            requests.Request("PUT", f"{server.url}/datastore/image?image=BIG", headers=announced)
        )
        prepared.headers["Content-Length"] = announced["Content-Length"]
        reply = session.send(prepared, timeout=60)
    assert "512 MiB" in refusal(reply, 413, "too_large")
    assert everything_below(server.studies) == before


def test_an_archive_that_climbs_is_refused(server):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        info = tarfile.TarInfo("../../../evil.nii.gz")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    reply = server.request(
        "PUT", "/session/?uncompress=true", files=[("files", ("a.tar.gz", stream.getvalue()))]
    )
    assert "leads out" in refusal(reply, 400)
    assert not list(server.studies.parent.rglob("evil*"))


def test_info_answers_while_an_inference_runs(server):
    (server.app_folder / ENTERED_FILE).unlink(missing_ok=True)
    (server.app_folder / HOLD_FILE).touch()
    replies = []
    content = (server.studies / "LONE.nii.gz").read_bytes()
    thread = threading.Thread(
        target=lambda: replies.append(
            server.request("POST", "/infer/segmentation", files={"file": ("t1c.nii.gz", content)})
        )
    )
    thread.start()
    try:
        deadline = threading.Event()
        while not (server.app_folder / ENTERED_FILE).exists():
            assert thread.is_alive()
            deadline.wait(0.02)
        assert server.request("GET", "/info/").status_code == 200
        assert server.request("GET", "/datastore/").json()["total"] == 3
        assert replies == []  # still inside the model
    finally:
        (server.app_folder / HOLD_FILE).unlink()
        thread.join(120)
    assert replies[0].status_code == 200


def test_failing_requests_leave_no_temporary_file(server):
    before = everything_below(server.studies.parent / "tmp"), everything_below(server.studies)
    for _ in range(5):
        reply = server.request(
            "POST", "/infer/segmentation", files={"file": ("a.nii.gz", b"not a volume" * 1000)}
        )
        assert refusal(reply, 400)
        refusal(
            server.request(
                "PUT",
                "/datastore/label?image=FULL&tag=bad",
                files={"label": ("a.nii.gz", b"not a label" * 1000)},
            ),
            400,
        )
    after = everything_below(server.studies.parent / "tmp"), everything_below(server.studies)
    assert after == before


def test_unknown_things_are_refused_with_a_reason(server):
    refusal(server.request("POST", "/infer/nope?image=FULL"), 404, "not_found")
    refusal(server.request("POST", "/infer/segmentation?image=NOPE"), 404, "not_found")
    params = {"params": json.dumps({"image": "/etc/passwd"})}
    refusal(server.request("POST", "/infer/segmentation?image=FULL", data=params), 400)
    refusal(server.request("POST", "/activelearning/nope", json={}), 404, "not_found")
    refusal(server.request("POST", "/train/nope", json={}), 404, "not_found")


def test_a_stranger_on_the_network_is_not_served(server):
    """The launcher listens on loopback only; the stock command on every address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; tells this machine's own address
        except OSError:
            pytest.skip("this machine has no network address")
        address = probe.getsockname()[0]
    url = f"http://{address}:{server.url.rsplit(':', 1)[1]}/info/"
    try:
        reply = requests.get(url, timeout=30)
    except requests.ConnectionError:
        return_code = None
    else:
        refusal(reply, 403, "forbidden")
        return_code = reply.status_code
    assert return_code == (403 if "start_server" in server.process.args else None)


def test_the_log_names_no_path_of_the_studies(server):
    server.request("POST", "/infer/segmentation?image=FULL")
    label = write_label(server.app_folder / "label.nii.gz")
    server.request(
        "PUT",
        "/datastore/label?image=FULL&tag=logtest",
        files={"label": ("secret_name.nii.gz", label.read_bytes())},
    )
    assert "secret_name" not in server.log.read_text()
    server.request("DELETE", "/datastore/label?id=FULL&tag=logtest")
