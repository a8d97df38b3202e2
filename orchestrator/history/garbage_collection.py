"""`churn gc`: what old runs left and nothing needs any longer, and its removal."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from rich.filesize import decimal
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from orchestrator.errors import ChurnError
from orchestrator.models.registered import Registered, find_registered, may_have_model
from orchestrator.project import Project
from orchestrator.records.code_archive import code_file
from orchestrator.records.dvc_cache import list_files
from orchestrator.records.hashes import CONTENT, measure_files
from orchestrator.records.listing import list_runs
from orchestrator.records.record import RunRecord, now
from orchestrator.stages import is_dataset
from orchestrator.words import say_age

_OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")


class UnknownNeedError(ChurnError):
    """What is needed cannot be told: a pointer or a list of files cannot be read."""


@dataclass(frozen=True)
class Cache:
    """Where the objects of this checkout lie; None where they are not this command's to
    touch, for the `reason`.
    """

    folder: Path | None
    reason: str = ""

    def objects(self) -> Iterator[tuple[str, Path]]:
        """Yield all objects: MD5, which ends in `.dir` for the list of a folder's
        files, and file.
        """
        for prefix in sorted(self.folder.glob("[0-9a-f][0-9a-f]")) if self.folder else []:
            for file in sorted(prefix.iterdir()):
                if _OBJECT.fullmatch(f"{prefix.name}{file.name}"):
                    yield f"{prefix.name}{file.name}", file


@contextlib.contextmanager
def hold_cache(project: Project) -> Iterator[Cache]:
    """Yield DVC's cache while DVC's own lock is held: no other DVC process adds what no
    pointer names yet.
    """
    from dvc.exceptions import DvcException

    from churn.versions import open_repo

    with contextlib.ExitStack() as stack:
        try:
            repo = stack.enter_context(open_repo(project.root))
            stack.enter_context(repo.lock)
            cache = _find_own(project, repo)
        except FileNotFoundError:
            cache = Cache(None)  # the project is not under DVC
        except DvcException as error:
            cache = Cache(None, f"it cannot be used now: {error}")
        yield cache


def _find_own(project: Project, repo: Any) -> Cache:
    folder = Path(repo.cache.local.path).resolve()
    if not folder.is_relative_to(project.root.resolve()):
        return Cache(
            None,
            f"it lies outside of this project, in {folder}, and other projects may need what is "
            "there",
        )
    if repo.config["cache"].get("shared"):
        return Cache(None, "DVC's setting cache.shared says that others use it")
    return Cache(folder)


def find_needed(
    project: Project, records: Iterable[RunRecord], datasets: Iterable[str]
) -> set[str]:
    """Return the MD5s of all objects that runs, datasets by their MD5, the datasets as
    they lie and pointers need.

    Raises:
        UnknownNeedError: a pointer, a dataset or a list of files cannot be read.
    """
    needed = {*datasets, *_find_recorded(records), *_find_present(project), *_find_pointed(project)}
    for md5 in [md5 for md5 in needed if md5.endswith(".dir")]:
        try:
            needed.update(list_files(project, md5).values())
        except FileNotFoundError:
            continue  # it was never added, or is lost: there is nothing to keep for it
        except (OSError, ValueError) as error:
            raise UnknownNeedError(
                f"the list of files {md5} in it cannot be read: {error}"
            ) from error
    return needed


def _find_recorded(records: Iterable[RunRecord]) -> Iterator[str]:
    for record in records:
        for entry in record.stages:
            yield from (
                content.md5 for content in [*entry.inputs.values(), *entry.outputs.values()]
            )
            # Each file that a stage read: also where the list of the dataset's files is lost here.
            yield from (
                part.removeprefix(CONTENT)
                for part in entry.decided_by.values()
                if part.startswith(CONTENT)
            )


def _find_present(project: Project) -> Iterator[str]:
    for folder in sorted(project.data.glob("*/")):
        if not is_dataset(f"data/{folder.name}"):
            continue
        try:
            measured = measure_files(folder, project.root)
        except OSError as error:
            raise UnknownNeedError(f"{folder} cannot be read: {error}") from error
        if measured:
            yield from (measured.content.md5, *measured.files.values())


def _find_pointed(project: Project) -> Iterator[str]:
    """Yield what the pointers name that lie anywhere in the project, and the lock of
    its DVC stages.
    """
    linked = [project.data] if project.data.is_symlink() else []
    for folder, folders, files in chain.from_iterable(map(os.walk, [project.root, *linked])):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and Path(folder, name) != project.outputs
        ]
        for name in files:
            # A damaged pointer that was set aside may name what somebody still needs.
            if name.endswith(".dvc") or name == "dvc.lock" or ".dvc.damaged-" in name:
                yield from _read_pointer(Path(folder, name))


def _read_pointer(file: Path) -> Iterator[str]:
    try:
        content = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError) as error:
        raise UnknownNeedError(f"the pointer {file} cannot be read: {error}") from error
    yield from _collect_md5s(content)


def _collect_md5s(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("md5"), str):
            yield node["md5"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _collect_md5s(child)


_ASIDE = ".removed"  # in the folder of the runs: what is being removed; no run has its record there


@dataclass(frozen=True)
class Garbage:
    """What can go, with the bytes of each; why older runs stay: run id -> reason; and
    what is left alone, and why.

    `runs` are in the order of their removal, the newest first: a run that shows the
    report of an older one goes before.
    """

    runs: Mapping[str, int] = field(default_factory=dict)
    ages: Mapping[str, str] = field(default_factory=dict)
    archives: Mapping[Path, int] = field(default_factory=dict)
    objects: Mapping[Path, int] = field(default_factory=dict)
    leftovers: Mapping[Path, int] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    left_alone: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """How much room it takes."""
        return sum(
            sum(part.values()) for part in (self.runs, self.archives, self.objects, self.leftovers)
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not (self.runs or self.archives or self.objects or self.leftovers)


def find_garbage(project: Project, keep: int, cache: Cache) -> Garbage:
    """Find what the newest `keep` runs, the registered models and the datasets as they
    lie do not need.

    To be called with the checkout and the cache held, and killed runs recovered. Where
    a record or MLflow's database cannot be read, code and datasets stay, and so do runs
    that may have trained a model.
    """
    records, unreadable = _read_all(project)
    hidden = {run_id: _read_text(project.runs / run_id / "run.json") for run_id in unreadable}
    registered = find_registered(project, records.values())
    kept = _choose_runs(records, keep, registered, hidden)
    staying = [records[run_id] for run_id in kept]
    going = [run_id for run_id in records if run_id not in kept]
    unknown = [
        f"what run {run_id} needs is not known, its run.json is not a valid record"
        for run_id in unreadable
    ]
    unknown += registered.unknown
    if unknown:
        objects, why_not = dict[Path, int](), "; ".join(unknown)
    else:
        objects, why_not = _find_objects(project, staying, registered, cache)
    left_alone = [f"Code stays as it is: {'; '.join(unknown)}."] if unknown else []
    left_alone += [f"DVC's cache stays as it is: {why_not}."] if why_not else []
    return Garbage(
        runs={run_id: _size(project.runs / run_id) for run_id in going},
        ages={
            run_id: f"{say_age(records[run_id].started_at, now())}, {records[run_id].status}"
            for run_id in going
        },
        archives={} if unknown else _find_archives(project, staying),
        objects=objects,
        leftovers={path: _size(path) for path in (project.runs / _ASIDE).glob("*")},
        kept={run_id: reason for run_id, reason in kept.items() if reason},
        left_alone=tuple(left_alone),
    )


def describe(garbage: Garbage, keep: int) -> Iterator[str]:
    """Yield lines that say what would go, what stays, and why."""
    for run_id, size in garbage.runs.items():
        yield f"remove  run {run_id}, {garbage.ages[run_id]}, {decimal(size)}"
    parts = {
        "archives of code": garbage.archives,
        "objects of DVC's cache": garbage.objects,
        "folders of a removal that was cut short": garbage.leftovers,
    }
    for what, found in parts.items():
        if found:
            yield f"remove  {len(found):,} {what}, {decimal(sum(found.values()))}"
    yield f"keep    newest runs: {keep}; the datasets as they lie; and all that these need"
    for run_id, reason in garbage.kept.items():
        yield f"keep    run {run_id}: {reason}"
    yield from garbage.left_alone
    yield (
        "Nothing to remove." if garbage.is_empty else f"In all {decimal(garbage.bytes)} to remove."
    )


def remove_garbage(project: Project, garbage: Garbage) -> list[str]:
    """Remove what was found, and return a sentence for each thing that could not be;
    the checkout has to be held.

    First runs, then code, then datasets, the list of a dataset's files before the
    files: what is left at any moment is whole. After a run that could not be removed,
    its code and datasets stay too.
    """
    aside = project.runs / _ASIDE
    problems = _remove_each(garbage.leftovers, shutil.rmtree)
    problems += _remove_each(
        [project.runs / run_id for run_id in garbage.runs], lambda run: _move_out(run, aside)
    )
    with contextlib.suppress(OSError):  # there is none, or something in it could not be removed
        aside.rmdir()
    if not problems:
        lists_first = sorted(garbage.objects, key=lambda path: path.suffix != ".dir")
        problems += _remove_each([*garbage.archives, *lists_first], _remove_file)
    return problems


def _read_all(project: Project) -> tuple[dict[str, RunRecord], list[str]]:
    """Read each record once, newest first: run id -> record; and the ids of the runs
    whose record is not valid.
    """
    listed = list(list_runs(project))
    records = {run_id: record for run_id, record in listed if record}
    return records, [run_id for run_id, record in listed if not record]


def _read_text(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text(encoding="utf-8", errors="replace")
    return ""


def _choose_runs(
    records: Mapping[str, RunRecord], keep: int, registered: Registered, hidden: Mapping[str, str]
) -> dict[str, str]:
    """Return the runs that stay, and why; the newest need no reason. What a run reuses
    stays with it.

    `hidden` are the texts of records that are not valid: what they name may be what they reuse.
    """
    kept = dict.fromkeys(list(records)[:keep], "")
    for run_id, record in records.items():
        if run_id not in kept and (reason := _find_reason(record, registered, hidden)):
            kept[run_id] = reason
    waiting = list(kept)
    while waiting:
        run_id = waiting.pop(0)
        for entry in records[run_id].stages:
            other = entry.reused_from
            if other and other in records and other not in kept:
                kept[other] = f"run {run_id} reuses its {entry.name}"
                waiting.append(other)
    return kept


def _find_reason(record: RunRecord, registered: Registered, hidden: Mapping[str, str]) -> str:
    if record.status == "running":
        return "it is running"
    if versions := registered.versions.get(record.run_id):
        return (
            f"it trained the registered model {', '.join(versions)}; it can go when that is "
            "deleted in MLflow"
        )
    if registered.unknown and may_have_model(record):
        return "it may have trained a registered model"
    naming = [run_id for run_id, text in hidden.items() if record.run_id in text]
    return f"run {naming[0]}, whose record is not valid, names it" if naming else ""


def _find_archives(project: Project, staying: Iterable[RunRecord]) -> dict[Path, int]:
    named = {code_file(project, record.code_sha256) for record in staying if record.code_sha256}
    return {
        file: file.stat().st_size
        for file in sorted(project.code.glob("*.zip"))
        if file not in named
    }


def _find_objects(
    project: Project, staying: Iterable[RunRecord], registered: Registered, cache: Cache
) -> tuple[dict[Path, int], str]:
    """Return the objects that nothing needs, and their bytes; or why they are left alone."""
    if cache.folder is None:
        return {}, cache.reason
    try:
        needed = find_needed(project, staying, registered.datasets)
    except UnknownNeedError as error:
        return {}, str(error)
    return {file: file.stat().st_size for md5, file in cache.objects() if md5 not in needed}, ""


def _size(path: Path) -> int:
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())


def _move_out(run: Path, aside: Path) -> None:
    """Remove the folder of a run, which is no run from the first moment on."""
    aside.mkdir(exist_ok=True)
    shutil.rmtree(run.rename(aside / run.name))


def _remove_file(file: Path) -> None:
    try:
        file.unlink()
    except PermissionError:  # Windows removes no read-only file, and DVC's are
        file.chmod(0o644)
        file.unlink()
    with contextlib.suppress(OSError):  # others are in its folder
        file.parent.rmdir()


def _remove_each(paths: Iterable[Path], remove: Callable[[Path], object]) -> list[str]:
    problems = []
    for path in paths:
        try:
            remove(path)
        except OSError as error:
            problems.append(f"{path} could not be removed: {error.strerror or error}")
    return problems
