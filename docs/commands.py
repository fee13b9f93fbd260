"""The page of the command line, written from the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from brain_tumor.cli import build_parser

HEAD = """# Command line

Written from the parser by `python -m docs.update_readme`; `tumorlens COMMAND --help` says the same.
With `.venv` activated the command is `tumorlens`, otherwise `.venv/bin/tumorlens`. Settings of the
environment: [settings.md](settings.md).

A case is a volume file, a folder with any subset of t1, t1c, t2 and flair, or a zip or tar archive
of one; sequences are recognised by name. Bad input ends with one sentence, a remedy and exit code
2. `tumorlens explain` is another name of `analyse`. With `.venv` activated,
`monailabel start_server --app apps/brain_tumor --studies DIR` starts the same server behind the
same front.
"""

COMMON = {
    "studies": "studies folder",
    "output": "where to write",
    "models": "folder of the model bundles instead of `models/`",
    "data": "folder of research data",
    "host": "address to listen on; beyond loopback a token is needed",
    "port": "port to listen on",
}
"""Meaning of arguments that the parser leaves without words."""


def page(parser: argparse.ArgumentParser | None = None) -> str:
    """Markdown of all commands."""
    parts = [HEAD]
    for name, purpose, command in commands(parser or build_parser()):
        parts.append(f"## tumorlens {name}\n\n{_sentence(_cell(purpose))}\n\n{_table(command)}\n")
    return "\n".join(parts)


def commands(
    parser: argparse.ArgumentParser, before: str = ""
) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Name, purpose and parser of every command that runs something, in the order of the help."""
    for group in parser._actions:
        if not isinstance(group, argparse._SubParsersAction):
            continue
        for choice in group._choices_actions:
            command = group.choices[choice.dest.split(" ")[0]]
            name = f"{before}{choice.dest.split(' ')[0]}"
            inner = list(commands(command, f"{name} "))
            if inner:
                yield from inner
            else:
                yield name, choice.help or "", command


def _table(command: argparse.ArgumentParser) -> str:
    rows = ["| argument | meaning | default |", "|---|---|---|"]
    for action in command._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        rows.append(f"| {_argument(action)} | {_meaning(action)} | {_default(action)} |")
    return "\n".join(rows)


def _argument(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else _value(action)
    if not action.option_strings:
        return f"`{value}`" + ("" if action.nargs != "?" else " (may be left out)")
    names = ", ".join(f"`{option}`" for option in action.option_strings)
    needed = " (needed)" if action.required else ""
    return f"{names} `{value}`{needed}" if value else f"{names}{needed}"


def _value(action: argparse.Action) -> str:
    if isinstance(action, argparse.BooleanOptionalAction):
        return ""
    name = action.metavar or action.dest.upper()
    return name if isinstance(name, str) else " ".join(name)


def _meaning(action: argparse.Action) -> str:
    choices = ""
    if action.choices is not None:
        choices = "one of " + ", ".join(f"`{choice}`" for choice in action.choices)
    words = (action.help or COMMON.get(action.dest, ""), choices)
    return _cell("; ".join(part for part in words if part))


def _default(action: argparse.Action) -> str:
    value = action.default
    if value is None or value is False or value == [] or value == "" or action.required:
        return ""
    if value is argparse.SUPPRESS:
        return ""
    if value is True:
        return "yes"
    return f"`{value.as_posix() if isinstance(value, Path) else value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("%%", "%")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
