"""From a finished run of the whole-head network to a MONAI bundle."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from safetensors.torch import save_file

from brain_tumor.bundles import METADATA, WEIGHTS
from brain_tumor.cases.sequences import Sequence
from brain_tumor.segmentation.data.folds import FOLDS
from brain_tumor.segmentation.training.whole_head.train import TrainingPlan
from brain_tumor.segmentation.whole_head.network import INPUTS, REGIONS, SliceUNet
from brain_tumor.segmentation.whole_head.stack import BACKGROUND, IN_PLANE_MM, SIDE_MULTIPLE

NAME = "whole_head"


def export_bundle(
    network: SliceUNet,
    plan: TrainingPlan,
    version: str,
    bundle: Path,
    fitted: Mapping[str, Any] | None = None,
) -> None:
    """Write metadata and weights of the whole-head network.

    Weights are stored as float16 and read back as float32; counters of batch normalisation stay.

    Args:
        network: Trained network.
        plan: Plan of its run.
        version: Semantic version.
        bundle: Folder, for example `models/whole_head`.
        fitted: Entries of the metadata that were fitted with the network: `joint`, `presence`.
    """
    for file in (METADATA, WEIGHTS):
        (bundle / file).parent.mkdir(parents=True, exist_ok=True)
    state = {
        name: (value.detach().half() if value.is_floating_point() else value.detach()).contiguous()
        for name, value in network.state_dict().items()
    }
    save_file(state, bundle / WEIGHTS)
    held_out = "none" if plan.fold is None else f"fold {plan.fold} of {FOLDS} by person"
    channels = [f"{s.value} {place}" for place in ("below", "here", "above") for s in Sequence]
    channels += [f"{s.value} present" for s in Sequence]
    metadata = {
        "name": NAME,
        "version": version,
        "task": "Tumour regions on axial slices of heads with or without skull",
        "description": "2.5-D U-Net over a slice and its neighbours, any subset of sequences",
        "authors": "TumorLens",
        "copyright": "Apache-2.0; weights for research use only (terms of BraTS and TCGA-LGG)",
        "intended_use": "Research; a proposal for an annotator to correct. Not for diagnosis.",
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "python_version": platform.python_version(),
        "network": {"name": "SliceUNet", "channels": list(plan.channels)},
        **(fitted or {}),
        "training": {"held_out": held_out, "plan": asdict(plan)},
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": f"z-scored over the head, {BACKGROUND:g} outside it, 0 for a missing "
                    "sequence; then 1 or 0 for a sequence that is there or not",
                    "num_channels": INPUTS,
                    "spatial_shape": [f"{SIDE_MULTIPLE}*n", f"{SIDE_MULTIPLE}*n"],
                    "spacing_mm": [IN_PLANE_MM, IN_PLANE_MM],
                    "orientation": "RA, slices from I to S",
                    "channel_def": {str(i): name for i, name in enumerate(channels)},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "logits of nested regions",
                    "num_channels": len(REGIONS),
                    "channel_def": {str(i): region.value for i, region in enumerate(REGIONS)},
                }
            },
        },
    }
    text = json.dumps(metadata, indent=2) + "\n"
    (bundle / METADATA).write_text(text, encoding="utf-8")
