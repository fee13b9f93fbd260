"""The bundles in `models/` as MONAI bundles: what MONAI's tools need beside weights and metadata.

`configs/inference.json`, `train.json` and `evaluate.json` are programs for `python -m monai.bundle
run`; they call this package, so that a bundle and the server give the same answers. Write them
again after a training or a measurement with `python -m brain_tumor.monai_bundles models`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from brain_tumor.bundles import METADATA, Bundle, read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.cases.files.durable import write_durably
from brain_tumor.cases.files.writers import write_labelmap
from brain_tumor.cases.loading import load_source
from brain_tumor.cases.source_trees import find_cases
from brain_tumor.classification.model.network import NetworkArguments, load_network
from brain_tumor.concepts.head import read_concepts
from brain_tumor.errors import InputError
from brain_tumor.explanation.analyst import AnalysedCase, Analyst
from brain_tumor.explanation.case_report import result_sections
from brain_tumor.explanation.type_reader import load_type_reader
from brain_tumor.model_names import ModelName
from brain_tumor.segmentation.joint import JointSegmenter
from brain_tumor.segmentation.segmenter import load_segmenter
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter
from brain_tumor.segmentation.subregions.networks import network_from_metadata
from brain_tumor.segmentation.tumor_core.network import CoreNetworkArguments, load_core_network
from brain_tumor.segmentation.tumor_core.segmenter import TumorCoreSegmenter
from brain_tumor.segmentation.whole_head import network as whole_head

SCHEMA = "https://project-monai.github.io/schema/meta_schema_20240725.json"
CONFIGS = METADATA.parent
OUTLINING = (ModelName.SEGMENTATION, ModelName.WHOLE_HEAD, ModelName.TUMOR_CORE)
PACKAGES = {"nibabel": "5.4.2", "safetensors": "0.8.0", "tumorlens": "0.1.0"}
LICENCE = "license.txt"
_FORMATS: Mapping[str, Mapping[str, Any]] = {
    ModelName.SEGMENTATION.value: {"shape": ["16*n", "16*n", "16*n"], "range": [-10, 10]},
    ModelName.WHOLE_HEAD.value: {"shape": ["16*n", "16*n"], "range": [-10, 10]},
    ModelName.TUMOR_CORE.value: {"shape": ["32*n", "32*n"], "range": [-3, 5]},
    ModelName.CLASSIFICATION.value: {"shape": [144, 144], "range": [-3, 5], "out": []},
    ModelName.CONCEPTS.value: {"shape": [], "range": [], "out": []},
}


class TypesOfSlices(nn.Module):
    """The classifier for MONAI's check of shapes: slices alone, no outline, nothing measured.

    Args:
        bundle: Of the classifier.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        arguments = NetworkArguments.from_json(bundle.metadata.get("network", {}))
        self.network = load_network(arguments, bundle.weights())
        self._count = len(arguments.features)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Logits of the types, (N, 3), for normalised slices (N, 1, H, W)."""
        unmeasured = torch.full((len(slices), self._count), torch.nan)
        whole = torch.ones_like(slices)
        return self.network.name(self.network.see(slices), whole, unmeasured).fused


def network_of(bundle_root: str) -> nn.Module:
    """Network of a bundle with its weights, from one tensor to one tensor, in evaluation mode.

    Args:
        bundle_root: Folder of the bundle.

    Raises:
        ModelError: If the bundle is damaged.
        InputError: If it is none of ours.
    """
    bundle = read_bundle(Path(bundle_root))
    name, weights = bundle.version.name, bundle.weights()
    network: nn.Module
    if name == ModelName.SEGMENTATION:
        network = network_from_metadata(bundle.metadata, weights)
    elif name == ModelName.WHOLE_HEAD:
        network = whole_head.network_from_metadata(bundle.metadata, weights)
    elif name == ModelName.TUMOR_CORE:
        arguments = CoreNetworkArguments.from_json(bundle.metadata["network"])
        network = load_core_network(arguments, weights)
    elif name == ModelName.CLASSIFICATION:
        network = TypesOfSlices(bundle)
    elif name == ModelName.CONCEPTS:
        network = read_concepts(Path(bundle_root)).head
    else:
        raise InputError(f"'{name}' is no model of this project")
    return network.eval()


def run_inference(bundle_root: str, dataset_dir: str, output_dir: str) -> int:
    """Read every case of a folder with a bundle, as the server does.

    Args:
        bundle_root: Folder of the bundle; its neighbours are used where it needs them.
        dataset_dir: A case, or a folder of cases.
        output_dir: Gets a folder a case, with `labelmap.nii.gz` and `result.json`.

    Returns:
        Number of cases.

    Raises:
        InputError: If there is no case, or one cannot be used.
        ModelError: If a bundle is missing or damaged.
    """
    root = Path(bundle_root).resolve()
    read = _reader_of(root)
    count = 0
    for found in find_cases(Path(dataset_dir)):
        if found.source is None:
            raise found.error or InputError(f"{found.name} holds no sequence")
        case = load_source(found.source).case
        result = read(case)
        folder = Path(output_dir) / case.case_id
        folder.mkdir(parents=True, exist_ok=True)
        labelmap = result.segmentation.labelmap
        write_labelmap(folder / "labelmap.nii.gz", labelmap, case.affine)
        text = json.dumps(result_sections(result), indent=1, ensure_ascii=False)
        write_durably(folder / "result.json", text.encode())
        count += 1
    return count


def _reader_of(root: Path) -> Any:
    """What reads a case with a bundle."""
    name = read_bundle(root).version.name
    if name == ModelName.SEGMENTATION:
        subregions = SubregionSegmenter.load(root)
        return lambda case: AnalysedCase(subregions.segment(case))
    if name == ModelName.TUMOR_CORE:
        core = TumorCoreSegmenter.load(root)
        return lambda case: AnalysedCase(core.segment(case))
    models = root.parent
    if name == ModelName.WHOLE_HEAD:
        joint = JointSegmenter.load(models / ModelName.SEGMENTATION, root)
        return lambda case: AnalysedCase(joint.segment(case))
    reader = load_type_reader(models / ModelName.CLASSIFICATION, models / ModelName.CONCEPTS)
    analyst = Analyst(load_segmenter(models), lambda: reader)

    def typed(case: Case) -> AnalysedCase:
        return analyst.analyse(case, second_reader=name == ModelName.CONCEPTS)

    return typed


# What is written beside the weights.


def complete_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata with everything that MONAI's schema asks for."""
    name = str(metadata["name"])
    told = _FORMATS[name]
    formats = metadata["network_data_format"]
    image = formats["inputs"].get("image") or formats["inputs"]["embedding"]
    pred = formats["outputs"].get("pred") or formats["outputs"]["types"]
    shared = {"dtype": "float32", "is_patch_data": False}
    if name == ModelName.CONCEPTS:
        image = {**image, "type": "tuples", "channel_def": {"0": "embedding of a slice"}}
        pred = {**pred, "num_channels": len(pred["channel_def"]), "format": "logits"}
    rest = {k: v for k, v in formats["outputs"].items() if k not in ("pred", "types")}
    return {
        "schema": SCHEMA,
        **{key: value for key, value in metadata.items() if key != "schema"},
        "monai_version": metadata.get("monai_version", "1.6.1"),
        "required_packages_version": PACKAGES,
        "changelog": {metadata["version"]: "see docs/README.md"},
        "network_data_format": {
            "inputs": {
                "image": {
                    "modality": "MR",
                    "spatial_shape": told["shape"],
                    "value_range": told["range"],
                    **shared,
                    **image,
                }
            },
            "outputs": {
                "pred": {
                    "format": "logits",
                    "modality": "n/a",
                    "spatial_shape": told.get("out", told["shape"]),
                    "value_range": [],
                    **shared,
                    **pred,
                },
                **rest,
            },
        },
    }


def configs_of(name: str) -> dict[str, dict[str, Any]]:
    """Content of the configurations of a bundle, by file name."""
    shared = {"bundle_root": ".", "device": "cpu", "dataset_dir": "data"}

    def calling(command: str, *more: str) -> dict[str, Any]:
        arguments = [command, name, "--data", "@dataset_dir", *more, "--output", "@output_dir"]
        called = {"_target_": "brain_tumor.cli.main", "argv": arguments}
        return {"command": called, "run": ["$@command"]}

    configs: dict[str, dict[str, Any]] = {
        "inference.json": {
            **shared,
            "output_dir": "$@bundle_root + '/eval'",
            "network_def": {
                "_target_": "brain_tumor.monai_bundles.network_of",
                "bundle_root": "@bundle_root",
            },
            "network": "$@network_def.to(@device)",
            "command": {
                "_target_": "brain_tumor.monai_bundles.run_inference",
                "bundle_root": "@bundle_root",
                "dataset_dir": "@dataset_dir",
                "output_dir": "@output_dir",
            },
            "run": ["$@command"],
        },
        "train.json": {
            **shared,
            "output_dir": "$@bundle_root + '/runs'",
            "fold": "0",
            **calling("train", *(("--fold", "@fold") if name != ModelName.CONCEPTS else ())),
        },
        "evaluate.json": {
            **shared,
            "output_dir": "$@bundle_root + '/eval/metrics.json'",
            **calling("evaluate", "--models", "$@bundle_root + '/..'"),
        },
    }
    if name == ModelName.CONCEPTS:  # is measured from the runs of its training alone
        del configs["evaluate.json"]
    return configs


def write_layout(folder: Path) -> None:
    """Write what MONAI needs beside the weights; weights and card stay as they are.

    Raises:
        OSError: If the folder is no bundle, or cannot be written.
    """
    metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    files = {METADATA.name: complete_metadata(metadata), **configs_of(str(metadata["name"]))}
    for name, content in files.items():
        text = json.dumps(content, indent=2) + "\n"
        (folder / CONFIGS / name).write_text(text, encoding="utf-8")
    licence = f"{metadata['copyright']}\n\nSee LICENSE of the repository and docs/README.md.\n"
    (folder / "docs" / LICENCE).write_text(licence, encoding="utf-8")


def main() -> None:
    """Write the layout of every bundle of a models folder."""
    for path in sorted(Path(sys.argv[1]).glob(f"*/{METADATA}")):
        write_layout(path.parents[len(METADATA.parts) - 1])


if __name__ == "__main__":
    main()
