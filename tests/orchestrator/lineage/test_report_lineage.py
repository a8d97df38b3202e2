"""The picture of what went into a stage and came out, in its report."""

from __future__ import annotations

import nbformat
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_notebook

from helpers.traced_runs import (
    COMMIT,
    OLD,
)
from orchestrator.engine.execution import Execution
from orchestrator.records.record import (
    Content,
    Git,
    StageRecord,
)
from orchestrator.runs.report import compose
from orchestrator.site.stage_page import render


def test_a_report_shows_what_went_in_and_came_out() -> None:
    """The page has a picture for screen readers too, with nothing in it but text; the
    banner says it in words.
    """
    entry = StageRecord(
        name="transformation",
        notebook="notebooks/04_transformation.ipynb",
        notebook_sha256="ab" * 32,
        inputs={"data/<script>": Content(md5="12" * 16, bytes=1, files=1)},
        outputs={
            f"data/{number}": Content(md5="34" * 16, bytes=1, files=1) for number in range(10)
        },
    )
    execution = Execution(new_notebook(cells=[new_code_cell("1")]), status="completed", position=1)
    notebook, _ = compose(execution, OLD, entry, Git(commit=COMMIT, dirty=True))
    nbformat.validate(notebook)
    assert "Inputs: `data/<script> 12121212`." in notebook.cells[0].source
    assert "Notebook `abababab`, commit `01234567`" in notebook.cells[0].source
    assert "not committed" in notebook.cells[0].source
    page = BeautifulSoup(render(notebook, "report"), "html.parser")
    (picture,) = page.select("figure.lineage svg")
    described = (
        " ".join(picture["aria-labelledby"].split())
        if isinstance(picture["aria-labelledby"], str)
        else ""
    )
    assert described == "lineage-title lineage-desc"
    assert page.select_one("#lineage-title").text == f"Lineage of stage transformation in run {OLD}"  # type: ignore[union-attr]
    assert [text.text for text in picture.select("text")][:2] == ["data/<script>", "121212121212"]
    assert "and 2 more" in picture.text
    assert {element.name for element in picture.find_all(True)} == {
        "title",
        "desc",
        "g",
        "rect",
        "text",
        "path",
        "polygon",
    }


def test_a_report_of_a_failed_stage_shows_inputs_only() -> None:
    """What a stage would have written is not in the picture."""
    entry = StageRecord(
        name="validation",
        notebook="",
        inputs={"data/raw": Content(md5="12" * 16, bytes=1, files=1)},
    )
    execution = Execution(new_notebook(cells=[new_code_cell("1")]), position=0, in_hand=True)
    execution.fail("failed", "ValueError", "no")
    picture = BeautifulSoup(
        render(compose(execution, OLD, entry)[0], "report"), "html.parser"
    ).select_one("figure.lineage")
    assert picture is not None
    assert [text.text for text in picture.select("text")] == [
        "data/raw",
        "121212121212",
        "validation",
    ]
