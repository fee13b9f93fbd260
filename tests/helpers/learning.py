"""Tiny bundles and a folder of them, for the tests of the learning loop."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from brain_tumor.bundles import METADATA, WEIGHTS
from brain_tumor.learning.promotion import CaseScore, GateReport, Source, judge
from brain_tumor.learning.registry import CARD, ModelRegistry
from brain_tumor.segmentation.networks import build_unet
from brain_tumor.segmentation.tumor_core_network import CoreNetworkArguments, build_core_network
from safetensors.torch import save_file

CHANNELS = (4, 8)
CORE = CoreNetworkArguments(channels=(4, 8), res_units=1)


def write_bundle(
    folder: Path, name: str = "segmentation", version: str = "0.1.0", seed: int = 0
) -> Path:
    """Whole bundle with random weights of a tiny network."""
    torch.manual_seed(seed)
    if name == "tumor_core":
        network, arguments = build_core_network(CORE), {"name": "UNet", **CORE.to_json()}
    else:
        network, arguments = build_unet(CHANNELS), {"name": "UNet", "channels": list(CHANNELS)}
    for file in (METADATA, WEIGHTS, CARD):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / WEIGHTS)
    metadata = {"name": name, "version": version, "network": arguments}
    (folder / METADATA).write_text(json.dumps(metadata))
    (folder / CARD).write_text(f"# {name} {version}\n")
    return folder


def write_models(folder: Path) -> Path:
    """Models folder with the two bundles of the segmentation task."""
    write_bundle(folder / "segmentation", "segmentation", seed=1)
    write_bundle(folder / "tumor_core", "tumor_core", seed=2)
    return folder


def a_registry(folder: Path) -> ModelRegistry:
    """Registry over `write_models` with an empty store."""
    return ModelRegistry(write_models(folder / "models"), folder / "store")


REGIONS = ("WT", "TC", "ET")


def scores(
    source: Source,
    gains: Iterable[float],
    *,
    start: float = 0.7,
    groups: Mapping[str, str] | None = None,
    region_gain: Mapping[str, float] | None = None,
) -> list[CaseScore]:
    """One case a patient; every region gains the same unless one is named."""
    found = []
    for n, gain in enumerate(gains):
        current = dict.fromkeys(REGIONS, start)
        candidate = {r: start + (region_gain or {}).get(r, gain) for r in REGIONS}
        name = f"{source.value}-{n}"
        found.append(CaseScore(name, name, source, current, candidate, groups or {}))
    return found


def gate(*parts: list[CaseScore]) -> GateReport:
    """What the gate says about scores."""
    flat = [score for part in parts for score in part]
    return judge(flat, model="segmentation", current="0.1.0", candidate="0.1.1")


BETTER = scores(Source.CORRECTIONS, [0.05, 0.07, 0.04, 0.08, 0.06, 0.05])
KEPT = scores(Source.BASE, [0.0] * 8)
