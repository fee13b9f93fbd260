"""Whole-brain training samples composed from real lesion cubes and real brains.

The cubes hold the tumour but hardly any healthy tissue. Cubes, whole expert masks and whole
brains share one space (SRI24), so a cube goes back to its own place in another patient's brain;
the part of the tumour that the cube does not show is rendered from the whole expert mask with
the intensity statistics of the cube. Seams must not give tumours away, so boxes of healthy
tissue are transplanted between brains in the same manner.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.cases.grid.preprocessing import BoolArray, zscore
from brain_tumor.cases.volume import ScalarArray
from brain_tumor.labels import Label, LabelArray
from brain_tumor.segmentation.data.brats import CUBE, Cube, Whole

CANVAS_LOW = (16, 4, 0)
CANVAS_SHAPE = (96, 112, 128)
RAMP_VOXELS = 3
FEATHER_VOXELS = 0.7
TEXTURE_VOXELS = 0.8
MIN_CLASS_VOXELS = 20
MIRROR_SEARCH_VOXELS = 12
KEEP_OWN_TUMOUR = 0.35
TUMOUR_LABELS = (Label.NCR, Label.ED, Label.ET)


@dataclass(frozen=True, eq=False)
class Sample:
    """One training sample before augmentation.

    Attributes:
        image: Normalised intensities, shape (4, I, J, K).
        labels: Label values, shape (I, J, K).
        present: Which channels hold a sequence.
    """

    image: ScalarArray
    labels: LabelArray
    present: tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class Host:
    """A brain that lesions are put into, on the canvas.

    Attributes:
        image: With the patient's own tumour, shape (4, *CANVAS_SHAPE).
        labels: The patient's own labels.
        healthy_image: Tumour replaced by the mirrored other side where that is healthy.
        healthy_labels: What could not be replaced keeps its label.
        brain: Brain mask.
        present: Which channels hold a sequence.
        whole_head: Whether skull and scalp are in the image.
    """

    image: ScalarArray
    labels: LabelArray
    healthy_image: ScalarArray
    healthy_labels: LabelArray
    brain: BoolArray
    present: tuple[bool, ...]
    whole_head: bool = False


def to_canvas(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Part of the 128 grid where brains lie; spatial axes are the last three."""
    box = tuple(slice(a, a + n) for a, n in zip(CANVAS_LOW, CANVAS_SHAPE, strict=True))
    return np.ascontiguousarray(array[..., box[0], box[1], box[2]])


def make_host(whole: Whole) -> Host:
    """Prepare a whole case as host: mirror healthy tissue over its tumour."""
    image = np.asarray(to_canvas(whole.image), dtype=np.float32)
    labels = np.asarray(to_canvas(whole.labels), dtype=np.uint8)
    brain = np.asarray(to_canvas(whole.brain), dtype=bool)
    tumour = ndimage.binary_dilation(labels > 0, iterations=2)
    shift = _mirror_shift(brain)
    mirrored = _mirror(image, shift)
    replaceable = tumour & ~_mirror(tumour, shift) & _mirror(brain, shift) & brain
    weight = ndimage.gaussian_filter(replaceable.astype(np.float32), FEATHER_VOXELS)
    weight = np.where(replaceable, np.maximum(weight, 0.5), 0.0)
    healthy = image * (1 - weight) + mirrored * weight
    return Host(
        image=image,
        labels=labels,
        healthy_image=healthy.astype(np.float32),
        healthy_labels=np.where(replaceable, Label.BACKGROUND, labels).astype(np.uint8),
        brain=brain,
        present=whole.present,
    )


def compose(
    cube: Cube | None,
    mask: LabelArray | None,
    host: Host,
    donors: Items[Host],
    rng: np.random.Generator,
) -> Sample:
    """A lesion in another patient's brain, with healthy transplants as decoys.

    Args:
        cube: Lesion to insert, or None for the host alone.
        mask: Whole expert labels of the cube's patient on the canvas.
        host: Brain that receives it.
        donors: Brains that healthy boxes come from.
        rng: Source of randomness.

    Returns:
        Sample on the canvas.
    """
    own = rng.random() < KEEP_OWN_TUMOUR or cube is None
    image = (host.image if own else host.healthy_image).copy()
    labels = (host.labels if own else host.healthy_labels).copy()
    for _ in range(rng.integers(0, 3)):
        _transplant_healthy(image, labels, host.brain, _pick(donors, rng), rng)
    if cube is not None and mask is not None:
        _render_outside(image, labels, cube, mask, host.brain, rng)
        corner = np.array(cube.corner) - np.array(CANVAS_LOW)
        _paste_cube(image, labels, host, cube, corner)
    image = _finish(image, host)
    return Sample(image, labels, host.present)


def healthy_scan(host: Host) -> ScalarArray:
    """What the network is shown of a host without its tumour, shape (4, *CANVAS_SHAPE)."""
    return _finish(host.healthy_image.copy(), host)


def _finish(image: ScalarArray, host: Host) -> ScalarArray:
    """Clear missing sequences, in place, and normalise as inference does."""
    for channel, there in enumerate(host.present):
        if not there:
            image[channel] = 0.0
    if host.whole_head:
        # inference normalises a scan with skull over the whole head, not over the brain
        image = np.stack([zscore(channel, channel != 0) for channel in image])
    return image


def _pick(hosts: Items[Host], rng: np.random.Generator) -> Host:
    return hosts[int(rng.integers(len(hosts)))]


def _paste_cube(
    image: ScalarArray,
    labels: LabelArray,
    host: Host,
    cube: Cube,
    corner: npt.NDArray[np.int_],
) -> None:
    low = np.maximum(corner, 0)
    high = np.minimum(corner + CUBE, CANVAS_SHAPE)
    if (high <= low).any():
        return
    target = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    source = tuple(slice(int(a), int(b)) for a, b in zip(low - corner, high - corner, strict=True))
    new, new_labels = cube.image[(slice(None), *source)], cube.labels[source]
    old = image[(slice(None), *target)]
    weight = _ramp((CUBE,) * 3)[source]
    both = new.any(axis=0) & old.any(axis=0)
    blended = new * weight + old * (1 - weight)
    # a zero of the cube is padding around a small lesion or lies outside the brain: the host stays
    inside = new.any(axis=0) & (host.brain[target] if host.whole_head else True)
    image[(slice(None), *target)] = np.where(inside, np.where(both, blended, new), old)
    labels[target] = np.where(inside, new_labels, labels[target])


def _transplant_healthy(
    image: ScalarArray,
    labels: LabelArray,
    host_brain: BoolArray,
    donor: Host,
    rng: np.random.Generator,
) -> None:
    size = rng.integers(16, 44, 3)
    low = np.array([rng.integers(0, n - s) for n, s in zip(CANVAS_SHAPE, size, strict=True)])
    box = tuple(slice(int(a), int(a + n)) for a, n in zip(low, size, strict=True))
    new, old = donor.healthy_image[(slice(None), *box)], image[(slice(None), *box)]
    swap = new.any(axis=0) & old.any(axis=0) & host_brain[box] & donor.brain[box]
    tumour = (labels[box] > 0) | (donor.healthy_labels[box] > 0)
    if not all(donor.present) and tumour[swap].any():
        return  # some channels would show the tumour of one brain, some that of the other
    weight = np.where(swap, _ramp(tuple(int(n) for n in size)), 0.0)
    for channel, there in enumerate(donor.present):
        if there:
            old[channel] = old[channel] * (1 - weight) + new[channel] * weight
    taken = weight > 0.5
    labels[box][taken] = donor.healthy_labels[box][taken]


def _render_outside(
    image: ScalarArray,
    labels: LabelArray,
    cube: Cube,
    mask: LabelArray,
    brain: BoolArray,
    rng: np.random.Generator,
) -> None:
    """Fill the tumour that lies outside the cube with the cube's intensity statistics."""
    outside = (mask > 0) & brain
    corner = np.array(cube.corner) - np.array(CANVAS_LOW)
    low, high = np.clip(corner, 0, CANVAS_SHAPE), np.clip(corner + CUBE, 0, CANVAS_SHAPE)
    outside[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))] = False
    if not outside.any():
        return
    found = ndimage.find_objects(outside.astype(np.uint8))[0]
    box = tuple(
        slice(max(s.start - 2, 0), min(s.stop + 2, n))
        for s, n in zip(found, CANVAS_SHAPE, strict=True)
    )
    part, inside = mask[box], outside[box]
    view = image[(slice(None), *box)]
    noise = rng.standard_normal(view.shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, (0, *(TEXTURE_VOXELS,) * 3))
    noise /= max(float(noise.std()), 1e-6)
    for label in TUMOUR_LABELS:
        voxels = inside & (part == label)
        if not voxels.any():
            continue
        known = cube.labels == label
        if np.count_nonzero(known) < MIN_CLASS_VOXELS:
            known = cube.labels > 0
            if np.count_nonzero(known) < MIN_CLASS_VOXELS:
                continue
        values = cube.image[:, known]
        mean, covariance = values.mean(axis=1), np.cov(values) + 1e-3 * np.eye(len(values))
        factor = np.linalg.cholesky(covariance).astype(np.float32)
        rendered = mean[:, None] + factor @ noise[:, voxels]
        weight = ndimage.gaussian_filter(voxels.astype(np.float32), FEATHER_VOXELS)[voxels]
        weight = np.clip(2 * weight - 0.3, 0.3, 1.0)
        view[:, voxels] = rendered * weight + view[:, voxels] * (1 - weight)
        labels[box][voxels] = label


def _ramp(shape: tuple[int, ...]) -> ScalarArray:
    """1 inside a box, falling to 0 over a few voxels at its faces."""
    weight = np.ones(shape, dtype=np.float32)
    for axis, count in enumerate(shape):
        index = np.arange(count)
        edge = np.minimum(index, count - 1 - index)
        profile = np.clip((edge + 1) / (RAMP_VOXELS + 1), 0, 1).astype(np.float32)
        weight *= profile.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return weight


def _mirror_shift(brain: BoolArray) -> int:
    overlaps = [
        np.count_nonzero(brain & _mirror(brain, shift))
        for shift in range(-MIRROR_SEARCH_VOXELS, MIRROR_SEARCH_VOXELS + 1)
    ]
    return int(np.argmax(overlaps)) - MIRROR_SEARCH_VOXELS


def _mirror(array: npt.NDArray[Any], shift: int) -> npt.NDArray[Any]:
    """Flip the left-right axis (third last) and shift it by whole voxels."""
    return np.roll(array[..., ::-1, :, :], shift, axis=-3)
