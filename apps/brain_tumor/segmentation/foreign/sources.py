"""What a folder from elsewhere holds: a MONAI bundle, or a result folder of nnU-Net v2.

Configurations are read as data. An expression ("$...") or a reference ("@...") where a value is
needed is refused; nothing of a bundle is imported, evaluated or unpickled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.errors import FileFormatError, InputError
from brain_tumor.labels import Label, Region
from brain_tumor.segmentation.foreign.adapter import (
    BACKGROUND,
    AdaptedSpec,
)
from brain_tumor.segmentation.foreign.plain_unet import without_copies
from brain_tumor.segmentation.foreign.torchscript import read_torchscript

MAX_CONFIG_BYTES = 4 * 1024**2
PICKLED = (".pt", ".pth", ".pkl", ".ckpt", ".bin")
LICENCE_NAMES = (
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "docs/data_license.txt",
    "data_license.txt",
)
_PREFIXES = ("module.", "_orig_mod.", "network.", "net.")

_SEQUENCE_WORDS: Mapping[str, MriSequence] = {
    **{"t1": MriSequence.T1, "t1w": MriSequence.T1, "t1n": MriSequence.T1},
    **{"t1c": MriSequence.T1C, "t1ce": MriSequence.T1C, "t1gd": MriSequence.T1C},
    **{"t2": MriSequence.T2, "t2w": MriSequence.T2},
    **{"flair": MriSequence.FLAIR, "t2f": MriSequence.FLAIR, "t2flair": MriSequence.FLAIR},
}
_OUTPUT_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("wt", "wholetumor", "wholetumour", "whole"), Region.WT.value),
    **dict.fromkeys(("tc", "tumorcore", "tumourcore", "core"), Region.TC.value),
    **dict.fromkeys(("et", "enhancingtumor", "enhancingtumour", "enhancing"), Region.ET.value),
    **dict.fromkeys(("background", "bg"), BACKGROUND),
    **dict.fromkeys(("ncr", "necroticcore", "necrosis", "ncrnet", "nonenhancing"), Label.NCR.name),
    **dict.fromkeys(("ed", "edema", "oedema", "peritumoraledema"), Label.ED.name),
}


@dataclass(frozen=True)
class Told:
    """What the person who imports tells; empty where the folder shall.

    Attributes:
        channels: Our sequence of each input channel.
        outputs: See `AdaptedSpec.outputs`.
        spacing_mm: Voxel size; None takes the folder's, else 1 mm.
        orientation: Of its arrays.
    """

    channels: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    spacing_mm: tuple[float, float, float] | None = None
    orientation: str = ""


@dataclass(frozen=True, eq=False)
class ForeignModel:
    """A model that was read.

    Attributes:
        title: What the folder calls it; any text.
        kind: What the folder is.
        spec: How it is used.
        state: Its weights.
        licences: Licence files by name.
    """

    title: str
    kind: str
    spec: AdaptedSpec
    state: Mapping[str, torch.Tensor]
    licences: Mapping[str, str]


def read_foreign(folder: Path, told: Told) -> ForeignModel:
    """Read a folder.

    Raises:
        FileFormatError: If it is neither a MONAI bundle nor a result folder of nnU-Net v2, or a
            file of it cannot be read.
        InputError: If channels or labels are neither told nor recognised, or only pickled weights
            are there.
        ModelError: If the network is none that is known.
    """
    if (folder / "configs/metadata.json").is_file():
        return _read_bundle(folder, told)
    if (folder / "plans.json").is_file() and (folder / "dataset.json").is_file():
        return _read_nnunet(folder, told)
    raise FileFormatError(
        f"{folder.name} is no model folder; expected configs/metadata.json (MONAI bundle) or "
        "plans.json and dataset.json (nnU-Net v2)",
        remedy="Name the folder of the bundle, or of nnU-Net's trainer and configuration.",
    )


def _read_bundle(folder: Path, told: Told) -> ForeignModel:
    """Layout of MONAI's model zoo, such as brats_mri_segmentation."""
    metadata = _read_json(folder / "configs/metadata.json")
    inference = _read_json(folder / "configs/inference.json")
    try:
        network = _resolved(inference, inference["network_def"])
        architecture = str(network["_target_"]).rsplit(".", 1)[-1]
        arguments = {k: _resolved(inference, v) for k, v in network.items() if k[0] != "_"}
    except (KeyError, TypeError) as error:
        raise FileFormatError(
            f"inference.json of {folder.name} describes no network (network_def with _target_)"
        ) from error
    formats = metadata.get("network_data_format", {})
    spec = AdaptedSpec(
        architecture=architecture,
        arguments=arguments,
        channels=told.channels or _channels(_definitions(formats, "inputs", "image")),
        outputs=told.outputs or _outputs(_definitions(formats, "outputs", "pred")),
        spacing_mm=told.spacing_mm or (1.0, 1.0, 1.0),
        orientation=told.orientation or "RAS",
        window=_window(inference),
    )
    state = _weights(
        folder,
        ("models/model.safetensors", "model.safetensors", "models/model.ts", "model.ts"),
        "python -m monai.bundle ckpt_export (TorchScript)",
    )
    title = f"{metadata.get('name', folder.name)} {metadata.get('version', '')}".strip()
    return ForeignModel(title, "MONAI bundle", spec, state, _licences(folder))


def _read_nnunet(folder: Path, told: Told) -> ForeignModel:
    """Layout of nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION."""
    plans, dataset = _read_json(folder / "plans.json"), _read_json(folder / "dataset.json")
    try:
        configuration = plans["configurations"]["3d_fullres"]
        network = configuration["architecture"]
        architecture = str(network["network_class_name"]).rsplit(".", 1)[-1]
        given = network["arch_kwargs"]
        forward = [int(axis) for axis in plans.get("transpose_forward", (0, 1, 2))]
        spacing = [float(mm) for mm in configuration["spacing"]]
        patch = [int(n) for n in configuration["patch_size"]]
        names = dataset["channel_names"]
        labels = dataset["labels"]
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"plans.json of {folder.name} is not read: {error!r:.80}; expected the 3d_fullres "
            "configuration of nnU-Net 2.3 or newer"
        ) from error
    outputs = told.outputs or _nnunet_outputs(labels)
    arguments = {
        "in_channels": len(names),
        "out_channels": len(outputs),
        **{
            key: given[key]
            for key in (
                *("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage"),
                *("n_conv_per_stage_decoder", "conv_bias"),
            )
            if key in given
        },
    }
    # its arrays run z, y, x and are then transposed; spacing and patch are in that order
    axes = tuple((2, 1, 0)[axis] for axis in forward)
    placed = {axis: spacing[place] for place, axis in enumerate(axes)}
    spec = AdaptedSpec(
        architecture=architecture,
        arguments=arguments,
        channels=told.channels or _channels(names),
        outputs=outputs,
        spacing_mm=told.spacing_mm or (placed[0], placed[1], placed[2]),
        orientation=told.orientation or "LPS",
        axes=(axes[0], axes[1], axes[2]),
        window=(patch[0], patch[1], patch[2]),
    )
    places = [f"fold_{n}/model.safetensors" for n in ("all", 0, 1, 2, 3, 4)]
    state = _weights(
        folder,
        ("model.safetensors", *places),
        "safetensors.torch.save_file(torch.load(FILE)['network_weights'], 'model.safetensors')",
    )
    return ForeignModel(
        str(plans.get("dataset_name", folder.name)),
        "nnU-Net v2 result folder",
        spec,
        without_copies(dict(state)),
        _licences(folder),
    )


def _weights(folder: Path, places: Sequence[str], remedy: str) -> dict[str, torch.Tensor]:
    """Weights of the first file that is there.

    Raises:
        InputError: If there are none, or only pickled ones.
    """
    for place in places:
        path = folder / place
        if path.is_file():
            state = read_torchscript(path) if path.suffix == ".ts" else _safetensors(path)
            return _without_prefix(state)
    pickled = [p.name for p in sorted(folder.rglob("*")) if p.suffix in PICKLED][:3]
    found = f"{', '.join(pickled)}, which could run a program when they are read" if pickled else ""
    raise InputError(
        f"{folder.name} holds no weights that can be read safely; expected {' or '.join(places)}, "
        f"found {found or 'none'}",
        remedy=f"Where you trust the folder, export them: {remedy}.",
    )


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        state: dict[str, torch.Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise FileFormatError(f"{path.name} cannot be read: {error!s:.80}") from error
    return state


def _without_prefix(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names without what wrappers of networks put before all of them."""
    for prefix in _PREFIXES:
        if state and all(name.startswith(prefix) for name in state):
            return {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise FileFormatError(f"{path.name} is larger than 4 MiB; expected a configuration")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileFormatError(f"{path.parent.parent.name} has no {path.name}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path.name} cannot be read as JSON") from error
    if not isinstance(content, dict):
        raise FileFormatError(f"{path.name} holds no JSON object")
    return content


def _resolved(config: Mapping[str, Any], value: Any, depth: int = 0) -> Any:
    """A value, or the plain value that a reference "@name" leads to.

    Raises:
        FileFormatError: If it is an expression, or leads nowhere.
    """
    if not isinstance(value, str) or value[:1] not in ("@", "$", "%"):
        return value
    name = value[1:]
    if value[0] == "@" and depth < 5 and isinstance(config.get(name), str | int | float | list):
        return _resolved(config, config[name], depth + 1)
    raise FileFormatError(
        f"inference.json holds the expression {value[:60]!r}; expected a plain value",
        remedy="Write the value itself; expressions of a bundle are never run.",
    )


def _definitions(formats: Any, side: str, name: str) -> Any:
    """Entry `channel_def` of the data formats."""
    try:
        return formats[side][name]["channel_def"]
    except (KeyError, TypeError):
        return {}


def _ordered(definitions: Any) -> list[str]:
    """Names by their number."""
    try:
        return [str(definitions[key]) for key in sorted(definitions, key=int)]
    except (TypeError, ValueError, KeyError):
        return []


def _word(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _channels(definitions: Any) -> tuple[str, ...]:
    """Sequences that names of channels tell.

    Raises:
        InputError: If one is not known.
    """
    return _told_by_names(
        definitions,
        {word: sequence.value for word, sequence in _SEQUENCE_WORDS.items()},
        "channels do not tell the sequences",
        "Name them in the order of the network: --channels t1c,t1,t2,flair.",
    )


def _outputs(definitions: Any) -> tuple[str, ...]:
    """Regions or labels that names of outputs tell.

    Raises:
        InputError: If one is not known.
    """
    return _told_by_names(
        definitions,
        _OUTPUT_WORDS,
        "outputs do not tell the labels",
        "Name them in the order of the network: --labels TC,WT,ET, or "
        "--labels background,NCR,ED,ET.",
    )


def _told_by_names(
    definitions: Any, words: Mapping[str, str], what: str, remedy: str
) -> tuple[str, ...]:
    names = _ordered(definitions)
    found = [words[word] for word in map(_word, names) if word in words]
    if not found or len(found) < len(names):
        shown = ", ".join(names)[:80] or "-"
        raise InputError(f"the names of the {what}: {shown}", remedy=remedy)
    return tuple(found)


def _nnunet_outputs(labels: Any) -> tuple[str, ...]:
    """Outputs of a network of nnU-Net: regions in the order of dataset.json, or labels by value."""
    entries = [(str(name), value) for name, value in dict(labels).items()]
    regions = [name for name, value in entries if isinstance(value, list | tuple)]
    if regions:
        named = [name for name, value in entries if value not in (0, [0])]
        return _outputs(dict(enumerate(named)))
    return _outputs({int(value): name for name, value in entries})


def _window(inference: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """Window of the inferer, if it is plain."""
    inferer = inference.get("inferer")
    size = inferer.get("roi_size") if isinstance(inferer, dict) else None
    if isinstance(size, list) and len(size) == 3 and all(isinstance(n, int) for n in size):
        return size[0], size[1], size[2]
    return None


def _licences(folder: Path) -> dict[str, str]:
    """Licence files, whose terms stay with the weights."""
    found = {}
    for name in LICENCE_NAMES:
        path = folder / name
        if path.is_file() and path.stat().st_size < MAX_CONFIG_BYTES:
            found[Path(name).name] = path.read_text(encoding="utf-8", errors="replace")
    return found


def parse_outputs(text: str) -> tuple[str, ...]:
    """Outputs that a person tells.

    Raises:
        InputError: If a name is not known.

    Example:
        >>> parse_outputs("TC, WT, ET"), parse_outputs("background,ED,NCR,ET")
        (('TC', 'WT', 'ET'), ('background', 'ED', 'NCR', 'ET'))
    """
    return _outputs(dict(enumerate(text.split(","))))


def parse_channels(text: str) -> tuple[str, ...]:
    """Sequences that a person tells.

    Raises:
        InputError: If a name is not known.

    Example:
        >>> parse_channels("t1ce,T1,T2,FLAIR")
        ('t1c', 't1', 't2', 'flair')
    """
    return _channels(dict(enumerate(text.split(","))))
