"""From a finished run to a MONAI bundle."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import monai
import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from brain_tumor.bundles import METADATA, WEIGHTS
from brain_tumor.cases.grid.preprocessing import WORKING_SPACING_MM
from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.labels import LABEL_STYLES, Label
from brain_tumor.segmentation.data.folds import FOLDS
from brain_tumor.segmentation.subregions.cleanup import CleanUpRule
from brain_tumor.segmentation.training.subregions.train import TrainingPlan

CLASSES = (Label.BACKGROUND, Label.NCR, Label.ED, Label.ET)


def export_bundle(
    network: nn.Module,
    plan: TrainingPlan,
    rule: CleanUpRule,
    version: str,
    bundle: Path,
    *,
    notes: Sequence[str] = (),
) -> None:
    """Write metadata and weights of the sub-region network.

    Weights are stored as float16: they are read back as float32, and labels do not change.

    Args:
        network: Trained network.
        plan: Plan of its run.
        rule: Clean-up rule.
        version: Semantic version.
        bundle: Folder, for example `models/segmentation`.
        notes: Sentences for the card on what the plan does not tell about the run.
    """
    for file in (METADATA, WEIGHTS):
        (bundle / file).parent.mkdir(parents=True, exist_ok=True)
    state = {
        name: tensor.detach().half().contiguous() for name, tensor in network.state_dict().items()
    }
    save_file(state, bundle / WEIGHTS)
    held_out = "none" if plan.fold is None else f"fold {plan.fold} of {FOLDS} by patient"
    metadata = {
        "name": "segmentation",
        "version": version,
        "task": "Brain tumour sub-regions from any subset of t1, t1c, t2 and flair",
        "description": "Residual 3-D U-Net, one pass over the whole brain or head",
        "authors": "TumorLens",
        "copyright": "Apache-2.0; weights for research use only (BraTS terms)",
        "intended_use": "Research; a proposal for an annotator to correct. Not for diagnosis.",
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "python_version": platform.python_version(),
        "network": {"name": "UNet", "channels": list(plan.channels)},
        "clean_up": asdict(rule),
        "training": {"held_out": held_out, "plan": asdict(plan), "notes": list(notes)},
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "z-scored over the foreground, 0 in the background and for a "
                    "missing sequence",
                    "num_channels": len(MriSequence),
                    "spatial_shape": ["16*n", "16*n", "16*n"],
                    "spacing_mm": [round(s, 6) for s in WORKING_SPACING_MM],
                    "orientation": "RAS+",
                    "channel_def": {str(i): s.value for i, s in enumerate(MriSequence)},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "logits",
                    "num_channels": len(CLASSES),
                    "channel_def": {
                        str(int(label)): LABEL_STYLES[label].name if label else "background"
                        for label in CLASSES
                    },
                }
            },
        },
    }
    text = json.dumps(metadata, indent=2) + "\n"
    (bundle / METADATA).write_text(text, encoding="utf-8")
