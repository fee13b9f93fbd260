"""What the open case looks like in the scene, and what becomes of it. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import slicer

from TumorLensLib import marks, overlays, segments, volumes
from TumorLensLib.client import InferReply
from TumorLensLib.colours import CHANGED, UNCERTAIN
from TumorLensLib.compare import Comparison, compare, region_volumes_ml
from TumorLensLib.labels import SCHEMES, scheme_of
from TumorLensLib.params import Parameters
from TumorLensLib.places import ClickPoints, EvidenceMarker, jump_to
from TumorLensLib.reply import Analysis, parse_reply
from TumorLensLib.session import Case, Session
from TumorLensLib.transforms import Transforms
from TumorLensLib.transport import BadReplyError
from TumorLensLib.volumefiles import VolumeData

EDIT_EVENTS = ("SourceRepresentationModified", "SegmentAdded", "SegmentRemoved")


class Workspace:
    """The open case in the scene.

    Args:
        parameters: Where the scene remembers it.
        on_edit: Called after the annotator changed a segment.

    Attributes:
        session: State of the work.
        image: Image of the open case.
        segmentation: Its segments.
        heat: Heatmap layer.
        uncertainty: Uncertainty layer; it has a volume if uncertainty was asked for.
        marks: Outlines of uncertain and changed voxels.
        transforms: Where the server moved sequences.
        analysis: The last reply, read.
    """

    def __init__(self, parameters: Parameters, on_edit: Callable[[], None]) -> None:
        self.parameters = parameters
        self.session = Session()
        self.image: slicer.vtkMRMLScalarVolumeNode | None = None
        self.segmentation: slicer.vtkMRMLSegmentationNode | None = None
        self.heat = overlays.HeatLayer()
        self.uncertainty = overlays.UncertaintyLayer()
        self.marks = marks.MarkLayer()
        self.evidence = EvidenceMarker()
        self.clicks = ClickPoints()
        self.transforms = Transforms()
        self.analysis: Analysis | None = None
        self._on_edit = on_edit
        self._observed: tuple[Any, list[int]] | None = None
        self._is_importing = False
        self._owns_image = False

    # Opening and closing.

    def open_case(self, case: Case, data: VolumeData) -> None:
        """Show an image from the server as the open case."""
        self.close_case()
        self.image = volumes.add_image(data, case.name)
        self._owns_image = True
        self._begin(case)

    def open_node(self, case: Case, node: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Make a volume of the scene the open case; it stays when the case is closed."""
        self.close_case()
        self.image = node
        self._owns_image = False
        self._begin(case)

    def _begin(self, case: Case) -> None:
        volumes.show_as_background(self.image)
        self.session.opened(case)
        self.parameters.set_text("case", case.name)
        self.parameters.set_text("session", case.session_id)
        self.parameters.refer("image", self.image)

    def close_case(self) -> None:
        """Take the open case out of the scene; volumes that the user loaded stay."""
        self._stop_observing()
        self.evidence.clear()
        self.clicks.clear()
        self.marks.hide()
        self.transforms.drop()
        self.heat.drop()
        self.uncertainty.drop()
        volumes.remove(self.segmentation)
        if self._owns_image:
            volumes.remove(self.image)
        self.image = self.segmentation = self.analysis = None
        self._owns_image = False

    def forget_scene(self) -> None:
        """The scene was closed: its nodes are gone."""
        self._observed = None
        self.image = self.segmentation = self.analysis = None
        self._owns_image = False
        for layer in (self.heat, self.uncertainty, self.marks, self.transforms):
            layer.forget()
        self.evidence, self.clicks = EvidenceMarker(), ClickPoints()
        self.session.closed()

    # What the server sends.

    def show_proposal(self, reply: InferReply) -> None:
        """Show the labelmap, heatmap and uncertainty of an analysis.

        Raises:
            BadReplyError: If the labelmap is missing or on another grid than the image.
        """
        analysis = parse_reply(reply.params)
        labelmap = reply.volumes.get("image")
        if labelmap is None:
            raise BadReplyError("the server's reply holds no segmentation")
        self._check_grid(labelmap, "segmentation")
        scheme = analysis.scheme if analysis.scheme in SCHEMES else label_scheme(labelmap)
        self.show_label(labelmap, scheme, reply.params)
        self.analysis = analysis
        self.transforms.show(reply.params)
        self._show_heat(analysis, reply.volumes)
        self._show_uncertainty(reply.volumes.get("uncertainty"), analysis.uncertainty_scale)

    def show_explanation(self, reply: InferReply) -> None:
        """Show another heatmap and rationale of the same proposal; the segments stay.

        Raises:
            BadReplyError: If the heatmap is on another grid than the image.
        """
        self.session.explained(reply.params)
        self.analysis = parse_reply(self.session.reply)
        self._show_heat(self.analysis, reply.volumes)

    def show_label(self, label: VolumeData, scheme: str, reply: Mapping[str, Any]) -> None:
        """Show a labelmap as the proposal that corrections are compared with."""
        self._check_grid(label, "segmentation")
        self._fill_segments(label, scheme)
        self.session.proposed(label, scheme, reply)
        self.parameters.set_text("scheme", scheme)
        self.marks.hide()

    def show_correction(self, label: VolumeData) -> None:
        """Show a labelmap as the annotator's correction of the proposal."""
        self._check_grid(label, "correction")
        self._fill_segments(label, self.session.scheme)
        self.session.edited()

    def _fill_segments(self, label: VolumeData, scheme: str) -> None:
        self._is_importing = True
        try:
            self.segmentation = segments.import_labelmap(
                label, self.image, scheme, self.segmentation, self.session.case.name
            )
        finally:
            self._is_importing = False
        self.parameters.refer("segmentation", self.segmentation)
        self._observe()

    def _show_heat(self, analysis: Analysis, files: Mapping[str, VolumeData]) -> None:
        was_visible = self.heat.is_visible
        if analysis.heat is None or analysis.heat.part not in files:
            if analysis.heat is None:
                self.heat.drop()
            return
        data = files[analysis.heat.part]
        self._check_grid(data, "heatmap")
        trusted = analysis.heat.is_faithful is not False
        self.heat.load(data, analysis.heat.scale, trusted=trusted)
        self.heat.show(was_visible)

    def _show_uncertainty(self, data: VolumeData | None, scale: float) -> None:
        was_visible = self.uncertainty.is_visible
        if data is None:
            self.uncertainty.drop()
            return
        self._check_grid(data, "uncertainty")
        self.uncertainty.take(data, scale)
        self.uncertainty.show(was_visible)

    def show_in_view(self, composite: slicer.vtkMRMLSliceCompositeNode) -> None:
        """Show the same in a slice view that opened later, for example with another layout."""
        if self.image is None:
            return
        composite.SetBackgroundVolumeID(self.image.GetID())
        composite.SetLinkedControl(1)
        for layer in (self.heat, self.uncertainty, self.marks):
            layer.show_in(composite)

    def _check_grid(self, data: VolumeData, what: str) -> None:
        image = volumes.data_of(self.image)
        if not volumes.is_same_grid(data, image):
            raise BadReplyError(
                f"the {what} that the server sent does not lie on the image "
                f"({volumes.farthest_corner_mm(data, image):.1f} mm away); it is not shown"
            )

    # What the annotator does.

    def _observe(self) -> None:
        self._stop_observing()
        segmentation = self.segmentation.GetSegmentation()
        tags = [
            segmentation.AddObserver(getattr(slicer.vtkSegmentation, name), self._edited)
            for name in EDIT_EVENTS
        ]
        self._observed = (segmentation, tags)

    def _stop_observing(self) -> None:
        if self._observed is not None:
            segmentation, tags = self._observed
            for tag in tags:
                segmentation.RemoveObserver(tag)
        self._observed = None

    def _edited(self, _caller: Any, _event: str) -> None:
        if not self._is_importing:
            self.session.edited()
            self._on_edit()

    def current_label(self) -> VolumeData:
        """Labelmap of the segments as they are now.

        Raises:
            SegmentError: If a segment belongs to no class.
        """
        array = segments.export_array(self.segmentation, self.image)
        return VolumeData(array, volumes.affine_of(self.image))

    def comparison(self, label: VolumeData) -> Comparison:
        """A labelmap against the proposal."""
        before = self.session.proposal
        return compare(before.array, label.array, before.spacing_mm, self.session.scheme)

    def volumes_ml(self, label: VolumeData) -> dict[str, float]:
        """Region volumes of a labelmap."""
        return region_volumes_ml(label.array, label.spacing_mm, self.session.scheme)

    def outline_changes(self, label: VolumeData, other: np.ndarray | None = None) -> int:
        """Outline voxels that differ from the proposal, or from another labelmap; how many."""
        before = self.session.proposal.array if other is None else other
        changed = label.array != before
        self.marks.show(changed, label.ijk_to_ras, CHANGED)
        return int(changed.sum())

    def outline_uncertain(self) -> None:
        """Outline the voxels in the range of the uncertainty layer."""
        layer = self.uncertainty
        self.marks.show(layer.shown(), volumes.affine_of(layer.node), UNCERTAIN)

    def uncertain_ml(self) -> float:
        """Volume in the range of the uncertainty layer."""
        voxel_mm3 = abs(float(np.linalg.det(volumes.affine_of(self.uncertainty.node)[:3, :3])))
        return int(self.uncertainty.shown().sum()) * voxel_mm3 / 1000.0

    def go_to_highest(self, layer: overlays.GradedLayer) -> bool:
        """Jump to the highest values of a layer; False if it has none."""
        point = layer.highest_ras()
        if point is not None:
            jump_to(point)
        return point is not None

    def heat_inside(self, label: VolumeData) -> float | None:
        """Share of heat inside the tumour as it is segmented now."""
        return self.heat.share_inside(label.array > 0)

    def restore_from_scene(self) -> bool:
        """Take up a case from a scene that was saved with it; False if there is none."""
        image = self.parameters.referenced("image")
        segmentation = self.parameters.referenced("segmentation")
        name, scheme = self.parameters.text("case"), self.parameters.text("scheme", "subregions")
        if image is None or not name:
            return False
        overlays.forget_scene_nodes()
        self.image, self.segmentation = image, segmentation
        self._owns_image = image.GetAttribute(volumes.OWNER) == "image"
        self.session.opened(Case(name, self.parameters.text("session")))
        if segmentation is not None:
            label = self.current_label()
            self.session.proposed(label, scheme, {})
            self.session.edited()  # whether it was sent is unknown, so it counts as unsent
            self._observe()
        return True


def label_scheme(labelmap: VolumeData) -> str:
    """Label scheme of a labelmap from the server.

    Raises:
        BadReplyError: If it is of none.
    """
    values = {int(v) for v in np.flatnonzero(np.bincount(labelmap.array.ravel()))}
    try:
        return scheme_of(values)
    except ValueError as error:
        raise BadReplyError(f"the server's segmentation cannot be shown: {error}") from error
