"""Customers who are the same row twice: found, counted, and numbered, so that a split
keeps them on one side.

A model that is tested on the copy of a row that it learned from is rated too well.
Twins are rows with the same features and the same answer under another id, near copies
(see `near_duplicates`), and the rows of one customer on several days. Rows that are equal
by chance, in a table with few distinct values, are none: to keep them together would
part the customers of whole regions of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from churn.features.near_duplicates import Column, Ints, NearCopies, Pairs, find_near_copies
from churn.tables import repeats
from churn.tables.repeats import Hashes

_LARGEST_GROUP = 100  # rows; more near copies of each other than that are a chain of chance


@dataclass(frozen=True)
class Twins:
    """Which rows belong together.

    Attributes:
        group: a number for each row, the same for rows that belong together; from 0, in
        the order of the rows. counts: for each kind of twin the number of rows that
        have one, and the groups that they form. examples: pairs of row positions, by
        kind; of each kind the first ones. notes: what an analyst should know of how
        they were found.
    """

    group: Ints
    counts: pd.DataFrame
    examples: dict[str, Pairs]
    notes: list[str]

    @property
    def rows(self) -> int:
        """The number of rows that share their group with another."""
        return int((np.bincount(self.group)[self.group] > 1).sum()) if len(self.group) else 0


def find_twins(
    features: pd.DataFrame,
    churned: pd.Series[Any],
    customers: pd.Series[Any],
    places: pd.Series[Any] | None = None,
    *,
    by_day: bool = True,
    looked_at: int = 100_000,
    seed: int = 0,
) -> Twins:
    """Find the rows that belong together.

    Args:
        features: a row each; numbers (float64) and texts.
        churned: the answers, 0 and 1.
        customers: who each row is about: his rows belong together, and one speaks for all.
            A row of which that is not known stands alone.
        places: where each row stands in the table as it came; absent: as in order.
        by_day: a customer's rows are those of several days, in order: the last speaks for
            all. Else the one with the smallest hash does, in whatever order they come.
        looked_at: with more customers, near copies are looked for on a tenth of so many.
        seed: of what is random.
    """
    owner = repeats.number_groups(customers)
    last = _find_spokesmen(owner, features, by_day=by_day)
    answers, latest = churned.to_numpy(np.int64)[last], features.iloc[last]
    columns = [Column.of(latest[name]) for name in latest]
    place = _place_rows(places, last)
    same, equal, notes = _find_identical(columns, answers)
    distinct = _list_distinct(equal, place)
    taken = [column.take(distinct) for column in columns]
    risen = place[distinct] - place.min(initial=0)
    near = find_near_copies(taken, answers[distinct], risen, looked_at=looked_at, seed=seed)
    similar, cut = _cut_chains(distinct[near.pairs], len(last))
    found = {"identical but for the id": last[same], "near copies": last[similar]}
    pairs = np.concatenate([_link_owners(owner, last), *found.values()])
    group = pd.factorize(_connect(pairs, len(features)))[0].astype(np.int64)
    notes += [*cut, *_describe_search(near, len(distinct))]
    own = "of one customer on several days" if by_day else "of one customer or group"
    return Twins(group, _count(owner, own, found), found, notes)


def _find_spokesmen(owner: Ints, features: pd.DataFrame, *, by_day: bool) -> Ints:
    """Return the row of each owner that speaks for all, in the order of the rows."""
    if by_day:
        return np.flatnonzero(~pd.Series(owner).duplicated(keep="last"))
    content = repeats.hash_rows([Column.of(features[name]).code for name in features])
    order = np.lexsort([content, owner])
    return np.sort(order[~pd.Series(owner[order]).duplicated().to_numpy()])


def _place_rows(places: pd.Series[Any] | None, rows: Ints) -> Ints:
    """Return where rows stand in the table as it came; all of them have a place, or none."""
    if places is None or places.isna().any():
        return np.arange(len(rows))
    return places.to_numpy(np.int64)[rows]


def _find_identical(columns: list[Column], answers: Ints) -> tuple[Pairs, Hashes, list[str]]:
    """Return pairs that link the rows that are equal, answers included, none where chance makes
    them (`repeats.are_by_chance`); the hash of each row; and what is to be said of it.
    """
    hashed = [*columns, Column.of(pd.Series(answers.astype(np.float64)))]
    codes = [column.code for column in hashed]
    equal = repeats.hash_rows(codes)
    code, size = pd.factorize(equal)[0], len(equal)
    rows = int((np.bincount(code, minlength=1)[code] > 1).sum()) if size else 0
    if rows == 0:
        return np.empty((0, 2), np.int64), equal, []
    if repeats.are_by_chance(codes):
        told = (
            f"{rows:,} customers are equal to another in all features and the answer. As many are "
            "equal but for one feature as chance would have it, so these are no copies: the table "
            "has few distinct values."
        )
        return np.empty((0, 2), np.int64), equal, [told]
    first = pd.Series(np.arange(size)).groupby(code).transform("first").to_numpy()
    others = np.flatnonzero(first != np.arange(size))
    return np.column_stack([first[others], others]), equal, []


def _list_distinct(equal: Hashes, place: Ints) -> Ints:
    """Return the first row of each hash, in the order of their places."""
    distinct = np.flatnonzero(~pd.Series(equal).duplicated())
    return distinct[np.argsort(place[distinct], kind="stable")]


def _cut_chains(pairs: Pairs, size: int) -> tuple[Pairs, list[str]]:
    """Leave out near copies that hang together in so large a group that chance must
    have linked them.
    """
    group = _connect(pairs, size)
    is_large = np.bincount(group, minlength=1)[group[pairs[:, 0]]] > _LARGEST_GROUP
    if not is_large.any():
        return pairs, []
    return pairs[~is_large], [
        f"{len(np.unique(pairs[is_large])):,} customers are near copies of each other in groups of "
        f"more than {_LARGEST_GROUP}: that is how dense the table is there, and they are no twins."
    ]


def _link_owners(owner: Ints, last: Ints) -> Pairs:
    """Return pairs that link each row to the one that speaks for its owner."""
    of_owner = np.empty(len(last), dtype=np.int64)
    of_owner[owner[last]] = last
    rows = np.flatnonzero(of_owner[owner] != np.arange(len(owner)))
    return np.column_stack([rows, of_owner[owner[rows]]])


def _connect(pairs: Pairs, size: int) -> Ints:
    """Return a number for each row, the same for rows that pairs connect."""
    graph = coo_array(
        (np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(size, size)
    )
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _count(owner: Ints, own: str, found: dict[str, Pairs]) -> pd.DataFrame:
    several = np.bincount(owner, minlength=1)[owner] > 1
    lines = {own: [int(several.sum()), len(np.unique(owner[several]))]}
    for kind, pairs in found.items():
        rows = np.unique(pairs)
        lines[kind] = [len(rows), len(np.unique(_connect(pairs, len(owner))[rows]))]
    table = pd.DataFrame.from_dict(lines, orient="index", columns=["rows", "groups"])
    table["share of rows"] = table["rows"] / max(len(owner), 1)
    return table


def _describe_search(near: NearCopies, size: int) -> list[str]:
    notes = []
    if near.stretches:
        notes.append(
            f"Rows that lie {_list_lags(near.stretches)} rows apart repeat each other: a part of "
            "the table was written twice."
        )
    if scattered := [lag for lag in near.lags if lag not in near.stretches]:
        notes.append(
            f"Near copies often lie {_list_lags(scattered)} rows apart, scattered over the table: "
            "ask how it was put together."
        )
    if near.looked_at < size and near.looked_at:
        share = near.stand_out / near.looked_at
        notes.append(
            f"Near copies were looked for of {near.looked_at:,} customers among all {size:,}, for "
            f"the sake of time: {share:.2%} have one. Of the others only copies at a fixed "
            "distance in the table are kept together."
        )
    return notes


def _list_lags(lags: Sequence[int]) -> str:
    return ", ".join(f"{lag:,}" for lag in lags[:3]) + (", …" if len(lags) > 3 else "")


def show_examples(
    features: pd.DataFrame,
    customers: pd.Series[Any],
    twins: Twins,
    most: int = 3,
    differences: int = 6,
) -> pd.DataFrame:
    """Show some twins side by side: who they are, in how many features they agree, and
    where they differ.
    """
    lines = []
    for kind, pairs in twins.examples.items():
        for one, other in pairs[:most]:
            a, b = features.iloc[one], features.iloc[other]
            differ = [
                name
                for name in features
                if not (a[name] == b[name] or (pd.isna(a[name]) and pd.isna(b[name])))
            ]
            shown = [
                f"{name}: {_show(a[name])} / {_show(b[name])}" for name in differ[:differences]
            ]
            more = [f"{len(differ) - differences} more"] if len(differ) > differences else []
            who = f"{customers.iloc[one]} / {customers.iloc[other]}"
            lines.append(
                [kind, who, features.shape[1] - len(differ), "; ".join([*shown, *more]) or "none"]
            )
    return pd.DataFrame(lines, columns=["twins", "customers", "equal features", "differences"])


def _show(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
