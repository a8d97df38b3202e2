"""The site in a real browser: front page, run page, stage page; offline, on any screen,
for any reader.
"""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Page, expect

from helpers.browser import HOSTILE, PIXEL, find_faults, from_elsewhere, opened, watch
from helpers.written_runs import NOON, make_record
from orchestrator.engine.execution import Execution
from orchestrator.project import Project
from orchestrator.records.record import FailedCell, RunRecord, write_record
from orchestrator.runs.report import compose, write_html, write_notebook
from orchestrator.site.overview import write_overview
from orchestrator.site.run_page import write_run_page

pytestmark = pytest.mark.e2e

SCREENS = {"desktop": (1440, 900), "tablet": (1024, 768), "phone": (390, 844)}


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of Chromium."""
    with opened() as page:
        yield page


def write_runs(project: Project, count: int) -> list[RunRecord]:
    """Write the records of runs a minute apart: every fifth failed, every third trained
    another model.
    """
    records = []
    for number in range(count):
        started = NOON + datetime.timedelta(minutes=number)
        results = {
            "cv_roc_auc": 0.8 + number % 7 / 100,
            "cv_roc_auc_std": 0.01,
            "test_roc_auc": 0.81,
        }
        record = make_record(
            f"{started:%Y-%m-%d-%H%M%S}-{number:04x}",
            started_at=started,
            ended_at=started + datetime.timedelta(seconds=20 + number % 11),
            status="failed" if number % 5 == 4 else "completed",
            stages=["completed"] * 3
            if number % 5 == 4
            else ["reused"] * 5 + ["completed" if number % 3 else "reused"],
            results={} if number % 5 == 4 else results,
        )
        write_record(project, record)
        records.append(record)
    return records


def shown_rows(page: Page) -> list[str]:
    """Return the run ids in the table as it is shown."""
    return [row.inner_text() for row in page.locator("#runs tbody tr:visible th").all()]


def test_the_table_sorts_filters_and_searches(tmp_path: Path, page: Page) -> None:
    """By any column both ways, missing values last; by status, by words of a row; and
    it says how many are left.
    """
    project = Project(tmp_path)
    records = write_runs(project, 20)
    write_overview(project)
    requests, events = watch(page)
    page.goto((project.outputs / "index.html").as_uri())
    assert shown_rows(page) == [record.run_id for record in reversed(records)]
    page.get_by_role("button", name="Took").click()
    times = [
        float(cell.get_attribute("data-value") or "nan")
        for cell in page.locator("#runs tbody td:nth-child(4)").all()
    ]
    assert times == sorted(times)
    page.get_by_role("button", name="AUC cv").click()
    page.get_by_role("button", name="AUC cv").click()
    values = [cell.inner_text() for cell in page.locator("#runs tbody td:nth-child(8)").all()]
    assert values[:16] == sorted(values[:16], reverse=True)
    assert values[16:] == [""] * 4, "runs without a model stand last"
    page.get_by_label("Status").select_option("failed")
    assert len(shown_rows(page)) == 4
    assert page.locator("#count").inner_text() == "4 of 20 runs"
    page.get_by_label("Status").select_option("")
    page.get_by_label("Search").fill(records[7].run_id[-4:])
    assert shown_rows(page) == [records[7].run_id]
    assert from_elsewhere(requests) == []
    assert events == []


def test_a_thousand_runs_stay_quick(tmp_path: Path, page: Page) -> None:
    """The front page is written in seconds, and sorting and searching it answers at once."""
    project = Project(tmp_path)
    write_runs(project, 1000)
    write_overview(project)
    page.goto((project.outputs / "index.html").as_uri())
    assert page.locator("#runs tbody tr").count() == 1000
    started = time.monotonic()
    page.get_by_role("button", name="Took").click()
    page.get_by_label("Search").fill("failed")
    assert page.locator("#count").inner_text() == "200 of 1000 runs"
    assert time.monotonic() - started < 5


def test_without_scripts_the_table_is_whole(tmp_path: Path) -> None:
    """Where nothing may run, as in a viewer that trusts no page, all runs and links are there."""
    project = Project(tmp_path)
    write_runs(project, 5)
    write_overview(project)
    with opened(java_script_enabled=False) as page:
        page.goto((project.outputs / "index.html").as_uri())
        assert page.locator("#runs tbody tr").count() == 5
        assert page.locator("#search").is_visible() is False


@pytest.fixture
def hostile_run(tmp_path: Path) -> Project:
    """A failed run in which every text that a page shows is hostile."""
    project = Project(tmp_path)
    evil = "".join(HOSTILE)
    record = make_record(
        status="failed", stages=["completed", "failed"], command=evil, params_file=evil
    )
    first, second = record.stages[:2]
    first.decision, first.results = f"runs: {evil}", {"rows_contract": 3, evil: evil}
    first.parameters = {evil: evil}
    second.failed_cell, second.decision = (
        FailedCell(index=3, source=evil, error=evil),
        "runs: --force",
    )
    outputs = [
        new_output("stream", text=f"needle {evil}"),
        new_output("display_data", data={"text/html": evil}),
        new_output("display_data", data={"image/png": PIXEL}),
    ]
    for entry in (first, second):
        cells = [new_markdown_cell(f"## A plot {evil}"), new_code_cell(evil, outputs=outputs)]
        execution = Execution(new_notebook(cells=cells), position=1, in_hand=True)
        execution.fail("failed", "ValueError", evil) if entry is second else None
        execution.status = "failed" if entry is second else "completed"
        notebook, _ = compose(execution, record.run_id, entry)
        name = "01_ingestion" if entry is first else "02_validation"
        (project.runs / record.run_id).mkdir(parents=True, exist_ok=True)
        write_notebook(notebook, project.runs / record.run_id / f"{name}.ipynb")
        write_html(notebook, project.runs / record.run_id / f"{name}.html")
        entry.report, entry.report_html = f"{name}.ipynb", f"{name}.html"
    write_record(project, record)
    write_run_page(project, record)
    write_overview(project)
    return project


def test_texts_of_data_stay_texts_on_every_page(hostile_run: Project, page: Page) -> None:
    """Nothing that a record, a parameter, an error or an output holds runs or loads,
    nor does a hit of the search.
    """
    requests, events = watch(page)
    folder = next(hostile_run.runs.iterdir())
    for file in (
        hostile_run.outputs / "index.html",
        folder / "index.html",
        folder / "02_validation.html",
    ):
        page.goto(file.as_uri())
        page.wait_for_timeout(200)
        assert page.evaluate("window.ran") is None
        assert page.url == file.as_uri()
    page.goto((folder / "index.html").as_uri())
    assert page.locator("iframe, object, embed").count() == 0
    page.get_by_label("Words in code").fill("needle script")
    assert page.locator("#found li").count() == 2
    assert "needle" in [mark.inner_text() for mark in page.locator("#found mark").all()]
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None
    assert from_elsewhere(requests) == []
    assert events == []


def test_a_search_leads_to_the_cell(hostile_run: Project, page: Page) -> None:
    """A hit is a link to the very cell of the stage's page."""
    folder = next(hostile_run.runs.iterdir())
    page.goto((folder / "index.html").as_uri())
    page.get_by_label("Words in code").fill("needle")
    page.locator("#found a").first.click()
    assert page.url == f"{(folder / '01_ingestion.html').as_uri()}#cell-1"
    assert page.locator("#cell-1").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_fits_and_is_accessible(hostile_run: Project, screen: str, scheme: str) -> None:
    """On a desktop, tablet and phone, light and dark: no page scrolls sideways, and axe
    finds no serious fault.
    """
    width, height = SCREENS[screen]
    folder = next(hostile_run.runs.iterdir())
    write_runs(hostile_run, 12)
    write_overview(hostile_run)
    with opened(viewport={"width": width, "height": height}, color_scheme=scheme) as page:
        for file in (
            hostile_run.outputs / "index.html",
            folder / "index.html",
            folder / "01_ingestion.html",
        ):
            page.goto(file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, file
            assert find_faults(page) == [], file


def test_a_running_run_renews_its_page(tmp_path: Path, page: Page) -> None:
    """The page of a run in progress says where it is, and shows what came meanwhile, by itself."""
    project = Project(tmp_path)
    record = make_record(status="running", ended_at=None, stages=["completed", "running"])
    (project.runs / record.run_id).mkdir(parents=True)
    write_run_page(project, record, progress="validation: cell 3 of 20")
    page.goto((project.runs / record.run_id / "index.html").as_uri())
    assert "cell 3 of 20" in page.locator("main").inner_text()
    record.status, record.ended_at = "completed", NOON + datetime.timedelta(seconds=5)
    record.stages[1].status = "completed"
    write_run_page(project, record)
    expect(page).to_have_title(re.compile("completed$"), timeout=10_000)
    assert page.locator("meta[http-equiv=refresh]").count() == 0
