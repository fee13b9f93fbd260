"""Speed of whole-volume segmentation, beside MONAI SegResNet and nnU-Net's default network.

    python -m benchmarks.segmentation [--repeats 3] [--threads 2]

All read the same four-sequence phantom of 240 x 240 x 155 voxels, as arrays in memory, on the same
threads in the same run; times end with a labelmap. Peers have random weights, which take the same
arithmetic as trained ones. Accuracy is not compared here: no trained weights of the peers can be
had offline. Ours is measured by `tumorlens evaluate segmentation`.

- ours: `SubregionSegmenter.segment`, preprocessing and way back to the native grid included.
- SegResNet, 16 initial filters: z-score, sliding window of 240 x 240 x 160 with overlap 0.5, as the
  public BraTS bundle of MONAI is configured.
- nnU-Net's default 3-D full-resolution plan (PlainConvUNet, built here as MONAI's DynUNet): crop
  to the brain, patch 128 x 128 x 128, six stages of 32 to 320 features, strides of 2, instance norm
  and leaky ReLU; overlap 0.5, mirroring over all three axes. ONE window is timed, the number of
  windows counted by MONAI's own placement, and the product multiplied by 8 for the mirrors: a full
  pass takes minutes. Weighting and export are left out, in the peer's favour.

Both peers run in float32, as they are shipped, and once more under bfloat16 autocast.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from brain_tumor.bundles import models_folder
from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.preprocessing import bounding_box, foreground_mask
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.model_names import ModelName
from brain_tumor.phantoms.phantom import PhantomSpec, make_phantom
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter
from monai.data.utils import dense_patch_slices
from monai.inferers import sliding_window_inference
from monai.networks.nets import DynUNet, SegResNet
from torch import nn

from benchmarks.environment import spread, write_result

SHAPE = (240, 240, 155)
PATCH = (128, 128, 128)
MIRRORS = 8
FEATURES = (32, 64, 128, 256, 320, 320)


def a_case() -> Case:
    """Skull-stripped phantom on the grid of BraTS."""
    phantom = make_phantom(PhantomSpec(seed=7, spacing_mm=(1.0, 1.0, 1.0)), case_id="bench")
    volumes = {}
    for sequence, volume in phantom.case.volumes.items():
        array = np.zeros(SHAPE, dtype=np.float32)
        low = [(n - m) // 2 for n, m in zip(SHAPE, volume.shape, strict=True)]
        source = tuple(slice(max(-a, 0), max(-a, 0) + n) for a, n in zip(low, SHAPE, strict=True))
        part = volume.array[source]
        goal = tuple(slice(max(a, 0), max(a, 0) + n) for a, n in zip(low, part.shape, strict=True))
        array[goal] = part
        volumes[sequence] = Volume(array, volume.affine)
    return Case("bench", Sequence.T1C, volumes)


def timed(work: Callable[[], object], repeats: int) -> dict:
    """Seconds of a call after one that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return spread(seconds)


def once(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def normalised(case: Case) -> torch.Tensor:
    channels = []
    for sequence in Sequence:
        array = case.volumes[sequence].array
        inside = array[array > 0]
        channels.append(np.where(array > 0, (array - inside.mean()) / inside.std(), 0.0))
    return torch.from_numpy(np.stack(channels).astype(np.float32))[None]


def segresnet_s(case: Case, *, bf16: bool) -> float:
    network = SegResNet(
        init_filters=16,
        in_channels=4,
        out_channels=3,
        blocks_down=(1, 2, 2, 4),
        blocks_up=(1, 1, 1),
    ).eval()

    def work() -> torch.Tensor:
        image = normalised(case)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = sliding_window_inference(image, (240, 240, 160), 1, network, overlap=0.5)
        return logits.float().sigmoid() > 0.5

    return once(work)


def nnunet() -> nn.Module:
    stages = len(FEATURES)
    return DynUNet(
        spatial_dims=3,
        in_channels=4,
        out_channels=4,
        kernel_size=[3] * stages,
        strides=[1] + [2] * (stages - 1),
        upsample_kernel_size=[2] * (stages - 1),
        filters=list(FEATURES),
        norm_name=("INSTANCE", {"affine": True}),
        act_name=("leakyrelu", {"inplace": True, "negative_slope": 0.01}),
    ).eval()


def nnunet_s(case: Case, *, bf16: bool) -> dict:
    box = bounding_box(foreground_mask(case.volumes[case.reference].array))
    size = tuple(max(s.stop - s.start, p) for s, p in zip(box, PATCH, strict=True))
    windows = len(dense_patch_slices(size, PATCH, tuple(p // 2 for p in PATCH)))
    network, patch = nnunet(), torch.randn(1, 4, *PATCH)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        small = torch.randn(1, 4, 64, 64, 64)
        network(small)  # memory and kernels
        window = once(lambda: network(patch))
    return {
        "window_s": window,
        "windows": windows,
        "mirrors": MIRRORS,
        "estimated_s": window * windows * MIRRORS,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3, help="of ours; peers run once")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    case = a_case()
    segmenter = SubregionSegmenter.load(models_folder() / ModelName.SEGMENTATION)
    stages: list[dict[str, float]] = []
    sys.stderr.write("ours\n")
    ours = timed(lambda: stages.append(dict(segmenter.segment(case).timings_s)), options.repeats)
    peers: dict[str, dict] = {}
    for name, bf16 in product(("SegResNet-16", "nnU-Net default"), (False, True)):
        kind = "bfloat16" if bf16 else "float32"
        sys.stderr.write(f"{name}, {kind}\n")
        if name == "SegResNet-16":
            entry: dict = {"measured_s": segresnet_s(case, bf16=bf16)}
        else:
            entry = nnunet_s(case, bf16=bf16)
        seconds = entry.get("measured_s") or entry["estimated_s"]
        peers[f"{name}, {kind}"] = {**entry, "times_slower": seconds / ours["median"]}
    result = {
        "volume": [4, *SHAPE],
        "threads": options.threads,
        "model": segmenter.version.to_json(),
        "ours_s": ours,
        "stages_s": {k: spread([s[k] for s in stages[1:]])["median"] for k in stages[0]},
        "peers": peers,
        "accuracy": "not compared: peers have no trained weights here; ours: tumorlens evaluate",
    }
    path = write_result("segmentation", result)
    print(json.dumps(result, indent=1))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
