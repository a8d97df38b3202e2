"""The bytes of files: on local paths and at fsspec addresses."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

from params import FileSource, expand, is_local
from sources.received import SourceError, SourceRefused, patiently

TRIES = 4


def fetch(path: str, source: FileSource, root: Path, expected: str, first_wait: float) -> bytes:
    """Return the bytes of one file of a source; `expected` says what should be there.

    Raises:
        SourceError: the server of a remote file is down.
        SourceRefused: the file is missing, or may not be read.
    """
    if is_local(path):
        return _read_local(Path(path), root.resolve(), expected)
    return patiently(lambda: _read_remote(path, source, expected), TRIES, first_wait)


def _read_local(written: Path, root: Path, expected: str) -> bytes:
    path = Path(os.path.abspath(root / written))
    if path.is_relative_to(root) and not path.resolve().is_relative_to(root):
        raise SourceRefused(
            f"{path} is a link out of the project, to {path.resolve()}. Name that path in params.yaml if it is meant."
        )
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise SourceRefused(f"there is no file at {path}. Expected there: {expected}.{_near(path)}") from None
    except IsADirectoryError:
        raise SourceRefused(f"{path} is a folder. Expected: {expected}. All files in it: {path / '*'}") from None
    except PermissionError:
        raise SourceRefused(f"no permission to read {path}. Expected: {expected}.") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from None


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f" The folder {path.parent} does not exist either."
    near = difflib.get_close_matches(path.name, sorted(os.listdir(path.parent)), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _read_remote(address: str, source: FileSource, expected: str) -> bytes:
    import fsspec

    options = _expand_all(source.storage_options)
    try:
        filesystem, path = fsspec.core.url_to_fs(expand(address), **options)
        content: bytes = filesystem.cat_file(path)
    except FileNotFoundError:
        hint = " Only a local path can be a pattern: list the addresses." if "*" in address else ""
        raise SourceRefused(f"there is no such file. Expected there: {expected}.{hint}") from None
    except PermissionError as error:
        raise SourceRefused(f"access denied: check the credentials in `storage_options` ({error}).") from None
    except (ImportError, ValueError, TypeError) as error:
        raise SourceRefused(f"cannot be opened with fsspec: {error}") from None
    except Exception as error:  # each file system of fsspec brings its library's own exceptions
        raise _remote_error(error) from None
    return content


def _remote_error(error: Exception) -> SourceError:
    status = getattr(error, "status", None)  # aiohttp's name for it
    what = f"HTTP {status}" if status else f"{type(error).__name__}: {error}"
    if isinstance(status, int) and 400 <= status < 500 and status not in (408, 425, 429):
        return SourceRefused(f"the server refuses: {what}. Check the address and the credentials.")
    return SourceError(f"cannot be fetched: {what}.")


def _expand_all(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _expand_all(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand_all(item) for item in value]
    return expand(value) if isinstance(value, str) else value
