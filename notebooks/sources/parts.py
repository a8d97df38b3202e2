"""Several files that are parts of one table: their rows one below the other, and which file each row came from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath, PurePosixPath

import pyarrow as pa

from params import FileSource, is_local
from sources.addresses import mask
from sources.received import Content, Digest, SourceRefused
from sources.texts import join_tables

_ENDINGS = (
    *(".csv", ".tsv", ".txt", ".tab", ".psv", ".dat", ".parquet", ".pq", ".jsonl", ".ndjson", ".json", ".xlsx"),
    *(".xlsm", ".gz", ".zip"),
)
_NAMED = 3  # files that a note names


@dataclass(frozen=True)
class Part:
    """One file of several: what messages call it, its bytes as stored, and what they hold."""

    name: str
    received: bytes
    content: Content


def name_parts(paths: Sequence[str]) -> dict[str, str]:
    """Return what messages call each file: its own name, or its path from the folder that all share; no secrets."""
    shown = {path: PurePath(path).as_posix() if is_local(path) else mask(path) for path in paths}
    split = {path: PurePosixPath(text.split("?")[0].split("::")[0]).parts for path, text in shown.items()}
    levels = zip(*split.values(), strict=False)
    shared = next((depth for depth, level in enumerate(levels) if len(set(level)) > 1), 0)
    for start in (-1, shared):
        names = {path: "/".join(parts[start:]) for path, parts in split.items()}
        if len(set(names.values())) == len(names):
            return names
    return shown


def add_part_column(content: Content, name: str, path: str, source: FileSource) -> Content:
    """Add the column that says which file the rows came from, where `params.yaml` asks for one.

    Raises:
        SourceRefused: there is such a column already, or the file's name does not match `part_pattern`.
    """
    column, table = source.part_column, content.table
    if column is None:
        return content
    if column in table.column_names:
        raise SourceRefused(f"has a column {column!r} itself: choose another name for `part_column`.")
    value = pa.scalar(_part_value(name, path, source.part_pattern), pa.large_string())
    return replace(content, table=table.append_column(column, pa.repeat(value, len(table))))


def _part_value(name: str, path: str, pattern: str | None) -> str:
    if pattern is None:
        while name.lower().endswith(_ENDINGS):
            name = name.rpartition(".")[0]
        return name
    found = re.search(pattern, name) or re.search(pattern, PurePath(path).as_posix() if is_local(path) else mask(path))
    if found is None or found[1] is None:
        raise SourceRefused(f"the name {name!r} does not match `part_pattern`, {pattern!r}.")
    return found[1]


def join_parts(parts: Iterable[Part]) -> Content:
    """Put the tables of several files one below the other; their columns are joined by name.

    Raises:
        SourceRefused: a file shares no column with the first.
    """
    digest, read = Digest(), list[tuple[str, Content]]()
    for part in parts:
        digest.add(part.received)
        read.append((part.name, part.content))
        _refuse_stranger(*read[0], *read[-1])
    columns = {name: content.table.column_names for name, content in read}
    notes = [*_join_notes({name: content.notes for name, content in read}), *_note_lacking(columns)]
    return Content(
        join_tables([content.table for _, content in read]),
        digest,
        [*notes, *_note_copies({name: content.digest.sha256 for name, content in read})],
        [{"file": name, **row} for name, content in read for row in content.malformed],
        [_describe(name, content) for name, content in read],
    )


def _describe(name: str, content: Content) -> dict[str, object]:
    return {
        "file": name,
        "rows": len(content.table),
        "malformed_rows": len(content.malformed),
        "bytes": content.digest.size,
        "sha256": content.digest.sha256,
    }


def _refuse_stranger(first: str, own: Content, name: str, other: Content) -> None:
    known, found = own.table.column_names, other.table.column_names
    if not set(known) & set(found):
        raise SourceRefused(
            f"{name} has no column in common with {first}: it has {', '.join(map(repr, found[:10]))}, there are"
            f" {', '.join(map(repr, known[:10]))}. Are they parts of one table, do all have a header?"
        )


def _join_notes(notes: dict[str, list[str]]) -> Iterator[str]:
    """Yield each note once, behind the names of its files."""
    for note in dict.fromkeys(note for some in notes.values() for note in some):
        yield f"{_list([name for name, some in notes.items() if note in some], len(notes))}: {note}"


def _note_lacking(columns: dict[str, list[str]]) -> Iterator[str]:
    for column in dict.fromkeys(column for found in columns.values() for column in found):
        lacking = [name for name, found in columns.items() if column not in found]
        if lacking:
            yield f"Column {column!r} is missing in {_list(lacking, len(columns))}: its rows have no value there."


def _note_copies(hashes: dict[str, str]) -> Iterator[str]:
    for sha256 in dict.fromkeys(hashes.values()):
        same = [name for name, other in hashes.items() if other == sha256]
        if len(same) > 1:
            yield f"These files are the same, byte for byte, and all their rows count: {', '.join(same)}."


def _list(names: Sequence[str], total: int) -> str:
    if len(names) == total:
        return f"All {total} files"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
