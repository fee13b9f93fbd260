"""What the network says about slices of the collection, with true outlines and with its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from tqdm import tqdm

from brain_tumor.classification.case_slices import CaseSlice, Patch, cut_patch, stack_patches
from brain_tumor.classification.features.features import slice_features
from brain_tumor.classification.features.outline import MaskArray, largest_component
from brain_tumor.classification.model.calibration import Calibration, fit_mixed_calibration
from brain_tumor.classification.model.network import HybridNetwork
from brain_tumor.classification.scores import pool_patients
from brain_tumor.labels import TYPES, TumorType
from brain_tumor.segmentation.data.cheng_slices import (
    CHENG_PIXEL_MM,
    ChengSlice,
    read_cheng_slice,
)
from brain_tumor.segmentation.evaluation.tumor_core_cases import slice_case
from brain_tumor.segmentation.hardware import bf16_autocast
from brain_tumor.segmentation.metrics.overlap import dice
from brain_tumor.segmentation.result import Segmenter
from brain_tumor.segmentation.tumor_core.slices import Plane

BATCH = 16
OUTLINE_LOGIT = -1.1
"""The short joint training leaves the outline shy: it never gets beyond even odds. One in four is
where training slices agree best with the experts."""

Outliner = Callable[[Items[CaseSlice]], list[MaskArray]]
"""Draws an outline on each slice, whatever outline it came with."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Logits of N slices, each (N, 3), in the order of `TumorType`.

    Attributes:
        fused: The hybrid's answer.
        deep: Appearance alone.
        measured: Measured features alone.
        embedding: Appearance as a vector, (N, D).
        features: Measured features, (N, F), NaN where missing.
    """

    fused: npt.NDArray[np.float32]
    deep: npt.NDArray[np.float32]
    measured: npt.NDArray[np.float32]
    embedding: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Readings of slices with what is known about them.

    Attributes:
        expert: Read with the expert's outline.
        own: Read with an outline that a model drew, by default the network itself.
        dice: Of that outline against the expert's, (N,).
        truth: Index into `TumorType`, (N,).
        patient: Patient group, (N,).
        cohort: Cohort, (N,).
        index: Number of the slice in the collection, (N,).
    """

    expert: Reading
    own: Reading
    dice: npt.NDArray[np.float32]
    truth: npt.NDArray[np.int64]
    patient: npt.NDArray[np.str_]
    cohort: npt.NDArray[np.str_]
    index: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.truth)

    def save(self, path: Path) -> None:
        """Keep the predictions in a compressed file."""
        arrays: dict[str, Any] = {
            f"{which}_{field.name}": getattr(getattr(self, which), field.name)
            for which in ("expert", "own")
            for field in fields(Reading)
        }
        for name in ("dice", "truth", "patient", "cohort", "index"):
            arrays[name] = getattr(self, name)
        np.savez_compressed(path, **arrays)


def load_predictions(path: Path) -> Predictions:
    """Read what `Predictions.save` wrote."""
    with np.load(path) as stored:
        expert, own = (
            Reading(**{field.name: stored[f"{which}_{field.name}"] for field in fields(Reading)})
            for which in ("expert", "own")
        )
        return Predictions(
            expert,
            own,
            *(stored[name] for name in ("dice", "truth", "patient", "cohort", "index")),
        )


def join(parts: Items[Predictions]) -> Predictions:
    """Predictions of several folds as one."""

    def glue(values: Items[Any]) -> Any:
        return np.concatenate(values)

    readings = [
        Reading(
            *(glue([getattr(getattr(p, which), f.name) for p in parts]) for f in fields(Reading))
        )
        for which in ("expert", "own")
    ]
    rest = [
        glue([getattr(p, n) for p in parts])
        for n in ("dice", "truth", "patient", "cohort", "index")
    ]
    return Predictions(readings[0], readings[1], *rest)


def predict_collection(
    network: HybridNetwork,
    feature_ids: tuple[str, ...],
    data_dir: Path,
    rows: Items[ChengSlice],
    *,
    measured: Mapping[int, npt.NDArray[np.float32]] | None = None,
    outliner: Outliner | None = None,
    progress: bool = True,
) -> Predictions:
    """Read slices of the collection as the product reads a lone slice.

    Args:
        network: In evaluation mode.
        feature_ids: Its measured features.
        data_dir: Folder with `cheng`.
        rows: Slices to read.
        measured: Features of the experts' outlines by number of the slice, if they are known.
        outliner: Draws the outlines that `own` is read with; without one the experts' reading
            stands for both.
        progress: Show a bar.
    """
    readings: dict[str, list[Reading]] = {"expert": [], "own": []}
    dices: list[float] = []
    for first in tqdm(range(0, len(rows), BATCH), desc="slices", disable=not progress):
        chunk = rows[first : first + BATCH]
        parts = [lone_slice(*read_cheng_slice(data_dir, row)) for row in chunk]
        known = np.stack([measured[r.index] for r in chunk]) if measured is not None else None
        readings["expert"].append(_read(network, feature_ids, parts, known))
        own = parts
        if outliner is not None:
            outlines = outliner(parts)
            own = [replace(p, mask=m) for p, m in zip(parts, outlines, strict=True)]
        readings["own"].append(
            readings["expert"][-1] if outliner is None else _read(network, feature_ids, own)
        )
        dices += [dice(p.mask, o.mask) for p, o in zip(parts, own, strict=True)]
    expert, found = (
        Reading(*(np.concatenate([getattr(r, f.name) for r in rs]) for f in fields(Reading)))
        for rs in (readings["expert"], readings["own"])
    )
    return Predictions(
        expert=expert,
        own=found,
        dice=np.array(dices, dtype=np.float32),
        truth=np.array([TYPES.index(TumorType(row.tumor_type)) for row in rows]),
        patient=np.array([row.group for row in rows]),
        cohort=np.array([row.cohort for row in rows]),
        index=np.array([row.index for row in rows]),
    )


def lone_slice(
    image: npt.NDArray[Any], mask: MaskArray, pixel_mm: float = CHENG_PIXEL_MM
) -> CaseSlice:
    """A picture with its outline as the slice of a case that has no other.

    Args:
        image: Intensities, shape (rows, columns), upright.
        mask: Tumour, same shape.
        pixel_mm: Side of a pixel.
    """
    return CaseSlice(
        plane=Plane.AXIAL,
        index=0,
        position_mm=0.0,
        image=np.asarray(image, dtype=np.float32),
        mask=np.asarray(mask, dtype=bool),
        pixel_mm=(pixel_mm, pixel_mm),
        to_voxel=np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        is_lone=True,
    )


def own_outlines(network: HybridNetwork, parts: Items[CaseSlice]) -> list[MaskArray]:
    """Outlines that the network itself draws, on the pixels of the slices.

    The largest piece of everything above `OUTLINE_LOGIT`; empty if there is none.
    """
    blank = [replace(part, mask=np.zeros_like(part.mask)) for part in parts]
    patches = [cut_patch(part) for part in blank]
    images, _ = stack_patches(patches)
    with torch.inference_mode(), bf16_autocast():
        logits = network.see(images).mask_logits.float()[:, 0].numpy()
    return [
        largest_component(to_slice(map_, patch, part.image.shape) > OUTLINE_LOGIT)
        for map_, patch, part in zip(logits, patches, parts, strict=True)
    ]


def segmenter_outlines(segmenter: Segmenter) -> Outliner:
    """Outlines of a segmenter that is given each slice as a case of its own, as a user would."""

    def draw(parts: Items[CaseSlice]) -> list[MaskArray]:
        cases = [slice_case("slice", part.image, part.pixel_mm[0]) for part in parts]
        return [segmenter.segment(case).labelmap[:, :, 0].T > 0 for case in cases]

    return draw


def to_slice(
    values: npt.NDArray[np.float32], patch: Patch, shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """A map of the patch on the pixels of its slice, linear; the least value outside the patch.

    Args:
        values: Shape of the patch.
        patch: Where the patch lies.
        shape: Rows and columns of the slice.
    """
    back = np.linalg.inv(patch.to_pixel)
    moved: npt.NDArray[np.float32] = ndimage.affine_transform(
        values,
        np.diag(back)[:2],
        offset=back[:2, 2],
        output_shape=tuple(shape),
        order=1,
        mode="constant",
        cval=float(values.min()),
    )
    return moved


def _read(
    network: HybridNetwork,
    feature_ids: tuple[str, ...],
    parts: Items[CaseSlice],
    values: npt.NDArray[np.float32] | None = None,
) -> Reading:
    images, masks = stack_patches([cut_patch(part) for part in parts])
    if values is None:
        values = np.stack(
            [slice_features(p.image, p.mask, p.pixel_mm).to_array(feature_ids) for p in parts]
        )
    with torch.inference_mode(), bf16_autocast():
        named = network.name(network.see(images), masks, torch.from_numpy(values))
    return Reading(
        named.fused.float().numpy(),
        named.deep.float().numpy(),
        named.measured.float().numpy(),
        named.embedding.float().numpy(),
        values,
    )


def fit_calibrations(
    held_out: Predictions, coverage: float, known: npt.NDArray[np.bool_] | None = None
) -> tuple[Calibration, Calibration]:
    """Calibration of a lone slice and of a case, on experts' and own outlines alike.

    Args:
        held_out: Predictions of networks that have not seen the patients.
        coverage: Promise of the prediction sets.
        known: Slices to fit on, (N,); all if None.

    Returns:
        Of a lone slice; of a case, fitted on the mean of all slices of a patient.
    """
    chosen = np.ones(len(held_out), dtype=bool) if known is None else known
    readings = [reading.fused[chosen] for reading in (held_out.expert, held_out.own)]
    truth, patient = held_out.truth[chosen], held_out.patient[chosen]
    pooled = [pool_patients(logits, patient) for logits in readings]
    people = len(np.unique(patient))
    by_case = fit_mixed_calibration([p for p, _ in pooled], truth[pooled[0][1]], coverage, people)
    return fit_mixed_calibration(readings, truth, coverage, people), by_case
