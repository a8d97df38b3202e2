"""The command `churn init`: where it writes, in which project, and what it tells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from churn.params import FileSource, load_params
from helpers import one_table
from helpers.drafts import init
from helpers.projects import ROOT
from orchestrator.cli.new_command import lay_out
from orchestrator.plan.checks import examine
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project


def test_a_file_of_the_project_is_named_from_its_root(project_copy: Path) -> None:
    """The draft stands in the working directory under the file's name, and a run would
    start with it.
    """
    (project_copy / "data" / "external").mkdir(parents=True)
    one_table.bank(project_copy / "data" / "external", 600)
    ended = init(project_copy, "data/external/Bank Churn Records.csv")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "python orchestrator/flow.py --params 'Bank Churn Records.yaml'" in ended.stdout
    params = load_params(project_copy / "Bank Churn Records.yaml")
    assert [source.file for source in params.sources.values()] == [
        "data/external/Bank Churn Records.csv"
    ]  # type: ignore[union-attr]
    assert (
        examine(Project(project_copy), Request(project_copy / "Bank Churn Records.yaml")).problems
        == []
    )
    again = init(project_copy, "data/external/Bank Churn Records.csv")
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert "--force" in again.stderr


def test_files_elsewhere_are_named_by_their_absolute_path(
    project_copy: Path, tmp_path: Path
) -> None:
    """From another folder, with a relative path and another name for the draft."""
    (tmp_path / "elsewhere").mkdir()
    one_table.kaggle(tmp_path / "elsewhere", 900)
    ended = init(project_copy, "train.csv", "--out", "mine.yaml", folder=tmp_path / "elsewhere")
    assert ended.returncode == 0, ended.stderr
    params = load_params(tmp_path / "elsewhere" / "mine.yaml")
    assert [source.file for source in params.sources.values()] == [
        (tmp_path / "elsewhere" / "train.csv").as_posix()
    ]  # type: ignore[union-attr]
    assert str(project_copy / "orchestrator" / "flow.py") in ended.stdout


def test_a_project_that_does_not_hold_the_code(tmp_path: Path) -> None:
    """Paths, limits and the next command are those of the project, wherever the code is
    installed.
    """
    project = tmp_path / "mine"
    lay_out(project)
    notebook = project / "notebooks" / "04_transformation.ipynb"
    shown = notebook.read_text(encoding="utf-8")
    notebook.write_text(shown.replace("max_categories = 100", "max_categories = 7"), "utf-8")
    (path,) = one_table.bank(project, 600)
    frame = pd.read_csv(path).assign(Branch=[f"b{n % 30}" for n in range(600)])
    frame.to_csv(project / "bank.csv", index=False)
    ended = init(ROOT, "bank.csv", folder=project)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Next: python orchestrator/flow.py --params bank.yaml" in ended.stdout
    (source,) = load_params(project / "bank.yaml").sources.values()
    assert isinstance(source, FileSource)
    assert source.file == "bank.csv"
    assert "30 values, too many" in (project / "bank.yaml").read_text("utf-8")


def test_a_broken_parameters_cell_is_wrong_usage(project_copy: Path) -> None:
    """The notebook and the line are named, and nothing is written."""
    notebook = project_copy / "notebooks" / "04_transformation.ipynb"
    shown = notebook.read_text(encoding="utf-8")
    assert "max_categories = 100" in shown
    notebook.write_text(shown.replace("max_categories = 100", "max_categories = 50 + 50"), "utf-8")
    one_table.bank(project_copy, 300)
    ended = init(project_copy, "Bank Churn Records.csv")
    assert ended.returncode == 2
    assert "04_transformation.ipynb" in ended.stderr
    assert not (project_copy / "Bank Churn Records.yaml").exists()


def test_a_database_without_its_password_is_told_of(project_copy: Path, tmp_path: Path) -> None:
    """What keeps a run from starting is told; a server that does not answer is an error
    without the password.
    """
    ended = init(project_copy, "postgresql://crm:pa55word@127.0.0.1:1/sales")
    assert ended.returncode == 2
    assert "does not answer" in ended.stderr
    assert "pa55word" not in ended.stderr + ended.stdout
    assert not (project_copy / "sales.yaml").exists()


def test_it_stands_first_in_the_help(project_copy: Path) -> None:
    """A newcomer sees it before the other commands."""
    ended = subprocess.run(
        [sys.executable, "-m", "orchestrator", "--help"],
        cwd=project_copy,
        env=os.environ | {"PYTHONPATH": str(project_copy), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.index(" init ") < ended.stdout.index(" run ")


def test_the_orchestrator_draws_no_data_package_in() -> None:
    """The command's process imports neither pandas nor the draft."""
    heavy = {"pandas", "churn.draft", "pyarrow"}
    code = f"import sys, orchestrator.cli; print(sorted({heavy} & set(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"
