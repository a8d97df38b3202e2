"""The code of two runs, from the archives that they kept: notebooks cell by cell,
modules and params line by line.
"""

from __future__ import annotations

import difflib
import functools
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import nbformat

from orchestrator.notebook.cells import heading_above
from orchestrator.project import Project
from orchestrator.records.code_archive import code_file
from orchestrator.records.record import RunRecord

_REQUIREMENTS = "requirements.txt"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
_CONTEXT = 2  # lines around a difference


@dataclass(frozen=True)
class CellChange:
    """One cell, or a file without cells, that differs: where it stands, and its lines,
    each with a mark in front.
    """

    where: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class FileChange:
    """One file that differs."""

    name: str
    what: str  # `changed`, `new`, `gone`, or `words only`: no code of it
    cells: tuple[CellChange, ...]


@dataclass(frozen=True)
class Archive:
    """The files of a run's code: name -> text. Empty where it was not kept."""

    files: Mapping[str, str]

    @classmethod
    def of(cls, project: Project, record: RunRecord) -> Archive:
        """Read what a run kept."""
        path = code_file(project, record.code_sha256 or "")
        if not record.code_sha256 or not path.is_file():
            return cls({})
        with zipfile.ZipFile(path) as opened:
            contents = {name: opened.read(name) for name in opened.namelist()}
        return cls({name: text.decode("utf-8-sig", "replace") for name, text in contents.items()})


def compare_environment(before: Archive, after: Archive) -> Iterator[tuple[str, str, str]]:
    """Yield the packages that are pinned otherwise: name, version before, version after."""
    old, new = (
        dict(_PIN.findall(archive.files.get(_REQUIREMENTS, ""))) for archive in (before, after)
    )
    if not old or not new:
        return
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield name, old.get(name, ""), new.get(name, "")


def compare_code(before: Archive, after: Archive) -> Iterator[FileChange]:
    """Yield the files that differ, but for the pinned packages."""
    if not before.files or not after.files:
        return
    for name in sorted(before.files.keys() | after.files.keys()):
        old, new = before.files.get(name), after.files.get(name)
        if old == new or name == _REQUIREMENTS:
            continue
        if old is None or new is None:
            yield FileChange(name, "new" if old is None else "gone", ())
        elif name.endswith(".ipynb"):
            yield from _compare_notebooks(name, old, new)
        else:
            yield FileChange(name, "changed", (CellChange("", _diff(old, new)),))


def _compare_notebooks(name: str, old: str, new: str) -> Iterator[FileChange]:
    before, after = (nbformat.reads(text, as_version=4) for text in (old, new))
    changes = tuple(_compare_cells(before, after))
    if changes:
        code = any("markdown" not in change.where for change in changes)
        yield FileChange(name, "changed" if code else "words only", changes)


def _compare_cells(before: Any, after: Any) -> Iterator[CellChange]:
    """Yield the cells that differ, as nbdime pairs them; outputs and metadata do not count."""
    changes: list[Any] = next(
        (one.diff for one in _nbdime()(before, after) if one.key == "cells"), []
    )
    for change in changes:
        if change.op == "patch":
            was = before.cells[change.key]
            is_now = _nbdime_patch()(was, change.diff)
            if was.source != is_now.source:
                yield CellChange(_place(before, change.key), _diff(was.source, is_now.source))
        elif change.op == "removerange":
            for index in range(change.key, change.key + change.length):
                cell = before.cells[index]
                yield CellChange(f"{_place(before, index)}, gone", _diff(cell.source, ""))
        elif change.op == "addrange":
            for cell in change.valuelist:
                index = next(
                    place
                    for place, one in enumerate(after.cells)
                    if one.get("id") == cell.get("id")
                )
                yield CellChange(f"{_place(after, index)}, new", _diff("", cell.source))


def _place(notebook: Any, index: int) -> str:
    cell = notebook.cells[index]
    heading = heading_above(notebook, index + 1)
    return (
        f"{cell.cell_type} cell under {heading!r}"
        if heading
        else f"{cell.cell_type} cell {index + 1}"
    )


def _diff(old: str, new: str) -> tuple[str, ...]:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=_CONTEXT)
    return tuple(line for line in lines if not line.startswith(("---", "+++")))


@functools.cache
def _nbdime() -> Any:
    # Takes most of a second.
    from nbdime.diffing.notebooks import diff_notebooks, set_notebook_diff_targets

    set_notebook_diff_targets(
        sources=True,
        outputs=False,
        attachments=False,
        metadata=False,
        identifier=False,
        details=False,
    )
    return diff_notebooks


@functools.cache
def _nbdime_patch() -> Any:
    from nbdime.patching import patch

    return patch
