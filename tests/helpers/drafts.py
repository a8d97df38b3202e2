"""Drafting a params file in a test, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from churn.draft.__main__ import main
from churn.params import Column, ColumnLabel, EndDateLabel, Params, load_params
from helpers.projects import ROOT
from orchestrator.cli.init_command import read_defaults
from orchestrator.project import Project


@dataclass(frozen=True)
class Drafted:
    """A params file as it was drafted: its text, what it loads as, and what the terminal
    was told.
    """

    text: str
    told: str
    params: Params

    @property
    def column_label(self) -> ColumnLabel:
        """The label, which has to be a column."""
        assert isinstance(self.params.label, ColumnLabel)
        return self.params.label

    @property
    def end_label(self) -> EndDateLabel:
        """The label, which has to be an end date."""
        assert isinstance(self.params.label, EndDateLabel)
        return self.params.label

    def columns(self, table: str | None = None) -> dict[str, Column]:
        """Return what is said of the columns of a table, of the first one unless it is named."""
        return self.params.sources[table or next(iter(self.params.sources))].columns

    def left_out(self, table: str | None = None) -> set[str]:
        """Name the columns of a table that are no features."""
        columns = self.columns(table).items()
        return {name for name, one in columns if not one.feature or one.suspect is not None}

    def said(self, start: str) -> str:
        """Return the one line, of all that the terminal was told, that starts so; unwrapped."""
        lines: list[str] = []
        for line in self.told.splitlines():
            if line.startswith("    ") and lines:
                lines[-1] += f" {line.strip()}"
            else:
                lines.append(line.removeprefix("  - "))
        (found,) = [line for line in lines if line.startswith(start)]
        return found

    def comment(self, name: str) -> str:
        """Return the comment beside a column, behind what is suspected of it or asked."""
        line = next(line for line in self.text.splitlines() if line.strip().startswith(f"{name}:"))
        columns = [self.columns(table).get(name) for table in self.params.sources]
        doubts = [text for one in columns if one for text in (one.suspect, one.ask)]
        said = [*doubts, line.partition("  # ")[2]]
        return "; ".join(text for text in said if text)


Drafting = Callable[..., Drafted]


def draft_here(folder: Path, out: Path, *what: object, **options: str | bool) -> int:
    """Run the program behind `churn init` in this process, from a folder, for the project
    that stands here; return its exit code. An option that is true has no value.
    """
    given = {"out": str(out), "folder": str(folder), "root": str(ROOT), **options}
    given["defaults"] = json.dumps(read_defaults(Project(ROOT)))
    words = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in given.items()
    ]
    return main([*words, "--", *map(str, what)])


def make_drafting(folder: Path, capsys: pytest.CaptureFixture[str]) -> Drafting:
    """Return a function that drafts from what it is given, with options of the command line."""

    def draft(*what: object, **options: str) -> Drafted:
        out = folder / "drafted.yaml"
        code = draft_here(folder, out, *what, force=True, **options)
        captured = capsys.readouterr()
        assert code == 0, captured.err or captured.out
        return Drafted(out.read_text(encoding="utf-8"), captured.out, load_params(out))

    return draft


def refuse(folder: Path, capsys: pytest.CaptureFixture[str], *what: object, **options: str) -> str:
    """Return the message with which a draft is refused."""
    out = folder / "refused.yaml"
    assert draft_here(folder, out, *what, **options) == 2
    assert not out.exists()
    return capsys.readouterr().err


def init(root: Path, *options: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `churn init` of a copy of the project, from a folder."""
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", "init", *options],
        cwd=folder or root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
