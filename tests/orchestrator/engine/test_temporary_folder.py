"""Temporary files of a run: where they lie, and that they go with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from helpers.projects import ROOT, wait_until
from orchestrator.engine import kernels
from orchestrator.engine.temporary_folder import find_socket_folder

posix = pytest.mark.skipif(sys.platform == "win32", reason="sockets and signals as on POSIX")

# A process that is guarded, and another that it starts, leave files behind.
GUARDED = """
import subprocess, sys, tempfile
from orchestrator.engine.leftovers import guard_this_process
guard_this_process()
leave = "import tempfile; print(tempfile.mkdtemp(prefix='feast_metrics_'), flush=True)"
subprocess.run([sys.executable, "-c", leave])
{0}
"""


def start_guarded(folder: Path, then: str, **variables: str) -> subprocess.Popen[str]:
    """Start a process that is guarded, with a folder for temporary files."""
    return subprocess.Popen(
        [sys.executable, "-c", GUARDED.format(then)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)} | variables,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_what_a_run_leaves_goes_with_it(tmp_path: Path) -> None:
    """What its processes left, too."""
    process = start_guarded(tmp_path, "")
    left, _ = process.communicate(timeout=60)
    assert Path(left.strip()).is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


@posix
def test_what_a_killed_run_leaves_goes_too(tmp_path: Path) -> None:
    """Its guard removes it; where that is killed with it, the next run does."""
    killed = start_guarded(tmp_path, "import time; time.sleep(600)")
    assert killed.stdout
    killed.stdout.readline()
    killed.kill()
    killed.communicate()
    wait_until(lambda: not any(tmp_path.iterdir()), seconds=20)
    (left,) = _leave_behind(tmp_path)
    live = start_guarded(tmp_path, "import time; time.sleep(600)")
    assert live.stdout
    live.stdout.readline()
    of_live = list(tmp_path.iterdir())
    assert left not in of_live, "the next run removes it, however soon it comes"
    start_guarded(tmp_path, "").communicate(timeout=60)
    assert list(tmp_path.iterdir()) == of_live, "of a run that goes on, nothing may be taken"
    live.kill()
    live.communicate()


def _leave_behind(folder: Path) -> list[Path]:
    """Make what a run leaves whose guard was killed first; return its folder."""
    end = "import os; from orchestrator.engine import leftovers; leftovers._guards[0].kill()"
    start_guarded(folder, f"{end}; os._exit(1)").communicate(timeout=60)
    return list(folder.iterdir())


@posix
@pytest.mark.e2e
def test_kernels_start_with_a_long_path_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """98 characters: more than the path of a socket can have. The key of a kernel lies in its
    private folder, and goes with it.
    """
    long = Path(str(tmp_path / ("t" * 98))[:98])
    long.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    (tmp_path / "notebooks").mkdir()
    notebook = tmp_path / "notebooks/01_ingestion.ipynb"
    notebook.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    with kernels.kernel_for(notebook) as manager:
        assert manager.transport == "ipc"
        assert len(f"{manager.ip}-12345") <= 103
        key = Path(manager.connection_file)
        assert key.parent.stat().st_mode & 0o77 == 0
        assert key.is_file()
    assert not key.parent.exists()
    assert list(long.iterdir()) == []


@posix
def test_sockets_lie_in_a_short_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder for temporary files where its path is short enough, else another."""
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    assert find_socket_folder() == Path("/tmp")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("t" * 98)))
    assert len(str(find_socket_folder())) < 75


@posix
@pytest.mark.parametrize("home", ["absent", "read-only"])
def test_a_run_without_a_home_keeps_the_files_of_programs_with_its_own(
    tmp_path: Path, home: str
) -> None:
    """Prefect, IPython and matplotlib keep something in the user's home."""
    then = "import os; print(os.environ['HOME'], os.environ['PREFECT_HOME'])"
    place = Path("/dev/null/home")
    if home == "read-only":
        place = tmp_path / "home"
        place.mkdir(mode=0o555)
        if os.access(place, os.W_OK):
            pytest.skip("for root no folder is read-only")
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_HOME"}
    ended = subprocess.run(
        [sys.executable, "-c", GUARDED.format(then)],
        env=environment | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "HOME": str(place)},
        capture_output=True,
        text=True,
        check=True,
    )
    set_home, prefect_home = map(Path, ended.stdout.split()[1:])
    assert prefect_home.is_relative_to(tmp_path)
    assert set_home.is_relative_to(tmp_path) == (home == "absent")
