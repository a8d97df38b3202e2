"""Lays a past run out in a folder of its own: its code, and a verified copy of the data
that it started from.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from churn.baseline import FOLDER as ACCEPTED
from orchestrator.atomic_files import write_atomically
from orchestrator.errors import RestoreError, UsageError
from orchestrator.history.verify import pointer_text
from orchestrator.project import Project
from orchestrator.records import dvc_cache
from orchestrator.records.code_archive import code_file
from orchestrator.records.hashes import measure, sha256
from orchestrator.records.record import Content, RunRecord, StageRecord, load_record, read_records
from orchestrator.stages import VERSIONING, Stage, dataset_of, is_pointer, pointer_of

MARK = "rerun.json"  # in the folder of a rerun, which may be replaced by the next

_DVC_CONFIG = """\
[core]
    analytics = false
    check_update = false
    autostage = false
[cache]
    dir = cache
"""
_DONE = ("completed", "reused")


def find_folder(project: Project, run_id: str, into: Path | None) -> Path:
    """Return the folder of a rerun: `into`, or by default one in `outputs/reruns/`.

    Raises:
        UsageError: something else lies there, or it is another part of the project.
    """
    own, root = (project.outputs / "reruns").resolve(), project.root.resolve()
    folder = (into or own / run_id).resolve()
    if own in folder.parents:
        return folder
    if folder.is_relative_to(root) or root.is_relative_to(folder):
        raise UsageError(
            f"{folder} is a part of this project, or holds it: name a folder outside, or below "
            f"{own}."
        )
    is_taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if is_taken and not (folder / MARK).is_file():
        raise UsageError(
            f"{folder} exists and is no earlier rerun, so it is not replaced: name another folder."
        )
    return folder


def clear(target: Project) -> None:
    """Empty the folder, and mark it as one that may be replaced."""

    def make_writable(function: Callable[..., Any], path: str, _: Any) -> None:
        os.chmod(path, stat.S_IWRITE)  # Windows does not remove the read-only files of a DVC cache
        function(path)

    if target.root.exists():
        shutil.rmtree(target.root, onerror=make_writable)
    target.root.mkdir(parents=True)
    write_atomically(target.root / MARK, b"{}\n")


def unpack_code(project: Project, record: RunRecord, target: Project) -> None:
    """Lay out the run's code, with its params file as `params.yaml`, and DVC's settings
    without a remote.
    """
    with zipfile.ZipFile(_find_archive(project, record)) as opened:
        opened.extractall(target.root)
    (target.root / ".dvc").mkdir()
    write_atomically(target.root / ".dvc/config", _DVC_CONFIG.encode())
    target.data.mkdir(exist_ok=True)
    unpack_accepted(project, record, target)
    if (project.root / ".dvcignore").is_file():  # it decides what of a dataset counts
        shutil.copyfile(project.root / ".dvcignore", target.root / ".dvcignore")


def unpack_accepted(project: Project, record: RunRecord, target: Project) -> None:
    """Lay out what was accepted as normal when validation was executed: where it was
    reused, in an earlier run.
    """
    executed_in = record.stage("validation").reused_from
    if executed_in is None:
        return
    origin = load_record(project, executed_in)
    shutil.rmtree(target.root / ACCEPTED, ignore_errors=True)
    with zipfile.ZipFile(_find_archive(project, origin)) as opened:
        opened.extractall(
            target.root, [name for name in opened.namelist() if name.startswith(f"{ACCEPTED}/")]
        )


def _find_archive(project: Project, record: RunRecord) -> Path:
    """Return the archive of a run's code, after verifying it."""
    archive = code_file(project, record.code_sha256 or "")
    if not record.code_sha256 or not archive.is_file():
        raise RestoreError(f"The code of run {record.run_id} is missing: there is no {archive}.")
    if (actual := sha256(archive.read_bytes())) != record.code_sha256:
        raise RestoreError(
            f"{archive} was altered: it has the SHA-256 {actual}, its name is what it had."
        )
    return archive


def bring_inputs(
    project: Project, record: RunRecord, stages: tuple[Stage, ...], target: Project
) -> None:
    """Copy what the stages read and none of them writes: data/raw, and more where the
    run began later.
    """
    made = {path for stage in stages for path in stage.writes}
    contents = {
        path: content
        for stage in stages
        for path, content in record.stage(stage.name).inputs.items()
        if path not in made
    }
    for path, content in contents.items():
        if is_pointer(path):
            _bring_pointer(project, path, content, target)
        else:
            _bring(project, path, content, target)


def _bring(project: Project, path: str, content: Content, target: Project) -> None:
    """Copy a dataset as it lies, if it is what it was, or else from DVC's cache; what
    arrives is verified.
    """
    place, there = project.root / path, target.root / path
    if place.exists() and measure(place).md5 == content.md5:
        shutil.copytree(place, there, copy_function=shutil.copyfile)
    else:
        from churn.versions import open_repo  # loads DVC
        from orchestrator.records.restore import bring_to_cache

        try:
            with open_repo(project.root) as repo:
                bring_to_cache(repo, path, content.md5)
        except FileNotFoundError as error:
            raise RestoreError(
                f"{path} is not what it was, and there is no DVC cache: {error}"
            ) from None
        for name, md5 in dvc_cache.list_files(project, content.md5).items():
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dvc_cache.find_object(project, md5), there / name)
    if (actual := measure(there).md5) != content.md5:
        raise RestoreError(
            f"{path} arrived in {target.root} with the hash {actual}, expected {content.md5}."
        )


def _bring_pointer(project: Project, path: str, content: Content, target: Project) -> None:
    """Write a pointer that an earlier run made: the dataset's content that follows from
    it is in that run's record.
    """
    dataset = dataset_of(path)
    found = (
        entry.inputs[dataset] for entry in _entries(project, VERSIONING) if dataset in entry.inputs
    )
    texts = (pointer_text(dataset, one).encode() for one in found)
    text = next(
        (
            one
            for one in texts
            if hashlib.md5(one, usedforsecurity=False).hexdigest() == content.md5
        ),
        None,
    )
    if text is None:
        raise RestoreError(
            f"{path} cannot be written as it was: no record holds the content of {dataset} then."
        )
    write_atomically(target.root / path, text)


def bring_earlier(
    project: Project, record: RunRecord, stages: tuple[Stage, ...], target: Project
) -> None:
    """Lay out what versioning compares the datasets with: the versions before."""
    if VERSIONING in {stage.name for stage in stages} and (
        before := _before(project, record, VERSIONING)
    ):
        for dataset, content in before.inputs.items():
            pointer = pointer_text(dataset, content)
            write_atomically(target.root / pointer_of(dataset), pointer.encode())
            now = record.stage(VERSIONING).inputs.get(dataset)
            _bring_version(project, content, now, target)


def _bring_version(project: Project, before: Content, now: Content | None, target: Project) -> None:
    """Copy the list of an earlier version, and those of its files that the run did not
    have, as far as they are left.

    A version that equals the run's own, whose list DVC will have anyway, is needed too:
    it is looked up before.
    """
    try:
        own = set(dvc_cache.list_files(project, now.md5).values()) if now else set()
        wanted = [
            before.md5,
            *(md5 for md5 in dvc_cache.list_files(project, before.md5).values() if md5 not in own),
        ]
    except (FileNotFoundError, ValueError):
        return  # versioning says that the list of the last version is lost
    for md5 in wanted:
        source, place = dvc_cache.find_object(project, md5), dvc_cache.find_object(target, md5)
        if source.is_file() and measure(source).md5 == md5.removesuffix(".dir"):
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)


def _before(project: Project, record: RunRecord, stage: str) -> StageRecord | None:
    """Return the entry of a stage in the last run before the one that executed it."""
    executed_in = record.stage(stage).reused_from or record.run_id
    return next(iter(_entries(project, stage, executed_in)), None)


def _entries(project: Project, stage: str, before: str = "~") -> Iterator[StageRecord]:
    """Yield the entries of a stage in the runs in which it completed or was reused, the
    newest first.
    """
    for record in read_records(project):
        if record.run_id < before:
            yield from (
                entry for entry in record.stages if entry.name == stage and entry.status in _DONE
            )
