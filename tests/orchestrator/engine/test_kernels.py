"""Kernels: each in a process, folder, environment and process group of its own, whether
forked or ordinary.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient

from helpers.projects import is_running, wait_until, write_notebook
from orchestrator.engine import kernels
from orchestrator.engine.provisioner import CAN_FORK, ForkProvisioner, can_fork
from orchestrator.notebook.modules import list_package_imports

e2e = pytest.mark.e2e
KINDS = [
    pytest.param(False, id="forked", marks=pytest.mark.skipif(not CAN_FORK, reason="cannot fork")),
    True,
]


@pytest.fixture
def notebooks(tmp_path: Path) -> list[Path]:
    """Two notebooks in a folder, beside a module that both can import."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "beside.py").write_text("import colorsys\nVALUE = 1\n")
    for name in ("01_first.ipynb", "02_second.ipynb"):
        write_notebook(folder / name, name, ["import beside"])
    return sorted(folder.glob("*.ipynb"))


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """End what a test started, and before it what other tests left to be used again."""
    kernels.end_all()
    yield
    kernels.end_all()


def ask(manager: AsyncKernelManager, expression: str) -> Any:
    """Return the value of an expression in a kernel."""
    client = manager.client()
    client.start_channels()
    try:
        run_sync(client.wait_for_ready)(timeout=60)
        message = client.execute("", silent=True, user_expressions={"it": expression})
        while (reply := run_sync(client.get_shell_msg)(timeout=60))["parent_header"].get(
            "msg_id"
        ) != message:
            pass
        answer = reply["content"]["user_expressions"]["it"]
        assert answer["status"] == "ok", answer
        return eval(answer["data"]["text/plain"])
    finally:
        client.stop_channels()


WHERE = "(__import__('os').getpid(), __import__('os').getpgrp(), __import__('os').getcwd())"


@e2e
@pytest.mark.parametrize("cold", KINDS)
def test_each_kernel_is_a_process_of_its_own(notebooks: list[Path], cold: bool) -> None:
    """It has its own process and process group, the notebook's folder, and is gone when
    its block has ended.
    """
    kernels.warm_up(notebooks, cold=cold)
    seen = []
    for notebook in notebooks:
        with kernels.kernel_for(notebook) as manager:
            assert isinstance(manager.provisioner, ForkProvisioner) is not cold
            seen.append(ask(manager, WHERE))
    assert [folder for _, _, folder in seen] == [str(notebook.parent) for notebook in notebooks]
    assert all(pid == group for pid, group, _ in seen)
    assert len({pid for pid, _, _ in seen} | {os.getpid()}) == 3
    wait_until(lambda: not any(is_running(pid) for pid, _, _ in seen), seconds=5)


@e2e
@pytest.mark.parametrize("cold", KINDS)
def test_what_a_kernel_started_ends_with_it(notebooks: list[Path], cold: bool) -> None:
    """A child of the kernel, and what is left of a kernel that was killed, are gone with it."""
    kernels.warm_up(notebooks, cold=cold)
    start = "__import__('subprocess').Popen(['sleep', '600']).pid"
    with kernels.kernel_for(notebooks[0]) as manager:
        child = ask(manager, start)
        assert is_running(child)
    with kernels.kernel_for(notebooks[1]) as manager:
        orphan = ask(manager, start)
        os.kill(ask(manager, "__import__('os').getpid()"), signal.SIGKILL)
        wait_until(lambda: not run_sync(manager.is_alive)(), seconds=5)
    wait_until(lambda: not any(map(is_running, (child, orphan))), seconds=5)


@e2e
@pytest.mark.parametrize("cold", KINDS)
def test_an_edited_module_is_imported_anew(notebooks: list[Path], cold: bool) -> None:
    """A kernel that was started ahead with an older module is replaced, and the fork
    server has never imported it.
    """
    kernels.warm_up(notebooks, cold=cold)
    with kernels.kernel_for(notebooks[0]) as manager:
        assert ask(manager, "__import__('beside').VALUE") == 1
    kernels.start_ahead(notebooks[1])
    (notebooks[1].parent / "beside.py").write_text("VALUE = 22\n")
    with kernels.kernel_for(notebooks[1]) as manager:
        assert ask(manager, "__import__('beside').VALUE") == 22


@e2e
@pytest.mark.skipif(not CAN_FORK, reason="cannot fork")
def test_a_forked_kernel_finds_the_packages_of_its_notebook_imported(notebooks: list[Path]) -> None:
    """Also those that a module beside the notebook imports; the module itself is left
    to the kernel.
    """
    (notebooks[0].parent / "idle.py").write_text("import chunk_of_nothing\n")
    write_notebook(notebooks[0], "first", ["import wave\ndef later():\n    import beside"])
    kernels.warm_up(notebooks[:1])
    with kernels.kernel_for(notebooks[0]) as manager:
        assert ask(
            manager, "[name in __import__('sys').modules for name in ('wave', 'beside')]"
        ) == [True, False]


@e2e
@pytest.mark.skipif(not CAN_FORK, reason="cannot fork")
def test_two_forked_kernels_draw_different_random_numbers(notebooks: list[Path]) -> None:
    """NumPy's and Python's own generators do not repeat in the next kernel what they
    gave in this one.
    """
    for notebook in notebooks:
        write_notebook(notebook, "draws", ["import numpy, random"])
    kernels.warm_up(notebooks)
    drawn = []
    for notebook in notebooks:
        with kernels.kernel_for(notebook) as manager:
            drawn.append(
                ask(manager, "(__import__('numpy').random.rand(), __import__('random').random())")
            )
    assert drawn[0][0] != drawn[1][0]
    assert drawn[0][1] != drawn[1][1]


def plots(notebook: Path) -> list[list[str]]:
    """Execute a notebook in a kernel of its own, and return the types of what each code
    cell displayed.
    """
    read = nbformat.read(notebook, as_version=4)
    with kernels.kernel_for(notebook) as manager:
        client = NotebookClient(read, km=manager)
        client.kc = manager.client()
        client.kc.start_channels()
        run_sync(client.kc.wait_for_ready)(timeout=60)
        for index, cell in enumerate(read.cells):
            client.execute_cell(cell, index)
    return [
        [kind for output in cell.outputs for kind in output.get("data", {})]
        for cell in read.cells
        if "outputs" in cell
    ]


@e2e
@pytest.mark.parametrize("cold", KINDS)
def test_plots_are_displayed(
    notebooks: list[Path], cold: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `plt.show()`, and of a cell that only draws; whatever `MPLBACKEND` says."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    drawn = "import matplotlib.pyplot as plt\nplt.plot([1, 2]){}\nNone"
    write_notebook(notebooks[0], "plots", [drawn.format("\nplt.show()"), drawn.format("")])
    kernels.warm_up(notebooks[:1], cold=cold)
    _, shown, left_open, _ = plots(notebooks[0])
    assert "image/png" in shown
    assert "image/png" in left_open


@e2e
@pytest.mark.skipif(not CAN_FORK, reason="cannot fork")
def test_a_package_that_starts_a_thread_makes_kernels_ordinary(
    notebooks: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork would lose the thread, so the kernel is a new process, and its own import
    starts the thread.
    """
    package = tmp_path / "site"
    package.mkdir()
    (package / "threaded.py").write_text(
        "import threading\nTHREAD = threading.Thread(target=threading.Event().wait, "
        "daemon=True)\nTHREAD.start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(package))
    write_notebook(notebooks[0], "threads", ["import threaded"])
    kernels.warm_up(notebooks[:1])
    with kernels.kernel_for(notebooks[0]) as manager:
        pid, group, folder = ask(manager, WHERE)
        assert psutil.Process(pid).cmdline()[1:3] == ["-m", "ipykernel_launcher"]
        assert (pid, folder) == (group, str(notebooks[0].parent))
        assert ask(manager, "__import__('threaded').THREAD.is_alive()") is True


@e2e
@pytest.mark.skipif(not CAN_FORK, reason="cannot fork")
def test_kernels_end_with_the_process_that_ordered_them(notebooks: list[Path]) -> None:
    """When the other side of its socket is closed, the fork server ends, and its
    kernels with it.
    """
    kernels.warm_up(notebooks)
    with kernels.kernel_for(notebooks[0]) as manager:
        pid = ask(manager, "__import__('os').getpid()")
        server = psutil.Process(pid).ppid()
        kernels.end_all()
        assert not is_running(server)
        wait_until(lambda: not is_running(pid), seconds=5)
        assert not run_sync(manager.is_alive)()


@e2e
@pytest.mark.skipif(not CAN_FORK, reason="cannot fork")
def test_a_killed_fork_server_is_done_without(notebooks: list[Path]) -> None:
    """Its kernels are gone before others start: else two would write the same dataset. What
    starts then, is an ordinary process.
    """
    kernels.warm_up(notebooks)
    with kernels.kernel_for(notebooks[0]) as manager:
        pid = ask(manager, "__import__('os').getpid()")
        kernels.start_ahead(notebooks[1])
        psutil.Process(psutil.Process(pid).ppid()).kill()
        wait_until(lambda: not run_sync(manager.is_alive)(), seconds=5)
        with kernels.kernel_for(notebooks[1]) as other:
            assert not isinstance(other.provisioner, ForkProvisioner)
            assert ask(other, "1 + 1") == 2
            assert not is_running(pid)


@e2e
@pytest.mark.parametrize("cold", KINDS)
def test_a_kernel_that_was_killed_before_its_stage_is_replaced(
    notebooks: list[Path], cold: bool
) -> None:
    """The stage does not fail for it."""
    kernels.warm_up(notebooks, cold=cold)
    (kernel,) = kernels._ahead.values()
    run_sync(kernel.manager.signal_kernel)(signal.SIGKILL)
    wait_until(lambda: not run_sync(kernel.manager.is_alive)(), seconds=10)
    with kernels.kernel_for(notebooks[0]) as manager:
        assert ask(manager, "1 + 1") == 2


@e2e
@pytest.mark.skipif(not CAN_FORK, reason="cannot fork")
def test_a_kernel_in_a_hurry_does_not_wait_for_imports_inside_functions(
    notebooks: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a stage begins, its kernel is forked with what its notebook imports at once."""
    (tmp_path / "slow_package.py").write_text("import time\ntime.sleep(40)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (notebooks[0].parent / "beside.py").write_text(
        "import wave\ndef rarely():\n    import slow_package\n"
    )
    start = time.monotonic()
    kernels.warm_up(notebooks)
    with kernels.kernel_for(notebooks[0]) as manager:
        assert ask(manager, "'wave' in __import__('sys').modules") is True
    assert time.monotonic() - start < 30


@e2e
@pytest.mark.skipif(not CAN_FORK, reason="cannot fork")
def test_a_kernel_that_is_still_to_be_forked_can_be_ended(
    notebooks: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed run does not wait for kernels whose imports are still going on."""
    (tmp_path / "slow_package.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    write_notebook(notebooks[1], "second", ["import slow_package"])
    kernels.warm_up(notebooks)
    with kernels.kernel_for(notebooks[0]) as manager:
        kernels.start_ahead(notebooks[1])
        assert ask(manager, "1 + 1") == 2
    start = time.monotonic()
    kernels.end_all()
    assert time.monotonic() - start < 15


def test_only_a_plain_ipykernel_is_forked() -> None:
    """A kernel specification that starts another program, or another Python, is obeyed."""
    spec = AsyncKernelManager(kernel_name="python3").kernel_spec
    assert spec is not None
    assert can_fork(spec) is CAN_FORK
    assert not can_fork(
        type(spec)(argv=["/other/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"])
    )
    assert not can_fork(type(spec)(argv=["python", "-m", "xeus", "-f", "{connection_file}"]))


def test_imports_are_found_in_the_notebook_and_the_modules_beside_it(tmp_path: Path) -> None:
    """Through other modules, in `with` and `try`; those in functions come later; local
    modules are never among them.
    """
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "near.py").write_text(
        "from __future__ import annotations\nimport far\n"
        "try:\n    import wave\nexcept ImportError:\n    import chunk\n"
        "def read():\n    import csv\n    import lazy\n"
    )
    (folder / "far.py").write_text("import near\nwith open('x'):\n    from email import policy\n")
    (folder / "lazy.py").write_text("import sndhdr_like\n")
    cells = ["%matplotlib inline\nimport zlib", "import near, json", "import gzip"]
    write_notebook(folder / "n.ipynb", "n", cells)
    found = list_package_imports(folder / "n.ipynb")
    assert [one.statement for one in found if not one.later] == [
        "import zlib",
        "from email import policy",
        "import wave",
        "import chunk",
        "import json",
        "import gzip",
        "from IPython.display import display",
    ]
    later = [one.statement for one in found if one.later]
    assert later == ["import csv", "import sndhdr_like"]


def test_a_broken_notebook_has_no_imports(tmp_path: Path) -> None:
    """It is not the fork server that tells of a notebook that cannot be read."""
    (tmp_path / "broken.ipynb").write_text('{"cells": [')
    assert list_package_imports(tmp_path / "broken.ipynb") == []
    assert list_package_imports(tmp_path / "absent.ipynb") == []
