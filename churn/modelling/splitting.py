"""Training, test and folds: rows that belong together in one part, with about the same
churn rate in each.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold

from churn.tables import repeats

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Split = tuple[Ints, Ints]

# Another salt draws another test set: champions could no longer be compared.
SALT = "churn test set"
CUSTOMERS, TIME = "customers", "time"
_FEWEST = 5  # customers of each class in the test set


@dataclass(frozen=True)
class Examples:
    """Customers to learn from, or to be tested on.

    Attributes:
        features: as `encoders.as_features` makes them.
        churned: the answer of each row, 0 or 1.
        groups: the number of each row's group; rows of one group stay together.
        days: the as-of day of each row, where they have one.
    """

    features: pd.DataFrame
    churned: Ints
    groups: Ints
    days: pd.Series | None = None

    def take(self, rows: npt.NDArray[np.intp]) -> Examples:
        """Return the rows at these positions."""
        days = None if self.days is None else self.days.iloc[rows]
        return Examples(self.features.iloc[rows], self.churned[rows], self.groups[rows], days)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.churned)


@dataclass(frozen=True)
class Drawn:
    """How the test set was drawn: customers by a hash, or all customers of the last
    days, from `test_from` on.
    """

    how: str
    salt: str
    test_share: float
    test_from: str | None = None

    def as_facts(self) -> dict[str, str | float | None]:
        """Return what scoring and the comparison of models need to draw the same test set again."""
        return asdict(self)


def find_groups(training: pd.DataFrame) -> Ints:
    """Return the number of each row's `twin_group`; each row stands alone where there
    is no such column.
    """
    if "twin_group" not in training:
        return np.arange(len(training))
    return np.asarray(training["twin_group"].to_numpy("int64"))


def has_groups(groups: Ints) -> bool:
    """Whether any group has more than one row."""
    return len(np.unique(groups)) < len(groups)


def place(
    training: pd.DataFrame, groups: Ints, *, customer_id: str | None, features: Iterable[str]
) -> Floats:
    """Return a number in [0, 1) for each row, from a hash of the customer's id; where no
    column names the customers (None), of what the features say.
    """
    if customer_id is None:
        return place_rows(training[list(features)], groups)
    return place_ids(training[customer_id], groups)


def place_ids(ids: pd.Series, groups: Ints, *, salt: str = SALT) -> Floats:
    """Return a number in [0, 1) for each row, from a hash of the customer's id; of a
    group, of its smallest id.

    It is the same in each run, on any platform, whatever other customers there are:
    those below the test share are the test set.
    """
    numbers, different = pd.factorize(ids.astype("str").to_numpy(dtype=object))
    code = pd.factorize(groups)[0]
    if has_groups(groups):
        order = np.argsort(different, kind="stable")
        ranks = np.empty(len(order), dtype=np.int64)
        ranks[order] = np.arange(len(order))
        smallest = pd.Series(ranks[numbers]).groupby(code).transform("min").to_numpy()
        numbers = order[smallest]
    return _hash(different, salt)[numbers]


def place_rows(features: pd.DataFrame, groups: Ints, *, salt: str = SALT) -> Floats:
    """Return a number in [0, 1) for each row, from a hash of its features, where no id
    tells customers apart.

    Of a group it is that of the row with the smallest hash.
    """
    columns = [_as_numbers(features[name]) for name in sorted(map(str, features))]
    content = (
        np.ascontiguousarray(np.column_stack(columns)).view(np.uint8).reshape(len(features), -1)
    )
    keys = [hashlib.blake2b(row.tobytes(), digest_size=8).hexdigest() for row in content]
    return place_ids(pd.Series(keys, dtype=object), groups, salt=salt)


def _as_numbers(values: pd.Series) -> npt.NDArray[np.uint64]:
    """Return the bits of each number, or a hash of each text."""
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy(np.float64, na_value=np.nan) + 0.0  # one zero, and one NaN
        return np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").view(np.uint64)
    code, texts = pd.factorize(values)
    hashes = (_hash(texts, "text") * 2**53).astype(np.uint64)
    return np.append(hashes, np.uint64(2**54))[code]


def _hash(texts: Iterable[Any], salt: str) -> Floats:
    key = salt.encode()
    digests = b"".join(
        hashlib.blake2b(str(text).encode(), digest_size=8, key=key).digest() for text in texts
    )
    return (np.frombuffer(digests, dtype="<u8") >> np.uint64(11)) / 2.0**53


def sample_rows(places: Floats, most: int) -> npt.NDArray[np.intp]:
    """Return the positions of about that many rows, in whole groups, whatever their
    place; of all, if there are fewer.

    The same customers are kept in each run, as long as there are about as many.
    """
    if len(places) <= most:
        return np.arange(len(places))
    return np.flatnonzero(places * 2**20 % 1 < most / len(places))


def hold_out(churned: Ints, places: Floats, *, share: float) -> Split:
    """Return the positions of the training rows, and of the test set: the rows placed
    below that share.

    Where too few of a class are below it, the next ones of that class come too, with
    those at the same place.
    """
    is_test = places < share
    for value in (0, 1):
        of_class = np.unique(places[churned == value])
        if len(of_class) > 2 * _FEWEST:
            is_test |= (churned == value) & (places <= of_class[_FEWEST - 1])
    is_test = np.isin(places, places[is_test])
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def hold_out_last(
    days: pd.Series,
    churned: Ints,
    groups: Ints,
    *,
    share: float,
    horizon: datetime.timedelta | None,
    fewest: int,
) -> tuple[Split | None, str]:
    """Put the last days away: as many as hold that share of the rows, at least one.

    Training days are those whose horizon, in which the answer shows, has ended before
    the first test day. Without a horizon it is as long as from one day to the next.

    Returns:
        The positions of training and test rows, or None if a part would have fewer than
        `fewest` groups of a class; and what to tell about it.
    """
    rows = days.value_counts().sort_index()
    later = rows[::-1].cumsum()[::-1] / len(days)
    last = later.index[(later <= share).to_numpy()]
    first = last[0] if len(last) else rows.index[-1]
    gap = horizon or rows.index.to_series().diff().min()
    reach = np.less if horizon else np.less_equal
    is_test, is_train = (days >= first).to_numpy(), reach(days + gap, first)
    parts = np.flatnonzero(is_train), np.flatnonzero(is_test)
    counts = [min(repeats.count_groups(churned[part], groups[part])[1:]) for part in parts]
    if min(counts) < fewest:
        few = "customers of each class on"
        if counts[0] < fewest:
            few = "training days whose horizon ended before"
        said = f"Not split by time: too few {few} {first:%Y-%m-%d}. Customers are put away instead."
        return None, said
    left_out = len(days) - len(parts[0]) - len(parts[1])
    return parts, (
        f"Test set: the customers of {first:%Y-%m-%d} and later; training: the days whose "
        f"{gap.days} days ended before ({left_out:,} rows between are left out)."
    )


def draw_test_set(
    days: pd.Series | None,
    churned: Ints,
    groups: Ints,
    places: Floats,
    *,
    share: float,
    horizon_days: int | None,
    fewest: int,
) -> tuple[Split, Drawn, str]:
    """Put the test set away: the last days, where there are several and enough
    customers on both sides; else customers.

    Returns:
        The positions of training and test rows, how they were drawn, and what to tell about it.
    """
    said = f"Test set: customers whose hashed id lies in the lowest {share:.0%}."
    if days is not None and days.nunique() > 1:
        horizon = None if horizon_days is None else datetime.timedelta(days=horizon_days)
        split, by_time = hold_out_last(
            days, churned, groups, share=share, horizon=horizon, fewest=fewest
        )
        if split is not None:
            first = days.iloc[split[1]].min()
            return split, Drawn(TIME, SALT, share, f"{first:%Y-%m-%d}"), by_time
        said = f"{by_time} {said}"
    return hold_out(churned, places, share=share), Drawn(CUSTOMERS, SALT, share), said


def make_folds(churned: Ints, groups: Ints, *, folds: int, repeats: int, seed: int) -> list[Split]:
    """Return the training and test positions of each fold of each repeat.

    Groups are drawn like customers, stratified by how many rows they have and how many
    of them churned: folds differ in size and churn rate by next to nothing.
    (scikit-learn's StratifiedGroupKFold deals with one group after the other: 8 s for
    50,000 groups.)
    """
    if not has_groups(groups):
        plan = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
        return list(plan.split(churned, churned))
    code, strata = _stratify(churned, groups, fewest=folds)
    splits = []
    for repeat in range(repeats):
        plan = StratifiedKFold(n_splits=folds, shuffle=True, random_state=seed + repeat)
        for _, test in plan.split(strata, strata):
            is_test = np.isin(code, test)
            splits.append((np.flatnonzero(~is_test), np.flatnonzero(is_test)))
    return splits


def _stratify(churned: Ints, groups: Ints, fewest: int) -> tuple[Ints, Ints]:
    """Return the number of each row's group, and each group's stratum: its rows and how
    many of them churned.

    Strata with fewer groups than that are put together, by whether anybody churned;
    what is still rare goes to the largest stratum.
    """
    code = pd.factorize(groups)[0].astype(np.int64)
    rows, ends = np.bincount(code), np.bincount(code, weights=churned).astype(np.int64)
    strata = rows * (rows.max() + 1) + ends
    strata = _pool_rare(strata, -1 - (ends > 0), fewest)
    return code, _pool_rare(strata, np.full(len(rows), pd.Series(strata).mode()[0]), fewest)


def _pool_rare(strata: Ints, pooled: Ints, fewest: int) -> Ints:
    counts = pd.Series(strata).value_counts()
    return np.asarray(
        np.where(pd.Series(strata).map(counts) < fewest, pooled, strata), dtype=np.int64
    )


def error_by_chance(churned: Ints, groups: Ints) -> float:
    """Return the standard error that a ROC AUC has by chance, where nothing tells who churns.

    Of the Mann-Whitney statistic under its null hypothesis: sqrt((n + 1) / (12 n1 n0)).
    Rows that belong together count once: as one who churned, if any of them did.
    """
    ever = pd.Series(churned).groupby(groups).max()
    ended = int(ever.sum())
    return float(np.sqrt((len(ever) + 1) / (12 * max(ended * (len(ever) - ended), 1))))
