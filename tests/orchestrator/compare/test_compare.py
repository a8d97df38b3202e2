"""`churn compare`: two runs side by side, and only what differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from churn.validation.rules import Rule
from helpers.browser import find_faults, from_elsewhere, opened, watch
from helpers.past_runs import execute, make_project
from helpers.projects import churn
from orchestrator.compare.code_differences import Archive, compare_code, compare_environment
from orchestrator.compare.data_differences import compare_profiles, compare_rules, measure_shift
from orchestrator.compare.run_differences import Metric, MetricChange

NOTEBOOK = nbformat.v4.new_notebook(
    cells=[
        new_markdown_cell("# One"),
        new_code_cell("number = 1"),
        new_markdown_cell("## Why"),
        new_code_cell("number + 1\nnumber + 2"),
    ]
)


def archive_of(
    edit: Callable[[nbformat.NotebookNode], object] = lambda _: None, **files: str
) -> Archive:
    """Return the code of a run: one notebook, edited, and further files."""
    notebook = nbformat.from_dict(NOTEBOOK)
    edit(notebook)
    return Archive({"notebooks/one.ipynb": nbformat.writes(notebook), **files})


def test_a_cell_is_shown_by_its_lines_and_its_heading() -> None:
    """The lines that changed stand with their marks, under the heading of their cell;
    other cells are left out.
    """

    def edit(notebook: nbformat.NotebookNode) -> None:
        notebook.cells[3].source = "number + 1\nnumber + 3"

    (change,) = compare_code(archive_of(), archive_of(edit))
    (cell,) = change.cells
    assert (change.name, change.what) == ("notebooks/one.ipynb", "changed")
    assert cell.where == "code cell under 'Why'"
    assert {"-number + 2", "+number + 3"} <= set(cell.lines)


def test_outputs_counts_and_metadata_do_not_differ() -> None:
    """What executing or saving a notebook leaves in it is no difference."""

    def edit(notebook: nbformat.NotebookNode) -> None:
        notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="printed")]
        notebook.cells[1].execution_count = 7
        notebook.cells[1].metadata["collapsed"] = True

    assert list(compare_code(archive_of(), archive_of(edit))) == []


@pytest.mark.parametrize(
    ("edit", "what", "where"),
    [
        (
            lambda one: one.cells.append(new_code_cell("more")),
            "changed",
            "code cell under 'Why', new",
        ),
        (lambda one: one.cells.pop(1), "changed", "code cell under 'One', gone"),
        (
            lambda one: one.cells[2].update(source="## Why not"),
            "words only",
            "markdown cell under 'Why'",
        ),
    ],
    ids=["added", "removed", "words"],
)
def test_added_and_removed_cells_and_words(
    edit: Callable[[nbformat.NotebookNode], object], what: str, where: str
) -> None:
    """A cell that is new or gone is named so; a change of words alone is told apart
    from one of code.
    """
    (change,) = compare_code(archive_of(), archive_of(edit))
    assert change.what == what
    assert [cell.where for cell in change.cells] == [where]


def test_other_files_and_packages() -> None:
    """Modules are compared line by line, files that came or went are named, packages by
    their versions.
    """
    before = archive_of(
        **{
            "notebooks/kit.py": "A = 1\n",
            "gone.py": "",
            "requirements.txt": "pandas==2.2\nrich==14\n",
        }
    )
    after = archive_of(
        **{
            "notebooks/kit.py": "A = 2\n",
            "new.py": "",
            "requirements.txt": "pandas==2.3\nrich==14\n",
        }
    )
    found = {change.name: change.what for change in compare_code(before, after)}
    assert found == {"gone.py": "gone", "new.py": "new", "notebooks/kit.py": "changed"}
    assert list(compare_environment(before, after)) == [("pandas", "2.2", "2.3")]


def profile_of(values: np.ndarray, missing: int = 0) -> dict[str, object]:
    """Return a number's profile as validation writes it."""
    quantiles = np.quantile(values, np.linspace(0, 1, 11)).tolist()
    return {
        "type": "number",
        "rows": len(values) + missing,
        "missing": missing,
        "distinct": 9,
        "quantiles": quantiles,
    }


@pytest.mark.parametrize("moved", [0.0, 0.3, 1.0])
def test_the_shift_of_a_number_is_read_off_its_deciles(moved: float) -> None:
    """Within a third of what the values themselves give (Siddiqi's index over the first
    one's deciles).
    """
    rng = np.random.default_rng(1)
    old, new = rng.normal(size=20_000), rng.normal(loc=moved, size=20_000)
    inner = np.quantile(old, np.linspace(0, 1, 11))[1:-1]
    shares = [
        np.bincount(np.searchsorted(inner, one), minlength=10) / len(one) for one in (old, new)
    ]
    exact = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    measured = measure_shift(profile_of(old), profile_of(new))
    assert measured == pytest.approx(exact, rel=0.33, abs=0.005)


def test_columns_are_ranked_by_their_shift() -> None:
    """A category that moved stands before one that is missing more often; unchanged
    columns are left out.
    """
    same = {"type": "category", "rows": 100, "missing": 0, "distinct": 2, "top": {"a": 50, "b": 50}}
    moved, blank = (
        same | {"top": {"a": 90, "b": 10}},
        same | {"missing": 5, "top": {"a": 50, "b": 45}},
    )
    before = {"t": {"same": same, "blank": same, "moved": same, "gone": same}}
    after = {"t": {"same": same, "blank": blank, "moved": moved, "new": same}}
    changes = compare_profiles(before, after)
    assert [change.column for change in changes] == ["gone", "new", "moved", "blank"]
    assert changes[2].psi == pytest.approx(0.4 * np.log(0.9 / 0.5) - 0.4 * np.log(0.1 / 0.5))


def test_rules_that_are_broken_in_one_run_only_stand_first() -> None:
    """As validation records them: one broken by nobody before stands before one broken
    more often; equal ones go.
    """
    before, after = (
        {
            "rules": [
                Rule("t", "c", rule, 10, failed, 0.5).as_record() for rule, failed in counts.items()
            ]
        }
        for counts in ({"x": 1, "y": 0, "z": 1}, {"x": 2, "y": 3, "z": 1})
    )
    changes = compare_rules(before, after)
    assert [(change.rule, change.turned) for change in changes] == [("y", True), ("x", False)]


@pytest.mark.parametrize(("difference", "exceeds"), [(0.005, False), (-0.03, True)])
def test_a_difference_is_held_against_the_spread(difference: float, exceeds: bool) -> None:
    """Beyond the larger standard deviation over the folds of the two, or not."""
    before, after = (
        Metric("roc auc", 0.8 + shift, std, None, None, None)
        for shift, std in ((0, 0.02), (difference, 0.01))
    )
    change = MetricChange("roc auc", before, after)
    assert change.difference == pytest.approx(difference)
    assert (change.spread, change.exceeds) == (0.02, exceeds)


@pytest.mark.e2e
def test_two_real_runs(tmp_path: Path) -> None:
    """The terminal has the essence, the page all of it: parameter, code, source; equal
    things on neither.
    """
    project = make_project(tmp_path / "project", {})
    first = execute(project)
    (project.root / "customers.csv").write_text("id,gone\n1,0\n2,1\n3,0\n")
    text = (project.root / "params.yaml").read_text()
    (project.root / "params.yaml").write_text(f"{text}stages: {{preparation: {{number: 5}}}}\n")
    path = project.notebooks / "06_model_building.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[3].source = "print('trained', 'anew')"
    nbformat.write(notebook, path)
    second = execute(project)
    told = churn(project.root, "compare", second.run_id, first.run_id)
    assert told.returncode == 0, told.stderr
    assert f"{first.run_id} -> {second.run_id}" in told.stdout
    assert "stages.preparation.number: 1 -> 5" in told.stdout
    assert "notebooks/06_model_building.ipynb changed" in told.stdout
    assert "customers, customers.csv:" in told.stdout
    assert "03_preparation.ipynb" not in told.stdout
    page_file = Path(told.stdout.splitlines()[-1].removeprefix("Page: "))
    with opened() as page:
        requests, events = watch(page)
        page.goto(page_file.as_uri())
        shown = page.inner_text("main")
        assert "+print('trained', 'anew')" in shown
        assert "code cell under 'Step 1'" in shown
        assert find_faults(page) == []
        page.get_by_role("link", name=second.run_id).first.click()
        assert page.url.endswith(f"{second.run_id}/index.html")
    assert (from_elsewhere(requests), events) == ([], [])


@pytest.mark.e2e
def test_with_the_last_good_run(tmp_path: Path) -> None:
    """Of a run without a good one before it, and of wrong words, it says what is missing."""
    project = make_project(tmp_path / "project", {})
    first = execute(project)
    told = churn(project.root, "compare", "--last-good")
    assert told.returncode == 2
    assert f"No run before {first.run_id} has completed" in told.stderr
    assert "or one and --last-good" in churn(project.root, "compare", "latest").stderr
    (project.root / "customers.csv").write_text("id,gone\n1,0\n")
    execute(project)
    told = churn(project.root, "compare", "--last-good")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"{first.run_id} -> ")
