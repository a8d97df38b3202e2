"""A full disk and folders that cannot be written to: told before a stage runs, or
survived without loss.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from helpers.projects import read_run, run_flow, write_notebook
from helpers.small_disks import needs_mount, run_on_small_disk
from orchestrator.records.record import RunRecord

pytestmark = pytest.mark.e2e

NOBODY = 65534
MB = 1_000_000
ENOUGH = 260 * MB  # a little more than a run asks for
RUN = [sys.executable, "orchestrator/flow.py", "--only", "validation"]
FILL = """
import os, pathlib
if number == 1:
    with open("../{0}/big.bin", "wb") as file:
        while True:
            file.write(os.urandom(1_000_000))
"""


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files of a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def ready(tiny_project: Path) -> Path:
    """A tiny project with the input that validation needs."""
    (tiny_project / "data/raw").mkdir(parents=True)
    (tiny_project / "data/raw/table.txt").write_text("raw")
    return tiny_project


@needs_mount
@pytest.mark.parametrize("folder", ["outputs", "data"])
def test_too_little_space_is_told_before_a_stage_runs(
    ready: Path, folder: str, prefect_api: dict[str, str]
) -> None:
    """Exit code 2, the folder, and both numbers; nothing is written."""
    ended = run_on_small_disk(
        ready, {folder: 100 * MB}, f"{shlex.join(RUN)}; ended=$?", prefect_api
    )
    assert ended.returncode == 2, ended.stderr
    assert f"the disk of {ready / folder} has 100 MB free" in ended.stderr
    assert "200 MB: make room" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (ready / "outputs/runs").exists()
    assert not (ready / "outputs.after/runs").exists()


@needs_mount
@pytest.mark.parametrize("folder", ["outputs", "data"])
def test_a_disk_that_fills_while_a_stage_runs_costs_no_earlier_report(
    ready: Path, folder: str, prefect_api: dict[str, str]
) -> None:
    """Exit code 1 and a message; what earlier runs left is the same to the byte; with
    room again a run completes.
    """
    earlier = run_flow(ready, "--only", "validation", env=prefect_api)
    assert earlier.returncode == 0, earlier.stderr
    first = read_run(ready).run_id
    write_notebook(
        ready / "notebooks/02_validation.ipynb",
        "Validation",
        ["print('so far')", FILL.format(folder)],
    )
    script = f"{shlex.join(RUN)}; ended=$?; cp -a outputs full; rm {folder}/big.bin"
    again = f"{shlex.join(RUN)} --set validation.number=2 >again.log 2>&1 || exit 9"
    ended = run_on_small_disk(ready, {folder: ENOUGH}, f"{script}; {again}", prefect_api)
    assert ended.returncode == 1, ended.stderr + (ready / "again.log").read_text()
    assert "No space left on device" in ended.stderr[-700:]
    assert "Traceback" not in ended.stderr
    kept = {path: content for path, content in contents(ready / "outputs").items() if first in path}
    assert any(path.endswith(".html") for path in kept)
    assert read_statuses(ready / "full", kept) == ["failed", "completed"]
    later = ready / ("outputs.after" if folder == "outputs" else "outputs")
    assert read_statuses(later, kept) == ["completed", "failed", "completed"]


@needs_mount
@pytest.mark.parametrize("name", ["TMPDIR", "PREFECT_HOME", "cache"])
def test_another_disk_that_is_full_is_told_before_a_stage_runs(ready: Path, name: str) -> None:
    """Of temporary files, Prefect's database, DVC's cache: exit code 2, and the folder."""
    folder = ".dvc/cache" if name == "cache" else "full"
    environment = {} if name == "cache" else {name: str(ready / folder)}
    script = f"{shlex.join(RUN)}; ended=$?"
    ended = run_on_small_disk(ready, {folder: MB}, script, environment)
    assert ended.returncode == 2, ended.stderr
    assert str(ready / folder) in ended.stderr
    assert "make room" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (ready / "outputs/runs").exists()


def read_statuses(outputs: Path, kept: dict[str, bytes]) -> list[str]:
    """Read all records, newest first; the files kept are there, every report opens, no
    temporary file is left.
    """
    found = contents(outputs)
    assert {path: found.get(path) for path in kept} == kept
    assert [path for path in found if path.endswith((".tmp", ".part"))] == []
    for path in (outputs / "runs").rglob("*.ipynb"):
        nbformat.validate(nbformat.read(path, as_version=4))
    records = [found[path] for path in sorted(found, reverse=True) if path.endswith("run.json")]
    assert len(records) == len(list((outputs / "runs").iterdir()))
    return [RunRecord.model_validate_json(record).status for record in records]


# As root no folder is read-only. This user may read all that root may, such as Python
# itself, but not write.
AS_NOBODY = shlex.split(
    "setpriv --reuid 65534 --regid 65534 --clear-groups"
    " --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search"
)
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def can_be_another() -> bool:
    """Whether commands can run as a user who is not root."""
    if not IS_ROOT:
        return sys.platform != "win32"
    command = [*AS_NOBODY, sys.executable, "-c", ""]
    return (
        bool(shutil.which("setpriv"))
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


def give_away(root: Path) -> None:
    """Let the project belong to the user who is not root."""
    for path in [root, *root.rglob("*")] if IS_ROOT else []:
        os.chown(path, NOBODY, NOBODY)


@pytest.mark.skipif(
    not can_be_another(), reason="no way to run as a user whom permissions hold for"
)
@pytest.mark.parametrize("folder", ["outputs", "data", "outputs/runs"])
def test_a_read_only_folder_is_told_before_a_stage_runs(
    ready: Path, folder: str, prefect_api: dict[str, str]
) -> None:
    """As a user who is not root: exit code 2, the folder's path, what to do; no stage
    has run, nothing has changed.
    """
    (ready / folder).mkdir(parents=True, exist_ok=True)
    give_away(ready)
    (ready / folder).chmod(0o555)
    before = contents(ready)
    ended = subprocess.run(
        [*(AS_NOBODY if IS_ROOT else []), *RUN],
        cwd=ready,
        env=os.environ | prefect_api | {"PYTHONPATH": str(ready), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    (ready / folder).chmod(0o755)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert f"{ready / folder} is not writable: Permission denied" in ended.stderr
    assert "Give the user" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not any(path.is_dir() for path in (ready / "outputs/runs").glob("*"))
    aside = ("outputs/run.lock", "outputs/run.holder", ".dvc/tmp/churn/")
    assert {
        path: content for path, content in contents(ready).items() if not path.startswith(aside)
    } == before
