"""Which column names the customer, in one table and across several, and which table has a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from draft import words
from draft.columns import Seen
from draft.reading import Table

UNIQUE = 0.95  # share of the rows that a customer id tells apart, where a few rows repeat a customer
_FEWEST = 20  # customers
_SEVERAL = 3  # rows a customer, on average
_FIRST_PLACES = 3  # where an id stands in a table without a header
_COMPARED = 20_000  # keys of a table, drawn by their hashes so that two tables draw the same
_KNOWN = 0.5  # share of a table's keys that the first table has to have


@dataclass
class Key:
    """A column that names the customer in a table.

    Attributes:
        distinct: number of different values among `rows` that have one.
        unknown: the share of a later table's customers that the first table does not have.
        lacking: the share of the first table's customers that have no row in a later one.
        months: the column that together with this one names a row, if each customer has one row a month.
    """

    table: str
    column: str
    rows: int
    distinct: int
    unknown: float = 0.0
    lacking: float = 0.0
    months: str | None = None

    @property
    def share(self) -> float:
        """The share of rows with a value of their own."""
        return self.distinct / max(self.rows, 1)

    @property
    def is_unique(self) -> bool:
        """Whether each row is a customer, but for a few that repeat one."""
        return self.share >= UNIQUE


@dataclass
class Keys:
    """The first table's key, those of the tables that are joined to it, and why others are not: table -> reason."""

    first: Key | None
    others: list[Key] = field(default_factory=list)
    apart: dict[str, str] = field(default_factory=dict)


def rate_name(seen: Seen, table: str = "") -> float:
    """Say how much a column's name speaks of a customer's id."""
    name = seen.words
    if words.ROW_NUMBER.match(name):
        return -1.0
    if words.HOW_MANY.search(name):
        return 0.0
    is_customer, is_id = bool(words.CUSTOMER.search(name)), bool(words.IDENTITY.search(name))
    if is_customer:
        is_noun = len(name.split()) == 1
        return 3.0 if is_id or "num" in name else 1.5 if is_noun or seen.type == "category" else 0.0
    if is_id:
        own = name in ("id", "id oid", "uuid", "guid", "key", "no", "nr", "code")
        return 2.0 if own and words.CUSTOMER.search(words.plain(table)) else 1.6 if own else 1.0
    return 0.0


def find_key_columns(table: Table) -> list[Key]:
    """Return the columns that may name the customer, the likeliest first."""
    found = []
    for position, seen in enumerate(table.columns.values()):
        rating = rate_name(seen, table.name)
        if not _could_name(seen, rating):
            continue
        key = count_key(table, seen.name)
        if rating < 0 or (rating == 0 and not _is_coded(seen, position)):
            continue
        found.append((rating + (2 if key.share == 1 else 1 if key.is_unique else 0), -position, key))
    return [key for *_, key in sorted(found, key=lambda one: one[:2], reverse=True)]


def find_repeated(table: Table, key: Key | None) -> Seen | None:
    """Return a column that by its name is the customer's id more than the key is, but has several rows for each."""
    rating = rate_name(table.columns[key.column], table.name) if key else 0.0
    if key and key.months:
        return None
    for seen in table.columns.values():
        is_id = seen.is_whole and seen.missing_share < 0.5 and rate_name(seen, table.name) > max(rating, 2.0)
        if is_id and seen.distinct >= _FEWEST and seen.filled >= _SEVERAL * seen.distinct:
            return seen
    return None


def _could_name(seen: Seen, rating: float) -> bool:
    enough = seen.distinct >= min(_FEWEST, 0.9 * seen.filled) and seen.missing_share < 0.05
    return enough and seen.is_whole and (rating > 0 or seen.distinct >= max(50, 0.05 * seen.filled))


def _is_coded(seen: Seen, position: int) -> bool:
    """Whether values are written like ids though the name does not say so: texts without spaces, of one length."""
    texts = pd.Series(seen.counts.index[:1000], dtype="str")
    if seen.type == "number":
        if words.DAY.search(seen.words):  # seconds since 1970
            return False
        first = _FIRST_PLACES if words.NUMBERED.fullmatch(seen.words) else 1
        return position < first and bool(texts.str.fullmatch(r"\d{5,}").all())
    lengths = texts.str.len()
    return bool((lengths.max() - lengths.min() <= 2) and lengths.min() >= 5 and not texts.str.contains(r"\s").any())


def count_key(table: Table, column: str) -> Key:
    """Count the different values of a column in all rows that were read."""
    values = keys_of(table.frame[column])
    return Key(table.name, column, len(values), int(values.nunique()))


def keys_of(texts: pd.Series[Any]) -> pd.Series[Any]:
    """Return the keys of a column, stripped, without blanks."""
    stripped = texts.astype("str").str.strip()
    return stripped[stripped.notna() & (stripped != "")]


def find_months(table: Table, key: Key) -> str | None:
    """Return the date or period that together with the key names a row, if each customer has one row for each."""
    if key.share > 0.9:
        return None
    named = [seen for seen in table.columns.values() if seen.type == "date" and seen.distinct > 1]
    keys = table.frame[key.column].astype("str").str.strip()
    for seen in sorted(named, key=lambda one: (not words.PERIOD.search(one.words), one.distinct)):
        # A few days that all customers share: months, quarters, or the weeks of a year.
        if seen.distinct > 400 or seen.missing_share > 0.01 or seen.filled / seen.distinct < _FEWEST:
            continue
        pairs = pd.DataFrame({"key": keys, "month": table.frame[seen.name].astype("str").str.strip()})
        if 1 - pairs.duplicated().mean() >= 0.98:
            return seen.name
    return None


def has_row_a_customer(table: Table) -> bool:
    """Whether a column, alone or with a date, names each row of a table: it could hold the answer of each customer."""
    return any(key.is_unique or find_months(table, key) for key in find_key_columns(table))


def join_tables(tables: Sequence[Table], answer_in: str | None, wish: str | None) -> Keys:
    """Find the table that has a row for each customer, and the columns by which the others are joined to it.

    The table of the answer comes first, if its customers are unique; else the one that joins the most.
    """
    candidates = {table.name: _wished(table, wish) or find_key_columns(table)[:6] for table in tables}
    if len(tables) == 1:
        keys = candidates[tables[0].name]
        return Keys(_best_alone(tables[0], keys))
    drawn = {(key.table, key.column): _draw(table, key) for table in tables for key in candidates[table.name]}
    options = []
    for table in tables:
        for key in candidates[table.name]:
            if key.is_unique or find_months(table, key):
                others = [_match(other, key, candidates[other.name], drawn) for other in tables if other is not table]
                joined = [one for one in others if one]
                rating = sum(rate for rate, _ in joined) + rate_name(table.columns[key.column], table.name)
                place = (table.name == answer_in, len(joined), rating, key.distinct)
                options.append((place, key, [one for _, one in joined]))
    if not options:
        return Keys(None, apart={table.name: "no column joins it to another table" for table in tables})
    _, first, others_found = max(options, key=lambda option: option[0])
    table = next(table for table in tables if table.name == first.table)
    first.months = find_months(table, first)
    joined_names = {first.table, *(key.table for key in others_found)}
    apart = {other.name: _why_apart(other, table, first) for other in tables if other.name not in joined_names}
    return Keys(first, others_found, apart)


def _why_apart(other: Table, table: Table, first: Key) -> str:
    """Say why a table cannot be joined to the first."""
    if _is_beside(other, table):
        return why_unjoined(other, table)
    known = _without_form(keys_of(table.frame[first.column]))
    for key in find_key_columns(other):
        mine = _without_form(keys_of(other.frame[key.column]))
        if mine.isin(known).mean() > _KNOWN:
            return (
                f"its {key.column} names the customers of {table.shown}, but is written otherwise: make both the same"
            )
    return f"shares no customers with {first.table}"


def why_unjoined(other: Table, table: Table) -> str:
    """Say why a table without a common key is left out, and what to do where it may be a column of another."""
    if not _is_beside(other, table):
        return "no column joins it to another table"
    return f"one column, as many rows as {table.shown}: if they stand in the same order, put it into that file"


def _is_beside(other: Table, table: Table) -> bool:
    """Whether a file may be one column of another, without a header perhaps."""
    return len(other.columns) == 1 and abs(other.rows - table.rows) <= 1


def _without_form(keys: pd.Series[Any]) -> pd.Series[Any]:
    """Return keys without what may differ in form: leading zeros, a decimal, capitals, signs."""
    plain = keys.str.replace(r"\.0+$", "", regex=True).str.casefold().str.replace(r"[\W_]+", "", regex=True)
    return plain.str.lstrip("0").drop_duplicates()


def _wished(table: Table, wish: str | None) -> list[Key]:
    """The key that `--id` names, if the table has it."""
    found = [name for name in table.columns if wish and name.casefold() == wish.casefold()]
    return [count_key(table, name) for name in found]


def _best_alone(table: Table, keys: list[Key]) -> Key | None:
    for key in keys:
        if key.is_unique:
            return key
    for key in keys:
        key.months = find_months(table, key)
        if key.months:
            return key
    return None


def _draw(table: Table, key: Key) -> pd.Series[Any]:
    """Return the different keys of a column with their hashes, by which two tables draw the same customers."""
    keys = keys_of(table.frame[key.column]).drop_duplicates().astype(object)
    return pd.Series(pd.util.hash_array(keys.to_numpy(), categorize=False), index=pd.Index(keys, dtype=object))


def _match(other: Table, key: Key, candidates: list[Key], drawn: Any) -> tuple[float, Key] | None:
    """Return the column of another table that holds the same customers, if one does, and how much speaks for it."""
    known = drawn[key.table, key.column]
    best: tuple[float, Key] | None = None
    for one in candidates:
        keys = drawn[one.table, one.column]
        limit = _limit(max(len(keys), len(known)))
        mine, theirs = keys.index[keys < limit], known.index[known < limit]
        both = int(mine.isin(theirs).sum())
        if not len(mine) or not len(theirs) or both < _KNOWN * min(len(mine), len(theirs)):
            continue
        seen = other.columns[one.column]
        same = words.plain(one.column) == words.plain(key.column)
        rating = rate_name(seen, other.name) + both / len(mine) + (2 if same else 0)
        if best is None or rating > best[0]:
            found = Key(one.table, one.column, one.rows, one.distinct, 1 - both / len(mine), 1 - both / len(theirs))
            best = rating, found
    return best


def _limit(size: int) -> int:
    return (1 << 64) - 1 if size <= _COMPARED else int(((1 << 64) - 1) * (_COMPARED / size))
