"""The customers that a suspicion is measured on: rows with a known answer, and what the tables say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from draft.columns import Seen
from draft.horizon import Ends, Horizon
from draft.keys import Key, Keys
from draft.labels import Answer
from draft.reading import Table

MOST_ROWS = 20_000
Place = tuple[str, str]  # table, column


@dataclass(frozen=True)
class Population:
    """Rows of the first table with a known answer.

    Attributes:
        values: typed values, a column a place (table, column), of the tables that have a row a customer.
        churned: the answer.
        months: months from the begin to the day of the snapshot, where a begin date tells them.
        rows: how many rows each customer has in each joined table.
        all: the number of rows with an answer, and `all_churned` of those who churned, before the sample was drawn.
    """

    values: pd.DataFrame
    churned: pd.Series[Any]
    months: pd.Series[Any] | None
    rows: pd.DataFrame
    all: int
    all_churned: int

    @property
    def places(self) -> list[Place]:
        """The columns of `values`."""
        return [(place[0], place[1]) for place in self.values.columns]


def draw_population(
    tables: Sequence[Table], keys: Keys, answer: Answer | None, ends: Ends | None, horizon: Horizon | None
) -> Population | None:
    """Draw the sample, evenly over the first table; none where no answer is known."""
    by_name = {table.name: table for table in tables}
    first = by_name[keys.first.table] if keys.first else tables[0]
    other_keys = {key.table: key for key in keys.others}
    if answer:
        known = _by_column(by_name[answer.table], answer)
        source, months = by_name[answer.table], None
    elif ends and horizon:
        source = by_name[ends.table]
        known, months = _by_dates(source, ends, horizon)
    else:
        return None
    if source is not first:
        known = _look_up(known, source, other_keys.get(source.name), first, keys.first)
        months = _look_up(months, source, other_keys.get(source.name), first, keys.first)
    known = known.dropna().astype("int64")
    rows = known.index[:: -(-len(known) // MOST_ROWS)] if len(known) else known.index
    values: dict[Place, pd.Series[Any]] = {}
    counts: dict[str, pd.Series[Any]] = {}
    for table in tables:
        key = other_keys.get(table.name)
        if table is first:
            values |= {
                (table.name, name): _typed(seen, table.frame[name].loc[rows]) for name, seen in table.columns.items()
            }
        elif key:
            sizes = table.frame.groupby(table.frame[key.column].astype("str").str.strip()).size()
            counts[table.name] = _keys(first, keys.first).loc[rows].map(sizes).fillna(0)
            values |= _joined(table, key, first, keys.first, rows) if key.is_unique else {}
    months = months.loc[rows] if months is not None else None
    frame = pd.DataFrame(values, index=rows) if values else pd.DataFrame(index=rows)
    return Population(frame, known.loc[rows], months, pd.DataFrame(counts, index=rows), len(known), int(known.sum()))


def _by_column(table: Table, answer: Answer) -> pd.Series[Any]:
    texts = table.columns[answer.column].parse(table.frame[answer.column])
    positive = texts.isin([answer.positive, *answer.same])
    is_known = texts.notna() & (positive | texts.eq(answer.negative) if answer.negative is not None else True)
    return positive.where(is_known)


def _by_dates(table: Table, ends: Ends, horizon: Horizon) -> tuple[pd.Series[Any], pd.Series[Any] | None]:
    as_of = pd.Timestamp(horizon.as_of)
    end = table.columns[ends.end].parse(table.frame[ends.end])
    present, months = end.isna() | (end >= as_of), None
    if ends.begin:
        begin = table.columns[ends.begin].parse(table.frame[ends.begin])
        present &= begin < as_of
        months = (as_of - begin).dt.days / 30.4375
    return (end <= as_of + pd.Timedelta(days=horizon.days)).where(present), months


def _keys(table: Table, key: Key | None) -> pd.Series[Any]:
    return table.frame[key.column].astype("str").str.strip() if key else pd.Series(table.frame.index, table.frame.index)


def _look_up(values: Any, source: Table, key: Key | None, first: Table, first_key: Key | None) -> Any:
    """Bring values of another table to the rows of the first."""
    if values is None:
        return None
    if key is None:
        return pd.Series(None, index=first.frame.index, dtype="float64")
    by_key = pd.Series(values.to_numpy(), index=_keys(source, key))
    by_key = by_key[~by_key.index.duplicated(keep="last")]
    return pd.Series(by_key.reindex(_keys(first, first_key)).to_numpy(), index=first.frame.index)


def _joined(table: Table, key: Key, first: Table, first_key: Key | None, rows: pd.Index) -> dict[Place, pd.Series[Any]]:
    places = pd.Series(table.frame.index, index=_keys(table, key))
    places = places[~places.index.duplicated(keep="last")]
    found = places.reindex(_keys(first, first_key).loc[rows])
    joined = {}
    for name, seen in table.columns.items():
        if name != key.column:
            texts = table.frame[name].astype("str").reindex(found.to_numpy())
            joined[table.name, name] = _typed(seen, texts.set_axis(rows))
    return joined


def _typed(seen: Seen, texts: pd.Series[Any]) -> pd.Series[Any]:
    """Give texts their type; a date becomes its days."""
    values = seen.parse(texts)
    if seen.type != "date":
        return values
    return (values - pd.Timestamp("2000-01-01")).dt.total_seconds() / 86400


def seen_at(tables: Sequence[Table], place: Place) -> Seen:
    """Return what was seen of a column."""
    return next(table for table in tables if table.name == place[0]).columns[place[1]]


def as_columns(frame: pd.DataFrame, kept: Sequence[Place]) -> pd.DataFrame:
    """Return columns of a frame under their bare names, made different where two tables share one."""
    names: Mapping[Place, str] = {place: place[1] for place in kept}
    repeated = {name for name in names.values() if list(names.values()).count(name) > 1}
    return pd.DataFrame({f"{n}_{p[0]}" if n in repeated else n: frame[p] for p, n in names.items()}, index=frame.index)
