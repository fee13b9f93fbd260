"""Imports go one way, and science knows no server; see CONTRIBUTING.md."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "apps" / "brain_tumor"
LAYERS = (
    {"errors"},
    {"labels"},
    {"bundles"},
    {"cases"},
    {"phantoms"},
    {"segmentation"},
    {"classification"},
    {"concepts"},
    {"explanation", "learning"},
    {"server"},
    {"case_commands"},
    {"cli", "main"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
SCIENCE = (
    "cases",
    "phantoms",
    "segmentation",
    "classification",
    "concepts",
    "explanation",
    "learning",
)
SERVER_ONLY = {"monailabel", "fastapi", "starlette", "uvicorn", "slicer", "qt", "PySide6"}
GENERATED = {"bin", "lib", "logs", "model"}


def modules():
    return [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in GENERATED
    ]


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_own_part_or_below(path):
    own = part_of(path)
    if own == "__init__":
        return
    for name in imported_names(path):
        if name.startswith("brain_tumor."):
            other = name.split(".")[1]
            if other == "__version__":
                continue
            assert other == own or RANK[other] < RANK[own], f"{own} imports {name}"


@pytest.mark.parametrize("part", SCIENCE)
def test_science_imports_no_server_and_no_viewer(part):
    for path in modules():
        if part_of(path) == part:
            found = {name.split(".")[0] for name in imported_names(path)} & SERVER_ONLY
            assert not found, f"{path.name} imports {found}"


def test_the_extension_never_imports_the_package():
    extension = PACKAGE.parents[1] / "slicer_extension"
    for path in extension.rglob("*.py"):
        assert not any(n.startswith("brain_tumor") for n in imported_names(path)), path
