"""Tiny models in the layouts of elsewhere, made here with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from brain_tumor.segmentation.foreign.plain_unet import PlainConvUNet
from monai.networks.nets import SegResNet
from safetensors.torch import save_file

SEGRESNET: dict[str, Any] = {
    "spatial_dims": 3,
    "init_filters": 8,
    "in_channels": 4,
    "out_channels": 3,
    "dropout_prob": 0.2,
    "blocks_down": [1, 1, 1],
    "blocks_up": [1, 1],
}
ZOO_CHANNELS = {"0": "T1c", "1": "T1", "2": "T2", "3": "FLAIR"}
ZOO_OUTPUTS = {"0": "Tumor core", "1": "Whole tumor", "2": "Enhancing tumor"}
PLAIN: dict[str, Any] = {
    "n_stages": 3,
    "features_per_stage": [4, 8, 8],
    "conv_op": "torch.nn.modules.conv.Conv3d",
    "kernel_sizes": [[3, 3, 3], [3, 3, 3], [1, 3, 3]],
    "strides": [[1, 1, 1], [2, 2, 2], [1, 2, 2]],
    "n_conv_per_stage": [2, 2, 2],
    "n_conv_per_stage_decoder": [2, 2],
    "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
    "nonlin": "torch.nn.LeakyReLU",
}
PLAIN_TAKEN = ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage")


def a_segresnet(seed: int = 3) -> SegResNet:
    torch.manual_seed(seed)
    return SegResNet(**SEGRESNET).eval()


def write_zoo_bundle(folder: Path, *, torchscript: bool = False, **changes: Any) -> Path:
    """Layout of the model zoo's brats_mri_segmentation."""
    network = a_segresnet()
    inference = {
        "imports": ["$import glob"],
        "bundle_root": ".",
        "network_def": {"_target_": "SegResNet", **SEGRESNET},
        "network": "$@network_def.to(@device)",
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [32, 32, 32], "overlap": 0.5},
        **changes,
    }
    metadata = {
        "name": "tiny zoo",
        "version": "0.5.0",
        "network_data_format": {
            "inputs": {"image": {"channel_def": ZOO_CHANNELS}},
            "outputs": {"pred": {"channel_def": ZOO_OUTPUTS}},
        },
    }
    write_json(folder / "configs/inference.json", inference)
    write_json(folder / "configs/metadata.json", metadata)
    (folder / "LICENSE").write_text("Some licence")
    (folder / "models").mkdir()
    if torchscript:
        scripted = torch.jit.script(torch.nn.Sequential(torch.nn.Conv3d(4, 3, 1)))
        torch.jit.save(scripted, folder / "models/model.ts")
    else:
        save_file(network.state_dict(), folder / "models/model.safetensors")
    return folder


def write_nnunet(folder: Path) -> Path:
    """Layout of an nnU-Net v2 result folder whose weights were exported; regions, not labels."""
    torch.manual_seed(4)
    taken = {key: PLAIN[key] for key in PLAIN_TAKEN}
    network = PlainConvUNet(4, 3, n_conv_per_stage_decoder=[2, 2], **taken)
    plans = {
        "dataset_name": "Dataset137_BraTS",
        "transpose_forward": [0, 1, 2],
        "configurations": {
            "3d_fullres": {
                "spacing": [2.5, 2.0, 1.5],
                "patch_size": [32, 48, 64],
                "architecture": {
                    "network_class_name": "dynamic_network_architectures.architectures.unet."
                    "PlainConvUNet",
                    "arch_kwargs": PLAIN,
                },
            }
        },
    }
    dataset = {
        "channel_names": {"0": "T1", "1": "T1ce", "2": "T2", "3": "Flair"},
        "labels": {
            "background": 0,
            "whole tumor": [1, 2, 3],
            "tumor core": [2, 3],
            "enhancing tumor": [3],
        },
        "regions_class_order": [1, 2, 3],
    }
    write_json(folder / "plans.json", plans)
    write_json(folder / "dataset.json", dataset)
    state = network.state_dict()
    copies = {f"decoder.encoder.{k[8:]}": v.clone() for k, v in state.items() if k[:7] == "encoder"}
    (folder / "fold_all").mkdir()
    save_file({**state, **copies}, folder / "fold_all/model.safetensors")
    return folder


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
