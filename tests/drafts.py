"""Drafting a params file in a test, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from draft.__main__ import main
from params import Column, ColumnLabel, EndDateLabel, Params, load_params


@dataclass(frozen=True)
class Drafted:
    """A params file as it was drafted: its text, what it loads as, and what the terminal was told."""

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
        return {name for name, column in self.columns(table).items() if not column.feature}

    def comment(self, name: str) -> str:
        """Return the comment beside a column."""
        line = next(line for line in self.text.splitlines() if line.strip().startswith(f"{name}:"))
        return line.partition("  # ")[2]


Drafting = Callable[..., Drafted]


def make_drafting(folder: Path, capsys: pytest.CaptureFixture[str]) -> Drafting:
    """Return a function that drafts from what it is given, with options of the command line."""

    def draft(*what: object, **options: str) -> Drafted:
        out = folder / "drafted.yaml"
        given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        code = main([f"--out={out}", f"--folder={folder}", "--force", *given, "--", *map(str, what)])
        captured = capsys.readouterr()
        assert code == 0, captured.err or captured.out
        return Drafted(out.read_text(encoding="utf-8"), captured.out, load_params(out))

    return draft


def refuse(folder: Path, capsys: pytest.CaptureFixture[str], *what: object, **options: str) -> str:
    """Return the message with which a draft is refused."""
    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    assert main([f"--out={folder / 'refused.yaml'}", f"--folder={folder}", *given, "--", *map(str, what)]) == 2
    assert not (folder / "refused.yaml").exists()
    return capsys.readouterr().err
