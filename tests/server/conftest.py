import numpy as np
import pytest
from brain_tumor.server.app import ServerApp
from brain_tumor.server.http.access import AccessPolicy
from brain_tumor.server.serving import build_front
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.testclient import TestClient

from tests.helpers.server import ThresholdSegmenter, write_studies
from tests.helpers.type_reader import a_type_reader

LOCAL = "http://127.0.0.1:8000"


class InProcessApp(ServerApp):
    """The app with a segmenter from the test."""

    def __init__(self, studies, segmenter):
        self.given = segmenter
        super().__init__(app_dir=str(studies), studies=str(studies), conf={})

    def load_segmenter(self):
        return self.given

    def load_type_reader(self):
        return a_type_reader


def a_stock_app():
    """Stand-in for the stock application: a page, a failure and an error of each kind."""
    stock = FastAPI(openapi_url=None)
    stock.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_credentials=True, allow_methods=["*"]
    )

    @stock.get("/")
    def page():
        return {"page": "stock"}

    @stock.get("/static/fails")
    def fails():
        raise ZeroDivisionError("secret /home/x")

    @stock.get("/static/missing")
    def missing():
        from fastapi import HTTPException

        raise HTTPException(404, "Resource NOT Found")

    @stock.post("/reload")
    def reload():
        raise AssertionError("reached /reload")

    @stock.get("/proxy/dicom/{path:path}")
    def proxy(path):
        raise AssertionError("reached the proxy")

    return stock


def client_of(app, policy=None, **options):
    stock = a_stock_app()
    front = build_front(
        app, policy or AccessPolicy(), stock=stock, inside=stock.build_middleware_stack()
    )
    options = {"base_url": LOCAL, "client": ("127.0.0.1", 50000), **options}
    return TestClient(front, raise_server_exceptions=False, **options)


@pytest.fixture
def studies(tmp_path):
    return write_studies(tmp_path / "studies")


@pytest.fixture
def segmenter():
    return ThresholdSegmenter()


@pytest.fixture(autouse=True)
def stock_settings(monkeypatch, tmp_path):
    """Each test has its own sessions folder, as each server process has."""
    from monailabel.config import settings

    monkeypatch.setattr(settings, "MONAI_LABEL_SESSION_PATH", "")


@pytest.fixture
def app(studies, segmenter):
    return InProcessApp(studies, segmenter)


@pytest.fixture
def client(app):
    return client_of(app)


def refusal(reply, status=400, code=None):
    """Message of an error reply, after checking its form."""
    assert reply.status_code == status, reply.text
    body = reply.json()
    assert set(body) == {"code", "message", "remedy"}
    assert all(isinstance(value, str) and value for value in body.values())
    assert code is None or body["code"] == code
    return body["message"]


def everything_below(folder):
    """Path and content of every file, to show that nothing changed."""
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def same_affine(a, b):
    np.testing.assert_allclose(a, b, atol=1e-4)
