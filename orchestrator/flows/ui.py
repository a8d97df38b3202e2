"""Prefect's UI, MLflow's UI and the pages of `outputs/`, served on loopback together,
until they are stopped.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.flows.own_server import listen
from orchestrator.flows.prefect_server import end, ensure_server
from orchestrator.models.mlflow_queries import database_uri
from orchestrator.project import CODE, Project, child_environment

_MLFLOW_PORT, _SITE_PORT = 5000, 8000
# Not the databases beside them.
_SERVED = {".html", ".ipynb", ".json", ".txt", ".png", ".svg", ".jpeg", ".diff"}
_HOSTS = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Servers:
    """Where each listens; `mlflow` is None as long as there is no database for it to show."""

    prefect: str
    mlflow: str | None
    site: str


@contextlib.contextmanager
def serving(project: Project) -> Iterator[Servers]:
    """Serve all three while the block runs.

    Raises:
        ChurnError: a server does not start.
    """
    project.outputs.mkdir(parents=True, exist_ok=True)
    with (
        ensure_server(project) as api,
        _serving_mlflow(project) as mlflow,
        _serving_site(project.outputs) as site,
    ):
        yield Servers(api.removesuffix("/api"), mlflow, site)


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
    command = [sys.executable, "-m", "orchestrator.flows.own_mlflow"]
    server = subprocess.Popen(
        [*command, str(_MLFLOW_PORT), database_uri(database)],
        cwd=project.outputs,
        env=os.environ | child_environment(CODE),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    assert server.stdout
    try:
        yield server.stdout.readline().strip()
    finally:
        end(server)


@contextlib.contextmanager
def _serving_site(folder: Path) -> Iterator[str]:
    handler = functools.partial(_Handler, directory=str(folder))
    with _Server(("127.0.0.1", _SITE_PORT), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/index.html"
        finally:
            server.shutdown()


class _Server(http.server.ThreadingHTTPServer):
    """Listens on another port where the one asked for is taken."""

    def server_bind(self) -> None:
        self.socket.close()
        self.socket = listen(self.server_address[1])
        self.server_name, self.server_port = self.server_address = self.socket.getsockname()


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the pages of a folder and what they link to, and nothing that lies elsewhere; only
    to this machine's own names, so that no other site can read them.
    """

    def send_head(self) -> Any:
        if not self._is_asked_by_own_name() or not self._may_be_read():
            self.send_error(404)
            return None
        return super().send_head()

    def _is_asked_by_own_name(self) -> bool:
        port = self.connection.getsockname()[1]
        return self.headers.get("Host") in [f"{host}:{port}" for host in _HOSTS]

    def _may_be_read(self) -> bool:
        try:
            file = Path(os.path.realpath(self.translate_path(self.path)))
            inside = file.is_relative_to(os.path.realpath(self.directory))
            return inside and file.suffix.lower() in _SERVED and file.is_file()
        except (OSError, ValueError):  # a name that no file can have
            return False

    def end_headers(self) -> None:
        """Let no page elsewhere take a picture or a script from here."""
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""
