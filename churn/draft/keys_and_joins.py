"""Which column names the customer, in one table and across several, which table has a
row for each, and how the others are joined to it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churn import vocabulary
from churn.draft.column_types import Seen
from churn.draft.named_inputs import DraftError, Project
from churn.draft.table_reading import Table, find_column
from churn.params import expand

# Share of the rows that a customer id tells apart, where a few rows repeat a customer.
UNIQUE = 0.95
_FEWEST = 20  # customers
_MOST_ROWS = 100  # a customer, on average
_MOST_OWNED = 20  # rows with a key of their own, such as contracts, a customer, on average
_NAMED_SO = 3.0  # of `rate_name`: the name says that it is a customer's id
_AGREE = 0.5  # of what chance leaves, that rows of one customer have to agree in some column
_ON_A_DAY = 0.05  # share of the customers that have a row on one of the days of monthly rows
_FIRST_PLACES = 3  # where an id stands in a table without a header
_SEVERAL = 3  # rows a customer, on average, from which on it is asked what they are
_COMPARED = 20_000  # keys of a table, drawn by their hashes so that two tables draw the same
_KNOWN = 0.5  # share of a table's keys that the first table has to have
# Share of the customers that need a row in a joined table, or its absence has to mean
# something.
_NEARLY_ALL = 0.95


@dataclass
class Key:
    """A column that names the customer in a table.

    Attributes:
        distinct: number of different values among `rows` that have one. copies: how many
        of these rows repeat another in every column; they are dropped. unknown: the
        share of a later table's customers that the first table does not have. lacking:
        the share of the first table's customers that have no row in a later one.
        months: the column that together with this one names a row, if each customer has
        one row a month. has_own_rows: a customer has several rows that no date tells apart.
    """

    table: str
    column: str
    rows: int
    distinct: int
    unknown: float = 0.0
    lacking: float = 0.0
    months: str | None = None
    has_own_rows: bool = False
    copies: int = 0

    @property
    def share(self) -> float:
        """The share of rows with a value of their own, copies left out."""
        return self.distinct / max(self.rows - self.copies, 1)

    @property
    def is_unique(self) -> bool:
        """Whether each row is a customer, but for a few that repeat one."""
        return self.share >= UNIQUE


@dataclass
class Keys:
    """The first table's key, those of the tables that are joined to it, and why others
    are not: table -> reason. `group` is a column of the first table whose rows of one value
    belong together, though they are rows of their own.
    """

    first: Key | None
    others: list[Key] = field(default_factory=list)
    apart: dict[str, str] = field(default_factory=dict)
    group: str | None = None


def rate_name(seen: Seen, table: str = "") -> float:
    """Say how much a column's name speaks of a customer's id."""
    name = seen.words
    if vocabulary.ROW_NUMBER.match(name):
        return -1.0
    if vocabulary.HOW_MANY.search(name):
        return 0.0
    is_customer, is_id = (
        bool(vocabulary.CUSTOMER.search(name)),
        bool(vocabulary.IDENTITY.search(name)),
    )
    if is_customer:
        is_noun = len(name.split()) == 1
        return 3.0 if is_id or "num" in name else 1.5 if is_noun or seen.type == "category" else 0.0
    if is_id:
        own = name in ("id", "id oid", "uuid", "guid", "key", "no", "nr", "code")
        return (
            2.0
            if own and vocabulary.CUSTOMER.search(vocabulary.plain(table))
            else 1.6
            if own
            else 1.0
        )
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
        found.append(
            (rating + (2 if key.share == 1 else 1 if key.is_unique else 0), -position, key)
        )
    return [key for *_, key in sorted(found, key=lambda one: one[:2], reverse=True)]


def find_repeated(table: Table, key: Key | None) -> Seen | None:
    """Return a column that by its name is the customer's id more than the key is, but
    has several rows for each.
    """
    rating = rate_name(table.columns[key.column], table.name) if key else 0.0
    if key and (key.months or key.has_own_rows):
        return None
    for seen in table.columns.values():
        is_id = (
            seen.is_whole
            and seen.missing_share < 0.5
            and rate_name(seen, table.name) > max(rating, 2.0)
        )
        if is_id and seen.distinct >= _FEWEST and seen.filled >= _SEVERAL * seen.distinct:
            return seen
    return None


def names_customers(table: Table, column: str) -> bool:
    """Whether rows with the same value of a column agree in another one far more than
    others do: what does not change, such as a customer's age, or the answer.

    Numbers that start anew in each file, or with each day, repeat too, and name nobody.
    """
    frame = table.frame[~table.is_copy]
    keys = frame[column].astype("str").str.strip()
    order = keys.dropna().sort_values(kind="stable").index
    owner = keys.loc[order].to_numpy()
    is_pair = owner[1:] == owner[:-1]
    if not is_pair.any():
        return False
    for name in table.columns:
        values = pd.factorize(frame[name].loc[order], use_na_sentinel=False)[0]
        shares = np.bincount(values) / len(values)
        by_chance = float((shares**2).sum())
        agree = float((values[1:] == values[:-1])[is_pair].mean())
        if name != column and agree - by_chance > _AGREE * (1 - by_chance):
            return True
    return False


def _could_name(seen: Seen, rating: float) -> bool:
    enough = seen.distinct >= min(_FEWEST, 0.9 * seen.filled) and seen.missing_share < 0.05
    return enough and seen.is_whole and (rating > 0 or seen.distinct >= max(50, 0.05 * seen.filled))


def _is_coded(seen: Seen, position: int) -> bool:
    """Whether values are written like ids though the name does not say so: texts
    without spaces, of one length.
    """
    texts = pd.Series(seen.counts.index[:1000], dtype="str")
    if seen.type == "number":
        if vocabulary.DAY.search(seen.words):  # seconds since 1970
            return False
        first = _FIRST_PLACES if vocabulary.NUMBERED.fullmatch(seen.words) else 1
        return position < first and bool(texts.str.fullmatch(r"\d{5,}").all())
    lengths = texts.str.len()
    return bool(
        (lengths.max() - lengths.min() <= 2)
        and lengths.min() >= 5
        and not texts.str.contains(r"\s").any()
    )


def count_key(table: Table, column: str) -> Key:
    """Count the different values of a column in all rows that were read."""
    values = keys_of(table.frame[column])
    key = Key(table.name, column, len(values), int(values.nunique()))
    if key.distinct < key.rows:
        key.copies = int(table.is_copy.reindex(values.index).sum())
    return key


def keys_of(texts: pd.Series[Any]) -> pd.Series[Any]:
    """Return the keys of a column, stripped, without blanks."""
    stripped = texts.astype("str").str.strip()
    return stripped[stripped.notna() & (stripped != "")]


def find_months(table: Table, key: Key) -> str | None:
    """Return the date or period that together with the key names a row, if each
    customer has one row for each.
    """
    if key.share > 0.9:
        return None
    frame = table.frame[~table.is_copy] if key.copies else table.frame
    named = [seen for seen in table.columns.values() if seen.type == "date" and seen.distinct > 1]
    keys = frame[key.column].astype("str").str.strip()
    for seen in sorted(
        named, key=lambda one: (not vocabulary.PERIOD.search(one.words), one.distinct)
    ):
        # A few days that all customers share: months, quarters, or the weeks of a year. Of
        # orders each day has few of them.
        fewest = max(_FEWEST, _ON_A_DAY * key.distinct)
        if seen.distinct > 400 or seen.missing_share > 0.01 or seen.filled < fewest * seen.distinct:
            continue
        pairs = pd.DataFrame({"key": keys, "month": frame[seen.name].astype("str").str.strip()})
        if 1 - pairs.duplicated().mean() >= 0.98:
            return seen.name
    return None


def has_row_a_customer(table: Table) -> bool:
    """Whether a column, alone or with a date, names each row of a table: it could hold
    the answer of each customer.
    """
    return any(key.is_unique or find_months(table, key) for key in find_key_columns(table))


def has_several_rows_a_customer(table: Table) -> bool:
    """Whether a column names customers who have several rows each, of their own."""
    return any(_has_own_rows(table, key) for key in find_key_columns(table))


def join_tables(tables: Sequence[Table], answer_in: str | None, wish: str | None) -> Keys:
    """Find the table that has a row for each customer, and the columns by which the
    others are joined to it.

    The table of the answer comes first, if its customers are unique; else the one that
    joins the most.
    """
    candidates = {
        table.name: _wished(table, wish) or find_key_columns(table)[:6] for table in tables
    }
    if len(tables) == 1:
        return Keys(_best_alone(tables[0], candidates[tables[0].name]))
    options = list(_try_firsts(tables, candidates, answer_in))
    if all(first.table != answer_in for _, first, _ in options):
        # Perhaps each customer has several rows in the table of the answer.
        options += _try_firsts(tables, candidates, answer_in, several=True)
    if not options:
        apart = {table.name: "no column joins it to another table" for table in tables}
        return Keys(None, apart=apart)
    _, first, others = max(options, key=lambda option: option[0])
    table = next(table for table in tables if table.name == first.table)
    first.months = find_months(table, first)
    joined_names = {first.table, *(key.table for key in others)}
    apart = {
        other.name: _why_apart(other, table, first)
        for other in tables
        if other.name not in joined_names
    }
    return Keys(first, others, apart)


def _try_firsts(
    tables: Sequence[Table],
    candidates: Mapping[str, list[Key]],
    answer_in: str | None,
    *,
    several: bool = False,
) -> Iterator[tuple[tuple[bool, int, float, int], Key, list[Key]]]:
    """Yield each key that the first table may have: how much speaks for it, the key, and
    the keys of the tables that join it.
    """
    drawn = {
        (key.table, key.column): _draw(table, key)
        for table in tables
        for key in candidates[table.name]
    }
    for table in tables:
        for key in candidates[table.name]:
            fits = key.is_unique or bool(find_months(table, key))
            if several:
                fits = table.name == answer_in and _has_own_rows(table, key)
            if not fits:
                continue
            matched = [
                _match(other, key, candidates[other.name], drawn)
                for other in tables
                if other is not table
            ]
            joined = [one for one in matched if one]
            rating = sum(rate for rate, _ in joined)
            rating += rate_name(table.columns[key.column], table.name)
            place = (table.name == answer_in, len(joined), rating, key.distinct)
            yield place, key, [one for _, one in joined]


def _why_apart(other: Table, table: Table, first: Key) -> str:
    """Say why a table cannot be joined to the first."""
    if _is_beside(other, table):
        return why_unjoined(other, table)
    known = _without_form(keys_of(table.frame[first.column]))
    for key in find_key_columns(other):
        mine = _without_form(keys_of(other.frame[key.column]))
        if mine.isin(known).mean() > _KNOWN:
            return (
                f"its {key.column} names the customers of {table.shown}, but is written "
                "otherwise: make both the same"
            )
    return f"shares no customers with {first.table}"


def why_unjoined(other: Table, table: Table) -> str:
    """Say why a table without a common key is left out, and what to do where it may be
    a column of another.
    """
    if not _is_beside(other, table):
        return "no column joins it to another table"
    return (
        f"one column, as many rows as {table.shown}: if they stand in the same order, name it as a "
        "source with `same_order: true`; it is not joined so unless it is said"
    )


def _is_beside(other: Table, table: Table) -> bool:
    """Whether a file may be one column of another, without a header perhaps."""
    return len(other.columns) == 1 and abs(other.rows - table.rows) <= 1


def _without_form(keys: pd.Series[Any]) -> pd.Series[Any]:
    """Return keys without what may differ in form: leading zeros, a decimal, capitals, signs."""
    plain = (
        keys.str.replace(r"\.0+$", "", regex=True)
        .str.casefold()
        .str.replace(r"[\W_]+", "", regex=True)
    )
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
    return next((key for key in keys if _has_own_rows(table, key)), None)


def _has_own_rows(table: Table, key: Key) -> bool:
    """Whether a column names customers by its name and by what its rows share, though each
    has several of them; noted in the key.
    """
    is_named = rate_name(table.columns[key.column], table.name) >= _NAMED_SO
    enough = key.distinct >= max(_FEWEST, key.rows / _MOST_ROWS)
    key.has_own_rows = is_named and enough and names_customers(table, key.column)
    return key.has_own_rows


def _draw(table: Table, key: Key) -> pd.Series[Any]:
    """Return the different keys of a column with their hashes, by which two tables draw
    the same customers.
    """
    keys = keys_of(table.frame[key.column]).drop_duplicates().astype(object)
    return pd.Series(
        pd.util.hash_array(keys.to_numpy(), categorize=False), index=pd.Index(keys, dtype=object)
    )


def _match(other: Table, key: Key, candidates: list[Key], drawn: Any) -> tuple[float, Key] | None:
    """Return the column of another table that holds the same customers, if one does,
    and how much speaks for it.
    """
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
        same = vocabulary.plain(one.column) == vocabulary.plain(key.column)
        rating = rate_name(seen, other.name) + both / len(mine) + (2 if same else 0)
        if best is None or rating > best[0]:
            found = Key(
                one.table,
                one.column,
                one.rows,
                one.distinct,
                1 - both / len(mine),
                1 - both / len(theirs),
                copies=one.copies,
            )
            best = rating, found
    return best


def _limit(size: int) -> int:
    return (1 << 64) - 1 if size <= _COMPARED else int(((1 << 64) - 1) * (_COMPARED / size))


@dataclass
class Joined:
    """The tables of a data set in their order, the one with a row for each customer
    first, and how they are joined.

    Attributes:
        facts: table -> what `params.yaml` says of its join. told_of: table -> what a
        comment says of it. left_out: a line for each table that does not join.
    """

    tables: list[Table]
    keys: Keys
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    told_of: dict[str, list[str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def join(tables: list[Table], answer_in: str | None, project: Project, wish: str | None) -> Joined:
    """Put the tables into their order, the one with a row for each customer first, say
    how the others are joined to it, and leave out what does not join.

    Args:
        tables: all tables.
        answer_in: the name of the one that has the answer, if one is known.
        project: a query of a database may have to be written for it.
        wish: the customer id that `--id` names.

    Raises:
        DraftError: the wish names no customer.
    """
    keys = join_tables(tables, answer_in, wish)
    if keys.first is None:
        kept = max(tables, key=lambda table: (table.name == answer_in, table.rows))
        keys.apart = {
            table.name: why_unjoined(table, kept) for table in tables if table is not kept
        }
    if wish and len(tables) == 1 and not _is_named(keys.first, wish):
        raise DraftError(_why_no_id(tables[0], wish))
    by_name = {table.name: table for table in tables}
    order = (
        [keys.first.table] if keys.first else [name for name in by_name if name not in keys.apart]
    )
    order += [table.name for table in tables if any(key.table == table.name for key in keys.others)]
    joined = Joined([by_name[name] for name in order], keys)
    keys.group = _find_group(joined.tables[0], keys.first)
    joined.left_out = [f"{by_name[name].shown}: {why}" for name, why in keys.apart.items()]
    _keep_names_apart(joined, project)
    _describe_joins(joined)
    return joined


def _find_group(table: Table, key: Key | None) -> str | None:
    """Return the column of the first table whose rows belong together: the customer id,
    where customers have several rows, or their id beside a key of its own.
    """
    if key and key.has_own_rows:
        return key.column
    if key and key.months:
        return None
    others = [seen for name, seen in table.columns.items() if not key or name != key.column]
    least = rate_name(table.columns[key.column], table.name) if key else 0.0
    owners = (
        seen.name
        for seen in others
        if rate_name(seen, table.name) >= max(least, _NAMED_SO) and _has_few_rows(seen)
    )
    return next((name for name in owners if names_customers(table, name)), None)


def _has_few_rows(seen: Seen) -> bool:
    """Whether a column could name the owners of the rows: some have several, not very many."""
    is_whole = seen.is_whole and seen.missing_share < 0.5
    fewest = max(_FEWEST, seen.filled / _MOST_OWNED)
    return is_whole and fewest <= seen.distinct < UNIQUE * seen.filled


def _is_named(key: Key | None, wish: str) -> bool:
    return key is not None and key.column.casefold() == wish.casefold()


def _keep_names_apart(joined: Joined, project: Project) -> None:
    """Give the customer id's name to the key of each table that calls something else
    so; leave out a file that does.
    """
    first = joined.keys.first
    for key in list(joined.keys.others):
        table = next(table for table in joined.tables if table.name == key.table)
        if first is None or key.column == first.column or first.column not in table.columns:
            continue
        if "database" in table.facts:
            key.column = _rename_key(table, key.column, first.column, project.root)
        else:
            joined.keys.others.remove(key)
            joined.tables.remove(table)
            joined.left_out.append(
                f"{table.shown}: {key.column} holds the customer id, which {first.table} calls "
                f"{first.column}; but its own column {first.column} is something else: give "
                "that another name in the file"
            )


def _why_no_id(table: Table, wish: str) -> str:
    _, seen = find_column([table], wish, "--id")
    return (
        f"--id {wish}: {seen.name} does not name a customer: {seen.distinct:,} different values in "
        f"{seen.filled:,} "
        "rows, and no date column tells the rows of one customer apart"
    )


def _describe_joins(joined: Joined) -> None:
    """Say of each table after the first how it is joined: its key, many rows, and what
    a missing row means.
    """
    first = joined.keys.first
    for key in joined.keys.others:
        assert first
        table = next(table for table in joined.tables if table.name == key.table)
        facts: dict[str, Any] = {} if key.column == first.column else {"key": key.column}
        told = [f"{table.count} rows"]
        if key.is_unique:
            told.append("one a customer")
            if 1 - key.lacking < _NEARLY_ALL:
                facts |= _absence(joined.tables, table)
                told.append(f"{key.lacking:.0%} of the customers have none")
        else:
            facts["many"] = True
            time = find_time(table)
            facts |= {"time": time} if time else {}
            told.append(f"{key.rows / max(key.distinct, 1):.1f} a customer")
        joined.facts[table.name], joined.told_of[table.name] = facts, [", ".join(told)]
    joined.told_of[joined.tables[0].name] = [f"{joined.tables[0].count} rows"]


def _absence(tables: Sequence[Table], table: Table) -> dict[str, Any]:
    taken = {name for one in tables for name in one.columns}
    present = f"has_{table.name}"
    facts: dict[str, Any] = {"absent": {"*": f"No {table.name.replace('_', ' ')}"}}
    return facts | ({"present": present} if present not in taken else {})


def find_time(table: Table) -> str | None:
    """Return the date column of a table with many rows a customer: named so, of two dates of
    an event the one at which it was known, the one that tells rows apart best.
    """
    dated = [
        seen for seen in table.columns.values() if seen.type == "date" and seen.missing_share < 0.05
    ]
    rated = [
        (
            bool(vocabulary.DAY.search(seen.words)) and not vocabulary.PLANNED.search(seen.words),
            bool(vocabulary.KNOWN_AT.search(seen.words)),
            seen.distinct,
            seen.name,
        )
        for seen in dated
    ]
    return max(rated)[-1] if rated else None


def _rename_key(table: Table, key: str, customer_id: str, root: Path) -> str:
    """Let a query give the customer id's name to a key of a database table, and another
    one to what is called so.
    """
    from churn.sources.database_reader import write_select

    other = f"{table.name}_{customer_id}"
    renamed = {key: customer_id, customer_id: other}
    names = {name: renamed.get(name, name) for name in table.frame.columns}
    written = str(table.facts["database"])
    table.facts = {
        "database": written,
        "query": write_select(expand(written), root, table.shown.removeprefix("table "), names),
    }
    table.frame = table.frame.rename(columns=renamed)
    table.columns = {
        renamed.get(name, name): dataclasses.replace(seen, name=renamed.get(name, name))
        for name, seen in table.columns.items()
    }
    return customer_id
