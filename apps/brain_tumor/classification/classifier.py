"""Tumour type of a case: slices through the tumour, read and pooled, or the right to say no."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from brain_tumor.bundles import Bundle, ModelVersion, read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.classification.case_slices import (
    CaseSlice,
    cut_patch,
    stack_patches,
    tumour_slices,
)
from brain_tumor.classification.contradictions import contradictions
from brain_tumor.classification.features.case_shape import CaseShape, case_shape
from brain_tumor.classification.features.feature_table import FEATURES
from brain_tumor.classification.features.features import (
    MIN_SIDE_PIXELS,
    FeatureVector,
    slice_features,
)
from brain_tumor.classification.features.measurement import missing
from brain_tumor.classification.features.outline import MIN_PIXELS
from brain_tumor.classification.model.calibration import Calibration, pool_slices
from brain_tumor.classification.model.network import (
    HybridNetwork,
    NetworkArguments,
    load_network,
)
from brain_tumor.classification.model.plausibility import outline_agreement, plausibility
from brain_tumor.classification.model.training_statistics import (
    ClassifierStatistics,
    read_statistics,
)
from brain_tumor.classification.pieces import MANY_PIECES, believed_pieces, tumour_mask
from brain_tumor.classification.result import (
    ClassificationResult,
    OutlierScore,
    Probabilities,
    SliceReading,
)
from brain_tumor.device_names import DeviceName
from brain_tumor.devices import compute_device, inference, placed
from brain_tumor.labels import TYPES, LabelArray, TumorType
from brain_tumor.segmentation.hardware import bfloat16_copy, threads_for_slices
from brain_tumor.segmentation.result import ClassProbabilities
from brain_tumor.segmentation.tumor_core.encoder import prepare_for_inference

logger = logging.getLogger(__name__)

PATH_STEPS = 16
SLAB_MM, THIN_MM = 16.0, 3.0
"""A volume of several slices thinner than `THIN_MM` that covers less than `SLAB_MM` is a thin slab:
its slices are one picture, not a case. Thick slices whose header claims 1 mm are more than that."""
NO_HEAD = "The picture does not look like an MRI of a head."
HEAD_SHARE = 0.5
FLAIR_FEATURES = frozenset({"oedema_extent_mm", "oedema_ratio"})
NO_TUMOUR = "No tumour was found, so there is nothing to classify."
TOO_SMALL = f"The tumour is too small to be read: no slice shows {MIN_PIXELS} pixels of it."


class TumorTypeClassifier:
    """Names the tumour type of a case; thread-safe, holds no state.

    Args:
        network: Hybrid network in evaluation mode; its weights are not to change afterwards.
        features: Ids of its measured features, in order.
        statistics: Calibration, outliers and reference ranges.
        version: Model behind it.
        bf16: Run convolutions in bfloat16; by default where the device has it in hardware.

    Attributes:
        network: On the processor, where measurements are weighed.
        explained: The same network where images are read: on the device of this process, called
            with tensors from the processor.
    """

    def __init__(
        self,
        network: HybridNetwork,
        features: tuple[str, ...],
        statistics: ClassifierStatistics,
        version: ModelVersion,
        *,
        bf16: bool | None = None,
    ) -> None:
        self.network = network
        self.features = features
        self.statistics = statistics
        self._version = version
        self._bf16 = compute_device().bf16 if bf16 is None else bf16
        self._quick = bfloat16_copy(network) if self._bf16 else network
        self.explained = network
        if compute_device().name is not DeviceName.CPU:
            self._quick = self._quick if self._bf16 else copy.deepcopy(network)
            self._quick.to(compute_device().torch_device)
            self.explained = placed(copy.deepcopy(network))

    @classmethod
    def load(cls, bundle_path: Path, *, bf16: bool | None = None) -> TumorTypeClassifier:
        """Classifier of a bundle folder.

        Raises:
            ModelError: If the bundle is missing, damaged or of another network.
        """
        bundle = read_bundle(bundle_path)
        return cls.of_bundle(bundle, bundle.weights(), bf16=bf16)

    @classmethod
    def of_bundle(
        cls, bundle: Bundle, weights: Mapping[str, torch.Tensor], *, bf16: bool | None = None
    ) -> TumorTypeClassifier:
        """Classifier of a bundle whose weights have been read.

        Raises:
            ModelError: If the bundle is damaged or of another network.
        """
        arguments = NetworkArguments.from_json(bundle.metadata.get("network", {}))
        network = load_network(arguments, weights)
        prepare_for_inference(network)
        return cls(
            network,
            arguments.features,
            read_statistics(bundle.path),
            bundle.version,
            bf16=bf16,
        )

    @property
    def version(self) -> ModelVersion:
        """Model behind this classifier; part of every cache key."""
        return self._version

    def classify(
        self,
        case: Case,
        labelmap: LabelArray,
        outlined: ClassProbabilities | None = None,
    ) -> ClassificationResult:
        """Tumour type of a case.

        Args:
            case: Case; T1c is read. Without one, or of a slab of a few thin slices, nothing is
                read, and the type stays open.
            labelmap: Outline of the tumour on the reference grid.
            outlined: What the segmenter thought, so that specks are not counted as tumours; None
                for an outline of other origin.
        """
        started = time.perf_counter()
        sequence = Sequence.T1C if Sequence.T1C in case.volumes else case.reference
        mask = tumour_mask(labelmap)
        unfit = _unfit(case, sequence) if mask.any() else None
        if unfit is not None:
            shape = case_shape(mask, case.spacing_mm)
            return self._nothing(unfit, shape, time.perf_counter() - started)
        parts = tumour_slices(case.volumes[sequence], mask, case.volumes.get(Sequence.FLAIR))
        if not parts:
            reason = TOO_SMALL if mask.any() else NO_TUMOUR
            shape = case_shape(mask, case.spacing_mm)
            return self._nothing(reason, shape, time.perf_counter() - started)
        cut = time.perf_counter()
        features = [self.measure(part) for part in parts]
        measured = time.perf_counter()
        readings = self.read(parts, features)
        finished = time.perf_counter()
        pieces = believed_pieces(case, labelmap, outlined)
        result = self._pool(readings, _standing_reasons(pieces))
        shape = case_shape(mask, case.spacing_mm)
        shaped = time.perf_counter()
        timings = {
            "slices": cut - started,
            "features": measured - cut,
            "network": finished - measured,
            "shape": shaped - finished,
            "total": shaped - started,
        }
        against = contradictions(result.prediction, readings, pieces)
        return replace(
            result,
            pieces=pieces,
            shape=shape,
            warnings=(*result.warnings, *against),
            timings_s=timings,
        )

    def measure(self, part: CaseSlice) -> FeatureVector:
        """Measured features of a slice; a slice too small to be measured misses all of them."""
        plane = None if part.is_lone else part.plane
        if min(part.image.shape) < MIN_SIDE_PIXELS:
            reason = f"the slice has fewer than {MIN_SIDE_PIXELS} rows or columns"
            return FeatureVector({f.id: missing(f.unit, reason) for f in FEATURES})
        return slice_features(part.image, part.mask, part.pixel_mm, plane=plane, flair=part.flair)

    def read(
        self, parts: Items[CaseSlice], features: Items[FeatureVector]
    ) -> tuple[SliceReading, ...]:
        """Read slices with the network.

        Args:
            parts: Slices, at least one.
            features: Their measured features.
        """
        patches = [cut_patch(part) for part in parts]
        images, masks = stack_patches(patches)
        values = torch.from_numpy(np.stack([self.inputs(vector) for vector in features]))
        if self._bf16:  # convolutions would round it anyway; so nothing in between is float32
            images = images.bfloat16()
        there = compute_device().torch_device
        with threads_for_slices(len(parts)):
            with inference(bf16=self._bf16):
                maps = self._quick.see(images.to(there))
                named = self._quick.name(maps, masks.to(there), values.to(there))
            with torch.inference_mode():
                fused, embedding = named.fused.float().cpu(), named.embedding.float().cpu()
                seen = maps.mask_logits[:, 0].float().cpu().numpy()
        contributions = feature_contributions(self.network, embedding, values)
        calibration = self.statistics.slice_calibration
        probabilities = calibration.reported(calibration.probabilities(fused.numpy()))
        return tuple(
            SliceReading(
                part=part,
                patch=patch,
                features=vector,
                logits=fused[index].numpy(),
                probabilities=_by_type(probabilities[index]),
                embedding=embedding[index].numpy(),
                contributions=contributions[index],
                agreement=outline_agreement(seen[index], patch.mask, patch.image),
            )
            for index, (part, patch, vector) in enumerate(
                zip(parts, patches, features, strict=True)
            )
        )

    def inputs(self, features: FeatureVector) -> npt.NDArray[np.float32]:
        """Measured values as the network takes them, (F,), NaN where missing.

        Features of FLAIR are evidence for people; no training slice had them, so the network is
        told that they are missing.
        """
        values: npt.NDArray[np.float32] = features.to_array(self.features)
        values[[name in FLAIR_FEATURES for name in self.features]] = np.nan
        return values

    def probabilities_of(
        self, reading: SliceReading, features: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float64]:
        """Calibrated slice probabilities if other values had been measured.

        Args:
            reading: Slice whose appearance is kept.
            features: Values in the order of the model's features, (..., F), NaN where missing.

        Returns:
            Shape (..., 3), in the order of `TumorType`.
        """
        told = np.atleast_2d(np.array(features, dtype=np.float32))
        told[:, [name in FLAIR_FEATURES for name in self.features]] = np.nan
        values = torch.from_numpy(told)
        embedding = torch.from_numpy(reading.embedding)[None].expand(len(values), -1)
        with torch.inference_mode():
            measured = self.network.measure(self.network.standardise(values))
            fused = self.network.fuse(torch.cat([embedding, measured], dim=1))
        found = self.statistics.slice_calibration.probabilities(fused.numpy())
        return np.asarray(found.reshape(*np.shape(features)[:-1], len(TYPES)))

    def _pool(
        self, readings: tuple[SliceReading, ...], reasons: Items[str]
    ) -> ClassificationResult:
        """One distribution from all slices, and whether it may be told."""
        logits = pool_logits(readings)
        lone = len(readings) == 1
        calibration = (
            self.statistics.slice_calibration if lone else self.statistics.case_calibration
        )
        probabilities = calibration.probabilities(logits)
        inside = calibration.prediction_set(probabilities)
        distances = self.statistics.outliers.distance(np.stack([r.embedding for r in readings]))
        outlier = OutlierScore(float(np.median(distances)), self.statistics.outliers.threshold)
        chosen = tuple(kind for kind, kept in zip(TYPES, inside, strict=True) if kept)
        found = [*reasons]
        heads = sum(plausibility(reading.patch.image).is_head for reading in readings)
        if heads < HEAD_SHARE * len(readings):
            found.append(NO_HEAD)
        agreement = float(np.median([reading.agreement for reading in readings]))
        if agreement < self.statistics.least_agreement:
            found.append(
                "The outline does not lie where the network sees tumour (agreement "
                f"{agreement:.2f}, least {self.statistics.least_agreement:.2f})."
            )
        if outlier.is_out:
            found.append(
                f"The tumour looks unlike the training cases (distance {outlier.score:.2f}, "
                f"limit {outlier.threshold:.2f})."
            )
        if len(chosen) != 1:
            found.append(_unsure(probabilities, chosen, calibration))
        prediction = None if found else TYPES[int(np.argmax(probabilities))]
        return ClassificationResult(
            prediction=prediction,
            probabilities=_by_type(calibration.reported(probabilities)),
            prediction_set=chosen,
            coverage=calibration.coverage,
            reasons=tuple(found),
            outlier=outlier,
            slices=readings,
            model=self._version,
        )

    def _nothing(self, reason: str, shape: CaseShape, seconds: float) -> ClassificationResult:
        calibration = self.statistics.case_calibration
        return ClassificationResult(
            prediction=None,
            probabilities=None,
            prediction_set=(),
            coverage=calibration.coverage,
            reasons=(reason,),
            outlier=None,
            slices=(),
            model=self._version,
            timings_s={"total": seconds},
            shape=shape,
        )


def pool_logits(readings: Items[SliceReading]) -> npt.NDArray[np.float64]:
    """Pooled logits of the slices of a case, (3,); see `pool_slices`."""
    return pool_slices(
        np.stack([reading.logits for reading in readings]),
        [reading.part.plane.value for reading in readings],
        [reading.part.area_mm2 for reading in readings],
    )


def feature_contributions(
    network: HybridNetwork, embedding: torch.Tensor, features: torch.Tensor
) -> npt.NDArray[np.float32]:
    """Signed share of every measured feature in the fused logits, by integrated gradients.

    The path runs from a typical value of every feature (its median) to the measured one, with the
    appearance kept; the contributions add up to the change of the logit.

    Args:
        network: Hybrid network.
        embedding: Appearance, (N, D).
        features: Measured values, (N, F), NaN where missing.

    Returns:
        Shape (N, F, 3).

    References:
        Sundararajan et al. 2017, arXiv:1703.01365.
    """
    with torch.enable_grad():
        end = network.standardise(features.clone())
        count = features.shape[1]
        steps = (torch.arange(PATH_STEPS) + 0.5) / PATH_STEPS
        # The path once for every type, so that one pass backwards gives the slopes of all logits.
        path = (end[:, None, :count] * steps[:, None]).expand(len(TYPES), -1, -1, -1)
        scores = path.detach().clone().requires_grad_()
        missing = end[:, None, count:].expand(*scores.shape[:3], -1)
        measured = network.measure(torch.cat([scores, missing], dim=3))
        held = embedding.clone()[:, None].expand(*scores.shape[:3], -1)
        logits = network.fuse(torch.cat([held, measured], dim=3))
        (slopes,) = torch.autograd.grad(torch.einsum("tnst->", logits), scores)
    shares = slopes.mean(dim=2) * end[:, :count]
    return shares.permute(1, 2, 0).detach().numpy()


def _unfit(case: Case, sequence: Sequence) -> str | None:
    """Why a case is not read at all: the network has learnt nothing of such pictures."""
    if sequence is not Sequence.T1C:
        return (
            "The case has no contrast-enhanced T1 volume; the type is learned on such volumes only."
        )
    slab = _slab_mm(case)
    if slab is not None:
        return (
            f"The volume is a thin slab of {slab:.0f} mm; it shows too little of the head to tell "
            "a type."
        )
    return None


def _standing_reasons(pieces: int) -> list[str]:
    """Reasons that do not depend on what the network says."""
    if pieces < MANY_PIECES:
        return []
    return [
        f"There are {pieces} separate tumours; metastases, which the model does not know, cannot "
        "be excluded."
    ]


def _slab_mm(case: Case) -> float | None:
    """Thickness of a thin slab; None if the case is a lone slice, a thick stack or a head."""
    thin = [
        length * mm
        for length, mm in zip(case.shape, case.spacing_mm, strict=True)
        if length > 1 and mm < THIN_MM and length * mm < SLAB_MM
    ]
    return min(thin) if thin else None


def _unsure(
    probabilities: npt.NDArray[np.floating[Any]],
    chosen: tuple[TumorType, ...],
    calibration: Calibration,
) -> str:
    most = float(probabilities.max())
    if most < calibration.least_probability:
        return f"No type is likely enough; the most probable one has {most:.0%}."
    names = " and ".join(kind.value for kind in chosen)
    return f"At {calibration.coverage:.0%} coverage {names} cannot be told apart."


def _by_type(probabilities: npt.NDArray[np.floating[Any]]) -> Probabilities:
    return dict(zip(TYPES, (float(p) for p in probabilities), strict=True))
