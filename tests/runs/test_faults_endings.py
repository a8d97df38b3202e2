"""However a run ends, its record says so and nothing goes on running: Ctrl-C, SIGTERM,
kill -9, a lost server.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from helpers.projects import free_port, read_run, run_flow, wait_until, write_notebook

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("endings"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals"),
]

# A cell that leaves a process behind in a session of its own, out of reach of signals
# to the kernel's group.
SLEEPING = """
import os, pathlib, subprocess, time
subprocess.Popen(["sleep", "600"], start_new_session=True)
subprocess.Popen(["sleep", "600"])
print("asleep")
pathlib.Path("../asleep").touch()
time.sleep(600)
"""

WAITING = """
import pathlib, time
pathlib.Path("../asleep").touch()
time.sleep(600)
"""


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which runs start a temporary server; they share its database,
    which takes long to make.
    """
    return {"PREFECT_HOME": str(tmp_path_factory.mktemp("prefect"))}


@dataclass
class Started:
    """A command of the project that was started; all processes that come of it carry
    `mark` in their environment.
    """

    process: subprocess.Popen[str]
    mark: str

    def left(self) -> list[psutil.Process]:
        """Return what still runs of it, but the command itself."""
        return [
            one
            for one in psutil.process_iter()
            if one.pid != self.process.pid and self._carries(one)
        ]

    def _carries(self, process: psutil.Process) -> bool:
        try:
            return (
                process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get("TEST_MARK") == self.mark
            )
        except psutil.Error:
            return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Start a command in a session of its own; what is left of it is ended after the test."""
    started: list[Started] = []

    def start_command(root: Path, *command: str, env: dict[str, str]) -> Started:
        mark = uuid.uuid4().hex
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=root,
                env=os.environ | {"PYTHONPATH": str(root), "TEST_MARK": mark} | env,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        started.append(Started(process, mark))
        return started[-1]

    yield start_command
    for one in started:
        one.process.kill()
        one.process.wait()
        for process in one.left():
            process.kill()


def wait_until_asleep(root: Path) -> None:
    """Wait until the cell of the sleeping stage runs."""
    wait_until(lambda: (root / "asleep").exists(), seconds=240)


@pytest.mark.parametrize(
    ("number", "options"),
    [(signal.SIGINT, []), (signal.SIGTERM, []), (signal.SIGINT, ["--cold-kernels"])],
)
def test_an_interrupted_run_says_so_and_leaves_nothing(
    tiny_project: Path,
    tmp_path: Path,
    prefect_api: dict[str, str],
    start: Callable[..., Started],
    number: int,
    options: list[str],
) -> None:
    """Ctrl-C and SIGTERM end a run in seconds with 130; run and stage are recorded as
    interrupted.
    """
    write_notebook(
        tiny_project / "notebooks/02_validation.ipynb", "validation", [SLEEPING, "print('never')"]
    )
    run = start(tiny_project, "orchestrator/flow.py", *options, env=prefect_api)
    wait_until_asleep(tiny_project)
    signalled = time.monotonic()
    os.killpg(run.process.pid, number)
    assert run.process.wait(30) == 130
    assert time.monotonic() - signalled < 10
    wait_until(lambda: not run.left(), seconds=10)
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "Interrupted" in log
    record = read_run(tiny_project)
    assert record.status == "interrupted"
    assert [entry.status for entry in record.stages] == ["completed", "interrupted"] + [
        "not_run"
    ] * 4
    stage = record.stage("validation")
    assert stage.failed_cell is not None
    assert "asleep" in stage.failed_cell.source
    assert stage.cells_not_run == 2
    page = (tiny_project / "outputs/runs" / record.run_id / str(stage.report_html)).read_text()
    assert "INTERRUPTED" in page


def test_an_interruption_while_the_report_is_written(
    tiny_project: Path, prefect_api: dict[str, str], start: Callable[..., Started]
) -> None:
    """When the last cell has ended, Ctrl-C comes: report and record say the same."""
    cells = [f"print('{number} ' * 2000)" for number in range(120)]
    write_notebook(tiny_project / "notebooks/01_ingestion.ipynb", "ingestion", cells)
    run = start(tiny_project, "orchestrator/flow.py", env=prefect_api)

    def status() -> str:
        (report,) = tiny_project.glob("outputs/runs/*/01_ingestion.ipynb")
        return str(json.loads(report.read_bytes())["metadata"]["churn"]["status"])

    wait_until(lambda: bool(list(tiny_project.glob("outputs/runs/*/01*.ipynb"))), seconds=240)
    while status() == "running":
        time.sleep(0.01)
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(30) == 130
    stage = read_run(tiny_project).stage("ingestion")
    assert status() == stage.status
    assert stage.report == "01_ingestion.ipynb"


@pytest.mark.parametrize("options", [[], ["--cold-kernels"]], ids=["warm", "cold"])
def test_a_killed_run_leaves_nothing(
    tiny_project: Path,
    own_server: dict[str, str],
    start: Callable[..., Started],
    options: list[str],
) -> None:
    """After kill -9 the kernels, what they started, and the run's own Prefect server
    are gone within 10 s.
    """
    write_notebook(tiny_project / "notebooks/01_ingestion.ipynb", "ingestion", [SLEEPING])
    run = start(tiny_project, "orchestrator/flow.py", *options, env=own_server)
    wait_until_asleep(tiny_project)
    assert any("own_server" in " ".join(one.cmdline()) for one in run.left())
    run.process.kill()
    run.process.wait()
    wait_until(lambda: not run.left(), seconds=10)


def test_a_run_that_is_killed_with_its_guard_leaves_nothing_of_its_own(
    tiny_project: Path, own_server: dict[str, str], start: Callable[..., Started]
) -> None:
    """Then the server, the fork server and the kernels end by themselves."""
    write_notebook(tiny_project / "notebooks/01_ingestion.ipynb", "ingestion", [WAITING])
    run = start(tiny_project, "orchestrator/flow.py", env=own_server)
    wait_until_asleep(tiny_project)
    roles = {one: " ".join(one.cmdline()) for one in run.left()}
    assert any("own_server" in words for words in roles.values())
    (guard,) = (one for one, words in roles.items() if "leftovers" in words)
    guard.kill()
    run.process.kill()
    run.process.wait()
    wait_until(lambda: not run.left(), seconds=10)


def test_a_run_that_is_interrupted_at_its_start_leaves_nothing(
    tiny_project: Path, tmp_path: Path, own_server: dict[str, str], start: Callable[..., Started]
) -> None:
    """While Prefect is imported and its server starts, Ctrl-C ends the run as well."""
    run = start(tiny_project, "orchestrator/flow.py", env=own_server)
    wait_until(
        lambda: any("own_server" in " ".join(one.cmdline()) for one in run.left()), seconds=30
    )
    time.sleep(1)
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.process.wait(30) == 130
    wait_until(lambda: not run.left(), seconds=10)
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_finished_run_leaves_nothing(
    tiny_project: Path, prefect_api: dict[str, str], start: Callable[..., Started]
) -> None:
    """What a notebook started in a session of its own ends with the run, also where the
    run went well.
    """
    body = SLEEPING.replace("time.sleep(600)", "")
    write_notebook(tiny_project / "notebooks/01_ingestion.ipynb", "ingestion", [body])
    run = start(tiny_project, "orchestrator/flow.py", "--only", "ingestion", env=prefect_api)
    assert run.process.wait(120) == 0
    wait_until(lambda: not run.left(), seconds=10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_schedule_that_is_ended_ends_its_run(
    tiny_project: Path, own_server: dict[str, str], start: Callable[..., Started], number: int
) -> None:
    """SIGTERM or Ctrl-C to `churn serve` interrupts the run that goes on, then ends the server:
    the run is recorded as interrupted, and nothing is left.
    """
    write_notebook(tiny_project / "notebooks/01_ingestion.ipynb", "ingestion", [SLEEPING])
    schedule = start(
        tiny_project, "-m", "orchestrator", "serve", "--interval", "20", env=own_server
    )
    wait_until_asleep(tiny_project)
    roles = {one: " ".join(one.cmdline()) for one in schedule.left()}
    (server,) = (one for one, words in roles.items() if "own_server" in words)
    children = psutil.Process(schedule.process.pid).children()
    runs = [one for one in children if "spawn" in roles.get(one, "")]
    assert runs
    signalled = time.monotonic()
    schedule.process.send_signal(number)
    psutil.wait_procs(runs, timeout=30)
    assert server.is_running()
    schedule.process.wait(30)
    assert time.monotonic() - signalled < 10
    wait_until(lambda: not schedule.left(), seconds=10)
    record = read_run(tiny_project)
    assert record.status == "interrupted"
    assert record.stage("ingestion").status == "interrupted"


def test_a_server_that_does_not_answer_is_said_in_one_line(tiny_project: Path) -> None:
    """With PREFECT_API_URL on a closed port nothing starts: exit code 2, the address,
    and what to do.
    """
    address = f"http://127.0.0.1:{free_port()}/api"
    ended = run_flow(tiny_project, env={"PREFECT_API_URL": address})
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    (line,) = ended.stderr.strip().splitlines()
    assert address in line
    assert "prefect server start" in line
    assert not (tiny_project / "outputs/runs").exists()


def test_a_profile_of_prefect_is_obeyed(tiny_project: Path, tmp_path: Path) -> None:
    """The server that the active profile names is the one that a run asks."""
    address = f"http://127.0.0.1:{free_port()}/api"
    home = tmp_path / "prefect"
    home.mkdir()
    (home / "profiles.toml").write_text(
        f'active = "team"\n[profiles.team]\nPREFECT_API_URL = "{address}"\n'
    )
    ended = run_flow(tiny_project, env={"PREFECT_HOME": str(home)})
    assert ended.returncode == 2
    assert address in ended.stderr
    assert "'team'" in ended.stderr
