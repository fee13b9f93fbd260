"""Pictures for the page: grey slices, heat, and outlines as paths."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage.measure import find_contours

from brain_tumor.cases.volume import ScalarArray

COLD = 0.15
"""Heat up to here is left transparent; from `HOT` on it is as opaque as it gets."""
HOT = 0.5
_MOST_OPAQUE, _GREYED_OPAQUE = 0.62, 0.4
_STEPS = 48
_SHADES_OF_HEAT = 256


@dataclass(frozen=True)
class Compression:
    """How hard pictures are compressed.

    Attributes:
        quality: Of JPEG, 1-95.
        longest_side: In pixels; larger pictures are reduced.
    """

    quality: int
    longest_side: int


COMPRESSIONS = (Compression(84, 400), Compression(68, 320), Compression(45, 240))
"""From the best to the smallest; the page takes the first that fits its budget."""


def grey_window(array: ScalarArray) -> tuple[float, float]:
    """Intensities shown as black and as white: 0.5th and 99.7th percentile of what is not air."""
    sample = array[::2, ::2, ::2]
    level = float(sample.mean())
    bright = sample[sample > level]
    high = float(np.percentile(bright, 99.7)) if bright.size else float(array.max())
    low = float(np.percentile(sample, 0.5))
    return low, max(high, low + 1e-6)


def to_grey(values: ScalarArray, window: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Shades 0-255 of a slice."""
    low, high = window
    shades = np.clip((values - low) / (high - low), 0.0, 1.0) * 255.0
    whole: npt.NDArray[np.uint8] = np.rint(shades).astype(np.uint8)
    return whole


def jpeg_uri(shades: npt.NDArray[np.uint8], compression: Compression) -> str:
    """Data URI of a grey picture."""
    image = _reduced(Image.fromarray(shades), compression.longest_side)
    return _uri(image, "JPEG", quality=compression.quality, optimize=True)


def heat_uri(heat: ScalarArray, compression: Compression, *, greyed: bool = False) -> str | None:
    """Data URI of a heat overlay with transparency, or None where nothing is warm.

    Args:
        heat: Slice of a heat volume, 0-1.
        compression: Only its size limit applies.
        greyed: Draw in grey, because the heat must not be relied on.
    """
    if float(heat.max(initial=0.0)) <= COLD:
        return None
    steps = np.rint(np.clip(heat, 0.0, 1.0) * _STEPS) * ((_SHADES_OF_HEAT - 1) / _STEPS)
    shades = Image.fromarray(np.rint(steps).astype(np.uint8))
    image = _reduced(shades, compression.longest_side)
    table = heat_table(greyed)
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(table[:, :3].tobytes())
    return _uri(image, "PNG", optimize=True, transparency=table[:, 3].tobytes())


def _reduced(image: Image.Image, longest_side: int) -> Image.Image:
    if max(image.size) <= longest_side:
        return image
    scale = longest_side / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def _uri(image: Image.Image, form: str, **options: object) -> str:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    content = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/{form.lower()};base64,{content}"


@cache
def heat_table(greyed: bool = False) -> npt.NDArray[np.uint8]:
    """Colours of heat 0 to 1 in 256 steps, RGBA, shape (256, 4).

    Lightness rises evenly from dark violet over red to pale yellow, so that hotter always looks
    lighter, also in a grey print. Colours outside sRGB lose chroma, not lightness.

    Args:
        greyed: Slate of the same lightness instead, and more transparent; plain grey would look
            like tissue.

    References:
        Ottosson 2020, "A perceptual color space for image processing" (OKLab).
    """
    heat = np.linspace(0.0, 1.0, _SHADES_OF_HEAT)
    lightness = 0.30 + 0.66 * heat
    hue = np.radians(np.interp(heat, (0.0, 0.35, 0.65, 1.0), (305.0, 375.0, 410.0, 465.0)))
    chroma = np.interp(heat, (0.0, 0.35, 0.7, 1.0), (0.13, 0.20, 0.17, 0.12))
    if greyed:
        hue, chroma = np.full_like(heat, math.radians(250.0)), np.full_like(heat, 0.035)
    table = np.empty((_SHADES_OF_HEAT, 4), dtype=np.uint8)
    for step in range(_SHADES_OF_HEAT):
        table[step, :3] = _srgb(lightness[step], chroma[step], hue[step])
    opacity = np.clip((heat - COLD) / (HOT - COLD), 0.0, 1.0)
    opacity *= _GREYED_OPAQUE if greyed else _MOST_OPAQUE
    table[:, 3] = np.rint(opacity * 255)
    return table


def _srgb(lightness: float, chroma: float, hue: float) -> npt.NDArray[np.uint8]:
    """Nearest sRGB colour of the same lightness and hue, 0-255."""
    for share in np.linspace(1.0, 0.0, 41):
        linear = _linear_rgb(lightness, share * chroma * np.cos(hue), share * chroma * np.sin(hue))
        if linear.min() >= -1e-6 and linear.max() <= 1.0 + 1e-6:
            break
    linear = np.clip(linear, 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    colour: npt.NDArray[np.uint8] = np.rint(encoded * 255).astype(np.uint8)
    return colour


def _linear_rgb(lightness: float, a: float, b: float) -> npt.NDArray[np.float64]:
    """Linear sRGB of an OKLab colour."""
    roots = np.array(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    mixing = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear: npt.NDArray[np.float64] = mixing @ roots**3
    return linear


def outline_path(mask: npt.NDArray[np.bool_]) -> str:
    """SVG path around a mask, in half pixels: pixel (row, column) spans 2c to 2c+2, 2r to 2r+2.

    The path goes through the middles of the pixels' outer edges, so that corners are cut at 45
    degrees. Empty for an empty mask.

    Example:
        >>> outline_path(np.array([[False, True]]))
        'M3 2l-1 -1l1 -1l1 1z'
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return ""
    columns = np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    padded = np.pad(part, 1).astype(np.float64)
    rings = find_contours(padded, 0.5)  # type: ignore[no-untyped-call]
    offset = np.array([2 * top - 1, 2 * left - 1])
    return "".join(_ring(np.rint(2 * ring).astype(int) + offset) for ring in rings)


def _ring(points: npt.NDArray[np.int_]) -> str:
    """Closed path through points (row, column), straight runs joined."""
    runs: list[tuple[int, int, tuple[int, int]]] = []
    for (row, column), (next_row, next_column) in pairwise(points.tolist()):
        dx, dy = next_column - column, next_row - row
        length = max(abs(dx), abs(dy))
        if not length:
            continue
        direction = (dx // length, dy // length)
        if runs and runs[-1][2] == direction:
            dx, dy = dx + runs[-1][0], dy + runs[-1][1]
            runs.pop()
        runs.append((dx, dy, direction))
    lines = "".join(f"l{dx} {dy}" for dx, dy, _ in runs[:-1])
    return f"M{points[0][1]} {points[0][0]}{lines}z"
