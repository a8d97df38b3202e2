"""Versions of the datasets: what DVC records of them, what changed since the last
version, and where copies go.

DVC keeps each file once, under its MD5, in `.dvc/cache`; the pointer `data/<name>.dvc`
names the version of a dataset by the MD5 of the list of its files. Everything happens
in this process through `dvc.repo.Repo`, without git: nothing is staged or committed,
and a project outside a git checkout works alike.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# DVC imports it when it first looks at pointers.
import networkx  # type: ignore[import-untyped]  # noqa: F401
import psutil  # type: ignore[import-untyped]
from dvc.exceptions import OutputNotFoundError
from dvc.repo import Repo
from dvc_data.hashfile import _progress, load
from dvc_objects.errors import ObjectFormatError

from churn.dvc_repository import prepare_repository, rename_aside, set_aside_damaged_pointers

WITHOUT_GIT = {"core": {"no_scm": True}}


class _QueryingProgress(_progress.QueryingProgress):  # type: ignore[misc]
    """DVC's progress bar, which takes braces in the cache's path for fields to fill."""

    def __init__(self, *args: Any, name: str | None = None, **options: Any) -> None:
        escaped = name and name.replace("{", "{{").replace("}", "}}")
        super().__init__(*args, name=escaped, **options)


_progress.QueryingProgress = _QueryingProgress


@dataclass(frozen=True)
class File:
    """One file of a version; `bytes` is None when DVC's cache no longer has its content."""

    md5: str
    bytes: int | None


@dataclass(frozen=True)
class Version:
    """What a pointer says of a dataset. `listing` is None when DVC's cache no longer
    has the list of its files.
    """

    md5: str
    bytes: int
    files: int
    listing: dict[str, File] | None


@dataclass(frozen=True)
class Change:
    """One file that differs between two versions of a dataset."""

    file: str
    change: Literal["added", "modified", "deleted"]
    bytes_before: int | None
    bytes_after: int | None


@dataclass(frozen=True)
class Recorded:
    """A dataset's version, and the one before; None: it has been recorded for the first time."""

    before: Version | None
    after: Version

    @property
    def has_changed(self) -> bool:
        """Whether it is another version than before."""
        return self.before is None or self.before.md5 != self.after.md5

    @property
    def is_lost(self) -> bool:
        """Whether the list of the files before is lost, so that changes cannot be told."""
        return self.before is not None and self.before.listing is None

    @property
    def changes(self) -> list[Change]:
        """The files that differ, in the order of their names."""
        return compare(self.before, self.after)

    def as_line(self) -> dict[str, Any]:
        """Return what a table says of it."""
        return {
            "md5": self.after.md5,
            "files": self.after.files,
            "bytes": f"{self.after.bytes:,}",
            "last version": self.before.md5 if self.before else "none",
            "since then": "changed" if self.has_changed else "nothing changed",
        }


def open_repo(root: Path) -> Any:
    """Return the open DVC repository of a project; close it after use.

    A lock file that a killed process left cut, or whose process number another process
    has by now, is set aside.

    Raises:
        FileNotFoundError: the project is not under DVC.
        dvc.lock.LockError: another DVC process is at work and does not end within 3 seconds.
    """
    if not (root / ".dvc" / "config").is_file():
        raise FileNotFoundError(
            f"No DVC settings at {(root / '.dvc' / 'config').resolve()}: "
            "run `dvc init --no-scm` there."
        )
    repo = Repo(str(prepare_repository(root)), config=WITHOUT_GIT)
    if set_aside := set_aside_stale_lock(repo):
        left = set_aside.with_name("rwlock")
        print(f"A killed process left {left} behind; it is kept as {set_aside.name}.")
    return repo


def set_aside_stale_lock(repo: Any) -> Path | None:
    """Rename DVC's file of read and write locks when it is cut, or no process that it
    names lives; return its new path.

    DVC itself refuses to work with such a file. The repository's own lock, which dies
    with its process, is held meanwhile: so no other DVC process is at work.

    Raises:
        dvc.lock.LockError: another DVC process is at work.
    """
    file = Path(repo.tmp_dir) / "rwlock"
    if not _is_stale(file):
        return None
    with repo.lock:
        if not _is_stale(file):
            return None
        return rename_aside(file, "stale")


def find_unsafe(folder: Path) -> list[str]:
    """Return a sentence for each thing that keeps a dataset from being recorded:
    absent, empty, links out of it.
    """
    if not folder.is_dir():
        return [f"no folder at {folder.resolve()}: run the stage that writes {folder.name!r} first"]
    paths = [folder, *folder.rglob("*")]
    links = [
        f"{path} is a link to {path.resolve()}; put a copy in its place"
        for path in paths
        if path.is_symlink()
    ]
    return links or (
        [] if any(path.is_file() for path in paths) else [f"{folder.resolve()} has no files"]
    )


def read_version(repo: Any, folder: Path) -> Version | None:
    """Return the version that a dataset's pointer names, None when it has no pointer yet."""
    try:
        (out,) = repo.find_outs_by_path(str(folder.resolve()))
    except OutputNotFoundError:
        return None
    listing = _list_files(repo, out.hash_info)
    return Version(out.hash_info.value, out.meta.size or 0, out.meta.nfiles or 0, listing)


def record(repo: Any, folders: Sequence[Path]) -> None:
    """Copy what is new in datasets to DVC's cache and write their pointers beside them."""
    with _quiet():
        repo.add([str(folder.resolve()) for folder in folders])


def record_datasets(project: Path, folders: Mapping[str, Path]) -> dict[str, Recorded]:
    """Record datasets of a project (`record`); return of each its version and the one before.

    Pointers that DVC cannot read are set aside: what they named is not known as the version
    before.

    Raises:
        FileNotFoundError, dvc.lock.LockError: see `open_repo`.
    """
    for aside in set_aside_damaged_pointers(project):
        print(f"{aside.stem} is no pointer of DVC's; it is kept as {aside.name}.")
    with open_repo(project) as repo:
        before = {name: read_version(repo, folder) for name, folder in folders.items()}
        record(repo, list(folders.values()))
        after = {name: read_version(repo, folder) for name, folder in folders.items()}
    return {name: Recorded(before[name], one) for name, one in after.items() if one is not None}


def compare(before: Version | None, after: Version) -> list[Change]:
    """Return the files that differ between two versions, in the order of their names.

    Without a version before, every file is added. When the list of the files before is
    lost, nothing can be said.
    """
    old, new = {} if before is None else before.listing, after.listing
    if old is None or new is None:
        return []
    return [
        change
        for file in sorted(old.keys() | new.keys())
        if (change := _compare(file, old.get(file), new.get(file)))
    ]


def default_remote(repo: Any) -> str | None:
    """Return the name of the remote that copies go to, None when the settings name none."""
    name: str | None = repo.config["core"].get("remote")
    return name


def push(repo: Any, folders: Sequence[Path]) -> int:
    """Copy what the default remote lacks of the datasets' current versions to it;
    return the number of objects.

    Raises:
        dvc.exceptions.DvcException: the remote cannot be reached or written; the
            versions stay recorded here.
    """
    with _quiet():
        return int(repo.push(targets=[str(folder.resolve()) for folder in folders]))


def _is_stale(file: Path) -> bool:
    try:
        text, written = file.read_text(encoding="utf-8"), file.stat().st_mtime
    except FileNotFoundError:
        return False
    try:
        pids = list(_holders(json.loads(text)))
    except (ValueError, TypeError, KeyError, AttributeError):
        return True
    return bool(pids) and not any(_is_alive(pid, written) for pid in pids)


def _holders(locks: dict[str, Any]) -> Iterator[int]:
    for holder in locks.get("write", {}).values():
        yield int(holder["pid"])
    for holders in locks.get("read", {}).values():
        yield from (int(holder["pid"]) for holder in holders)


def _is_alive(pid: int, written: float) -> bool:
    """Does the process that wrote its number at a time still live? One that began later
    only has the same number.
    """
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= written)
    except psutil.NoSuchProcess:
        return False


def _list_files(repo: Any, hash_info: Any) -> dict[str, File] | None:
    cache = repo.cache.local
    try:
        tree = load(cache, hash_info)
    except (FileNotFoundError, ObjectFormatError):
        return None
    return {
        "/".join(key): File(info.value, _size(Path(cache.oid_to_path(info.value))))
        for key, _, info in tree
    }


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.exists() else None


def _compare(file: str, old: File | None, new: File | None) -> Change | None:
    if old is None or new is None:
        kind: Literal["added", "deleted"] = "added" if old is None else "deleted"
        return Change(file, kind, old.bytes if old else None, new.bytes if new else None)
    return None if old.md5 == new.md5 else Change(file, "modified", old.bytes, new.bytes)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    # DVC draws progress bars; in a report they are noise.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
