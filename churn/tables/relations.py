"""Whose rows are whose: customers numbered across the tables, orphans, repeated keys,
dates in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churn.params import EndDateLabel
from churn.tables.encoded import Bools, Ints, Series, Table, take
from churn.tables.parsing import as_arrow

DATES_IN_ORDER = "does not end before it begins"
NOBODY = -1

Tables = Mapping[str, Table]
Kept = Literal["first", "last"]  # which of several rows with the same keys stays


@dataclass(frozen=True)
class Customers:
    """Which customer each row of each table belongs to: a number below `size`, or
    `NOBODY` where the id is missing.

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
        rows = {
            name: part[tables[name][customer_id].codes]
            for name, part in zip(tables, parts, strict=True)
        }
        return cls(rows, len(different))

    def only(self, kept: Mapping[str, Bools]) -> Customers:
        """Return the same numbers for a part of the rows of each table."""
        return Customers(
            {name: numbers[kept[name]] for name, numbers in self.of.items()}, self.size
        )

    def have_rows(self, table: str) -> Bools:
        """Say of each customer whether the table has a row."""
        found = np.zeros(self.size + 1, dtype=bool)
        found[self.of[table]] = True  # the last place is NOBODY's
        return found[: self.size]

    def find_orphans(self, table: str, first: str) -> Ints:
        """Return the rows of a table whose customer is not in the first; a missing id
        breaks another rule.
        """
        known = np.append(self.have_rows(first), True)
        return np.flatnonzero(~known[self.of[table]])

    def count_lacking(self, table: str, first: str) -> tuple[int, int]:
        """Return how many customers the first table has, and how many of them have no
        row in a table.
        """
        expected = self.have_rows(first)
        return int(expected.sum()), int((expected & ~self.have_rows(table)).sum())

    def find_last_rows(self, table: str) -> Ints:
        """Return for each customer the last row received, or -1 where the table has none."""
        last = np.full(self.size + 1, -1)
        np.maximum.at(last, self.of[table], np.arange(len(self.of[table])))
        return last[: self.size]


def find_replaced_rows(
    frame: pd.DataFrame, keys: Sequence[str], keep: Kept = "last"
) -> pd.Series[Any]:
    """Name the rows of a typed table that another row with the same keys replaces; the
    last row received stays, or the first.

    Returns:
        One entry a row that goes, by its index: `exact` when nothing differs from a row
        that stays or is contradicted itself, else `conflicting`.
    """
    repeated = frame[frame.duplicated(list(keys), keep=False)]
    is_exact = repeated.duplicated(keep=keep)
    distinct = repeated[~is_exact]
    is_conflicting = distinct.duplicated(list(keys), keep=keep)
    exact = pd.Series("exact", index=repeated.index[is_exact])
    return pd.concat(
        [exact, pd.Series("conflicting", index=distinct.index[is_conflicting])]
    ).sort_index()


def match_keys(keys: pd.Series[Any], known: pd.Series[Any]) -> pd.Series[bool]:
    """Say of each key whether it is among the known ones; a missing key never is.

    `Series.isin` says the same, but takes 15 times as long on a million texts.
    """
    found = pc.is_in(as_arrow(keys), pc.drop_null(as_arrow(known)))
    return pd.Series(found.to_numpy(zero_copy_only=False), index=keys.index)


def find_rows(customers: pd.DataFrame, frame: pd.DataFrame, keys: Sequence[str]) -> Ints:
    """Return for each customer the position of the row of a table with the same keys,
    -1 where there is none.

    A missing key matches none, not even a missing one.

    Raises:
        pandas.errors.MergeError: two rows have the same keys, which are a customer's.
    """
    wanted, known = _number_keys(customers, frame, keys)
    place = np.asarray(_find_each(wanted, known), dtype=np.intp)
    is_used = np.zeros(len(frame), dtype=np.bool_)
    is_used[place[place >= 0]] = True
    # Few, and asked about quickly: most rows are a customer's.
    unused = known.filter(pa.array(~is_used)).drop_null()
    if repeated := pc.sum(pc.is_in(wanted, value_set=unused)).as_py():
        raise pd.errors.MergeError(
            f"{repeated:,} customers have several rows of the same {' and '.join(keys)}."
        )
    return place


def _number_keys(
    customers: pd.DataFrame, frame: pd.DataFrame, keys: Sequence[str]
) -> tuple[pa.Array, pa.Array]:
    """Return of each row of two tables one value that stands for its keys, null where a
    key is missing.

    Of a single key it is the key itself.
    """
    if len(keys) == 1:
        return as_arrow(customers[keys[0]]), as_arrow(frame[keys[0]])
    wanted, known = np.zeros(len(customers), np.int64), np.zeros(len(frame), np.int64)
    for key in keys:
        values = pc.unique(pa.array(frame[key])).drop_null()
        place, own = _find_each(customers[key], values), _find_each(frame[key], values)
        wanted = np.where((wanted < 0) | (place < 0), -1, wanted * len(values) + place)
        known = np.where((known < 0) | (own < 0), -1, known * len(values) + own)
    return pa.array(wanted, mask=wanted < 0), pa.array(known, mask=known < 0)


def _find_each(values: Any, known: pa.Array) -> Ints:
    """Return the position of each value among the known ones, -1 where it is not;
    faster than pandas on texts.
    """
    place = pc.index_in(pa.array(values), value_set=known, skip_nulls=True).fill_null(-1)
    return np.asarray(place, dtype=np.int64)


def look_up(tables: Tables, customers: Customers, column: str) -> Series:
    """Return for each customer the value of a column, of the first table that has it;
    the last row received counts.
    """
    name = find_table(tables, column)
    return tables[name][column].of_rows(customers.find_last_rows(name))


def find_table(tables: Tables, column: str) -> str:
    """Return the first table that has a column."""
    return next(name for name, table in tables.items() if column in table)


def find_reversed_dates(
    tables: Tables, customers: Customers, label: EndDateLabel
) -> tuple[str, Ints]:
    """Return the table that holds the end date, and its rows whose end lies before the
    customer's begin.
    """
    name = find_table(tables, label.end_date)
    if label.begin_date is None:
        return name, np.array([], dtype=np.intp)
    end = tables[name][label.end_date].of_rows()
    if label.begin_date in tables[name]:
        begin = tables[name][label.begin_date].of_rows()
    else:
        begin = take(look_up(tables, customers, label.begin_date), customers.of[name])
    return name, np.flatnonzero(end.to_numpy() < begin.to_numpy())


def find_duplicates(
    table: Table,
    keys: Sequence[str] | None,
    owners: Mapping[str, Ints] | None = None,
    keep: Kept = "last",
) -> Series:
    """Name the rows that another row with the same keys replaces (`find_replaced_rows`),
    by their index.

    Without keys, of a table with many rows a customer, only those that repeat another
    row in every column. `owners` are the numbers of the customers, by the name of the
    id's column, where they are known (`Customers.of`).
    """
    known, named = owners or {}, list(keys or table)
    # Cheaper than values.
    numbers = {name: known[name] if name in known else table[name].numbers for name in named}
    repeated = np.flatnonzero(pd.DataFrame(numbers, copy=False).duplicated(keep=False))
    every = {
        name: (numbers[name] if name in numbers else table[name].numbers)[repeated]
        for name in table
    }
    return find_replaced_rows(
        pd.DataFrame(every, index=pd.Index(table.rows[repeated])), named, keep
    )


def list_dates(tables: Tables) -> pd.DataFrame:
    """List the earliest and the latest date of each date column."""
    lines = [
        (table, name, counts.index.min(), counts.index.max())
        for table, name, counts in _dates(tables)
    ]
    return pd.DataFrame(lines, columns=["table", "column", "earliest", "latest"])


def count_later_dates(tables: Tables, day: pd.Timestamp | None) -> pd.DataFrame:
    """Count the dates after a day in each date column that has some; none without a day."""
    columns = ["table", "column", "rows"]
    if day is None:
        return pd.DataFrame(columns=columns)
    lines = [
        (table, name, int(counts[counts.index > day].sum()))
        for table, name, counts in _dates(tables)
    ]
    return pd.DataFrame(lines, columns=columns).query("rows > 0")


def _dates(tables: Tables) -> Iterator[tuple[str, str, Series]]:
    for table, columns in tables.items():
        for name in columns:
            if columns[name].fact.type == "date":
                yield table, name, columns[name].counts


@dataclass(frozen=True)
class Relation:
    """How the rows of a table are named, and how they fit to the customers of the first table.

    `repeated` of the usable `rows` repeat a key, None where there is no key; `orphans`
    of the `owned` rows received belong to nobody in the first table; `lacking` of the
    `customers` there have no row. Of the first table both are 0.
    """

    rows: int
    key: tuple[str, ...] | None = None
    repeated: int = 0
    owned: int = 0
    orphans: int = 0
    customers: int = 0
    lacking: int = 0


Relations = Mapping[str, Relation]  # by the name of the table


def relate_tables(
    tables: Tables,
    received: Customers,
    usable: Customers,
    keys: Mapping[str, Sequence[str] | None],
    duplicates: Mapping[str, Series],
) -> dict[str, Relation]:
    """Count how the tables fit together: orphans among the rows `received`, all else
    among the `usable` ones.
    """
    first = next(iter(tables))
    related = {}
    for name, table in tables.items():
        key, owned = keys[name], int((received.of[name] != NOBODY).sum())
        repeated = len(duplicates[name]) if key else 0
        counted = (
            owned,
            len(received.find_orphans(name, first)),
            *usable.count_lacking(name, first),
        )
        related[name] = Relation(len(table), tuple(key) if key else None, repeated, *counted)
    return related
