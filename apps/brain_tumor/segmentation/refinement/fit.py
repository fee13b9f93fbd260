"""Fit the weights of the score on simulated clicks.

    python -m brain_tumor.segmentation.refinement.fit --data DIR [--models DIR] [--fold 1]

Logistic regression over voxels around clicks on cubes: does a voxel have the label of the click?
The fold must not be the one that results are reported on. Prints the weights for `ClaimWeights`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from brain_tumor.bundles import models_folder
from brain_tumor.model_names import ModelName
from brain_tumor.segmentation.evaluation.data import CUBE_SPACING_MM
from brain_tumor.segmentation.refinement.claims import ClaimWeights, explore, reachable_box, terms
from brain_tumor.segmentation.refinement.cubes import (
    AFFINE,
    FLAIR,
    SUBSETS,
    T1C,
    T2,
    CubeToCorrect,
    cubes_to_correct,
)
from brain_tumor.segmentation.refinement.refine import refine
from brain_tumor.segmentation.refinement.simulation import next_click
from brain_tumor.segmentation.refinement.strokes import Stroke, click
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter

FIT_SUBSETS = (*SUBSETS, (T1C,), (T2, FLAIR))
CLICKS = 3
VOXELS_PER_CLICK = 400

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


def fit_weights(
    cubes: Iterable[CubeToCorrect], weights: ClaimWeights | None = None
) -> ClaimWeights:
    """Weights that tell best which voxels share the label of a click.

    Args:
        cubes: Proposals to correct.
        weights: With which the simulated annotator's earlier clicks are followed.
    """
    numbers = np.random.default_rng(0)
    samples = [_samples(cube, weights, numbers) for cube in cubes]
    inputs = np.concatenate([s[0] for s in samples])
    targets = np.concatenate([s[1] for s in samples])
    scaler, model = StandardScaler(), LogisticRegression(max_iter=300)
    make_pipeline(scaler, model).fit(inputs, targets)
    slopes = model.coef_[0] / scaler.scale_
    constant = float(model.intercept_[0] - (slopes * scaler.mean_).sum())
    names = [field.name for field in fields(ClaimWeights)]
    values = [constant, *(float(s) for s in slopes)]
    return ClaimWeights(**dict(zip(names, values, strict=True)))


def _samples(
    cube: CubeToCorrect, weights: ClaimWeights | None, numbers: np.random.Generator
) -> tuple[FloatArray, BoolArray]:
    """Terms, shape (N, 9), and whether each voxel has the label of its click."""
    labels, strokes = cube.labels, list[Stroke]()
    inputs, targets = [np.zeros((0, 9), np.float32)], [np.zeros(0, dtype=bool)]
    for _ in range(CLICKS):
        found = next_click(labels, cube.reference, CUBE_SPACING_MM)
        if found is None:
            break
        voxel, label = found
        box, _ = reachable_box(cube.evidence, np.array([voxel]))
        around = explore(cube.evidence, labels[box] > 0, np.array([voxel]), label)
        open_to_change = np.flatnonzero(around.within & (labels[box] != label))
        some = numbers.permutation(open_to_change)[:VOXELS_PER_CLICK]
        inputs.append(terms(around, labels[box]).reshape(9, -1).T[some])
        targets.append((cube.reference[box] == label).ravel()[some])
        strokes.append(click(voxel, label, cube.shape))
        labels = refine(labels, AFFINE, cube.evidence, strokes, weights)
    return np.concatenate(inputs), np.concatenate(targets)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fit the weights of the refinement score.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=models_folder())
    parser.add_argument("--fold", type=int, default=1)
    options = parser.parse_args(arguments)
    segmenter = SubregionSegmenter.load(options.models / ModelName.SEGMENTATION)
    cubes = cubes_to_correct(segmenter, options.data, options.fold, FIT_SUBSETS)
    weights = fit_weights(tqdm(cubes, desc="clicks", unit="cube", file=sys.stderr))
    sys.stdout.write(json.dumps(asdict(weights), indent=1) + "\n")


if __name__ == "__main__":
    main()
