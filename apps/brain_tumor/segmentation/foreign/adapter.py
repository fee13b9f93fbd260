"""A foreign network in our contract: sequences in our order in, logits in the order of `Label`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from monai.inferers import sliding_window_inference  # type: ignore[attr-defined]
from monai.networks.nets import SegResNet, UNet  # type: ignore[attr-defined]
from torch import nn

from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.errors import ModelError
from brain_tumor.labels import Label, Region
from brain_tumor.segmentation.foreign.plain_unet import PlainConvUNet

ADAPTED = "adapted"
"""Name of the network in the metadata of an imported bundle."""
BACKGROUND = "background"
REGION_NAMES = tuple(region.value for region in Region)
LABEL_NAMES = (BACKGROUND, Label.NCR.name, Label.ED.name, Label.ET.name)
AXIS_CODES = (("R", "L"), ("A", "P"), ("S", "I"))
MAX_MULTIPLE = 64
MAX_WEIGHTS = 500_000_000
OVERLAP = 0.5

_NUMBERS, _LISTS = (bool, int, float), (list, tuple)
ARCHITECTURES: Mapping[str, tuple[type[nn.Module], frozenset[str]]] = {
    "SegResNet": (
        SegResNet,
        frozenset(
            {
                *("spatial_dims", "init_filters", "in_channels", "out_channels", "dropout_prob"),
                *("blocks_down", "blocks_up", "use_conv_final", "norm", "act", "upsample_mode"),
            }
        ),
    ),
    "UNet": (
        UNet,
        frozenset(
            {
                *("spatial_dims", "in_channels", "out_channels", "channels", "strides"),
                *("kernel_size", "up_kernel_size", "num_res_units", "norm", "act", "dropout"),
            }
        ),
    ),
    "PlainConvUNet": (
        PlainConvUNet,
        frozenset(
            {
                *("in_channels", "out_channels", "features_per_stage", "kernel_sizes", "strides"),
                *("n_conv_per_stage", "n_conv_per_stage_decoder", "conv_bias"),
            }
        ),
    ),
}
"""Networks that can be built, each with the arguments that it may get; nothing else is called."""


@dataclass(frozen=True)
class AdaptedSpec:
    """How a foreign network is used.

    Attributes:
        architecture: One of `ARCHITECTURES`.
        arguments: Its arguments; plain numbers, texts and lists.
        channels: Our sequence of each of its input channels.
        outputs: What each of its output channels is: regions ("WT", "TC", "ET", each with a
            sigmoid) or labels ("background", "NCR", "ED", "ET", one softmax).
        spacing_mm: Voxel size that it was trained on, along x, y and z.
        orientation: Where its arrays' axes run to when x, y, z is "RAS".
        axes: Order of x, y, z (0, 1, 2) in its arrays.
        window: Size of the windows it is given, in its own order; None for everything at once.
    """

    architecture: str
    arguments: Mapping[str, Any]
    channels: tuple[str, ...]
    outputs: tuple[str, ...]
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    orientation: str = "RAS"
    axes: tuple[int, int, int] = (0, 1, 2)
    window: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be used.

        Raises:
            ModelError: If something is impossible.
        """
        known = {s.value for s in MriSequence}
        if not set(self.channels) <= known or len(set(self.channels)) < len(self.channels):
            raise ModelError(
                f"channels are {', '.join(self.channels)[:80]}; expected different ones of "
                f"{', '.join(sorted(known))}",
                remedy="Name them in the order of the network: --channels t1c,t1,t2,flair.",
            )
        names = set(self.outputs)
        if names != set(REGION_NAMES) and not (
            names <= set(LABEL_NAMES) and {BACKGROUND, Label.ET.name} <= names
        ):
            raise ModelError(
                f"labels are {', '.join(self.outputs)[:80]}; expected the regions WT, TC and ET or "
                "the labels background, NCR, ED and ET",
                remedy="Name them in the order of the network: --labels TC,WT,ET.",
            )
        codes = [set(pair) for pair in AXIS_CODES]
        if len(self.orientation) != 3 or any(
            letter not in pair for letter, pair in zip(self.orientation, codes, strict=True)
        ):
            raise ModelError(f"orientation is {self.orientation!r:.20}; expected RAS, LPS or alike")
        if sorted(self.axes) != [0, 1, 2]:
            raise ModelError(f"axes are {list(self.axes)}; expected 0, 1 and 2 in some order")
        if not all(0.2 <= mm <= 10 for mm in self.spacing_mm):
            raise ModelError(f"spacing is {list(self.spacing_mm)} mm; expected 0.2 to 10 mm")
        if self.window is not None and not all(8 <= n <= 512 for n in self.window):
            raise ModelError(f"window is {list(self.window)}; expected 8 to 512 voxels")

    @property
    def tells_regions(self) -> bool:
        """Whether its outputs are regions, each for itself."""
        return set(self.outputs) == set(REGION_NAMES)

    def to_json(self) -> dict[str, Any]:
        """Entry `network` of a bundle's metadata."""
        return {"name": ADAPTED, **asdict(self), "arguments": dict(self.arguments)}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> AdaptedSpec:
        """Read what `to_json` wrote.

        Raises:
            ModelError: If it is unusable.
        """
        try:
            window = entry.get("window")
            x, y, z = (float(mm) for mm in entry["spacing_mm"])
            a, b, c = (int(axis) for axis in entry["axes"])
            return cls(
                architecture=str(entry["architecture"]),
                arguments=dict(entry["arguments"]),
                channels=tuple(map(str, entry["channels"])),
                outputs=tuple(map(str, entry["outputs"])),
                spacing_mm=(x, y, z),
                orientation=str(entry["orientation"]),
                axes=(a, b, c),
                window=None if window is None else (int(window[0]), int(window[1]), int(window[2])),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ModelError(f"the network of the metadata is unusable: {error!r:.80}") from error


class AdaptedNetwork(nn.Module):
    """A foreign network that takes and gives what ours do.

    Args:
        inner: The foreign network.
        spec: How it is used.
    """

    def __init__(self, inner: nn.Module, spec: AdaptedSpec) -> None:
        super().__init__()
        self.inner = inner
        self.spec = spec
        order = [sequence.value for sequence in MriSequence]
        self._channels = [order.index(name) for name in spec.channels]
        self._flips = [
            2 + axis for axis, letter in enumerate(spec.orientation) if letter in ("L", "P", "I")
        ]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size of the grid that it reads."""
        return self.spec.spacing_mm

    @property
    def multiple(self) -> int:
        """Axes of the grid are multiples of this."""
        return _multiple(self.spec)

    @property
    def explained_layer(self) -> nn.Module:
        """Block of the decoder that halves the grid once.

        Raises:
            ModelError: If it has none.
        """
        try:
            if isinstance(self.inner, SegResNet):
                layer: nn.Module = self.inner.up_layers[-2]
            elif isinstance(self.inner, PlainConvUNet):
                layer = self.inner.decoder.stages[-2]  # type: ignore[index, assignment]
            else:
                layer = self.inner.model[1].submodule[2]  # type: ignore[index, union-attr]
        except (IndexError, AttributeError, TypeError) as error:
            raise ModelError("the imported network has no decoder block to look into") from error
        return layer

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits in the order of `Label`.

        Args:
            images: (N, 4, I, J, K) in the order of `Sequence`, axes running to RAS.
        """
        turned = images[:, self._channels].flip(self._flips)
        turned = turned.permute(0, 1, *(2 + axis for axis in self.spec.axes))
        return self._labels(self.in_working_axes(self.inner(turned)))

    def in_working_axes(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps of the foreign network, (N, *any, I, J, K), along the axes of the working grid."""
        lead = maps.ndim - 3
        back = [0, 0, 0]
        for place, axis in enumerate(self.spec.axes):
            back[axis] = lead + place
        turned = maps.permute(*range(lead), *back)
        return turned.flip([flip - 2 + lead for flip in self._flips])

    def in_windows(self, images: torch.Tensor) -> torch.Tensor:
        """As `forward`, window by window where windows are smaller than the images."""
        if self.spec.window is None:
            logits: torch.Tensor = self(images)
            return logits
        window = [self.spec.window[self.spec.axes.index(axis)] for axis in range(3)]
        window = [min(size, extent) for size, extent in zip(window, images.shape[2:], strict=True)]
        found = sliding_window_inference(images, window, 1, self, overlap=OVERLAP, mode="gaussian")
        return torch.as_tensor(found)

    def _labels(self, raw: torch.Tensor) -> torch.Tensor:
        """Logits of our labels.

        Labels that the network does not tell get none; regions are nested: what decides between
        two neighbours of the chain background, ED, NCR, ET is the region that holds only one.
        """
        if self.spec.tells_regions:
            whole, core, enhancing = (
                raw[:, self.spec.outputs.index(region.value)]
                for region in (Region.WT, Region.TC, Region.ET)
            )
            steps = (torch.zeros_like(whole), whole, whole + core, whole + core + enhancing)
            chain = dict(zip((Label.BACKGROUND, Label.ED, Label.NCR, Label.ET), steps, strict=True))
            return torch.stack([chain[Label(value)] for value in range(4)], dim=1)
        parts = []
        for name in LABEL_NAMES:
            own = [n for n, output in enumerate(self.spec.outputs) if output == name]
            parts.append(raw[:, own].logsumexp(dim=1) if own else torch.full_like(raw[:, 0], -30.0))
        return torch.stack(parts, dim=1)


def adapted_network(entry: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> AdaptedNetwork:
    """Network of an imported bundle with its weights, in evaluation mode.

    Args:
        entry: `network` of the metadata.
        state: Weights of the foreign network, under its own names.

    Raises:
        ModelError: If the network is none that is known, or the weights do not fit.
    """
    spec = AdaptedSpec.from_json(entry)
    inner = build_inner(spec)
    try:
        inner.load_state_dict(dict(state))
    except RuntimeError as error:
        raise ModelError(
            f"the weights do not fit the network {spec.architecture}: {error!s:.300}",
            remedy="Export weights and configuration of the same training.",
        ) from error
    return AdaptedNetwork(inner, spec).eval()


def build_inner(spec: AdaptedSpec) -> nn.Module:
    """Foreign network with random weights.

    Raises:
        ModelError: If it is none that is known, or an argument is none that it takes.
    """
    if spec.architecture not in ARCHITECTURES:
        raise ModelError(
            f"the network is {spec.architecture!r:.60}; expected one of "
            f"{', '.join(sorted(ARCHITECTURES))}",
            remedy="Only networks that are built here can be imported; code of a bundle is never "
            "run.",
        )
    kind, allowed = ARCHITECTURES[spec.architecture]
    for name, value in spec.arguments.items():
        if name not in allowed or not _is_plain(value):
            raise ModelError(
                f"argument {name:.40} of the network {spec.architecture} is not taken; expected "
                f"plain values of {', '.join(sorted(allowed))}",
                remedy="Write values instead of expressions and references.",
            )
    if _multiple(spec) > MAX_MULTIPLE:
        raise ModelError("the network halves the grid more often than six times")
    try:
        with torch.device("meta"):  # takes no memory
            count = sum(value.numel() for value in kind(**spec.arguments).parameters())
        if count > MAX_WEIGHTS:
            raise ModelError(f"the network has {count} weights; expected at most {MAX_WEIGHTS}")
        network = kind(**spec.arguments)
        inputs = int(spec.arguments["in_channels"])
        outputs = int(spec.arguments["out_channels"])
    except (TypeError, ValueError, KeyError, RuntimeError, NotImplementedError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"the network {spec.architecture} cannot be built: {error!s:.200}"
        ) from error
    if (inputs, outputs) != (len(spec.channels), len(spec.outputs)):
        raise ModelError(
            f"the network takes {inputs} channels and gives {outputs}; told are "
            f"{len(spec.channels)} and {len(spec.outputs)}",
            remedy="Name all of them: --channels and --labels.",
        )
    return network


def _multiple(spec: AdaptedSpec) -> int:
    """What axes of a grid must be multiples of, at least that of our own networks."""
    try:
        steps = _strides(spec)
        return max(16, math.lcm(*(math.prod(axis) for axis in zip(*steps, strict=True))))
    except (TypeError, ValueError) as error:
        raise ModelError(f"strides of the network are unusable: {error!s:.80}") from error


def _strides(spec: AdaptedSpec) -> list[tuple[int, int, int]]:
    """Steps of the levels along the axes of the foreign arrays."""
    if spec.architecture == "SegResNet":
        return [(2, 2, 2)] * (len(spec.arguments.get("blocks_down", (1, 2, 2, 4))) - 1)
    strides: Sequence[Any] = spec.arguments.get("strides", ())
    steps = []
    for stride in strides:
        x, y, z = (stride,) * 3 if isinstance(stride, int) else stride
        steps.append((int(x), int(y), int(z)))
    return steps or [(1, 1, 1)]


def _is_plain(value: Any) -> bool:
    """Numbers, short texts that are no expression, and lists of these."""
    if isinstance(value, str):
        return len(value) < 40 and not value.startswith(("$", "@", "%"))
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    if isinstance(value, _LISTS):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, _NUMBERS)
