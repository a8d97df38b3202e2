"""Several checkouts and one environment: the one in which the user stands decides."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from helpers.projects import ROOT, TINY_STAGES, drop_stage_parameters, make_quick, write_notebook

CHURN = shutil.which("churn", path=str(Path(sys.executable).parent)) or ""


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    """A git worktree of a clone; another checkout is the one that is installed."""
    for words in (
        ["clone", "-q", str(ROOT), str(tmp_path / "first")],
        ["-C", str(tmp_path / "first"), "worktree", "add", "-q", str(tmp_path / "second")],
    ):
        subprocess.run(["git", *words], check=True, capture_output=True)
    return tmp_path / "second"


@pytest.fixture
def tiny(worktree: Path) -> Path:
    """The worktree with notebooks that do next to nothing."""
    drop_stage_parameters(worktree)
    for number, (stage, body) in enumerate(TINY_STAGES.items(), start=1):
        write_notebook(worktree / f"notebooks/{number:02}_{stage}.ipynb", stage, [body])
    return worktree


def run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder, without what the tests set for themselves."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "CHURN_PROJECT")
    }
    return subprocess.run(
        words,
        cwd=folder,
        env=inherited | variables,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize("folder", [".", "notebooks", "churn/sources"])
def test_check_looks_at_the_checkout_at_hand(worktree: Path, folder: str) -> None:
    """A notebook that is broken here is told, from any folder of the checkout."""
    (worktree / "notebooks/02_validation.ipynb").write_text("{")
    ended = run(worktree / folder, CHURN, "check")
    assert ended.returncode == 2
    assert "02_validation.ipynb is not a notebook" in ended.stdout
    assert str(ROOT) not in ended.stdout


def test_commands_run_the_code_of_the_checkout_at_hand(worktree: Path) -> None:
    """Both packages come from here: an edit of a module shows."""
    for module in ("orchestrator/records/listing.py", "churn/_version.py"):
        with (worktree / module).open("a") as file:
            file.write(f"\nprint('of this very checkout: {module}')\n")
    ended = run(worktree, CHURN, "runs")
    assert ended.stdout.count("of this very checkout") == 2


def test_runs_and_gc_speak_of_the_checkout_at_hand(worktree: Path) -> None:
    """Without a run here there is none to list or remove, whatever other checkouts have."""
    assert str(worktree / "outputs") in run(worktree, CHURN, "runs").stdout
    ended = run(worktree, CHURN, "gc", "--keep", "1", "--yes")
    assert ended.returncode == 0, ended.stderr
    assert "Removed" not in ended.stdout


def test_a_variable_names_a_project_from_anywhere(worktree: Path, tmp_path: Path) -> None:
    """`CHURN_PROJECT` decides, outside of any project too."""
    ended = run(tmp_path, CHURN, "runs", CHURN_PROJECT=str(worktree))
    assert str(worktree / "outputs") in ended.stdout


def test_a_notebook_in_jupyterlab_imports_the_code_beside_it(worktree: Path) -> None:
    """A kernel that starts in the notebooks' folder, as JupyterLab starts it, finds this
    checkout's modules.
    """
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "CHURN_PROJECT")}
    manager, client = start_new_kernel(cwd=str(worktree / "notebooks"), env=inherited)
    try:
        printed: list[str] = []
        client.execute_interactive(
            "import churn.stage; print(churn.stage.__file__)",
            timeout=60,
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "".join(printed).strip() == str(worktree / "churn/stage.py")


def test_a_checkout_of_the_first_version_is_refused_in_words(worktree: Path) -> None:
    """Its notebooks need modules that this version does not have."""
    shutil.rmtree(worktree / "churn")
    ended = run(worktree, CHURN, "check")
    assert ended.returncode == 2
    assert "pip install -e ." in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.e2e
@pytest.mark.parametrize("cold", [[], ["--cold-kernels"]], ids=["forked", "cold"])
def test_a_run_executes_notebooks_and_modules_of_the_checkout_at_hand(
    tiny: Path, prefect_api: dict[str, str], cold: list[str]
) -> None:
    """Kernels, forked or not, import this checkout's modules; the record lies here."""
    shown = "import churn.stage\nprint('from', churn.stage.__file__)"
    for number in (2, 3):
        path = next((tiny / "notebooks").glob(f"{number:02}_*.ipynb"))
        body = TINY_STAGES[path.stem[3:]]
        write_notebook(path, path.stem, [body, shown])
    ended = run(tiny / "notebooks", CHURN, "run", "--verbose", *cold, **prefect_api)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count(f"from {tiny / 'churn/stage.py'}") == 2
    assert len(list((tiny / "outputs/runs").iterdir())) == 1


@pytest.mark.e2e
def test_promote_and_gc_change_the_checkout_at_hand(
    worktree: Path, prefect_api: dict[str, str]
) -> None:
    """Two models are trained here; `promote` makes the first the champion, and `gc` removes
    what this checkout's runs left.
    """
    make_quick(worktree)
    run(worktree, CHURN, "run", "--quiet", **prefect_api)
    again = ["--only", "model_building", "--set", "model_building.seed=5"]
    run(worktree, CHURN, "run", "--quiet", *again, **prefect_api)
    ended = run(worktree, CHURN, "promote", "2", "--reason", "a test")
    assert ended.returncode == 0, ended.stderr
    told = run(worktree, CHURN, "models").stdout.splitlines()
    assert {line.split()[0] for line in told} >= {"1", "2"}
    assert "champion" in next(line for line in told if line.startswith("2"))
    assert run(worktree, CHURN, "gc", "--keep", "1", "--yes").returncode == 0
