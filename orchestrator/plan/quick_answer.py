"""A run with nothing to do, told from the states of files alone: in a tenth of a
second, before anything is loaded.

When all stages are reused, `remember` keeps the answer with the state of every file
that it follows from: code, parameters, datasets, sources that are files, records,
models, installed packages. `tell` gives the answer again as long as all are as they
were: same time, size and inode, as git and DVC take files for unchanged. Anything else
is decided anew, from contents. Imports the standard library alone.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

_MEMORY = "outputs/unchanged.json"
_RECORDS = "outputs/runs"
_NOT_WATCHED = {"__pycache__", ".ipynb_checkpoints"}
# A file that is written twice within the tick of its disk's clock keeps its time; the
# coarsest tick is FAT's. What is as young as that is compared by content too, as long
# as reading it costs next to nothing.
_TICK_SECONDS = 2
_CLOCK_SECONDS = 0.01  # by so much the clock of a disk may be behind
_MOST_BYTES = 200_000_000


@dataclass(frozen=True)
class Watch:
    """What an answer follows from: files and folders with all they hold, folders of
    installed packages, variables.

    Paths are absolute, or relative to the project's root; one that is not there counts
    too. Patterns are absolute: what matches them counts.
    """

    paths: Sequence[str]
    packages: Sequence[str]
    variables: Mapping[str, str]
    patterns: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class State:
    """A hash of the state of all that is watched; of the files named `young` the
    content is in it.
    """

    hash: str
    young: Sequence[str]


def begin_to_look() -> float:
    """Return the moment from which on no watched file may be written, for an answer to be
    kept; what was written before is older by the disk's clock, too.
    """
    time.sleep(2 * _CLOCK_SECONDS)
    return time.time() - _CLOCK_SECONDS


def take_state(root: Path, watch: Watch, began: float) -> State | None:
    """Return the state of what is watched now; None when some of it was written since a
    moment, or too much of it shortly before.
    """
    written = {
        name: (max(found.st_mtime_ns, found.st_ctime_ns) / 1e9, found.st_size)
        for name, found in _find(root, watch)
        if found and os.path.isfile(root / name)
    }
    if any(moment >= began for moment, _ in written.values()):
        return None
    since = time.time() - _TICK_SECONDS
    young = {name: size for name, (moment, size) in written.items() if moment >= since}
    if sum(young.values()) > _MOST_BYTES:
        return None
    return State(_hash(root, watch, young), sorted(young))


def remember(root: Path, arguments: Sequence[str], watch: Watch, state: State, answer: str) -> None:
    """Keep the answer to a command, given when the state was this. That it cannot be
    written costs only time.
    """
    content = {
        "arguments": list(arguments),
        "surroundings": _surroundings(),
        "answer": answer,
        "watch": asdict(watch),
        "state": asdict(state),
    }
    memory = root / _MEMORY
    temporary = memory.with_name(f".{memory.name}.{os.getpid()}.tmp")
    with contextlib.suppress(OSError):
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        temporary.replace(memory)


def tell(root: Path, arguments: Sequence[str]) -> bool:
    """Print the kept answer, if it is that of the same command and still holds; say
    whether it does.
    """
    try:
        kept = json.loads((root / _MEMORY).read_bytes())
        watch, state = Watch(**kept["watch"]), State(**kept["state"])
        holds = (
            kept["arguments"] == list(arguments)
            and kept["surroundings"] == _surroundings()
            and all(os.environ.get(name) == value for name, value in watch.variables.items())
            and _hash(root, watch, state.young) == state.hash
        )
    except (OSError, ValueError, KeyError, TypeError):  # nothing was kept, or by another version
        return False
    if holds:
        print(kept["answer"])
    return holds


def _hash(root: Path, watch: Watch, young: Collection[str]) -> str:
    digest = hashlib.sha256()
    for name, found in _find(root, watch):
        state = (
            (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode)
            if found
            else None
        )
        digest.update(f"{name}\0{state}\0".encode("utf-8", "surrogateescape"))
        if name in young:
            digest.update(hashlib.sha256((root / name).read_bytes()).digest())
    return digest.hexdigest()


def _find(root: Path, watch: Watch) -> Iterator[tuple[str, os.stat_result | None]]:
    """Yield each file with its state, in a fixed order; a watched path that is not
    there without one.
    """
    for name in watch.packages:
        yield name, _state(name)
    for name in watch.paths:
        if os.path.isdir(root / name):
            yield from _list(root, name)
        else:
            yield name, _state(root / name)
    for name in (
        name for pattern in watch.patterns for name in sorted(glob.glob(pattern, recursive=True))
    ):
        yield name, _state(name)
    for folder in sorted(os.listdir(root / _RECORDS)) if (root / _RECORDS).is_dir() else ():
        name = f"{_RECORDS}/{folder}/run.json"
        yield name, _state(root / name)


def _list(root: Path, folder: str) -> Iterator[tuple[str, os.stat_result | None]]:
    with os.scandir(root / folder) as opened:
        entries = sorted(opened, key=lambda entry: entry.name)
    for entry in entries:
        name = f"{folder}/{entry.name}"
        if entry.name in _NOT_WATCHED:
            continue
        if entry.is_dir():
            yield from _list(root, name)
        else:
            yield name, _state(root / name)


def _state(path: str | os.PathLike[str]) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _surroundings() -> list[str]:
    return [os.getcwd(), sys.prefix, sys.version]
