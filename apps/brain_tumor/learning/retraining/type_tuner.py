"""Fine-tuning of the tumour type from corrected and confirmed types.

Only the layers after pooling learn. What they read is pooled once per slice and kept on disk, so
that a step takes milliseconds; encoder, outline decoder and lesion map, batch normalisation
included, are no part of the network that learns: nothing can change them.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from brain_tumor.bundles import read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.classification.case_slices import (
    CaseSlice,
    cut_patch,
    stack_patches,
    tumour_slices,
)
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.features.features import FeatureVector
from brain_tumor.classification.model.network import (
    HybridNetwork,
    NetworkArguments,
    TypeLogits,
    load_network,
)
from brain_tumor.classification.model.outliers import OutlierModel
from brain_tumor.classification.model.training_statistics import read_statistics
from brain_tumor.classification.pieces import tumour_mask
from brain_tumor.classification.training.train import (
    BRANCH_LOSS_CHANCE,
    DEEP_WEIGHT,
    FEATURE_LOSS_CHANCE,
    FEATURE_NOISE,
    LABEL_SMOOTHING,
    MEASURED_WEIGHT,
)
from brain_tumor.labels import TYPES, TumorType
from brain_tumor.learning.gate.promotion import GateRules
from brain_tumor.learning.retraining.tuner import (
    Examples,
    Scorer,
    Truth,
    distillation,
    write_arrays,
)
from brain_tumor.model_names import ModelName

LEARNT_PARTS = ("measure", "deep_head", "measured_head", "fuse")
"""Everything after the embedding. The embedding stays, and with it the outlier model's meaning."""
BATCH = 16
REPLAY_WEIGHT, KNOWN_WEIGHT = 1.0, 0.5
LEAST_PROBABILITY = 0.01
"""Score 0: a model that gives the truth less is not told apart from one that gives it this."""
PATIENT_MARGIN = 0.75
"""A right answer turned wrong costs half; a truth tenfold less likely costs a quarter. So one
patient may change sides when it was close, but not from sure to surely wrong."""
LEAST_CURRENT = 0.5
"""Equal probabilities for all types score 0.55. A version that does worse on corrections is sure of
other types than the annotator in most cases; wrong types are the likelier reason, and a candidate
that merely became unsure would look better."""
LEAST_GROUP = 3
"""Corrected patients of a type from which the outlier model knows their kind of case."""
HEAD_WEIGHTS = {"fused": 1.0, "deep": DEEP_WEIGHT, "measured": MEASURED_WEIGHT}


@dataclass(frozen=True, eq=False)
class TypedExample:
    """A case as the learning layers see it, S slices.

    Attributes:
        pooled: Appearance before the embedding, (S, D).
        features: Measured features, (S, F), NaN where missing.
        taught: The parent's logits: fused, deep, measured, (3, S, classes).
        kind: Index into `TumorType`.
    """

    pooled: torch.Tensor
    features: torch.Tensor
    taught: torch.Tensor
    kind: int


class LearningLayers(nn.Module):
    """Those parts of a hybrid network that learn, under their own names; the parts are shared.

    Args:
        network: Whole network.
    """

    def __init__(self, network: HybridNetwork) -> None:
        super().__init__()
        for name in LEARNT_PARTS:
            self.add_module(name, getattr(network, name))
        self.requires_grad_(requires_grad=True)


class TypeTuner:
    """Tumour type that learns from cases with a corrected or confirmed type.

    Each step sees slices of corrected cases, types and cases drawn evenly, and slices of replayed
    ones, where it learns the type and the parent's own answers. Features are blurred and dropped as
    in the first training.

    Args:
        parent: Bundle to start from; it is the teacher, too.
    """

    name = ModelName.CLASSIFICATION.value
    learns_from = "tumour types"
    rules = GateRules(patient_margin=PATIENT_MARGIN, least_current=LEAST_CURRENT)
    learnt_share = 1.0

    def __init__(self, parent: Path) -> None:
        bundle = read_bundle(parent)
        arguments = NetworkArguments.from_json(bundle.metadata.get("network", {}))
        self._teacher = load_network(arguments, bundle.weights())
        self._whole = copy.deepcopy(self._teacher)
        self._layers = LearningLayers(self._whole)
        self._features = arguments.features
        self._statistics = read_statistics(parent)
        self._version = bundle.version
        self._memory: dict[bytes, FeatureVector] = {}
        self._read = cache(read_typed_example)

    @property
    def network(self) -> nn.Module:
        """Layers that learn."""
        return self._layers

    def prepare(self, case: Case, truth: Truth, path: Path) -> bool:
        """Pool slices through the outline; False without a type, a T1c or an outline."""
        parts = _slices(case, truth)
        if truth.tumor_type is None or not parts:
            return False
        pooled, features, said = self._see(parts)
        write_arrays(
            path,
            pooled=pooled.numpy(),
            features=features,
            taught=torch.stack([getattr(said, name) for name in HEAD_WEIGHTS]).numpy(),
            kind=np.array(TYPES.index(truth.tumor_type)),
        )
        return True

    def loss(
        self, corrections: list[Path], replay: list[Path], rng: np.random.Generator
    ) -> torch.Tensor:
        """Loss of one step."""
        drawn = self._draw(corrections, rng)
        said = self._name(drawn, rng)
        total = _type_loss(said, drawn)
        if replay:
            drawn = self._draw(replay, rng)
            said = self._name(drawn, rng)
            kept = KNOWN_WEIGHT * _type_loss(said, drawn)
            everywhere = torch.ones(len(drawn))
            for row, (name, weight) in enumerate(HEAD_WEIGHTS.items()):
                taught = torch.stack([example.taught[row, place] for example, place in drawn])
                kept = kept + weight * distillation(getattr(said, name), taught, everywhere)
            total = total + REPLAY_WEIGHT * kept
        return total

    def complete(self, bundle: Path, examples: Examples) -> None:
        """Write the statistics of a candidate.

        Calibration stays: it comes from patients that five networks never saw, which a site does
        not have again, and the replay holds the scale of the logits. The gate reads calibrated
        probabilities, so a candidate that has grown too sure loses there. The outlier model stays,
        because the embedding does, and gets to know where the corrected patients lie.
        """
        seen = [self._read(path) for path in examples.corrections]
        with torch.inference_mode():
            places = [self._teacher.embed(one.pooled).mean(dim=0).numpy() for one in seen]
        outliers = with_corrected(self._statistics.outliers, places, [one.kind for one in seen])
        replace(self._statistics, outliers=outliers).write(bundle)

    def scorer(self, bundle: Path) -> Scorer:
        """Measures a bundle."""
        return _scorer(_MeasuringOnce(TumorTypeClassifier.load(bundle), self._memory))

    def scorer_of(self, network: nn.Module) -> Scorer:
        """Measures weights in memory."""
        whole = copy.deepcopy(self._teacher)
        whole.load_state_dict(network.state_dict(), strict=False)
        return _scorer(self._classifier(whole.eval()))

    def _classifier(self, network: HybridNetwork) -> TumorTypeClassifier:
        """Classifier of weights in memory, with the statistics of the parent."""
        classifier = TumorTypeClassifier(network, self._features, self._statistics, self._version)
        return _MeasuringOnce(classifier, self._memory)

    def _see(
        self, parts: Sequence[CaseSlice]
    ) -> tuple[torch.Tensor, npt.NDArray[np.float32], TypeLogits]:
        """Pooled appearance, measured features and what the parent says about slices."""
        classifier = self._classifier(self._teacher)
        features = np.stack([classifier.inputs(classifier.measure(part)) for part in parts])
        images, masks = stack_patches([cut_patch(part) for part in parts])
        with torch.inference_mode():
            pooled = self._teacher.pool(self._teacher.see(images), masks)
            said = self._teacher.name_pooled(pooled, torch.from_numpy(features))
        return pooled, features, said

    def _draw(
        self, paths: Sequence[Path], rng: np.random.Generator
    ) -> list[tuple[TypedExample, int]]:
        """Slices: every type as likely as the others, then every case, then every slice."""
        by_kind: dict[int, list[TypedExample]] = {}
        for path in paths:
            example = self._read(path)
            by_kind.setdefault(example.kind, []).append(example)
        kinds = sorted(by_kind)
        drawn = []
        for _ in range(BATCH):
            same = by_kind[kinds[int(rng.integers(len(kinds)))]]
            example = same[int(rng.integers(len(same)))]
            drawn.append((example, int(rng.integers(len(example.pooled)))))
        return drawn

    def _name(
        self, drawn: Sequence[tuple[TypedExample, int]], rng: np.random.Generator
    ) -> TypeLogits:
        pooled = torch.stack([example.pooled[place] for example, place in drawn])
        features = torch.stack([example.features[place] for example, place in drawn])
        return self._whole.name_pooled(pooled, disturbed(features, self._whole.feature_scale, rng))


class _MeasuringOnce(TumorTypeClassifier):
    """A classifier that remembers what was measured: no weights change that.

    Args:
        classifier: What it is otherwise.
        memory: Features by checksum of the slice; may be shared.
    """

    def __init__(self, classifier: TumorTypeClassifier, memory: dict[bytes, FeatureVector]) -> None:
        super().__init__(
            classifier.network, classifier.features, classifier.statistics, classifier.version
        )
        self._memory = memory

    def measure(self, part: CaseSlice) -> FeatureVector:
        """Measured features of a slice."""
        digest = hashlib.sha256(part.image.tobytes())
        for more in (part.mask, part.flair):
            digest.update(b"" if more is None else more.tobytes())
        digest.update(repr((part.plane, part.is_lone, part.pixel_mm)).encode())
        key = digest.digest()
        if key not in self._memory:
            self._memory[key] = super().measure(part)
        return self._memory[key]


def read_typed_example(path: Path) -> TypedExample:
    """Example as `TypeTuner.prepare` wrote it."""
    with np.load(path, allow_pickle=False) as stored:
        pooled, features, taught = (
            torch.from_numpy(stored[name]) for name in ("pooled", "features", "taught")
        )
        return TypedExample(pooled, features, taught, int(stored["kind"]))


def disturbed(
    features: torch.Tensor, scale: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Measured features with noise, some of them missing, and of some slices all.

    Args:
        features: Shape (N, F), NaN where missing.
        scale: Spread of every feature, (F,).
        rng: Source of randomness.
    """
    shape = tuple(features.shape)
    noise = torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
    lost = rng.random(shape) < FEATURE_LOSS_CHANCE
    lost |= (rng.random(len(features)) < BRANCH_LOSS_CHANCE)[:, None]
    noisy = features + FEATURE_NOISE * scale * noise
    return torch.where(torch.from_numpy(lost), torch.nan, noisy)


def with_corrected(
    known: OutlierModel, places: Sequence[npt.NDArray[np.float32]], kinds: Sequence[int]
) -> OutlierModel:
    """Outlier model that also knows the corrected cases of each type, if they are enough.

    Their mean becomes one more centre; covariance and limit stay those of the first training.

    Args:
        known: Model of the parent.
        places: Embedding of each corrected case, (D,).
        kinds: Their types, as indices.

    Example:
        >>> known = OutlierModel(np.zeros((1, 1)), np.eye(1), 2.0)
        >>> with_corrected(known, [np.array([v]) for v in (3.0, 4.0, 5.0)], [0, 0, 0]).means
        array([[0.],
               [4.]])
    """
    centres = [
        np.mean([place for place, k in zip(places, kinds, strict=True) if k == kind], axis=0)
        for kind in sorted(set(kinds))
        if list(kinds).count(kind) >= LEAST_GROUP
    ]
    means = np.concatenate([known.means, *(centre[None] for centre in centres)])
    return OutlierModel(means, known.precision, known.threshold)


def type_scores(probabilities: Mapping[TumorType, float], truth: TumorType) -> dict[str, float]:
    """How good a distribution is, both from 0 to 1: right at first, and how likely the truth is.

    Args:
        probabilities: Of all types.
        truth: The right one.

    Example:
        >>> type_scores({TumorType.GLIOMA: 0.9, TumorType.MENINGIOMA: 0.1}, TumorType.MENINGIOMA)
        {'accuracy': 0.0, 'log_likelihood': 0.5}
    """
    best = max(probabilities, key=lambda kind: probabilities[kind])
    likelihood = max(probabilities[truth], LEAST_PROBABILITY)
    score = 1.0 - math.log(likelihood) / math.log(LEAST_PROBABILITY)
    return {"accuracy": float(best is truth), "log_likelihood": round(score, 6)}


def _type_loss(said: TypeLogits, drawn: Sequence[tuple[TypedExample, int]]) -> torch.Tensor:
    """Cross-entropy of each head, by its weight."""
    kinds = torch.tensor([example.kind for example, _ in drawn])
    total = torch.zeros(())
    for name, weight in HEAD_WEIGHTS.items():
        logits = getattr(said, name)
        total = total + weight * F.cross_entropy(logits, kinds, label_smoothing=LABEL_SMOOTHING)
    return total


def _slices(case: Case, truth: Truth) -> tuple[CaseSlice, ...]:
    """Slices through the outline of a case with a T1c, as the classifier chooses them."""
    volume = case.volumes.get(MriSequence.T1C)
    if volume is None:
        return ()
    return tumour_slices(volume, tumour_mask(truth.labels), case.volumes.get(MriSequence.FLAIR))


def _scorer(classifier: TumorTypeClassifier) -> Scorer:
    def score(case: Case, truth: Truth) -> Mapping[str, float]:
        if truth.tumor_type is None or not _slices(case, truth):
            return {}
        found = classifier.classify(case, truth.labels).probabilities
        return {} if found is None else type_scores(found, truth.tumor_type)

    return score
