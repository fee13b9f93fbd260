"""Draw the pictures of README.md from a sample study and the shipped models.

python docs/pictures.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from brain_tumor.bundles import models_folder
from brain_tumor.cases.phantom import PhantomSpec, make_phantom
from brain_tumor.cases.sequences import Sequence
from brain_tumor.labels import LABEL_STYLES, Label
from brain_tumor.segmentation.segmenter import load_segmenter

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PICTURES = Path(__file__).parent / "pictures"
SEED = 11


def main() -> None:
    """Write every picture."""
    phantom = make_phantom(PhantomSpec(seed=SEED))
    result = load_segmenter(models_folder()).segment(phantom.case)
    k = int(np.argmax((phantom.labelmap == Label.ET).sum(axis=(0, 1))))
    t1c = phantom.case.volumes[Sequence.T1C].array[:, :, k].T
    flair = phantom.case.volumes[Sequence.FLAIR].array[:, :, k].T
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.9), facecolor="black")
    panels = (
        ("T1c", t1c, None),
        ("FLAIR", flair, None),
        ("proposed", t1c, result.labelmap[:, :, k].T),
        ("truth", t1c, phantom.labelmap[:, :, k].T),
    )
    for axis, (title, image, labels) in zip(axes, panels, strict=True):
        axis.imshow(image, cmap="gray", origin="lower", vmax=np.percentile(image, 99.7))
        if labels is not None:
            axis.imshow(_colours(labels), origin="lower")
        axis.set_title(title, color="white")
        axis.axis("off")
    names = [(LABEL_STYLES[v].name, LABEL_STYLES[v].color) for v in (Label.NCR, Label.ED, Label.ET)]
    handles = [plt.Rectangle((0, 0), 1, 1, color=color) for _, color in names]
    figure.legend(
        handles,
        [name for name, _ in names],
        loc="lower center",
        ncol=3,
        labelcolor="white",
        facecolor="black",
        edgecolor="black",
    )
    figure.subplots_adjust(left=0, right=1, top=0.9, bottom=0.1, wspace=0.02)
    PICTURES.mkdir(exist_ok=True)
    figure.savefig(PICTURES / "segmentation.png", dpi=110, facecolor="black")


def _colours(labels: np.ndarray) -> np.ndarray:
    picture = np.zeros((*labels.shape, 4))
    for label, style in LABEL_STYLES.items():
        picture[labels == label] = (*style.color, 0.65)
    return picture


if __name__ == "__main__":
    main()
