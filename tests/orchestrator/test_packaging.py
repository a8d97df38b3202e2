"""The wheel: it holds all that the project needs, and lays out a project that runs."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from churn._version import __version__
from helpers.projects import ROOT, make_quick

NEW_PROJECT = (
    "params.yaml",
    "requirements.txt",
    "environment.yml",
    ".dvc/config",
    ".dvcignore",
    ".gitignore",
    ".gitattributes",
)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    command = [sys.executable, "-m", "pip", "wheel", "-q", *words]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """A virtual environment with the wheel, and with the packages of this one."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    command = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(command, check=True, capture_output=True)
    # Folders that a .pth file names come last, and their own .pth files do not count: what
    # is installed here to be edited is not found by it.
    others = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    Path(site, "others.pth").write_text("\n".join(others), encoding="utf-8")
    return python.parent


def run(clean: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the clean environment in a folder outside of any checkout."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "CHURN_PROJECT")
    }
    environment["PATH"] = os.pathsep.join([str(clean), environment["PATH"]])
    return subprocess.run(
        [str(clean / words[0]), *words[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_it_holds_every_package_template_and_file_of_a_new_project(wheel: Path) -> None:
    """What git tracks of both packages is in it, and what `churn new` lays out."""
    command = ["git", "-C", str(ROOT), "ls-files", "churn", "orchestrator", "notebooks"]
    tracked = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    expected = {name for name in tracked if not name.startswith("notebooks/")}
    laid_out = {name for name in tracked if name.startswith("notebooks/")} | {*NEW_PROJECT}
    expected |= {f"orchestrator/project_files/{name}" for name in laid_out}
    with zipfile.ZipFile(wheel) as opened:
        found = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert found == expected


def test_its_metadata_are_what_an_index_expects(wheel: Path) -> None:
    """Name, version, licence with its text, and the readme."""
    with zipfile.ZipFile(wheel) as opened:
        (path,) = [name for name in opened.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = opened.read(path).decode()
        assert any(name.endswith("licenses/LICENSE") for name in opened.namelist())
    for line in (
        "Name: churn-pipeline",
        f"Version: {__version__}",
        "License-Expression: Apache-2.0",
    ):
        assert f"{line}\n" in metadata
    assert "# Churn pipeline" in metadata


def test_outside_of_any_project_it_says_how_to_get_one(clean: Path, tmp_path: Path) -> None:
    """Help and version are told; a command that needs a project names `churn new`."""
    assert "churn" in run(clean, tmp_path, "churn", "--help").stdout
    assert run(clean, tmp_path, "churn", "--version").stdout.split() == ["churn", __version__]
    for command in ("runs", "check", "status"):
        ended = run(clean, tmp_path, "churn", command)
        assert ended.returncode == 2
        assert "churn new" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_folder_that_holds_something_is_left_alone(clean: Path, tmp_path: Path) -> None:
    """`churn new` writes into an empty or a new folder only."""
    (tmp_path / "mine.txt").write_text("mine")
    ended = run(clean, tmp_path, "churn", "new", ".")
    assert ended.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.e2e
@pytest.mark.xdist_group("packaging")
def test_a_new_project_runs_with_the_installed_code(clean: Path, tmp_path: Path) -> None:
    """Laid out outside of any checkout, its first run trains a model, and the second has
    nothing to do; its pins are met by what is installed.
    """
    ended = run(clean, tmp_path, "churn", "new", "mine")
    assert ended.returncode == 0, ended.stderr
    project = tmp_path / "mine"
    pins = (project / "requirements.txt").read_text("utf-8").splitlines()
    assert pins[0] == f"churn-pipeline=={__version__}"
    make_quick(project)
    ended = run(clean, project, "python", "orchestrator/flow.py", "--quiet")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert sorted(path.name for path in (project / "orchestrator").iterdir()) == ["flow.py"]
    assert "Nothing to do" in run(clean, project / "notebooks", "churn", "run").stdout
    assert "champion" in run(clean, project, "churn", "models").stdout
    assert run(clean, project, "churn", "verify", "latest").returncode == 0
