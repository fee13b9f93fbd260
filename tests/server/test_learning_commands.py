import json

import pytest
from brain_tumor.cli import main
from brain_tumor.server.learning.commands import open_registry

from tests.helpers.learning import BETTER, KEPT, gate, write_bundle, write_models
from tests.helpers.server import write_label


@pytest.fixture
def registry(tmp_path, monkeypatch):
    monkeypatch.setenv("TUMORLENS_MODELS", str(write_models(tmp_path / "models")))
    registry = open_registry(tmp_path / "studies")
    source = write_bundle(tmp_path / "candidate", version="0.1.1", seed=3)
    registry.add(source, data={}, metrics={})
    return registry


def run(capsys, *arguments):
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_versions_are_listed_promoted_and_taken_back(registry, tmp_path, capsys):
    studies = ["--studies", str(tmp_path / "studies")]
    code, text = run(capsys, "models", "list", *studies)
    assert code == 0
    assert [line.split()[:3] for line in text.splitlines()] == [
        ["segmentation", "0.1.0", "active"],
        ["segmentation", "0.1.1", "candidate"],
        ["tumor_core", "0.1.0", "active"],
    ]
    code, text = run(capsys, "models", "promote", "segmentation", "0.1.1", *studies)
    assert (code, "was not judged" in text) == (2, True)
    registry.record_decision("segmentation", "0.1.1", gate(BETTER, KEPT).to_json())
    page = tmp_path / "report.html"
    code, text = run(
        capsys,
        "models",
        "promote",
        "segmentation",
        "0.1.1",
        "--dry-run",
        "--report",
        str(page),
        *studies,
    )
    assert "segmentation 0.1.1 may be promoted" in text
    assert "may be promoted" in page.read_text()
    assert registry.active_record("segmentation").version == "0.1.0"
    assert run(capsys, "models", "promote", "segmentation", "0.1.1", *studies)[0] == 0
    assert registry.active_record("segmentation").version == "0.1.1"
    code, text = run(capsys, "models", "rollback", "segmentation", *studies)
    assert text == "segmentation 0.1.0 is active\n"
    assert registry.active_record("segmentation").version == "0.1.0"


def test_a_person_can_override_the_gate(registry, tmp_path, capsys):
    arguments = ["--studies", str(tmp_path / "studies"), "--override", "audit 7"]
    assert run(capsys, "models", "promote", "segmentation", "0.1.1", *arguments)[0] == 0
    assert registry.active_record("segmentation").version == "0.1.1"


def test_corrections_are_listed_and_exported_with_their_files(client, tmp_path, studies, capsys):
    label = write_label(tmp_path / "label.nii.gz").read_bytes()
    client.put(
        "/datastore/label?image=FULL",
        files={"label": ("l.nii.gz", label)},
        data={"params": '{"client_id": "anna"}'},
    )
    client.post("/corrections/type", json={"image": "LONE", "type": "glioma"})
    given = ["--studies", str(studies)]
    _, text = run(capsys, "corrections", "list", *given)
    assert [line.split()[2:4] for line in text.splitlines()] == [["FULL", "mask"], ["LONE", "type"]]
    output = tmp_path / "export"
    code, text = run(capsys, "corrections", "export", "--output", str(output), *given)
    assert (code, "2 corrections and 1 label files" in text) == (0, True)
    mask, kind = map(json.loads, (output / "corrections.jsonl").read_text().splitlines())
    assert (output / mask["file"]).read_bytes() == label
    assert (mask["annotator"], kind["payload"]["type"]) == ("anna", "glioma")
    assert run(capsys, "corrections", "export", *given)[0] == 2


def test_a_folder_without_a_ledger_says_so(tmp_path, capsys):
    code, text = run(capsys, "corrections", "list", "--studies", str(tmp_path))
    assert (code, "has no ledger yet" in text) == (2, True)
    assert not list(tmp_path.iterdir())
