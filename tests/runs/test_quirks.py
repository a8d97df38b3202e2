"""Runs on machines that are not the one that this was written on: each quirk with a real run."""

from __future__ import annotations

import contextlib
import http.server
import os
import shlex
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.decided_runs import write_project
from helpers.projects import churn, free_port, read_run, run_flow, write_notebook
from helpers.servers import json_answer, serving
from helpers.small_disks import needs_mount

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform == "win32", reason="links, limits and paths as on POSIX"),
]

VALIDATION = ("--only", "validation", "-q")


@pytest.fixture
def ready(tiny_project: Path) -> Path:
    """A tiny project with the input that validation needs."""
    (tiny_project / "data/raw").mkdir(parents=True)
    (tiny_project / "data/raw/table.txt").write_text("raw")
    return tiny_project


def assert_well(root: Path, ended: subprocess.CompletedProcess[str]) -> None:
    """The run completed, and nothing was tried twice or told by a traceback."""
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    record = read_run(root)
    assert record.status == "completed"
    assert {one.status for one in record.stages} <= {"completed", "not_run", "reused"}


def in_shell(
    root: Path, before: str, *options: str, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the flow from a shell in which something was set before."""
    command = shlex.join([sys.executable, "orchestrator/flow.py", *options])
    return subprocess.run(
        ["sh", "-c", f"{before}; {command}"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)} | env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class _Proxy(http.server.BaseHTTPRequestHandler):
    """A company's proxy that has nothing of this machine."""

    status = 503

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"denied")

    do_POST = do_PATCH = do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@contextlib.contextmanager
def proxy(status: int | None) -> Iterator[str]:
    """Yield the address of a proxy that answers all with a status; None: it refuses."""
    if status is None:
        yield f"http://127.0.0.1:{free_port()}"
        return
    handler = type("Handler", (_Proxy,), {"status": status})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


ASK = """
import urllib.request, requests, httpx
address = {0!r}
print(urllib.request.urlopen(address).status)
requests.get(address).raise_for_status()
httpx.get(address).raise_for_status()
"""


@pytest.mark.parametrize("status", [None, 503, 403])
def test_loopback_goes_past_a_proxy(ready: Path, tmp_path: Path, status: int | None) -> None:
    """Prefect's server of our own, kernels, and what a notebook asks on this machine."""
    with serving(lambda _: json_answer({})) as server, proxy(status) as address:
        notebook = ready / "notebooks/02_validation.ipynb"
        write_notebook(notebook, "validation", [ASK.format(server.address)])
        proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), address)
        none = {"NO_PROXY": "", "no_proxy": ""}
        ended = run_flow(
            ready, *VALIDATION, env=proxies | none | {"PREFECT_HOME": str(tmp_path / "prefect")}
        )
    assert_well(ready, ended)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("before", "variables"),
    [
        ("umask 077", {}),
        ("umask 000", {}),
        ("ulimit -n 256", {}),
        ("ulimit -S -n 64", {}),
        (":", {"PYTHONSAFEPATH": "1"}),
        (":", {"MLFLOW_TRACKING_URI": "http://192.0.2.1:5000"}),
    ],
    ids=["umask 077", "umask 000", "256 files", "64 files", "safe path", "tracking address"],
)
def test_a_run_completes_whatever_the_shell_has_set(
    ready: Path, prefect_api: dict[str, str], before: str, variables: dict[str, str]
) -> None:
    """Rights of new files, open files, Python's safe path; a tracking address that does not
    count is told.
    """
    ended = in_shell(ready, before, *VALIDATION, env=prefect_api | variables)
    assert_well(ready, ended)
    for name in variables.keys() & {"MLFLOW_TRACKING_URI"}:
        assert f"{name} (http://192.0.2.1:5000) does not count" in ended.stderr


def test_too_few_open_files_are_told_at_once(ready: Path) -> None:
    """Exit code 2, with both numbers, before anything is started; `churn check` alike."""
    ended = in_shell(ready, "ulimit -n 64", *VALIDATION, env={})
    assert ended.returncode == 2
    assert "may open 64 files" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (ready / "outputs/runs").exists()
    checked = subprocess.run(
        ["sh", "-c", f"ulimit -n 64; {shlex.join([sys.executable, '-m', 'orchestrator'])} check"],
        cwd=ready,
        env=os.environ | {"PYTHONPATH": str(ready)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 2
    assert "may open 64 files" in checked.stdout


def test_a_run_without_a_home_completes(ready: Path) -> None:
    """Its own server too; that Prefect's record of it is not kept is told, and nothing is left."""
    folder = ready / "tmp"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_HOME", raising=False)
        environment = {"HOME": "/dev/null/home", "TMPDIR": str(folder)}
        ended = run_flow(ready, *VALIDATION, env=environment)
        checked = churn(ready, "check", env=environment)
    assert_well(ready, ended)
    assert "the home folder /dev/null/home" in ended.stderr
    assert "the home folder /dev/null/home" in checked.stdout
    assert list(folder.iterdir()) == []


def test_long_paths_are_no_obstacle(
    ready: Path, tmp_path: Path, prefect_api: dict[str, str]
) -> None:
    """98 characters for temporary files, 120 for the project."""
    root = Path(str(tmp_path / ("r" * 120))[:120])
    temporary = Path(str(tmp_path / ("t" * 98))[:98])
    ready.rename(root)
    temporary.mkdir()
    ended = run_flow(root, *VALIDATION, env=prefect_api | {"TMPDIR": str(temporary)})
    assert_well(root, ended)
    assert list(temporary.iterdir()) == []


def test_a_notebook_with_a_byte_order_mark_of_another_kernel_runs(
    ready: Path, prefect_api: dict[str, str]
) -> None:
    """As PowerShell 5 writes it, and VS Code names the kernel, which is said once."""
    notebook = ready / "notebooks/02_validation.ipynb"
    text = notebook.read_text().replace('"name": "python3"', '"name": "conda-env-churn-py"')
    notebook.write_text(text, encoding="utf-8-sig")
    ended = run_flow(ready, *VALIDATION, env=prefect_api)
    assert_well(ready, ended)
    assert ended.stderr.count("'conda-env-churn-py'") == 1


def move_to_another_disk(root: Path, disk: Path) -> None:
    """Let `data` and `outputs` of a project be links."""
    for name in ("data", "outputs"):
        (disk / name).mkdir(parents=True)
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).symlink_to(disk / name)


def test_folders_on_another_disk_and_braces_in_the_path(
    tmp_path: Path, prefect_api: dict[str, str]
) -> None:
    """All stages, with DVC; the record names paths as without links, and lost data comes back."""
    root = write_project(tmp_path / "{customer}")
    move_to_another_disk(root, tmp_path / "disk")
    assert_well(root, run_flow(root, "-q", env=prefect_api))
    recorded = (root / "outputs/runs" / read_run(root).run_id / "run.json").read_text()
    assert str(tmp_path / "disk") not in recorded
    shutil.rmtree(root / "data/features")
    again = run_flow(root, "-q", env=prefect_api)
    assert again.returncode == 0, again.stderr
    assert (root / "data/features/sizes.json").is_file()
    status = churn(root, "status")
    assert status.stdout.count("reused") == 6, status.stdout


@needs_mount
def test_a_read_only_checkout_with_folders_elsewhere(
    tmp_path: Path, prefect_api: dict[str, str]
) -> None:
    """DVC's cache then lies beside the data, with the settings of the checkout."""
    root = write_project(tmp_path / "project")
    move_to_another_disk(root, tmp_path / "disk")
    where = shlex.quote(str(root))
    command = shlex.join([sys.executable, "orchestrator/flow.py", "-q"])
    script = f"""
mount --bind {where} {where} && mount -o remount,ro,bind {where} && cd {where} || exit 9
touch any && exit 8
{command} && rm -r data/features && {command}"""
    ended = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        env=os.environ | prefect_api | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert_well(root, ended)
    assert (root / "data/features/sizes.json").is_file()
    assert (tmp_path / "disk/data/.dvc/cache").is_dir()
    assert not (root / ".dvc/cache").exists()
