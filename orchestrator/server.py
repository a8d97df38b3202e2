"""The Prefect server that runs talk to: the one that is there, or one of our own, for one run or for a schedule."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.errors import ChurnError, UsageError
from orchestrator.paths import PROJECT

_DEFAULT_PORT = 4200  # where `prefect server start` listens
DEFAULT_API = f"http://127.0.0.1:{_DEFAULT_PORT}/api"

_temporary: list[str] = []  # none or one
_ROOT = Path(__file__).parent.parent
_SECONDS_TO_START = 120
_SECONDS_TO_END = 15
_SECONDS_TO_ANSWER = 3
_SECONDS_OF_PATIENCE = 20  # with a server that the settings name: on a busy machine it is slow, and there is no other


def use_running_server() -> str | None:
    """Let Prefect use the server that its settings name, or one that listens at Prefect's own address, if any.

    Has to be called before Prefect is imported. Returns the server's API address.

    Raises:
        UsageError: the server that the settings name cannot be reached.
    """
    api, setting = _configured_api()
    if api is None:
        if api := next(filter(_answers, _usual_apis()), None):
            os.environ["PREFECT_API_URL"] = api
    elif not _answers(api, _SECONDS_OF_PATIENCE):
        raise UsageError(
            f"The Prefect server {api} ({setting}) does not answer. "
            "Start it, with `prefect server start` if it is on this machine, or take the setting away: "
            "a run then starts a server of its own."
        )
    return api


def start_temporary_server() -> None:
    """Start a server that ends with this process, and let Prefect use it. Does not wait until it is ready.

    Has to be called before Prefect is imported.

    Raises:
        ChurnError: the server does not start.
    """
    command = [sys.executable, "-m", "orchestrator.temporary_server"]
    server = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, start_new_session=True, text=True)
    atexit.register(end, server)
    assert server.stdout
    address = server.stdout.readline().strip()
    if not address:
        raise ChurnError("Prefect's temporary server did not start: see the messages above.")
    os.environ["PREFECT_API_URL"] = address
    _temporary.append(address)


def is_temporary() -> bool:
    """Whether Prefect uses the server that this process started for itself; it has no UI."""
    return os.environ.get("PREFECT_API_URL") in _temporary


def _usual_apis() -> Iterator[str]:
    """Yield where a server may listen that no setting names: that of `churn ui`, and Prefect's own address."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        yield str(json.loads(PROJECT.servers_file.read_bytes())["prefect"])
    yield DEFAULT_API


def _configured_api() -> tuple[str | None, str]:
    """Return the address that Prefect's settings name, and where; asking Prefect itself would take seconds."""
    if api := os.environ.get("PREFECT_API_URL"):
        return api, "PREFECT_API_URL"
    file = Path(
        os.environ.get("PREFECT_PROFILES_PATH") or Path(os.environ.get("PREFECT_HOME", "~/.prefect"), "profiles.toml")
    )
    try:
        content = tomllib.loads(file.expanduser().read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):  # Prefect itself tells of a broken one
        return None, ""
    name = os.environ.get("PREFECT_PROFILE") or content.get("active", "")
    profile = content.get("profiles", {}).get(name, {"PREFECT_API_URL": DEFAULT_API} if name == "local" else {})
    return profile.get("PREFECT_API_URL"), f"profile {name!r} of {file}"


@contextlib.contextmanager
def ensure_server() -> Iterator[str]:
    """Yield the API address of a running server, starting one on loopback where there is none.

    At Prefect's own port, or at another where a program that is none of Prefect's has that one. Prefect's temporary
    server does not run schedules.

    Raises:
        ChurnError: the server does not start.
    """
    if found := use_running_server():
        yield found
        return
    port = choose_port(_DEFAULT_PORT)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    # A session of its own: Ctrl-C goes to the schedule first, which still has something to tell the server.
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    api = f"http://127.0.0.1:{port}/api"
    try:
        _wait_for(server, api)
        os.environ["PREFECT_API_URL"] = api
        yield api
    finally:
        end(server)


def choose_port(preferred: int) -> int:
    """Return a port of loopback that is free: the preferred one, if it is."""
    for port in (preferred, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as probe:
            return int(probe.getsockname()[1])
    raise ChurnError("No port of 127.0.0.1 is free.")


def end(server: subprocess.Popen[Any]) -> None:
    """End a server, by force where it does not end by itself."""
    server.terminate()
    try:
        server.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        server.kill()


def _wait_for(server: subprocess.Popen[bytes], api: str) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while not _answers(api):
        if server.poll() is not None or time.monotonic() > deadline:
            raise ChurnError("Prefect's server did not start: `prefect server start` in a terminal shows why.")
        time.sleep(0.5)


def _answers(api: str, seconds: float = _SECONDS_TO_ANSWER) -> bool:
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=seconds):
            return True
    except urllib.error.HTTPError as answer:
        return answer.code in (401, 403)  # it is there, and asks for the key that Prefect has
    except (urllib.error.URLError, OSError, ValueError):
        return False
