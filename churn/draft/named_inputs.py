"""What the command line names, taken apart: local files, folders and patterns,
addresses of files and of databases; fetched, unpacked, and of what is too large a sample.
"""

from __future__ import annotations

import datetime
import difflib
import glob
import gzip
import io
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, cast
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from churn.formats import DATA_ENDINGS
from churn.formats.recognition import is_workbook, list_own
from churn.params import expand
from churn.sources.redirects import staying_on_their_hosts
from churn.sources.source import PASSWORD, SECRET_OPTION, SourceRefused, hide
from churn.vocabulary import plain

_DATA = (*DATA_ENDINGS, ".sqlite", ".sqlite3", ".db")
MOST_BYTES = 128 << 20  # of text, of all files together
MOST_CELLS = 40_000_000  # of Parquet, likewise
_BLOCKS = 64
_CHUNK = 8 << 20


@dataclass(frozen=True)
class Wishes:
    """What the command line says that is not to be guessed."""

    label: str | None = None
    id: str | None = None
    as_of: datetime.date | None = None


@dataclass(frozen=True)
class Project:
    """The project that the draft is for: its root, and what its notebooks declare.

    `parameters`: stage -> parameter -> its value in the notebook.
    """

    root: Path
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def declares(self, stage: str, name: str) -> bool:
        """Whether a stage's notebook has a parameter of this name."""
        return name in self.parameters.get(stage, {})

    def default(self, stage: str, name: str, otherwise: float) -> float:
        """Return the value that a notebook gives to a parameter, or another one where it
        gives none.
        """
        value = self.parameters.get(stage, {}).get(name)
        return otherwise if value is None else float(value)


class DraftError(Exception):
    """What was named cannot be drafted from; the message says what to do."""


@dataclass(frozen=True)
class Input:
    """One thing to look at. `written` is its address as `params.yaml` has it, with
    variables in place of secrets.
    """

    kind: Literal["file", "remote", "database"]
    address: str
    written: str
    variables: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """How a message names it."""
        if self.kind == "file" or self.written.startswith("zip://"):
            return Path(self.address.partition("::")[0]).name
        return self.written


def find_inputs(named: list[str], root: Path) -> tuple[list[Input], list[str]]:
    """Return what to look at, each once, and a line for each file of a folder that is not.

    Raises:
        DraftError: something named is not there, or a folder has no data.
    """
    inputs: dict[str, Input] = {}
    left_out: list[str] = []
    for text in named:
        for one in _find(text, root, left_out):
            inputs.setdefault(one.address, one)
    return list(inputs.values()), left_out


def _find(text: str, root: Path, left_out: list[str]) -> Iterator[Input]:
    if "://" in text and not text.startswith("file://"):
        yield _address(text)
        return
    path = Path(os.path.abspath(os.path.expanduser(expand(text).removeprefix("file://"))))
    if path.is_dir():
        yield from _in_folder(path, root, left_out)
    elif path.is_file():
        yield from _files(path, root)
    elif set(text) & set("*?["):
        found = [Path(name) for name in sorted(glob.glob(str(path))) if os.path.isfile(name)]
        if not found:
            raise DraftError(f"No file matches {path}.")
        yield from (one for path in found for one in _files(path, root))
    else:
        raise DraftError(f"There is no file or folder at {path}.{_near(path)}")


def _in_folder(folder: Path, root: Path, left_out: list[str]) -> Iterator[Input]:
    files = sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith((".", "~$"))
    )
    data = [path for path in files if path.suffix.lower() in _DATA]
    if not data:
        raise DraftError(
            f"The folder {folder} has no data file: expected one that ends in {', '.join(_DATA)}."
        )
    left_out += [f"{path.name}: not a data file by its name" for path in files if path not in data]
    yield from (one for path in data for one in _files(path, root))


def _files(path: Path, root: Path) -> Iterator[Input]:
    """Yield a local file: one of SQLite is a database, and an archive may hold several."""
    with path.open("rb") as file:
        magic = file.read(16)
    written = write_path(path, root)
    packed = _list_packed(path) if magic.startswith(b"PK\x03\x04") else []
    if magic == b"SQLite format 3\0":
        yield Input("database", f"sqlite:///{path.as_posix()}", f"sqlite:///{written}")
    elif len(packed) > 1:
        for name in packed:
            yield Input("remote", address := f"zip://{name}::{path.as_posix()}", address)
    else:
        yield Input("file", str(path), written)


def _list_packed(path: Path) -> list[str]:
    """Return the data files of a zip archive; of Excel's files, which are archives too, none."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [item.filename for item in archive.infolist() if not item.is_dir()]
            return (
                []
                if is_workbook(archive)
                else [name for name in list_own(names) if Path(name).suffix.lower() in _DATA]
            )
    except zipfile.BadZipFile:
        return []  # the reader says what is wrong with it


def write_path(path: Path, root: Path) -> str:
    """Return a path as `params.yaml` has it: relative to the project's root where it
    lies inside, else absolute.
    """
    inside = path.is_relative_to(root)
    return (path.relative_to(root) if inside else path).as_posix()


def _address(text: str) -> Input:
    import fsspec

    text = re.sub(r"^postgres://", "postgresql://", text)  # as many tools write it
    scheme = text.partition("://")[0]
    is_file = scheme.split("::")[0] in fsspec.available_protocols()
    written, variables = _conceal(text)
    for name, value in variables.items():
        os.environ.setdefault(name, value)  # so that what is written can be tried at once
    return Input("remote" if is_file else "database", expand(text), written, tuple(variables))


def _conceal(address: str) -> tuple[str, dict[str, str]]:
    """Put variables in the place of a password and of secret options; return them with
    their values.
    """
    found: dict[str, str] = {}

    def hide(secret: str, what: str) -> str:
        if not secret or secret.startswith("${"):
            return secret
        name = f"{_stem(address)}_{what}"
        found[name] = secret
        return f"${{{name}}}"

    written = PASSWORD.sub(lambda match: f"{match[1]}:{hide(match[2], 'PASSWORD')}@", address)
    written = SECRET_OPTION.sub(
        lambda match: (
            f"{match[1]}{match[2]}={hide(match[3], re.sub(r'[^A-Z0-9]+', '_', match[2].upper()))}"
        ),
        written,
    )
    return written, found


def _stem(address: str) -> str:
    parts = urlsplit(PASSWORD.sub("://", address))
    name = Path(parts.path).stem or (parts.hostname or "DATA").split(".")[0]
    return "_".join(plain(name).upper().split()) or "DATA"


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f" The folder {path.parent} does not exist either."
    near = difflib.get_close_matches(path.name, sorted(os.listdir(path.parent)), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


@dataclass(frozen=True)
class Sample:
    """The bytes of a text that are looked at, and the share of the whole that they are;
    1: all of it.
    """

    data: bytes
    share: float = 1.0


def open_unpacked(path: Path) -> IO[bytes]:
    """Open a file, unpacked if it is gzip or zip; of Excel's files the archive itself.

    Raises:
        DraftError: a zip archive holds several files, or is damaged.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(path))
    if magic != b"PK\x03\x04":
        return path.open("rb")
    try:
        archive = zipfile.ZipFile(path)
        if is_workbook(archive):
            return path.open("rb")
        names = [item.filename for item in archive.infolist() if not item.is_dir()]
        own = [
            name for name in list_own(names) if not re.search(r"(?i)\.(md|pdf|html?|docx?)$", name)
        ]
        if len(own) != 1:
            raise DraftError(f"{path.name} holds {len(own)} files, expected one with data.")
        return archive.open(own[0])
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise DraftError(f"{path.name} is a damaged, cut or locked zip archive: {error}.") from None


def read_start(path: Path, size: int = 1 << 18) -> bytes:
    """Return the first bytes of a file, unpacked."""
    with open_unpacked(path) as file:
        return file.read(size)


def read_chunks(path: Path) -> Iterator[bytes]:
    """Yield the unpacked bytes of a file, part by part."""
    with open_unpacked(path) as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def draw_lines(path: Path, most: int, line_break: bytes = b"\n", *, spread: bool = True) -> Sample:
    """Return a text whole, or its first line and lines from parts all over it (of a
    packed file: from its start).
    """
    with open_unpacked(path) as file:
        data = file.read(most + 1)
        if len(data) <= most:
            return Sample(data)
        if not spread or not isinstance(file, io.BufferedReader):
            return Sample(_whole_lines(data[:most], line_break), _share_of_packed(path, file, most))
        size = file.seek(0, io.SEEK_END)
        parts = [data[: data.find(line_break) + len(line_break)]]
        for block in range(_BLOCKS):
            file.seek(block * size // _BLOCKS)
            part = file.read(most // _BLOCKS)
            parts.append(_whole_lines(part[part.find(line_break) + len(line_break) :], line_break))
        drawn = b"".join(parts)
        return Sample(drawn, len(drawn) / size)


def _whole_lines(data: bytes, line_break: bytes) -> bytes:
    place = data.rfind(line_break)
    while place % len(line_break):  # within two letters of UTF-16
        place = data.rfind(line_break, 0, place)
    return data[: place + len(line_break)]


def _share_of_packed(path: Path, file: IO[bytes], read: int) -> float:
    """Return which share of a file was read, told from how far it was read before it
    was unpacked, if it is packed.
    """
    raw = getattr(file, "fileobj", None) or getattr(file, "_fileobj", None) or file
    try:
        return (
            min(max(raw.tell() / path.stat().st_size, 1e-6), 1.0)
            if raw is not file
            else read / path.stat().st_size
        )
    except (AttributeError, OSError, ValueError):
        return read / path.stat().st_size


def draw_row_groups(path: Path, most_cells: int) -> tuple[pa.Table | None, int]:
    """Return rows from all over a Parquet file that is too large, else None; and how
    many rows it has.
    """
    file = pq.ParquetFile(path)
    rows, width = file.metadata.num_rows, max(file.metadata.num_columns, 1)
    if rows * width <= most_cells:
        return None, rows
    wanted, groups = most_cells // width, file.num_row_groups
    taken = range(0, groups, max(1, groups // 16))
    drawn = [file.read_row_group(group).slice(0, max(wanted // len(taken), 1)) for group in taken]
    return pa.concat_tables(drawn), rows


def fetch(one: Input, folder: Path) -> Path:
    """Fetch the file of an address, or the start of one that is too large."""
    import fsspec

    try:
        with staying_on_their_hosts() if "${" in one.written else nullcontext():
            filesystem, address = fsspec.core.url_to_fs(one.address)
            with filesystem.open(address, "rb") as remote:
                data = remote.read(MOST_BYTES)
    except FileNotFoundError as error:
        refused = error.__cause__ if isinstance(error.__cause__, SourceRefused) else None
        raise DraftError(str(refused or "there is no such file at this address")) from None
    except Exception as error:  # each file system of fsspec brings its library's own exceptions
        status = getattr(error, "status", None)
        what = (
            f"HTTP {status}" if status else hide(f"{type(error).__name__}: {error}", [one.address])
        )
        raise DraftError(
            f"cannot be fetched: {what}. Check the address and the credentials."
        ) from None
    path = folder / (Path(one.address.partition("::")[0].split("?")[0]).name or "fetched")
    path.write_bytes(data if len(data) < MOST_BYTES else data[: data.rfind(b"\n") + 1])
    return path
