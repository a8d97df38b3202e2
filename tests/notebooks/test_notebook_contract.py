"""What every stage notebook looks like: title, parameters, prose, size, no outputs."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from helpers.own_graph import SCORING, STAGES
from helpers.projects import ROOT
from orchestrator.notebook.new_stage import make_notebook
from orchestrator.notebook.parameters import declared_parameters

PATHS = [ROOT / "notebooks" / stage.notebook for stage in (*STAGES, *SCORING.stages[4:])]
NEW = Path("035_segments.ipynb")


@pytest.fixture(params=[*PATHS, NEW], ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A stage notebook; one of them is as `churn new-stage` makes it."""
    if request.param != NEW:
        return Path(request.param)
    made = make_notebook("035", "segments", ["prepared"], "segments")
    nbformat.write(made, tmp_path / NEW)
    return tmp_path / NEW


@pytest.fixture
def notebook(path: Path) -> NotebookNode:
    """Its content."""
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return its code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_valid_and_committed_without_outputs(path: Path, notebook: NotebookNode) -> None:
    """Valid nbformat 4.5 with cell ids, no outputs or counts, and the plain kernelspec only."""
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}


def test_it_opens_with_its_title_purpose_and_a_table_of_inputs_and_outputs(
    path: Path, notebook: NotebookNode
) -> None:
    """The first cell is an H1 with the notebook's number, a sentence, and a Markdown table."""
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith(f"# {path.name[:2]}") or first.source.startswith(
        f"# {int(path.name[:2])}"
    )
    opening = "\n".join(cell.source for cell in notebook.cells[:2] if cell.cell_type == "markdown")
    assert "|---" in opening.replace(" ", "")


def test_it_has_one_parameters_cell_with_help_on_each_line(path: Path) -> None:
    """Each parameter is a literal with a trailing `# help`."""
    declared = declared_parameters(path)
    assert "params_file" in declared
    assert [name for name, parameter in declared.items() if not parameter.help] == []


def test_it_is_small(notebook: NotebookNode) -> None:
    """At most 29 code cells, of at most 15 lines (parameters apart), with at most 2
    functions in all.
    """
    cells = code_cells(notebook)
    assert len(cells) <= 29
    long = [
        cell.id
        for cell in cells
        if len(cell.source.splitlines()) > 15 and "parameters" not in cell.metadata.get("tags", [])
    ]
    assert long == []
    functions = [
        node
        for cell in cells
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.FunctionDef)
    ]
    assert len(functions) <= 2


def test_its_lines_have_at_most_100_characters(notebook: NotebookNode) -> None:
    """In code and in prose; a row of a table may be longer, since Markdown cannot break it."""
    lines = [line for cell in notebook.cells for line in cell.source.splitlines()]
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []


def test_prose_precedes_the_code_and_a_summary_ends_it(notebook: NotebookNode) -> None:
    """At least two thirds of the code cells follow Markdown; the last heading is `Summary`."""
    pairs = list(zip(notebook.cells, notebook.cells[1:], strict=False))
    after_prose = [
        after
        for before, after in pairs
        if after.cell_type == "code" and before.cell_type == "markdown"
    ]
    assert len(after_prose) >= len(code_cells(notebook)) * 2 / 3
    headings = [
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "markdown" and cell.source.startswith("## ")
    ]
    assert headings[-1].startswith("## Summary")
    assert "summarize(" in notebook.cells[-1].source


def test_it_knows_nothing_of_the_orchestrator(notebook: NotebookNode) -> None:
    """No notebook imports `orchestrator`."""
    assert [cell.id for cell in code_cells(notebook) if "orchestrator" in cell.source] == []


@pytest.mark.parametrize(
    "module", sorted((ROOT / "orchestrator").rglob("*.py")), ids=lambda path: path.name
)
def test_the_orchestrator_never_imports_pandas(module: Path) -> None:
    """The orchestrator handles hashes and files, never tables."""
    nodes = ast.walk(ast.parse(module.read_text(encoding="utf-8")))
    imported = [
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    ]
    assert not [name for name in imported if name.split(".")[0] == "pandas"]
