"""What folders from elsewhere tell, and what of them is never run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from brain_tumor.errors import FileFormatError, InputError
from brain_tumor.segmentation.foreign.adapter import adapted_network
from brain_tumor.segmentation.foreign.sources import (
    Told,
    parse_channels,
    parse_outputs,
    read_foreign,
)

from tests.helpers.foreign_models import a_segresnet, write_json, write_nnunet, write_zoo_bundle


def test_a_bundle_of_the_zoo_tells_everything(tmp_path: Path) -> None:
    found = read_foreign(write_zoo_bundle(tmp_path / "zoo"), Told())
    assert found.spec.channels == ("t1c", "t1", "t2", "flair")
    assert found.spec.outputs == ("TC", "WT", "ET")
    assert found.spec.window == (32, 32, 32)
    assert found.spec.orientation == "RAS"
    assert (found.title, found.licences) == ("tiny zoo 0.5.0", {"LICENSE": "Some licence"})
    wanted = a_segresnet().state_dict()
    assert all(torch.equal(found.state[name], value) for name, value in wanted.items())


def test_nnunet_runs_along_z_y_x_and_says_so(tmp_path: Path) -> None:
    found = read_foreign(write_nnunet(tmp_path / "nnunet"), Told())
    assert found.spec.axes == (2, 1, 0)
    assert found.spec.spacing_mm == (1.5, 2.0, 2.5)  # x, y, z
    assert found.spec.window == (32, 48, 64)  # its own order
    assert found.spec.orientation == "LPS"
    assert found.spec.outputs == ("WT", "TC", "ET")
    network = adapted_network(found.spec.to_json(), found.state)
    with torch.no_grad():
        assert network(torch.randn(1, 4, 16, 16, 32)).shape == (1, 4, 16, 16, 32)
    assert network.multiple == 16


def test_what_is_told_goes_before_what_the_folder_says(tmp_path: Path) -> None:
    told = Told(("flair", "t2", "t1", "t1c"), ("ET", "WT", "TC"), (2.0, 2.0, 2.0), "LPS")
    spec = read_foreign(write_zoo_bundle(tmp_path / "zoo"), told).spec
    assert (spec.channels, spec.outputs) == (told.channels, told.outputs)
    assert (spec.spacing_mm, spec.orientation) == (told.spacing_mm, "LPS")


def test_an_expression_of_a_bundle_is_never_run(tmp_path: Path) -> None:
    evil = f"$__import__('pathlib').Path({str(tmp_path / 'ran')!r}).touch()"
    folder = write_zoo_bundle(tmp_path / "zoo", network_def=evil)
    with pytest.raises(FileFormatError, match="expression"):
        read_foreign(folder, Told())
    other = write_zoo_bundle(
        tmp_path / "other", network_def={"_target_": "SegResNet", "init_filters": evil}
    )
    with pytest.raises(FileFormatError, match="expression"):
        read_foreign(other, Told())
    assert not (tmp_path / "ran").exists()


def test_a_reference_to_a_plain_value_is_followed(tmp_path: Path) -> None:
    config = json.loads((write_zoo_bundle(tmp_path / "a") / "configs/inference.json").read_text())
    config["network_def"]["init_filters"] = "@filters"
    folder = write_zoo_bundle(
        tmp_path / "b", network_def=config["network_def"], filters="@more", more=8
    )
    assert read_foreign(folder, Told()).spec.arguments["init_filters"] == 8
    endless = write_zoo_bundle(
        tmp_path / "c", network_def=config["network_def"], filters="@filters"
    )
    with pytest.raises(FileFormatError, match="expression"):
        read_foreign(endless, Told())


def test_pickled_weights_are_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = write_zoo_bundle(tmp_path / "zoo")
    (folder / "models/model.safetensors").rename(folder / "models/model.pt")
    with pytest.raises(InputError, match=r"model\.pt, which could run a program") as raised:
        read_foreign(folder, Told())
    assert "TorchScript" in raised.value.remedy


def test_weights_of_torchscript_are_read(tmp_path: Path) -> None:
    found = read_foreign(write_zoo_bundle(tmp_path / "zoo", torchscript=True), Told())
    assert found.state["0.weight"].shape == (3, 4, 1, 1, 1)


def test_names_that_tell_nothing_have_to_be_told(tmp_path: Path) -> None:
    folder = write_zoo_bundle(tmp_path / "zoo")
    metadata = json.loads((folder / "configs/metadata.json").read_text())
    formats = metadata["network_data_format"]
    formats["inputs"]["image"]["channel_def"] = {"0": "image"}
    write_json(folder / "configs/metadata.json", metadata)
    with pytest.raises(InputError, match="names of the channels") as raised:
        read_foreign(folder, Told())
    assert "--channels" in raised.value.remedy
    formats["outputs"]["pred"]["channel_def"] = {"0": "tumor"}
    write_json(folder / "configs/metadata.json", metadata)
    with pytest.raises(InputError, match="names of the outputs") as raised:
        read_foreign(folder, Told(channels=("t1c",)))
    assert "--labels" in raised.value.remedy


@pytest.mark.parametrize(
    "name", ["configs/inference.json", "configs/metadata.json", "models/model.safetensors"]
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write_zoo_bundle(tmp_path / "zoo")
    (folder / name).write_bytes(b"[1]")
    with pytest.raises(FileFormatError, match=Path(name).name.replace(".", r"\.")):
        read_foreign(folder, Told())


def test_a_folder_of_anything_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="is no model folder"):
        read_foreign(tmp_path, Told())


@pytest.mark.parametrize("text", ["", "t1,pd", "WT"])
def test_unknown_sequences_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="names of the channels"):
        parse_channels(text)


def test_unknown_labels_are_refused() -> None:
    with pytest.raises(InputError, match="names of the outputs"):
        parse_outputs("WT,liver")
