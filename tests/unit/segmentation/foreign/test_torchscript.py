"""Weights out of TorchScript: the same as torch reads, and nothing of the file is run."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch
from brain_tumor.errors import FileFormatError
from brain_tumor.segmentation.foreign.torchscript import read_torchscript
from torch import nn


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            [nn.Sequential(nn.Conv3d(2, 3, 1), nn.BatchNorm3d(3)) for _ in range(3)]
        )
        self.scale = nn.Parameter(torch.arange(6.0).reshape(2, 3).t())  # a view with strides
        self.register_buffer("halves", torch.ones(4, dtype=torch.float16))
        self.register_buffer("count", torch.tensor(7))
        self.names = ["a", "b"]
        self.number = 3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x[:, :2])
        return x * self.scale.sum()


def save(path: Path, network: nn.Module) -> Path:
    torch.jit.save(torch.jit.script(network.eval()), path)
    return path


def test_every_weight_has_its_name_type_and_values(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = Nested()
    found = read_torchscript(save(tmp_path / "model.ts", network))
    wanted = network.state_dict()
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value), name


def rewritten(path: Path, content: bytes) -> Path:
    """The file with another tree of modules."""
    other = path.with_name("other.ts")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for info in old.infolist():
            is_tree = info.filename.endswith("/data.pkl")
            new.writestr(info.filename, content if is_tree else old.read(info))
    return other


@pytest.mark.parametrize(
    ("content", "why"),
    [
        # posix.system("touch ...") as a pickle runs it
        (b"\x80\x02cposix\nsystem\nX\x05\x00\x00\x00touch\x85R.", "holds no weights"),
        (b"\x80\x02(cposix\nsystem\no.", "step OBJ"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "step STACK_GLOBAL"),
        (b"\x80\x02N.", "holds no module"),
        (b"\x80\x02", "pickle exhausted|no end"),
        (b"\x80\x02a.", "IndexError"),
        (b"no pickle", "ValueError"),
    ],
)
def test_what_torchscript_does_not_write_is_refused(
    tmp_path: Path, content: bytes, why: str
) -> None:
    path = rewritten(save(tmp_path / "model.ts", nn.Conv3d(1, 1, 1)), content)
    with pytest.raises(FileFormatError, match=why):
        read_torchscript(path)


def test_a_tensor_cannot_reach_beyond_its_bytes(tmp_path: Path) -> None:
    path = save(tmp_path / "model.ts", nn.Conv3d(1, 1, 1, bias=False))
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
        content = archive.read(name)
    one = b"K\x01K\x01K\x01K\x01K\x01t"  # the size of a 1 x 1 x 1 x 1 x 1 kernel
    assert content.count(one) >= 1
    larger = content.replace(one, b"K\x01K\x01K\x01K\x01K\x7ft", 1)
    with pytest.raises(FileFormatError, match=r"beyond its bytes|larger than its bytes"):
        read_torchscript(rewritten(path, larger))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02N."])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.ts").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"model\.ts cannot be read as TorchScript"):
        read_torchscript(tmp_path / "model.ts")
