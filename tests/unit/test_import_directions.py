"""Imports go one way, serving needs no training, folders stay small; see CONTRIBUTING.md."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "apps" / "brain_tumor"
LAYERS = (
    {"errors", "memory"},
    {"device_names"},
    {"devices", "labels"},
    {"model_names"},
    {"bundles"},
    {"cases", "model_cards"},
    {"phantoms", "training_kit"},
    {"segmentation"},
    {"classification"},
    {"concepts"},
    {"explanation", "learning"},
    {"dicom"},
    {"api"},
    {"cohorts", "monai_bundles"},
    {"server"},
    {"case_commands", "research_commands", "dicom_options"},
    {"dicom_commands", "cohort_command", "models_command"},
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
    "dicom",
    "cohorts",
)
SERVER_ONLY = {"monailabel", "fastapi", "starlette", "uvicorn", "slicer", "qt", "PySide6"}
GENERATED = {"bin", "lib", "logs", "model"}
COMMANDS_THAT_SERVE = {
    "_serve",
    "_import",
    "_infer",
    "_export",
    "_sample_data",
    "_models",
    "_corrections",
}
"""Functions of the command line that run without research data."""
MOST_MODULES = 20


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
            if other in ("__version__", "NOTICE"):
                continue
            assert other == own or RANK[other] < RANK[own], f"{own} imports {name}"


def names_by_path():
    """Dotted name of every module and package."""
    found = {}
    for path in modules():
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def reached_from(starts, paths):
    """Modules that are imported on the way from some, each with the one that imports it."""
    importer, todo = {}, [(start, "") for start in starts]
    while todo:
        name, by = todo.pop()
        if name in importer:
            continue
        importer[name] = by
        for imported in imported_names(paths[name]):
            module = imported if imported in paths else imported.rpartition(".")[0]
            if module in paths:
                todo.append((module, name))
    return importer


def commands_that_serve():
    """Modules that the command line imports for serving and for reading a case."""
    tree = ast.parse((PACKAGE / "cli.py").read_text(encoding="utf-8"))
    functions = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name in COMMANDS_THAT_SERVE
    ]
    assert {function.name for function in functions} == COMMANDS_THAT_SERVE
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.ImportFrom):
                yield node.module


def test_nothing_that_serves_or_reads_a_case_imports_a_training():
    paths = names_by_path()
    starts = {name for name in paths if name.startswith("brain_tumor.server")}
    starts |= {"brain_tumor.main", "brain_tumor.explanation.analyst", *commands_that_serve()}
    importer = reached_from(starts & set(paths), paths)
    assert "brain_tumor.explanation.type_reader" in importer
    for name in importer:
        chain = [name]
        while importer[chain[-1]]:
            chain.append(importer[chain[-1]])
        assert "training" not in name.split("."), " <- ".join(chain)


def test_no_folder_holds_more_modules_than_one_can_look_over():
    sizes = {}
    for path in modules():
        sizes.setdefault(path.parent, []).append(path.name)
    for folder, names in sizes.items():
        held = [name for name in names if name != "__init__.py"]
        assert len(held) <= MOST_MODULES, f"{folder} holds {len(held)} modules"


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
