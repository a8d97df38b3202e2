"""Raw tables whose columns keep each different text once: it is cleaned, parsed and
checked once, whatever the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.params import Column
from churn.tables.parsing import clean_text, parse_column

Series = pd.Series  # a column; its type parameter says nothing of the texts and numbers here
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[Any]

_LOOKED_AT = 10_000  # rows
_MOSTLY_DIFFERENT = 0.9


@dataclass(frozen=True)
class Values:
    """A raw column: its different texts as received, what they are cleaned and typed,
    and which of them each row has.

    Where hardly any text repeats, as of ids, `received` has one for each row.
    """

    fact: Column
    received: Series
    cleaned: Series
    typed: Series
    codes: Ints

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.codes)

    def find(self, which: Bools) -> Ints:
        """Return the rows that have one of the texts."""
        return np.flatnonzero(which[self.codes])

    def count(self, which: Bools) -> int:
        """Count the rows that have one of the texts."""
        return int(self._sizes[which].sum())

    @cached_property
    def missing(self) -> int:
        """The number of rows without a value: blank, `none` texts, and what cannot be read."""
        return self.count(self.typed.isna().to_numpy())

    @cached_property
    def counts(self) -> Series:
        """The rows of each different value that is there: numbers and dates in order,
        texts as they came.
        """
        present = self.typed.notna().to_numpy() & (self._sizes > 0)
        values = self.typed[present].reset_index(drop=True)
        is_text = self.fact.type in ("id", "category")  # to sort a million texts takes long
        return pd.Series(self._sizes[present]).groupby(values, sort=not is_text).sum()

    @cached_property
    def distinct(self) -> int:
        """The number of different values, without the missing ones."""
        return int(np.count_nonzero(np.bincount(self.numbers))) - (self.missing > 0)

    @cached_property
    def numbers(self) -> Ints:
        """For each row the number of its value: equal values have equal numbers,
        missing ones are a value too.
        """
        numbers = pd.factorize(self.typed, use_na_sentinel=False)[0].astype(np.int32)
        return np.asarray(numbers[self.codes])

    def of_rows(self, rows: Ints | None = None) -> Series:
        """Return the typed value of each row, or of these rows: of a negative one, a missing
        value.
        """
        if rows is None:
            return take(self.typed, self.codes)
        places, known = np.full(len(rows), -1), rows >= 0
        places[known] = self.codes[rows[known]]
        return take(self.typed, places)

    @cached_property
    def _sizes(self) -> Ints:
        return np.bincount(self.codes, minlength=len(self.received))


@dataclass(frozen=True)
class Table:
    """The columns of a raw table, by name; `rows` are those of the raw table that it has."""

    columns: Mapping[str, Values]
    rows: Ints

    def __getitem__(self, name: str) -> Values:
        """Return a column."""
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is such a column."""
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the columns."""
        return iter(self.columns)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.rows)

    def without(self, column: str) -> Table:
        """Return the table without a column."""
        return Table({n: values for n, values in self.columns.items() if n != column}, self.rows)

    def only(self, kept: Bools | Ints) -> Table:
        """Return the table with a part of its rows: the marked ones, or those at these
        positions, in this order.
        """
        if kept.dtype == np.bool_ and kept.all():
            return self
        columns = {
            name: replace(values, codes=values.codes[kept]) for name, values in self.columns.items()
        }
        return Table(columns, self.rows[kept])

    def frame(self, names: Iterable[str] | None = None) -> pd.DataFrame:
        """Return all rows, typed, of all columns or of these; their index is that of the raw
        table.
        """
        columns = {name: self[name].of_rows() for name in (self if names is None else names)}
        return pd.DataFrame(columns).set_axis(pd.Index(self.rows))


def take(values: Series, places: Ints) -> Series:
    """Return the values at these places; at a negative one, a missing value."""
    array: Any = values.to_numpy() if isinstance(values.dtype, np.dtype) else values.array
    return pd.Series(pd.api.extensions.take(array, places, allow_fill=True))


def encode_table(frame: pd.DataFrame, facts: Mapping[str, Column]) -> Table:
    """Encode a raw table; `facts` say what is known of each of its columns
    (`inference.complete_columns`).
    """
    return Table(
        {name: _encode(frame[name], facts[name]) for name in frame.columns}, np.arange(len(frame))
    )


def _encode(texts: Series, fact: Column) -> Values:
    texts = texts.astype("str")
    if texts.head(_LOOKED_AT).nunique() > _MOSTLY_DIFFERENT * min(len(texts), _LOOKED_AT):
        codes, received = np.arange(len(texts), dtype=np.int32), texts.reset_index(drop=True)
    else:
        places, different = pd.factorize(texts, use_na_sentinel=False)
        codes, received = places.astype(np.int32), pd.Series(different, dtype="str")
    cleaned = clean_text(received, fact)
    typed = parse_column(received, fact) if fact.type in ("number", "date") else cleaned
    return Values(fact, received, cleaned, typed, codes)


def encode_typed(typed: Series, fact: Column) -> Values:
    """Encode a column that is typed already: a feature of the training set."""
    plain = typed.astype("float64") if fact.type == "number" else typed.astype("str")
    codes, different = pd.factorize(plain, use_na_sentinel=False)
    each = pd.Series(different, dtype=plain.dtype)
    return Values(fact, each.astype("str"), each, each, codes.astype(np.int32))
