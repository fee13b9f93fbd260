"""Every English text of the panel, read from its sources."""

from __future__ import annotations

import ast
from pathlib import Path
from xml.etree import ElementTree

MODULE = Path(__file__).resolve().parents[1] / "TumorLens"
TEXT_PROPERTIES = ("text", "toolTip", "placeholderText")


def _is_translation(node) -> bool:
    if not isinstance(node, ast.Call) or not node.args:
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name == "t"


def in_code() -> set[str]:
    """Literal texts given to the translator, also in comprehensions over a tuple of texts."""
    found = set()
    for path in sorted([*MODULE.glob("TumorLensLib/*.py"), *MODULE.glob("TumorLensPanels/*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if _is_translation(node):
                given = node.args[0]
                parts = [given.body, given.orelse] if isinstance(given, ast.IfExp) else [given]
                found |= {p.value for p in parts if isinstance(p, ast.Constant)}
            if isinstance(node, (ast.ListComp, ast.GeneratorExp)) and _is_translation(node.elt):
                items = node.generators[0].iter
                if isinstance(items, ast.Tuple):
                    found |= {i.value for i in items.elts if isinstance(i, ast.Constant)}
    return found


def in_ui() -> set[str]:
    """Texts of the .ui file."""
    root = ElementTree.parse(MODULE / "Resources" / "UI" / "TumorLens.ui").getroot()
    found = set()
    for item in root.iter():
        if item.tag in ("property", "attribute") and item.get("name") in (
            *TEXT_PROPERTIES,
            "title",
        ):
            text = item.findtext("string")
            if text and not text.startswith("http"):
                found.add(text)
    return found


def in_tables() -> set[str]:
    """Words that come from tables of the library or from the server."""
    from TumorLensLib import cases, labels
    from TumorLensPanels import correct_panel, see_panel

    names = {one.name for classes in labels.SCHEMES.values() for one in classes}
    names |= set(labels.REGION_NAMES.values()) | set(labels.CORRECT_TYPES) | set(cases.STATUSES)
    names |= set(see_panel.TARGETS) | {v for v in correct_panel.VERDICTS if v}
    names |= {"undetermined", "draft", "rejected", "mask", "type", "sentences", "train", "hold_out"}
    names |= set(see_panel.METHODS.values()) | {"corrections", "models", "training"}
    names |= {"final", "original"}
    names |= {"active", "shipped", "candidate", "accepted", "refused", "retired"}
    return names | {"uncertainty", "disagreement", "diversity", "combined", "random", "first"}


def all_texts() -> set[str]:
    """All of them."""
    return in_code() | in_ui() | in_tables()
