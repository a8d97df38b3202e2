"""One kernel a stage, started ahead: while a stage runs, the next one's kernel starts and does its notebook's imports.

Most of a short stage is the start of its kernel and its imports, and that work waits for nothing. Where the platform
can fork, a kernel is a fork of a process that has imported the packages already; elsewhere it is an ordinary one.
"""

from __future__ import annotations

import ast
import contextlib
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync

from orchestrator.provisioner import ForkProvisioner, ForkServer, can_fork

KERNEL_NAME = "python3"

_State = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class _Kernel:
    """A running kernel, what it was started for, and the private folder of its sockets."""

    manager: AsyncKernelManager
    warmer: BlockingKernelClient
    sockets: tempfile.TemporaryDirectory[str]
    code: _State


_ahead: dict[Path, _Kernel] = {}
_servers: list[ForkServer] = []  # none or one
_withheld: dict[Path, frozenset[str]] = {}


def warm_up(
    notebooks: Sequence[Path], *, cold: bool = False, withheld: Mapping[Path, frozenset[str]] | None = None
) -> None:
    """Start the first notebook's kernel, if any, and what the others' will be forked from. Does not wait.

    `withheld` names the environment variables that the kernel of a notebook is not given. With `cold`, and where the
    platform cannot fork, all kernels are ordinary processes.
    """
    _withheld.update(withheld or {})
    if not notebooks:
        return
    if not (_servers or cold) and can_fork(AsyncKernelManager(kernel_name=KERNEL_NAME).kernel_spec):
        _servers.append(ForkServer(notebooks, _environment(frozenset().union(*_withheld.values()))))
    start_ahead(notebooks[0])


def start_ahead(notebook: Path) -> None:
    """Start the kernel of a notebook that will run soon, and let it do the notebook's imports. Does not wait."""
    if notebook not in _ahead:
        kernel = _start(notebook)
        kernel.warmer.execute(f"try:\n    exec({_imports(notebook)!r}, {{}})\nexcept Exception:\n    pass", silent=True)
        _ahead[notebook] = kernel


@contextlib.contextmanager
def kernel_for(notebook: Path) -> Iterator[AsyncKernelManager]:
    """Yield the manager of a running kernel of the notebook's own, in its folder; end the kernel afterwards."""
    kernel = _ahead.pop(notebook, None)
    if kernel and kernel.code != _code_state(notebook):
        _end(kernel)  # it has imported code that was edited since
        kernel = None
    kernel = kernel or _start(notebook)
    if isinstance(kernel.manager.provisioner, ForkProvisioner):
        kernel.manager.provisioner.hurry()
    try:
        yield kernel.manager
    finally:
        _end(kernel)


def end_all() -> None:
    """End the kernels that were started ahead and not used, and the process that forks them."""
    while _ahead:
        _end(_ahead.popitem()[1])
    while _servers:
        _servers.pop().close()


def _start(notebook: Path) -> _Kernel:
    sockets = tempfile.TemporaryDirectory(prefix="churn-", ignore_cleanup_errors=True)
    code = _code_state(notebook)
    manager = AsyncKernelManager(kernel_name=KERNEL_NAME)
    if sys.platform != "win32":
        # TCP ports are open to every local user, unencrypted, and can be taken between choosing and binding.
        manager.transport, manager.ip = "ipc", f"{sockets.name}/kernel"
    if _servers:
        manager.kernel_id = str(uuid.uuid4())
        forked = ForkProvisioner(kernel_id=manager.kernel_id, kernel_spec=manager.kernel_spec, parent=manager)
        forked.server, forked.notebook, manager.provisioner = _servers[0], notebook, forked
    run_sync(manager.start_kernel)(cwd=str(notebook.parent), env=_environment(_withheld.get(notebook, frozenset())))
    warmer = BlockingKernelClient()
    warmer.load_connection_info(manager.get_connection_info())
    warmer.start_channels(iopub=False, stdin=False, hb=False, control=False)
    return _Kernel(manager, warmer, sockets, code)


def _environment(without: frozenset[str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in without}


def _end(kernel: _Kernel) -> None:
    kernel.warmer.stop_channels()
    if kernel.manager.provisioner:  # `shutdown_kernel` would look only ten times a second whether it has ended
        run_sync(kernel.manager.provisioner.kill)()
        run_sync(kernel.manager.provisioner.wait)()
    run_sync(kernel.manager.cleanup_resources)()
    kernel.sockets.cleanup()


def _imports(notebook: Path) -> str:
    """Return the import statements that stand at the top level of a notebook's cells."""
    cells = [cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    with contextlib.suppress(SyntaxError):  # the notebook itself will tell
        nodes = [node for source in cells for node in ast.parse(source).body]
        return "\n".join(ast.unparse(node) for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)))
    return ""


def _code_state(notebook: Path) -> _State:
    """Return what tells whether a notebook or the modules beside it were edited: path, size and time of each."""
    files = sorted([notebook, *notebook.parent.rglob("*.py")])
    return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)
