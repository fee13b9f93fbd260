"""What the commands on cases share: naming the input, showing progress, and short answers."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Items
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from brain_tumor.cases.sequences import Sequence
from brain_tumor.errors import InputError
from brain_tumor.model_names import ModelName

if TYPE_CHECKING:
    from brain_tumor.cases.by_hand import ByHand
    from brain_tumor.cases.loading import LoadedCase
    from brain_tumor.cases.studies import ImportReport

IMPORT_COLUMNS = ("case", "status", "title", "reference", "sequences", "warnings", "notes", "why")
CASE_COLUMNS = (
    *("case", "sequences", "model", "version", "WT_ml", "TC_ml", "ET_ml", "type", "probability"),
    *("warnings", "output"),
)
MAX_UNPACKED_BYTES = 64 * 1024**3


def add_case_options(parser: argparse.ArgumentParser) -> None:
    """Options that tell which sequence is which; see docs/http-api.md for the same keys."""
    group = parser.add_argument_group("sequences, where names do not tell")
    for sequence in Sequence:
        group.add_argument(
            f"--{sequence.value}", type=Path, metavar="FILE", help="file or DICOM folder of it"
        )
    group.add_argument(
        "--channels",
        metavar="LIST",
        help="sequences in the order of a 4-D file's volumes or of nnU-Net's NAME_0000 files, "
        "for example t1,t1c,t2,flair; - for one that is not used",
    )


def add_answer_options(parser: argparse.ArgumentParser) -> None:
    """Options about what is printed."""
    group = parser.add_argument_group("answers")
    group.add_argument("--json", action="store_true", help="print everything as JSON")
    group.add_argument("--quiet", action="store_true", help="print nothing but errors")
    group.add_argument("--csv", type=Path, metavar="FILE", help="append a row a case to a table")


def by_hand(arguments: argparse.Namespace) -> ByHand:
    """What the options tell about the sequences.

    Raises:
        InputError: If they contradict each other or cannot be read.
    """
    from brain_tumor.cases.by_hand import ByHand, parse_channels

    files = {s: path for s in Sequence if (path := getattr(arguments, s.value)) is not None}
    return ByHand(files, parse_channels(arguments.channels) if arguments.channels else ())


def load_told_case(source: Path | None, told: ByHand, *, registration: bool = True) -> LoadedCase:
    """Case of a command, by the names of its files or as the options tell.

    Args:
        source: File or folder.
        told: Which file is which sequence.
        registration: Whether sequences that lie off the reference are registered to it.

    Raises:
        InputError: If neither tells it.
    """
    from brain_tumor.cases.by_hand import one_case_by_hand
    from brain_tumor.cases.loading import load_case, load_source

    if told:
        return load_source(one_case_by_hand(source, told), registration=registration)
    if source is None:
        raise InputError(
            "no case is named; expected a file or a folder, or files named by sequence",
            remedy="Name a case, or its files: --t1 FILE --t1c FILE --t2 FILE --flair FILE.",
        )
    return load_case(source, registration=registration)


@contextmanager
def unpacked(source: Path | None) -> Iterator[Path | None]:
    """The source, or the folder of what an archive holds, which is gone afterwards.

    Raises:
        InputError: If an archive cannot be unpacked safely.
    """
    from brain_tumor.server.datastore.archives import is_archive, unpack

    if source is None or not source.is_file() or not is_archive(source.name):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="tumorlens-") as scratch:
        name = source.name
        for suffix in (".gz", ".tar", ".tgz", ".zip"):
            name = name[: -len(suffix)] if name.lower().endswith(suffix) else name
        folder = Path(scratch) / (name or "archive")
        folder.mkdir()
        unpack(source, folder, max_bytes=MAX_UNPACKED_BYTES)
        children = list(folder.iterdir())
        while len(children) == 1 and children[0].is_dir():
            folder, children = children[0], list(children[0].iterdir())
        yield folder


class Progress:
    """What a command is at: a bar on a terminal, a line a step elsewhere, nothing if quiet.

    Args:
        steps: How many steps there are; may be set later.
        unit: What a step is.
        quiet: Whether to show nothing.
        stream: Where to; default: standard error.
    """

    def __init__(
        self,
        steps: int = 0,
        unit: str = "step",
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        from tqdm import tqdm

        self._stream = stream or sys.stderr
        self._quiet = quiet
        is_terminal = self._stream.isatty()
        self._bar = tqdm(
            total=steps or None,
            unit=unit,
            file=self._stream,
            disable=quiet or not is_terminal,
            leave=False,
        )
        self._says_lines = not quiet and not is_terminal

    def expect(self, steps: int) -> None:
        """Set how many steps there are."""
        self._bar.total = steps
        self._bar.refresh()

    def begin(self, what: str) -> None:
        """Say what the next step is."""
        self._bar.set_description(what)
        if self._says_lines:
            self._stream.write(f"{what} ...\n")
            self._stream.flush()

    def done(self) -> None:
        """One step is done."""
        self._bar.update()

    def say(self, line: str) -> None:
        """Print a line above the bar; nothing if quiet."""
        if not self._quiet:
            self._bar.write(line, file=sys.stdout)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()


def report_lines(report: ImportReport) -> list[str]:
    """What is said about one imported case, the most important line first."""
    names = ", ".join(s.value for s in report.sequences)
    title = f", from '{report.title}'" if report.title else ""
    first = f"{report.case_id}: {report.status.value}{f' ({names})' if names else ''}{title}"
    rest = (report.message, report.remedy, *report.warnings, *report.notes)
    return [first, *(f"  {line}" for line in rest if line)]


def import_summary(reports: Items[ImportReport], studies: Path) -> list[str]:
    """Five lines about an import."""
    counts = dict.fromkeys(("imported", "already there", "refused"), 0)
    for report in reports:
        counts[report.status.value] += 1
    held = [report for report in reports if report.sequences]
    used = {s.value: sum(s in report.sequences for report in held) for s in Sequence}
    refused = [report.case_id for report in reports if report.status.value == "refused"]
    return [
        f"{len(reports)} cases: " + ", ".join(f"{n} {status}" for status, n in counts.items()),
        "sequences: " + ", ".join(f"{name} in {n}" for name, n in used.items() if n),
        f"warnings: {sum(len(r.warnings) for r in reports)}, "
        f"left aside: {sum(len(r.notes) for r in reports)}",
        f"refused: {_some(refused)}",
        f"studies folder: {studies}; serve it with: tumorlens serve --studies {studies}",
    ]


def import_row(report: ImportReport) -> dict[str, Any]:
    """Row of the table of an import."""
    return {
        "case": report.case_id,
        "status": report.status.value,
        "title": report.title,
        "reference": report.reference.value if report.reference else "",
        "sequences": " ".join(s.value for s in report.sequences),
        "warnings": "; ".join(report.warnings),
        "notes": "; ".join(report.notes),
        "why": " ".join(filter(None, (report.message, report.remedy))),
    }


def case_summary(report: Mapping[str, Any], output: Path) -> list[str]:
    """Five lines about an analysed case."""
    used, missing = report["sequences"]["used"], report["sequences"]["missing"]
    volumes = report["segmentation"]["volumes_ml"]
    measured = ", ".join(f"{region} {ml:.1f} mL" for region, ml in volumes.items())
    return [
        f"case {report['case']}: {', '.join(used)}"
        + (f" (without {', '.join(missing)})" if missing else ""),
        f"tumour: {measured or 'none'} ({_model(report)})",
        f"type: {_type(report)}",
        f"warnings: {_some(report['warnings'])}",
        f"written: {output} ({', '.join(sorted(p.name for p in output.iterdir()))})",
    ]


def case_row(report: Mapping[str, Any], output: Path) -> dict[str, Any]:
    """Row of the table of analysed cases."""
    segmentation, found = report["segmentation"], report.get("classification")
    volumes = segmentation["volumes_ml"]
    probability = (found or {}).get("probabilities") or {}
    prediction = (found or {}).get("prediction", "")
    return {
        "case": report["case"],
        "sequences": " ".join(report["sequences"]["used"]),
        "model": segmentation["model"],
        "version": segmentation["version"],
        **{f"{region}_ml": volumes.get(region, "") for region in ("WT", "TC", "ET")},
        "type": prediction,
        "probability": probability.get(prediction, ""),
        "warnings": "; ".join(report["warnings"]),
        "output": str(output),
    }


def append_rows(path: Path, columns: Items[str], rows: Items[Mapping[str, Any]]) -> None:
    """Append rows to a CSV file, with a head line if it is new.

    Raises:
        InputError: If the file holds another table.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    head = ",".join(columns)
    is_new = not path.exists() or path.stat().st_size == 0
    if not is_new:
        with path.open(encoding="utf-8") as stream:
            if stream.readline().rstrip("\n") != head:
                raise InputError(
                    f"{path.name} holds another table; expected the columns {head}",
                    remedy="Name another file with --csv.",
                )
    else:
        writer.writeheader()
    writer.writerows(rows)
    with path.open("a", encoding="utf-8", newline="") as stream:
        stream.write(text.getvalue())
        stream.flush()
        os.fsync(stream.fileno())


def as_json(content: Any) -> str:
    """JSON text with a line break at the end."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _model(report: Mapping[str, Any]) -> str:
    """The model that outlined the tumour, with those that took part."""
    segmentation = report["segmentation"]
    outlined = [ModelName.SEGMENTATION, ModelName.WHOLE_HEAD]
    named = [m for m in report.get("models", ()) if m["name"] in outlined]
    if segmentation["model"] != ModelName.SEGMENTATION or not named:
        return f"{segmentation['model']} {segmentation['version']}"
    return " with ".join(f"{model['name']} {model['version']}" for model in named)


def _type(report: Mapping[str, Any]) -> str:
    from brain_tumor.explanation.facts.numbers import NEARLY_CERTAIN

    found = report.get("classification")
    if found is None:
        return "not asked for"
    probability = (found["probabilities"] or {}).get(found["prediction"])
    if probability is None:
        reasons = found.get("reasons") or ()
        return f"{found['prediction']}{': ' + reasons[0] if reasons else ''}"
    certainty = "more than 99%" if probability > NEARLY_CERTAIN else f"{probability:.0%}"
    return f"{found['prediction']} ({certainty} among the three types)"


def _some(items: Items[str], most: int = 3) -> str:
    """The first of some texts on one line."""
    if not items:
        return "none"
    more = f"; and {len(items) - most} more" if len(items) > most else ""
    return f"{len(items)}: " + "; ".join(items[:most]) + more
