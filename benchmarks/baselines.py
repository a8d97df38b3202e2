"""What this project is compared with: the same six notebooks, executed in three plain ways.

    python benchmarks/baselines.py floor|papermill|prefect PROJECT CELLS

`floor` executes the code cells in this one process, `papermill` calls Papermill six
times, `prefect` does so from six tasks of a plain flow. `floor` also writes the time of
each cell to the file CELLS.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

RUN_ID = "benchmark"


def main() -> None:
    """Execute the notebooks of a project in one of the three ways."""
    way, project, cells = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    notebooks = sorted((project / "notebooks").glob("0[1-6]*.ipynb"))
    if way == "floor":
        cells.write_text(json.dumps(run_cells(notebooks)), encoding="utf-8")
    elif way == "papermill":
        for notebook in notebooks:
            run_papermill(notebook)
    else:
        run_prefect(notebooks)


def run_cells(notebooks: list[Path]) -> list[dict[str, Any]]:
    """Execute the cells in this process, each notebook in a fresh namespace, as a
    kernel does: plots are rendered.
    """
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    os.chdir(notebooks[0].parent)
    sys.path[0] = ""
    loading = ImportTime()
    timed: list[dict[str, Any]] = []
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for notebook in notebooks:
            shell.reset()
            for source in _sources(notebook):
                start, imported = time.perf_counter(), loading.seconds
                shell.run_cell(source, silent=False).raise_error()
                seconds = time.perf_counter() - start
                cell = {"notebook": notebook.stem, "source": source, "seconds": seconds}
                timed.append(cell | {"importing": loading.seconds - imported})
    return timed


class ImportTime:
    """Adds up the seconds in which modules are loaded, in import statements and in
    calls of importlib.
    """

    def __init__(self) -> None:
        import importlib._bootstrap as bootstrap

        self.seconds, self._depth, self._load = 0.0, 0, bootstrap._find_and_load
        bootstrap._find_and_load = self._timed

    def _timed(self, *arguments: Any) -> Any:
        start, self._depth = time.perf_counter(), self._depth + 1
        try:
            return self._load(*arguments)
        finally:
            self._depth -= 1
            if self._depth == 0:
                self.seconds += time.perf_counter() - start


def run_papermill(notebook: Path) -> None:
    """Execute one notebook with Papermill, as its documentation does."""
    import papermill

    out = notebook.parent.parent / "outputs"
    out.mkdir(exist_ok=True)
    parameters = _parameters(notebook)
    papermill.execute_notebook(
        notebook, out / notebook.name, parameters, cwd=str(notebook.parent), progress_bar=False
    )


def run_prefect(notebooks: list[Path]) -> None:
    """Execute the notebooks in a plain flow of six tasks."""
    from prefect import flow, task

    @task
    def execute(notebook: Path) -> None:
        run_papermill(notebook)

    @flow
    def plain() -> None:
        for notebook in notebooks:
            execute(notebook)

    plain()


def _sources(notebook: Path) -> list[str]:
    """Return the code cells, with what a run injects behind the cell of parameters."""
    sources = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            sources.append("".join(cell["source"]))
            if "parameters" in cell["metadata"].get("tags", []):
                sources += [f"{name} = {value!r}" for name, value in _parameters(notebook).items()]
    return sources


def _parameters(notebook: Path) -> dict[str, str]:
    """Return what a run gives to a notebook that declares it."""
    declares = '"run_id = ' in notebook.read_text(encoding="utf-8")
    return {"run_id": RUN_ID} if declares else {}


if __name__ == "__main__":
    main()
