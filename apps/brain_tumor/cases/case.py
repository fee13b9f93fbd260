"""A case: the sequences of one study on one grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Affine, Volume
from brain_tumor.errors import GeometryError, SequenceError


@dataclass(frozen=True, eq=False)
class Case:
    """Sequences of one study, all on the grid of the reference volume.

    Attributes:
        case_id: Name of the case; never a patient name.
        reference: Sequence whose grid labelmaps and heatmaps come back on.
        volumes: One volume per sequence present, the reference among them, all of one shape
            and affine. Build it with `brain_tumor.cases.grid.geometry.case_on_reference_grid`.

    Raises:
        SequenceError: If the reference is not among the volumes.
        GeometryError: If the volumes are not on one grid.
    """

    case_id: str
    reference: Sequence
    volumes: Mapping[Sequence, Volume]

    def __post_init__(self) -> None:
        if self.reference not in self.volumes:
            present = ", ".join(s.value for s in self.volumes) or "nothing"
            raise SequenceError(f"reference {self.reference.value} is missing; case has {present}")
        for sequence, volume in self.volumes.items():
            if volume.shape != self.shape:
                raise GeometryError(
                    f"{sequence.value} has shape {volume.shape}; expected {self.shape} of "
                    f"{self.reference.value}"
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the reference grid."""
        return self.volumes[self.reference].shape

    @property
    def affine(self) -> Affine:
        """Voxel to RAS+ mm of the reference grid."""
        return self.volumes[self.reference].affine

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size of the reference grid in mm."""
        return self.volumes[self.reference].spacing_mm

    @property
    def present(self) -> tuple[Sequence, ...]:
        """Sequences of the case, in channel order."""
        return tuple(s for s in Sequence if s in self.volumes)

    @property
    def missing(self) -> tuple[Sequence, ...]:
        """Sequences that the case lacks, in channel order."""
        return tuple(s for s in Sequence if s not in self.volumes)
