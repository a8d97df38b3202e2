"""Every path of the project, in one place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from churn.checkout import VARIABLE, find_root
from churn.dvc_repository import dvc_folder
from orchestrator.errors import UsageError

CODE = (
    Path(__file__).resolve().parent.parent
)  # where the packages lie: a checkout, or site-packages


@dataclass(frozen=True)
class Project:
    """A checkout of this project; all paths hang on its root."""

    root: Path

    @property
    def notebooks(self) -> Path:
        """The stage notebooks: the working directory of their kernels."""
        return self.root / "notebooks"

    @property
    def domain(self) -> Path:
        """The package that the notebooks import: the checkout's own, or the installed one."""
        own = self.root / "churn"
        return own if own.is_dir() else CODE / "churn"

    def code_files(self) -> Iterator[tuple[str, Path]]:
        """Yield the notebooks and the modules that they may use: name from the root, as in a
        checkout, and file.
        """
        for folder, patterns in ((self.notebooks, ("*.ipynb", "*.py")), (self.domain, ("*.py",))):
            for file in (file for pattern in patterns for file in sorted(folder.rglob(pattern))):
                within = file.relative_to(folder)
                if ".ipynb_checkpoints" not in within.parts and file.is_file():
                    yield f"{folder.name}/{within.as_posix()}", file

    @property
    def data(self) -> Path:
        """The datasets and their DVC pointers."""
        return self.root / "data"

    @property
    def dvc(self) -> Path:
        """DVC's cache and temporary files."""
        return dvc_folder(self.root)

    @property
    def outputs(self) -> Path:
        """All that runs leave behind besides datasets."""
        return self.root / "outputs"

    @property
    def runs(self) -> Path:
        """One folder a run."""
        return self.outputs / "runs"

    @property
    def code(self) -> Path:
        """What runs executed: one archive for equal code."""
        return self.outputs / "code"

    @property
    def lock_file(self) -> Path:
        """Held by the run in progress."""
        return self.outputs / "run.lock"

    @property
    def servers_file(self) -> Path:
        """Where the Prefect server listens that `churn ui` or `churn serve` started, while
        it runs.
        """
        return self.outputs / "servers.json"

    @property
    def params_file(self) -> Path:
        """The facts of the data set, unless a run names another file."""
        return self.root / "params.yaml"

    @property
    def requirements(self) -> Path:
        """The pinned environment."""
        return self.root / "requirements.txt"

    def relative(self, path: Path) -> str:
        """Return a path as the records write it: relative to the root where it lies inside, or
        in a folder on another disk that is linked there, with forward slashes.
        """
        resolved = path.resolve()
        if resolved.is_relative_to(self.root):
            return resolved.relative_to(self.root).as_posix()
        for linked in (self.data, self.outputs):
            if resolved.is_relative_to(real := linked.resolve()):
                return (linked.name / resolved.relative_to(real)).as_posix()
        return resolved.as_posix()


def find_project() -> Project:
    """Return the project in which the user stands; outside of any, that of the code.

    Raises:
        UsageError: there is none, or its code is of a version that this one cannot run.
    """
    root = find_root() or find_root(CODE)
    if root is None:
        raise UsageError(
            f"There is no project in {Path.cwd()} or above it: no folder with notebooks/ and "
            "params.yaml. `churn new FOLDER` lays one out; or go to the folder of yours."
        )
    if (root / "orchestrator" / "__init__.py").is_file() and not (root / "churn").is_dir():
        raise UsageError(
            f"{root} is a checkout of version 0.1, and the installed one is newer: install that "
            "one (`pip install -e .` there), or move the project on to this version."
        )
    return Project(root)


def child_environment(root: Path) -> dict[str, str]:
    """Return the environment variables by which a program of this project, or one of its
    kernels, finds the code of the project in `root` before any that is installed.
    """
    has_code = (root / "churn").is_dir()
    paths = filter(None, [str(root) if has_code else "", os.environ.get("PYTHONPATH")])
    return {VARIABLE: str(root), "PYTHONPATH": os.pathsep.join(paths)}
