"""Brings a run's datasets back from DVC's cache or remote.

DVC checks out a corrupt cache object without a word, so each object's hash is computed
here before it is used.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc_data.hashfile import load
from dvc_data.hashfile.checkout import checkout
from dvc_data.hashfile.hash_info import HashInfo
from dvc_objects.fs.local import LocalFileSystem

from churn.datasets import new_dataset
from churn.dvc_repository import set_aside_damaged_pointers
from churn.versions import open_repo
from orchestrator.errors import RestoreError
from orchestrator.project import Project
from orchestrator.records.hashes import measure
from orchestrator.records.lock import hold_checkout
from orchestrator.records.record import Content, RunRecord, read_record
from orchestrator.stages import dataset_of, is_dataset


def restore_run(project: Project, run_id: str) -> dict[str, Content]:
    """Bring back every dataset that a run recorded, and return them: path -> content.

    All are found and verified before the first is put in place; each takes its place whole.

    Raises:
        UsageError: there is no such run.
        RestoreError: the run recorded no dataset, or an object is missing or corrupt
            and no remote has it.
        RunInProgressError: a run holds the checkout.
    """
    wanted = recorded_datasets(read_record(project, run_id))
    if not wanted:
        raise RestoreError(f"Run {run_id} recorded no dataset: there is nothing to restore.")
    with hold_checkout(project):
        bring_back(project, wanted)
    return wanted


def bring_back(project: Project, contents: Mapping[str, Content]) -> None:
    """Bring datasets, and pointers of datasets as they lie, back to what they were; the
    checkout has to be held.

    Raises:
        RestoreError: an object is missing or corrupt and no remote has it; what lies
            there is untouched.
    """
    datasets = [path for path in contents if is_dataset(path)]
    for aside in set_aside_damaged_pointers(project.root):
        print(f"{aside.stem} is no pointer of DVC's; it is kept as {aside.name}.", file=sys.stderr)
    with open_repo(project.root) as repo:
        for path in datasets:
            bring_to_cache(repo, path, contents[path].md5)
        for path in datasets:
            _put_in_place(repo, project.root / path, contents[path].md5)
        # The pointers follow.
        folders = {(project.root / dataset_of(path)).resolve() for path in contents}
        repo.add(sorted(map(str, folders)))
    for path in contents:
        if (
            path not in datasets
            and (actual := measure(project.root / path).md5) != contents[path].md5
        ):
            raise RestoreError(
                f"{path} came back with the hash {actual}, expected {contents[path].md5}"
            )


def recorded_datasets(record: RunRecord) -> dict[str, Content]:
    """Return the datasets that the stages of a run read or wrote: path -> content, what
    was written last wins.
    """
    found = {
        path: content
        for stage in record.stages
        for path, content in [*stage.inputs.items(), *stage.outputs.items()]
    }
    return {path: content for path, content in found.items() if is_dataset(path)}


def bring_to_cache(repo: Any, dataset: str, md5: str) -> None:
    """Make sure that a folder's list and then all its files lie in the cache, whole.

    Raises:
        RestoreError: an object is missing or corrupt and no remote has it.
    """
    _ensure_objects(repo, dataset, [md5])
    tree = load(repo.cache.local, HashInfo("md5", md5))
    _ensure_objects(repo, dataset, [info.value for _, _, info in tree])


def _ensure_objects(repo: Any, dataset: str, hashes: list[str]) -> None:
    """Fetch what is missing or corrupt; a corrupt object is set aside first."""
    problems = dict(_find_problems(repo, hashes))
    if not problems:
        return
    for md5 in problems:
        _set_aside(repo, md5)
    try:
        repo.cloud.pull([HashInfo("md5", md5) for md5 in problems])
        left = dict(_find_problems(repo, list(problems)))
    except DvcException as error:
        left = {
            md5: f"{problem}; no remote could give it: {error}" for md5, problem in problems.items()
        }
    if left:
        for md5 in left:  # what a remote sent is not verified by DVC either
            _set_aside(repo, md5)
        listed = "\n".join(f"  - {problem}" for problem in left.values())
        raise RestoreError(f"{dataset} cannot be restored:\n{listed}")


def _find_problems(repo: Any, hashes: list[str]) -> Iterator[tuple[str, str]]:
    for md5 in hashes:
        file = Path(repo.cache.local.oid_to_path(md5))
        if not file.exists():
            yield md5, f"object {md5} is not in DVC's cache"
        elif (actual := measure(file).md5) != md5.removesuffix(".dir"):
            yield md5, f"object {md5} in DVC's cache is corrupt: its content has the hash {actual}"


def _set_aside(repo: Any, md5: str) -> None:
    file = Path(repo.cache.local.oid_to_path(md5))
    if file.exists():
        aside = Path(repo.tmp_dir) / "corrupt"
        aside.mkdir(exist_ok=True)
        file.replace(aside / md5)


def _put_in_place(repo: Any, target: Path, md5: str) -> None:
    """Check a dataset out beside its place, verify it, and let it take its place."""
    cache = repo.cache.local
    with new_dataset(target) as partial:
        checkout(
            str(partial),
            LocalFileSystem(),
            load(cache, HashInfo("md5", md5)),
            cache,
            force=True,
            quiet=True,
        )
        if (actual := measure(partial).md5) != md5:
            raise RestoreError(
                f"{target} came back with the hash {actual}, expected {md5}; what lies there "
                "was not touched."
            )
