"""What can be told of a project's DVC repository without loading DVC: where it lies, whether
its pointers can be read, and what its remote needs.
"""

from __future__ import annotations

import configparser
import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_FOLDER = ".dvc"
_MERGE_MARKS = ("<<<<<<< ", "=======", ">>>>>>> ")
# Those that DVC brings along, or that need no package.
_PLAIN = {"", "file", "http", "https", "local"}
_PACKAGES = {"gs": "gs", "azure": "azure", "webdavs": "webdav"}  # else as the scheme


def dvc_folder(root: Path) -> Path:
    """Return the folder in which DVC keeps its cache and temporary files for a project.

    DVC follows no links. Where `data` is one, to another disk, its repository is what it
    leads to.
    """
    data = root / "data"
    return (data if data.is_symlink() else root) / _FOLDER


def prepare_repository(root: Path) -> Path:
    """Return the folder that DVC has to take for its repository: the project, or what its
    link `data` leads to. There the project's own DVC folder is linked; one that cannot be
    written to lends its settings only.
    """
    own, used = root / _FOLDER, dvc_folder(root)
    if used != own and not used.exists():
        if os.access(own, os.W_OK):
            used.symlink_to(own.resolve(), target_is_directory=True)
        else:
            used.mkdir()
            for name in ("config", "config.local"):
                (used / name).symlink_to((own / name).resolve())
    return used.parent.resolve()


def find_pointer_damage(pointer: Path) -> str:
    """Say why a file is no pointer of DVC's; empty where it is one, or there is none."""
    try:
        text = pointer.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        return f"it cannot be read: {error}"
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(_MERGE_MARKS):
            return f"line {number} is the mark of a merge that was not finished"
    try:
        outs = YAML(typ="safe", pure=True).load(text)["outs"]
        return "" if all(isinstance(out, dict) for out in outs) else "its `outs` are no mappings"
    except YAMLError as error:
        return f"it is no YAML: {' '.join(str(error).split())}"
    except (KeyError, TypeError):
        return "it has no `outs`"


def set_aside_damaged_pointers(root: Path) -> Iterator[Path]:
    """Rename the pointers that DVC could not read, without which it does nothing at all; yield
    their new paths.
    """
    for pointer in sorted((root / "data").glob("[!.]*.dvc")):
        if find_pointer_damage(pointer):
            yield rename_aside(pointer, "damaged")


def rename_aside(file: Path, word: str) -> Path:
    """Rename a file to its name, a word and a number that is free; return the new path."""
    names = (file.with_name(f"{file.name}.{word}-{number}") for number in range(1, 10_000))
    return file.rename(next(path for path in names if not path.exists()))


def read_settings(root: Path) -> configparser.ConfigParser:
    """Return DVC's settings of a project; empty where they cannot be read."""
    settings = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(configparser.Error, UnicodeDecodeError):
        names = ("config", "config.local")
        settings.read([root / _FOLDER / name for name in names], encoding="utf-8")
    return settings


def find_remote_problem(root: Path) -> str:
    """Say which package the default remote needs that is not installed; empty where none."""
    settings = read_settings(root)
    name = settings.get("core", "remote", fallback="")
    url = settings.get(f"'remote \"{name}\"'", "url", fallback="") if name else ""
    scheme = url.partition("://")[0] if "://" in url else ""
    package = f"dvc_{_PACKAGES.get(scheme, scheme)}"
    if scheme in _PLAIN | {"remote"} or importlib.util.find_spec(package):
        return ""
    needed = package.replace("_", "-")
    return f"DVC's remote {name!r} is at {scheme}://, for which it needs the package {needed}"
