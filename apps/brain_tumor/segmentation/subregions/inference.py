"""Sub-region segmentation of a whole case in one pass."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from brain_tumor.bundles import ModelVersion, read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.preprocessing import WorkingCase, to_native_grid, to_working_grid
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Affine, ScalarArray
from brain_tumor.devices import compute_device, inference, placed
from brain_tumor.labels import Label, LabelArray, LabelScheme
from brain_tumor.segmentation.foreign.adapter import AdaptedNetwork
from brain_tumor.segmentation.presence import Presence, presence_warnings
from brain_tumor.segmentation.result import (
    ClassProbabilities,
    SegmentationResult,
    region_volumes_ml,
)
from brain_tumor.segmentation.subregions.cleanup import CleanUpRule, clean_up
from brain_tumor.segmentation.subregions.networks import network_from_metadata

RELEVANT_PROBABILITY = 0.05
"""Only where a tumour is at least this likely are maps brought to the native grid."""

MARGIN_VOXELS = 2
SMALL_TUMOUR_ML = 0.5


@dataclass(frozen=True, eq=False)
class WorkingPrediction:
    """What the network says on the working grid.

    Attributes:
        probabilities: Class probabilities, shape (4, I, J, K), classes in the order of `Label`.
        case: The case on the working grid.
    """

    probabilities: torch.Tensor
    case: WorkingCase


class SubregionSegmenter:
    """Outlines necrotic core, oedema and enhancing tumour; thread-safe.

    Args:
        network: From (N, 4, I, J, K) normalised intensities to logits; in evaluation mode.
        version: Model behind it.
        rule: Clean-up rule.
        bf16: Run convolutions in bfloat16; by default where the device has it in hardware.
        mirrored: Average with the left-right mirrored case: twice the time.
    """

    def __init__(
        self,
        network: nn.Module,
        version: ModelVersion,
        rule: CleanUpRule | None = None,
        *,
        bf16: bool | None = None,
        mirrored: bool = False,
    ) -> None:
        self._network = placed(network.eval())
        self._version = version
        self._rule = rule or CleanUpRule()
        self._bf16 = compute_device().bf16 if bf16 is None else bf16
        self._mirrored = mirrored

    @classmethod
    def load(
        cls, path: Path, *, bf16: bool | None = None, mirrored: bool = False
    ) -> SubregionSegmenter:
        """Read a bundle.

        Raises:
            ModelError: If the bundle is damaged.
        """
        bundle = read_bundle(path)
        network = network_from_metadata(bundle.metadata, bundle.weights())
        rule = CleanUpRule.from_metadata(bundle.metadata)
        return cls(network, bundle.version, rule, bf16=bf16, mirrored=mirrored)

    @property
    def version(self) -> ModelVersion:
        """Model behind this segmenter."""
        return self._version

    @property
    def rule(self) -> CleanUpRule:
        """Clean-up of whole cases."""
        return self._rule

    def segment(self, case: Case, *, mirrored: bool = False) -> SegmentationResult:
        """Outline the tumour of a case with any subset of sequences.

        Args:
            case: The case.
            mirrored: Average with the left-right mirrored case, whatever the segmenter does else.

        Raises:
            VolumeError: If the reference volume is empty or no head.
        """
        timer = StageTimer()
        with timer.stage("preprocess"):
            working = self.working(case)
        with timer.stage("network"):
            prediction = self.predict(working, mirrored=mirrored)
        return self.finish(case, prediction, timer)

    def working(self, case: Case) -> WorkingCase:
        """The case on the grid that the network reads.

        Raises:
            VolumeError: If the reference volume is empty or no head.
        """
        return working_case_of(self._network, case)

    def finish(
        self,
        case: Case,
        prediction: WorkingPrediction,
        timer: StageTimer,
        *,
        presence: Presence | None = None,
        helpers: tuple[ModelVersion, ...] = (),
    ) -> SegmentationResult:
        """Clean up a prediction and bring it to the grid of the case.

        Args:
            case: The case.
            prediction: What is thought of it, by this network or by several.
            timer: Gets the seconds of each stage.
            presence: Whether there is a tumour; where not, nothing is outlined.
            helpers: Models that took part in the prediction beside this one.
        """
        probabilities = _tumour_probabilities(prediction)
        with timer.stage("clean_up"):
            cleaned, disbelieved_ml = self._cleaned(prediction)
            if presence is not None and not presence.is_found:
                everywhere = torch.ones(prediction.probabilities.shape[1:], dtype=torch.bool)
                nothing = _certain(prediction.probabilities, everywhere, Label.BACKGROUND)
                cleaned, disbelieved_ml = WorkingPrediction(nothing, prediction.case), 0.0
        with timer.stage("to_native_grid"):
            labelmap, uncertainty = _on_native_grid(prediction, cleaned, case.affine, case.shape)
        volumes = region_volumes_ml(labelmap, case.spacing_mm)
        return SegmentationResult(
            labelmap=labelmap,
            scheme=LabelScheme.SUBREGIONS,
            model=self._version,
            reason=self._reason(case),
            volumes_ml=volumes,
            uncertainty=uncertainty,
            timings_s=timer.seconds,
            warnings=(
                *self._never_seen(case),
                *_warnings(case, labelmap, disbelieved_ml, presence),
            ),
            probabilities=probabilities,
            network=self._network,
            presence=presence,
            helpers=helpers,
        )

    def _reason(self, case: Case) -> str:
        names = ", ".join(s.value for s in case.present)
        if isinstance(self._network, AdaptedNetwork):
            needed = ", ".join(self._network.spec.channels)
            return f"The imported model in use reads {needed}; this case has {names}."
        every = "t1, t1c, t2 and flair"
        return f"The sub-region model reads any subset of {every}; this case has {names}."

    def _never_seen(self, case: Case) -> tuple[str, ...]:
        """Warning about sequences without which an imported network was never trained."""
        if not isinstance(self._network, AdaptedNetwork):
            return ()
        wanted = self._network.spec.channels
        lacking = [name for name in wanted if Sequence(name) not in case.volumes]
        if not lacking:
            return ()
        return (
            f"The imported model in use was trained with {', '.join(lacking)} and has never seen a "
            "case without; check the whole outline.",
        )

    def predict(self, working: WorkingCase, *, mirrored: bool = False) -> WorkingPrediction:
        """Class probabilities on the working grid; background outside the foreground."""
        inputs = torch.from_numpy(working.channels)[None]
        probabilities = self._probabilities(inputs)
        if mirrored or self._mirrored:
            probabilities = (probabilities + self._probabilities(inputs.flip(2)).flip(2)) / 2
        outside = torch.from_numpy(~working.foreground)
        return WorkingPrediction(_certain(probabilities[0], outside, Label.BACKGROUND), working)

    def predict_probabilities(self, image: ScalarArray) -> ScalarArray:
        """Class probabilities of normalised intensities that need no preprocessing.

        Args:
            image: Shape (4, I, J, K), axes multiples of 16, 0 in the background.

        Returns:
            Shape (4, I, J, K), classes in the order of `Label`; not cleaned up.
        """
        probabilities = self._probabilities(torch.from_numpy(image)[None])[0]
        return np.asarray(probabilities.numpy(), dtype=np.float32)

    def _probabilities(self, inputs: torch.Tensor) -> torch.Tensor:
        with inference(bf16=self._bf16):
            logits = _logits(self._network, inputs)
        # a clone made outside inference mode is an ordinary tensor
        probabilities: torch.Tensor = logits.float().softmax(dim=1).clone()
        return probabilities

    def _cleaned(self, prediction: WorkingPrediction) -> tuple[WorkingPrediction, float]:
        """Clean-up as probabilities: what is removed becomes certain background or core.

        Returns:
            What is left, and the enhancement in mL that was not believed.
        """
        disbelieved_ml = 0.0
        probabilities = prediction.probabilities
        labels = np.asarray(probabilities.max(dim=0).indices.numpy(), dtype=np.uint8)
        tumour = 1.0 - probabilities[int(Label.BACKGROUND)].numpy()
        voxel_ml = float(abs(np.linalg.det(prediction.case.affine[:3, :3]))) / 1000.0
        enhancing = probabilities[int(Label.ET)].numpy()
        cleaned = clean_up(labels, tumour, voxel_ml, self._rule, enhancing_probability=enhancing)
        for changed, value in _changes(labels, cleaned):
            probabilities = _certain(probabilities, torch.from_numpy(changed), value)
            if value is Label.NCR:
                disbelieved_ml = float(np.count_nonzero(changed)) * voxel_ml
        return WorkingPrediction(probabilities, prediction.case), disbelieved_ml


def working_case_of(network: nn.Module, case: Case) -> WorkingCase:
    """A case on the grid of a network, which may be one that was trained elsewhere.

    Raises:
        VolumeError: If the reference volume is empty or no head.
    """
    if isinstance(network, AdaptedNetwork):
        return to_working_grid(case, network.spacing_mm, network.multiple)
    return to_working_grid(case)


def _logits(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    if isinstance(network, AdaptedNetwork):
        return network.in_windows(inputs)
    logits: torch.Tensor = network(inputs)
    return logits


class StageTimer:
    """Seconds per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - started


def _tumour_probabilities(prediction: WorkingPrediction) -> ClassProbabilities:
    labels = (Label.NCR, Label.ED, Label.ET)
    maps = prediction.probabilities[[int(label) for label in labels]].half().numpy()
    return ClassProbabilities(labels, maps, prediction.case.affine)


def _certain(probabilities: torch.Tensor, where: torch.Tensor, label: Label) -> torch.Tensor:
    """Probabilities with certainty of one label at some voxels."""
    one_hot = torch.zeros(len(probabilities), 1, 1, 1)
    one_hot[int(label)] = 1.0
    return torch.where(where, one_hot, probabilities)


def _changes(
    before: LabelArray, after: LabelArray
) -> Iterator[tuple[npt.NDArray[np.bool_], Label]]:
    for value in (Label.BACKGROUND, Label.NCR):
        changed = (before != after) & (after == value)
        if changed.any():
            yield changed, value


def _on_native_grid(
    raw: WorkingPrediction,
    cleaned: WorkingPrediction,
    affine: Affine,
    shape: tuple[int, int, int],
) -> tuple[LabelArray, npt.NDArray[np.float32]]:
    """Labels after the clean-up, and the doubt before it: clean-up makes nothing more certain."""
    labelmap = np.zeros(shape, dtype=np.uint8)
    uncertainty = np.zeros(shape, dtype=np.float32)
    relevant = (raw.probabilities[int(Label.BACKGROUND)] < 1 - RELEVANT_PROBABILITY).numpy()
    if not relevant.any():
        return labelmap, uncertainty
    box = _box(relevant)
    start = np.eye(4)
    start[:3, 3] = [s.start for s in box]
    working_affine = raw.case.affine @ start
    part, place = to_native_grid(_in_box(raw, box), working_affine, affine, shape)
    covered = part.sum(dim=0) > 0.5
    uncertainty[place] = torch.where(covered, entropy_bits(part), 0.0).numpy()
    if cleaned.probabilities is not raw.probabilities:
        part, _ = to_native_grid(_in_box(cleaned, box), working_affine, affine, shape)
    labels = part.max(dim=0).indices.to(torch.uint8)
    labelmap[place] = torch.where(covered, labels, 0).numpy()
    return labelmap, uncertainty


def _in_box(prediction: WorkingPrediction, box: tuple[slice, slice, slice]) -> torch.Tensor:
    return prediction.probabilities[:, box[0], box[1], box[2]].contiguous()


def entropy_bits(probabilities: torch.Tensor) -> torch.Tensor:
    """Doubt on the scale of `SegmentationResult.uncertainty`.

    Args:
        probabilities: Classes first.
    """
    entropy: torch.Tensor = torch.special.entr(probabilities.clamp(0, 1)).sum(dim=0)
    return (entropy / float(np.log(2))).clamp(max=1.0)


def _box(mask: npt.NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    slices = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        slices.append(
            slice(
                max(int(used[0]) - MARGIN_VOXELS, 0),
                min(int(used[-1]) + 1 + MARGIN_VOXELS, mask.shape[axis]),
            )
        )
    return slices[0], slices[1], slices[2]


def _warnings(
    case: Case, labelmap: LabelArray, disbelieved_ml: float, presence: Presence | None
) -> tuple[str, ...]:
    if presence is not None and presence.reason:
        return (presence.reason,)
    warnings = []
    if case.present == (Sequence.T1,):
        warnings.append(
            "Only t1: not even the whole tumour is to be trusted; add t1c, flair or t2."
        )
    elif Sequence.T1C not in case.volumes:
        warnings.append(
            "No t1c: enhancing tumour and necrotic core cannot be told reliably; "
            "trust only the whole tumour."
        )
    if Sequence.FLAIR not in case.volumes and Sequence.T2 not in case.volumes:
        warnings.append("Neither flair nor t2: the extent of oedema is a guess.")
    spacing = case.spacing_mm
    voxels = int(np.count_nonzero(labelmap))
    if presence is not None and presence.probability is not None:
        warnings += presence_warnings(presence.probability, presence.is_found, voxels)
    elif voxels == 0:
        warnings.append("No tumour was found.")
    if 0 < voxels * float(np.prod(spacing)) / 1000.0 < SMALL_TUMOUR_ML:
        warnings.append(f"The tumour found is smaller than {SMALL_TUMOUR_ML:g} mL; check it.")
    if disbelieved_ml:
        warnings.append(
            f"{disbelieved_ml:.2f} mL of possible enhancement, too little or too unsure, was "
            "outlined as necrotic core; check it."
        )
    return tuple(warnings)
