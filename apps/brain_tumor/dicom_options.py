"""Options of the commands that read from or write to DICOM archives."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """Options of `tumorlens export`."""
    parser.add_argument("case", help="a case of the studies folder, or a folder of DICOM files")
    parser.add_argument("--studies", type=Path, default=Path("studies"), metavar="DIR")
    parser.add_argument("--dicom", type=Path, metavar="DIR", help="folder to write into")
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="what 'tumorlens analyse --output' wrote; without it, the case is analysed now",
    )
    parser.add_argument(
        "--label",
        metavar="TAG",
        help="export this label of the studies folder, for example final, as the segmentation",
    )
    parser.add_argument("--language", default="en", choices=("en", "ko"))
    parser.add_argument("--models", type=Path, metavar="DIR")
    parser.add_argument(
        "--reidentify",
        type=Path,
        metavar="TABLE",
        help="table of pseudonyms: export under the real identity",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
