"""What files and datasets hold, in DVC's own numbers, and from DVC's own memory of
files that have not changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.dvc_repository import dvc_folder
from orchestrator.records.record import Content

CONTENT = "md5:"  # what the parts begin with that are the contents of files
HASHES = ("code:", CONTENT, "sha256:")  # what parts begin with that are hashes
# Where DVC's database of hashes lies in its folder: path, inode, time and size ->
# MD5.
_STATE = "tmp/churn"


@dataclass(frozen=True)
class Measured:
    """The content of a file or folder, and the MD5 of each file in it: path within,
    with forward slashes -> MD5.
    """

    content: Content
    files: dict[str, str]


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def measure(path: Path, root: Path | None = None) -> Content:
    """Hash a file or a folder as DVC does, so that the number is the one in its `.dvc` file.

    Raises:
        FileNotFoundError: there is nothing at the path.
    """
    return measure_files(path, root).content


def measure_files(path: Path, root: Path | None = None) -> Measured:
    """Hash a file or a folder, and each file in it; of a file itself, the path within is empty.

    With the `root` of a project, its files whose time, size and inode are those of an
    earlier call are not read again.

    Raises:
        FileNotFoundError: there is nothing at the path.
    """
    from dvc_data.hashfile.build import build  # DVC takes half a second to import
    from dvc_data.hashfile.db import HashFileDB
    from dvc_data.hashfile.tree import Tree
    from dvc_objects.fs.local import LocalFileSystem
    from dvc_objects.fs.memory import MemoryFileSystem

    with remembering(root) as state:
        nowhere = HashFileDB(MemoryFileSystem(), "memory://", state=state)
        _, meta, hashed = build(nowhere, str(path), LocalFileSystem(), "md5", dry_run=True)
    content = Content(md5=hashed.hash_info.value, bytes=meta.size, files=meta.nfiles or 1)
    if not isinstance(hashed, Tree):
        return Measured(content, {"": content.md5})
    return Measured(content, {"/".join(key): info.value for key, _, info in hashed})


def measure_all(root: Path, paths: tuple[str, ...]) -> dict[str, Content]:
    """Hash the paths, relative to the root, that exist."""
    return {path: measure(root / path, root) for path in paths if (root / path).exists()}


@contextlib.contextmanager
def remembering(root: Path | None) -> Iterator[Any]:
    """Open DVC's memory of hashes, once for all that is measured inside; where it
    cannot be written, files are read.
    """
    from dvc_data.hashfile.state import State, StateNoop

    if root in _open:
        yield _open[root]
        return
    state: Any = StateNoop()
    if root and (folder := dvc_folder(root)).is_dir():
        with contextlib.suppress(OSError, sqlite3.Error):
            state = State(str(root), str(folder / _STATE))
    _open[root] = state
    try:
        yield state
    finally:
        del _open[root]
        state.close()


_open: dict[Path | None, Any] = {}
