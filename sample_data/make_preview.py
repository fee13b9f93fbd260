"""Draw preview.png from the sample studies: `python sample_data/make_preview.py STUDIES`.

STUDIES is a folder that `tumorlens sample-data STUDIES` has written.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib.image
import nibabel as nib
import numpy as np
import numpy.typing as npt
from brain_tumor.cases.study_layout import sequences_folder
from brain_tumor.phantoms.samples import GROUND_TRUTH_FOLDER, INDEX_NAME
from skimage.transform import resize

TILE = (264, 224)
AXIAL, CORONAL, SAGITTAL = 2, 1, 0
WHITE_PERCENTILE = 99.6

TILES: tuple[tuple[tuple[str, str, int], ...], ...] = (
    tuple(("glioma-four-sequences", name, AXIAL) for name in ("t1", "t1c", "t2", "flair")),
    (
        ("glioma-t1c-flair", "t1c", AXIAL),
        ("glioma-t1c-flair", "flair", CORONAL),
        ("glioma-thick-oblique", "t1c", AXIAL),
        ("glioma-thick-oblique", "flair", SAGITTAL),
    ),
    (
        ("meningioma-t1c", "t1c", AXIAL),
        ("meningioma-t1c", "t1c", CORONAL),
        ("pituitary-t1c", "t1c", SAGITTAL),
        ("pituitary-t1c", "t1c", CORONAL),
    ),
    tuple(("healthy-four-sequences", name, AXIAL) for name in ("t1", "t1c", "t2", "flair")),
)
"""Case, sequence and plane of every tile."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", type=Path)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("preview.png"))
    arguments = parser.parse_args()
    rows = [np.hstack([_tile(arguments.studies, *tile) for tile in row]) for row in TILES]
    matplotlib.image.imsave(arguments.output, np.vstack(rows), cmap="gray", vmin=0, vmax=1)


def _tile(studies: Path, case_id: str, sequence: str, plane: int) -> npt.NDArray[np.float64]:
    """Slice through the middle of the tumour (or of the head), fitted into a tile, 0 to 1."""
    sibling = sequences_folder(studies, case_id) / f"{sequence}.nii.gz"
    path = sibling if sibling.exists() else studies / f"{case_id}.nii.gz"
    image = nib.as_closest_canonical(nib.load(path))
    array = np.asarray(image.dataobj, dtype=np.float64)
    index = json.loads((studies / GROUND_TRUTH_FOLDER / INDEX_NAME).read_text(encoding="utf-8"))
    centre = index[case_id]["centre_ras_mm"] or [0.0, -14.0, 10.0]
    voxel = np.round(nib.affines.apply_affine(np.linalg.inv(image.affine), centre)).astype(int)
    white = np.percentile(array[array > 0.1 * array.max()], WHITE_PERCENTILE)
    picture = array.take(voxel[plane], axis=plane).T[::-1] / white
    spacing = np.delete(image.header.get_zooms(), plane)[::-1]
    size_mm = np.array(picture.shape) * spacing
    shown = np.round(size_mm * min(TILE / size_mm)).astype(int)
    fitted = np.clip(resize(picture, shown, order=1, anti_aliasing=True), 0, 1)
    margin = np.array(TILE) - shown
    before = margin // 2
    tile: npt.NDArray[np.float64] = np.pad(fitted, list(zip(before, margin - before, strict=True)))
    return tile


if __name__ == "__main__":
    main()
