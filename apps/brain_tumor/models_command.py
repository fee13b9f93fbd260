"""`tumorlens models import` and `export`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from brain_tumor.case_commands import Progress
from brain_tumor.errors import InputError

if TYPE_CHECKING:
    from brain_tumor.learning.registry.registry import ModelRegistry


def add_import_options(parser: argparse.ArgumentParser) -> None:
    """What the folder of a model from elsewhere does not tell."""
    group = parser.add_argument_group("import")
    group.add_argument(
        "--channels", metavar="LIST", help="sequences in the network's order: t1c,t1,t2,flair"
    )
    group.add_argument(
        "--labels",
        metavar="LIST",
        help="outputs in the network's order: regions TC,WT,ET or labels background,NCR,ED,ET",
    )
    group.add_argument(
        "--spacing", metavar="X,Y,Z", help="voxel size in mm; default: its own, or 1"
    )
    group.add_argument("--orientation", metavar="CODE", help="of its arrays: RAS, LPS, ...")
    group.add_argument(
        "--cases", type=Path, metavar="DIR", help="labelled cases to measure it on, for the gate"
    )


def import_foreign(registry: ModelRegistry, arguments: argparse.Namespace) -> None:
    """Keep a model from elsewhere as a version; say what the gate said, if it was measured."""
    from brain_tumor.learning.foreign import import_model
    from brain_tumor.segmentation.foreign.sources import Told, parse_channels, parse_outputs

    told = Told(
        channels=parse_channels(arguments.channels) if arguments.channels else (),
        outputs=parse_outputs(arguments.labels) if arguments.labels else (),
        spacing_mm=parse_spacing(arguments.spacing) if arguments.spacing else None,
        orientation=(arguments.orientation or "").upper(),
    )
    progress = Progress(unit="case")
    try:
        found = import_model(
            registry,
            Path(arguments.model),
            told,
            version=arguments.version or "",
            cases=arguments.cases,
            on_case=lambda name: progress.begin(f"measuring on {name}"),
        )
    finally:
        progress.close()
    name, version = found.record.name, found.record.version
    print(f"{name} {version} is kept; sha256 {found.record.sha256}")
    if found.report is None:
        print("It was not measured; name labelled cases (--cases) to put it before the gate.")
        return
    print(f"{name} {version} {'may be promoted' if found.report.promote else 'is kept back'}")
    print("\n".join(f"  {reason}" for reason in found.report.reasons))


def export(registry: ModelRegistry, arguments: argparse.Namespace) -> None:
    """Copy a version to a folder of its own."""
    from brain_tumor.learning.foreign import export_model

    folder = export_model(registry, arguments.model, arguments.version, arguments.output)
    print(f"wrote {folder}, a MONAI bundle")


def parse_spacing(text: str) -> tuple[float, float, float]:
    """Three numbers with commas.

    Raises:
        InputError: If they are none.

    Example:
        >>> parse_spacing("1, 1, 1.5")
        (1.0, 1.0, 1.5)
    """
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"spacing is {text!r:.40}; expected three numbers such as 1,1,1"
        ) from error
    return x, y, z
