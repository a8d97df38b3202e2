"""Reports: the banner and the marks of cells for each ending, and pages that run and
load nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from orchestrator.engine.cell_outputs import (
    CELL_CAP,
    IMAGE_CAP,
    LINE_CAP,
    LINES_CAP,
    TEXT_CAP,
    CellOutputs,
    LoggedLines,
    StreamCleaner,
)
from orchestrator.engine.execution import Execution
from orchestrator.records.record import StageRecord, now
from orchestrator.redaction import Redactor
from orchestrator.runs import report
from orchestrator.site.stage_page import clean, render


def make_execution(position: int, *, in_hand: bool) -> Execution:
    """An execution of a heading, a code cell, a text, and two more code cells, that is
    at the cell of that index.
    """
    cells = [
        new_markdown_cell("# Title"),
        new_code_cell("first"),
        new_markdown_cell("text"),
        new_code_cell("second"),
        new_code_cell("third"),
    ]
    return Execution(new_notebook(cells=cells), position=position, in_hand=in_hand)


def compose(execution: Execution) -> tuple[NotebookNode, int | None]:
    """Return the report, and the index of its failed cell."""
    entry = StageRecord(
        name="ingestion", notebook="notebooks/01_ingestion.ipynb", attempts=1, started_at=now()
    )
    notebook, failed = report.compose(execution, "2026-01-31-235959-4f2a", entry)
    nbformat.validate(notebook)
    return notebook, failed.index if failed else None


def statuses(notebook: NotebookNode) -> list[str]:
    """Return the status of each code cell."""
    return [cell.metadata.papermill.status for cell in notebook.cells if cell.cell_type == "code"]


ENDINGS = [
    ("failed", "ValueError", "FAILED in cell 2 of 3"),
    ("failed", "SystemExit", "ENDED EARLY at cell 2 of 3"),
    ("failed", "DeadKernelError", "KILLED in cell 2 of 3"),
    ("timed_out", "CellTimeoutError", "TIME LIMIT passed in cell 2 of 3"),
    ("interrupted", "KeyboardInterrupt", "INTERRUPTED in cell 2 of 3"),
]


@pytest.mark.parametrize(("status", "name", "headline"), ENDINGS)
def test_each_ending_has_its_words_and_marks_each_cell(
    status: Any, name: str, headline: str
) -> None:
    """The banner says how the stage ended and at which cell, links to it, and each code
    cell has its true status.
    """
    execution = make_execution(3, in_hand=True)
    execution.fail(status, name, "the error")
    notebook, failed = compose(execution)
    assert headline in notebook.cells[0].source
    assert "[failed cell](#failed-cell)" in notebook.cells[0].source
    assert "1 cells did not run" in notebook.cells[0].source
    assert statuses(notebook) == ["completed", "failed", "not_run"]
    assert failed is not None
    assert notebook.cells[failed].source == "second"
    assert 'id="failed-cell"' in notebook.cells[failed - 1].source
    page = BeautifulSoup(render(notebook, "report"), "html.parser")
    assert headline in page.select_one(".celltag_run-banner").text  # type: ignore[union-attr]
    assert [len(page.select(f".cell-{name}")) for name in ("completed", "failed", "not_run")] == [
        1,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("position", "words", "expected"),
    [
        (0, "FAILED before the first cell", ["not_run"] * 3),
        (2, "FAILED before cell 2 of 3", ["completed", "not_run", "not_run"]),
        (5, "FAILED after the last cell", ["completed"] * 3),
    ],
)
def test_an_end_between_cells_blames_none(position: int, words: str, expected: list[str]) -> None:
    """When no cell was running, none is marked failed, and those that did not start are
    not called completed.
    """
    execution = make_execution(position, in_hand=False)
    execution.fail("failed", "KernelNotStarted", "the kernel did not start")
    notebook, failed = compose(execution)
    assert failed is None
    assert words in notebook.cells[0].source
    assert statuses(notebook) == expected


def test_what_papermill_says_of_cells_that_did_not_run_is_taken_back() -> None:
    """A cell that did not run has no times, one that failed is an exception, and so is
    the notebook.
    """
    execution = make_execution(3, in_hand=True)
    execution.notebook.metadata.papermill = NotebookNode(exception=None, duration=1.0)
    for cell in execution.notebook.cells:
        cell.metadata.papermill = NotebookNode(status="completed", exception=False, duration=1.0)
    execution.fail("failed", "DeadKernelError", "the kernel died")
    notebook, _ = compose(execution)
    facts = [cell.metadata.papermill for cell in notebook.cells if cell.cell_type == "code"]
    assert facts[1].exception is True
    assert facts[2] == {"status": "not_run", "exception": False}
    assert notebook.metadata.papermill.exception is True
    assert not any(
        "papermill" in cell.metadata for cell in notebook.cells if cell.cell_type == "markdown"
    )


def test_a_partly_executed_report_is_marked_as_crashed(tmp_path: Path) -> None:
    """The cell that was running when the run was killed is the failed one; the page is
    made; once is enough.
    """
    execution = make_execution(3, in_hand=True)
    execution.notebook.cells[3].outputs.append(new_output("stream", name="stdout", text="so far\n"))
    path = tmp_path / "01_ingestion.ipynb"
    running, _ = compose(execution)
    assert "running cell 2 of 3" in running.cells[0].source
    report.write_partly(running, path)
    failed = report.mark_crashed(path)
    crashed = nbformat.read(path, as_version=4)
    assert "CRASHED in cell 2 of 3" in crashed.cells[0].source
    assert statuses(crashed) == ["completed", "failed", "not_run"]
    assert failed is not None
    assert crashed.cells[failed.index].outputs[0].text == "so far\n"
    assert "CRASHED" in path.with_suffix(".html").read_text(encoding="utf-8")
    assert report.mark_crashed(path) is None


def test_a_report_that_had_its_end_before_the_record_is_marked_too(tmp_path: Path) -> None:
    """Its run was killed in between: both say that it crashed, the cells what they did."""
    path = tmp_path / "01_ingestion.ipynb"
    execution = make_execution(7, in_hand=False)
    execution.status = "completed"
    nbformat.write(compose(execution)[0], path)
    assert report.mark_crashed(path) is None
    crashed = nbformat.read(path, as_version=4)
    assert crashed.metadata.churn.status == "crashed"
    assert statuses(crashed) == ["completed"] * 3
    execution = make_execution(3, in_hand=True)
    execution.fail("failed", "ValueError", "no")
    nbformat.write(compose(execution)[0], path)
    assert report.mark_crashed(path) is not None
    crashed = nbformat.read(path, as_version=4)
    assert crashed.metadata.churn.status == "crashed"
    assert statuses(crashed) == ["completed", "failed", "not_run"]


def page_of(**data: Any) -> tuple[str, BeautifulSoup]:
    """Return the page of a notebook with one output of these types, as text and parsed."""
    types = {name.replace("__", "/"): content for name, content in data.items()}
    output = new_output(
        "display_data", data=types, metadata={"image/png": {"width": '1" onerror="hit()'}}
    )
    notebook = new_notebook(cells=[new_code_cell("1", outputs=[output])])
    page = render(notebook, "report")
    return page, BeautifulSoup(page, "html.parser")


HOSTILE = [
    "<script>hit()</script>",
    "<img src=x onerror=hit()>",
    "<img src=http://192.0.2.1/a.png>",
    "<a href='javascript:hit()'>x</a>",
    "<a href='data:text/html,<script>hit()</script>'>x</a>",
    "<iframe srcdoc='<script>hit()</script>'></iframe>",
    "<meta http-equiv=refresh content='0;url=http://192.0.2.1/'>",
    "<svg onload=hit()><script>hit()</script></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=hit()>",
    "<div style='background:url(http://192.0.2.1/)'>x</div>",
    "<style>@import 'http://192.0.2.1/'; #T_a {background: url(http://192.0.2.1/)} body "
    "{display:none}</style>",
    "<link rel=stylesheet href=http://192.0.2.1/a.css><base href=http://192.0.2.1/>",
    "<form action=http://192.0.2.1/><button formaction=javascript:hit()>x</button></form>",
    "<object data=http://192.0.2.1/></object><embed src=http://192.0.2.1/><video "
    "src=http://192.0.2.1/>",
]


def is_harmless(page: BeautifulSoup) -> bool:
    """Whether nothing in a page's body could run or load."""
    names = {
        "script",
        "iframe",
        "meta",
        "link",
        "base",
        "object",
        "embed",
        "form",
        "button",
        "video",
        "svg",
        "style",
    }
    attributes = [
        (name, str(value)) for tag in page.body.find_all(True) for name, value in tag.attrs.items()
    ]  # type: ignore[union-attr]
    return not page.body.find_all(names - {"style"}) and not any(  # type: ignore[union-attr]
        name.startswith("on") or "javascript:" in value or "192.0.2.1" in value
        for name, value in attributes
    )


@pytest.mark.parametrize("markup", HOSTILE)
def test_hostile_markup_is_harmless_in_outputs_and_in_markdown(markup: str) -> None:
    """Neither HTML nor Markdown, of an output or a cell, brings a script, a frame, or
    an address that loads.
    """
    for kind in ("text__html", "text__markdown"):
        text, page = page_of(**{kind: markup})
        assert is_harmless(page)
        assert "url(http" not in text
    cell = new_notebook(cells=[new_markdown_cell(markup)])
    assert is_harmless(BeautifulSoup(render(cell, "report"), "html.parser"))


@pytest.mark.parametrize(
    "kind", ["application__javascript", "text__vnd.mermaid", "image__svg+xml", "image__png"]
)
def test_other_types_run_nothing(kind: str) -> None:
    """JavaScript, diagrams, drawings and hostile sizes of images bring no script into the page."""
    assert is_harmless(
        page_of(**{kind: "<svg xmlns='http://www.w3.org/2000/svg'><script>hit()</script></svg>"})[1]
    )


def test_the_policy_stands_first_and_forbids_all_scripts() -> None:
    """The page's first element of the head is a policy that loads nothing; there is no script."""
    text, page = page_of(text__html="<b>x</b>")
    first = page.head.find(True)  # type: ignore[union-attr]
    assert first["http-equiv"] == "Content-Security-Policy"  # type: ignore[index]
    assert str(first["content"]).startswith("default-src 'none';")  # type: ignore[index]
    assert not page.find_all(["script", "link", "iframe"])
    assert "cdnjs" not in text


def test_tables_headings_and_folds_stay_whole() -> None:
    """What notebooks show, tables with their classes and spans, headings, lists, folds
    and images, is kept as it is.
    """
    kept = (
        '<h2 id="a">Title</h2><p>text</p><ul><li>one</li></ul>'
        "<details><summary>more</summary>x</details>"
        '<table border="1" class="dataframe"><thead><tr style="text-align: right;"><th '
        'colspan="2">a</th></tr></thead>'
        '<tbody><tr><td rowspan="2">1</td></tr></tbody></table><img alt="" '
        'src="data:image/png;base64,AAAA">'
    )
    assert clean(kept) == kept


def test_a_stylers_colours_stay_but_reach_no_further_than_its_table() -> None:
    """Rules for a Styler's own ids are kept without addresses; a rule that could hide
    the banner is dropped.
    """
    styled = clean(
        "<style type='text/css'>#T_1f_row0_col0, #T_1f_row1_col0 { background-color: #08306b; "
        "color: #f1f1f1; }"
        "#T_1f th { position: fixed; color: red } .celltag_run-banner { color: white } #T_1f, "
        "body { color: blue }"
        "</style><table id='T_1f'><tr><td id='T_1f_row0_col0'>1</td></tr></table>"
    )
    assert "#T_1f_row0_col0, #T_1f_row1_col0 {background-color: #08306b; color: #f1f1f1;}" in styled
    assert '<td id="T_1f_row0_col0">1</td>' in styled
    assert not any(word in styled for word in ("banner", "fixed", "blue"))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_secret_in_pieces_is_found(size: int) -> None:
    """However a text is cut into pieces, no secret gets through, nor the start of one;
    the rest is unchanged.
    """
    redactor = Redactor({"s3cr3t-value": "TOKEN", "s3cr3t-value-long": "TOKEN", "abab": "OTHER"})
    text = "a s3cr3t-value b s3cr3t-value-long s3cr3t- ababab s3cr3t-value"
    cleaner = StreamCleaner(redactor)
    pieces = [cleaner.feed(text[start : start + size]) for start in range(0, len(text), size)] + [
        cleaner.finish()
    ]
    assert "".join(pieces) == redactor.clean(text)


def test_printed_text_beyond_the_cap_goes_into_a_file(tmp_path: Path) -> None:
    """The report keeps the start and says where the rest is; the file has all of it;
    without need there is none.
    """
    outputs = CellOutputs(tmp_path / "01_ingestion.ipynb", 3, Redactor({}), lambda line: None)
    cell: list[NotebookNode] = []
    assert outputs.take_text("stdout", "a" * TEXT_CAP) == "a" * TEXT_CAP
    assert not list(tmp_path.iterdir())
    assert outputs.take_text("stderr", "b" * 1_500_000) == ""
    outputs.finish(cell)
    assert cell[0].data["text/plain"] == "… 1.5 MB more: see 01_ingestion.cell-3.txt"
    assert '<a href="01_ingestion.cell-3.txt">' in clean(cell[0].data["text/html"])
    assert (tmp_path / "01_ingestion.cell-3.txt").read_text() == "a" * TEXT_CAP + "b" * 1_500_000


def test_large_displays_and_errors_are_cut(tmp_path: Path) -> None:
    """Text and tables are cut behind a row, an image beyond its cap lies beside, an
    error keeps its first part.
    """
    outputs = CellOutputs(tmp_path / "01_ingestion.ipynb", 1, Redactor({}), lambda line: None)
    table = outputs.take_data(
        {"text/html": "<table>" + "<tr><td>x</td></tr>" * 20_000, "text/plain": "x"}
    )
    assert "</tr><p>… " in table["text/html"]
    assert len(table["text/html"]) < TEXT_CAP + 200
    small = {"image/png": "A" * 4, "text/plain": "x"}
    assert outputs.take_data(small) == small
    image = outputs.take_data({"image/png": "A" * (IMAGE_CAP + 4)})
    assert "image/png of 7.0 MB: see 01_ingestion.cell-1.1.png" in image["text/plain"]
    assert (tmp_path / "01_ingestion.cell-1.1.png").stat().st_size > IMAGE_CAP // 2
    error = outputs.take_error(
        {"ename": "E", "evalue": "v" * CELL_CAP, "traceback": ["t" * 1_000_000]}
    )
    assert sum(map(len, error["traceback"])) + len(error["evalue"]) < TEXT_CAP


def test_a_full_disk_costs_the_file_not_the_output(tmp_path: Path) -> None:
    """When the full text cannot be written, the output says so."""
    outputs = CellOutputs(
        tmp_path / "gone" / "01_ingestion.ipynb", 1, Redactor({}), lambda line: None
    )
    cell: list[NotebookNode] = []
    outputs.take_text("stdout", "a" * (TEXT_CAP + 1_000))
    outputs.finish(cell)
    shown = cell[0].data["text/plain"]
    assert "1.0 kB more" in shown
    assert "No such file or directory" in shown


def test_logged_lines_are_capped() -> None:
    """After the cap one line says how many more there are; long lines are cut; progress
    bars show their end.
    """
    logged: list[str] = []
    lines = LoggedLines(logged.append, "the report")
    lines.add("10 %\r50 %\r")
    lines.add("100 %\n\n" + "x" * 10 * LINE_CAP + "\n")
    lines.add("line\n" * LINES_CAP + "\nlast")
    lines.finish()
    assert logged[0] == "100 %"
    assert logged[1] == "x" * LINE_CAP + " …"
    assert len(logged) == LINES_CAP + 1
    assert "3 more lines" in logged[-1]
