"""The notebook of versioning: it records the datasets and tells what changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.notebook_runs import NotebookFailed, execute
from helpers.projects import ROOT
from helpers.versioned import commit_all, folders, make_project, set_remote


def run_notebook(root: Path, **parameters: Any) -> tuple[dict[str, Any], str]:
    """Run the notebook on a project as the flow does; return its results and all that
    it printed or showed.
    """
    given = {"params_file": str(root / "params.yaml"), "data_dir": str(root / "data"), **parameters}
    source, report = ROOT / "notebooks" / "05_versioning.ipynb", root / "report.ipynb"
    notebook, results = execute(source, given, report)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "".join(
        output.get("text", "") or output.data.get("text/plain", "") for output in outputs
    )
    return results, shown


@pytest.mark.e2e
@pytest.mark.parametrize("with_git", [False, True])
def test_the_notebook_records_and_tells_what_changed(with_git: bool, tmp_path: Path) -> None:
    """First all is new, then nothing changes, then a changed file is named; copies go
    to the remote once.
    """
    root = make_project(tmp_path / "project")
    if with_git:
        commit_all(root)
    results, shown = run_notebook(root)
    assert (results["datasets"], results["changed"], results["pushed"]) == (4, 4, 0)
    assert "dvc remote add -d" in shown
    set_remote(root, tmp_path / "store")
    again, shown = run_notebook(root)
    assert (again["changed"], again["pushed"]) == (0, 12)
    assert "nothing changed" in shown
    assert {name: again[name] for name in again if name.startswith("md5_")} == {
        name: results[name] for name in results if name.startswith("md5_")
    }
    (root / "data" / "prepared" / "deep" / "table.csv").write_text("other")
    third, shown = run_notebook(root, push=False)
    assert (third["changed"], third["pushed"]) == (1, 0)
    assert third["md5_prepared"] != results["md5_prepared"]
    assert "changed: prepared" in shown
    assert "deep/table.csv" in shown
    assert "modified" in shown
    assert third["bytes_total"] == sum(
        path.stat().st_size
        for folder in folders(root)
        for path in folder.rglob("*")
        if path.is_file()
    )


@pytest.mark.e2e
def test_the_notebook_stops_on_an_absent_dataset(tmp_path: Path) -> None:
    """The gate says which stage has to run; no pointer is written."""
    project = make_project(tmp_path / "project")
    shutil.rmtree(project / "data" / "validated")
    with pytest.raises(NotebookFailed, match=r"validated.*run the stage that writes 'validated'"):
        run_notebook(project)
    assert not (project / "data" / "raw.dvc").exists()
