"""What a run needs of the machine: folders that it may write to, room on the disk, and a
kernel that Jupyter can start.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jupyter_core.paths import jupyter_path

from orchestrator.engine.temporary_folder import note_on_home
from orchestrator.project import Project
from orchestrator.records.dvc_cache import cache_folder

LEAST_FREE = 200_000_000  # bytes: a run of the sample company leaves about a tenth of it
_FREE_FOR_PROGRAMS = 20_000_000  # bytes: of temporary files, of Prefect's database
_OPEN_FILES = 256  # enough for a run of the sample company; 64 is too few for one that does nothing
_MANY_FILES = 4096
_TIMES_THE_DATA = 2  # a new version of each dataset beside the old one, and its copy in DVC's cache


def find_early_problems() -> Iterator[str]:
    """Yield what keeps Prefect's server from starting, which a run starts first: too few open
    files, or no room for its database or temporary files.
    """
    limit = _limit_of_open_files()
    if limit < _OPEN_FILES:
        yield (
            f"a process may open {limit} files here, a run needs {_OPEN_FILES}: raise the limit "
            "(`ulimit -n 1024`; in a container or service, its own setting)"
        )
    try:
        yield from _find_full("TMPDIR", tempfile.gettempdir(), "temporary files need")
    except FileNotFoundError as error:
        yield f"no folder takes temporary files: {error.strerror}. Make room in one of them"
    # With another server Prefect keeps nothing there that it could not do without.
    if (named := os.environ.get("PREFECT_HOME")) and not os.environ.get("PREFECT_API_URL"):
        yield from _find_full("PREFECT_HOME", named, "Prefect's database needs")


def _find_full(variable: str, named: str, needs: str) -> Iterator[str]:
    folder = Path(named).expanduser()
    present = _present(folder)
    free = shutil.disk_usage(present).free
    if problem := _find_folder_problem(present):
        yield (
            f"{folder}, which {variable} names, cannot be written to: {problem}. Name another "
            "folder"
        )
    elif free < _FREE_FOR_PROGRAMS:
        yield (
            f"the disk of {folder}, which {variable} names, has {_amount(free)} free, {needs} "
            f"{_amount(_FREE_FOR_PROGRAMS)}: make room, or name another folder"
        )


def allow_open_files() -> None:
    """Raise this process's limit of open files, which kernels inherit, to what it may be."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else min(_MANY_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _limit_of_open_files() -> float:
    if sys.platform == "win32":
        return math.inf
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit


def find_unwritable(project: Project) -> Iterator[str]:
    """Yield which folders and files a run could not write to, and what to do."""
    told = set()
    for folder in (project.outputs, project.runs, project.data, project.dvc):
        present = _present(folder)
        problem = _find_folder_problem(present)
        if problem and present not in told:
            told.add(present)
            needed = (
                ""
                if present == folder
                else f", where {folder.relative_to(project.root)}/ has to be made"
            )
            yield (
                f"{present} is not writable{needed}: {problem}. Give the user who runs this "
                "the right to write there"
            )
    for file in (project.outputs / "mlflow.db", project.lock_file):
        if file.exists() and not os.access(file, os.W_OK):
            yield (
                f"{file} is not writable: it belongs to another user, or is read-only. Make "
                "it writable for this user"
            )


def find_lack_of_space(project: Project) -> Iterator[str]:
    """Yield which disks have less room than a run needs, with both numbers."""
    needed, reason = _needed(project)
    for present, folders in _disks(project).items():
        free = shutil.disk_usage(present).free
        if free < needed:
            names = " and ".join(map(str, folders))
            lack = f"the disk of {names} has {_amount(free)} free"
            yield f"{lack}, a run needs {_amount(needed)}{reason}: make room"


def describe_space(project: Project) -> str:
    """Say how much room there is, and how much a run needs."""
    free = min(shutil.disk_usage(present).free for present in _disks(project))
    return f"{_amount(free)} free, {_amount(_needed(project)[0])} needed"


def _find_folder_problem(folder: Path) -> str | None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except NotADirectoryError:
        return "it is a file, expected a folder"
    except OSError as error:
        return error.strerror or str(error)


def _disks(project: Project) -> dict[Path, list[Path]]:
    """Return the disks that a run writes to: a folder on it that is there -> those of
    the run that are, or will be.
    """
    disks: dict[int, tuple[Path, list[Path]]] = {}
    for folder in (project.outputs, project.data, cache_folder(project)):
        present = _present(folder)
        disks.setdefault(present.stat().st_dev, (present, []))[1].append(folder)
    return dict(disks.values())


def _present(folder: Path) -> Path:
    """Return a folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _needed(project: Project) -> tuple[int, str]:
    data = sum(_file_sizes(project.data))
    if _TIMES_THE_DATA * data > LEAST_FREE:
        return _TIMES_THE_DATA * data, f", twice what {project.data.name}/ holds"
    return LEAST_FREE, ""


def _file_sizes(folder: Path) -> Iterator[int]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _file_sizes(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield entry.stat(follow_symlinks=False).st_size


def _amount(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


KERNEL = "python3"


def find_ignored_variables() -> Iterator[str]:
    """Tell what of the environment a run cannot follow: a home, variables of other programs."""
    if note := note_on_home():
        yield note
    if address := os.environ.get("MLFLOW_TRACKING_URI"):
        yield (
            f"MLFLOW_TRACKING_URI ({address.partition('@')[2] or address}) does not count: the "
            "parameter tracking_uri of model_building says where models are logged"
        )


def find_kernel_problems() -> Iterator[str]:
    """Yield why the kernel could not start."""
    file = _spec_file()
    try:
        interpreter = _interpreter(file)
    except (OSError, ValueError, LookupError, TypeError) as error:
        yield (
            f"the kernel {KERNEL!r} cannot be read from {file} ({error}): remove the folder "
            f"{file and file.parent}"
        )
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
        yield (
            f"the kernel {KERNEL!r} of {file} runs {interpreter}, not {sys.executable}: its "
            "packages may be others"
        )


def _spec_file() -> Path | None:
    """Return the file that says how to start the kernel; none: it is ipykernel of this
    environment.
    """
    own = Path(os.environ.get("IPYTHONDIR") or Path.home() / ".ipython") / "kernels"
    files = [
        Path(str(folder)) / KERNEL / "kernel.json" for folder in (*jupyter_path("kernels"), own)
    ]
    return next((file for file in files if file.is_file()), None)


def _interpreter(file: Path | None) -> str:
    command = json.loads(file.read_text(encoding="utf-8"))["argv"][0] if file else sys.executable
    version = sys.version_info
    if command in ("python", f"python{version[0]}", f"python{version[0]}.{version[1]}"):
        return sys.executable  # as jupyter_client does
    return str(command)


def _is_here(interpreter: str) -> bool:
    return Path(shutil.which(interpreter) or interpreter).parent == Path(sys.executable).parent
