"""Tiny bundles and a folder of them, for the tests of the learning loop."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from brain_tumor.bundles import METADATA, WEIGHTS
from brain_tumor.learning.gate.promotion import CaseScore, GateReport, Source, judge
from brain_tumor.learning.registry.registry import CARD, ModelRegistry
from brain_tumor.learning.registry.reloading import active_segmenter
from brain_tumor.learning.retraining.job_folder import Correction, JobFolder, TrainingRequest
from brain_tumor.segmentation.subregions.networks import build_unet
from brain_tumor.segmentation.tumor_core.network import CoreNetwork, CoreNetworkArguments
from brain_tumor.server.app import ServerApp
from safetensors.torch import save_file

from tests.helpers.phantoms import a_glioma_phantom, a_phantom, coarse_spec
from tests.helpers.volumes import write_nifti

CHANNELS = (4, 8)
CORE = CoreNetworkArguments((8, 8, 8, 8))


class SwitchingApp(ServerApp):
    """The app as `main.py` builds it, over tiny models."""

    def load_segmenter(self):
        return active_segmenter(self.registry)


def write_glioma_study(studies: Path) -> Path:
    """One case, P1, of all its sequences."""
    phantom = a_glioma_phantom()
    for sequence, volume in phantom.case.volumes.items():
        name = f"sequences/P1/{sequence.value}.nii.gz"
        if sequence is phantom.case.reference:
            name = "P1.nii.gz"
        write_nifti(studies / name, volume.array, volume.affine)
    return studies


def write_bundle(
    folder: Path, name: str = "segmentation", version: str = "0.1.0", seed: int = 0
) -> Path:
    """Whole bundle with random weights of a tiny network."""
    torch.manual_seed(seed)
    if name == "tumor_core":
        network, arguments = CoreNetwork(CORE), CORE.to_json()
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


def write_corrected_studies(
    folder: Path, count: int, *, held_out: int = 1, first: int = 0
) -> list[Correction]:
    """Studies folder of coarse phantoms with their true masks as corrections.

    Args:
        folder: New folder.
        count: Cases.
        held_out: So many of them, the last ones, are held out.
        first: Number of the first case; other numbers are other patients.
    """
    corrections = []
    for n in range(first, first + count):
        phantom = a_phantom(coarse_spec(seed=n + 1))
        case = f"P{n}"
        for sequence, volume in phantom.case.volumes.items():
            name = f"sequences/{case}/{sequence.value}.nii.gz"
            if sequence is phantom.case.reference:
                name = f"{case}.nii.gz"
            write_nifti(folder / name, volume.array, volume.affine)
        file = f"history/{case}/final/000001.nii.gz"
        path = write_nifti(folder / file, phantom.labelmap, phantom.case.affine)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        is_held_out = n >= first + count - held_out
        corrections.append(Correction(n + 1, case, case, is_held_out, file, digest))
    return corrections


def write_job(folder: Path, model: str = "segmentation", count: int = 3, **more: Any) -> JobFolder:
    """Training job over tiny models and `write_corrected_studies`; a few quick steps."""
    quick = {"replay_phantoms": 1, "base_phantoms": 1, "phantom_spacing_mm": 6.0}
    request = TrainingRequest(
        id="job",
        model=model,
        studies=str(folder / "studies"),
        store=str(folder / "store"),
        shipped=str(write_models(folder / "models")),
        corrections=tuple(write_corrected_studies(folder / "studies", count)),
        **{"max_epochs": 2, "steps_per_epoch": 2, **quick, **more},
    )
    job = JobFolder(folder / "job")
    job.create(request)
    return job
