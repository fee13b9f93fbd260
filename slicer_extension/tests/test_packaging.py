"""What a reviewer of the ExtensionsIndex and Slicer's build system look at."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

EXTENSION = Path(__file__).resolve().parents[1]
ROOT = EXTENSION.parent
MODULE = EXTENSION / "TumorLens"
LIBRARY = sorted(MODULE.glob("TumorLensLib/*.py"))
PANELS = sorted(MODULE.glob("TumorLensPanels/*.py"))
SOURCES = [MODULE / "TumorLens.py", *LIBRARY, *PANELS]
WITH_SLICER = {
    "colours",
    "marks",
    "transforms",
    "volumes",
    "segments",
    "overlays",
    "places",
    "workspace",
}
ALLOWED = {"slicer", "vtk", "numpy"}
OURS = {"TumorLensLib", "TumorLensPanels"}


def top_level_imports(path):
    """First names of the modules that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports do not work in scripted modules"
            found.add(node.module.split(".")[0])
    return found


def cmake(build, *options):
    program = shutil.which("cmake")
    if program is None:
        pytest.skip("cmake is not installed; packaging cannot be rehearsed")
    dummy = EXTENSION / "tests" / "cmake_dummy"
    command = [program, "-S", str(ROOT), "-B", str(build), f"-DSlicer_DIR={dummy}"]
    command += ["-DBUILD_TESTING=ON", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_everything_of_the_module_is_packaged(tmp_path):
    done = cmake(tmp_path / "build")
    assert done.returncode == 0, done.stderr
    assert "module TumorLens is complete" in done.stdout
    assert "extension TumorLens is described" in done.stdout


def test_a_forgotten_file_is_noticed(tmp_path):
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed; packaging cannot be rehearsed")
    copy = tmp_path / "copy"
    shutil.copytree(MODULE, copy / "slicer_extension" / "TumorLens")
    shutil.copytree(EXTENSION / "tests" / "cmake_dummy", copy / "dummy")
    shutil.copy(ROOT / "CMakeLists.txt", copy)
    (copy / "slicer_extension" / "TumorLens" / "TumorLensLib" / "forgotten.py").touch()
    command = ["cmake", "-S", str(copy), "-B", str(tmp_path / "b")]
    command.append(f"-DSlicer_DIR={copy / 'dummy'}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "forgotten.py" in done.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_only_what_slicer_has_is_imported(path):
    foreign = top_level_imports(path) - set(sys.stdlib_module_names) - ALLOWED - OURS
    expected = {"qt"} if path in PANELS else set()
    assert foreign <= expected


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: p.stem)
def test_the_library_knows_no_qt_and_only_the_scene_modules_know_slicer(path):
    imported = top_level_imports(path)
    assert not imported & {"qt", "ctk", "TumorLensPanels", "brain_tumor"}
    if path.stem not in WITH_SLICER:
        assert not imported & {"slicer", "vtk"}


@pytest.mark.parametrize("path", sorted(EXTENSION.rglob("*.py")), ids=lambda p: p.name)
def test_nothing_imports_the_server_package(path):
    assert "brain_tumor" not in top_level_imports(path)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_nothing_runs_when_a_file_is_imported(path):
    allowed = (
        ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign,
        ast.If,
    )  # fmt: skip
    for node in ast.parse(path.read_text()).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        assert is_docstring or isinstance(node, allowed), ast.unparse(node)
        if isinstance(node, ast.If):
            assert ast.unparse(node.test) == "TYPE_CHECKING"


@pytest.mark.parametrize("path", PANELS, ids=lambda p: p.stem)
def test_qt_is_used_as_pythonqt_offers_it(path):
    text = path.read_text()
    assert "qt.Signal" not in text  # crashes the application
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == "qt":
                assert node.keywords == [], ast.unparse(node)


def test_no_file_of_the_product_is_a_monster():
    for path in SOURCES:
        assert len(path.read_text().splitlines()) <= 500, path.name


def test_the_catalogue_entry_has_exactly_the_keys_of_the_schema():
    entry = json.loads((EXTENSION / "TumorLens.json").read_text())
    assert set(entry) == {
        "$schema", "build_dependencies", "build_subdirectory", "category", "scm_revision",
        "scm_url",
        "tier",
    }  # fmt: skip
    assert entry["build_subdirectory"] == "."
    text = (ROOT / "CMakeLists.txt").read_text()
    assert re.search(r"project\((\w+)", text).group(1) == "TumorLens"
    assert f'EXTENSION_CATEGORY "{entry["category"]}"' in text


def test_icon_and_screenshots_named_in_cmake_exist():
    text = (ROOT / "CMakeLists.txt").read_text()
    names = re.findall(r"\$\{TUMORLENS_FILES\}/([\w/.]+)", text)
    assert len(names) >= 2
    for name in names:
        content = (EXTENSION / name).read_bytes()
        assert content.startswith(b"\x89PNG"), name


def test_the_readme_says_what_a_reviewer_asks_for():
    text = (EXTENSION / "README.md").read_text()
    for heading in ("Install", "Tutorial", "Before the first release", "What the tests cannot"):
        assert heading in text
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (EXTENSION / link).exists(), link


def test_the_ui_keeps_to_simple_types():
    from xml.etree import ElementTree

    root = ElementTree.parse(MODULE / "Resources" / "UI" / "TumorLens.ui").getroot()
    simple = {"string", "bool", "number", "double", "stringlist", "enum"}
    kinds = {child.tag for item in root.iter("property") for child in item}
    assert kinds <= simple
    assert root.find("connections") is not None
    assert list(root.find("connections")) == []
    names = [item.get("name") for item in root.iter("widget")]
    assert len(names) == len(set(names))


def test_our_labels_are_those_of_the_servers_documentation():
    from TumorLensLib.labels import REGIONS, SCHEMES, differences_from

    schema = json.loads((ROOT / "docs" / "reply.schema.json").read_text())
    assert schema["properties"]["segmentation"]["properties"]["scheme"]["enum"] == list(SCHEMES)
    source = (ROOT / "apps" / "brain_tumor" / "labels.py").read_text()
    values = dict(re.findall(r"^    (NCR|ED|ET|CORE) = (\d)", source, re.MULTILINE))
    names = dict(re.findall(r'Label\.(\w+): LabelStyle\("([\w ]+)"', source))
    assert differences_from({names[key]: int(value) for key, value in values.items()}) == []
    assert REGIONS["subregions"]["TC"] == (1, 3)
    colours = dict(re.findall(r'LabelStyle\("([\w ]+)", \(([\d., ]+)\)', source))
    for classes in SCHEMES.values():
        for one in classes:
            assert one.color == tuple(float(c) for c in colours[one.name].split(","))


def test_the_list_of_defects_fits_the_sources():
    from slicer_extension.tests.mutations import DEFECTS, misfits

    assert len(DEFECTS) >= 20
    assert misfits(DEFECTS) == []
    for defect in DEFECTS:
        assert (EXTENSION / "tests" / defect.tests).exists()
        assert defect.old != defect.new


def test_a_defect_that_no_longer_fits_stops_the_run_with_its_name(monkeypatch, capsys):
    from dataclasses import replace

    from slicer_extension.tests import mutations

    stale = replace(mutations.DEFECTS[0], old="what nobody wrote")
    monkeypatch.setattr(mutations, "DEFECTS", (stale,))
    assert mutations.main([]) == 2
    assert stale.name in capsys.readouterr().err
    assert mutations.main(["no such name"]) == 2


RICH_LABELS = {
    *("warningsLabel", "classificationLabel", "compareLabel", "gateLabel", "volumesLabel"),
    *("legendLabel", "uncertainLegendLabel", "curveLabel"),
}
"""Labels whose HTML the panel writes itself, every value escaped; the last three show pictures."""


def test_labels_show_what_a_server_says_as_plain_text():
    tree = ElementTree.parse(MODULE / "Resources" / "UI" / "TumorLens.ui")
    labels = [w for w in tree.iter("widget") if w.get("class") == "QLabel"]
    plain = {
        label.get("name")
        for label in labels
        for one in label.findall("property")
        if one.get("name") == "textFormat" and one.findtext("enum") == "Qt::PlainText"
    }
    assert {label.get("name") for label in labels} - plain == RICH_LABELS
