"""Two users and one checkout or one cache, two checkouts and one machine, a schedule and an
analyst: what waits, what is refused, and what goes on. docs/faults.md has the table.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from helpers.projects import (
    TINY_STAGES,
    churn,
    copy_project,
    drop_stage_parameters,
    read_run,
    wait_until,
    write_notebook,
)
from helpers.users import GROUP, USERS, as_user, can_be_users, share
from orchestrator.project import Project
from orchestrator.records.record import read_records

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")]

WAITING = """
import pathlib, time
pathlib.Path("../waiting").touch()
while not pathlib.Path("../go-on").exists():
    time.sleep(0.1)
"""
VERSIONING = """
from pathlib import Path
from churn import versions
folders = {name: Path("../data", name) for name in ("raw", "validated", "prepared", "features")}
versions.record_datasets(Path("..").resolve(), folders)
"""


def start(
    root: Path, words: Sequence[str], *, user: Sequence[str] = (), env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start Python with these words in a copy of the project; what it prints goes to a log."""
    with (root / "log").open("w") as log:
        return subprocess.Popen(
            [*user, sys.executable, *words],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root)} | (env or {}),
            stdout=log,
            stderr=log,
            text=True,
        )


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user of this machine can reach; the test's own is private."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def make_tiny(root: Path, **bodies: str) -> Path:
    """Make a copy of the project with tiny notebooks, some with another body."""
    copy_project(root)
    drop_stage_parameters(root)
    for number, (stage, body) in enumerate((TINY_STAGES | bodies).items(), start=1):
        write_notebook(root / f"notebooks/{number:02}_{stage}.ipynb", stage, [body])
    return root


def test_two_checkouts_run_at_once_and_do_not_meet(tmp_path: Path) -> None:
    """Started together for the first time, with one Prefect folder and one TMPDIR: each has a
    server, kernels, temporary files and records of its own.
    """
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    both = {"PREFECT_HOME": str(tmp_path / "prefect"), "TMPDIR": str(temporary)}
    meet = WAITING + "\nprint('here', pathlib.Path.cwd())"
    roots = [make_tiny(tmp_path / name, validation=meet) for name in ("one", "other")]
    runs = [start(root, ["orchestrator/flow.py"], env=both) for root in roots]
    wait_until(lambda: all((root / "waiting").exists() for root in roots), seconds=400)
    servers = [
        [one for one in psutil.Process(run.pid).children() if "own_server" in str(one.cmdline())]
        for run in runs
    ]
    assert [len(found) for found in servers] == [1, 1]
    for root in roots:
        (root / "go-on").touch()
    for run, root in zip(runs, roots, strict=True):
        assert run.wait(400) == 0, (root / "log").read_text()
        (record,) = read_records(Project(root))
        assert record.status == "completed"
        report = root / "outputs/runs" / record.run_id / str(record.stage("validation").report)
        assert f"here {root / 'notebooks'}" in report.read_text()
    assert [one.name for one in temporary.iterdir()] == []


def test_an_analyst_and_a_schedule(tiny_project: Path, prefect_api: dict[str, str]) -> None:
    """While the analyst's run goes on, what is due is skipped, commands that only read answer,
    those that write are refused with its PID; then the schedule goes on.
    """
    write_notebook(tiny_project / "notebooks/02_validation.ipynb", "validation", [WAITING])
    analyst = start(tiny_project, ["orchestrator/flow.py"], env=prefect_api)
    wait_until((tiny_project / "waiting").exists, seconds=240)
    shutil.move(tiny_project / "log", tiny_project / "log of the analyst")
    (first,) = (record.run_id for record in read_records(Project(tiny_project)))
    words = ["-m", "orchestrator", "serve", "--interval", "5"]
    schedule = start(tiny_project, words, env=prefect_api)
    try:
        for reading in (["status"], ["runs"], ["check"], ["trace", first]):
            ended = churn(tiny_project, *reading)
            assert ended.returncode == 0, (reading, ended.stderr)
        for writing in (["run"], ["restore", first], ["gc", "--keep", "1", "--yes"]):
            ended = churn(tiny_project, *writing)
            assert (ended.returncode, f"PID {analyst.pid}, started" in ended.stderr) == (2, True)
        log = tiny_project / "log"
        skipped = f"Skipped: Another run is in progress in {tiny_project}: PID {analyst.pid}"
        wait_until(lambda: skipped in log.read_text(), seconds=240)
        analyst.send_signal(signal.SIGINT)
        assert analyst.wait(60) == 130
        wait_until(lambda: len(list(read_records(Project(tiny_project)))) == 2, seconds=240)
    finally:
        schedule.send_signal(signal.SIGINT)
        schedule.wait(60)
    scheduled, interrupted = read_records(Project(tiny_project))
    assert (interrupted.run_id, interrupted.status) == (first, "interrupted")
    assert scheduled.status == "interrupted"


@pytest.fixture
def users(public: Path) -> list[list[str]]:
    """What stands before a command of one user, and of another; both share what they can."""
    if not can_be_users(public):
        pytest.skip("only root can be other users")
    return [as_user(user, public / f"home-{user}", umask="002") for user in USERS]


def test_two_users_share_a_checkout(public: Path, users: list[list[str]]) -> None:
    """In a folder of their group, the second is refused while the first one's run goes on, and
    then takes over what it made.
    """
    root = make_tiny(public / "project", transformation=TINY_STAGES["transformation"] + WAITING)
    share(root)
    first = start(root, ["orchestrator/flow.py"], user=users[0])
    wait_until((root / "waiting").exists, seconds=400)
    refused = run_as(users[1], root, "orchestrator/flow.py")
    assert refused.returncode == 2, refused.stderr
    assert f"Another run is in progress in {root}: PID " in refused.stderr
    (root / "go-on").touch()
    assert first.wait(400) == 0, (root / "log").read_text()
    write_notebook(root / "notebooks/02_validation.ipynb", "validation", ["print('edited')"])
    ended = run_as(users[1], root, "orchestrator/flow.py", "--from", "preparation")
    assert ended.returncode == 0, ended.stderr
    assert read_run(root).stage("ingestion").status == "not_run"


def run_as(user: list[str], root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user, to its end."""
    return subprocess.run(
        [*user, sys.executable, *words],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_a_checkout_of_another_user_is_refused_in_words(
    public: Path, users: list[list[str]]
) -> None:
    """Before the first stage, with the folders, and what to do; reading goes on."""
    root = make_tiny(public / "project")
    (root / "data").mkdir()
    assert churn(root, "run", "--until", "ingestion").returncode == 0
    before = json.loads(read_run(root).model_dump_json())
    refused = run_as(users[1], root, "orchestrator/flow.py", "--force")
    assert refused.returncode == 2
    assert f"{root / 'outputs'} is not writable" in refused.stderr
    assert f"{root / 'data'} is not writable" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert json.loads(read_run(root).model_dump_json()) == before
    for reading in (["runs"], ["verify", read_run(root).run_id]):
        ended = run_as(users[1], root, "-m", "orchestrator", *reading)
        assert ended.returncode == 0, (reading, ended.stderr)


def test_two_users_share_a_cache(public: Path, users: list[list[str]]) -> None:
    """Two checkouts, one cache of DVC's that is their group's: both run at once, and each finds
    its datasets in it.
    """
    cache = public / "cache"
    cache.mkdir()
    share(cache)
    roots = []
    for user, name in zip(USERS, ("one", "other"), strict=True):
        roots.append(make_tiny(public / name, versioning=VERSIONING))
        local = f"[core]\n    no_scm = true\n[cache]\n    dir = {cache}\n    shared = group\n"
        (roots[-1] / ".dvc/config.local").write_text(local)
        for path in (roots[-1], *roots[-1].rglob("*")):
            os.chown(path, user, GROUP)
    both = list(zip(roots, users, strict=True))
    runs = [start(root, ["orchestrator/flow.py"], user=user) for root, user in both]
    for run, root in zip(runs, roots, strict=True):
        assert run.wait(500) == 0, (root / "log").read_text()
    for root, user in both:
        shutil.rmtree(root / "data/features")
        ended = run_as(user, root, "-m", "orchestrator", "restore", read_run(root).run_id)
        assert ended.returncode == 0, ended.stderr
        assert (root / "data/features/table.txt").read_text() == "features"
    assert not (roots[0] / ".dvc/cache").exists()
