"""Where networks compute, decided and tried without a GPU."""

import copy

import pytest
import torch
from brain_tumor import devices
from brain_tumor.cli import build_parser, main
from brain_tumor.device_names import DEVICE_ENV, DeviceName
from brain_tumor.devices import (
    ComputeDevice,
    Machine,
    choose_device,
    memory_watched,
    placed,
    use_device,
)
from brain_tumor.errors import BusyError, DeviceError, DeviceMemoryError
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

PLAIN = Machine()
WORKSTATION = Machine(cpu_bf16=True, cuda=True, cuda_bf16=True)
OLD_GPU = Machine(cpu_bf16=True, cuda=True, cuda_bf16=False)
APPLE = Machine(mps=True)


@pytest.mark.parametrize(
    ("asked", "machine", "name", "bf16"),
    [
        ("auto", PLAIN, "cpu", False),
        ("auto", Machine(cpu_bf16=True), "cpu", True),
        ("auto", WORKSTATION, "cuda", True),
        ("auto", OLD_GPU, "cuda", False),
        ("auto", APPLE, "mps", False),
        ("cpu", WORKSTATION, "cpu", True),
        ("cpu", APPLE, "cpu", False),
        (" CUDA ", WORKSTATION, "cuda", True),
        ("mps", APPLE, "mps", False),
    ],
)
def test_the_device_follows_from_wish_and_machine(asked, machine, name, bf16):
    assert choose_device(asked, machine) == ComputeDevice(DeviceName(name), bf16)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("cuda", "device is cuda, but torch finds no NVIDIA GPU on this machine"),
        ("mps", "device is mps, but torch finds no Apple GPU on this machine"),
        ("gpu", "device is 'gpu'; expected one of auto, cpu, cuda, mps"),
    ],
)
def test_a_device_that_is_not_there_is_refused_with_a_way_out(asked, said):
    with pytest.raises(DeviceError) as refused:
        choose_device(asked, PLAIN)
    assert refused.value.message == said
    assert "--device" in refused.value.remedy
    assert "TUMORLENS_DEVICE" in refused.value.remedy


@pytest.mark.parametrize(
    "command",
    [
        ["serve"],
        *([one, "case", "--output", "out"] for one in ("segment", "classify", "analyse")),
        *(
            [one, model, "--data", "data", "--output", "out"]
            for one in ("train", "evaluate")
            for model in ("segmentation", "whole_head", "tumor_core")
        ),
    ],
    ids=" ".join,
)
def test_every_command_that_computes_takes_a_device(command):
    assert build_parser().parse_args([*command, "--device", "mps"]).device == "mps"
    assert build_parser().parse_args(command).device is None


def test_the_command_line_wins_and_child_processes_hear_of_it(monkeypatch):
    monkeypatch.setattr(devices, "this_machine", lambda: WORKSTATION)
    monkeypatch.setenv(DEVICE_ENV, "cpu")
    assert use_device(None).name is DeviceName.CPU
    assert use_device("cuda").name is DeviceName.CUDA
    assert devices.os.environ[DEVICE_ENV] == "cuda"


def test_nothing_said_or_an_empty_variable_is_auto(monkeypatch):
    monkeypatch.setattr(devices, "this_machine", lambda: APPLE)
    monkeypatch.delenv(DEVICE_ENV, raising=False)
    assert use_device(None).name is DeviceName.MPS
    monkeypatch.setenv(DEVICE_ENV, "")
    assert use_device(None).name is DeviceName.MPS


def test_a_missing_gpu_is_told_before_a_case_is_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(devices, "this_machine", lambda: PLAIN)
    monkeypatch.setenv(DEVICE_ENV, "cpu")
    missing = str(tmp_path / "no case")
    output = str(tmp_path / "out")
    assert main(["segment", missing, "--output", output, "--device", "cuda"]) == 2
    assert "torch finds no NVIDIA GPU" in capsys.readouterr().err


def on_a_gpu(network):
    """As if `network.to("cuda")` had been called; weights of a fake mode cannot be moved."""
    network.to = lambda _device: network
    return network


def test_a_placed_network_takes_and_gives_tensors_of_the_processor():
    with FakeTensorMode():  # computes shapes and devices, also of a GPU that is not there
        network = nn.Sequential(nn.Conv2d(1, 2, 3, device="cuda"), nn.ReLU())
        images = torch.ones(4, 1, 8, 8)
        with pytest.raises(RuntimeError, match="same device"):
            network(images)
        found = placed(on_a_gpu(network), ComputeDevice(DeviceName.CUDA))(images)
        assert found.device.type == "cpu"
        assert found.shape == (4, 2, 6, 6)


def test_a_network_is_placed_once_and_its_copy_with_it():
    network = on_a_gpu(nn.Linear(2, 2))
    cuda = ComputeDevice(DeviceName.CUDA)
    placed(placed(network, cuda), cuda)
    assert len(network._forward_hooks) == len(network._forward_pre_hooks) == 1
    assert len(placed(copy.deepcopy(network), cuda)._forward_hooks) == 1


def test_on_the_processor_nothing_changes():
    network = nn.Linear(2, 2)
    assert placed(network, ComputeDevice(DeviceName.CPU)) is network
    assert not network._forward_hooks


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        MemoryError(),
    ],
)
def test_memory_that_runs_out_is_told_with_a_remedy(monkeypatch, error):
    monkeypatch.setattr(devices, "this_machine", lambda: WORKSTATION)
    monkeypatch.setenv(DEVICE_ENV, "cuda")
    with pytest.raises(DeviceMemoryError) as told, memory_watched():
        raise error
    assert told.value.message == "device cuda ran out of memory"
    assert "--device cpu" in told.value.remedy
    assert isinstance(told.value, BusyError)  # HTTP 503: another try may succeed


def test_memory_of_the_machine_itself_is_told_without_naming_a_device(monkeypatch):
    monkeypatch.setenv(DEVICE_ENV, "cpu")
    error = RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate")
    with pytest.raises(DeviceMemoryError) as told, memory_watched():
        raise RuntimeError(f"{error} memory: you tried to allocate 64000000000 bytes")
    assert told.value.message == "this machine ran out of memory"
    assert "--device" not in told.value.remedy


def test_other_errors_pass_unchanged():
    with pytest.raises(RuntimeError, match="shapes differ") as raised, memory_watched():
        raise RuntimeError("shapes differ")
    assert type(raised.value) is RuntimeError
