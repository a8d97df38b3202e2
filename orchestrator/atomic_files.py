"""Writes files so that a reader, and a crash, find the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from orchestrator.errors import ChurnError


class WriteError(ChurnError):
    """A file of a run cannot be written; what was there before is untouched."""


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file so that a reader, and a crash, find the old content or the new, never a part.

    `durable` waits until the disk has it, so that a power failure cannot undo what the
    run builds on.

    Raises:
        WriteError: it cannot be written: the disk is full, or the folder is read-only.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise WriteError(
            f"{error.strerror or error} on {path.parent}: {path.name} cannot be written."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
