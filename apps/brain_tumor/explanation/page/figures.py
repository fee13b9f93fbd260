"""The three planes as figures: grey slices, heat and outlines in layers, marks, scale, choice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brain_tumor.cases.case import Case
from brain_tumor.cases.volume import ScalarArray
from brain_tumor.explanation.heat.volume import HeatVolume
from brain_tumor.explanation.page.images import (
    COLD,
    COMPRESSIONS,
    Compression,
    grey_window,
    heat_table,
    heat_uri,
    jpeg_uri,
    outline_path,
    to_grey,
)
from brain_tumor.explanation.page.markup import Markup, element
from brain_tumor.explanation.page.planes import (
    OBLIQUE_DEG,
    DisplayGrid,
    Plane,
    Voxel,
    centre_voxel,
    display_grid,
    in_plane_axes,
    picture,
    slice_indices,
)
from brain_tumor.explanation.page.report_view import ReportView
from brain_tumor.explanation.page.text import Texts, position_text
from brain_tumor.labels import LABEL_STYLES, Label, LabelArray

PICTURE_BUDGET = 2_600_000
"""Characters that all pictures of a page may take together."""
_SCALE_BARS_MM = (50, 20, 10, 5, 2, 1)
_LETTER_SHARE = 0.045
"""Height of letters relative to the longest side of all pictures; they share one scale."""
_DRAWING_ORDER = (Label.ED, Label.CORE, Label.ET, Label.NCR)
"""Inner regions last: where two outlines meet, the inner region's colour is seen."""


@dataclass(frozen=True, eq=False)
class Scene:
    """What the figures show.

    Attributes:
        case: The case; its reference sequence is shown.
        labelmap: On the grid of the case, or None.
        heat: On the grid of the case, or None.
        trusted: Whether the heat may be relied on; it is drawn in grey otherwise.
    """

    case: Case
    labelmap: LabelArray | None
    heat: HeatVolume | None
    trusted: bool = True


@dataclass(frozen=True, eq=False)
class PlaneView:
    """One plane of a scene, ready to draw.

    Attributes:
        plane: Which.
        indices: Slices along the normal.
        chosen: The slice through the centre, as a place in indices.
        positions: Each slice's position in words.
        size_mm: Width and height.
        spacing_mm: Size of a pixel, across and down.
        greys: Data URI per slice.
        heats: Data URI per slice, None where nothing is warm.
        outlines: Per slice, label and path in half pixels.
    """

    plane: Plane
    indices: tuple[int, ...]
    chosen: int
    positions: tuple[str, ...]
    size_mm: tuple[float, float]
    spacing_mm: tuple[float, float]
    greys: tuple[str, ...]
    heats: tuple[str | None, ...]
    outlines: tuple[tuple[tuple[Label, str], ...], ...]


@dataclass(frozen=True, eq=False)
class Views:
    """Every plane of a scene, and what their caption needs.

    Attributes:
        planes: Axial, coronal, sagittal.
        tilt_deg: Of the grid.
        labels: Labels that occur in the labelmap.
    """

    planes: tuple[PlaneView, ...]
    tilt_deg: float
    labels: tuple[Label, ...]


def make_views(scene: Scene) -> Views:
    """All pictures of a scene, compressed as little as the page's size allows."""
    grid = display_grid(scene.case, scene.labelmap)
    centre = centre_voxel(grid, scene.labelmap, scene.heat)
    grey = grid.cut(scene.case.volumes[scene.case.reference].array)
    window = grey_window(scene.case.volumes[scene.case.reference].array)
    for compression in COMPRESSIONS:
        planes = tuple(
            _plane_view(scene, grid, centre, plane, grey, window, compression) for plane in Plane
        )
        if sum(len(uri or "") for p in planes for uri in (*p.greys, *p.heats)) <= PICTURE_BUDGET:
            break
    found = np.unique(scene.labelmap).tolist() if scene.labelmap is not None else []
    labels = tuple(label for label in Label if label in found and label in LABEL_STYLES)
    return Views(planes, grid.tilt_deg, labels)


def _plane_view(
    scene: Scene,
    grid: DisplayGrid,
    centre: Voxel,
    plane: Plane,
    grey: ScalarArray,
    window: tuple[float, float],
    compression: Compression,
) -> PlaneView:
    indices = slice_indices(grid, plane, centre, scene.labelmap)
    labels = grid.cut(scene.labelmap) if scene.labelmap is not None else None
    heat = grid.cut(scene.heat.values) if scene.heat is not None else None
    columns, rows = in_plane_axes(plane)
    positions = (grid.position_mm(plane, index, centre) for index in indices)
    return PlaneView(
        plane,
        indices,
        indices.index(centre[plane.normal]),
        tuple(position_text(mm, plane.normal) for mm in positions),
        grid.size_mm(plane),
        (grid.spacing_mm[columns], grid.spacing_mm[rows]),
        tuple(jpeg_uri(to_grey(picture(grey, plane, i), window), compression) for i in indices),
        tuple(
            heat_uri(picture(heat, plane, i), compression, greyed=not scene.trusted)
            if heat is not None
            else None
            for i in indices
        ),
        tuple(_outlines(picture(labels, plane, i)) if labels is not None else () for i in indices),
    )


def _outlines(labels: LabelArray) -> tuple[tuple[Label, str], ...]:
    paths = ((label, outline_path(labels == label)) for label in _DRAWING_ORDER)
    return tuple((label, path) for label, path in paths if path)


def colour(label: Label) -> str:
    """Colour of a label for SVG.

    Example:
        >>> colour(Label.ET)
        '#e64033'
    """
    return "#" + "".join(f"{round(255 * part):02x}" for part in LABEL_STYLES[label].color)


@dataclass(frozen=True, eq=False)
class PlaneFigure:
    """A plane on the page.

    Attributes:
        name: Prefix of its ids.
        title: In the page's language.
        positions: Each slice's position in words.
        chosen: The slice that shows first.
        drawing: All its slices as one SVG.
    """

    name: str
    title: str
    positions: tuple[str, ...]
    chosen: int
    drawing: Markup


@dataclass(frozen=True)
class LegendEntry:
    """An outline of the legend: its colour and its name."""

    swatch: Markup
    name: str


@dataclass(frozen=True, eq=False)
class Images:
    """The section of the pictures.

    Attributes:
        switches: What can be switched off: outline, heat.
        planes: The figures.
        outlines: Legend of the outlines.
        heat_text: What the heat speaks for.
        colours: Scale of the heat, or None where none is drawn.
        cold: Heat up to here is transparent.
        caption: How the pictures are to be read.
        no_heat: That there is no heat to show, or None.
    """

    switches: tuple[str, ...]
    planes: tuple[PlaneFigure, ...]
    outlines: tuple[LegendEntry, ...]
    heat_text: str
    colours: Markup | None
    cold: float
    caption: str
    no_heat: str | None


def images_of(view: ReportView, scene: Scene, views: Views, texts: Texts) -> Images:
    """The section of the pictures: figures, switches, legend, caption."""
    target = str(view.section("heatmap").get("target") or (scene.heat.target if scene.heat else ""))
    name = texts.name(target).lower() if view.heat_region else texts.tumor(target)
    has_heat = scene.heat is not None and not scene.heat.is_empty
    return Images(
        (*(("outline",) if views.labels else ()), *(("heat",) if has_heat else ())),
        plane_figures(views, texts.name(scene.case.reference.value), texts),
        tuple(_legend_entry(label, texts) for label in views.labels),
        texts("legend_region_heat" if view.heat_region else "legend_heat", target=name),
        _colour_bar(greyed=not scene.trusted) if has_heat else None,
        COLD,
        _caption(views, scene, texts),
        texts("no_heat", target=name) if scene.heat is not None and not has_heat else None,
    )


def plane_figures(views: Views, sequence: str, texts: Texts) -> tuple[PlaneFigure, ...]:
    """The three planes; `sequence` names what is drawn."""
    letter_mm = _LETTER_SHARE * max(mm for view in views.planes for mm in view.size_mm)
    figures = []
    for view in views.planes:
        title = texts(view.plane.value)
        description = texts("picture", plane=title, sequence=sequence)
        drawing = _drawing(view, description, letter_mm)
        figures.append(PlaneFigure(view.plane.value, title, view.positions, view.chosen, drawing))
    return tuple(figures)


def planes_style(views: Views) -> str:
    """Rules that belong to these very pictures: which slice shows, how wide each plane is.

    The planes share one scale: their columns are as wide as their pictures in mm.
    """
    rules = []
    for view in views.planes:
        for number in range(len(view.indices)):
            own = f"{view.plane.value}-{number}"
            rules.append(f"#{own}:checked~svg .{own}{{display:inline}}")
            rules.append(f'#{own}:checked~.track label[for="{own}"]{{{_CHOSEN}}}')
    widths = " ".join(f"minmax(0,{view.size_mm[0]:.1f}fr)" for view in views.planes)
    wide = f".planes{{grid-template-columns:{widths}}}"
    rules.append(f"@media (min-width:44rem){{{wide}}}@media print{{{wide}}}")
    return "".join(rules)


_CHOSEN = "--tick:var(--accent);--tick-height:100%"


def _drawing(view: PlaneView, description: str, letter_mm: float) -> Markup:
    width, height = view.size_mm
    slices = [
        element(
            "g",
            _image(view.greys[n], width, height, "grey"),
            _image(view.heats[n], width, height, "heat") if view.heats[n] else None,
            _outline_group(view, n),
            element("text", view.positions[n], x=width * 0.02, y=height - width * 0.025),
            class_=f"slice {view.plane.value}-{n}",
        )
        for n in range(len(view.indices))
    ]
    return element(
        "svg",
        element("title", description),
        element("rect", width=width, height=height, class_="air"),
        slices,
        _marks(view, letter_mm),
        _scale_bar(width, height),
        viewBox=f"0 0 {width:.2f} {height:.2f}",
        role="img",
        font_size=f"{letter_mm:.2f}",
    )


def _image(uri: str | None, width: float, height: float, kind: str) -> Markup:
    return element(
        "image",
        href=uri,
        width=width,
        height=height,
        preserveAspectRatio="none",
        class_=kind,
    )


def _outline_group(view: PlaneView, number: int) -> Markup | None:
    outlines = view.outlines[number]
    if not outlines:
        return None
    across, down = (mm / 2 for mm in view.spacing_mm)
    names = [f"o-{view.plane.value}-{number}-{int(label)}" for label, _ in outlines]
    paths = (
        element("path", id=own, d=path, vector_effect="non-scaling-stroke")
        for own, (_, path) in zip(names, outlines, strict=True)
    )
    return element(
        "g",
        element("defs", paths),
        (element("use", href=f"#{own}", class_="halo") for own in names),
        (
            element("use", href=f"#{own}", stroke=colour(label), class_="line")
            for own, (label, _) in zip(names, outlines, strict=True)
        ),
        class_="outline",
        transform=f"scale({across:.6g} {down:.6g})",
    )


def _marks(view: PlaneView, letter_mm: float) -> Markup:
    width, height = view.size_mm
    edge = 0.02 * width
    size = letter_mm
    left, right, top, bottom = view.plane.marks
    middle = height / 2 + 0.35 * size
    return element(
        "g",
        element("text", left, x=edge, y=middle),
        element("text", right, x=width - edge, y=middle, text_anchor="end"),
        element("text", top, x=width / 2, y=0.95 * size, text_anchor="middle"),
        element("text", bottom, x=width / 2, y=height - 0.3 * size, text_anchor="middle"),
        class_="marks",
    )


def _scale_bar(width: float, height: float) -> Markup:
    """Bar at the lower right: the longest round length below a third of the picture."""
    length = next((mm for mm in _SCALE_BARS_MM if mm <= width / 3), _SCALE_BARS_MM[-1])
    right, bottom = 0.97 * width, height - 0.03 * width
    return element(
        "g",
        element(
            "path",
            d=f"M{right - length:.2f} {bottom - 2:.2f}v2H{right:.2f}v-2",
            vector_effect="non-scaling-stroke",
        ),
        element(
            "text",
            f"{length} mm",
            x=right - length / 2,
            y=bottom - 3,
            text_anchor="middle",
        ),
        class_="scale",
    )


def _legend_entry(label: Label, texts: Texts) -> LegendEntry:
    swatch = element(
        "svg",
        element("rect", width=12, height=12, fill=colour(label)),
        viewBox="0 0 12 12",
        class_="swatch",
        aria_hidden="true",
    )
    return LegendEntry(swatch, texts.name(LABEL_STYLES[label].name))


def _colour_bar(*, greyed: bool) -> Markup:
    table = heat_table(greyed)
    steps = range(0, 256, 8)
    rects = (
        element(
            "rect",
            x=number * 4,
            width=4.2,
            height=10,
            fill="#" + "".join(f"{int(v):02x}" for v in table[step, :3]),
            opacity=min(1.0, float(table[step, 3]) / float(table[-1, 3])),
        )
        for number, step in enumerate(steps)
    )
    return element("svg", rects, viewBox="0 0 128 10", class_="colours", aria_hidden="true")


def _caption(views: Views, scene: Scene, texts: Texts) -> str:
    """How the pictures are to be read."""
    sequence = texts.name(scene.case.reference.value)
    count = max(len(view.indices) for view in views.planes)
    parts = [texts("shown", sequence=sequence, count=count), texts("radiological")]
    if views.tilt_deg >= OBLIQUE_DEG:
        parts.append(texts("oblique", degrees=round(views.tilt_deg)))
    return " ".join(parts)
