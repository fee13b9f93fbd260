"""Slices, types and measured features to train the classifier on, split by patient."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from tqdm import tqdm

from brain_tumor.classification.features.features import slice_features
from brain_tumor.classification.features.outline import MaskArray, largest_component
from brain_tumor.labels import TYPES, TumorType
from brain_tumor.segmentation.data.cheng_slices import (
    CHENG_PIXEL_MM,
    FOLDS,
    Collection,
    Pixel,
    SliceSet,
    cheng_folds,
    load_training_slices,
    read_cheng_index,
    read_cheng_slice,
    volume_fold,
)

logger = logging.getLogger(__name__)

NO_TYPE = -1
SOURCE_PIXEL_MM = 1.25
"""Of the slices that patches at the network's pixel are drawn from."""
MASK_VARIANTS = 4
"""Features are measured on the expert's outline and on three outlines that are off."""
SMOOTHING_PIXELS = 1.5
NOISE_PIXELS = 4.0
FEATURE_SEED = 7

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TypedSlices:
    """Slices with the type of their tumour.

    Attributes:
        slices: Images and masks on the training canvas.
        types: Index into `TumorType`, or `NO_TYPE`, per slice.
        folds: Fold of each slice's patient, 0-4.
        features: Measured features, (N, MASK_VARIANTS, F), NaN where missing.
        collection_index: Number of each slice in the slice collection, -1 for volumes.
    """

    slices: SliceSet
    types: npt.NDArray[np.int64]
    folds: npt.NDArray[np.int64]
    features: FloatArray
    collection_index: npt.NDArray[np.int64]

    def subset(self, chosen: npt.NDArray[np.bool_]) -> TypedSlices:
        """The slices where `chosen` is true."""
        slices = self.slices
        return TypedSlices(
            SliceSet(
                slices.images[chosen],
                slices.pixels[chosen],
                slices.depth_mm[chosen],
                slices.collection[chosen],
                slices.stratum[chosen],
                slices.patient[chosen],
                slices.has_core[chosen],
                slices.pixel_mm,
            ),
            self.types[chosen],
            self.folds[chosen],
            self.features[chosen],
            self.collection_index[chosen],
        )


def load_typed_slices(data_dir: Path, feature_ids: tuple[str, ...], cache: Path) -> TypedSlices:
    """Every slice with type, fold and features.

    Measuring takes minutes and is kept in a cache file; delete it when features change.

    Args:
        data_dir: Folder with `cheng`, `t1ce_gbm` and `glioma3d`.
        feature_ids: Features in the order of the network's input.
        cache: File for the measured features (`.npz`).
    """
    slices = load_training_slices(data_dir, None, SOURCE_PIXEL_MM)
    rows = read_cheng_index(data_dir)
    folds = np.array([volume_fold(str(patient)) for patient in slices.patient[len(rows) :]])
    types = np.full(len(slices), NO_TYPE, dtype=np.int64)
    types[: len(rows)] = [TYPES.index(TumorType(row.tumor_type)) for row in rows]
    gbm = (slices.collection == Collection.GBM) & slices.has_core
    types[gbm] = TYPES.index(TumorType.GLIOMA)
    index = np.full(len(slices), -1, dtype=np.int64)
    index[: len(rows)] = [row.index for row in rows]
    return TypedSlices(
        slices,
        types,
        np.concatenate([cheng_folds(rows), folds]),
        _features(data_dir, slices, types, feature_ids, cache),
        index,
    )


def _features(
    data_dir: Path,
    slices: SliceSet,
    types: npt.NDArray[np.int64],
    feature_ids: tuple[str, ...],
    cache: Path,
) -> FloatArray:
    if cache.is_file():
        with np.load(cache) as stored:
            if tuple(stored["names"]) == feature_ids and len(stored["values"]) == len(slices):
                values: FloatArray = stored["values"]
                return values
    found = np.full((len(slices), MASK_VARIANTS, len(feature_ids)), np.nan, dtype=np.float32)
    sources = _sources(data_dir, slices, types)
    total = int(np.count_nonzero(types != NO_TYPE))
    for index, image, mask, pixel_mm in tqdm(sources, total=total, desc="features"):
        rng = np.random.default_rng((FEATURE_SEED, index))
        for variant in range(MASK_VARIANTS):
            outline = mask if variant == 0 else disturb_outline(mask, rng)
            found[index, variant] = slice_features(image, outline, pixel_mm).to_array(feature_ids)
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(cache, names=np.array(feature_ids), values=found)
    return found


def _sources(
    data_dir: Path, slices: SliceSet, types: npt.NDArray[np.int64]
) -> Iterator[tuple[int, npt.NDArray[np.uint8], MaskArray, float]]:
    """Index, image, mask and pixel size of every slice that has a type."""
    rows = read_cheng_index(data_dir)
    for index, row in enumerate(rows):
        image, mask = read_cheng_slice(data_dir, row)
        yield index, image, mask, CHENG_PIXEL_MM
    for index in range(len(rows), len(slices)):
        if types[index] != NO_TYPE:
            mask = slices.pixels[index] != Pixel.OTHER
            yield index, slices.images[index], mask, slices.pixel_mm


def disturb_outline(mask: MaskArray, rng: np.random.Generator) -> MaskArray:
    """An outline that is off the way a segmentation is: too wide, too tight, bumpy, shifted.

    Args:
        mask: Shape (H, W).
        rng: Source of randomness.

    Returns:
        Its largest piece; the mask itself if nothing would be left.
    """
    soft = ndimage.gaussian_filter(mask.astype(np.float32), SMOOTHING_PIXELS)
    noise = ndimage.gaussian_filter(
        rng.standard_normal(mask.shape).astype(np.float32), NOISE_PIXELS
    )
    noise *= rng.uniform(0.0, 0.35) / max(float(noise.std()), 1e-6)
    shift = rng.normal(0.0, 1.0, size=2)
    moved = ndimage.shift(soft + noise * (soft > 0.02), shift, order=1)
    outline: MaskArray = moved > rng.uniform(0.15, 0.75)
    kept = largest_component(outline)
    return kept if np.count_nonzero(kept) > 0.3 * np.count_nonzero(mask) else mask


def held_out(data: TypedSlices, fold: int | None) -> npt.NDArray[np.bool_]:
    """True for slices of the fold's patients; none if fold is None."""
    if fold is None:
        return np.zeros(len(data.slices), dtype=bool)
    if not 0 <= fold < FOLDS:
        raise ValueError(f"fold is {fold}; expected 0 to {FOLDS - 1}")
    kept: npt.NDArray[np.bool_] = data.folds == fold
    return kept
