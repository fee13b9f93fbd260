"""Tumour type of a case: slices through the tumour, read and pooled, or the right to say no."""

from __future__ import annotations

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
from scipy import ndimage

from brain_tumor.bundles import Bundle, ModelVersion, read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.classification.case_slices import (
    CaseSlice,
    cut_patch,
    stack_patches,
    tumour_slices,
)
from brain_tumor.classification.features.case_shape import CaseShape, case_shape
from brain_tumor.classification.features.feature_table import FEATURES
from brain_tumor.classification.features.features import (
    MIN_SIDE_PIXELS,
    FeatureVector,
    slice_features,
)
from brain_tumor.classification.features.measurement import missing
from brain_tumor.classification.features.outline import MIN_PIXELS, MaskArray
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
from brain_tumor.classification.result import (
    ClassificationResult,
    OutlierScore,
    Probabilities,
    SliceReading,
)
from brain_tumor.labels import TYPES, LabelArray, Region, TumorType, region_mask
from brain_tumor.segmentation.hardware import bfloat16_copy, cpu_has_bf16, threads_for_slices
from brain_tumor.segmentation.tumor_core.encoder import prepare_for_inference

logger = logging.getLogger(__name__)

PATH_STEPS = 16
LEAST_PIECE_ML = 0.3
LEAST_PIECE_MM2 = 50.0
"""For a lone slice, whose header may say anything of its thickness: 0.3 mL at 6 mm."""
MANY_PIECES = 3
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
        bf16: Run convolutions in bfloat16; by default where the CPU computes it in hardware.
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
        self._bf16 = cpu_has_bf16() if bf16 is None else bf16
        self._quick = bfloat16_copy(network) if self._bf16 else network

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

    def classify(self, case: Case, labelmap: LabelArray) -> ClassificationResult:
        """Tumour type of a case.

        Args:
            case: Case; T1c is read. Without one the reference is read and the type stays
                undetermined.
            labelmap: Outline of the tumour on the reference grid.
        """
        started = time.perf_counter()
        sequence = Sequence.T1C if Sequence.T1C in case.volumes else case.reference
        mask = tumour_mask(labelmap)
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
        result = self._pool(readings, _standing_reasons(case, sequence, mask))
        shape = case_shape(mask, case.spacing_mm)
        shaped = time.perf_counter()
        timings = {
            "slices": cut - started,
            "features": measured - cut,
            "network": finished - measured,
            "shape": shaped - finished,
            "total": shaped - started,
        }
        return replace(result, shape=shape, timings_s=timings)

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
        with torch.inference_mode(), threads_for_slices(len(parts)):
            with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
                maps = self._quick.see(images)
                named = self._quick.name(maps, masks, values)
            fused, embedding = named.fused.float(), named.embedding.float()
            seen = maps.mask_logits[:, 0].float().numpy()
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


def tumour_mask(labelmap: LabelArray) -> MaskArray:
    """Tumour core of a labelmap, or the whole tumour where no core was told apart."""
    core = region_mask(labelmap, Region.TC)
    return core if core.any() else region_mask(labelmap, Region.WT)


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


def _standing_reasons(case: Case, sequence: Sequence, mask: MaskArray) -> list[str]:
    """Reasons that do not depend on what the network says."""
    reasons = []
    if sequence is not Sequence.T1C:
        reasons.append(
            "The case has no contrast-enhanced T1 volume; the type is learned on such volumes only."
        )
    pieces = _large_pieces(mask, case.spacing_mm)
    if pieces >= MANY_PIECES:
        reasons.append(
            f"There are {pieces} separate tumours; metastases, which the model does not know, "
            "cannot be excluded."
        )
    return reasons


def _large_pieces(mask: MaskArray, spacing_mm: tuple[float, float, float]) -> int:
    """Separate tumours that are no specks; voxels that touch at a corner belong together."""
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    voxels = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    inside = [mm for mm, length in zip(spacing_mm, mask.shape, strict=True) if length > 1]
    least = LEAST_PIECE_MM2 if len(inside) < 3 else 1000.0 * LEAST_PIECE_ML
    return int(np.count_nonzero(voxels * np.prod(inside) >= least))


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
