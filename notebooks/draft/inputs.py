"""What the command line names, taken apart: local files, folders and patterns, addresses of files and of databases."""

from __future__ import annotations

import difflib
import glob
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from draft.words import plain
from params import expand

_DATA: tuple[str, ...] = (
    ".csv",
    ".tsv",
    ".tab",
    ".txt",
    ".psv",
    ".dat",
    ".data",
    ".parquet",
    ".pq",
    ".json",
    ".jsonl",
    ".ndjson",
)
_DATA += (".xlsx", ".xlsm", ".gz", ".zip", ".sqlite", ".sqlite3", ".db")
_SECRET_OPTION = re.compile(
    r"(?i)(?<=[?&])([^=&#]*(?:key|token|secret|passw|pwd|sig|credential|auth)[^=&#]*)=([^&#\s]+)"
)
_PASSWORD = re.compile(r"(://[^/?#@:]*:)(.*)@")  # to the last @: an unescaped one may stand in the password


class DraftError(Exception):
    """What was named cannot be drafted from; the message says what to do."""


@dataclass(frozen=True)
class Input:
    """One thing to look at. `written` is its address as `params.yaml` has it, with variables in place of secrets."""

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
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith((".", "~$")))
    data = [path for path in files if path.suffix.lower() in _DATA]
    if not data:
        raise DraftError(f"The folder {folder} has no data file: expected one that ends in {', '.join(_DATA)}.")
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
    except zipfile.BadZipFile:
        return []  # the reader says what is wrong with it
    own = [name for name in names if not re.search(r"(^|/)(__MACOSX/|\.)", name)]
    return [] if "[Content_Types].xml" in names else [name for name in own if Path(name).suffix.lower() in _DATA]


def write_path(path: Path, root: Path) -> str:
    """Return a path as `params.yaml` has it: relative to the project's root where it lies inside, else absolute."""
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
    """Put variables in the place of a password and of secret options; return them with their values."""
    found: dict[str, str] = {}

    def hide(secret: str, what: str) -> str:
        if secret.startswith("${"):
            return secret
        name = f"{_stem(address)}_{what}"
        found[name] = secret
        return f"${{{name}}}"

    written = _PASSWORD.sub(lambda match: f"{match[1]}{hide(match[2], 'PASSWORD')}@", address)
    written = _SECRET_OPTION.sub(
        lambda match: f"{match[1]}={hide(match[2], re.sub(r'[^A-Z0-9]+', '_', match[1].upper()))}", written
    )
    return written, found


def _stem(address: str) -> str:
    parts = urlsplit(_PASSWORD.sub("://", address))
    name = Path(parts.path).stem or (parts.hostname or "DATA").split(".")[0]
    return "_".join(plain(name).upper().split()) or "DATA"


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f" The folder {path.parent} does not exist either."
    near = difflib.get_close_matches(path.name, sorted(os.listdir(path.parent)), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
