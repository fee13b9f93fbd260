"""A model from elsewhere over HTTP: kept, judged, served, explained, and taken back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from brain_tumor.bundles import MODELS_ENV, read_bundle
from brain_tumor.cli import main
from brain_tumor.errors import InputError
from brain_tumor.learning.foreign import export_model, import_model
from brain_tumor.learning.retraining.segmentation_tuner import SegmentationTuner
from brain_tumor.segmentation.foreign.sources import Told

from tests.helpers.foreign_models import write_nnunet, write_zoo_bundle
from tests.helpers.learning import (
    BETTER,
    KEPT,
    SwitchingApp,
    gate,
    write_corrected_studies,
    write_glioma_study,
    write_models,
)
from tests.helpers.phantoms import a_glioma_phantom
from tests.helpers.server import parse_reply
from tests.helpers.type_reader import a_type_reader
from tests.server.conftest import refusal

TOLD = Told(spacing_mm=(8.0, 8.0, 8.0))  # a head is one window


class ExplainingApp(SwitchingApp):
    """With a reader of tumour types."""

    def load_type_reader(self):
        return a_type_reader


@pytest.fixture
def studies(tmp_path):
    return write_glioma_study(tmp_path / "studies")


@pytest.fixture
def app(studies, tmp_path, monkeypatch):
    monkeypatch.setenv(MODELS_ENV, str(write_models(tmp_path / "models")))
    return ExplainingApp(app_dir=str(tmp_path), studies=str(studies), conf={})


def version_in_use(client):
    return client.get("/models").json()["segmentation"]["active"]


@pytest.mark.parametrize("write", [write_zoo_bundle, write_nnunet])
def test_from_a_folder_to_heat_and_back(client, app, tmp_path, write):
    found = import_model(app.registry, write(tmp_path / "foreign"), TOLD)
    assert (found.record.version, found.record.state.value) == ("0.2.0", "candidate")
    promote = {"version": "0.2.0", "client_id": "anna"}
    refusal(client.post("/models/segmentation/promote", json=promote), 400)
    app.registry.record_decision("segmentation", "0.2.0", gate(BETTER, KEPT).to_json())
    assert client.post("/models/segmentation/promote", json=promote).json()["active"] == "0.2.0"

    params, files = parse_reply(client.post("/infer/segmentation?image=P1"))
    assert params["models"][0]["sha256"] == found.record.sha256
    assert "imported model" in params["segmentation"]["reason"]
    assert files["image"]

    region = {"target": "WT"}
    told = {"params": json.dumps(region)}
    heat, heat_files = parse_reply(client.post("/infer/explanation?image=P1", data=told))
    assert heat["models"][0]["version"] == "0.2.0"
    assert heat["heatmap"]["target"] == "WT"
    assert heat_files["heatmap"]

    rolled = client.post("/models/segmentation/rollback", json={"client_id": "ben"}).json()
    assert rolled["active"] == version_in_use(client) == "0.1.0"
    params, _ = parse_reply(client.post("/infer/segmentation?image=P1"))
    assert "imported model" not in params["segmentation"]["reason"]


def test_it_is_measured_and_the_gate_says_why_it_stays_out(app, tmp_path):
    cases = tmp_path / "labelled"
    write_corrected_studies(cases, 2)
    for name in ("P0", "P1"):
        label = cases / f"labels/final/{name}.nii.gz"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_bytes((cases / f"history/{name}/final/000001.nii.gz").read_bytes())
    heard = []
    found = import_model(
        app.registry,
        write_zoo_bundle(tmp_path / "foreign"),
        TOLD,
        cases=cases,
        phantoms=(1, 6.0),
        on_case=heard.append,
    )
    assert heard == ["base-P0", "base-P1", "phantom-72000"]
    assert found.report is not None
    assert {score.case for score in found.report.scores} == set(heard)
    assert all(set(score.candidate) == {"WT", "TC", "ET"} for score in found.report.scores)
    assert not found.report.promote
    assert "2 corrected patients are held out; expected at least 5" in found.report.reasons[0]
    assert found.record.state.value == "refused"


def test_what_was_imported_can_be_exported_and_does_not_learn(app, tmp_path):
    found = import_model(app.registry, write_zoo_bundle(tmp_path / "foreign"), TOLD)
    folder = export_model(app.registry, "segmentation", "0.2.0", tmp_path / "out")
    assert read_bundle(folder).version == read_bundle(found.record.path).version
    assert (folder / "LICENSE").read_text() == "Some licence"
    assert not (folder / "version.json").exists()
    with pytest.raises(InputError, match="exists already"):
        export_model(app.registry, "segmentation", "0.2.0", tmp_path / "out")
    with pytest.raises(InputError, match="was imported; it does not learn"):
        SegmentationTuner(found.record.path)


def test_the_command_line_imports_lists_and_exports(studies, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(MODELS_ENV, str(write_models(tmp_path / "models")))
    folder = str(write_zoo_bundle(tmp_path / "foreign"))
    at = ["--studies", str(studies)]
    assert main(["models", "import", folder, "--spacing", "8,8,8", *at]) == 0
    assert "segmentation 0.2.0 is kept" in capsys.readouterr().out
    assert main(["models", "list", *at]) == 0
    assert "segmentation     0.2.0      candidate" in capsys.readouterr().out
    out = ["--output", str(tmp_path / "out")]
    assert main(["models", "export", "segmentation", "0.2.0", *out, *at]) == 0
    assert (tmp_path / "out/segmentation-0.2.0/configs/metadata.json").is_file()
    assert main(["models", "import", str(tmp_path), *at]) == 2
    assert "is no model folder" in capsys.readouterr().err


def test_an_imported_model_warns_of_what_it_never_saw(app, tmp_path):
    from brain_tumor.cases.sequences import Sequence
    from brain_tumor.segmentation.subregions.inference import SubregionSegmenter

    found = import_model(app.registry, write_zoo_bundle(tmp_path / "foreign"), TOLD)
    segmenter = SubregionSegmenter.load(found.record.path)
    case = a_glioma_phantom().case
    without = {s: v for s, v in case.volumes.items() if s is not Sequence.FLAIR}
    result = segmenter.segment(type(case)("P1", case.reference, without))
    assert "was trained with flair" in result.warnings[0]
    assert result.labelmap.shape == case.shape
    assert np.isin(result.labelmap, (0, 1, 2, 3)).all()
