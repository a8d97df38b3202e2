"""One run at a time in a checkout: a lock that the operating system frees when its holder is gone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from filelock import FileLock, Timeout

from orchestrator.errors import RunInProgressError
from orchestrator.paths import Project
from orchestrator.record import now


@contextlib.contextmanager
def hold_checkout(project: Project) -> Iterator[None]:
    """Hold the lock of this checkout.

    Raises:
        RunInProgressError: another process holds it; the message names its PID and start time.
    """
    project.outputs.mkdir(parents=True, exist_ok=True)
    holder = project.lock_file.with_suffix(".holder")
    lock = FileLock(project.lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = holder.read_text(encoding="utf-8") if holder.exists() else "unknown"
        raise RunInProgressError(f"Another run is in progress in {project.root}: {who}. Wait for it to end.") from None
    try:
        holder.write_text(f"PID {os.getpid()}, started {now():%Y-%m-%d %H:%M:%S} UTC", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
