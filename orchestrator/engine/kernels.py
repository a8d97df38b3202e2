"""One kernel a stage, started ahead: while a stage runs, the next one's kernel starts
and does its notebook's imports.

Most of a short stage is the start of its kernel and its imports, and that work waits
for nothing. Where the platform can fork, a kernel is a fork of a process that has
imported the packages already; elsewhere it is an ordinary one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync

from orchestrator.engine.provisioner import ForkProvisioner, ForkServer, can_fork
from orchestrator.engine.temporary_folder import find_socket_folder
from orchestrator.errors import UsageError
from orchestrator.notebook.code import read_notebook_code
from orchestrator.notebook.modules import list_package_imports
from orchestrator.project import Project, child_environment

KERNEL_NAME = "python3"

_State = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class _Kernel:
    """A running kernel, what it was started for, and the private folder of its sockets and key."""

    manager: AsyncKernelManager
    warmer: BlockingKernelClient
    sockets: tempfile.TemporaryDirectory[str]
    code: _State


_ahead: dict[Path, _Kernel] = {}
_servers: list[ForkServer] = []  # none or one
_withheld: dict[Path, frozenset[str]] = {}


def warm_up(
    notebooks: Sequence[Path],
    *,
    cold: bool = False,
    withheld: Mapping[Path, frozenset[str]] | None = None,
) -> None:
    """Start the first notebook's kernel, if any, and what the others' will be forked
    from. Does not wait.

    `withheld` names the environment variables that the kernel of a notebook is not
    given. With `cold`, and where the platform cannot fork, all kernels are ordinary
    processes.
    """
    _withheld.update(withheld or {})
    if not notebooks:
        return
    if not (_servers or cold) and can_fork(AsyncKernelManager(kernel_name=KERNEL_NAME).kernel_spec):
        environment = _environment(notebooks[0], frozenset().union(*_withheld.values()))
        imports = {notebook: list_package_imports(notebook) for notebook in notebooks}
        _servers.append(ForkServer(imports, environment))
    start_ahead(notebooks[0])


def start_ahead(notebook: Path) -> None:
    """Start the kernel of a notebook that will run soon, and let it do the notebook's
    imports. Does not wait.
    """
    if notebook not in _ahead:
        kernel = _start(notebook)
        kernel.warmer.execute(
            f"try:\n    exec({_imports(notebook)!r}, {{}})\nexcept Exception:\n    pass",
            silent=True,
        )
        _ahead[notebook] = kernel


@contextlib.contextmanager
def kernel_for(notebook: Path) -> Iterator[AsyncKernelManager]:
    """Yield the manager of a running kernel of the notebook's own, in its folder; end
    the kernel afterwards.
    """
    kernel = _ahead.pop(notebook, None)
    if kernel and not (
        kernel.code == _code_state(notebook) and run_sync(kernel.manager.is_alive)()
    ):
        _end(kernel)  # it has imported code that was edited since, or was killed
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
    short = find_socket_folder()
    sockets = tempfile.TemporaryDirectory(prefix="churn-", ignore_cleanup_errors=True, dir=short)
    code = _code_state(notebook)
    manager = AsyncKernelManager(kernel_name=KERNEL_NAME)
    manager.connection_file = f"{sockets.name}/kernel.json"  # it holds the kernel's key
    if short:
        # TCP ports are open to every local user, unencrypted, and can be taken between
        # choosing and binding.
        manager.transport, manager.ip = "ipc", f"{sockets.name}/kernel"
    if _servers and not _servers[0].runs():
        _servers.pop().close()  # it was killed; kernels are ordinary processes from now on
    if _servers:
        manager.kernel_id = str(uuid.uuid4())
        forked = ForkProvisioner(
            kernel_id=manager.kernel_id, kernel_spec=manager.kernel_spec, parent=manager
        )
        forked.server, forked.notebook, manager.provisioner = _servers[0], notebook, forked
    environment = _environment(notebook, _withheld.get(notebook, frozenset()))
    run_sync(manager.start_kernel)(cwd=str(notebook.parent), env=environment)
    warmer = BlockingKernelClient()
    warmer.load_connection_info(manager.get_connection_info())
    warmer.start_channels(iopub=False, stdin=False, hb=False, control=False)
    return _Kernel(manager, warmer, sockets, code)


# Where plots are shown, whatever the user's own environment says of other programs: with `Agg`
# a report would have none.
_WITH_PLOTS = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}


def _environment(notebook: Path, without: frozenset[str]) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if name not in without}
    return given | child_environment(notebook.parent.parent) | _WITH_PLOTS


def _end(kernel: _Kernel) -> None:
    kernel.warmer.stop_channels()
    # `shutdown_kernel` would look only ten times a second whether it has ended.
    if kernel.manager.provisioner:
        run_sync(kernel.manager.provisioner.kill)()
        run_sync(kernel.manager.provisioner.wait)()
    run_sync(kernel.manager.cleanup_resources)()
    kernel.sockets.cleanup()


def _imports(notebook: Path) -> str:
    """Return the import statements that a notebook executes at once."""
    with contextlib.suppress(UsageError):  # the preflight tells
        found = read_notebook_code(notebook).imports
        return "\n".join(one.statement for one in found if not one.later)
    return ""


def _code_state(notebook: Path) -> _State:
    """Return what tells whether a notebook or the modules beside it were edited: path,
    size and time of each.
    """
    project = Project(notebook.parent.parent)
    files = [notebook, *(file for _, file in project.code_files() if file.suffix == ".py")]
    return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)
