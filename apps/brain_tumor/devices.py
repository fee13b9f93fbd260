"""Where networks compute: the processor, an NVIDIA GPU or Apple's; decided here and nowhere else.

`--device` and `TUMORLENS_DEVICE` say what is wanted, `Machine` what is there, `choose_device` what
is used. A network that was `placed` takes tensors from the processor and gives them back there, so
nothing around it has to know where it runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import torch
from torch import nn

from brain_tumor.device_names import DEVICE_ENV, DeviceName
from brain_tumor.errors import DeviceError, DeviceMemoryError

BF16_FEATURES = ("amx_bf16", "avx512_bf16")

_PLACED = "placed_on"

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Machine:
    """What this machine can compute with.

    Attributes:
        cpu_bf16: Whether its processor has bfloat16 in hardware; emulated it is slower.
        cuda: Whether there is an NVIDIA GPU that torch can use.
        cuda_bf16: Whether that GPU has bfloat16 in hardware.
        mps: Whether there is a GPU of Apple.
    """

    cpu_bf16: bool = False
    cuda: bool = False
    cuda_bf16: bool = False
    mps: bool = False


@dataclass(frozen=True)
class ComputeDevice:
    """A device and how exactly it computes.

    Attributes:
        name: The device; never `AUTO`.
        bf16: Whether convolutions run in bfloat16; else everything is float32.
    """

    name: DeviceName
    bf16: bool = False

    @property
    def torch_device(self) -> torch.device:
        """The device as torch names it."""
        return torch.device(self.name.value)

    def autocast(self, *, bf16: bool | None = None) -> torch.autocast:
        """Context in which convolutions run in bfloat16 where the device has it.

        Args:
            bf16: Whether they do; by default as the device is best.
        """
        enabled = self.bf16 if bf16 is None else bf16
        return torch.autocast(self.name.value, torch.bfloat16, enabled=enabled)


def choose_device(asked: str, machine: Machine) -> ComputeDevice:
    """Device to compute on.

    Args:
        asked: Of `DeviceName`, in capitals or not; `auto` takes a GPU where there is one.
        machine: What is there.

    Raises:
        DeviceError: If the name is none, or the device is not there.

    Example:
        >>> choose_device("auto", Machine(cuda=True, cuda_bf16=True))
        ComputeDevice(name=<DeviceName.CUDA: 'cuda'>, bf16=True)
    """
    try:
        name = DeviceName(asked.strip().lower())
    except ValueError as error:
        names = ", ".join(DeviceName)
        raise DeviceError(f"device is {asked!r:.40}; expected one of {names}") from error
    if name is DeviceName.AUTO:
        found = {DeviceName.CUDA: machine.cuda, DeviceName.MPS: machine.mps}
        name = next((one for one, there in found.items() if there), DeviceName.CPU)
    if name is DeviceName.CUDA and not machine.cuda:
        raise DeviceError("device is cuda, but torch finds no NVIDIA GPU on this machine")
    if name is DeviceName.MPS and not machine.mps:
        raise DeviceError("device is mps, but torch finds no Apple GPU on this machine")
    has_bf16 = {DeviceName.CPU: machine.cpu_bf16, DeviceName.CUDA: machine.cuda_bf16}
    return ComputeDevice(name, has_bf16.get(name, False))


@cache
def this_machine() -> Machine:
    """What torch finds here."""
    features = torch.cpu.get_capabilities()
    cuda = torch.cuda.is_available()
    return Machine(
        cpu_bf16=any(bool(features.get(name)) for name in BF16_FEATURES),
        cuda=cuda,
        cuda_bf16=cuda and torch.cuda.is_bf16_supported(including_emulation=False),
        mps=torch.backends.mps.is_available(),
    )


def compute_device() -> ComputeDevice:
    """The device of this process and of those that it starts.

    Raises:
        DeviceError: If `TUMORLENS_DEVICE` names none, or one that is not there.
    """
    return choose_device(os.environ.get(DEVICE_ENV) or DeviceName.AUTO, this_machine())


def use_device(asked: str | None) -> ComputeDevice:
    """Decide on a device before a network is loaded.

    Args:
        asked: What the command line says; None leaves it to the environment.

    Raises:
        DeviceError: If there is no such device.
    """
    if asked is not None:
        device = choose_device(asked, this_machine())
        os.environ[DEVICE_ENV] = device.name.value
    return compute_device()


def autocast(*, bf16: bool | None = None) -> torch.autocast:
    """`ComputeDevice.autocast` of the device of this process."""
    return compute_device().autocast(bf16=bf16)


def placed(network: Network, device: ComputeDevice | None = None) -> Network:
    """The network on a device, called as before: tensors come and go on the processor.

    Args:
        network: Moved in place, once.
        device: Where to; by default the device of this process.
    """
    chosen = device or compute_device()
    if chosen.name is DeviceName.CPU or getattr(network, _PLACED, None) == chosen.name:
        return network
    there = chosen.torch_device
    network.to(there)
    setattr(network, _PLACED, chosen.name)

    def bring(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(_moved(value, there) for value in inputs)

    def fetch(_module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> Any:
        return _moved(output, torch.device("cpu"))

    network.register_forward_pre_hook(bring)
    network.register_forward_hook(fetch)
    return network


@contextmanager
def inference(*, bf16: bool | None = None) -> Iterator[None]:
    """Forward passes without gradients; see `ComputeDevice.autocast` and `memory_watched`.

    Args:
        bf16: Whether convolutions run in bfloat16; by default as the device is best.
    """
    with memory_watched(), torch.inference_mode(), autocast(bf16=bf16):
        yield


def _moved(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value


@contextmanager
def memory_watched() -> Iterator[None]:
    """Tell a device that ran out of memory in a sentence, and free what it had set aside.

    Raises:
        DeviceMemoryError: If the block did.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        name = compute_device().name
        if name is DeviceName.CUDA and torch.cuda.is_available():
            torch.cuda.empty_cache()
        if name is DeviceName.CPU:
            raise DeviceMemoryError(
                "this machine ran out of memory",
                remedy="Close other programs and try again, one case at a time.",
            ) from error
        raise DeviceMemoryError(f"device {name.value} ran out of memory") from error


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return any(words in said for words in ("out of memory", "defaultcpuallocator"))
