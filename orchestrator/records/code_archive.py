"""The code of a run, kept with it: notebooks, the modules that they use, the params file,
the uncommitted difference.
"""

from __future__ import annotations

import io
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

from churn.baseline import FOLDER as ACCEPTED
from churn.baseline import IMPORTANCE, PROFILE, SCHEMA, slug
from orchestrator.atomic_files import write_atomically
from orchestrator.project import Project
from orchestrator.records.hashes import sha256
from orchestrator.records.record import Git
from orchestrator.redaction import Redactor

DIFFERENCE = "uncommitted.diff"
_LONGEST_DIFFERENCE = 5_000_000  # characters; beyond, somebody has data under git


def keep_code(project: Project, params_file: Path, data_set: str, redactor: Redactor) -> str:
    """Keep what a run executes as `outputs/code/<SHA-256>.zip`, once for equal code,
    and return the SHA-256.

    With it goes what is accepted as normal for the data set of that name.

    Equal files give equal bytes: the archive holds no times. In a file that repeats a
    secret, its name stands instead.

    Raises:
        WriteError: it cannot be written.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in sorted(_files(project, params_file, data_set)):
            text = file.read_bytes().decode("utf-8", "surrogateescape")
            content = redactor.clean(text).encode("utf-8", "surrogateescape")
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    name = sha256(target.getvalue())
    if not code_file(project, name).exists():
        project.code.mkdir(parents=True, exist_ok=True)
        write_atomically(code_file(project, name), target.getvalue())
    return name


def code_file(project: Project, name: str) -> Path:
    """Return the archive of a run's code."""
    return project.code / f"{name}.zip"


def read_git(root: Path) -> Git | None:
    """Return the commit that is checked out, and whether files differ from it; None
    outside of git.
    """
    try:
        changed = _ask(root, "status", "--porcelain", *_OWN_FILES)
        return Git(commit=_ask(root, "rev-parse", "HEAD").strip(), dirty=bool(changed.strip()))
    except (OSError, subprocess.CalledProcessError):
        return None  # not a git checkout, no commit yet, or no git


def keep_difference(root: Path, folder: Path, redactor: Redactor) -> None:
    """Write what differs from the commit, in files that git knows, to
    `uncommitted.diff` in a run's folder.

    Raises:
        WriteError: it cannot be written.
    """
    try:
        difference = _ask(root, "diff", "HEAD", *_OWN_FILES)
    except (OSError, subprocess.CalledProcessError):
        return
    if difference and len(difference) <= _LONGEST_DIFFERENCE:
        write_atomically(
            folder / DIFFERENCE, redactor.clean(difference).encode("utf-8", "surrogateescape")
        )


# The pointers of the datasets are results: that they are not committed yet changes
# nothing for a run. What is accepted is written by runs too, and lies in the archive of
# the code.
_OWN_FILES = ("--", ".", ":!data/*.dvc", f":!{ACCEPTED}")


def _files(project: Project, params_file: Path, data_set: str) -> Iterator[tuple[str, Path]]:
    yield from project.code_files()
    for name in (SCHEMA, PROFILE, IMPORTANCE):
        path = f"{ACCEPTED}/{slug(data_set)}/{name}"
        if (project.root / path).is_file():
            yield path, project.root / path
    yield "requirements.txt", project.requirements
    yield "params.yaml", params_file


def _ask(root: Path, *words: str) -> str:
    answer = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=True)
    return answer.stdout.decode("utf-8", "surrogateescape")
