"""A program that imports what the notebooks import, once, and then forks a kernel for each of them.

Started by the provisioner as `python forkserver.py DESCRIPTOR`. It reads orders from the
socket of that descriptor, one JSON object a line, and answers in the same way:

    {"import": {NOTEBOOK: [[STATEMENT, LATER], …], …}}    what the notebooks' kernels import
    {"fork": ID, "notebook": …, "argv": […], "cwd": …, "env": {…}}
                                                        ->  {"kernel": ID, "pid": …}
    {"hurry": ID}                                         the kernel is needed now
    {"signal": NUMBER, "kernel": ID}                      sent to the kernel's process group
    when a kernel ends                                  ->  {"kernel": ID, "exit": CODE}

Packages are imported in the order of the notebooks. A kernel is forked as soon as those
of its notebook are there; in a hurry, those that its notebook imports inside functions
are left to the kernel. The project's own modules are never imported here: they may be
edited before the kernel starts, and each kernel runs them once, as an ordinary one
does. Where an import has started a thread, which a fork would lose, the kernel is
started as an ordinary process. `multiprocessing`'s own fork server imports all before
it answers, and runs the main script in every child.

Ends, with its kernels, when the other side of the socket is closed. Only the standard
library is imported at the top.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What a kernel imports when it starts, whatever its notebook does. Not the backend that
# shows plots: it ties itself to the kernel in which it is imported.
_KERNEL = """\
import ipykernel.ipkernel, ipykernel.kernelapp, ipykernel.debugger, psutil
import IPython.core.completerlib, IPython.core.oinspect, IPython.extensions.storemagic"""


@dataclass(frozen=True)
class Statement:
    """An import that a notebook's kernel will do; `later` when it stands inside a function."""

    notebook: str
    code: str
    later: bool = False


class Imports:
    """The import statements of all notebooks, in their order, as far as they are not
    executed yet.
    """

    def __init__(self) -> None:
        self._left = list[Statement]()
        self._first = ""
        # Until a kernel is needed, Prefect and its server need the processors more than
        # the later notebooks do.
        self.all_at_once = False

    def add(self, notebooks: Mapping[str, Sequence[tuple[str, bool]]]) -> None:
        """Add what the kernels of notebooks import, and kernels themselves."""
        self._first = self._first or next(iter(notebooks))
        for notebook, statements in notebooks.items():
            found = [(_KERNEL, False), *statements]
            self._left += dict.fromkeys(Statement(notebook, *one) for one in found)

    def __len__(self) -> int:
        """Return how many are left to take now."""
        return sum(self.all_at_once or one.notebook == self._first for one in self._left)

    def lacks(self, notebook: str, *, hurry: bool) -> bool:
        """Whether a notebook still lacks imports; in a hurry, whether it lacks any that
        it does at once.
        """
        return any(one.notebook == notebook and not (hurry and one.later) for one in self._left)

    def take(self, notebook: str | None) -> None:
        """Execute the next statement, of this notebook if it lacks any.

        What fails here fails again in the kernel, where the user sees it.
        """
        chosen = min(
            self._left, key=lambda one: (one.notebook != notebook, one.later if notebook else False)
        )
        self._left.remove(chosen)
        aside = io.StringIO()
        # A package's filters of warnings are not for the kernels of other notebooks.
        with (
            warnings.catch_warnings(),
            contextlib.suppress(BaseException),
            contextlib.redirect_stdout(aside),
            contextlib.redirect_stderr(aside),
        ):
            exec(chosen.code, {})


class Server:
    """Takes orders, forks and watches kernels; `pids` are those that run."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel, self._imports = channel, Imports()
        self._partial = b""
        self._to_start: list[dict[str, Any]] = []
        self.pids: dict[int, int] = {}  # pid -> id of the kernel
        self._ended, wake = os.pipe()  # a byte arrives when a child ends
        for end in (self._ended, wake):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake)

    def serve(self) -> dict[str, Any] | None:
        """Take orders until the socket is closed. Returns a second time, with its
        order, in each forked kernel.
        """
        while True:
            wait = None if not self._imports and not self._to_start else 0
            ready, _, _ = select.select([self._channel.fileno(), self._ended], [], [], wait)
            if self._ended in ready:
                self._reap()
            if self._channel.fileno() in ready and not self._take_orders():
                return None
            order = min(self._to_start, key=lambda one: not one["hurry"], default=None)
            if order and not self._imports.lacks(order["notebook"], hurry=order["hurry"]):
                self._to_start.remove(order)
                if self._start(order):
                    return order
            elif self._imports:
                self._imports.take(order["notebook"] if order else None)

    def _take_orders(self) -> bool:
        """Read what was sent; false when the socket is closed."""
        try:
            received = self._channel.recv(65536)
        except ConnectionError:
            return False
        *lines, self._partial = (self._partial + received).split(b"\n")
        for order in map(json.loads, lines):
            if "import" in order:
                self._imports.add(order["import"])
            elif "fork" in order:
                self._to_start.append(order | {"hurry": False})
                self._imports.all_at_once |= len(self._to_start) > 1
            elif "hurry" in order:
                self._imports.all_at_once = True
                for waiting in self._to_start:
                    waiting["hurry"] |= waiting["fork"] == order["hurry"]
            else:
                self._signal(order["kernel"], order["signal"])
        return bool(received)

    def _send(self, **event: int) -> None:
        with contextlib.suppress(OSError):
            self._channel.sendall(json.dumps(event).encode() + b"\n")

    def _start(self, order: dict[str, Any]) -> bool:
        """Start a kernel; true in the kernel itself."""
        if threading.active_count() > 1:
            command = [sys.executable, "-m", "ipykernel_launcher", *order["argv"]]
            environment = order["env"] | {"JPY_PARENT_PID": str(os.getpid())}
            pid = subprocess.Popen(
                command, cwd=order["cwd"], env=environment, start_new_session=True
            ).pid
        else:
            # Else the first collection in a kernel would copy every page that it shares
            # with this process.
            gc.freeze()
            with warnings.catch_warnings():
                # Of native threads: those of the BLAS libraries, which survive a fork.
                warnings.simplefilter("ignore")
                pid = os.fork()
            if pid == 0:
                return True
        self.pids[pid] = order["fork"]
        self._send(kernel=order["fork"], pid=pid)
        return False

    def _signal(self, kernel: int, number: int) -> None:
        self._to_start = [order for order in self._to_start if order["fork"] != kernel]
        for pid in [pid for pid, other in self.pids.items() if other == kernel]:
            send_to_group(pid, number)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._ended, 4096)
        with contextlib.suppress(ChildProcessError):
            while pid := (ended := os.waitpid(-1, os.WNOHANG))[0]:
                send_to_group(pid, signal.SIGKILL)  # what a dead kernel leaves behind
                self._send(kernel=self.pids.pop(pid, -1), exit=os.waitstatus_to_exitcode(ended[1]))


def send_to_group(pid: int, number: int) -> None:
    """Send a signal to a kernel and all in its process group, which it makes when it begins."""
    with contextlib.suppress(OSError):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            os.kill(pid, number)


def become_kernel(order: dict[str, Any]) -> None:
    """Be the kernel that an order asks for, in this forked process, until it ends."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    gc.enable()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # else all kernels would draw the same numbers
    from ipykernel.kernelapp import launch_new_instance

    # The parent, with which ipykernel ends, is asked of the environment only when
    # ipykernel is imported.
    launch_new_instance(argv=[*order["argv"], f"--IPKernelApp.parent_handle={os.getppid()}"])


def main() -> None:
    """Serve; in a forked kernel, be the kernel."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    with contextlib.suppress(ValueError):
        # A notebook finds what an ordinary kernel finds.
        sys.path.remove(str(Path(__file__).parent))
    gc.disable()  # packages are imported in three quarters of the time
    server = Server(channel)
    order = server.serve()
    channel.close()
    if order:
        become_kernel(order)
        return
    for pid in server.pids:
        send_to_group(pid, signal.SIGKILL)
    os._exit(0)  # there is nothing to write, and some packages complain when they are taken down


if __name__ == "__main__":
    main()
