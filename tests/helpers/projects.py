"""Temporary copies of the project, their notebooks, and commands that run in them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from ruamel.yaml import YAML

from orchestrator.project import Project
from orchestrator.records.record import RunRecord, read_record

ROOT = Path(__file__).resolve().parents[2]


SHARED_DATA = ROOT.parent / "shared" / "data"


CODE = ("orchestrator", "churn", "notebooks", "examples", ".dvc/config", ".dvcignore")


FILES = ("params.yaml", "pyproject.toml", "requirements.txt", ".gitignore")


def copy_project(target: Path) -> Path:
    """Copy what a run needs, without data and outputs, and return the copy's root; with the
    compiled modules, which are valid for equal files of equal times.
    """
    for name in (*CODE, *FILES):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source,
                target / name,
                ignore=shutil.ignore_patterns("made", ".ipynb_checkpoints"),
            )
        elif source.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)
    return target


WRITE = """
import pathlib
folder = pathlib.Path("../data/{0}")
folder.mkdir(parents=True, exist_ok=True)
(folder / "table.txt").write_text("{0}")
"""


WRITE_POINTERS = """
import pathlib
for name in ("raw", "validated", "prepared", "features"):
    pathlib.Path(f"../data/{name}.dvc").write_text("outs: []")
"""


TINY_STAGES = {
    "ingestion": WRITE.format("raw"),
    "validation": WRITE.format("validated"),
    "preparation": WRITE.format("prepared"),
    "transformation": WRITE.format("features"),
    "versioning": WRITE_POINTERS,
    "model_building": "print('trained')",
}


# What the parameters cells of small notebooks say, as those of the real ones do.
DECLARED = {
    "01_ingestion": ('raw_dir = "../data/raw"  # dataset to write',),
    "02_validation": (
        'raw_dir = "../data/raw"  # dataset to read',
        'validated_dir = "../data/validated"  # dataset to write',
    ),
    "03_preparation": (
        'validated_dir = "../data/validated"  # dataset to read',
        'prepared_dir = "../data/prepared"  # dataset to write',
    ),
    "04_transformation": (
        'prepared_dir = "../data/prepared"  # dataset to read',
        'features_dir = "../data/features"  # dataset to write',
    ),
    "05_versioning": ('datasets = ["raw"]  # datasets to record',),
    "06_model_building": ('features_dir = "../data/features"  # dataset to read',),
}


SUMMARY = (
    "from IPython.display import display\n"
    "display({'text/plain': 'summary', 'application/vnd.churn.summary+json': {'number': "
    "number}}, raw=True)"
)


def drop_stage_parameters(root: Path) -> None:
    """Take the parameters of stages, which notebooks made by a test do not have, out of
    a copy's `params.yaml`.
    """
    params = root / "params.yaml"
    params.write_text(
        params.read_text(encoding="utf-8").partition("\nstages:")[0] + "\n", encoding="utf-8"
    )


def read_facts(file: Path) -> Any:
    """Read a params file."""
    return YAML(typ="safe", pure=True).load(file)


def write_facts(file: Path, facts: Any) -> None:
    """Write a params file."""
    with file.open("w", encoding="utf-8") as out:
        YAML().dump(facts, out)


# So few customers may look too good by chance.
QUICK = {"cv_repeats": 1, "cv_folds": 3, "bootstrap_samples": 20, "leakage_auc": None}


# Candidates that a quick model building leaves out: trees, curves, and what is made of them.
SLOW_CANDIDATES = ("splines", "gradient_boosting", "blend")


def make_quick(root: Path, customers: int = 1000) -> Path:
    """Let a copy's sample company be small and its models simple, for tests of all but models."""
    params, notebook = root / "params.yaml", root / "notebooks/06_model_building.ipynb"
    facts = read_facts(params)
    facts["sample"]["customers"] = customers
    facts["stages"]["model_building"] |= QUICK
    write_facts(params, facts)
    slow = tuple(f'Candidate("{name}"' for name in SLOW_CANDIDATES)
    content = nbformat.read(notebook, as_version=4)
    for cell in content.cells:
        lines = cell.source.splitlines()
        cell.source = "\n".join(line for line in lines if not line.lstrip().startswith(slow))
    nbformat.write(content, notebook)
    return root


def write_notebook(
    path: Path, title: str, cells: list[str], declared: Sequence[str] | None = None
) -> None:
    """Write a stage notebook with these code cells between its parameters and its summary; it
    declares the datasets of the real notebook of its name, or what is `declared`.
    """
    body = [
        part
        for index, source in enumerate(cells)
        for part in (new_markdown_cell(f"## Step {index + 1}"), new_code_cell(source))
    ]
    datasets = DECLARED.get(path.stem, ()) if declared is None else declared
    notebook = new_notebook(
        cells=[
            new_markdown_cell(f"# {title}"),
            new_code_cell(
                "\n".join(["number = 1  # a number", *datasets]), metadata={"tags": ["parameters"]}
            ),
            *body,
            new_markdown_cell("## Summary"),
            new_code_cell(SUMMARY),
        ],
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
    )
    nbformat.write(notebook, path)


def free_port() -> int:
    """Return a port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds; a refused connection counts as `not yet`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if condition():
                return
        time.sleep(0.2)
    raise TimeoutError(f"not reached within {seconds} s")


def is_running(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def read_run(root: Path) -> RunRecord:
    """Return the record of the newest run of a copy of the project."""
    return read_record(Project(root), "latest")


def run_flow(
    root: Path, *options: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python orchestrator/flow.py` in a copy of the project."""
    return _run_python(root, "orchestrator/flow.py", *options, env=env)


def churn(
    root: Path, *words: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command `churn` in a copy of the project."""
    return _run_python(root, "-m", "orchestrator", *words, env=env)


def _run_python(
    root: Path, *words: str, env: dict[str, str] | None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)} | (env or {}),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
