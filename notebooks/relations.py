"""Whose rows are whose: customers numbered across the tables, orphans, repeated keys, dates in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

import stagekit
from encoded import Bools, Ints, Series, Table, take
from params import EndDateLabel

DATES_IN_ORDER = "does not end before it begins"
NOBODY = -1

Tables = Mapping[str, Table]


@dataclass(frozen=True)
class Customers:
    """Which customer each row of each table belongs to: a number below `size`, or `NOBODY` where the id is missing.

    Ids are compared as texts without surrounding spaces, never as numbers.
    """

    of: Mapping[str, Ints]
    size: int

    @classmethod
    def of_tables(cls, tables: Tables, customer_id: str) -> Customers:
        """Number the customers of all tables."""
        ids = [table[customer_id].cleaned for table in tables.values()]
        numbers, different = pd.factorize(pd.concat(ids, ignore_index=True))
        ends = np.cumsum([len(part) for part in ids])[:-1]
        parts = np.split(numbers.astype(np.int32), ends)
        rows = {name: part[tables[name][customer_id].codes] for name, part in zip(tables, parts, strict=True)}
        return cls(rows, len(different))

    def only(self, kept: Mapping[str, Bools]) -> Customers:
        """Return the same numbers for a part of the rows of each table."""
        return Customers({name: numbers[kept[name]] for name, numbers in self.of.items()}, self.size)

    def have_rows(self, table: str) -> Bools:
        """Say of each customer whether the table has a row."""
        found = np.zeros(self.size + 1, dtype=bool)
        found[self.of[table]] = True  # the last place is NOBODY's
        return found[: self.size]

    def find_orphans(self, table: str, first: str) -> Ints:
        """Return the rows of a table whose customer is not in the first; a missing id breaks another rule."""
        known = np.append(self.have_rows(first), True)
        return np.flatnonzero(~known[self.of[table]])

    def count_lacking(self, table: str, first: str) -> tuple[int, int]:
        """Return how many customers the first table has, and how many of them have no row in a table."""
        expected = self.have_rows(first)
        return int(expected.sum()), int((expected & ~self.have_rows(table)).sum())

    def find_last_rows(self, table: str) -> Ints:
        """Return for each customer the last row received, or -1 where the table has none."""
        last = np.full(self.size + 1, -1)
        np.maximum.at(last, self.of[table], np.arange(len(self.of[table])))
        return last[: self.size]


def look_up(tables: Tables, customers: Customers, column: str) -> Series:
    """Return for each customer the value of a column, of the first table that has it; the last row received counts."""
    name = find_table(tables, column)
    return tables[name][column].of_rows(customers.find_last_rows(name))


def find_table(tables: Tables, column: str) -> str:
    """Return the first table that has a column."""
    return next(name for name, table in tables.items() if column in table)


def find_reversed_dates(tables: Tables, customers: Customers, label: EndDateLabel) -> tuple[str, Ints]:
    """Return the table that holds the end date, and its rows whose end lies before the customer's begin."""
    name = find_table(tables, label.end_date)
    if label.begin_date is None:
        return name, np.array([], dtype=np.intp)
    end = tables[name][label.end_date].of_rows()
    if label.begin_date in tables[name]:
        begin = tables[name][label.begin_date].of_rows()
    else:
        begin = take(look_up(tables, customers, label.begin_date), customers.of[name])
    return name, np.flatnonzero(end.to_numpy() < begin.to_numpy())


def find_duplicates(table: Table, keys: Sequence[str] | None, owners: Mapping[str, Ints] | None = None) -> Series:
    """Name the rows that a later row with the same keys replaces (`stagekit.find_duplicates`), by their index.

    Without keys, of a table with many rows a customer, only those that repeat another row in every column. `owners` are
    the numbers of the customers, by the name of the id's column, where they are known (`Customers.of`).
    """
    known, named = owners or {}, list(keys or table)
    numbers = {name: known[name] if name in known else table[name].numbers for name in named}  # cheaper than values
    repeated = np.flatnonzero(pd.DataFrame(numbers, copy=False).duplicated(keep=False))
    every = {name: (numbers[name] if name in numbers else table[name].numbers)[repeated] for name in table}
    return stagekit.find_duplicates(pd.DataFrame(every, index=pd.Index(table.rows[repeated])), named)


def list_dates(tables: Tables, day: pd.Timestamp | None) -> pd.DataFrame:
    """List the earliest and the latest date of each date column, and how many lie after a day, if one is given."""
    lines = []
    for table, columns in tables.items():
        for name, counts in ((name, columns[name].counts) for name in columns if columns[name].fact.type == "date"):
            later = None if day is None else int(counts[counts.index > day].sum())
            lines.append([table, name, counts.index.min(), counts.index.max(), later])
    after = "after" if day is None else f"after {day:%Y-%m-%d}"
    found = pd.DataFrame(lines, columns=["table", "column", "earliest", "latest", after])
    return found.drop(columns=after) if day is None else found


@dataclass(frozen=True)
class Relation:
    """How the rows of a table are named, and how they fit to the customers of the first table.

    `repeated` of the usable `rows` repeat a key, None where there is no key; `orphans` of the `owned` rows received
    belong to nobody in the first table; `lacking` of the `customers` there have no row. Of the first table both are 0.
    """

    rows: int
    key: tuple[str, ...] | None = None
    repeated: int = 0
    owned: int = 0
    orphans: int = 0
    customers: int = 0
    lacking: int = 0


def relate_tables(
    tables: Tables,
    received: Customers,
    usable: Customers,
    keys: Mapping[str, Sequence[str] | None],
    duplicates: Mapping[str, Series],
) -> dict[str, Relation]:
    """Count how the tables fit together: orphans among the rows `received`, all else among the `usable` ones."""
    first = next(iter(tables))
    related = {}
    for name, table in tables.items():
        key, owned = keys[name], int((received.of[name] != NOBODY).sum())
        repeated = len(duplicates[name]) if key else 0
        counted = (owned, len(received.find_orphans(name, first)), *usable.count_lacking(name, first))
        related[name] = Relation(len(table), tuple(key) if key else None, repeated, *counted)
    return related
