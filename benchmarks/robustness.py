"""What odd intensities do to an outline: the same case clean and spoilt, read from files.

    python -m benchmarks.robustness --data DATA [--brains 4] [--heads 1] [--only spike_low,ringing]

Brains (glioma3d, stripped) and heads (lgg, with skull) are those of fold 0, which the shipped
networks have not seen and on which no threshold of `cases/grid` was chosen. Every spoilt case is
written as NIfTI and read as a user's would be. `dice` is that of its outline to the outline of the
clean case, `said` what the reply warns of beyond the clean case, `refused` the sentence if it was
not read at all. Of a copied sequence `dice` compares with the clean case without it; an exchange of
t1 and t1c has to be said, its outline is not compared.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from brain_tumor.bundles import models_folder
from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.preprocessing import foreground_mask, to_working_grid
from brain_tumor.cases.loading import LoadedCase, load_case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Affine
from brain_tumor.errors import InputError
from brain_tumor.labels import LabelArray, Region, region_mask
from brain_tumor.segmentation.data.lgg import heads_of_fold
from brain_tumor.segmentation.evaluation.data import read_wholes
from brain_tumor.segmentation.metrics.overlap import dice
from brain_tumor.segmentation.result import Segmenter
from brain_tumor.segmentation.segmenter import load_segmenter
from brain_tumor.segmentation.whole_head.stack import to_slice_stack
from scipy import ndimage
from tqdm import tqdm

from benchmarks.environment import write_result

FOLD = 0
PADDING, PAD_VOXELS = -1000.0, 12
Volumes = dict[Sequence, tuple[np.ndarray, Affine]]
"""Arrays as files hold them, NaN and all."""


def each(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Volumes], Volumes]:
    """Spoil every sequence alike; the change gets a copy."""

    def spoil(volumes: Volumes) -> Volumes:
        return {s: (change(array.copy()), affine) for s, (array, affine) in volumes.items()}

    return spoil


def spike(value: float) -> Callable[[np.ndarray], np.ndarray]:
    """One voxel in the middle of the head."""

    def change(array: np.ndarray) -> np.ndarray:
        array[tuple(n // 2 for n in array.shape)] = value
        return array

    return change


def air(array: np.ndarray) -> np.ndarray:
    """Background as masks leave it, the darkest value of a head."""
    return ~foreground_mask(array)


def nan_outside(array: np.ndarray) -> np.ndarray:
    array[air(array)] = np.nan
    return array


def nan_inside(array: np.ndarray) -> np.ndarray:
    """NaN around the brain and in a few voxels of it."""
    outside = air(array)
    rng = np.random.default_rng(0)
    inside = np.argwhere(~outside)
    array[outside] = np.nan
    array[tuple(inside[rng.choice(len(inside), 20, replace=False)].T)] = np.nan
    return array


def constant_background(array: np.ndarray) -> np.ndarray:
    """Air as bright as tissue."""
    outside = air(array)
    array[outside] = np.float32(np.percentile(array[~outside], 30))
    return array


def zscored(array: np.ndarray) -> np.ndarray:
    """z-scored over the brain, background 0."""
    inside = ~air(array)
    scaled = (array - array[inside].mean()) / array[inside].std()
    return np.where(inside, scaled, 0).astype(np.float32)


def ringing(array: np.ndarray) -> np.ndarray:
    """Moved by half a voxel and back with cubic splines, which ring at the rim."""
    there = ndimage.shift(array, 0.5, order=3)
    return np.asarray(ndimage.shift(there, -0.5, order=3), dtype=np.float32)


def far_below(array: np.ndarray) -> np.ndarray:
    return np.where(air(array), np.float32(PADDING), array).astype(np.float32)


def padded(volumes: Volumes) -> Volumes:
    """A frame of -1000 around the volume, as resampling programs leave it."""
    found = {}
    for sequence, (array, original) in volumes.items():
        affine = original.copy()
        affine[:3, 3] -= affine[:3, :3] @ (PAD_VOXELS, PAD_VOXELS, 0)
        frame = ((PAD_VOXELS, PAD_VOXELS), (PAD_VOXELS, PAD_VOXELS), (0, 0))
        found[sequence] = (np.pad(array, frame, constant_values=PADDING), affine)
    return found


def tiny(array: np.ndarray) -> np.ndarray:
    return array * np.float32(1e-5)


def copied(volumes: Volumes) -> Volumes:
    """The first sequence that is not the reference holds the image of flair, scaled."""
    flair, affine = volumes[Sequence.FLAIR]
    replaced = next(s for s in (Sequence.T2, Sequence.T1, Sequence.T1C) if s in volumes)
    return {**volumes, replaced: (flair * np.float32(1.5), affine)}


def exchanged(volumes: Volumes) -> Volumes:
    if not {Sequence.T1, Sequence.T1C} <= set(volumes):
        return {}
    t1, t1c = volumes[Sequence.T1], volumes[Sequence.T1C]
    return {**volumes, Sequence.T1: t1c, Sequence.T1C: t1}


SPOILT: Mapping[str, Callable[[Volumes], Volumes]] = {
    "spike_low": each(spike(-1e6)),
    "spike_high": each(spike(1e6)),
    "nan_outside": each(nan_outside),
    "nan_inside": each(nan_inside),
    "constant_background": each(constant_background),
    "zscored": each(zscored),
    "background_-1000": each(far_below),
    "padding_-1000": padded,
    "ringing": each(ringing),
    "tiny": each(tiny),
    "copy": copied,
    "t1_t1c_exchanged": exchanged,
}


def arrays_of(case: Case) -> Volumes:
    return {s: (volume.array, volume.affine) for s, volume in case.volumes.items()}


def cases(data: Path, brains: int, heads: int) -> Iterator[tuple[str, Volumes]]:
    for whole in islice(read_wholes(data, FOLD), brains):
        yield whole.case.case_id, arrays_of(whole.case)
    full = (h for h in heads_of_fold(data, FOLD) if len(h.case.present) == 3)
    for head in islice(full, heads):
        yield head.patient, arrays_of(head.case)


def read(volumes: Volumes) -> LoadedCase:
    """The volumes by way of files."""
    with tempfile.TemporaryDirectory() as folder:
        for sequence, (array, affine) in volumes.items():
            image = nib.Nifti1Image(array.astype(np.float32), affine)  # takes NaN
            nib.save(image, Path(folder) / f"{sequence.value}.nii")
        return load_case(Path(folder), case_id="spoilt")


def outlined(segmenter: Segmenter, loaded: LoadedCase, shape: tuple[int, ...]) -> LabelArray:
    """Outline on the grid of the clean case; a padded one is cropped."""
    labels = segmenter.segment(loaded.case).labelmap
    if labels.shape == shape:
        return labels
    return labels[PAD_VOXELS:-PAD_VOXELS, PAD_VOXELS:-PAD_VOXELS]


def compared(found: LabelArray, clean: LabelArray) -> dict[str, float]:
    return {
        region.value: round(dice(region_mask(found, region), region_mask(clean, region)), 4)
        for region in (Region.WT, Region.TC, Region.ET)
    }


def are_alike(one: Case, other: Case) -> bool:
    """Whether the networks would see the same to the last bit."""
    if one.present != other.present or one.shape != other.shape:
        return False
    pair = (to_working_grid(one), to_working_grid(other))
    stacks = (to_slice_stack(one), to_slice_stack(other))
    return np.array_equal(pair[0].channels, pair[1].channels) and np.array_equal(
        stacks[0].slices, stacks[1].slices
    )


def measure(segmenter: Segmenter, volumes: Volumes, names: list[str]) -> dict[str, Any]:
    clean = read(volumes)
    shape = clean.case.shape
    outline = outlined(segmenter, clean, shape)
    rows: dict[str, Any] = {}
    for name in names:
        spoilt = SPOILT[name](volumes)
        if not spoilt:
            continue
        try:
            loaded = read(spoilt)
            if name == "t1_t1c_exchanged":
                rows[name] = {"said": [w for w in loaded.warnings if w not in clean.warnings]}
                continue
            same = are_alike(loaded.case, clean.case)
            found = outline if same else outlined(segmenter, loaded, shape)
        except InputError as error:
            rows[name] = {"refused": error.message}
            continue
        compare = outline
        if name == "copy":
            kept = {s: v for s, v in volumes.items() if s in loaded.case.volumes}
            compare = outlined(segmenter, read(kept), shape)
        print(name, compared(found, compare), flush=True)
        rows[name] = {
            "dice": compared(found, compare),
            "said": [w for w in loaded.warnings if w not in clean.warnings],
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--brains", type=int, default=4)
    parser.add_argument("--heads", type=int, default=1)
    parser.add_argument("--only", help="names with commas")
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else list(SPOILT)
    segmenter = load_segmenter(models_folder())
    started = time.perf_counter()
    found: dict[str, Any] = {}
    for case, volumes in tqdm(list(cases(arguments.data, arguments.brains, arguments.heads))):
        found[case] = measure(segmenter, volumes, names)
        show(found, names, write=not arguments.only)
    print(f"{time.perf_counter() - started:.0f} s")


def show(found: dict[str, Any], names: list[str], *, write: bool) -> None:
    """Print what is measured so far, and write it."""
    lowest = {
        name: min(
            (rows[name]["dice"]["WT"] for rows in found.values() if "dice" in rows.get(name, {})),
            default=None,
        )
        for name in names
    }
    for name, value in lowest.items():
        print(
            f"{name:22} {value}",
            *[rows[name].get("refused", "") for rows in found.values() if name in rows],
        )
    result = {"lowest_wt_dice": lowest, "cases": found, "fold": FOLD}
    if write:
        print(write_result("robustness", result), flush=True)


if __name__ == "__main__":
    main()
