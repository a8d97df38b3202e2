"""`churn verify`: recomputes the hashes that a run's record holds, and says what is
intact, missing or altered.

Only reads, and remembers nothing: each file is read whole, whatever its time and size say.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from churn.summary import RegisteredModel
from orchestrator.errors import UsageError
from orchestrator.models.mlflow_queries import database_file, find_model_files, tracking_uri
from orchestrator.plan.fingerprint import combine
from orchestrator.project import Project
from orchestrator.records.code_archive import code_file
from orchestrator.records.dvc_cache import find_object, list_files
from orchestrator.records.hashes import measure, sha256
from orchestrator.records.record import Content, RunRecord, StageRecord, read_record
from orchestrator.stages import dataset_of, is_dataset, is_of_scoring, is_pointer

Verdict = Literal["intact", "missing", "altered", "not checked", "not kept"]

_REDACTED = re.compile(rb"\*\*\*\w+\*\*\*")  # as `orchestrator.redaction` writes it


@dataclass(frozen=True)
class Finding:
    """What became of one thing that a record has the hash of, and where it was looked for."""

    what: str
    verdict: Verdict
    where: str

    @property
    def is_good(self) -> bool:
        """Whether nothing is missing or altered."""
        return self.verdict not in ("missing", "altered")

    def __str__(self) -> str:
        """Return the line that the command prints."""
        return f"{self.verdict:<11} {self.what}: {self.where}"


def verify_run(project: Project, run_id: str) -> Iterator[Finding]:
    """Yield what became of datasets, pointers, reports, code and model of a run.

    A reused stage's report and notebook are those of the run that it was reused from.

    Raises:
        UsageError: there is no such run.
    """
    record = read_record(project, run_id)
    yield from _check_contents(project, record)
    for entry in record.stages:
        if entry.report_sha256:
            yield _check_report(project, record, entry)
    if record.code_sha256:
        yield from _check_code(project, record, record.code_sha256)
    for entry in record.stages:
        if entry.notebook_sha256:
            yield _check_notebook(project, record, entry)
        if entry.fingerprint:
            is_same = combine(entry.decided_by) == entry.fingerprint
            yield Finding(
                f"fingerprint of {entry.name}",
                "intact" if is_same else "altered",
                "of the parts beside it",
            )
        if entry.model and entry.model.model_sha256:
            yield _check_model(project, entry, entry.model)


def pointer_text(dataset: str, content: Content) -> str:
    """Return the `.dvc` file of a dataset as DVC writes it beside a project without git."""
    facts = {"md5": content.md5, "size": content.bytes, "nfiles": content.files, "hash": "md5"}
    lines = [
        f"{name}: {value}" for name, value in {**facts, "path": dataset.rpartition("/")[2]}.items()
    ]
    return "outs:\n- " + "\n  ".join(lines) + "\n"


def _check_contents(project: Project, record: RunRecord) -> Iterator[Finding]:
    contents = {
        (path, content.md5): content
        for entry in record.stages
        for path, content in [*entry.inputs.items(), *entry.outputs.items()]
    }
    for (path, md5), content in contents.items():
        what = f"{path} {md5}"
        place = project.root / path
        if place.exists() and measure(place).md5 == md5:
            yield Finding(what, "intact", f"in {path}")
        elif is_dataset(path):
            yield _check_cached(project, path, content, what)
        elif is_of_scoring(path):
            yield Finding(
                what, "not kept", f"{path} is not versioned: each scoring run replaces it"
            )
        elif is_pointer(path) and _follows(path, md5, contents):
            yield Finding(
                what,
                "intact",
                f"follows from the hash of {dataset_of(path)} in the record",
            )
        else:
            yield Finding(what, *_lost(project, place))


def _follows(pointer: str, md5: str, contents: dict[tuple[str, str], Content]) -> bool:
    dataset = dataset_of(pointer)
    texts = [
        pointer_text(path, content) for (path, _), content in contents.items() if path == dataset
    ]
    return any(
        hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() == md5 for text in texts
    )


def _check_cached(project: Project, path: str, content: Content, what: str) -> Finding:
    """Check the list of a dataset's files and each of the files in DVC's cache."""
    now = (
        f"{path} is another version now"
        if (project.root / path).exists()
        else f"there is no {path}"
    )
    listed = find_object(project, content.md5)
    if not listed.is_file():
        verdict, lost = _lost(project, project.root / path)
        return Finding(what, verdict, f"{lost}, and DVC's cache does not have it")
    if measure(listed).md5 != content.md5.removesuffix(".dir"):
        return Finding(
            what, "altered", f"{now}, and in DVC's cache its list of files is corrupt ({listed})"
        )
    files = {
        name: find_object(project, md5) for name, md5 in list_files(project, content.md5).items()
    }
    hashes = list_files(project, content.md5)
    missing = sorted(name for name, file in files.items() if not file.is_file())
    altered = sorted(
        name for name, file in files.items() if file.is_file() and measure(file).md5 != hashes[name]
    )
    if altered:
        return Finding(
            what, "altered", f"{now}, and in DVC's cache its {', '.join(altered)} is corrupt"
        )
    if missing:
        return Finding(
            what, "missing", f"{now}, and DVC's cache does not have its {', '.join(missing)}"
        )
    return Finding(what, "intact", f"in DVC's cache ({now})")


def _lost(project: Project, place: Path) -> tuple[Verdict, str]:
    path = project.relative(place)
    return (
        ("altered", f"{path} holds something else")
        if place.exists()
        else ("missing", f"there is no {path}")
    )


def _check_report(project: Project, record: RunRecord, entry: StageRecord) -> Finding:
    what = f"report of {entry.name}"
    if entry.report is None:
        return Finding(
            what, "missing", f"it was gone already when run {record.run_id} reused the stage"
        )
    file = (project.runs / record.run_id / entry.report).resolve()
    return _check_file(project, file, str(entry.report_sha256), what)


def _check_file(project: Project, file: Path, recorded: str, what: str) -> Finding:
    if not file.is_file():
        return Finding(what, "missing", f"there is no {project.relative(file)}")
    if (actual := sha256(file.read_bytes())) != recorded:
        return Finding(
            what,
            "altered",
            f"{project.relative(file)} has the SHA-256 {actual}, recorded is {recorded}",
        )
    return Finding(what, "intact", project.relative(file))


def _check_code(project: Project, record: RunRecord, name: str) -> Iterator[Finding]:
    yield _check_file(project, code_file(project, name), name, "code archive")
    yield _check_member(
        project, record, "params.yaml", record.params_sha256, f"params file {record.params_file}"
    )
    yield _check_member(
        project, record, "requirements.txt", record.environment.lock_sha256, "requirements.txt"
    )


def _check_notebook(project: Project, record: RunRecord, entry: StageRecord) -> Finding:
    what = f"notebook of {entry.name}"
    try:
        origin = read_record(project, entry.reused_from) if entry.reused_from else record
    except UsageError:
        origin = record  # which has it too, unless words or comments were edited in between
    return _check_member(project, origin, entry.notebook, str(entry.notebook_sha256), what)


def _check_member(
    project: Project, record: RunRecord, name: str, recorded: str, what: str
) -> Finding:
    archive = code_file(project, str(record.code_sha256))
    shown = f"{name} in {project.relative(archive)}"
    try:
        with zipfile.ZipFile(archive) as opened:
            content = opened.read(name)
    except FileNotFoundError:
        return Finding(what, "missing", f"there is no {project.relative(archive)}")
    except KeyError:
        return Finding(what, "missing", f"there is no {shown}")
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        return Finding(what, "altered", f"{shown} cannot be read: {error}")
    if (actual := sha256(content)) == recorded:
        return Finding(what, "intact", shown)
    if _REDACTED.search(content):
        return Finding(
            what, "not checked", f"{shown} has the name of a secret where the file had the secret"
        )
    return Finding(what, "altered", f"{shown} has the SHA-256 {actual}, recorded is {recorded}")


def _check_model(project: Project, entry: StageRecord, model: RegisteredModel) -> Finding:
    """Check the file of the model that a model building registered, where MLflow keeps
    it on this machine.
    """
    what, recorded = "model", model.model_sha256
    database = database_file(project, tracking_uri(project, entry))
    if database is None:
        return Finding(what, "not checked", "it was registered on a server")
    if not database.is_file():
        return Finding(what, "missing", f"there is no MLflow database {project.relative(database)}")
    try:
        files = find_model_files(database, model.mlflow_run_id, wait_seconds=5)
    except (sqlite3.Error, TimeoutError) as error:
        return Finding(what, "not checked", str(error))
    if not files:
        return Finding(what, "missing", "MLflow no longer has it")
    found = [_check_file(project, file, recorded, what) for file in files]
    return next((finding for finding in found if finding.verdict == "intact"), found[0])
