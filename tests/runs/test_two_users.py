"""Another user of the machine learns no secret of a run: not from command lines, environments,
temporary files, sockets, nor what the run leaves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.projects import read_run, wait_until, write_notebook

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be another user"
    ),
]

SECRET = "tok-7kvwq2zx9plm4"
# What the other user tries: each line is something it got.
SPY = """
import os, pathlib, re, socket, sys
secret, folders = sys.argv[1].encode(), sys.argv[2:]
for process in pathlib.Path("/proc").glob("[0-9]*"):
    for name in ("cmdline", "environ"):
        try:
            content = (process / name).read_bytes()
        except OSError:
            continue
        if secret in content and process.name != str(os.getpid()):
            print(process / name, content[:200])
for folder in folders:
    for path in pathlib.Path(folder).rglob("*"):
        try:
            if path.is_socket():
                socket.socket(socket.AF_UNIX).connect(str(path))
                print("connected to", path)
            content = path.read_bytes() if path.is_file() else b""
        except OSError:
            continue
        if secret in content or re.search(rb'"key": *"[0-9a-f-]{20}', content):
            print(path, content[:200])
"""
WAIT = """
import os, pathlib, subprocess, time
token = os.environ["CRM_TOKEN"]
pathlib.Path("../started").touch()
for _ in range(600):
    if pathlib.Path("../go_on").exists():
        break
    time.sleep(0.1)
folder = pathlib.Path("../data/raw")
folder.mkdir(parents=True)
(folder / "table.txt").write_text("raw")
print(token)
"""


@pytest.fixture
def shared(tiny_project: Path) -> Iterator[Path]:
    """A project with a secret where every user may look, with its own temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="shared-"))
    folder.chmod(0o755)
    try:
        shutil.move(tiny_project, folder / "project")
        (folder / "tmp").mkdir(mode=0o777)
        (folder / "tmp").chmod(0o1777)
        params = folder / "project/params.yaml"
        text = params.read_text(encoding="utf-8")
        params.write_text(text.replace("${SAMPLE_TOKEN}", "${CRM_TOKEN}"), encoding="utf-8")
        write_notebook(folder / "project/notebooks/01_ingestion.ipynb", "Ingestion", [WAIT])
        yield folder
    finally:
        shutil.rmtree(folder)


def spy(folder: Path) -> list[str]:
    """Return what another user gets, beside what it was given on its own command line."""
    command = ["/usr/bin/env", "python3", "-c", SPY, SECRET, str(folder), "/dev/shm"]
    done = subprocess.run(
        command, user="nobody", extra_groups=[], cwd="/", capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_another_user_gets_nothing(shared: Path) -> None:
    """While a kernel that has the secret runs, and when the run is over."""
    project = shared / "project"
    (shared / "tmp/seen").write_text(SECRET)
    assert any("tmp/seen" in line for line in spy(shared)), "the other user can look"
    (shared / "tmp/seen").unlink()
    environment = os.environ | {"PYTHONPATH": str(project), "TMPDIR": str(shared / "tmp")}
    environment |= {"CRM_TOKEN": SECRET, "PREFECT_HOME": str(shared / "prefect")}
    environment.pop("PREFECT_API_URL", None)
    run = subprocess.Popen(
        [sys.executable, "orchestrator/flow.py", "--only", "ingestion"],
        cwd=project,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: (project / "started").exists() or run.poll() is not None, 240)
        during = spy(shared)
        (project / "go_on").touch()
        assert run.wait(240) == 0
    finally:
        run.kill()
    assert read_run(project).status == "completed"
    assert during == []
    assert spy(shared) == []
