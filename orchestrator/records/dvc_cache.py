"""DVC's cache of this checkout, read without loading DVC: which datasets can be brought
back from it.
"""

from __future__ import annotations

import json
from pathlib import Path

from churn.dvc_repository import read_settings
from orchestrator.project import Project


def find_object(project: Project, md5: str) -> Path:
    """Return where the cache keeps the content of a hash; of a folder, which ends in
    `.dir`, the list of its files.
    """
    return cache_folder(project) / "files" / "md5" / md5[:2] / md5[2:]


def list_files(project: Project, md5: str) -> dict[str, str]:
    """Return the files of a dataset: path within -> MD5.

    Raises:
        FileNotFoundError: the cache does not have the list.
        ValueError: it is no list of files.
    """
    try:
        listed = json.loads(find_object(project, md5).read_bytes())
        return {file["relpath"]: file["md5"] for file in listed}
    except (KeyError, TypeError) as error:
        raise ValueError(f"the list of files {md5} in DVC's cache is not one") from error


def find_lost(project: Project, md5: str) -> str:
    """Say what of a dataset is not in the cache; an empty text when all of it is.

    Contents are not compared with their hashes here: that is done when they are brought back.
    """
    try:
        files = list_files(project, md5)
    except FileNotFoundError:
        return "DVC's cache does not have it"
    except ValueError as error:
        return str(error)
    lost = [file for file, own in files.items() if not find_object(project, own).is_file()]
    return f"DVC's cache does not have its {', '.join(sorted(lost))}" if lost else ""


def cache_folder(project: Project) -> Path:
    """Return where DVC keeps the contents of all versions."""
    named = read_settings(project.root).get("cache", "dir", fallback="")
    return (project.root / ".dvc" / named).resolve() if named else project.dvc / "cache"
