"""The outline of a tumour as a closed curve in mm.

The outline is a periodic cubic spline, sampled at points uniform in arc length. Coordinates are
(row, column) in mm: pixel index times pixel size, 0 at the centre of the first pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.classification.features.contours import longest_contour
from brain_tumor.errors import InputError

FloatArray = npt.NDArray[np.float64]
MaskArray = npt.NDArray[np.bool_]

POINTS = 256
MIN_PIXELS = 9
SMOOTHING_MM = 1.5
"""Sd of the blur that takes the staircase of the pixels off the mask (discs keep 4 pi A / P^2 of
0.998 from 5 to 30 mm radius at 1 mm pixels)."""
KNOT_SPACING_MM = 2.0
MIN_KNOTS = 24
START_HARMONICS = 8
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
"""Neighbours of a pixel by its sides."""
_SQUARE = np.ones((3, 3), dtype=int)


@dataclass(frozen=True, eq=False)
class Boundary:
    """A closed outline, sampled uniformly in arc length.

    Attributes:
        points_mm: Points, shape (n, 2), (row, column) in mm, in the direction of positive
            area; the first one is the point farthest from the centroid.
        normals: Outward unit normals, shape (n, 2).
        curvature_per_mm: Signed curvature, shape (n,), 1/R for a circle of radius R.
        perimeter_mm: Length of the spline.
        area_mm2: Area enclosed.
        centroid_mm: Centroid of the area, (row, column).
    """

    points_mm: FloatArray
    normals: FloatArray
    curvature_per_mm: FloatArray
    perimeter_mm: float
    area_mm2: float
    centroid_mm: FloatArray

    @property
    def step_mm(self) -> float:
        """Arc length from a point to the next."""
        return self.perimeter_mm / len(self.points_mm)

    @property
    def radii_mm(self) -> FloatArray:
        """Distance of each point to the centroid."""
        distances: FloatArray = np.linalg.norm(self.points_mm - self.centroid_mm, axis=1)
        return distances


def largest_component(mask: npt.NDArray[np.generic]) -> MaskArray:
    """Largest 8-connected component with its holes filled.

    Args:
        mask: Any 2-D array; non-zero is inside.

    Returns:
        Boolean array of the same shape; empty if the mask is.
    """
    inside = np.asarray(mask) != 0
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if len(rows) == 0:
        return np.zeros(inside.shape, dtype=bool)
    whole = np.zeros(inside.shape, dtype=bool)
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inside = inside[box]
    labels, count = ndimage.label(inside, structure=_SQUARE)
    if count > 1:
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        inside = labels == sizes.argmax()
    whole[box] = filled(inside)
    return whole


def filled(inside: MaskArray) -> MaskArray:
    """A mask with everything that cannot be reached from its edge."""
    around = np.ones((inside.shape[0] + 2, inside.shape[1] + 2), dtype=bool)
    np.logical_not(inside, out=around[1:-1, 1:-1])
    labels, _ = ndimage.label(around, structure=CROSS)
    whole: MaskArray = labels[1:-1, 1:-1] != labels[0, 0]
    return whole


def padded(inside: MaskArray, margin: int) -> MaskArray:
    """A mask with background around it."""
    rows, columns = inside.shape
    wide = np.zeros((rows + 2 * margin, columns + 2 * margin), dtype=bool)
    wide[margin : margin + rows, margin : margin + columns] = inside
    return wide


def trace_boundary(
    mask: npt.NDArray[np.generic], pixel_mm: tuple[float, float], *, points: int = POINTS
) -> Boundary:
    """Outline of the largest component of a mask, at sub-pixel accuracy.

    The component is blurred by `SMOOTHING_MM` (at least 0.7 pixel), contoured at half height
    and scaled about its centroid so that it encloses exactly the area of the component; a disc
    therefore keeps its area and gets its true perimeter, free of the staircase.

    Args:
        mask: Shape (rows, columns); non-zero is tumour.
        pixel_mm: Height and width of a pixel.
        points: Number of points of the outline.

    Raises:
        InputError: If the largest component has fewer than `MIN_PIXELS` pixels.
    """
    component = largest_component(mask)
    count = int(np.count_nonzero(component))
    if count < MIN_PIXELS:
        raise InputError(
            f"tumour mask has {count} connected pixels; expected at least {MIN_PIXELS} to trace "
            "an outline",
            remedy="Outline the tumour on a slice where it is larger.",
        )
    return component_boundary(component, pixel_mm, points=points)


def component_boundary(
    component: MaskArray, pixel_mm: tuple[float, float], *, points: int = POINTS
) -> Boundary:
    """Outline of a mask from `largest_component` with at least `MIN_PIXELS` pixels.

    Args:
        component: Shape (rows, columns).
        pixel_mm: Height and width of a pixel.
        points: Number of points of the outline.
    """
    count = int(np.count_nonzero(component))
    size = np.asarray(pixel_mm, dtype=float)
    rows, columns = np.flatnonzero(component.any(1)), np.flatnonzero(component.any(0))
    sigma = np.maximum(SMOOTHING_MM / size, 0.7)
    margin = int(np.ceil(3 * sigma.max())) + 1
    crop = component[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    wide = padded(crop, margin).astype(np.float32)
    blurred = ndimage.gaussian_filter(wide, sigma, truncate=3.0)
    longest = longest_contour(blurred, min(0.5, 0.5 * float(blurred.max())))
    if longest is None:
        raise InputError("the tumour mask is empty; expected one to trace an outline of")
    corner = np.array([rows[0] - margin, columns[0] - margin])
    outline = (longest + corner) * size
    boundary = boundary_from_outline(outline, points=points)
    area = count * float(size.prod())
    return _scaled(boundary, math.sqrt(area / boundary.area_mm2))


def boundary_from_outline(outline_mm: FloatArray, *, points: int = POINTS) -> Boundary:
    """Periodic cubic spline through an outline, sampled uniformly in arc length.

    Args:
        outline_mm: Vertices of a closed polygon, shape (m, 2), m >= 3; the last may repeat the
            first.
        points: Number of points wanted.

    Returns:
        The boundary. Its start is the point farthest from the centroid on the outline reduced
        to `START_HARMONICS` harmonics, located between samples, so that it turns with the shape.
    """
    closed = _closed(outline_mm)
    if polygon_area_centroid(closed)[0] < 0:
        closed = closed[::-1]
    length = np.linalg.norm(np.diff(closed, axis=0), axis=1).sum()
    knots = int(np.clip(round(length / KNOT_SPACING_MM), MIN_KNOTS, points))
    corners = _linear_resample(closed, knots)
    spline = _ClosedSpline(corners)
    dense = np.linspace(0.0, knots, 4 * points + 1)
    curve = spline.position(dense)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    perimeter = float(arc[-1])
    area, centroid = polygon_area_centroid(curve)

    where = np.arange(points) * (perimeter / points)
    first = spline.position(np.interp(where, arc, dense))
    start = _start_offset(np.linalg.norm(first - centroid, axis=1)) * perimeter / points
    parameter = np.interp((where + start) % perimeter, arc, dense)
    position, velocity, acceleration = spline.motion(parameter)
    speed = np.linalg.norm(velocity, axis=1)
    cross = velocity[:, 0] * acceleration[:, 1] - velocity[:, 1] * acceleration[:, 0]
    normals = np.stack([velocity[:, 1], -velocity[:, 0]], axis=1) / speed[:, None]
    return Boundary(position, normals, cross / speed**3, perimeter, area, centroid)


class _ClosedSpline:
    """Cubic spline through points of a closed curve, one unit of the parameter apart.

    Its second derivatives solve a circulant system, which the Fourier transform makes diagonal.

    Args:
        corners: Points, shape (n, 2), n >= 3.
    """

    def __init__(self, corners: FloatArray) -> None:
        following = np.concatenate([corners[1:], corners[:1]])
        before = np.concatenate([corners[-1:], corners[:-1]])
        waves = np.fft.rfft(following - 2.0 * corners + before, axis=0)
        stiffness = 4.0 + 2.0 * np.cos(np.arange(len(waves)) * (2.0 * math.pi / len(corners)))
        bend = np.fft.irfft(6.0 * waves / stiffness[:, None], len(corners), axis=0)
        bend_after = np.concatenate([bend[1:], bend[:1]])
        slope = following - corners - (2.0 * bend + bend_after) / 6.0
        # (knot, power of the parameter since the knot, coordinate)
        self._powers = np.stack([corners, slope, bend / 2.0, (bend_after - bend) / 6.0], axis=1)

    def position(self, parameter: FloatArray) -> FloatArray:
        """Points, shape (m, 2); parameters from 0 to n."""
        powers, since = self._at(parameter)
        found: FloatArray = powers[:, 3]
        for power in (2, 1, 0):
            found = found * since + powers[:, power]
        return found

    def motion(self, parameter: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Points and their first and second derivative by the parameter, each (m, 2)."""
        powers, since = self._at(parameter)
        start, slope, bend, twist = (powers[:, power] for power in range(4))
        position = ((twist * since + bend) * since + slope) * since + start
        velocity = (3.0 * twist * since + 2.0 * bend) * since + slope
        return position, velocity, 6.0 * twist * since + 2.0 * bend

    def _at(self, parameter: FloatArray) -> tuple[FloatArray, FloatArray]:
        knot = parameter.astype(np.intp)
        since: FloatArray = (parameter - knot)[:, None]
        return self._powers[knot % len(self._powers)], since


def polygon_area_centroid(points_mm: FloatArray) -> tuple[float, FloatArray]:
    """Signed area and centroid of a polygon (shoelace formula).

    Args:
        points_mm: Vertices, shape (n, 2); the last may repeat the first.

    Returns:
        Area, positive if the polygon turns from the row axis towards the column axis, and the
        centroid (row, column); a polygon without area has the mean of its vertices.
    """
    origin = points_mm.mean(axis=0)
    here = points_mm - origin
    there = next_around(here)
    cross = here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1]
    area = 0.5 * float(cross.sum())
    if abs(area) < 1e-12:
        return area, origin
    centroid = origin + ((here + there) * cross[:, None]).sum(axis=0) / (6.0 * area)
    return area, centroid


def _scaled(boundary: Boundary, scale: float) -> Boundary:
    """The boundary scaled about its centroid."""
    return Boundary(
        points_mm=(boundary.points_mm - boundary.centroid_mm) * scale + boundary.centroid_mm,
        normals=boundary.normals,
        curvature_per_mm=boundary.curvature_per_mm / scale,
        perimeter_mm=boundary.perimeter_mm * scale,
        area_mm2=boundary.area_mm2 * scale**2,
        centroid_mm=boundary.centroid_mm,
    )


def _closed(outline_mm: FloatArray) -> FloatArray:
    """The outline with its first vertex repeated at the end."""
    outline = np.asarray(outline_mm, dtype=float)
    if ends_meet(outline):
        outline = outline[:-1]
    return np.concatenate([outline, outline[:1]])


def next_around(points_mm: FloatArray) -> FloatArray:
    """The following point of every point of a closed curve."""
    return np.concatenate([points_mm[1:], points_mm[:1]])


def ends_meet(outline_mm: FloatArray) -> bool:
    """Whether the last vertex of an outline repeats the first."""
    gap = np.abs(outline_mm[0] - outline_mm[-1])
    return bool((gap <= 1e-8 + 1e-5 * np.abs(outline_mm[-1])).all())


def _linear_resample(closed: FloatArray, count: int) -> FloatArray:
    """Points uniform in arc length on a closed polygon, without the repeated last one."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    where = np.arange(count) * (arc[-1] / count)
    return np.stack([np.interp(where, arc, closed[:, axis]) for axis in (0, 1)], axis=1)


def _start_offset(radii: FloatArray) -> float:
    """Index, between samples, of the maximum of the smoothed radius."""
    spectrum = np.fft.rfft(radii)
    spectrum[START_HARMONICS + 1 :] = 0.0
    smooth = np.fft.irfft(spectrum, len(radii))
    peak = int(smooth.argmax())
    before, at, after = (float(smooth[(peak + k) % len(smooth)]) for k in (-1, 0, 1))
    bend = before - 2.0 * at + after
    return peak + (0.5 * (before - after) / bend if bend < -1e-12 else 0.0)
