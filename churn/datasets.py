"""Datasets are replaced whole: a process may be killed at any moment, and a dataset is
the old one or the new one.

The new `raw` is written to `.raw.<process>.partial` beside it. Then `raw` is renamed
`.raw.old`, and the new one `raw`. Whatever `.partial` names is waste; `.old` is always
whole, and is the dataset while there is none at its place.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

_BESIDE = re.compile(r"\.(?P<name>.+)\.(?:old|\d+\.partial)")


@contextlib.contextmanager
def new_dataset(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a dataset whole: yield an empty folder beside it, which takes its place
    when the block ends well.

    When the block raises, or its process is killed, the dataset stays what it was.
    """
    target = Path(folder).resolve()
    heal_dataset(target)
    partial = _partial(target)
    partial.mkdir(parents=True)
    yield partial
    if target.exists():
        target.rename(_old(target))
    partial.rename(target)
    _discard(_old(target), partial)


def find_dataset(folder: str | os.PathLike[str]) -> Path:
    """Return where a dataset lies: at its place, or beside it when a process was killed
    just before it took its place.

    To be read only: another process may be about to put the new dataset there.
    """
    target = Path(folder)
    old = _old(target.resolve())
    return old if old.exists() and not target.exists() else target


def find_unfinished(folder: Path) -> list[Path]:
    """Return the datasets in a folder that a process was about to replace, alive or killed."""
    if not folder.is_dir():
        return []
    named = (_BESIDE.fullmatch(one.name) for one in folder.iterdir())
    return [folder / name for name in sorted({one["name"] for one in named if one})]


def heal_dataset(folder: str | os.PathLike[str]) -> None:
    """Put a dataset back that a killed process had renamed, and remove what killed
    processes left beside it.
    """
    target = Path(folder).resolve()
    if not target.parent.is_dir():
        return
    old = _old(target)
    if old.exists() and not target.exists():
        old.rename(target)
    _discard(old, _partial(target))
    for leftover in target.parent.iterdir():
        named = re.fullmatch(rf"\.{re.escape(target.name)}\.(\d+)\.partial", leftover.name)
        if named and not _is_alive(int(named[1])):
            shutil.rmtree(leftover, ignore_errors=True)


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _partial(target: Path) -> Path:
    # Of this process alone: two that write the same dataset at once must not write into one folder.
    return target.with_name(f".{target.name}.{os.getpid()}.partial")


def _discard(old: Path, partial: Path) -> None:
    """Remove an old dataset, by a name that nobody takes for a dataset: the removal may
    be cut short.
    """
    shutil.rmtree(partial, ignore_errors=True)
    if old.exists():
        old.rename(partial)
        shutil.rmtree(partial, ignore_errors=True)


def _is_alive(process: int) -> bool:
    import psutil  # type: ignore[import-untyped]

    return bool(psutil.pid_exists(process))
