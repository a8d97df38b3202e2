"""A project with four small datasets under DVC, without git or in a git checkout."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from helpers.projects import ROOT

DATASETS = ("raw", "validated", "prepared", "features")
COMMIT = ("-c", "user.name=analyst", "-c", "user.email=analyst@example.org")


def make_project(root: Path) -> Path:
    """Lay out a project without git, with DVC's committed settings and the datasets."""
    (root / ".dvc").mkdir(parents=True)
    for file in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "params.yaml"):
        shutil.copy(ROOT / file, root / file)
    for name in DATASETS:
        folder = root / "data" / name / "deep"
        folder.mkdir(parents=True)
        (folder / "table.csv").write_text(f"{name}\n" * 5)
        (folder.parent / "facts.json").write_text(f'{{"name": "{name}"}}')
    return root


def commit_all(root: Path) -> None:
    """Make a git checkout of a project, all committed."""
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        [*COMMIT, "commit", "--quiet", "--message", "all"],
    ):
        subprocess.run(["git", *command], cwd=root, check=True)


def folders(root: Path) -> list[Path]:
    """Return the folders of the datasets."""
    return [root / "data" / name for name in DATASETS]


def set_remote(root: Path, address: Path) -> None:
    """Name a folder as the default remote, as `dvc remote add -d --local` does."""
    text = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {address}\n"
    (root / ".dvc" / "config.local").write_text(text)
