"""The house: imports point down, names are given once, and what is light stays light."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from helpers.projects import ROOT

HEAVY = ("pandas", "numpy", "prefect", "mlflow", "papermill", "sklearn", "dvc")


def test_imports_point_down_and_never_in_a_circle() -> None:
    """The contracts in pyproject.toml are kept."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    "module",
    [
        "churn",
        "churn.params",
        "churn.baseline",
        "churn.datasets",
        "churn.summary",
        "orchestrator",
        "orchestrator.cli",
        "orchestrator.plan.decisions",
        "orchestrator.records.record",
    ],
)
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    """Commands answer at once: what takes seconds to import is imported when needed."""
    code = f"import {module}, sys; print([name for name in {HEAVY} if name in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


def test_no_two_modules_or_packages_have_the_same_name() -> None:
    """One thing has one place and one name; a name leads to one file."""
    files = [file for part in ("churn", "orchestrator") for file in (ROOT / part).rglob("*.py")]
    names = Counter(file.stem for file in files if not file.stem.startswith("__"))
    names.update(file.parent.name for file in files if file.stem == "__init__")
    assert [name for name, count in names.items() if count > 1] == []


def test_notebooks_are_alone_in_their_folder() -> None:
    """JupyterLab's file browser shows the stages, and nothing else."""
    command = ["git", "-C", str(ROOT), "ls-files", "notebooks", "data"]
    tracked = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert tracked
    assert [name for name in tracked if not name.endswith(".ipynb")] == []


def test_the_picture_of_the_house_is_that_of_the_code() -> None:
    """`python docs/architecture.py` was run after the last change of the imports."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    command = "import architecture; print(architecture.draw(), end='')"
    drawn = subprocess.run(
        [sys.executable, "-c", command],
        cwd=ROOT / "docs",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"```mermaid\n{drawn}```\n" in page


def test_a_function_fits_a_screen() -> None:
    """At most 40 lines, from `def` on; a longer one says why beside it (`# long: …`)."""
    files = [file for part in ("churn", "orchestrator") for file in (ROOT / part).rglob("*.py")]
    long = [
        f"{file.relative_to(ROOT)}: {function.name}"
        for file in files
        for function in list_long_functions(file.read_text(encoding="utf-8"))
    ]
    assert long == []


def test_a_test_module_has_at_most_400_lines() -> None:
    """What grows longer is about several things, and is split."""
    sizes = {
        file.name: len(file.read_text(encoding="utf-8").splitlines())
        for file in (ROOT / "tests").rglob("*.py")
    }
    assert [name for name, lines in sizes.items() if lines > 400] == []


def list_long_functions(code: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions of more than 40 lines that give no reason."""
    lines = code.splitlines()
    return [
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= 40
        and "# long: " not in lines[node.lineno - 2]
    ]
