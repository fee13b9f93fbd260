"""Options of the commands that read from or write to DICOM archives."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """Options of `tumorlens export`."""
    parser.add_argument("case", help="a case of the studies folder, or a folder of DICOM files")
    parser.add_argument(
        "--studies", type=Path, default=Path("studies"), metavar="DIR", help="studies folder"
    )
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
    parser.add_argument("--language", default="en", choices=("en", "ko"), help="of the rationale")
    parser.add_argument(
        "--models",
        type=Path,
        metavar="DIR",
        help="folder of the model bundles instead of `models/`",
    )
    parser.add_argument(
        "--reidentify",
        type=Path,
        metavar="TABLE",
        help="table of pseudonyms: export under the real identity",
    )
    parser.add_argument(
        "--store", metavar="TITLE@HOST:PORT", help="send the objects to this node by C-STORE"
    )
    add_archive_options(parser, "send the objects to this archive by STOW-RS")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")


def add_archive_options(parser: argparse.ArgumentParser, purpose: str) -> None:
    """Options that name a DICOMweb archive; its login is in the environment."""
    group = parser.add_argument_group(
        "archive",
        "The login is in the environment: TUMORLENS_DICOMWEB_TOKEN, or TUMORLENS_DICOMWEB_LOGIN as "
        "user:password.",
    )
    group.add_argument("--dicomweb", metavar="URL", help=purpose)
    group.add_argument(
        "--dicomweb-ca",
        type=Path,
        metavar="FILE",
        help="certificates to trust instead of the system's",
    )
    group.add_argument(
        "--attempts", type=int, default=1, metavar="N", help="how often to try; default: 1"
    )


def add_served_archive_options(parser: argparse.ArgumentParser) -> None:
    """Options of `tumorlens serve` for an archive."""
    parser.add_argument(
        "--dicomweb",
        metavar="URL",
        help="archive whose brain MR studies are listed as cases and fetched when opened; "
        "--studies URL is the same with the folder studies",
    )
    parser.add_argument(
        "--dicomweb-ca",
        type=Path,
        metavar="FILE",
        help="certificates to trust for it, instead of the system's",
    )


def add_fetch_options(parser: argparse.ArgumentParser) -> None:
    """Options of `tumorlens import` for studies of an archive."""
    add_archive_options(parser, "archive to fetch studies from")
    parser.add_argument(
        "--study",
        action="append",
        default=[],
        metavar="UID",
        help="StudyInstanceUID to fetch; may be given several times",
    )


def add_receive_options(parser: argparse.ArgumentParser) -> None:
    """Options of `tumorlens receive`."""
    parser.add_argument(
        "--studies", type=Path, default=Path("studies"), metavar="DIR", help="studies folder"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=11112, help="port to listen on")
    parser.add_argument("--title", default="TUMORLENS", help="own application entity title")
    parser.add_argument(
        "--deidentify", type=Path, metavar="TABLE", help="as for 'tumorlens import'"
    )
