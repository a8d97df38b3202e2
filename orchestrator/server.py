"""The Prefect server that runs talk to: the one that is there, or, for schedules, one of our own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

from orchestrator.errors import ChurnError

DEFAULT_API = "http://127.0.0.1:4200/api"  # where `prefect server start` listens

_SECONDS_TO_START = 120
_SECONDS_TO_END = 15


def use_running_server() -> str | None:
    """Let Prefect use the server that PREFECT_API_URL names, or one that listens at Prefect's own address, if any.

    Has to be called before Prefect is imported. Returns the server's API address.
    """
    if "PREFECT_API_URL" not in os.environ and _answers(DEFAULT_API):
        os.environ["PREFECT_API_URL"] = DEFAULT_API
    return os.environ.get("PREFECT_API_URL")


@contextlib.contextmanager
def ensure_server() -> Iterator[str]:
    """Yield the API address of a running server, starting one on loopback where there is none.

    Prefect's own temporary server does not run schedules.

    Raises:
        ChurnError: the server does not start.
    """
    if found := use_running_server():
        yield found
        return
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", "4200"]
    # A session of its own: Ctrl-C goes to the schedule first, which still has something to tell the server.
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_for(server)
        os.environ["PREFECT_API_URL"] = DEFAULT_API
        yield DEFAULT_API
    finally:
        server.terminate()
        try:
            server.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait_for(server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while not _answers(DEFAULT_API):
        if server.poll() is not None or time.monotonic() > deadline:
            raise ChurnError("Prefect's server did not start: `prefect server start` in a terminal shows why.")
        time.sleep(0.5)


def _answers(api: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
