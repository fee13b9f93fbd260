"""English sentences that the panel may show and does not write itself, read from the sources.

Those of the server are collected from the functions that write warnings, reasons, checks and
messages, and from the errors that requests of the panel can meet; a value inside stands as 7.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVER, EXTENSION = ROOT / "apps" / "brain_tumor", ROOT / "slicer_extension" / "TumorLens"
VALUE = "7"
SPOKEN = {
    "cases/loading.py": ("resolve_case", "build_case"),
    "cases/grid/intensities.py": ("with_lowest_background",),
    "cases/registration/fit.py": ("sentence", "_doubt"),
    "cases/files/dicom_scan.py": ("_missing_by_count",),
    "cases/files/nifti_files.py": ("_affine", "_disagreement"),
    "cases/files/stored.py": ("squeeze_doubts",),
    "cases/grid/mending.py": ("with_background", "on_perpendicular_axes", "size_doubts"),
    "segmentation/subregions/inference.py": ("_warnings", "_never_seen"),
    "segmentation/presence.py": ("cannot_tell", "presence_warnings"),
    "segmentation/tumor_core/segmenter.py": ("_plausible_spacing",),
    "classification/classifier.py": ("_pool", "_unfit", "_standing_reasons", "_unsure"),
    "classification/contradictions.py": ("contradictions",),
    "explanation/faithfulness/report.py": (
        "_place_reasons",
        "_curve_reasons",
        "_steadiness",
        "shuffling_reason",
    ),
    "explanation/facts/unlikeness.py": ("unlikeness_warning", "roundness_warning"),
    "explanation/region_heat.py": ("_reasons",),
    "explanation/type_reader.py": ("_class_of_words",),
    "learning/retraining/job.py": ("_work", "_confirmed"),
    "learning/retraining/job_ending.py": ("stop", "_finish", "symptoms_switched_off"),
    "server/learning/jobs.py": ("_watch",),
    "server/learning/strategies.py": ("__init__",),
    "learning/gate/promotion.py": (
        "_better",
        "_no_forgetting",
        "_patients",
        "_guard",
        "_numbers",
        "_sentence",
        "_doubtful",
        "_too_few",
    ),
}
"""Functions all of whose sentences reach the reply, by file."""
KEPT_ON_RECORD = {"distilled phantoms"}
"""What these functions write into files only."""
CONSTANTS = {
    "segmentation/tumor_core/segmenter.py": ("NOT_ENHANCING",),
    "cases/sources.py": ("TAKEN_AS_T1C",),
    "cases/series_choice.py": (
        "TAKEN_AS_NATIVE",
        "DYNAMIC_LEFT_OUT",
        "TOLD_BY_BRIGHTNESS",
        "NOTHING_ENHANCES",
        "NOTHING_TELLS",
    ),
    "cases/loading.py": ("ANOTHER_SERIES",),
    "cases/exchange.py": ("EXCHANGED",),
    "cases/registration/fit.py": ("MIRRORED",),
    "cases/files/nrrd_files.py": ("_NO_ORIENTATION",),
    "classification/classifier.py": ("NO_HEAD",),
    "classification/scope.py": ("SCOPE_NOTE",),
    "explanation/type_reader.py": ("NO_SYMPTOMS",),
    "server/learning/strategies.py": ("DESCRIPTIONS",),
    "server/routes/work.py": ("IDLE",),
}
ERRORS = (
    "server/http/access.py", "server/tasks/admission.py", "server/datastore/store.py",
    "server/datastore/history.py", "server/datastore/label_check.py", "server/learning/jobs.py",
    "server/learning/labels.py", "server/learning/requests.py", "server/learning/trainers.py",
    "server/http/replies.py", "server/routes/models.py", "server/routes/work.py",
    "server/datastore/sessions.py", "cases/files/durable.py", "cases/grid/geometry.py",
    "cases/grid/preprocessing.py", "explanation/rationale/providers/registry.py",
    "explanation/faithfulness/method_sanity.py", "explanation/region_heat.py",
    "devices.py", "learning/ledger/records.py", "learning/gate/promotion.py",
    "learning/registry/registry.py",
    "learning/ledger/submission_rows.py", "segmentation/refinement/strokes.py",
)  # fmt: skip
"""Files whose errors requests of the panel can meet."""
NOT_FOR_THE_PANEL = (
    "MONAI_LABEL_AUTH_ENABLE", "Unset it", "{TOKEN_ENV} has", "7 has 7 characters", "Make one with",
    "a web page of", "another web site", "Name the page",
    "allowed host is", "root path is", "Write it as in --", "Start the server with --origin",
    "Open the address", "allowed origin",
    "no case has a final label", "exists already with another", "Choose another id",
    "Import that case again", "is taken by the sequences", "label_info can be read",
    "Remove segments that are no labels", "seconds_spent is", "has no JSON form",
    "sanity of heatmap methods cannot", "files with uncompress", "format is", "has the metrics",
    "answers no questions", "Set TUMORLENS_LLM_URL",
    "device is",
)  # fmt: skip
"""Parts of sentences for those who start the server, and for other programs than this panel."""


def _text(node: ast.AST) -> str | None:
    """Text of a literal, its values as 7; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values
        )
    return None


def _sentences(node: ast.AST) -> Iterator[str]:
    """Literals with two words or more below a node; a formatted one as a whole."""
    text = _text(node)
    if text is not None:
        if sum(word.isalpha() for word in text.split()) > 1:
            yield text
        return
    if isinstance(node, ast.Call) and "logger" in ast.unparse(node.func):
        return
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from _sentences(child)


def _errors(tree: ast.AST) -> Iterator[str]:
    """Message and remedy of every error that is made."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if not name.endswith("Error"):
            continue
        given = [*node.args[:2], *(k.value for k in node.keywords if k.arg == "remedy")]
        yield from (text for part in given if (text := _text(part)) and " " in text)


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def of_server() -> set[str]:
    """What the server says in replies that the panel shows."""
    found = set()
    for file, names in SPOKEN.items():
        tree = _parsed(SERVER / file)
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        missing = set(names) - {function.name for function in functions}
        if missing:
            raise LookupError(f"{file} has no function {', '.join(sorted(missing))}")
        for function in functions:
            if function.name in names:
                found |= set(_sentences(function))
    for file, names in CONSTANTS.items():
        for node in _parsed(SERVER / file).body:
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            if getattr(targets[0], "id", "") in names:
                found |= set(_sentences(node.value))
    return found - KEPT_ON_RECORD


def of_server_errors() -> set[str]:
    """What it refuses the panel's requests with."""
    found = {text for name in ERRORS for text in _errors(_parsed(SERVER / name))}
    return {text for text in found if not any(part in text for part in NOT_FOR_THE_PANEL)}


def of_extension_errors() -> set[str]:
    """What the extension's own errors say; those of a wrong state are errors of the panel."""
    paths = [*EXTENSION.glob("TumorLensLib/*.py"), *EXTENSION.glob("TumorLensPanels/*.py")]
    found = {text for path in paths if path.stem != "session" for text in _errors(_parsed(path))}
    return {text for text in found if text != f"{VALUE}: {VALUE}"}


def pairs(file: str, name: str) -> dict[str, str]:
    """English and Korean texts that stand side by side in a table of the server."""
    table = next(
        node.value
        for node in _parsed(SERVER / file).body
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == name
    )
    found = {}
    for node in ast.walk(table):
        couples = zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ()
        if isinstance(node, ast.Tuple) and len(node.elts) == 2:
            couples = [tuple(node.elts)]
        for english, korean in couples:
            if isinstance(english, ast.Constant) and isinstance(korean, ast.Constant):
                found[english.value] = korean.value
    return found


def feature_names() -> set[str]:
    """English names of the classifier's features, the second of four texts of each."""
    tree = _parsed(SERVER / "classification" / "features" / "feature_table.py")
    rows = [node.elts for node in ast.walk(tree) if isinstance(node, ast.Tuple)]
    return {
        row[1].value
        for row in rows
        if len(row) == 4 and all(isinstance(part, ast.Constant) for part in row)
    }
