"""Ends what a run leaves behind, however it ended: kernels, what they started, the fork
server, Prefect's server, and their temporary files.

All processes that a run starts inherit a mark in their environment. Another process,
the guard, waits for the end of the run, by any means, `kill -9` too, and then ends all
that carry the mark. Run as a program, this file is the guard.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import subprocess
import sys
import time

import psutil  # type: ignore[import-untyped]

from orchestrator.engine.temporary_folder import take_temporary_folder
from orchestrator.project import CODE, child_environment

_guards: list[subprocess.Popen[bytes]] = []  # none or one
_SECONDS = 5  # in which processes that keep starting others have to be caught


def guard_this_process() -> None:
    """Mark all processes that this one starts from now on, give them a folder for temporary
    files, and let the guard end and remove them after it.
    """
    if _guards:
        return
    folders = take_temporary_folder()
    mark = f"CHURN_RUN_{secrets.token_hex(8)}"
    os.environ[mark] = "1"
    guard = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.engine.leftovers", mark, *map(str, folders)],
        env=os.environ | child_environment(CODE),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # out of reach of Ctrl-C
    )
    _guards.append(guard)
    atexit.register(_dismiss, guard)


def _dismiss(guard: subprocess.Popen[bytes]) -> None:
    """Let the guard do its work now, and wait for it."""
    assert guard.stdin
    guard.stdin.close()
    guard.wait(2 * _SECONDS)


def end_marked(mark: str) -> None:
    """End all processes of this user that carry a mark, but this one."""
    deadline = time.monotonic() + _SECONDS
    while (left := [process for process in psutil.process_iter() if _carries(process, mark)]) and (
        time.monotonic() < deadline
    ):
        for process in left:
            try:
                process.kill()
            except psutil.Error:  # it ended by itself
                continue
        psutil.wait_procs(left, timeout=0.5)


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return (
            process.pid != os.getpid()
            and mark in process.environ()
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except (psutil.Error, OSError):
        return False  # it is another user's, or gone


if __name__ == "__main__":
    sys.stdin.buffer.read()  # returns when the other end is closed, which the end of a process does
    end_marked(sys.argv[1])
    for name in sys.argv[2:]:
        shutil.rmtree(name, ignore_errors=True)
