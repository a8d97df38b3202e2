"""What an analyst should look at, though no rule forbids it: each with its numbers and what would deal with it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

import leakage
from encoded import Series, Table, Values
from hidden_missing import find_hidden_missing

NEARLY_ALL = 0.995  # share of the rows with one value
MOST_LEVELS = 0.5  # different values of a category, as a share of its rows
MOST_NAMES = 1_000  # different values of a category
FEW = 0.05  # a share of rows below which what is impossible is a mistake and no other meaning of the column
OLDEST = 120  # years
MOST_DATES = 12  # date columns whose order is compared
CHECKED_ROWS = 100_000  # of the first table, for what order and ids tell
DEVIATIONS = 4  # standard errors
UNSURE = 0.05  # two standard errors of an AUC
RARE, MOST_CHURN = 0.01, 0.6  # shares of customers who churn beyond which it is odd
COLUMNS = ["table", "column", "what", "rows", "share", "what to do"]

_AGE = re.compile(r"(?:^|[\W_])(?:age|alter|edad|eta|âge|leeftijd|idade|customer_?age)(?:$|[\W_])", re.IGNORECASE)
_PERCENT = re.compile(r"percent|pct|prozent|pourcent|porcent|procent|%", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class Suspicion:
    """One thing to look at: `rows` of the `checked` have it."""

    table: str
    column: str
    what: str
    rows: int
    checked: int
    advice: str = ""

    @property
    def place(self) -> str:
        """The table and the column."""
        return f"{self.table}.{self.column}" if self.column else self.table

    def as_line(self) -> list[object]:
        """Return what stands in the table of suspicions; see `COLUMNS`."""
        share = self.rows / max(self.checked, 1)
        return [self.table, self.column, self.what, self.rows, f"{share:.2%}", self.advice]


def find_suspicions(tables: Mapping[str, Table], label_column: str, last_day: pd.Timestamp | None) -> list[Suspicion]:
    """Find hidden missing values, columns that say nothing or too much, and impossible values.

    `last_day` is the last that the data can know of: dates after it are told, but for those of the label.
    """
    hidden = [
        Suspicion(
            one.table,
            one.column,
            f"{one.value!r} looks like a missing value",
            one.rows,
            one.checked,
            f"{one.column}: {{none: [{', '.join(map(_quote, one.texts))}]}}",
        )
        for one in find_hidden_missing(tables)
    ]
    others = itertools.chain.from_iterable(
        _look_at(name, column, table[column], label_column, last_day)
        for name, table in tables.items()
        for column in table
    )
    reversed_pairs = itertools.chain.from_iterable(_compare_dates(name, table) for name, table in tables.items())
    return [*hidden, *others, *reversed_pairs]


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _look_at(
    table: str, column: str, values: Values, label_column: str, last_day: pd.Timestamp | None
) -> Iterator[Suspicion]:
    present = values.rows - values.missing
    if values.fact.type == "id" or not values.rows:
        return
    if values.fact.feature or column == label_column:  # else params.yaml says already what would be advised
        yield from _look_at_use(table, column, values, present)
    if not present:
        return
    if values.fact.type == "number":
        yield from _look_at_numbers(table, column, values, present)
    elif values.fact.type == "date" and last_day is not None and column != label_column:
        later = int(values.counts[values.counts.index > last_day].sum())
        if 0 < later < FEW * present:
            advice = "is `as_of` out of date, or are these mistakes?"
            yield Suspicion(table, column, f"lies after {last_day:%Y-%m-%d}", later, present, advice)


def _look_at_use(table: str, column: str, values: Values, present: int) -> Iterator[Suspicion]:
    if not present:
        yield Suspicion(table, column, "has no value at all", values.rows, values.rows, "feature: false")
    elif (most := int(values.counts.max())) >= NEARLY_ALL * values.rows:
        word = "has one value only" if len(values.counts) == 1 else "has nearly one value only"
        yield Suspicion(table, column, f"{word}: {_show(values.counts.idxmax())}", most, values.rows, "feature: false")
    if values.fact.type == "category":
        yield from _look_at_levels(table, column, values, present)


def _look_at_levels(table: str, column: str, values: Values, present: int) -> Iterator[Suspicion]:
    levels = values.distinct
    if levels > MOST_NAMES or (levels > 20 and levels > MOST_LEVELS * present):
        advice = "an id or a name: type: id, or feature: false"
        yield Suspicion(table, column, f"has {levels:,} different values", present, present, advice)


def _look_at_numbers(table: str, column: str, values: Values, present: int) -> Iterator[Suspicion]:
    counts = values.counts
    words = _CAMEL.sub("_", column)
    below = counts[counts.index < 0]
    if 0 < below.sum() < FEW * present and not (len(below) == 1 and below.index[0] in (-1, -9, -99, -999)):
        what = f"is negative, which few are: {_show(below.index[0])} and more" if len(below) > 1 else "is negative"
        yield Suspicion(table, column, what, int(below.sum()), present, "min: 0")
    limits = [(OLDEST, "years old")] if _AGE.search(words) else []
    if _PERCENT.search(words) and counts[counts.index <= 100].sum() > (1 - FEW) * present:
        limits = [(100, "percent")]
    for limit, what in limits:
        beyond = int(counts[counts.index > limit].sum())
        if beyond:
            yield Suspicion(table, column, f"is above {limit} {what}", beyond, present, f"max: {limit}")


def _compare_dates(name: str, table: Table) -> Iterator[Suspicion]:
    """Yield the pairs of dates that nearly always stand in one order, with the rows in which they do not."""
    dates = {column: table[column].of_rows() for column in table if table[column].fact.type == "date"}
    for one, other in itertools.permutations(list(dates)[:MOST_DATES], 2):
        both = int((dates[one].notna() & dates[other].notna()).sum())
        reverse = int((dates[one] > dates[other]).sum())
        if 0 < reverse < FEW * both and (dates[one] < dates[other]).sum() > both / 2:
            yield Suspicion(name, other, f"lies before {one}, which it nearly always follows", reverse, both)


def find_telling_order(ids: Series | None, churned: Series, threshold: float) -> pd.DataFrame:
    """Measure how well the order of the rows, and the id's number and prefix, tell who churns.

    Args:
        ids: the id of each row as text; None where the rows are only numbered.
        churned: the answer of each row; rows without one are left out.
        threshold: an AUC from which, when chance does not explain it, the answer is told.

    Returns:
        `what`, `auc` (out of fold) and `tells`.
    """
    known = np.flatnonzero(churned.notna())
    known = known[:: -(-len(known) // CHECKED_ROWS)] if len(known) else known
    answer = churned.iloc[known].astype(bool).reset_index(drop=True)
    if answer.nunique() < 2:
        return pd.DataFrame(columns=["what", "auc", "tells"])
    clues = {"the order of the rows": pd.Series(known, dtype="float64")}
    if ids is not None:
        texts = ids.iloc[known].reset_index(drop=True)
        clues["the number in the id"] = pd.to_numeric(_extract(texts, r"\d{1,15}"))
        clues["the first characters of the id"] = _extract(texts, r"^(?:[^\d]+|\d{1,2})")
    error = DEVIATIONS * _error_of_auc(int(answer.sum()), int((~answer).sum()))
    folds = leakage.fold_groups(
        np.arange(len(answer)) if ids is None else texts.to_numpy()
    )  # a customer in one of them
    found = [(what, leakage.separate(clue, answer, folds)) for what, clue in clues.items() if clue.nunique() > 1]
    lines = [(what, auc, auc >= max(threshold, 0.5 + error)) for what, auc in found]
    return pd.DataFrame(lines, columns=["what", "auc", "tells"])


def _extract(texts: Series, pattern: str) -> Series:
    """Return the first match in each text; `Series.str.extract` does the same row by row in Python."""
    found = pc.extract_regex(pa.array(texts, pa.large_string()), f"(?P<first>{pattern})")
    return pd.Series(pc.struct_field(found, "first").to_pandas(), dtype="str")


def find_order_doubts(order: pd.DataFrame, table: str) -> Iterator[Suspicion]:
    """Yield what of `find_telling_order` tells the answer."""
    for what, auc in order.loc[order["tells"].astype(bool), ["what", "auc"]].itertuples(index=False):
        told = f"has something that tells who churns, {what}: AUC {auc:.2f}"
        yield Suspicion(table, "", told, 0, 0, "no feature is made of it; ask how the rows were put together")


def find_label_doubts(labels: pd.DataFrame, table: str, column: str) -> Iterator[Suspicion]:
    """Yield what makes the answer hard to learn: too few customers of a kind to measure a model, or a rare answer."""
    ended, stayed = int(labels["churned"].sum()), int(labels["stayed"].sum())
    if not ended or not stayed:
        return
    error = 2 * _error_of_good_auc(ended, stayed)
    if error > UNSURE:
        what = f"has so few answers of one kind that the AUC of a good model is known to within {error:.2f} only"
        advice = "more customers, or several as-of dates"
        yield Suspicion(table, column, what, min(ended, stayed), ended + stayed, advice)
    share = ended / (ended + stayed)
    if not RARE <= share <= MOST_CHURN:
        what = f"says that {share:.2%} churn: is its positive value the right one, and are all customers there?"
        yield Suspicion(table, column, what, ended, ended + stayed, "label in params.yaml")


def _error_of_good_auc(ended: int, stayed: int, auc: float = 0.8) -> float:
    """Return the standard error of an AUC (Hanley and McNeil 1982)."""
    one, two = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (ended - 1) * (one - auc**2) + (stayed - 1) * (two - auc**2)
    return float(np.sqrt(variance / (ended * stayed)))


def _error_of_auc(ended: int, stayed: int) -> float:
    """Return the standard error of an AUC of 0.5 (Mann and Whitney 1947)."""
    return float(np.sqrt((ended + stayed + 1) / (12 * ended * stayed)))


def _show(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return f"{value:g}" if isinstance(value, float) else repr(value)
