"""The Prefect server that runs talk to: the one that is there, or one of our own, for
one run or for a schedule.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from packaging.version import Version

from orchestrator.atomic_files import write_atomically
from orchestrator.errors import ChurnError, UsageError
from orchestrator.project import CODE, Project, child_environment, find_project

_DEFAULT_PORT = 4200  # where `prefect server start` listens
_SETTING = "PREFECT_API_URL"
# Those that Prefect has without a file.
_PROFILES = {"local": {_SETTING: f"http://127.0.0.1:{_DEFAULT_PORT}/api"}}

_temporary: dict[str, subprocess.Popen[str]] = {}  # none or one: API address -> server
_SECONDS_TO_START = 120
_SECONDS_TO_END = 5
_SECONDS_TO_ANSWER = 3
# With a server that the settings name: on a busy machine it is slow, and there is no
# other.
_SECONDS_OF_PATIENCE = 20


def use_running_server() -> str | None:
    """Let Prefect use the server that its settings name, or the one that `churn ui` or
    `churn serve` started for this project, if any.

    A server that only happens to listen at Prefect's own port is another project's, or no
    Prefect server at all, and is not used. Has to be called before Prefect is imported.
    Returns the server's API address.

    Raises:
        UsageError: the server that the settings name cannot be reached, or is none of Prefect's.
    """
    api, setting = find_setting()
    if api is None:
        if api := _find_own_server():
            os.environ[_SETTING] = api
    elif not _ask(api, "health", _SECONDS_OF_PATIENCE):
        raise UsageError(
            f"The Prefect server {api} ({setting}) does not answer. "
            "Start it, with `prefect server start` if it is on this machine, or take the "
            "setting away: a run then starts a server of its own."
        )
    return api


def find_mismatch(api: str) -> str:
    """Say in which way a server does not fit this Prefect; empty where it does.

    A server may be newer than its clients, but not older: it refuses what it does not know.
    """
    served, own = _ask(api, "admin/version", _SECONDS_OF_PATIENCE), metadata.version("prefect")
    if not isinstance(served, str):
        return ""  # it does not tell
    if Version(served).release[:2] >= Version(own).release[:2]:
        return ""
    return f"the Prefect server {api} is of version {served}, older than this Prefect, {own}"


def start_temporary_server() -> None:
    """Start a server that ends with this process, and let Prefect use it. Does not wait
    until it is ready.

    Has to be called before Prefect is imported.

    Raises:
        ChurnError: the server does not start.
    """
    server, api = _start_server()
    atexit.register(end, server)
    os.environ[_SETTING] = api
    _temporary[api] = server


def wait_for_temporary_server() -> None:
    """Return when the server that this process started, if any, answers.

    Raises:
        ChurnError: it ended, or does not answer.
    """
    for api, server in _temporary.items():
        _wait_for(server, api)


def is_temporary() -> bool:
    """Whether Prefect uses the server that this process started for itself; it has no UI."""
    return os.environ.get(_SETTING) in _temporary


def _find_own_server() -> str | None:
    """Return the API address of the server that `churn ui` or `churn serve` started."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        api = str(json.loads(find_project().servers_file.read_bytes())["prefect"])
        return api if _ask(api, "admin/version") == metadata.version("prefect") else None
    return None


def find_setting() -> tuple[str | None, str]:
    """Return the address that Prefect's settings name, and where; asking Prefect itself
    would take seconds. In its order: the environment, `.env`, `prefect.toml`,
    `pyproject.toml`, the active profile.
    """
    if api := os.environ.get(_SETTING):
        return api, _SETTING
    if api := dotenv_values(".env").get(_SETTING):
        return api, f"{_SETTING} in {Path('.env').resolve()}"
    for name, table in (("prefect.toml", ()), ("pyproject.toml", ("tool", "prefect"))):
        settings = _read_toml(Path(name))
        for key in (*table, "api"):
            settings = settings.get(key, {})
        if api := settings.get("url"):
            return str(api), f"api.url in {Path(name).resolve()}"
    return _find_in_profile()


def _find_in_profile() -> tuple[str | None, str]:
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect"))
    file = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml").expanduser()
    content = _read_toml(file)
    name = os.environ.get("PREFECT_PROFILE") or content.get("active", "")
    profile = content.get("profiles", {}).get(name, _PROFILES.get(name, {}))
    return profile.get(_SETTING), f"profile {name!r} of {file}"


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # Prefect itself tells of a broken one
        return {}


@contextlib.contextmanager
def ensure_server(project: Project) -> Iterator[str]:
    """Yield the API address of a running server, starting one on loopback where there is none,
    which the project's runs use meanwhile.

    At Prefect's own port, or at another where that is taken. A server for one run does not
    run schedules.

    Raises:
        ChurnError: the server does not start.
    """
    if found := use_running_server():
        yield found
        return
    # A session of its own: Ctrl-C goes to the schedule first, which still has something
    # to tell the server.
    server, api = _start_server("--port", str(_DEFAULT_PORT))
    try:
        _wait_for(server, api)
        os.environ[_SETTING] = api
        project.outputs.mkdir(parents=True, exist_ok=True)
        write_atomically(project.servers_file, json.dumps({"prefect": api}).encode())
        yield api
    finally:
        project.servers_file.unlink(missing_ok=True)
        end(server)


def _start_server(*options: str) -> tuple[subprocess.Popen[str], str]:
    """Start a server, and return it with its API address, before it is ready."""
    server = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.flows.own_server", *options],
        env=os.environ | child_environment(CODE),
        stdin=subprocess.PIPE,  # closed by the end of this process, which ends the server
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    assert server.stdout
    api = server.stdout.readline().strip()
    if not api:
        raise ChurnError("Prefect's server did not start: see the messages above.")
    return server, api


def end(server: subprocess.Popen[Any]) -> None:
    """End a server, by force where it does not end by itself."""
    server.terminate()
    try:
        server.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        server.kill()


def _wait_for(server: subprocess.Popen[str], api: str) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while not _ask(api, "health"):
        if server.poll() is not None or time.monotonic() > deadline:
            raise ChurnError("Prefect's server did not start: see the messages above.")
        time.sleep(0.1)


def _ask(api: str, what: str, seconds: float = _SECONDS_TO_ANSWER) -> Any:
    """Return what Prefect's API answers; nothing where there is none."""
    try:
        with urllib.request.urlopen(f"{api}/{what}", timeout=seconds) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as answer:
        return answer.code in (401, 403)  # it is there, and asks for the key that Prefect has
    except (OSError, ValueError):  # no server, or one that answers with something else
        return None
