"""Size and shape of a tumour, in the plane and in space, in mm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist
from skimage.measure import marching_cubes, mesh_surface_area

from brain_tumor.classification.features.outline import (
    FloatArray,
    MaskArray,
    ends_meet,
    next_around,
)
from brain_tumor.errors import InputError

SURFACE_SMOOTHING_MM = 1.5


@dataclass(frozen=True)
class PlaneShape:
    """Shape of a closed outline; every ratio is dimensionless.

    Attributes:
        area_mm2: Area enclosed.
        perimeter_mm: Length of the outline.
        compactness: 4 pi A / P^2; 1 for a circle, less for everything else.
        solidity: Area over the area of the convex hull.
        eccentricity: Of the ellipse with the same second moments; 0 for a circle.
        elongation: Long over short axis of that ellipse.
        extent: Area over the area of the smallest rectangle, turned as needed, that holds the
            outline; pi/4 for a circle or an ellipse, 1 for a rectangle.
        irregularity: Sd over mean of the distances of the outline to its centroid, by arc
            length; 0 for a circle.
        longest_diameter_mm: Largest distance of two points of the outline (Feret).
    """

    area_mm2: float
    perimeter_mm: float
    compactness: float
    solidity: float
    eccentricity: float
    elongation: float
    extent: float
    irregularity: float
    longest_diameter_mm: float


@dataclass(frozen=True)
class SolidShape:
    """Shape of a mask in space.

    Attributes:
        volume_mm3: Voxels times voxel volume.
        surface_mm2: Area of the marching-cubes surface of the slightly blurred mask, scaled to
            enclose the volume.
        sphericity: Surface of the sphere of the same volume over the surface; 1 for a sphere.
        elongation: Longest over middle principal axis (SimpleITK).
        flatness: Middle over shortest principal axis (SimpleITK).
        longest_diameter_mm: Feret diameter (SimpleITK).
        ellipsoid_diameter_mm: Diameters of the equivalent ellipsoid, short to long (SimpleITK).
    """

    volume_mm3: float
    surface_mm2: float
    sphericity: float
    elongation: float
    flatness: float
    longest_diameter_mm: float
    ellipsoid_diameter_mm: tuple[float, float, float]


def plane_shape(outline_mm: FloatArray) -> PlaneShape:
    """Shape of a polygon.

    Args:
        outline_mm: Vertices in order, shape (n, 2), n >= 3, in mm; the last may repeat the first.

    Raises:
        InputError: If the polygon has no area.
    """
    here = np.asarray(outline_mm, dtype=float)
    if ends_meet(here):
        here = here[:-1]
    origin = here.mean(axis=0)
    here = here - origin
    there = next_around(here)
    cross = here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1]
    area = 0.5 * float(cross.sum())
    try:
        hull = ConvexHull(here)
    except (QhullError, ValueError):
        hull = None
    if hull is None or abs(area) < 1e-9:
        raise InputError(f"outline of {len(here)} points encloses no area; expected a polygon")
    lengths = np.linalg.norm(there - here, axis=1)
    perimeter = float(lengths.sum())
    centroid = ((here + there) * cross[:, None]).sum(axis=0) / (6.0 * area)
    minor, major = _principal_moments(here - centroid, there - centroid)
    corners = here[hull.vertices]
    return PlaneShape(
        area_mm2=abs(area),
        perimeter_mm=perimeter,
        compactness=4.0 * math.pi * abs(area) / perimeter**2,
        solidity=abs(area) / float(hull.volume),
        eccentricity=math.sqrt(max(0.0, 1.0 - minor / major)),
        elongation=math.sqrt(major / minor),
        extent=abs(area) / _smallest_rectangle_area(corners),
        irregularity=_radial_variation(here - centroid, there - centroid, lengths),
        longest_diameter_mm=float(pdist(corners).max()),
    )


def solid_shape(
    mask: npt.NDArray[np.generic], spacing_mm: tuple[float, float, float]
) -> SolidShape:
    """Shape of a mask in space.

    Args:
        mask: Shape (I, J, K); non-zero is tumour, all components together.
        spacing_mm: Voxel size along I, J, K.

    Raises:
        InputError: If the mask is not 3-D or empty.
    """
    inside = np.asarray(mask) != 0
    if inside.ndim != 3 or not inside.any():
        raise InputError(
            f"mask of shape {inside.shape} has {int(inside.sum())} tumour voxels; expected a 3-D "
            "mask with at least one"
        )
    inside = _bounding_crop(inside)
    volume = float(np.count_nonzero(inside)) * math.prod(spacing_mm)
    surface = _surface_mm2(inside, spacing_mm, volume)
    image: Any = SimpleITK.GetImageFromArray(inside.astype(np.uint8).transpose(2, 1, 0))
    image.SetSpacing([float(s) for s in spacing_mm])
    statistics: Any = SimpleITK.LabelShapeStatisticsImageFilter()  # type: ignore[no-untyped-call]
    statistics.ComputeFeretDiameterOn()
    statistics.Execute(image)
    short, middle, long = (float(d) for d in statistics.GetEquivalentEllipsoidDiameter(1))
    return SolidShape(
        volume_mm3=volume,
        surface_mm2=surface,
        sphericity=math.pi ** (1 / 3) * (6.0 * volume) ** (2 / 3) / surface,
        elongation=long / middle if middle > 0.0 else math.nan,
        flatness=middle / short if short > 0.0 else math.nan,
        longest_diameter_mm=float(statistics.GetFeretDiameter(1)),
        ellipsoid_diameter_mm=(short, middle, long),
    )


def _bounding_crop(inside: MaskArray) -> MaskArray:
    """The mask cut to its bounding box."""
    box = tuple(
        slice(int(where[0]), int(where[-1]) + 1)
        for where in (
            np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)
        )
    )
    return inside[box]


def _surface_mm2(inside: MaskArray, spacing_mm: tuple[float, float, float], volume: float) -> float:
    """Area of the blurred mask's surface, scaled to enclose the volume."""
    spacing = np.asarray(spacing_mm, dtype=float)
    sigma = np.maximum(SURFACE_SMOOTHING_MM / spacing, 0.7)
    margin = int(np.ceil(3 * sigma.max())) + 1
    blurred = ndimage.gaussian_filter(np.pad(inside, margin).astype(np.float32), sigma, truncate=3)
    level = min(0.5, 0.5 * float(blurred.max()))
    vertices, faces, _, _ = marching_cubes(  # type: ignore[no-untyped-call]
        blurred, level, spacing=tuple(spacing)
    )
    corners = vertices[faces] - vertices.mean(axis=0)
    normals = np.cross(corners[:, 1], corners[:, 2])
    enclosed = abs(float((corners[:, 0] * normals).sum())) / 6.0
    area = float(mesh_surface_area(vertices, faces))  # type: ignore[no-untyped-call]
    return area * math.pow(volume / enclosed, 2 / 3)


def _principal_moments(here: FloatArray, there: FloatArray) -> tuple[float, float]:
    """Second moments of area of a polygon about its principal axes, small to large.

    Args:
        here: Vertices relative to the centroid, shape (n, 2).
        there: The following vertices, same shape.
    """
    cross = here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1]
    sign = math.copysign(1.0, float(cross.sum()))
    rows = (here[:, 0] ** 2 + here[:, 0] * there[:, 0] + there[:, 0] ** 2) @ cross / 12.0
    columns = (here[:, 1] ** 2 + here[:, 1] * there[:, 1] + there[:, 1] ** 2) @ cross / 12.0
    mixed = (
        (
            (2 * here[:, 0] * here[:, 1] + here[:, 0] * there[:, 1] + there[:, 0] * here[:, 1])
            + 2 * there[:, 0] * there[:, 1]
        )
        @ cross
        / 24.0
    )
    minor, major = np.linalg.eigvalsh(sign * np.array([[rows, mixed], [mixed, columns]]))
    return float(minor), float(major)


def _smallest_rectangle_area(corners: FloatArray) -> float:
    """Area of the smallest rectangle around a convex polygon; one side lies on an edge."""
    edges = next_around(corners) - corners
    edges /= np.linalg.norm(edges, axis=1, keepdims=True)
    across = np.stack([-edges[:, 1], edges[:, 0]], axis=1)
    return float((np.ptp(corners @ edges.T, axis=0) * np.ptp(corners @ across.T, axis=0)).min())


def _radial_variation(here: FloatArray, there: FloatArray, lengths: FloatArray) -> float:
    """Sd over mean of the distance to the centroid along the edges, in closed form.

    Args:
        here: Vertices relative to the centroid, shape (n, 2).
        there: The following vertices, same shape.
        lengths: Length of each edge, shape (n,).
    """
    used = lengths > 0.0
    start, end, length = here[used], there[used], lengths[used]
    along = (end - start) / length[:, None]
    first, last = (start * along).sum(axis=1), (end * along).sum(axis=1)
    height = np.abs(start[:, 0] * along[:, 1] - start[:, 1] * along[:, 0])
    height = np.maximum(height, 1e-12 * length)

    def integral(t: FloatArray) -> FloatArray:
        value: FloatArray = 0.5 * (
            t * np.sqrt(t**2 + height**2) + height**2 * np.arcsinh(t / height)
        )
        return value

    perimeter = float(length.sum())
    mean = float((integral(last) - integral(first)).sum()) / perimeter
    square = float(((last**3 - first**3) / 3.0 + height**2 * length).sum()) / perimeter
    return math.sqrt(max(0.0, square - mean**2)) / mean
