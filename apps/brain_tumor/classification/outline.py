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
from scipy.interpolate import CubicSpline
from skimage.measure import find_contours

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
    labels, count = ndimage.label(inside, structure=np.ones((3, 3), dtype=int))
    if count > 1:
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        inside = labels == sizes.argmax()
    outside, _ = ndimage.label(np.pad(~inside, 1, constant_values=True))
    whole[box] = (outside != outside[0, 0])[1:-1, 1:-1]
    return whole


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
    size = np.asarray(pixel_mm, dtype=float)
    rows, columns = np.flatnonzero(component.any(1)), np.flatnonzero(component.any(0))
    sigma = np.maximum(SMOOTHING_MM / size, 0.7)
    margin = int(np.ceil(3 * sigma.max())) + 1
    crop = component[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    blurred = ndimage.gaussian_filter(np.pad(crop, margin).astype(np.float32), sigma, truncate=3.0)
    level = min(0.5, 0.5 * float(blurred.max()))
    contours = find_contours(blurred, level)  # type: ignore[no-untyped-call]
    longest = max(contours, key=len)
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
    spline = CubicSpline(
        np.arange(knots + 1), np.vstack([corners, corners[:1]]), bc_type="periodic"
    )
    dense = np.linspace(0.0, knots, 4 * points + 1)
    curve = spline(dense)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    perimeter = float(arc[-1])
    area, centroid = polygon_area_centroid(curve)

    where = np.arange(points) * (perimeter / points)
    first = spline(np.interp(where, arc, dense))
    start = _start_offset(np.linalg.norm(first - centroid, axis=1)) * perimeter / points
    parameter = np.interp((where + start) % perimeter, arc, dense)
    position, velocity, acceleration = (spline(parameter, order) for order in range(3))
    speed = np.linalg.norm(velocity, axis=1)
    cross = velocity[:, 0] * acceleration[:, 1] - velocity[:, 1] * acceleration[:, 0]
    normals = np.stack([velocity[:, 1], -velocity[:, 0]], axis=1) / speed[:, None]
    return Boundary(position, normals, cross / speed**3, perimeter, area, centroid)


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
    there = np.roll(here, -1, axis=0)
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
    if np.allclose(outline[0], outline[-1]):
        outline = outline[:-1]
    return np.vstack([outline, outline[:1]])


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
