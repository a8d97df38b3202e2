"""What counts as good data: pandera schemas from the facts of the columns, rules with thresholds, and quarantine."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pandera.pandas as pa

import stagekit
from params import Column, ColumnLabel, EndDateLabel

PRESENT = "is present"
DATES_IN_ORDER = "does not end before it begins"
LONGEST_VALUE = 80  # characters of a value in a reason

Series = pd.Series  # a column; its type parameter says nothing of the texts and numbers here
Tables = Mapping[str, pd.DataFrame]
Facts = Mapping[str, Mapping[str, Column]]
Label = ColumnLabel | EndDateLabel


@dataclass(frozen=True)
class Rule:
    """One rule and what was counted: it holds while `failed / checked` is at most `threshold`.

    A rule with a `minimum` asks for a number instead: `checked` were found and `failed` are lacking.
    """

    table: str
    column: str
    rule: str
    checked: int
    failed: int
    threshold: float
    minimum: int | None = None
    hint: str = ""

    @classmethod
    def at_least(cls, minimum: int, found: int, table: str, column: str, what: str, hint: str = "") -> Rule:
        """Ask for at least `minimum` of something."""
        text, lacking = f"at least {minimum:,} {what}", max(minimum - found, 0)
        return cls(table, column, text, found, lacking, 0.0, minimum, hint)

    @property
    def share(self) -> float:
        """The part of the checked rows, or of the minimum, that fails."""
        return self.failed / max(self.minimum or self.checked, 1)

    @property
    def passed(self) -> bool:
        """Whether the rule holds."""
        return self.share <= self.threshold

    def as_record(self) -> dict[str, Any]:
        """Return the rule as it stands in `quality.json`."""
        names = ("table", "column", "rule", "checked", "failed", "share", "threshold", "passed")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        """Return the rule with its numbers, as a failed gate tells it."""
        place = f"{self.table}.{self.column}" if self.column else self.table
        if self.minimum is not None:
            return f"{place}: {self.rule}: found {self.checked:,}{self.hint}"
        broken = f"broken by {self.failed:,} of {self.checked:,} ({self.share:.2%})"
        return f"{place}: {self.rule!r} is {broken}, allowed {self.threshold:.2%}{self.hint}"


def compare_columns(received: Collection[str], known: Collection[str], customer_id: str) -> tuple[list[str], list[str]]:
    """Compare a table's columns with those that the facts describe.

    Returns:
        A line for each column that is missing, with the nearest name received; the columns that nobody described.
    """
    expected = list(dict.fromkeys([customer_id, *known]))
    extra = [name for name in received if name not in expected]
    missing = [name for name in expected if name not in received]
    return [f"no column {name!r}{stagekit.suggest(name, extra or [*received])}" for name in missing], extra


def find_label_problems(facts: Facts, label: Label) -> list[str]:
    """Return a line for each column of the label that no table has."""
    names = [label.column] if isinstance(label, ColumnLabel) else label.columns
    known = [column for columns in facts.values() for column in columns]
    lacking = [name for name in names if name not in known]
    return [f"label: no table has the column {name!r}{stagekit.suggest(name, known)}" for name in lacking]


def find_critical_columns(customer_id: str, label: Label) -> list[str]:
    """Name the columns without which a row is of no use, if they are required at all."""
    answer = label.column if isinstance(label, ColumnLabel) else label.begin_date
    return [customer_id, answer] if answer else [customer_id]


def build_schema(columns: Mapping[str, Column], dates: tuple[str, str]) -> pa.DataFrameSchema:
    """Turn the facts of a table's columns into a schema of its cleaned texts; `dates` are the first and last possible.

    That a key stands only once is no part of the schema: preparation mends duplicates, so they are counted apart.
    """
    described = {}
    for name, column in columns.items():
        checks = [pa.Check(check, error=rule) for rule, check in _checks(column, dates).items()]
        described[name] = pa.Column(nullable=not column.required, checks=checks)
    return pa.DataFrameSchema(described)


def _checks(column: Column, dates: tuple[str, str]) -> dict[str, Callable[[Series], Series]]:
    """Name the rules that each text of a column has to keep, blanks aside."""
    parse = functools.partial(stagekit.parse_column, column=column)
    if column.type == "number":
        checks: dict[str, Callable[[Series], Series]] = {"is a number": lambda texts: parse(texts).notna()}
        if column.min is not None or column.max is not None:
            low, high = _limits(column)
            checks[_describe_limits(column)] = lambda texts: ~(parse(texts).lt(low) | parse(texts).gt(high))
        return checks
    if column.type == "date":
        first, last = map(pd.Timestamp, dates)
        rule = f"is a date ({column.format}) from {dates[0]} to {dates[1]}"
        return {rule: lambda texts: parse(texts).between(first, last)}
    if column.type == "category" and column.values is not None:
        return {f"is one of: {', '.join(column.values)}": lambda texts: texts.isin(column.values)}
    return {}


def _limits(column: Column) -> tuple[float, float]:
    return -math.inf if column.min is None else column.min, math.inf if column.max is None else column.max


def _describe_limits(column: Column) -> str:
    low, high = _limits(column)
    if math.isinf(high):
        return f"is at least {low:g}"
    return f"is at most {high:g}" if math.isinf(low) else f"is between {low:g} and {high:g}"


def check_values(
    frame: pd.DataFrame, columns: Mapping[str, Column], schema: pa.DataFrameSchema
) -> tuple[pd.DataFrame, dict[tuple[str, str], int]]:
    """Check each value of a raw table, whose index counts its rows.

    Returns:
        One line for each broken rule (`row`, `column`, `rule`, `value` as received), and the number of values that each
        rule (column, rule) was checked on: blanks break no rule but `is present`.
    """
    cleaned = pd.DataFrame({name: stagekit.clean_text(frame[name], columns[name]) for name in frame.columns})
    checked = {}
    for name, column in schema.columns.items():
        if not column.nullable:
            checked[name, PRESENT] = len(frame)
        checked |= {(name, str(check.error)): int(cleaned[name].notna().sum()) for check in column.checks}
    groups = _validate(cleaned, schema).groupby(["column", "rule"], sort=False)["row"]
    parts = [list_failures(frame, rows, *place) for place, rows in groups]
    return pd.concat([list_failures(frame, [], frame.columns[0], ""), *parts], ignore_index=True), checked


def _validate(cleaned: pd.DataFrame, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Return the row, column and rule of each failure that pandera finds."""
    try:
        schema.validate(cleaned, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        if cases["index"].isna().any():  # a check itself raised, which is no fault of the data
            raise
        rules = cases["check"].replace({"not_nullable": PRESENT})
        return pd.DataFrame({"row": cases["index"], "column": cases["column"], "rule": rules})
    return pd.DataFrame({"row": [], "column": [], "rule": []})


def list_failures(frame: pd.DataFrame, rows: Any, column: Any, rule: Any) -> pd.DataFrame:
    """Return one line for each row of a raw table that breaks a rule: `row`, `column`, `rule`, `value` as received."""
    index = pd.Index(rows, dtype="int64")
    values = frame[column].loc[index].astype("str").fillna("").str.slice(0, LONGEST_VALUE)
    lines = pd.DataFrame({"row": index, "column": column, "rule": rule, "value": values.to_numpy()})
    return lines.astype({"column": "str", "rule": "str", "value": "str"})


def rate_values(
    table: str,
    checked: Mapping[tuple[str, str], int],
    failures: pd.DataFrame,
    thresholds: Mapping[tuple[str, str], float],
) -> list[Rule]:
    """Compare the failures of each rule (column, rule) that was checked with its threshold."""
    counts = failures.groupby(["column", "rule"]).size().to_dict()
    return [
        Rule(table, column, rule, number, int(counts.get((column, rule), 0)), thresholds[column, rule])
        for (column, rule), number in checked.items()
    ]


def find_orphans(keys: Series, known: Series) -> pd.Index:
    """Return the rows whose key is not among the first table's; a missing key breaks another rule."""
    return keys.index[keys.notna() & ~stagekit.match_keys(keys, known)]


def find_reversed_dates(typed: Tables, customer_id: str, label: EndDateLabel) -> tuple[str, pd.Index]:
    """Return the table that holds the end date, and its rows whose end lies before the customer's begin."""
    table = next(name for name, frame in typed.items() if label.end_date in frame)
    frame = typed[table]
    if label.begin_date is None:
        return table, frame.index[:0]
    begin = (
        frame[label.begin_date]
        if label.begin_date in frame
        else frame[customer_id].map(value_by_customer(typed, label.begin_date, customer_id))
    )
    return table, frame.index[frame[label.end_date] < begin]


def list_dates(typed: Tables, day: pd.Timestamp) -> pd.DataFrame:
    """List the earliest and the latest date of each date column, and how many lie after a day."""
    columns = ["table", "column", "earliest", "latest", f"after {day:%Y-%m-%d}"]
    dates = [(table, name, frame[name]) for table, frame in typed.items() for name in frame.select_dtypes("datetime")]
    lines = [[table, name, values.min(), values.max(), int((values > day).sum())] for table, name, values in dates]
    return pd.DataFrame(lines, columns=columns)


def value_by_customer(typed: Tables, column: str, customer_id: str) -> Series:
    """Return a column, by customer id, of the first table that has it; the last row received counts."""
    frame = next(frame for frame in typed.values() if column in frame)
    known = frame[frame[customer_id].notna()].drop_duplicates(customer_id, keep="last")
    return known.set_index(customer_id)[column]


def split_quarantine(frame: pd.DataFrame, failures: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the rows of a raw table that break a rule from those that do not; the former get their `reason`."""
    told = failures["column"] + " = '" + failures["value"] + "' breaks the rule: " + failures["rule"]
    told.index = pd.Index(failures["row"])
    is_repeated = told.index.duplicated(keep=False)  # joining texts is slow, and most rows have one reason
    joined = told[is_repeated].groupby(level=0).agg("; ".join)
    reasons = pd.concat([told[~is_repeated], joined]).astype("str")
    is_bad = frame.index.isin(reasons.index)
    return frame[~is_bad], frame[is_bad].assign(reason=reasons)


def count_label(typed: Tables, customer_id: str, label: Label, as_of: Any) -> dict[str, int]:
    """Count the customers who churn, who stay, and whose answer is unknown, as the label of `params.yaml` defines it.

    With an end date, only the customers of the day `as_of` count: begun before it and not ended before it.
    """
    if isinstance(label, ColumnLabel):
        answer = value_by_customer(typed, label.column, customer_id)
        churned = int((answer == label.positive).sum())
        return {"churned": churned, "stayed": int(answer.notna().sum()) - churned, "unknown": int(answer.isna().sum())}
    end, day = value_by_customer(typed, label.end_date, customer_id), pd.Timestamp(as_of)
    if label.begin_date is None:
        begin = pd.Series(day - pd.Timedelta(days=1), index=end.index)
    else:
        begin = value_by_customer(typed, label.begin_date, customer_id)
        end = end.reindex(begin.index)
    is_customer = begin.lt(day) & ~end.lt(day)
    churns = is_customer & end.le(day + pd.Timedelta(days=label.horizon_days))
    churned = int(churns.sum())
    return {"churned": churned, "stayed": int(is_customer.sum()) - churned, "unknown": int(begin.isna().sum())}
