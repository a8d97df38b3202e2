"""What the check before a run says of sources, folders, the disk and the kernel."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from churn.params import Params, load_params
from helpers.projects import free_port
from orchestrator.plan import source_reach
from orchestrator.project import Project

FACTS = "name: Test\ncustomer_id: id\nlabel: {column: churned, positive: '1'}\nsources:\n"
posix = pytest.mark.skipif(sys.platform == "win32", reason="links and paths as on POSIX")


def facts_of(folder: Path, *sources: str) -> Params:
    """Write and read a params file with these sources."""
    file = folder / "params.yaml"
    file.write_text(FACTS + "".join(f"  {source}\n" for source in sources))
    return load_params(file)


def check(
    root: Path, *options: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `churn check` in a copy of the project."""
    environment = os.environ | {"PYTHONPATH": str(root)} | (env or {})
    command = [sys.executable, "-m", "orchestrator", "check", *options]
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )


@posix
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a: {file: data/acounts.csv}", "there is no file at {root}/data/acounts.csv. Expected"),
        ("a: {file: data/acounts.csv}", "Did you mean 'accounts.csv'?"),
        ("a: {file: date/x.csv}", "The folder {root}/date does not exist either"),
        ("a: {file: data, format: csv}", "{root}/data is a folder. Expected: a file of format csv"),
        ("a: {file: data/empty.csv}", "{root}/data/empty.csv is empty, 0 bytes"),
        ("a: {file: data/linked.csv}", "is a link out of the project, to"),
        (
            "a: {file: x.csv, columns: {id: {type: id}, fee: {}}}",
            "a file of format csv with the columns id, fee",
        ),
        (
            "a: {database: 'sqlite:///data/crm.db', table: t}",
            "no file at {root}/data/crm.db. Expected there: an SQLite database",
        ),
        (
            "a: {database: 'sqlite:////nowhere/crm.db?mode=ro', table: t}",
            "there is no file at /nowhere/crm.db",
        ),
    ],
)
def test_a_source_that_is_no_file_is_told(tmp_path: Path, source: str, message: str) -> None:
    """The absolute path, what was expected there, and the nearest name."""
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    (root / "data/accounts.csv").write_text("id\n1\n")
    (root / "data/empty.csv").touch()
    (tmp_path / "outside.csv").write_text("id\n1\n")
    (root / "data/linked.csv").symlink_to(tmp_path / "outside.csv")
    (problem,) = source_reach.find_file_problems(Project(root), facts_of(tmp_path, source))
    assert problem.startswith("source 'a': ")
    assert message.format(root=root) in problem


def test_sources_that_are_there_are_no_problem(tmp_path: Path) -> None:
    """Files by relative and absolute path and by a variable; memory and addresses are
    not looked for on the disk.
    """
    (tmp_path / "a.csv").write_text("id\n1\n")
    sources = [
        "a: {file: a.csv}",
        f"b: {{file: {tmp_path}/a.csv}}",
        "c: {file: 's3://bucket/a.csv'}",
        "d: {database: 'sqlite://', table: t}",
        "e: {database: 'sqlite:///:memory:', table: t}",
        "f: {file: '${NOT_SET_IN_TESTS}/a.csv'}",
    ]
    assert (
        list(source_reach.find_file_problems(Project(tmp_path), facts_of(tmp_path, *sources))) == []
    )


def test_hosts_that_do_not_answer_are_noted_at_once_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are asked at the same time; neither passwords nor what variables hold are shown."""
    monkeypatch.setenv("TEST_HOST_URL", f"http://127.0.0.2:{free_port()}")
    monkeypatch.setenv("TEST_PASSWORD", "p@ss:word/x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        facts = facts_of(
            tmp_path,
            f"up: {{api: 'http://127.0.0.1:{server.getsockname()[1]}/v1'}}",
            f"down: {{database: 'postgresql://crm:s3cret@127.0.0.1:{free_port()}/crm', table: t}}",
            "hidden: {api: '${TEST_HOST_URL}/v1'}",
            "unknown: {api: 'http://no-such-host.invalid/v1'}",
            *(f"silent{n}: {{api: 'http://192.0.2.{n}:81/v1'}}" for n in range(1, 4)),
            "unset: {api: '${NOT_SET_IN_TESTS}/v1'}",
            "odd: {database: 'postgresql://crm:${TEST_PASSWORD}@', table: t}",
        )
        began = time.monotonic()
        notes = "\n".join(source_reach.find_unreachable(facts))
        assert time.monotonic() - began < 2 * 1.0
        # Remembered: a run asks twice.
        assert list(source_reach.find_unreachable(facts)) == notes.split("\n")
    told = notes.split("\n")
    assert [name for name in ("down", "hidden", "unknown") if f"'{name}'" not in notes] == []
    assert "127.0.0.1" in told[0]
    assert "refused" in told[0]
    assert "no-such-host.invalid" in notes
    assert notes.count("source 'silent") == 3
    assert "'up'" not in notes
    assert "'unset'" not in notes
    for secret in ("s3cret", "127.0.0.2", "p@ss", "word/x"):
        assert secret not in notes


def test_a_host_that_is_down_does_not_keep_a_run_from_starting(tiny_project: Path) -> None:
    """`churn check` notes it and ends with 0: ingestion tries again, and waits."""
    (tiny_project / "own.yaml").write_text(
        FACTS + f"  a: {{api: 'http://127.0.0.1:{free_port()}/v1'}}\n"
    )
    ended = check(tiny_project, "--params", "own.yaml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (note,) = [line for line in ended.stdout.splitlines() if "source 'a'" in line]
    assert "note:" in note
    assert "127.0.0.1" in note
    assert "refused" in note


def test_check_lists_what_was_checked_and_every_problem(tiny_project: Path) -> None:
    """A broken notebook, module, parameter, params file and source at once: exit code
    2, no traceback, under 3 s.
    """
    (tiny_project / "own.yaml").write_text(FACTS + "  a: {file: missing.csv}\n")
    notebook = tiny_project / "notebooks/02_validation.ipynb"
    notebook.write_text(
        notebook.read_text().replace("import pathlib", "import helper\\nprint(undefined_name)")
    )
    (tiny_project / "notebooks/helper.py").write_text("def f(:\n")
    (tiny_project / "notebooks/04_transformation.ipynb").write_text("{")
    began = time.monotonic()
    ended = check(tiny_project, "--params", "own.yaml", "--set", "preparation.nubmer=1")
    seconds = time.monotonic() - began
    assert ended.returncode == 2
    for part in (
        "notebooks/02_validation.ipynb, cell 2 (Step 1), line 3: the name 'undefined_name' is "
        "not defined",
        "notebooks/helper.py, line 1: SyntaxError",
        "notebooks/04_transformation.ipynb is not a notebook",
        "preparation has no parameter 'nubmer'; did you mean 'number'?",
        "source 'a': there is no file at",
        "ok      disk: ",
    ):
        assert part in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
    assert seconds < 2 * 3


def list_kept(root: Path) -> set[Path]:
    """List what lies in a project, but for caches."""
    inside = (path.relative_to(root) for path in root.rglob("*"))
    return {path for path in inside if not {"__pycache__", "tmp"} & set(path.parts)}


def test_check_of_the_project_finds_nothing(project_copy: Path) -> None:
    """Nothing stands in the way of the default run; nothing is left behind, and nothing
    heavy is imported.
    """
    before = list_kept(project_copy)
    ended = check(project_copy, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert ended.returncode == 0, ended.stdout
    assert "PROBLEM" not in ended.stdout
    assert "note:" not in ended.stdout
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert (
        imported
        & {"prefect", "papermill", "mlflow", "pandas", "dvc", "nbconvert", "sqlalchemy", "IPython"}
        == set()
    )
    assert list_kept(project_copy) == before


def test_an_unreadable_params_file_is_one_of_the_problems(tiny_project: Path) -> None:
    """A day that does not exist, bytes of another encoding, a folder: named, beside
    what is wrong elsewhere.
    """
    file = tiny_project / "own.yaml"
    (tiny_project / "notebooks/04_transformation.ipynb").write_text("{")
    for content, message in (
        (b"as_of: 2025-13-45\n", "own.yaml cannot be read"),
        (b"name: \xff\n", "own.yaml"),
    ):
        file.write_bytes(content)
        ended = check(tiny_project, "--params", "own.yaml")
        assert ended.returncode == 2
        assert message in ended.stdout
        assert "04_transformation.ipynb is not a notebook" in ended.stdout
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("kernel", "language"), [("ir", "R"), ("conda-env-churn-py", "python"), (".venv", "python")]
)
def test_a_notebook_saved_for_another_kernel_is_told(
    tiny_project: Path, kernel: str, language: str
) -> None:
    """One of Python runs in this environment, which is a note; another language is a problem."""
    for name in ("02_validation", "03_preparation"):
        notebook = tiny_project / f"notebooks/{name}.ipynb"
        content = json.loads(notebook.read_text())
        content["metadata"]["kernelspec"] |= {"name": kernel, "language": language}
        notebook.write_text(json.dumps(content))
    ended = check(tiny_project)
    assert ended.returncode == (0 if language == "python" else 2)
    named = [line for line in ended.stdout.splitlines() if repr(kernel) in line]
    assert len(named) == (1 if language == "python" else 2)
    assert sys.executable in named[0] or "'python3'" in named[0]


@posix
def test_a_kernel_whose_python_is_gone_is_told(tiny_project: Path, tmp_path: Path) -> None:
    """A kernel of an environment that was removed hides this one's; one of another
    environment is noted.
    """
    spec = tmp_path / "jupyter/kernels/python3/kernel.json"
    spec.parent.mkdir(parents=True)
    environment = {"JUPYTER_PATH": str(tmp_path / "jupyter")}
    spec.write_text(
        json.dumps(
            {"argv": ["/nowhere/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
        )
    )
    ended = check(tiny_project, env=environment)
    assert ended.returncode == 2
    assert (
        f"the kernel 'python3' of {spec} starts /nowhere/bin/python, which is not there"
        in ended.stdout
    )
    other = tmp_path / "bin/python"
    other.parent.mkdir()
    other.symlink_to(sys.executable)
    spec.write_text(json.dumps({"argv": [str(other)]}))
    ended = check(tiny_project, env=environment)
    assert ended.returncode == 0
    assert f"note: the kernel 'python3' of {spec} runs {other}" in ended.stdout
    spec.write_text("{}")
    ended = check(tiny_project, env=environment)
    assert ended.returncode == 2
    assert "'python3'" in ended.stdout
    assert str(spec) in ended.stdout


def test_a_file_in_the_place_of_a_folder_is_told(tiny_project: Path) -> None:
    """`outputs` has to be a folder, or to be made."""
    (tiny_project / "outputs").write_text("")
    ended = check(tiny_project)
    assert ended.returncode == 2
    assert f"{tiny_project / 'outputs'} is not writable" in ended.stdout
    assert "expected a folder" in ended.stdout


def test_disk_space_is_measured_against_the_data(tiny_project: Path) -> None:
    """A run needs twice what data/ holds: a sparse file of four terabytes asks for more
    than there is.
    """
    (tiny_project / "data").mkdir(exist_ok=True)
    with (tiny_project / "data/huge.bin").open("wb") as file:
        file.truncate(2**42)
    ended = check(tiny_project)
    assert ended.returncode == 2
    assert "8,796.1 GB" in ended.stdout
    assert str(tiny_project / "outputs") in ended.stdout
