"""What is told, before a run, of MLflow's database, DVC's pointers and remote, and locks."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.decided_runs import decide, kinds
from helpers.projects import churn, run_flow
from orchestrator.models.mlflow_queries import find_damage

TRACKING = 'number = 1\ntracking_uri = "sqlite:///../outputs/mlflow.db"  # the database'


def damage(database: Path, how: str) -> None:
    """Cut a database, or write random bytes: over all of it, or into its middle."""
    size = database.stat().st_size
    if how == "cut":
        os.truncate(database, size // 2)
    elif how == "random":
        database.write_bytes(os.urandom(size))
    else:
        with database.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(8 * 4096))


@pytest.mark.parametrize("how", ["cut", "random", "middle"])
def test_a_damaged_database_of_mlflow_is_told(
    tiny_project: Path, outputs: Path, empty_database: Path, how: str
) -> None:
    """Before the first stage, with its path; `churn check` alike."""
    notebook = tiny_project / "notebooks/06_model_building.ipynb"
    text = json.loads(notebook.read_text())
    text["cells"][1]["source"] = TRACKING
    notebook.write_text(json.dumps(text))
    shutil.move(outputs, tiny_project / "outputs")
    database = tiny_project / "outputs/mlflow.db"
    assert find_damage(database) == ""
    damage(database, how)
    ended = churn(tiny_project, "check")
    assert ended.returncode == 2
    assert f"{database} is damaged" in ended.stdout
    assert "Traceback" not in ended.stderr


def test_a_database_that_another_program_holds_is_not_damaged(outputs: Path) -> None:
    """Model building waits for it."""
    with contextlib.closing(sqlite3.connect(outputs / "mlflow.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert find_damage(outputs / "mlflow.db") == ""


@pytest.mark.e2e
def test_a_damaged_pointer_is_no_obstacle(project: Path) -> None:
    """`check` and `status` name it; its dataset brings it back."""
    pointer = project / "data/features.dvc"
    whole = pointer.read_text()
    pointer.write_text("<<<<<<< HEAD\nouts: []\n=======\n>>>>>>> other\n")
    for command in ("check", "status"):
        told = churn(project, command)
        assert told.returncode == 0
        assert f"{pointer} is no pointer" in told.stdout
    only = churn(project, "check", "--only", "model_building")
    assert only.returncode == 2
    assert f"{pointer} is no pointer" in only.stdout
    decisions = decide(project)
    assert kinds(decisions) == "======"
    versioning = decisions["versioning"]
    assert versioning.entry
    lost = {path: versioning.entry.outputs[path] for path in versioning.to_restore}
    assert list(lost) == ["data/features.dvc"]
    ended = run_flow(project)
    assert ended.returncode == 0
    assert pointer.read_text() == whole
    assert "features.dvc.damaged-1" in ended.stderr


def test_a_remote_without_its_package_is_told(tiny_project: Path) -> None:
    """Before the first stage, unless nothing is copied there."""
    config = tiny_project / ".dvc/config"
    config.write_text("[core]\n    remote = store\n['remote \"store\"']\n    url = s3://b/p\n")
    ended = churn(tiny_project, "check")
    assert ended.returncode == 2
    assert "dvc-s3" in ended.stdout
    assert churn(tiny_project, "check", "--until", "transformation").returncode == 0


# A file system without locks, for the files below one folder.
NO_LOCKS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int within(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    const char *folder = getenv("WITHOUT_LOCKS");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

int flock(int fd, int operation) {
    static int (*real)(int, int);
    if (within(fd)) { errno = ENOLCK; return -1; }
    if (!real) real = dlsym(RTLD_NEXT, "flock");
    return real(fd, operation);
}

static int lock(const char *name, int fd, int command, void *argument) {
    if ((command == F_SETLK || command == F_SETLKW) && within(fd)) { errno = ENOLCK; return -1; }
    int (*real)(int, int, ...) = dlsym(RTLD_NEXT, name);
    return real(fd, command, argument);
}

#define WRAP(name) int name(int fd, int command, ...) { \
    va_list rest; va_start(rest, command); void *argument = va_arg(rest, void *); va_end(rest); \
    return lock(#name, fd, command, argument); }
WRAP(fcntl)
WRAP(fcntl64)
"""


@pytest.mark.skipif(
    not (sys.platform == "linux" and shutil.which("cc")), reason="needs Linux and a C compiler"
)
@pytest.mark.parametrize("folder", ["outputs", "data"])
def test_a_folder_whose_files_cannot_be_locked_is_told(
    tiny_project: Path, tmp_path: Path, folder: str
) -> None:
    """As on some network file systems; nothing is left in it."""
    (tmp_path / "locks.c").write_text(NO_LOCKS)
    library = tmp_path / "locks.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", library, tmp_path / "locks.c", "-ldl"], check=True
    )
    without = tiny_project / folder
    without.mkdir(exist_ok=True)
    before = set(without.iterdir())
    ended = churn(
        tiny_project, "check", env={"LD_PRELOAD": str(library), "WITHOUT_LOCKS": str(without)}
    )
    assert ended.returncode == 2, ended.stdout
    assert f"files in {without} cannot be locked" in ended.stdout
    assert set(without.iterdir()) == before
    assert churn(tiny_project, "check").returncode == 0
