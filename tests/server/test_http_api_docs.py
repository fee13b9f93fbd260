"""docs/http-api.md says what the server does."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from brain_tumor import errors
from brain_tumor.server.http.stock import CLOSED
from brain_tumor.server.http.validation import STOCK_PARAMETERS
from brain_tumor.server.settings import ServerLimits
from brain_tumor.server.tasks.admission import DEFAULT_WAITING
from brain_tumor.server.tasks.explanation import AnalysisTask
from brain_tumor.server.tasks.refine import RefineTask
from brain_tumor.server.tasks.segmentation import SegmentationTask

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "http-api.md").read_text(encoding="utf-8")


def all_errors():
    pending, found = [errors.TumorLensError], []
    while pending:
        found.append(pending.pop())
        pending += found[-1].__subclasses__()
    return found[1:]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_code_is_documented(kind):
    assert f"`{kind.code}`" in TEXT


def test_every_route_is_documented(client):
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        if any(not operation.get("deprecated") for operation in methods.values()):
            stem = path.replace("{session_id}", "{id}").replace("{strategy}", "{strategy}")
            assert stem in TEXT, path


def test_every_parameter_and_closed_route_is_documented():
    for key in (
        *STOCK_PARAMETERS,
        *SegmentationTask.parameters,
        *RefineTask.parameters,
        *AnalysisTask.parameters,
    ):
        assert f"`{key}`" in TEXT, key
    for path in CLOSED:
        assert path.removesuffix("_v2") in TEXT, path


def test_the_limits_are_those_of_the_server():
    assert f"{ServerLimits().max_body_bytes // 1024**2} MiB | `TUMORLENS_MAX_UPLOAD_MB`" in TEXT
    assert f"{ServerLimits().cache_bytes // 1024**2} MiB | `TUMORLENS_CACHE_MB`" in TEXT
    assert f"1 runs, {DEFAULT_WAITING} wait" in TEXT


def test_the_example_reply_follows_the_schema():
    schema = json.loads((DOCS / "reply.schema.json").read_text(encoding="utf-8"))
    examples = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]
    replies = [example for example in examples if "schema_version" in example]
    assert len(replies) == 1
    jsonschema.validate(replies[0], schema)
