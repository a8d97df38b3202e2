"""Whether Jupyter can start the kernel that the notebooks run in.

Looks where jupyter_client looks, without it: that takes half a second to import.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from jupyter_core.paths import jupyter_path

KERNEL = "python3"


def find_kernel_problems() -> Iterator[str]:
    """Yield why the kernel could not start."""
    file = _spec_file()
    try:
        interpreter = _interpreter(file)
    except (OSError, ValueError, LookupError, TypeError) as error:
        yield f"the kernel {KERNEL!r} cannot be read from {file} ({error}): remove the folder {file and file.parent}"
        return
    if shutil.which(interpreter) is None:
        where = f"the kernel {KERNEL!r} of {file} starts {interpreter}, which is not there"
        yield f"{where}: remove the folder {file and file.parent}"
    elif _is_here(interpreter) and importlib.util.find_spec("ipykernel") is None:
        yield f"the kernel {KERNEL!r} needs the package ipykernel: pip install -r requirements.txt"


def find_kernel_notes() -> Iterator[str]:
    """Yield what is unusual about the kernel, though it may work."""
    try:
        file, interpreter = _spec_file(), _interpreter(_spec_file())
    except (OSError, ValueError, LookupError, TypeError):
        return
    if shutil.which(interpreter) and not _is_here(interpreter):
        yield f"the kernel {KERNEL!r} of {file} runs {interpreter}, not {sys.executable}: its packages may be others"


def _spec_file() -> Path | None:
    """Return the file that says how to start the kernel; none: it is ipykernel of this environment."""
    own = Path(os.environ.get("IPYTHONDIR") or Path.home() / ".ipython") / "kernels"
    files = [Path(str(folder)) / KERNEL / "kernel.json" for folder in (*jupyter_path("kernels"), own)]
    return next((file for file in files if file.is_file()), None)


def _interpreter(file: Path | None) -> str:
    command = json.loads(file.read_text(encoding="utf-8"))["argv"][0] if file else sys.executable
    version = sys.version_info
    if command in ("python", f"python{version[0]}", f"python{version[0]}.{version[1]}"):
        return sys.executable  # as jupyter_client does
    return str(command)


def _is_here(interpreter: str) -> bool:
    return Path(shutil.which(interpreter) or interpreter).parent == Path(sys.executable).parent
