"""Every path of the project, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Project:
    """A checkout of this project; all paths hang on its root."""

    root: Path

    @property
    def notebooks(self) -> Path:
        """The stage notebooks: the working directory of their kernels."""
        return self.root / "notebooks"

    @property
    def data(self) -> Path:
        """The datasets and their DVC pointers."""
        return self.root / "data"

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
        """Where the servers listen that `churn ui` started, while they run."""
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
        """Return a path as the records write it: relative to the root where it lies inside, with forward slashes."""
        resolved = path.resolve()
        return (resolved.relative_to(self.root) if resolved.is_relative_to(self.root) else resolved).as_posix()


PROJECT = Project(Path(__file__).resolve().parent.parent)
