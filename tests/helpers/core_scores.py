"""Scores of the tumour core, made up, and the files of a bundle that hold them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from brain_tumor.segmentation.evaluation.tumor_core import CoreRow, summarise

A_ROW = CoreRow(
    case="cheng 1",
    collection="cheng",
    patient="a",
    tumor_type="glioma",
    cohort="numeric",
    plane="axial",
    reference_size=500.0,
    found_size=400.0,
    dice=0.8,
    iou=0.65,
    sensitivity=0.7,
    specificity=0.99,
    precision=0.9,
    hd95_mm=2.0,
    surface_dice=0.75,
    false_lesion_ml=None,
    lesion_dice=None,
    seconds=0.1,
)
A_VOLUME = replace(
    A_ROW,
    case="btp_01_pre",
    collection="t1ce_gbm",
    plane="volume",
    false_lesion_ml=0.25,
    lesion_dice=0.6,
)


def metadata_and_metrics() -> tuple[dict[str, Any], dict[str, Any]]:
    """Metadata and metrics that `render_pages` takes."""
    metadata: dict[str, Any] = {
        "version": "0.1.0",
        "task": "Tumour core",
        "network": {"name": "a U-Net", "decoder_channels": [8, 8, 8, 8]},
        "network_data_format": {
            "inputs": {
                "image": {
                    "spacing_mm": [1.25, 1.25],
                    "format": "per slice",
                    "orientation": "display",
                    "skull": "with or without",
                    "channel_def": {"0": "t1c"},
                }
            },
            "outputs": {"pred": {"label": 4}},
        },
        "clean_up": {"threshold": 0.5, "smallest_share": 0.1, "least_peak": 0.7},
        "training": {
            "held_out": "fold 0 of 5 by patient",
            "options": {"batch_size": 16, "threads": 1},
            "steps": 100,
            "minutes": 60.0,
        },
    }
    metrics = {
        "model": {"name": "tumor_core", "version": "0.1.0", "sha256": "abc"},
        "measured_folds": [0],
        "folds": 5,
        "seen_in_training": False,
        **summarise([A_ROW, A_VOLUME]),
        "speed": {"slice 256x256": {"threads": 1.0, "load": 2.5, "min_s": 0.02, "median_s": 0.03}},
        "dice_bf16_against_fp32": 0.9987,
    }
    return metadata, metrics
