"""What the CPU is good at."""

from __future__ import annotations

import torch

BF16_FEATURES = ("amx_bf16", "avx512_bf16")


def cpu_has_bf16() -> bool:
    """Whether bfloat16 convolutions run in hardware here; emulated they are slower."""
    features = torch.cpu.get_capabilities()
    return any(bool(features.get(name)) for name in BF16_FEATURES)
