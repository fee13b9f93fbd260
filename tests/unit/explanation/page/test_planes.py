"""Where voxels end up in the pictures; every place is worked out by hand."""

import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.explanation.facts.model import Language
from brain_tumor.explanation.heat.volume import heat_volume
from brain_tumor.explanation.page.figures import Scene, colour, make_views, plane_figures
from brain_tumor.explanation.page.images import COLD, heat_table, outline_path
from brain_tumor.explanation.page.planes import (
    Plane,
    centre_voxel,
    display_grid,
    picture,
    slice_indices,
)
from brain_tumor.explanation.page.text import Texts
from brain_tumor.labels import Label
from PIL import Image

# A head of 10 x 12 x 8 voxels of 2 x 3 x 4 mm in RAS, its centre at the origin. Voxel (7, 9, 6)
# lies at R 5, A 10.5, S 10 mm. In the axes L, P, I that is (9 - 7, 11 - 9, 7 - 6) = (2, 2, 1).
RAS = np.array([[2.0, 0, 0, -9], [0, 3, 0, -16.5], [0, 0, 4, -14], [0, 0, 0, 1]])
LPS = np.array([[-2.0, 0, 0, 9], [0, -3, 0, 16.5], [0, 0, 4, -14], [0, 0, 0, 1]])
SRA = np.array([[0, 2.0, 0, -9], [0, 0, 3, -16.5], [4, 0, 0, -14], [0, 0, 0, 1]])
STORED = {
    "RAS": (lambda a: a, RAS),
    "LPS": (lambda a: a[::-1, ::-1], LPS),
    "SRA": (lambda a: a.transpose(2, 0, 1), SRA),
}
PLACES = {Plane.AXIAL: (2, 2), Plane.CORONAL: (1, 2), Plane.SAGITTAL: (1, 2)}  # row, column


@pytest.fixture(params=STORED)
def scene(request):
    """The same head stored in three ways; one voxel is bright, labelled and hot."""
    store, affine = STORED[request.param]
    image = np.full((10, 12, 8), 100.0, dtype=np.float32)
    labels = np.zeros(image.shape, dtype=np.uint8)
    heat = np.zeros(image.shape, dtype=np.float32)
    image[7, 9, 6], labels[7, 9, 6], heat[7, 9, 6] = 400.0, Label.ET, 2.0
    case = Case("P1", Sequence.T1C, {Sequence.T1C: Volume(store(image), affine)})
    return Scene(case, store(labels), heat_volume(store(heat), affine, "gradcam++", "glioma"))


def pixels(uri, mode):
    content = base64.b64decode(uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert(mode))


def drawings(scene):
    figures = plane_figures(make_views(scene), "T1", Texts(Language.ENGLISH))
    return dict(zip(Plane, (ET.fromstring(f.drawing) for f in figures), strict=True))


def test_a_voxel_on_the_right_of_the_patient_is_on_the_left_of_the_picture(scene):
    for view in make_views(scene).planes:
        shades = pixels(view.greys[view.chosen], "L").astype(int)
        place = np.unravel_index(shades.argmax(), shades.shape)
        assert place == PLACES[view.plane], view.plane
    axial = make_views(scene).planes[0]
    assert pixels(axial.greys[axial.chosen], "L").shape == (12, 10)


def test_heat_is_drawn_at_its_voxel_and_nowhere_else(scene):
    for view in make_views(scene).planes:
        overlay = pixels(view.heats[view.chosen], "RGBA")
        assert [tuple(p) for p in np.argwhere(overlay[..., 3] > 0)] == [PLACES[view.plane]]
        assert tuple(overlay[PLACES[view.plane]]) == tuple(heat_table()[255])
        assert [uri for n, uri in enumerate(view.heats) if n != view.chosen and uri] == []


def test_the_outline_surrounds_the_labelled_voxel_in_the_label_s_colour(scene):
    for plane, drawing in drawings(scene).items():
        row, column = PLACES[plane]
        paths = drawing.findall(".//defs/path")
        assert [p.get("d") for p in paths] == [
            f"M{2 * column + 1} {2 * row + 2}l-1 -1l1 -1l1 1z"  # a diamond in half pixels
        ]
        lines = drawing.findall(".//use[@class='line']")
        assert [(u.get("href"), u.get("stroke")) for u in lines] == [
            (f"#{paths[0].get('id')}", "#e64033")  # 0.9, 0.25 and 0.2 of 255
        ]


def test_outlines_are_scaled_from_half_pixels_to_mm(scene):
    scales = {
        p: d.find(".//g[@class='outline']").get("transform") for p, d in drawings(scene).items()
    }
    assert scales == {
        Plane.AXIAL: "scale(1 1.5)",
        Plane.CORONAL: "scale(1 2)",
        Plane.SAGITTAL: "scale(1.5 2)",
    }
    assert drawings(scene)[Plane.SAGITTAL].get("viewBox") == "0 0 36.00 32.00"  # 12 x 3, 8 x 4 mm


def test_marks_say_which_side_of_the_patient_is_where(scene):
    marks = {}
    for plane, drawing in drawings(scene).items():
        texts = drawing.findall(".//g[@class='marks']/text")
        left, right = (t for t in texts if t.get("text-anchor") != "middle")
        top, bottom = sorted(
            (t for t in texts if t.get("text-anchor") == "middle"), key=lambda t: float(t.get("y"))
        )
        assert float(left.get("x")) < 5 < float(right.get("x"))
        marks[plane] = (left.text, right.text, top.text, bottom.text)
    assert marks == {
        Plane.AXIAL: ("R", "L", "A", "P"),
        Plane.CORONAL: ("R", "L", "S", "I"),
        Plane.SAGITTAL: ("A", "P", "S", "I"),
    }


def test_each_slice_names_its_position(scene):
    views = make_views(scene).planes
    assert [v.positions[v.chosen] for v in views] == ["S 10 mm", "A 10 mm", "R 5 mm"]


def test_slices_reach_8_mm_beyond_the_tumour_and_include_its_centre(scene):
    grid = display_grid(scene.case, scene.labelmap)
    centre = centre_voxel(grid, scene.labelmap, scene.heat)
    assert centre == (2, 2, 1)
    found = {p: slice_indices(grid, p, centre, scene.labelmap) for p in Plane}
    assert found == {
        Plane.AXIAL: (0, 1, 2, 3),  # 8 mm are two slices of 4 mm
        Plane.CORONAL: (0, 1, 2, 3, 4, 5),  # three of 3 mm
        Plane.SAGITTAL: (0, 1, 2, 3, 4, 5, 6),  # four of 2 mm
    }
    assert slice_indices(grid, Plane.SAGITTAL, centre, scene.labelmap, count=3) == (0, 2, 6)


def test_the_scale_bar_is_as_long_as_it_says(scene):
    bar = drawings(scene)[Plane.AXIAL].find(".//g[@class='scale']")
    start, end = re.fullmatch(r"M(\S+) \S+v2H(\S+)v-2", bar.find("path").get("d")).groups()
    assert bar.find("text").text == "5 mm"  # the longest round length below 20 / 3 mm
    assert float(end) - float(start) == pytest.approx(5.0, abs=0.011)


def test_the_centre_lies_in_the_largest_piece_of_the_core_even_if_that_is_a_ring():
    image = np.full((20, 20, 20), 100.0, dtype=np.float32)
    labels = np.zeros(image.shape, dtype=np.uint8)
    labels[4:9, 4:9, 10] = Label.ET
    labels[5:8, 5:8, 10] = Label.ED  # the ring's own middle is no core
    labels[15:17, 15:17, 3] = Label.ET
    case = Case("P1", Sequence.T1, {Sequence.T1: Volume(image, np.eye(4))})
    grid = display_grid(case, labels)
    centre = centre_voxel(grid, labels, None)
    assert grid.cut(labels)[centre] == Label.ET
    assert centre[2] == 9  # I grows downwards: 19 - 10


def test_pictures_are_cut_to_the_head_with_a_margin():
    image = np.zeros((40, 30, 30), dtype=np.float32)
    image[10:30, 5:25, 12:18] = 100.0
    case = Case("P1", Sequence.T1, {Sequence.T1: Volume(image, np.diag([2.0, 2.0, 2.0, 1.0]))})
    grid = display_grid(case, None)
    assert grid.shape == (28, 28, 14)  # 20 + 8, 20 + 8 and 6 + 8 voxels: 8 mm are four
    labels = np.zeros(image.shape, dtype=np.uint8)
    labels[0, 0, 0] = Label.CORE
    assert display_grid(case, labels).cut(labels).sum() == Label.CORE


def test_a_tilted_scan_says_by_how_much():
    turn = np.radians(20.0)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    image = Volume(np.full((8, 8, 8), 5.0, dtype=np.float32), affine)
    assert display_grid(Case("P1", Sequence.T1, {Sequence.T1: image}), None).tilt_deg == (
        pytest.approx(20.0)
    )


def test_a_picture_has_the_second_axis_down():
    array = np.arange(24).reshape(2, 3, 4)
    assert picture(array, Plane.AXIAL, 3).tolist() == [[3, 15], [7, 19], [11, 23]]


def test_an_outline_joins_straight_runs_and_keeps_holes():
    square = np.zeros((5, 5), dtype=bool)
    square[1:4, 1:4] = True
    assert len(re.findall("[lz]", outline_path(square))) == 8  # four sides, four cut corners
    square[2, 2] = False
    assert outline_path(square).count("M") == 2
    assert outline_path(np.zeros((3, 3), dtype=bool)) == ""


def test_hotter_always_looks_lighter_and_cold_is_transparent():
    for greyed in (False, True):
        table = heat_table(greyed).astype(float)
        luminance = table[:, :3] @ [0.2126, 0.7152, 0.0722]
        assert (np.diff(luminance[::8]) > 0).all()
        assert (table[: int(COLD * 255), 3] == 0).all()
    hot = heat_table()[140, :3].astype(int)
    slate = heat_table(True)[140, :3].astype(int)
    assert hot.max() - hot.min() > 100 > 40 > slate.max() - slate.min()


def test_label_colours_are_those_of_the_label_scheme():
    assert [colour(label) for label in (Label.NCR, Label.ED, Label.CORE)] == [
        "#3373e6",
        "#4cbf59",
        "#f2a626",
    ]
