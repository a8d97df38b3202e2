"""What an analyst should look at, though no rule forbids it: each with its numbers and
what would deal with it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churn.leakage import strength
from churn.tables import repeats
from churn.tables.encoded import Series, Table, Values

MOST_DATES = 12  # date columns whose order is compared
CHECKED_ROWS = 100_000  # of the first table, for what order and ids tell
COLUMNS = ["table", "column", "what", "rows", "share", "what to do"]

_AGE = re.compile(
    r"(?:^|[\W_])(?:age|alter|edad|eta|âge|leeftijd|idade|customer_?age)(?:$|[\W_])", re.IGNORECASE
)
_PERCENT = re.compile(r"percent|pct|prozent|pourcent|porcent|procent|%", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class Limits:
    """From where on something is suspicious.

    Attributes:
        nearly_all: share of the rows with one value, from which a column says nothing.
        most_levels: different values of a category, as a share of its rows.
        most_names: different values of a category.
        few: share of rows below which what is impossible is a mistake, and no other meaning
            of the column.
        oldest: years.
    """

    nearly_all: float
    most_levels: float
    most_names: int
    few: float
    oldest: float


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


def tabulate(found: Sequence[Suspicion]) -> pd.DataFrame:
    """Return a line for each suspicion; see `COLUMNS`."""
    return pd.DataFrame([one.as_line() for one in found], columns=COLUMNS)


def find_suspicions(
    tables: Mapping[str, Table], label_column: str, last_day: pd.Timestamp | None, limits: Limits
) -> list[Suspicion]:
    """Find columns that say nothing or too much, and impossible values.

    `last_day` is the last that the data can know of: dates after it are told, but for
    those of the label.
    """
    found: list[Suspicion] = []
    for name, table in tables.items():
        for column in table:
            at = _Place(name, column, table[column], limits)
            found += at.look(column == label_column, last_day)
    for name, table in tables.items():
        found += _compare_dates(name, table, limits.few)
    return found


@dataclass(frozen=True)
class _Place:
    """One column, and what is looked for in it."""

    table: str
    column: str
    values: Values
    limits: Limits

    @property
    def present(self) -> int:
        """The rows with a value."""
        return self.values.rows - self.values.missing

    def look(self, is_label: bool, last_day: pd.Timestamp | None) -> Iterator[Suspicion]:
        """Yield what is suspicious."""
        values = self.values
        if values.fact.type == "id" or not values.rows:
            return
        # Else params.yaml says already what would be advised.
        if values.fact.feature or is_label:
            yield from self._look_at_use()
        if values.fact.type == "number" and self.present:
            yield from self._look_below()
            yield from self._look_above()
        elif values.fact.type == "date" and last_day is not None and not is_label:
            later = int(values.counts[values.counts.index > last_day].sum())
            if 0 < later < self.limits.few * self.present:
                advice = "is `as_of` out of date, or are these mistakes?"
                yield self._say(f"lies after {last_day:%Y-%m-%d}", later, advice)

    def _say(self, what: str, rows: int, advice: str, checked: int | None = None) -> Suspicion:
        of = self.present if checked is None else checked
        return Suspicion(self.table, self.column, what, rows, of, advice)

    def _look_at_use(self) -> Iterator[Suspicion]:
        rows, counts = self.values.rows, self.values.counts
        if not self.present:
            yield self._say("has no value at all", rows, "feature: false", rows)
        elif (most := int(counts.max())) >= self.limits.nearly_all * rows:
            word = "has one value only" if len(counts) == 1 else "has nearly one value only"
            yield self._say(f"{word}: {_show(counts.idxmax())}", most, "feature: false", rows)
        if self.values.fact.type == "category":
            levels = self.values.distinct
            limit = max(20, self.limits.most_levels * self.present)
            if levels > self.limits.most_names or levels > limit:
                advice = "an id or a name: type: id, or feature: false"
                yield self._say(f"has {levels:,} different values", self.present, advice)

    def _look_below(self) -> Iterator[Suspicion]:
        """Yield negative numbers, if they are few; one that means `missing` is a stand-in."""
        counts = self.values.counts
        below = counts[counts.index < 0]
        is_stand_in = len(below) == 1 and below.index[0] in (-1, -9, -99, -999)
        if is_stand_in or not 0 < below.sum() < self.limits.few * self.present:
            return
        several = f"is negative, which few are: {_show(below.index[0])} and more"
        yield self._say(several if len(below) > 1 else "is negative", int(below.sum()), "min: 0")

    def _look_above(self) -> Iterator[Suspicion]:
        """Yield ages and percentages, by the name of the column, that are too large."""
        counts, words = self.values.counts, _CAMEL.sub("_", self.column)
        limit, what = (self.limits.oldest, "years old") if _AGE.search(words) else (None, "")
        usual = counts[counts.index <= 100].sum()
        if _PERCENT.search(words) and usual > (1 - self.limits.few) * self.present:
            limit, what = 100, "percent"
        beyond = 0 if limit is None else int(counts[counts.index > limit].sum())
        if beyond:
            yield self._say(f"is above {limit:g} {what}", beyond, f"max: {limit:g}")


def _compare_dates(name: str, table: Table, few: float) -> Iterator[Suspicion]:
    """Yield the pairs of dates that nearly always stand in one order, with the rows in
    which they do not.
    """
    dates = {
        column: table[column].of_rows() for column in table if table[column].fact.type == "date"
    }
    for one, other in itertools.permutations(list(dates)[:MOST_DATES], 2):
        both = int((dates[one].notna() & dates[other].notna()).sum())
        reverse = int((dates[one] > dates[other]).sum())
        if 0 < reverse < few * both and (dates[one] < dates[other]).sum() > both / 2:
            what = f"lies before {one}, which it nearly always follows"
            yield Suspicion(name, other, what, reverse, both)


def find_telling_order(
    ids: Series | None, churned: Series, threshold: float, standard_errors: float
) -> pd.DataFrame:
    """Measure how well the order of the rows, and the id's number and prefix, tell who churns.

    Args:
        ids: the id of each row as text; None where the rows are only numbered.
        churned: the answer of each row; rows without one are left out.
        threshold: an AUC from which, when chance does not explain it, the answer is told.
        standard_errors: of an AUC, which chance explains.

    Returns:
        `what`, `auc` (out of fold) and `tells`.
    """
    known = np.flatnonzero(churned.notna())
    known = known[:: -(-len(known) // CHECKED_ROWS)] if len(known) else known
    answer = churned.iloc[known].astype(bool).reset_index(drop=True)
    if answer.nunique() < 2:
        return pd.DataFrame(columns=["what", "auc", "tells"])
    clues = {"the order of the rows": pd.Series(known, dtype="float64")}
    owners: Any = np.arange(len(answer))
    if ids is not None:
        texts = ids.iloc[known].reset_index(drop=True)
        clues["the number in the id"] = pd.to_numeric(_extract(texts, r"\d{1,15}"))
        clues["the first characters of the id"] = _extract(texts, r"^(?:[^\d]+|\d{1,2})")
        owners = texts.to_numpy()
    folds = strength.fold_groups(owners)  # a customer in one of them
    _, *of_kind = repeats.count_groups(answer.to_numpy(), owners)  # customers, not their rows
    error = standard_errors * _error_of_auc(*of_kind)
    lines = []
    for what, clue in clues.items():
        if clue.nunique() > 1:
            auc = strength.separate(clue, answer, folds)
            lines.append((what, auc, auc >= max(threshold, 0.5 + error)))
    return pd.DataFrame(lines, columns=["what", "auc", "tells"])


def _extract(texts: Series, pattern: str) -> Series:
    """Return the first match in each text; `Series.str.extract` does the same row by row."""
    found = pc.extract_regex(pa.array(texts, pa.large_string()), f"(?P<first>{pattern})")
    return pd.Series(pc.struct_field(found, "first").to_pandas(), dtype="str")


def find_order_doubts(order: pd.DataFrame, table: str) -> Iterator[Suspicion]:
    """Yield what of `find_telling_order` tells the answer."""
    for what, auc in order.loc[order["tells"].astype(bool), ["what", "auc"]].itertuples(
        index=False
    ):
        told = f"has something that tells who churns, {what}: AUC {auc:.2f}"
        yield Suspicion(
            table, "", told, 0, 0, "no feature is made of it; ask how the rows were put together"
        )


def find_label_doubts(
    labels: pd.DataFrame, table: str, column: str, unsure: float, churn: tuple[float, float]
) -> Iterator[Suspicion]:
    """Yield what makes the answer hard to learn: too few customers of a kind to measure
    a model, or a rare answer.

    `unsure` is the most that two standard errors of a good model's AUC may be, `churn` the
    shares of customers who churn beyond which it is odd.
    """
    ended, stayed = int(labels["churned"].sum()), int(labels["stayed"].sum())
    if not ended or not stayed:
        return
    error = 2 * _error_of_good_auc(ended, stayed)
    if error > unsure:
        what = "has so few answers of one kind that the AUC of a good model is known to within"
        advice, known = "more customers, or several as-of dates", ended + stayed
        yield Suspicion(
            table, column, f"{what} {error:.2f} only", min(ended, stayed), known, advice
        )
    share, (rare, most) = ended / (ended + stayed), churn
    if not rare <= share <= most:
        question = "is its positive value the right one, and are all customers there?"
        what = f"says that {share:.2%} churn: {question}"
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
