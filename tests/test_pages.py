"""The pages in a real browser: they open from disk, load nothing, and lead to the failed cell."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import read_run, run_flow, write_notebook
from playwright.sync_api import Page, sync_playwright

pytestmark = pytest.mark.e2e


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of Chromium, as the system installed it."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        flags = ["--headless", "--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        yield browser.new_page()
        browser.close()


def test_the_front_page_leads_to_the_failed_cell_offline(
    tiny_project: Path, prefect_api: dict[str, str], page: Page
) -> None:
    """From `outputs/index.html` one click opens the failed stage's report, the next lands on its cell."""
    cells = [*(f"print({number})\n" * 30 for number in range(10)), "raise ValueError('<b>`no` &amp; bold</b>')"]
    write_notebook(tiny_project / "notebooks/01_ingestion.ipynb", "ingestion", cells)
    assert run_flow(tiny_project, "--only", "ingestion", env=prefect_api).returncode == 1
    requests: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.goto((tiny_project / "outputs/index.html").as_uri())
    assert read_run(tiny_project).run_id in page.inner_text("main")
    page.click("text=ingestion")
    assert "ValueError: <b>'no' &amp; bold</b>" in page.inner_text(".celltag_run-banner")
    assert page.evaluate("window.scrollY") == 0
    page.click("text=failed cell")
    page.wait_for_function("window.scrollY > 500")
    mark = page.get_by_text("Failed in the next cell").bounding_box()
    assert mark is not None
    assert -50 < mark["y"] < 720
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert messages == []
