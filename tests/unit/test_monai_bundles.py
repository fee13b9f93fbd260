"""The shipped bundles with MONAI's own tools: metadata, shapes, and a run beside our pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from brain_tumor.bundles import METADATA, WEIGHTS, models_folder
from brain_tumor.cases.files.writers import write_volume
from brain_tumor.cli import build_parser
from brain_tumor.labels import Region, region_mask
from brain_tumor.model_names import ModelName
from brain_tumor.monai_bundles import configs_of, write_layout
from brain_tumor.segmentation.metrics.overlap import dice
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter
from monai.bundle import ConfigParser, run, verify_metadata, verify_net_in_out

from tests.helpers.phantoms import a_glioma_phantom

NAMES = tuple(name.value for name in ModelName)
TENSOR = ("type", "format", "modality", "num_channels", "spatial_shape", "dtype", "value_range")


def a_schema() -> dict[str, Any]:
    """What the specification of MONAI bundles asks for, written down here; nothing is fetched."""
    tensor = {
        "type": "object",
        "required": [*TENSOR, "is_patch_data", "channel_def"],
        "properties": {
            "num_channels": {"type": "integer"},
            "spatial_shape": {"type": "array"},
            "value_range": {"type": "array"},
            "is_patch_data": {"type": "boolean"},
            "channel_def": {"type": "object"},
        },
    }
    sides = {
        side: {"type": "object", "required": [name], "properties": {name: tensor}}
        for side, name in (("inputs", "image"), ("outputs", "pred"))
    }
    texts = ("version", "monai_version", "pytorch_version", "numpy_version", "task", "authors")
    return {
        "type": "object",
        "required": [
            *texts,
            *("description", "copyright", "required_packages_version", "network_data_format"),
        ],
        "properties": {
            **{text: {"type": "string"} for text in texts},
            "required_packages_version": {"type": "object"},
            "network_data_format": {"type": "object", "required": [*sides], "properties": sides},
        },
    }


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(a_schema()))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_metadata_have_what_monai_asks_for(name: str, schema: Path) -> None:
    verify_metadata(meta_file=str(models_folder() / name / METADATA), filepath=str(schema))


def test_metadata_that_lack_something_are_refused(schema: Path, tmp_path: Path) -> None:
    metadata = json.loads((models_folder() / "segmentation" / METADATA).read_text())
    del metadata["network_data_format"]["inputs"]["image"]["modality"]
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match="modality"):
        verify_metadata(meta_file=str(tmp_path / "metadata.json"), filepath=str(schema))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_beside_the_weights_is_up_to_date(name: str, tmp_path: Path) -> None:
    bundle = models_folder() / name
    copy = tmp_path / name
    (copy / "configs").mkdir(parents=True)
    (copy / "docs").mkdir()
    (copy / METADATA).write_text((bundle / METADATA).read_text(encoding="utf-8"))
    write_layout(copy)
    for path in [p for p in copy.rglob("*") if p.is_file()]:
        written = (bundle / path.relative_to(copy)).read_text(encoding="utf-8")
        assert path.read_text(encoding="utf-8") == written, path.name
    assert {path.name for path in (bundle / "configs").glob("*.json")} >= set(configs_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_programs_of_a_bundle_are_commands_that_exist(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr("brain_tumor.cli.main", lambda argv: asked.append(argv))
    for file in ("train.json", "evaluate.json"):
        path = models_folder() / name / "configs" / file
        if file in configs_of(name):
            parser = ConfigParser()
            parser.read_config(str(path))
            parser["dataset_dir"] = "DATA"
            parser.parse(reset=True)
            parser.get_parsed_content("run")
    for arguments in asked:
        assert build_parser().parse_args(arguments).data == Path("DATA")
    assert [arguments[:2] for arguments in asked] == [
        [file.removesuffix(".json"), name]
        for file in ("train.json", "evaluate.json")
        if file in configs_of(name)
    ]


@pytest.mark.model
@pytest.mark.parametrize("name", NAMES)
def test_the_network_takes_and_gives_what_the_metadata_say(name: str) -> None:
    bundle = models_folder() / name
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(bundle / METADATA),
        config_file=str(bundle / "configs/inference.json"),
        device="cpu",
        n=2,
        bundle_root=str(bundle),
    )


@pytest.mark.model
def test_a_run_of_monai_outlines_what_our_pipeline_outlines(tmp_path: Path) -> None:
    case = a_glioma_phantom().case
    for sequence, volume in case.volumes.items():
        path = tmp_path / "data/P1" / f"{sequence.value}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, volume)
    bundle = models_folder() / "segmentation"
    run(
        config_file=str(bundle / "configs/inference.json"),
        meta_file=str(bundle / METADATA),
        bundle_root=str(bundle),
        dataset_dir=str(tmp_path / "data"),
        output_dir=str(tmp_path / "out"),
    )
    image = nib.load(tmp_path / "out/P1/labelmap.nii.gz")
    found = np.asarray(image.dataobj).astype(np.uint8)
    ours = SubregionSegmenter.load(bundle).segment(case).labelmap
    assert ours.any()
    assert dice(region_mask(found, Region.WT), region_mask(ours, Region.WT)) > 0.97
    told = json.loads((tmp_path / "out/P1/result.json").read_text())
    assert told["segmentation"]["model"] == "segmentation"
    assert (bundle / WEIGHTS).is_file()
