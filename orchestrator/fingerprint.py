"""What decides a stage's result: content hashes, in DVC's own numbers."""

from __future__ import annotations

import hashlib
from pathlib import Path

from orchestrator.record import Content


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def measure(path: Path) -> Content:
    """Hash a file or a folder as DVC does, so that the number is the one in its `.dvc` file.

    Raises:
        FileNotFoundError: there is nothing at the path.
    """
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB
    from dvc_objects.fs.local import LocalFileSystem
    from dvc_objects.fs.memory import MemoryFileSystem

    nowhere = HashFileDB(MemoryFileSystem(), "memory://")
    _, meta, hashed = build(nowhere, str(path), LocalFileSystem(), "md5", dry_run=True)
    return Content(md5=hashed.hash_info.value, bytes=meta.size, files=meta.nfiles or 1)


def measure_all(root: Path, paths: tuple[str, ...]) -> dict[str, Content]:
    """Hash the paths, relative to the root, that exist."""
    return {path: measure(root / path) for path in paths if (root / path).exists()}
