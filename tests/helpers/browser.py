"""A real Chromium for tests of pages, and what to watch in it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

SERIOUS = {"serious", "critical"}


@contextlib.contextmanager
def opened(**options: Any) -> Iterator[Page]:
    """Open a page of Chromium, as the system installed it; `options` are those of a
    browser context.
    """
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        flags = ["--headless", "--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        yield browser.new_context(**options).new_page()
        browser.close()


def watch(page: Page) -> tuple[list[str], list[str]]:
    """Return two lists that take what a page asks for, and what happens in it:
    messages, errors and dialogs.
    """
    requests: list[str] = []
    events: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: events.append(message.text))
    page.on("pageerror", lambda error: events.append(str(error)))
    page.on("dialog", lambda dialog: (events.append(dialog.message), dialog.dismiss()))
    return requests, events


def from_elsewhere(requests: list[str]) -> list[str]:
    """Return the requests that left the disk."""
    return [url for url in requests if not url.startswith(("file:", "data:"))]


def find_faults(page: Page) -> list[str]:
    """Return the serious faults of accessibility that axe finds, a line each."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in SERIOUS]


HOSTILE = [
    "<script>window.ran = 1; alert(1)</script>",
    "window.ran = 2",
    "<img src=x onerror='window.ran = 3'>",
    "<a href='javascript:window.ran = 4'>click</a>",
    "<iframe srcdoc='<script>parent.ran = 5</script>'></iframe><iframe "
    "src='http://192.0.2.1/'></iframe>",
    "<meta http-equiv=refresh content='0;url=http://192.0.2.1/'>",
    "<svg xmlns='http://www.w3.org/2000/svg' onload='window.ran = 6'><script>window.ran = "
    "7</script></svg>",
    "<img src='http://192.0.2.1/a.png'><link rel=stylesheet href='http://192.0.2.1/a.css'>",
    "<p style=\"background: url('http://192.0.2.1/b.png')\">text</p>",
    "<style>@import 'http://192.0.2.1/c.css'; .celltag_run-banner { display: none }</style>",
    "<details open ontoggle='window.ran = 8'><summary>x</summary></details>",
    "</div></div></main><script>window.ran = 9</script>",
]
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
