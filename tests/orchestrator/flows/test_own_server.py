"""The Prefect servers that this project starts: for this machine, and for no page elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from helpers.browser import opened
from helpers.projects import ROOT, free_port, wait_until
from helpers.servers import Answer, serving

pytestmark = pytest.mark.e2e

# What a page on another origin tries: to read, and to write with and without a preflight.
ATTACK = """async (api) => {
  const tries = [
    () => fetch(api + "/flows/filter", {method: "POST", body: "{}",
                                         headers: {"Content-Type": "application/json"}}),
    () => fetch(api + "/flows/", {method: "POST", body: '{"name": "attack"}',
                                  headers: {"Content-Type": "text/plain"}, mode: "no-cors"}),
    () => fetch(api + "/admin/version"),
  ];
  const read = [];
  for (const one of tries) {
    try { read.push(await (await one()).text()) } catch (error) { read.push("refused") }
  }
  return read;
}"""

FOREIGN = dict.fromkeys(("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR"), "/dev/null/no")


@pytest.fixture(params=["for one run", "with schedules"])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a server's API, in an environment that another program has set up."""
    options = ["--port", str(free_port())] if request.param == "with schedules" else []
    server = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.flows.own_server", *options],
        env=os.environ | FOREIGN | {"PREFECT_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout
        address = server.stdout.readline().strip()
        wait_until(lambda: httpx.get(f"{address}/health", timeout=30).is_success, seconds=120)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def test_pages_from_elsewhere_get_nothing(api: str) -> None:
    """They neither read nor write, in a real browser; nor does another name of this machine."""
    page = Answer(b"<!doctype html><title>elsewhere</title>", headers={"Content-Type": "text/html"})
    with serving(lambda request: page) as other, opened() as browser:
        browser.goto(other.address)
        assert set(browser.evaluate(ATTACK, api)) <= {"refused", ""}
    named = httpx.post(f"{api}/flows/filter", json={})
    assert (named.status_code, named.json()) == (200, [])
    rebound = httpx.get(f"{api}/admin/version", headers={"Host": "attacker.example"})
    assert rebound.status_code == 403


def test_its_own_page_works(api: str) -> None:
    """Where there is a UI, it loads its data from its own address."""
    if httpx.get(api.removesuffix("/api")).status_code != 200:
        return  # a server for one run has none
    with opened() as browser:
        browser.goto(api.removesuffix("/api"))
        version = browser.evaluate(
            "async (api) => (await fetch(api + '/admin/version')).text()", api
        )
    assert version.strip('"') == httpx.get(f"{api}/admin/version").json()
