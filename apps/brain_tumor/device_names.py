"""What may be asked for as a device, for command lines; `devices` decides, and imports torch."""

from __future__ import annotations

import argparse
from enum import StrEnum

DEVICE_ENV = "TUMORLENS_DEVICE"


class DeviceName(StrEnum):
    """What `--device` and `TUMORLENS_DEVICE` may say."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


def add_device_option(command: argparse.ArgumentParser) -> None:
    """Add `--device` to a command whose networks compute."""
    command.add_argument(
        "--device",
        choices=[name.value for name in DeviceName],
        help=f"where networks compute; default: {DEVICE_ENV}, else a GPU if there is one",
    )
