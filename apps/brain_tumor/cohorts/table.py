"""The table of a cohort, CSV and Parquet, written row by row; memory does not grow with it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from brain_tumor.cases.files.durable import storage_errors, sync_file, temporary_sibling
from brain_tumor.cohorts.rows import COLUMNS, FLAG, INTEGER, NUMBER, TEXT

GROUP = 1000
"""Rows of a Parquet row group."""
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
_TYPES = {TEXT: pa.string(), NUMBER: pa.float64(), INTEGER: pa.int64(), FLAG: pa.bool_()}
SCHEMA = pa.schema([(name, _TYPES[kind]) for name, kind in COLUMNS.items()])


def write_tables(rows: Iterable[Mapping[str, Any]], csv_path: Path, parquet_path: Path) -> None:
    """Write the rows to both files, which appear whole.

    In the CSV file, a text that a spreadsheet would take for a formula begins with an apostrophe.

    Args:
        rows: Rows with columns of `COLUMNS`; any may be absent.
        csv_path: Of the CSV file.
        parquet_path: Of the Parquet file.

    Raises:
        StorageError: If a file cannot be written.
    """
    with (
        _appears(csv_path) as text,
        _appears(parquet_path) as binary,
        text.open("w", encoding="utf-8", errors="replace", newline="") as stream,
        pq.ParquetWriter(binary, SCHEMA) as parquet,
    ):
        writer = csv.DictWriter(stream, list(COLUMNS), lineterminator="\n")
        writer.writeheader()
        for group in _groups(rows):
            writer.writerows(map(_for_spreadsheets, group))
            plain = [{name: _clean(row.get(name)) for name in COLUMNS} for row in group]
            parquet.write_table(pa.Table.from_pylist(plain, schema=SCHEMA))


@contextmanager
def _appears(path: Path) -> Iterator[Path]:
    """A name to write to; the file has its own name once the block ends well."""
    with storage_errors(path.name):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_sibling(path)
        try:
            yield temporary
            sync_file(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    group: list[Mapping[str, Any]] = []
    for row in rows:
        group.append(row)
        if len(group) == GROUP:
            yield group
            group = []
    if group:
        yield group


def _clean(value: Any) -> Any:
    """Text that UTF-8 can hold, numbers as floats; anything else as it is."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return value


def _for_spreadsheets(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_SIGNS) else value
        for name in COLUMNS
        if (value := row.get(name)) is not None
    }
