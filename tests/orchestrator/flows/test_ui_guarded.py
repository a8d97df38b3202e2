"""What `churn ui` serves is for this machine's own pages, and holds nothing from outside."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from helpers.browser import opened
from helpers.projects import wait_until
from helpers.servers import Answer, serving
from orchestrator.flows.ui import _serving_site

SECRET = b"not for the page"
# What a page on another origin tries: to read, and to write as a form and as a program may.
ATTACK = """async ([read, write]) => {
  const answers = [];
  const as = (type) => ({method: "POST", body: '{"name": "attack"}',
                         headers: {"Content-Type": type}});
  for (const [url, options] of [[read, {}], [write, as("application/json")],
                                [write, as("text/plain")]]) {
    try { answers.push(await (await fetch(url, options)).text()) } catch { answers.push("refused") }
  }
  return answers;
}"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of the site's server, whose folder holds links that lead out of it."""
    folder, outside = tmp_path / "outputs", tmp_path / "outside"
    for one in (folder / "runs", outside):
        one.mkdir(parents=True)
    (folder / "index.html").write_text("front page")
    (folder / "runs" / "page.html").write_text("a run")
    for name in ("key.json", "mlflow.db"):
        (outside / name).write_bytes(SECRET)
    shutil.copy(outside / "mlflow.db", folder)
    (folder / "pages.html").mkdir()
    (folder / "file.json").symlink_to(outside / "key.json")
    (folder / "folder").symlink_to(outside)
    (folder / "loop.html").symlink_to(folder / "loop.html")
    (folder / "database.html").symlink_to(folder / "mlflow.db")
    (folder / "inside.html").symlink_to(folder / "runs" / "page.html")
    with _serving_site(folder) as address:
        yield address.removesuffix("/index.html")


def ask(address: str, path: str) -> bytes:
    """Return what a server answers to a path that is sent as it is."""
    host = urlsplit(address).netloc
    with socket.create_connection((host.partition(":")[0], int(host.partition(":")[2]))) as line:
        line.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode("latin-1"))
        return b"".join(iter(lambda: line.recv(65536), b""))


@pytest.mark.parametrize("path", ["/index.html", "/inside.html", "/runs/page.html?a=1#b"])
def test_pages_are_served(site: str, path: str) -> None:
    """Also by a link within the folder; no page elsewhere may embed them."""
    answer = httpx.get(site + path)
    assert answer.status_code == 200
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/file.json",
            "/folder/key.json",
            "/folder/",
            "/",
            "/runs/",
            "/pages.html/",
            "/loop.html",
        ),
        *("/../outside/key.json", "/%2e%2e/outside/key.json", "/..%2foutside%2fkey.json"),
        *(
            "/%252e%252e/outside/key.json",
            "/runs/..%5c..%5coutside%5ckey.json",
            "//outside/key.json",
        ),
        *("/mlflow.db", "/mlflow.db#.html", "/mlflow.db%00.html", "/mlflow.db?.html"),
        *("/loop.html", "/mlflow.db/.html", "/database.html", "/%c0%ae%c0%ae/outside/key.json"),
    ],
)
def test_nothing_else_is_served(site: str, path: str) -> None:
    """No target of a link that leads out, no folder's list, no database, in whatever spelling."""
    answer = ask(site, path)
    assert answer.split()[1] in (b"404", b"301")
    assert SECRET not in answer
    assert b"key.json" not in answer


@pytest.mark.parametrize("host", ["attacker.example", "127.0.0.1", "localhost:1", ""])
def test_another_name_gets_nothing(site: str, host: str) -> None:
    """DNS rebinding: another site's name may lead to this machine."""
    assert httpx.get(f"{site}/index.html", headers={"Host": host}).status_code == 404


@pytest.mark.e2e
def test_pages_from_elsewhere_get_nothing(
    tiny_project: Path, outputs: Path, tmp_path: Path
) -> None:
    """Of the reports, Prefect's server and MLflow's, in a real browser, by another origin and
    by another name; MLflow's own page works.
    """
    shutil.move(outputs, tiny_project / "outputs")
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment |= {"PYTHONPATH": str(tiny_project), "PREFECT_HOME": str(tmp_path / "prefect")}
    (tiny_project / "outputs/index.html").write_text("front page")
    command = [sys.executable, "-u", "-m", "orchestrator", "ui"]
    ui = subprocess.Popen(
        command, cwd=tiny_project, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert ui.stdout
        told = dict(ui.stdout.readline().split(maxsplit=1) for _ in range(3))
        prefect, mlflow, site = (told[name].strip() for name in ("Prefect", "MLflow", "Reports"))
        wait_until(lambda: httpx.get(f"{mlflow}/health").is_success, seconds=120)
        asked = {
            prefect: ("/api/admin/version", "/api/flows/"),
            mlflow: (
                "/ajax-api/2.0/mlflow/experiments/search?max_results=9",
                "/ajax-api/2.0/mlflow/experiments/create",
            ),
            site.removesuffix("/index.html"): ("/index.html", "/index.html"),
        }
        page = Answer(b"<!doctype html>elsewhere", headers={"Content-Type": "text/html"})
        with serving(lambda request: page) as other, opened() as browser:
            for server, (read, write) in asked.items():
                browser.goto(other.address)
                answers = browser.evaluate(ATTACK, [server + read, server + write])
                assert answers == ["refused"] * 3, server
                rebound = httpx.get(server + read, headers={"Host": "attacker.example:80"})
                assert rebound.status_code in (403, 404)
            browser.goto(mlflow)
            found = browser.evaluate(
                f"async () => (await fetch('{mlflow}{asked[mlflow][0]}')).text()"
            )
        assert '"another"' in found
        assert '"attack"' not in found
        assert httpx.post(f"{prefect}/api/flows/filter", json={}).json() == []
    finally:
        ui.send_signal(signal.SIGTERM)
        ui.wait(60)
