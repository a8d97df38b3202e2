"""The folder in which all processes of a run keep their temporary files; it goes when the run
does, however it ends.

Kernels are killed, and packages leave files behind even when they are not. The folder holds a
lock of the process that made it: the next run removes those whose process is gone. Where the
user has no home that can be written to, it stands in for it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.errors import ChurnError

_PREFIX = "churn-run-"
_LOCK = ".churn-run.lock"
_VARIABLES = ("TMPDIR", "TEMP", "TMP")
# What programs keep in the user's home, and where instead.
_AT_HOME = {"PREFECT_HOME": "prefect", "IPYTHONDIR": "ipython", "MPLCONFIGDIR": "matplotlib"}

# The path of a socket may have 103 bytes on macOS, a few more on Linux; this much of it comes
# below the folder: `/churn-12345678/kernel-12345`.
_LONGEST = 103 - 28
_SHORT = [Path("/tmp"), Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp"))]

_locks: list[FileLock] = []  # held until this process ends


def take_temporary_folder() -> list[Path]:
    """Let this process, and all that it starts, keep temporary files in a new folder, and
    return what is to be removed after its end: that folder, and one for sockets where its
    path is too long for them.

    Raises:
        ChurnError: there is no room for temporary files.
    """
    folder = _make(_find_parent())
    tempfile.tempdir = str(folder)
    os.environ |= dict.fromkeys(_VARIABLES, str(folder))
    note_on_home()
    if not _has_home():
        _stand_in_for_home(folder)
    if _is_short(folder) or (short := find_socket_folder()) is None:
        return [folder]
    _SHORT.insert(0, _make(short))
    return [folder, _SHORT[0]]


def find_socket_folder() -> Path | None:
    """Return a folder whose path is short enough for sockets in it; None where there is none."""
    if sys.platform == "win32":
        return None
    folders = [Path(tempfile.gettempdir()), *_SHORT]
    return next((one for one in folders if _is_short(one) and os.access(one, os.W_OK)), None)


@functools.cache  # as it was before the folder stood in for it
def note_on_home() -> str:
    """Say that what Prefect keeps in the user's home goes with the run; empty where it does not."""
    if _has_home() or "PREFECT_HOME" in os.environ:
        return ""
    return (
        f"the home folder {Path('~').expanduser()} is not there, or cannot be written to: what "
        "Prefect knows of a run goes with it. Let HOME or PREFECT_HOME name a folder of this user"
    )


def _has_home() -> bool:
    home = Path("~").expanduser()
    used = home / ".prefect" if (home / ".prefect").exists() else home
    return used.is_dir() and os.access(used, os.W_OK)


def _stand_in_for_home(folder: Path) -> None:
    if not Path("~").expanduser().is_dir():
        os.environ["HOME"] = str(folder)
    for name, place in _AT_HOME.items():
        os.environ.setdefault(name, str(folder / place))


def _find_parent() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise ChurnError(
            f"No folder can take temporary files: {error.strerror}. Make room in one of them, or "
            "let TMPDIR name another."
        ) from None


def _is_short(folder: Path) -> bool:
    return len(os.fsencode(folder)) <= _LONGEST


def _make(parent: Path) -> Path:
    for left in _find_left(parent):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
        _locks.append(lock)
    except Timeout:  # another run has just taken it for left behind, and removes it
        return _make(parent)
    except (OSError, NotImplementedError):  # no locks here: nobody may take it for left behind
        (folder / _LOCK).unlink(missing_ok=True)
    return folder


def _find_left(parent: Path) -> Iterator[Path]:
    """Yield the folders of this user whose process is gone."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            state = folder.lstat()
            is_own = not hasattr(os, "geteuid") or state.st_uid == os.geteuid()
            if is_own and not folder.is_symlink() and (folder / _LOCK).is_file():
                with FileLock(folder / _LOCK, timeout=0):
                    yield folder
