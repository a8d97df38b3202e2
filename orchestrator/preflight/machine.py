"""What a run needs of the machine: folders that it may write to, and room on the disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrator.paths import Project

LEAST_FREE = 200_000_000  # bytes: a run of the sample company leaves about a tenth of it
_TIMES_THE_DATA = 2  # a new version of each dataset beside the old one, and its copy in DVC's cache


def find_unwritable(project: Project) -> Iterator[str]:
    """Yield which folders and files a run could not write to, and what to do."""
    told = set()
    for folder in (project.outputs, project.runs, project.data, project.root / ".dvc"):
        present = _present(folder)
        problem = _find_folder_problem(present)
        if problem and present not in told:
            told.add(present)
            needed = "" if present == folder else f", where {folder.relative_to(project.root)}/ has to be made"
            yield f"{present} is not writable{needed}: {problem}. Give the user who runs this the right to write there"
    for file in (project.outputs / "mlflow.db", project.lock_file):
        if file.exists() and not os.access(file, os.W_OK):
            yield f"{file} is not writable: it belongs to another user, or is read-only. Make it writable for this user"


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
    """Return the disks that a run writes to: a folder on it that is there -> those of the run that are, or will be."""
    disks: dict[int, tuple[Path, list[Path]]] = {}
    for folder in (project.outputs, project.data):
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
