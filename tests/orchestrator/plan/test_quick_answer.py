"""The answer of a run with nothing to do is given again at once, until anything that it
follows from is touched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.plan import quick_answer
from orchestrator.plan.quick_answer import Watch, begin_to_look, remember, take_state, tell

OPTIONS = ["--params", "params.yaml"]
MINUTE = 60


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with code, data, a record, and an answer that was kept; all files are a
    minute old.
    """
    root = tmp_path / "project"
    for name in (
        "code/deep/module.py",
        "data/raw/table.parquet",
        "params.yaml",
        "outputs/runs/first/run.json",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("as it was")
        os.utime(root / name, (time.time() - MINUTE,) * 2)
    (root / "packages").mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("CHURN_DATA", "/data")
    keep(root)
    return root


def keep(root: Path) -> None:
    """Keep the answer with the state as it is now."""
    paths = ["code", "data/raw", "params.yaml", "data/raw.dvc", str(root / "code")]
    watch = Watch(paths, [str(root / "packages")], {"CHURN_DATA": "/data"})
    state = take_state(root, watch, begin_to_look())
    assert state
    remember(root, OPTIONS, watch, state, "Nothing to do.")


def test_an_unchanged_project(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer is printed, again and again; caches of Python's and files that nobody
    watches do not count.
    """
    assert tell(project, OPTIONS)
    (project / "code/deep/__pycache__").mkdir()
    (project / "code/deep/__pycache__/module.pyc").write_text("compiled")
    (project / "outputs/runs/first/01_ingestion.html").write_text("a report")
    assert tell(project, OPTIONS)
    assert capsys.readouterr().out == "Nothing to do.\nNothing to do.\n"


def rewrite_in_the_same_moment(root: Path) -> None:
    """Other content of the same size, with the time that the file had: what a clock
    with long ticks shows.
    """
    file = root / "params.yaml"
    file.write_text("it is now")
    os.utime(file, (time.time() - MINUTE,) * 2)


@pytest.mark.parametrize(
    "edit",
    [
        lambda root: (root / "code/deep/module.py").write_text("as it is now"),
        rewrite_in_the_same_moment,
        lambda root: (root / "code/new.py").write_text(""),
        lambda root: (root / "data/raw/table.parquet").unlink(),
        lambda root: (root / "data/raw.dvc").write_text("it was not there"),
        lambda root: (root / "outputs/runs/first/run.json").write_text("another record"),
        lambda root: (root / "outputs/runs/second").mkdir(),
        lambda root: (root / "packages/added-1.0.dist-info").mkdir(),
        lambda root: os.environ.update(CHURN_DATA="/elsewhere"),
        lambda root: os.chdir(root.parent),
        lambda root: (root / "outputs/unchanged.json").write_text('{"arguments": '),
        lambda root: (root / "outputs/unchanged.json").unlink(),
    ],
    ids=[
        *(
            "code",
            "same size and time",
            "new module",
            "output gone",
            "pointer",
            "record",
            "run",
            "package",
            "variable",
        ),
        *("working directory", "cut memory", "no memory"),
    ],
)
def test_any_change_is_left_to_a_decision(project: Path, edit: Callable[[Path], object]) -> None:
    """Whatever is edited, added, removed or set, the kept answer no longer holds."""
    edit(project)
    assert not tell(project, OPTIONS)


def test_another_command(project: Path) -> None:
    """Other options have another answer."""
    assert not tell(project, [])
    assert not tell(project, [*OPTIONS, "--force"])


def test_a_file_as_young_as_a_tick_is_compared_by_content(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written a moment before and again after the answer was kept, its size and time
    may be the same.
    """
    file = project / "params.yaml"
    file.write_text("it is now")
    keep(project)
    assert tell(project, OPTIONS)
    frozen, look = os.stat(file), os.stat  # the clock of a disk that stands still
    monkeypatch.setattr(
        os, "stat", lambda path, **how: frozen if path == file else look(path, **how)
    )
    file.write_text("not then!")
    assert not tell(project, OPTIONS)


def test_much_that_is_young_is_not_kept(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read it all again would take longer than to decide."""
    monkeypatch.setattr(quick_answer, "_MOST_BYTES", 5)
    (project / "params.yaml").write_text("more than five bytes")
    assert take_state(project, Watch(["params.yaml"], [], {}), begin_to_look()) is None


def test_what_is_written_while_it_is_decided_is_not_kept(project: Path) -> None:
    """An answer does not hold for a file that was written after the look at it began."""
    began = begin_to_look()
    (project / "params.yaml").write_text("written meanwhile")
    assert take_state(project, Watch(["params.yaml"], [], {}), began) is None
