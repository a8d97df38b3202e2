"""A Jupyter kernel provisioner whose kernels are forked from a process that has
imported their packages already.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import psutil  # type: ignore[import-untyped]
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from orchestrator.notebook.imports import Import

CAN_FORK = sys.platform.startswith("linux")  # macOS has fork, but its frameworks do not survive it

_LAUNCHER = "ipykernel_launcher"
# The debugger need not warn of its own limits when it is imported.
_FOR_IMPORTS = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
_PROGRAM = Path(__file__).with_name("forkserver.py")


class ForkServer:
    """The process that forks kernels. Never waited for: orders are sent, and its
    answers are read when asked after.
    """

    def __init__(
        self, imports: Mapping[Path, Sequence[Import]], environment: Mapping[str, str]
    ) -> None:
        self._channel, other = socket.socketpair()
        self._channel.setblocking(False)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, str(_PROGRAM), str(other.fileno())],
                stdin=subprocess.DEVNULL,
                env=_FOR_IMPORTS | dict(environment),
                pass_fds=[other.fileno()],
                start_new_session=True,  # Ctrl-C is for the run, which ends its kernels itself
            )
        self._ids = itertools.count()
        self._kernels: dict[int, ForkedKernel] = {}
        self._partial = b""
        statements = {
            str(notebook): [[one.statement, one.later] for one in found if one.statement]
            for notebook, found in imports.items()
        }
        self.order({"import": statements})

    def fork(self, notebook: str, argv: list[str], cwd: str, env: dict[str, str]) -> ForkedKernel:
        """Order a kernel."""
        kernel = ForkedKernel(self, next(self._ids))
        self._kernels[kernel.id] = kernel
        self.order({"fork": kernel.id, "notebook": notebook, "argv": argv, "cwd": cwd, "env": env})
        return kernel

    def order(self, what: dict[str, Any]) -> None:
        """Send an order; to a process that is gone it is sent in vain."""
        with contextlib.suppress(OSError):
            self._channel.settimeout(5)
            self._channel.sendall(json.dumps(what).encode() + b"\n")
            self._channel.setblocking(False)

    def listen(self) -> None:
        """Take over what the process has said about its kernels since; when it is gone,
        so are they.
        """
        received = b"-"
        while received:
            try:
                received = self._channel.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                received = b""
            *lines, self._partial = (self._partial + received).split(b"\n")
            for event in map(json.loads, lines):
                kernel = self._kernels[event["kernel"]]
                kernel.pid = event.get("pid", kernel.pid)
                kernel.exit_code = event.get("exit", kernel.exit_code)
        for kernel in (one for one in self._kernels.values() if one.exit_code is None):
            kernel.exit_code = -signal.SIGKILL
            if kernel.pid:  # it would notice a second later, and write until then
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(kernel.pid, signal.SIGKILL)

    def runs(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process and with it all its kernels."""
        self._channel.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:  # it is inside a long import
            self._process.kill()


class ForkedKernel:
    """What `LocalProvisioner` needs of a `subprocess.Popen`, for a kernel that is a
    child of the fork server.
    """

    stdin = stdout = stderr = None

    def __init__(self, server: ForkServer, number: int) -> None:
        self.id = number
        self.pid: int | None = None
        self.exit_code: int | None = None
        self._server = server

    def poll(self) -> int | None:
        """Return the exit code, or nothing while the kernel runs or is still to be forked."""
        self._server.listen()
        if self.exit_code is None and self.pid and not _runs(self.pid):
            return -signal.SIGKILL  # the fork server, inside a long import, has not noticed yet
        return self.exit_code

    def hurry(self) -> None:
        """Say that the kernel is needed now."""
        self._server.order({"hurry": self.id})

    def wait(self) -> int | None:
        """Return the exit code; only called when there is one."""
        return self.poll()

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel's process group; the fork server may be inside a
        long import.
        """
        self._server.listen()
        if self.pid and self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
        self._server.order({"signal": number, "kernel": self.id})
        if self.pid is None and self.exit_code is None:
            # Not forked yet, and now it never will be: no end of it will be reported.
            self.exit_code = -number

    def kill(self) -> None:
        """End the kernel's process group at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the kernel's process group to end."""
        self.send_signal(signal.SIGTERM)


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class ForkProvisioner(LocalProvisioner):
    """Starts the kernel of `notebook` as a fork of `server`, both set before the launch."""

    server: ForkServer
    notebook: Path

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Order the kernel, without waiting for it."""
        arguments = cmd[cmd.index(_LAUNCHER) + 1 :]
        # What is used of a Popen, it has.
        self.process = self.server.fork(  # type: ignore[assignment]
            str(self.notebook), arguments, kwargs["cwd"], kwargs["env"]
        )
        return self.connection_info

    def hurry(self) -> None:
        """Say that the kernel is needed now."""
        cast(ForkedKernel, self.process).hurry()

    async def wait(self) -> int | None:
        """Wait for the end of the kernel; `LocalProvisioner` looks only ten times a second."""
        while self.process and await self.poll() is None:
            await asyncio.sleep(0.005)
        return await super().wait()


def can_fork(spec: KernelSpec | None) -> bool:
    """Whether a fork is the same as what a kernel specification starts: this Python,
    with ipykernel.
    """
    return (
        spec is not None
        and CAN_FORK
        and spec.argv[1:3] == ["-m", _LAUNCHER]
        and spec.argv[0] in ("python", "python3", sys.executable)
    )
