"""Whether the features of one's own can be computed, as far as the columns are known before anything is read.

A table's columns are those that the params file describes, and those of the header of its local CSV file; of another
kind of source those that came with the last run.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
from collections.abc import Mapping
from pathlib import Path

from notebooks.params import Column, FileSource, Params
from notebooks.params.formula_checks import Columns, Kind
from notebooks.params.merged import describe_columns, find_barred, list_history_names, name_age
from orchestrator.paths import Project
from orchestrator.preflight.reach import local_files

_FIRST_BYTES = 1 << 16
_DELIMITERS = ",;\t|"
_COMPUTED = ("months_since_begin", "contract_phase", "services")  # by transformation, where it finds what it needs
_KINDS: dict[str, Kind] = {"number": "number", "category": "text"}


def find_columns(project: Project, params: Params) -> Columns:
    """Return what expressions may use, and which tables nobody has looked at yet."""
    known = {table: _known_columns(project, params, table) for table in params.sources}
    facts: dict[str, Mapping[str, Column]] = {}
    for table, names in known.items():
        described = {
            name: column if column.is_typed else _unknown(column)
            for name, column in params.sources[table].columns_by_name(params.customer_id).items()
        }
        facts[table] = {**described, **{name: described.get(name, _unknown()) for name in names or ()}}
    merged = describe_columns(facts, params)
    barred = find_barred(merged, params)
    kinds = {name: _KINDS.get(fact["type"], "unknown") for name, fact in merged.items() if name not in barred}
    dates = [name for name, fact in merged.items() if fact["feature"] and fact["type"] not in _KINDS]
    computed = {*_COMPUTED, *map(name_age, dates)}
    for table, columns in facts.items():
        if params.sources[table].many:
            computed |= {*list_history_names(table, columns)}
    unread = tuple(table for table, names in known.items() if names is None)
    return Columns(kinds, barred, unread, computed)


def _unknown(said: Column | None = None) -> Column:
    """Return the facts of a column whose type is not known before it is read."""
    feature, description = (said.feature, said.description) if said else (True, "")
    return Column.model_construct(type="unknown", feature=feature, description=description)  # type: ignore[arg-type]


def _known_columns(project: Project, params: Params, table: str) -> list[str] | None:
    """Return the names of a table's columns, None where they cannot be known before it is read."""
    source = params.sources[table]
    paths = local_files(project, params).get(table, [])
    header = read_header(paths[0], source) if paths and isinstance(source, FileSource) else None
    names = header or _read_last(project, params, table)
    return [params.customer_id if name == source.key else name for name in names] if names else None


def read_header(path: Path, source: FileSource) -> list[str] | None:
    """Return the names of the columns of a CSV file from its first bytes, None where they are not so easily read."""
    is_csv = source.format == "csv" or ({".csv", ".tsv", ".txt"} & {suffix.lower() for suffix in path.suffixes})
    if not is_csv or (source.format or "csv") != "csv":
        return None
    try:
        data = _read_start(path)
        text = codecs.getincrementaldecoder(_find_encoding(data, source))().decode(data)
        lines = text.splitlines(keepends=True)[source.skip_rows :]
        lines = [line for line in lines if line.strip()]
        delimiter = source.delimiter or max(_DELIMITERS, key=lambda sign: lines[0].count(sign))
        row = next(csv.reader(io.StringIO("".join(lines), newline=""), delimiter=delimiter))
    except (OSError, EOFError, UnicodeError, LookupError, csv.Error, StopIteration, IndexError):
        return None  # ingestion says what is wrong
    return [name.strip() for name in row] if source.header else [f"column_{n}" for n in range(1, len(row) + 1)]


def _read_start(path: Path) -> bytes:
    with path.open("rb") as file:
        start = file.read(_FIRST_BYTES)
    if start.startswith(b"\x1f\x8b"):
        with gzip.open(path) as file:
            return bytes(file.read(_FIRST_BYTES))
    return start


def _find_encoding(data: bytes, source: FileSource) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return source.encoding or "utf-8-sig"


def _read_last(project: Project, params: Params, table: str) -> list[str] | None:
    """Return the columns that came with the last run, where it read the same tables."""
    try:
        last = json.loads((project.data / "raw" / "provenance.json").read_text(encoding="utf-8"))
        names = last[table]["columns"] if set(last) == set(params.sources) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    described = set(params.sources[table].columns)
    return list(names) if names and described <= set(names) else None
