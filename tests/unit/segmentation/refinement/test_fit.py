"""Fitting the score on clicks whose answer is known, and cubes as cases to correct."""

import numpy as np
from brain_tumor.labels import Label
from brain_tumor.segmentation.evaluation.data import CUBE_SPACING_MM
from brain_tumor.segmentation.refinement.claims import ClaimWeights
from brain_tumor.segmentation.refinement.cubes import AFFINE, CubeToCorrect, cubes_to_correct
from brain_tumor.segmentation.refinement.evidence import Evidence
from brain_tumor.segmentation.refinement.fit import fit_weights
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter
from torch import nn

from tests.helpers.evaluation_data import a_patient, some_labels, write_cubes
from tests.helpers.server import MODEL


def a_cube(seed):
    """A bright ball that the network overlooked: what looks like the click is what is meant."""
    numbers = np.random.default_rng(seed)
    shape = (24, 24, 24)
    grid = np.indices(shape) - numbers.uniform(9, 14, 3).reshape(3, 1, 1, 1)
    target = (grid**2).sum(axis=0) <= 25
    channels = np.where(target, 3.0, 0.0) + numbers.normal(0, 0.2, shape)
    tumour = {Label.ET: np.full(shape, 0.1, dtype=np.float16)}
    evidence = Evidence(
        channels[None].astype(np.float16), tumour, np.ones(shape, dtype=bool), AFFINE
    )
    reference = np.where(target, np.uint8(Label.ET), np.uint8(0))
    return CubeToCorrect("p", np.zeros(shape, np.uint8), reference, evidence, ())


def test_the_fit_learns_that_unlike_tissue_is_not_meant():
    weights = fit_weights([a_cube(seed) for seed in range(3)], ClaimWeights())
    assert weights.difference < 0
    # beside the click against three deviations away, at 5 and 20 mm of path
    like = weights.log_path * np.log(6) + weights.near * np.exp(-5 / 20)
    unlike = weights.log_path * np.log(21) + weights.near * np.exp(-1) + 3 * weights.difference
    assert like > unlike


class Constant(nn.Module):
    """Says oedema everywhere."""

    def forward(self, image):
        logits = image.new_zeros((1, 4, *image.shape[2:]))
        logits[:, int(Label.ED)] = 10.0
        return logits


def test_cubes_of_a_fold_come_with_what_the_network_says(tmp_path):
    labels = some_labels()
    write_cubes(tmp_path, {f"{a_patient(0)}_lesion1": labels, f"{a_patient(1)}_lesion1": labels})
    segmenter = SubregionSegmenter(Constant(), MODEL, bf16=False)
    cubes = list(cubes_to_correct(segmenter, tmp_path, fold=1))
    assert [cube.patient for cube in cubes] == [a_patient(1)] * 2
    assert [cube.evidence.channels.shape[0] for cube in cubes] == [4, 2]
    first = cubes[0]
    assert (first.labels == Label.ED).all()
    assert first.shape == labels.shape
    assert np.count_nonzero(first.reference == Label.ET) == np.count_nonzero(labels == 3)
    assert float(first.evidence.tumour[Label.ED].min()) > 0.99
    assert not first.evidence.foreground.all()
    spacing = np.diag(first.evidence.affine)[:3]
    np.testing.assert_allclose(spacing, CUBE_SPACING_MM)
