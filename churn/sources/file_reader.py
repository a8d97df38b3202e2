"""Reads files: fetches their bytes, from this machine and from fsspec addresses, and puts
several that are parts of one table below each other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import pyarrow as pa

from churn.facts import expand
from churn.formats import DATA_ENDINGS, FormatError
from churn.formats.delimited import read_delimited
from churn.formats.recognition import check_content, unpack
from churn.formats.text_tables import join_tables
from churn.formats.typed_files import read_json, read_parquet
from churn.formats.workbooks import read_workbook
from churn.sources.file_source import FileSource, NoFileError, is_local
from churn.sources.received import Content, Digest, Reading, patiently
from churn.sources.redirects import staying_on_their_hosts
from churn.sources.source import SourceError, SourceRefused, mask, open_local

TRIES = 4

_NAMED = 3  # files that a note names


@dataclass(frozen=True)
class Part:
    """One file of several: what messages call it, its bytes as stored, and what they hold."""

    name: str
    received: bytes
    content: Content


def read(source: FileSource, reading: Reading) -> Content:
    """Read a file, or several that are parts of one table; the bytes that are hashed
    are the very ones that are parsed.

    Raises:
        SourceError: the server of a remote file is down.
        SourceRefused: a file is missing, may not be read, is not what `params.yaml`
            says, or does not go with the rest.
    """
    try:
        paths = source.find_files(reading.root)
    except NoFileError as error:
        raise SourceRefused(str(error)) from None
    read = _read_parts(paths, source, reading)
    is_single = isinstance(source.file, str) and paths in ([source.file], [expand(source.file)])
    return next(read).content if is_single else join_parts(read)


def _read_parts(paths: list[str], source: FileSource, reading: Reading) -> Iterator[Part]:
    names = name_parts(paths)
    for path, name in names.items():
        try:
            received = _fetch(path, source, reading)
            content = _parse(received, path, source, reading.malformed_allowed)
            yield Part(name, received, add_part_column(content, name, path, source))
        except (SourceError, FormatError) as error:
            where = f"{name}: " if len(names) > 1 and name not in str(error) else ""
            if isinstance(error, FormatError):
                raise SourceRefused(f"{where}{error}") from None
            raise type(error)(f"{where}{error}", error.wait) from None


def _parse(received: bytes, path: str, source: FileSource, malformed_allowed: int) -> Content:
    digest = Digest(received)
    data, notes = unpack(received)
    format_ = source.format_of(_expand_address(path), data)
    check_content(data, format_)
    if format_ == "csv":
        read = read_delimited(data, source, malformed_allowed)
        return Content(read.table, digest, notes + read.notes, read.malformed)
    if format_ == "parquet":
        return Content(read_parquet(data), digest, notes)
    if format_ == "jsonl":
        table, noted = read_json(data, source)
    else:
        described = [*source.columns, *([source.key] if source.key else [])]
        table, noted = read_workbook(data, source, described)
    return Content(table, digest, notes + noted)


def _expand_address(path: str) -> str:
    return path if is_local(path) else expand(path)


def _fetch(path: str, source: FileSource, reading: Reading) -> bytes:
    if is_local(path):
        return _read_local(path, source, reading.root.resolve())
    return patiently(lambda: _read_remote(path, source), TRIES, reading.first_wait)


def _read_local(path: str, source: FileSource, root: Path) -> bytes:
    located = Path(os.path.abspath(root / path))
    with open_local(located, root, lambda: source.expectation(path)) as file:
        try:
            return file.read()
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from None


def _read_remote(address: str, source: FileSource) -> bytes:
    import fsspec

    options = _expand_all(source.storage_options)
    # Without credentials a download may come from wherever it lies.
    has_credentials = bool(options or source.secret_values())
    try:
        with staying_on_their_hosts() if has_credentials else nullcontext():
            filesystem, path = fsspec.core.url_to_fs(expand(address), **options)
            content: bytes = filesystem.cat_file(path)
    except SourceRefused:
        raise
    except FileNotFoundError:
        hint = " Only a local path can be a pattern: list the addresses." if "*" in address else ""
        expected = source.expectation(expand(address))
        raise SourceRefused(f"there is no such file. Expected there: {expected}.{hint}") from None
    except PermissionError as error:
        raise SourceRefused(
            f"access denied: check the credentials in `storage_options` ({error})."
        ) from None
    except (ImportError, ValueError, TypeError) as error:
        raise SourceRefused(f"cannot be opened with fsspec: {error}") from None
    except Exception as error:  # each file system of fsspec brings its library's own exceptions
        raise _remote_error(error) from None
    return content


def _remote_error(error: Exception) -> SourceError:
    status = getattr(error, "status", None)  # aiohttp's name for it
    what = f"HTTP {status}" if status else f"{type(error).__name__}: {error}"
    if isinstance(status, int) and 400 <= status < 500 and status not in (408, 425, 429):
        return SourceRefused(f"the server refuses: {what}. Check the address and the credentials.")
    return SourceError(f"cannot be fetched: {what}.")


def _expand_all(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _expand_all(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand_all(item) for item in value]
    return expand(value) if isinstance(value, str) else value


def name_parts(paths: Sequence[str]) -> dict[str, str]:
    """Return what messages call each file: its own name, or its path from the folder
    that all share; no secrets.
    """
    shown = {path: PurePath(path).as_posix() if is_local(path) else mask(path) for path in paths}
    split = {
        path: PurePosixPath(text.split("?")[0].split("::")[0]).parts for path, text in shown.items()
    }
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
        SourceRefused: there is such a column already, or the file's name does not match
            `part_pattern`.
    """
    column, table = source.part_column, content.table
    if column is None:
        return content
    if column in table.column_names:
        raise SourceRefused(
            f"has a column {column!r} itself: choose another name for `part_column`."
        )
    value = pa.scalar(_part_value(name, path, source.part_pattern), pa.large_string())
    return replace(content, table=table.append_column(column, pa.repeat(value, len(table))))


def _part_value(name: str, path: str, pattern: str | None) -> str:
    if pattern is None:
        while name.lower().endswith(DATA_ENDINGS):
            name = name.rpartition(".")[0]
        return name
    found = re.search(pattern, name) or re.search(
        pattern, PurePath(path).as_posix() if is_local(path) else mask(path)
    )
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
            f"{name} has no column in common with {first}: it has "
            f"{', '.join(map(repr, found[:10]))}, there are"
            f" {', '.join(map(repr, known[:10]))}. Are they parts of one table, do all have a "
            "header?"
        )


def _join_notes(notes: dict[str, list[str]]) -> Iterator[str]:
    """Yield each note once, behind the names of its files."""
    for note in dict.fromkeys(note for some in notes.values() for note in some):
        yield f"{_list([name for name, some in notes.items() if note in some], len(notes))}: {note}"


def _note_lacking(columns: dict[str, list[str]]) -> Iterator[str]:
    for column in dict.fromkeys(column for found in columns.values() for column in found):
        lacking = [name for name, found in columns.items() if column not in found]
        if lacking:
            yield (
                f"Column {column!r} is missing in {_list(lacking, len(columns))}: its rows have "
                "no value there."
            )


def _note_copies(hashes: dict[str, str]) -> Iterator[str]:
    for sha256 in dict.fromkeys(hashes.values()):
        same = [name for name, other in hashes.items() if other == sha256]
        if len(same) > 1:
            yield (
                "These files are the same, byte for byte, and all their rows count: "
                f"{', '.join(same)}."
            )


def _list(names: Sequence[str], total: int) -> str:
    if len(names) == total:
        return f"All {total} files"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
