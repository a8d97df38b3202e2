"""Which files a source consists of: one, a list of them, or all that match a pattern."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

from .facts import ParameterError
from .loading import expand
from .sources import FileSource

_VARIABLE = re.compile(r"\$\{\w+\}")
_OPEN_IN_EXCEL = "~$"  # begins the names of files that are there as long as a workbook is open
_LISTED = 5


class NoFileError(ParameterError):
    """No file matches a pattern."""


def is_local(address: str) -> bool:
    """Tell a local path from an fsspec address."""
    return "://" not in address and "::" not in address


def is_pattern(path: str) -> bool:
    """Say whether a local path stands for all files that match; what a variable holds is taken literally."""
    return is_local(path) and glob.has_magic(_VARIABLE.sub("", path))


def find_files(source: FileSource, root: Path) -> list[str]:
    """Return the files of a source in order, each once: local paths, and addresses as they are written.

    Args:
        source: what `params.yaml` says of it.
        root: the folder that relative paths and patterns start from.

    Raises:
        NoFileError: a pattern has no match.
        ParameterError: an environment variable that a local path names is not set.
    """
    return list(dict.fromkeys(path for written in source.files for path in _find(written, root)))


def list_patterns(source: FileSource, root: Path) -> list[str]:
    """Return the patterns of a source as absolute ones of the module `glob`.

    Raises:
        ParameterError: an environment variable that a pattern names is not set.
    """
    return [_locate(written, root) for written in source.files if _is_expanded(written, root)]


def _find(written: str, root: Path) -> Iterator[str]:
    if not _is_expanded(written, root):
        yield expand(written) if is_local(written) else written
        return
    found = sorted(glob.glob(_locate(written, root), recursive=True), key=lambda path: Path(path).as_posix())
    files = [path for path in found if os.path.isfile(path) and not os.path.basename(path).startswith(_OPEN_IN_EXCEL)]
    if not files:
        raise NoFileError(_describe_lack(written, root, found))
    yield from files


def _is_expanded(written: str, root: Path) -> bool:
    """A file whose very name has brackets in it is meant itself."""
    return is_pattern(written) and not os.path.isfile(root / expand(written))


def _locate(written: str, root: Path) -> str:
    pattern = _VARIABLE.sub(lambda match: glob.escape(expand(match[0])), written)
    return os.path.abspath(os.path.join(glob.escape(str(root.resolve())), pattern))


def _describe_lack(written: str, root: Path, found: list[str]) -> str:
    pattern = Path(_locate(written, root))
    first = next(position for position, part in enumerate(pattern.parts) if glob.has_magic(part))
    folder = Path(*pattern.parts[:first])
    message = f"no file matches {expand(written)!r} in {folder}"
    if not folder.is_dir():
        return f"{message}: there is no such folder."
    if found:
        return f"{message}: what matches are folders. Add /* behind it if all their files are meant."
    names = sorted(entry.name for entry in folder.iterdir())
    if not names:
        return f"{message}: the folder is empty."
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{message}; it holds {', '.join(names[:_LISTED])}{more}."
