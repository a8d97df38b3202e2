"""A run makes no connection but to the user's sources and stores: tried from within,
and barred from without.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.projects import make_quick, read_run

pytestmark = pytest.mark.e2e

# What turns statistics off for a whole machine: a run must not need it.
OF_TELEMETRY = (
    "DO_NOT_TRACK",
    "PREFECT_SERVER_ANALYTICS_ENABLED",
    "MLFLOW_DISABLE_TELEMETRY",
    "PREFECT_API_URL",
)

# Python runs a module of this name in every process, before anything else; each tells
# whom it tries to reach.
WATCH = """
import json, os, sys

SEEN = os.environ["SEEN_CONNECTIONS"]

def tell(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        host = arguments[1][0] if isinstance(arguments[1], tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    file = os.open(SEEN, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    command = " ".join(getattr(sys, "argv", []))[:200]
    os.write(file, json.dumps([event, host, command]).encode() + b"\\n")
    os.close(file)

sys.addaudithook(tell)
"""

# Brings up loopback in a network namespace, for which no program beside Python is
# needed, and becomes the command.
IN_NAMESPACE = """
import fcntl, os, socket, struct, sys
GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 1
with socket.socket() as any_socket:
    asked = struct.pack("16sh14x", b"lo", 0)
    name, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, GET_FLAGS, asked))
    fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh14x", name, flags | UP))
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture(scope="module")
def isolated() -> list[str]:
    """The start of a command: the rest of it runs without any network but loopback."""
    if not shutil.which("unshare"):
        pytest.skip("there is no `unshare` here: network namespaces are Linux's")
    for options in ("-n", "-rn"):
        command = ["unshare", options, sys.executable, "-c", IN_NAMESPACE]
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("this machine does not permit network namespaces")


def watched(folder: Path, root: Path) -> dict[str, str]:
    """Return the environment of a new machine, in which every Python process tells whom
    it tries to reach.
    """
    (folder / "hook").mkdir()
    (folder / "hook/sitecustomize.py").write_text(WATCH, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in OF_TELEMETRY}
    return environment | {
        "HOME": str(folder / "home"),
        "PREFECT_HOME": str(folder / "home/prefect"),
        "PYTHONPATH": os.pathsep.join([str(folder / "hook"), str(root)]),
        "SEEN_CONNECTIONS": str(folder / "seen"),
    }


def read_seen(folder: Path) -> list[tuple[str, str | None, str]]:
    """Return whom processes tried to reach: event, host (nothing for a Unix socket), program."""
    return [
        tuple(json.loads(line))
        for line in (folder / "seen").read_text(encoding="utf-8").splitlines()
    ]


def is_here(host: str | None) -> bool:
    """Whether a host is this machine; a server's own address to listen at is no host,
    or all of its addresses.
    """
    if host in (None, "", "localhost", "0.0.0.0", "::", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def test_the_watch_and_the_namespace_catch_a_connection(
    isolated: list[str], tmp_path: Path
) -> None:
    """A program that looks up a name or calls another machine is seen, and does not get through."""
    program = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
for reach, whom in (
    (socket.create_connection, [("192.0.2.1", 80), 5]),
    (socket.getaddrinfo, ["a.example", 80]),
):
    try:
        reach(*whom)
    except OSError:
        print("barred")
"""
    environment = watched(tmp_path, tmp_path)
    ended = subprocess.run(
        [*isolated, sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "barred\nbarred\n"
    away = [(event, host) for event, host, _ in read_seen(tmp_path) if not is_here(host)]
    assert ("socket.connect", "192.0.2.1") in away
    assert ("socket.getaddrinfo", "a.example") in away


def test_the_default_run_reaches_nobody(
    isolated: list[str], project_copy: Path, tmp_path: Path
) -> None:
    """On a new machine without a network, all stages complete, of the smallest sample company
    that there is too; no process tried to reach another machine.
    """
    make_quick(project_copy)
    ended = subprocess.run(
        [*isolated, sys.executable, "orchestrator/flow.py"],
        cwd=project_copy,
        env=watched(tmp_path, project_copy),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-9000:]
    assert {entry.status for entry in read_run(project_copy).stages} == {"completed"}
    seen = read_seen(tmp_path)
    assert {host for event, host, _ in seen if event == "socket.connect"} >= {"127.0.0.1"}
    assert {program for _, _, program in seen if "flow.py" not in program}, "no kernel is watched"
    assert [what for what in seen if not is_here(what[1])] == []
