"""DVC's cache of this checkout, and which of its objects are needed."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from orchestrator.cache import list_files
from orchestrator.contents import measure_files
from orchestrator.errors import ChurnError
from orchestrator.fingerprint import CONTENT
from orchestrator.paths import Project
from orchestrator.record import RunRecord
from orchestrator.stages import DATASETS

_OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")


class UnknownNeedError(ChurnError):
    """What is needed cannot be told: a pointer or a list of files cannot be read."""


@dataclass(frozen=True)
class Cache:
    """Where the objects of this checkout lie; None where they are not this command's to touch, for the `reason`."""

    folder: Path | None
    reason: str = ""

    def objects(self) -> Iterator[tuple[str, Path]]:
        """Yield all objects: MD5, which ends in `.dir` for the list of a folder's files, and file."""
        for prefix in sorted(self.folder.glob("[0-9a-f][0-9a-f]")) if self.folder else []:
            for file in sorted(prefix.iterdir()):
                if _OBJECT.fullmatch(f"{prefix.name}{file.name}"):
                    yield f"{prefix.name}{file.name}", file


@contextlib.contextmanager
def hold_cache(project: Project) -> Iterator[Cache]:
    """Yield DVC's cache while DVC's own lock is held: no other DVC process adds what no pointer names yet."""
    from dvc.exceptions import DvcException

    from notebooks.dataset_versions import open_repo

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
        return Cache(None, f"it lies outside of this project, in {folder}, and other projects may need what is there")
    if repo.config["cache"].get("shared"):
        return Cache(None, "DVC's setting cache.shared says that others use it")
    return Cache(folder)


def find_needed(project: Project, records: Iterable[RunRecord], datasets: Iterable[str]) -> set[str]:
    """Return the MD5s of all objects that runs, datasets by their MD5, the datasets as they lie and pointers need.

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
            raise UnknownNeedError(f"the list of files {md5} in it cannot be read: {error}") from error
    return needed


def _find_recorded(records: Iterable[RunRecord]) -> Iterator[str]:
    for record in records:
        for entry in record.stages:
            yield from (content.md5 for content in [*entry.inputs.values(), *entry.outputs.values()])
            # Each file that a stage read: also where the list of the dataset's files is lost here.
            yield from (part.removeprefix(CONTENT) for part in entry.decided_by.values() if part.startswith(CONTENT))


def _find_present(project: Project) -> Iterator[str]:
    for dataset in DATASETS:
        folder = project.root / dataset
        try:
            measured = measure_files(folder, project.root) if folder.exists() else None
        except OSError as error:
            raise UnknownNeedError(f"{folder} cannot be read: {error}") from error
        if measured:
            yield from (measured.content.md5, *measured.files.values())


def _find_pointed(project: Project) -> Iterator[str]:
    """Yield what the pointers name that lie anywhere in the project, and the lock of its DVC stages."""
    for folder, folders, files in os.walk(project.root):
        folders[:] = [name for name in folders if not name.startswith(".") and Path(folder, name) != project.outputs]
        for name in files:
            if name.endswith(".dvc") or name == "dvc.lock":
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
