"""Prefect's UI, MLflow's UI and the pages of `outputs/`, served on loopback together, until they are stopped."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.mlflow_store import database_uri
from orchestrator.paths import Project
from orchestrator.record import write_atomically
from orchestrator.server import choose_port, end, ensure_server

_MLFLOW_PORT, _SITE_PORT = 5000, 8000
_SERVED = {".html", ".ipynb", ".json", ".txt", ".png", ".svg", ".jpeg", ".diff"}  # not the databases beside them
_HOSTS = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Servers:
    """Where each listens; `mlflow` is None as long as there is no database for it to show."""

    prefect: str
    mlflow: str | None
    site: str


@contextlib.contextmanager
def serving(project: Project) -> Iterator[Servers]:
    """Serve all three while the block runs, and tell later runs where the Prefect server is.

    Raises:
        ChurnError: a server does not start.
    """
    project.outputs.mkdir(parents=True, exist_ok=True)
    with ensure_server() as api, _serving_mlflow(project) as mlflow, _serving_site(project.outputs) as site:
        servers = Servers(api.removesuffix("/api"), mlflow, site)
        write_atomically(project.servers_file, json.dumps({"prefect": api, "mlflow": mlflow, "site": site}).encode())
        try:
            yield servers
        finally:
            project.servers_file.unlink(missing_ok=True)


def wait_for_interruption() -> None:
    """Return when Ctrl-C or SIGTERM comes."""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


@contextlib.contextmanager
def _serving_mlflow(project: Project) -> Iterator[str | None]:
    database = project.outputs / "mlflow.db"
    if not database.is_file():
        yield None
        return
    port = str(choose_port(_MLFLOW_PORT))
    options = ["--backend-store-uri", database_uri(database), "--host", "127.0.0.1", "--port", port, "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "ui", *options]
    server = subprocess.Popen(
        command, cwd=project.outputs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        end(server)


@contextlib.contextmanager
def _serving_site(folder: Path) -> Iterator[str]:
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", choose_port(_SITE_PORT)), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/index.html"
        finally:
            server.shutdown()


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves pages and what they link to; only to this machine's own names, so that no other site can read them."""

    def send_head(self) -> Any:
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in _HOSTS or Path(self.path.partition("?")[0]).suffix.lower() not in _SERVED:
            self.send_error(404)
            return None
        return super().send_head()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""
