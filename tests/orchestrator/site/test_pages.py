"""The pages in a real browser: they open from disk, load nothing, and lead to the failed cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Page

from helpers.browser import HOSTILE, PIXEL, find_faults, from_elsewhere, opened, watch
from helpers.projects import read_run, run_flow, write_notebook
from orchestrator.engine.execution import Execution
from orchestrator.records.record import StageRecord
from orchestrator.runs.report import compose, write_html

pytestmark = pytest.mark.e2e

TYPES = (
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "application/javascript",
    "text/vnd.mermaid",
    "text/latex",
)


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of Chromium."""
    with opened() as page:
        yield page


def test_the_front_page_leads_to_the_failed_cell_offline(
    tiny_project: Path, prefect_api: dict[str, str], page: Page
) -> None:
    """From `outputs/index.html` one click opens the run, the next lands on the failed
    cell of the stage's page.
    """
    cells = [
        *(f"print({number})\n" * 30 for number in range(10)),
        "raise ValueError('<b>`no` &amp; bold</b>')",
    ]
    write_notebook(tiny_project / "notebooks/01_ingestion.ipynb", "ingestion", cells)
    assert run_flow(tiny_project, "--only", "ingestion", env=prefect_api).returncode == 1
    requests, events = watch(page)
    page.goto((tiny_project / "outputs/index.html").as_uri())
    page.get_by_role("link", name=read_run(tiny_project).run_id).first.click()
    assert "ValueError: <b>`no` &amp; bold</b>" in page.locator(".alarm").inner_text()
    page.get_by_role("link", name="Open the report at the failed cell").click()
    page.wait_for_function("window.scrollY > 500")
    assert "ValueError: <b>'no' &amp; bold</b>" in page.inner_text(".celltag_run-banner")
    mark = page.get_by_text("Failed in the next cell").bounding_box()
    assert mark is not None
    assert -50 < mark["y"] < 720
    assert page.locator(".cell-failed").count() == 1
    assert page.locator(".cell-not_run").count() == 1
    assert page.locator(".contents .at-fault").inner_text() == "Step 11"
    assert from_elsewhere(requests) == []
    assert events == []


def test_nothing_that_a_notebook_holds_runs_or_loads(tmp_path: Path, page: Page) -> None:
    """Hostile outputs and texts neither run nor load anything, and the report's own
    banner stays in sight.
    """
    outputs = [
        new_output("display_data", data={kind: markup}) for kind in TYPES for markup in HOSTILE
    ]
    cells = [
        new_code_cell("1", outputs=outputs),
        *(new_markdown_cell(markup) for markup in HOSTILE),
    ]
    execution = Execution(new_notebook(cells=cells), status="completed", position=len(cells))
    entry = StageRecord(name="ingestion", notebook="notebooks/01_ingestion.ipynb")
    write_html(compose(execution, "a-run", entry)[0], tmp_path / "report.html")
    requests, events = watch(page)
    page.goto((tmp_path / "report.html").as_uri())
    for link in page.locator(".body a").all():
        link.dispatch_event("click")
    page.wait_for_timeout(500)
    assert page.evaluate("window.ran") is None
    assert page.url.startswith((tmp_path / "report.html").as_uri())
    assert page.locator(".celltag_run-banner").is_visible()
    assert from_elsewhere(requests) == []
    assert events == []


def test_an_ordinary_report_shows_tables_colours_and_plots(tmp_path: Path, page: Page) -> None:
    """Tables keep their cells and a Styler its colours, images appear, and the policy
    has nothing to complain of.
    """
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    styled = frame.style.map(lambda _: "background-color: rgb(8, 48, 107)")
    drawing = (
        "<svg xmlns='http://www.w3.org/2000/svg' width='20' height='20'><rect width='9' "
        "height='9'/></svg>"
    )
    data = [
        {"text/html": frame.to_html()},
        {"text/html": styled.to_html()},
        {"image/png": PIXEL},
        {"image/svg+xml": drawing},
    ]
    outputs = [new_output("display_data", data=one) for one in data]
    write_html(new_notebook(cells=[new_code_cell("1", outputs=outputs)]), tmp_path / "report.html")
    requests, events = watch(page)
    page.goto((tmp_path / "report.html").as_uri())
    assert page.locator("table").first.inner_text().split() == [
        "a",
        "b",
        "0",
        "1",
        "3",
        "1",
        "2",
        "4",
    ]
    cell = "document.querySelectorAll('table')[1].querySelector('td')"
    colour = f"getComputedStyle({cell}).backgroundColor"
    assert page.evaluate(colour) == "rgb(8, 48, 107)"
    assert page.evaluate(
        "[...document.images].map(image => image.complete && image.naturalWidth)"
    ) == [1, 20]
    assert find_faults(page) == []
    assert from_elsewhere(requests) == []
    assert events == []
