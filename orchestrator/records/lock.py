"""One run at a time in a checkout: a lock that the operating system frees when its
holder is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.atomic_files import WriteError, write_atomically
from orchestrator.errors import RunInProgressError
from orchestrator.project import Project
from orchestrator.records.record import now

_SECONDS_TO_INTRODUCE = 1  # what a process that took the lock has to write who it is


@contextlib.contextmanager
def hold_checkout(project: Project) -> Iterator[None]:
    """Hold the lock of this checkout.

    Raises:
        RunInProgressError: another process holds it; the message names its PID and start time.
    """
    holder = _holder_file(project)
    lock = _acquire(project)
    try:
        with contextlib.suppress(WriteError):  # a run that cannot say who it is, runs all the same
            write_atomically(
                holder,
                json.dumps({"pid": os.getpid(), "started": f"{now():%Y-%m-%d %H:%M:%S}"}).encode(),
            )
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        lock.release()


def ensure_free(project: Project) -> None:
    """Check that no run is in progress in this checkout, before anything is started for another.

    Raises:
        RunInProgressError: one is; the message names its PID and start time.
    """
    with contextlib.suppress(OSError):  # of a folder that cannot be written to, the preflight tells
        _acquire(project).release()


def _acquire(project: Project) -> FileLock:
    project.outputs.mkdir(parents=True, exist_ok=True)
    lock = FileLock(project.lock_file)
    deadline = time.monotonic() + _SECONDS_TO_INTRODUCE
    while True:
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=0)
            return lock
        name, is_alive = _read_holder(_holder_file(project))
        if is_alive or time.monotonic() > deadline:
            raise RunInProgressError(
                f"Another run is in progress in {project.root}: {name}. Wait for it to end."
            )
        time.sleep(0.05)  # what a killed holder left in the file is about to be replaced


def _read_holder(file: Path) -> tuple[str, bool]:
    """Say who holds the lock, and whether a process of that number lives."""
    import psutil  # type: ignore[import-untyped]

    try:
        holder = json.loads(file.read_bytes())
        return f"PID {holder['pid']}, started {holder['started']} UTC", psutil.pid_exists(
            holder["pid"]
        )
    except (OSError, ValueError, TypeError, KeyError):
        return f"its PID is unknown, {file} cannot be read", False


def _holder_file(project: Project) -> Path:
    return project.lock_file.with_suffix(".holder")
