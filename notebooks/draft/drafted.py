"""What was found out of a data set: all that goes into its params file."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

from draft.columns import Seen
from draft.horizon import Ends, Horizon
from draft.keys import Keys
from draft.labels import Answer
from draft.marks import Mark
from draft.reading import Table
from draft.thresholds import Setting


@dataclass(frozen=True)
class Wishes:
    """What the command line says that is not to be guessed."""

    label: str | None = None
    id: str | None = None
    as_of: datetime.date | None = None


@dataclass
class Draft:
    """Everything that goes into the params file, and what is told of how it was found."""

    name: str
    tables: list[Table]
    keys: Keys
    answer: Answer | None = None
    ends: Ends | None = None
    horizon: Horizon | None = None
    as_of: datetime.date | str | None = None
    as_of_why: str = ""
    joins: dict[str, dict[str, Any]] = field(default_factory=dict)
    told_of: dict[str, list[str]] = field(default_factory=dict)
    marks: dict[tuple[str, str], list[Mark]] = field(default_factory=dict)
    settings: list[Setting] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    rivals: list[Answer] = field(default_factory=list)
    look_at: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)

    @property
    def first(self) -> Table:
        """The table that has a row for each customer."""
        return self.tables[0]

    @property
    def merged(self) -> list[str]:
        """Values of the label that mean the same as its positive one."""
        return self.answer.same if self.answer else []

    @property
    def has_label(self) -> bool:
        """Whether it is known how the answer is found."""
        return self.answer is not None or self.horizon is not None

    def seen(self, table: str, column: str) -> Seen:
        """Return what was seen of a column."""
        return next(one for one in self.tables if one.name == table).columns[column]

    def id_of(self, table: Table) -> str | None:
        """Return the column that names the customer in a table."""
        keys = [key for key in [self.keys.first, *self.keys.others] if key]
        return next((key.column for key in keys if key.table == table.name), None)
