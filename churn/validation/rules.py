"""What counts as good data: pandera schemas from the facts of the columns, rules with
thresholds, and quarantine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pandera.pandas as pa

from churn.params import (
    AsOfColumn,
    Column,
    ColumnLabel,
    InactivityLabel,
    Params,
    suggest,
)
from churn.tables.encoded import Table

PRESENT = "is present"
ONE_OF = "is one of: "
EXAMPLES = 5  # values that a rule names
LONGEST_EXAMPLE = 40  # characters
LONGEST_VALUE = 80  # characters of a value in a reason

Series = pd.Series  # a column; its type parameter says nothing of the texts and numbers here
Facts = Mapping[str, Mapping[str, Column]]


@dataclass(frozen=True)
class Rule:
    """One rule and what was counted: it holds while `failed / checked` is at most `threshold`.

    A rule with a `minimum` asks for a number instead: `checked` were found and `failed`
    are lacking. A rule that only `tells` stops nothing; one of the `baseline`
    is settled by accepting the new data.
    """

    table: str
    column: str
    rule: str
    checked: int
    failed: int
    threshold: float
    minimum: int | None = None
    hint: str = ""
    tells: bool = False
    baseline: bool = False

    @classmethod
    def at_least(
        cls,
        minimum: int,
        found: int,
        table: str,
        column: str,
        what: str,
        hint: str = "",
        **kind: bool,
    ) -> Rule:
        """Ask for at least `minimum` of something; `kind` is `tells` or `baseline`."""
        text, lacking = f"at least {minimum:,} {what}", max(minimum - found, 0)
        return cls(table, column, text, found, lacking, 0.0, minimum, hint, **kind)

    @property
    def share(self) -> float:
        """The part of the checked rows, or of the minimum, that fails."""
        return self.failed / max(self.minimum or self.checked, 1)

    @property
    def passed(self) -> bool:
        """Whether the run may go on."""
        return self.tells or self.share <= self.threshold

    @property
    def verdict(self) -> Literal["FAILED", "told", "holds"]:
        """What came of it; a rule of the baseline is told of at the first row that differs."""
        if not self.passed:
            return "FAILED"
        is_told = self.share > self.threshold or (self.baseline and bool(self.hint))
        return "told" if is_told else "holds"

    @property
    def place(self) -> str:
        """The table, and the column if it is about one."""
        return f"{self.table}.{self.column}" if self.column else self.table

    def as_record(self) -> dict[str, Any]:
        """Return the rule as it stands in `quality.json`: without its threshold, which
        changes no row.
        """
        return {
            name: getattr(self, name)
            for name in ("table", "column", "rule", "checked", "failed", "share")
        }

    def __str__(self) -> str:
        """Return the rule with its numbers, as a failed gate tells it."""
        if self.minimum is not None:
            return f"{self.place}: {self.rule}: found {self.checked:,}{self.hint}"
        broken = f"broken by {self.failed:,} of {self.checked:,} ({self.share:.2%})"
        return f"{self.place}: {self.rule!r} is {broken}, allowed {self.threshold:.2%}{self.hint}"


def compare_columns(
    received: Sequence[str], asked: Iterable[str], described: Collection[str], customer_id: str
) -> tuple[list[str], list[str]]:
    """Compare a table's columns with those that are asked for, besides the customer id.

    Returns:
        A line for each column that is missing, with the nearest name received, or one
        line where the delimiter is another; the columns that nobody `described`.
    """
    missing = [name for name in dict.fromkeys([customer_id, *asked]) if name not in received]
    extra = [name for name in received if name != customer_id and name not in described]
    if len(received) == len(extra) == 1 and sum(name in extra[0] for name in missing) > 1:
        what = f"its only column is {extra[0]!r}"
        return [f"{what}: is `delimiter` in params.yaml still right?"], extra
    return [f"no column {name!r}{suggest(name, extra or [*received])}" for name in missing], extra


def find_label_problems(facts: Facts, params: Params) -> list[str]:
    """Return a line for each column of the label that no table has, and for an as-of
    column or a group that is not in the first.

    The as-of column has to be a date, and so has the time of a label from inactivity.
    """
    known = [column for columns in facts.values() for column in columns]
    lacking = [name for name in params.label.columns if name not in known]
    problems = [
        f"label: no table has the column {name!r}{suggest(name, known)}" for name in lacking
    ]
    first = next(iter(facts))
    if params.group is not None and params.group not in facts[first]:
        near = suggest(params.group, list(facts[first]))
        problems.append(f"group: {first} has no column {params.group!r}{near}")
    if isinstance(params.as_of, AsOfColumn):
        problems += _expect_date("as_of", first, params.as_of.column, facts)
    if isinstance(label := params.label, InactivityLabel):
        time = str(params.sources[label.table].time)
        problems += _expect_date(f"sources.{label.table}.time", label.table, time, facts)
    return problems


def _expect_date(place: str, table: str, name: str, facts: Facts) -> Iterator[str]:
    columns = facts[table]
    if name not in columns:
        yield f"{place}: {table} has no column {name!r}{suggest(name, list(columns))}"
    elif columns[name].type != "date":
        about = f"{place}: {table}.{name} is a {columns[name].type}, expected a date"
        such = f"such as {name}: {{type: date, format: '%Y-%m'}}"
        yield f"{about}; describe it in params.yaml, {such}"


def find_critical_columns(params: Params) -> list[str]:
    """Name the columns without which a row is of no use, if they are required at all."""
    label = params.label
    if isinstance(label, InactivityLabel):
        answer = params.sources[label.table].time
    else:
        answer = label.column if isinstance(label, ColumnLabel) else label.begin_date
    day = params.as_of.column if isinstance(params.as_of, AsOfColumn) else None
    return [name for name in (params.customer_id, answer, day) if name]


def build_schema(columns: Mapping[str, Column], dates: tuple[str, str]) -> pa.DataFrameSchema:
    """Turn the facts of a table's columns into a schema of its typed values; `dates`
    are the first and last possible.

    A text that cannot be read is missing there, so the checks are not asked about
    blanks. That a key stands only once is no part of the schema: preparation mends
    duplicates, so they are counted apart.
    """
    described = {}
    for name, column in columns.items():
        checks = [
            pa.Check(check, error=rule, ignore_na=False)
            for rule, check in _checks(column, dates).items()
        ]
        described[name] = pa.Column(nullable=not column.required, checks=checks)
    return pa.DataFrameSchema(described)


def _checks(column: Column, dates: tuple[str, str]) -> dict[str, Callable[[Series], Series]]:
    """Name the rules that each value of a column has to keep, blanks aside."""
    if column.type == "number":
        checks: dict[str, Callable[[Series], Series]] = {
            "is a number": lambda numbers: numbers.notna()
        }
        if column.min is not None or column.max is not None:
            low, high = _limits(column)
            checks[_describe_limits(column)] = lambda numbers: ~(numbers.lt(low) | numbers.gt(high))
        return checks
    if column.type == "date":
        first, last = map(pd.Timestamp, dates)
        rule = f"is a date ({column.format}) from {dates[0]} to {dates[1]}"
        return {rule: lambda days: days.between(first, last)}
    if column.type == "category" and column.values is not None:
        return {f"{ONE_OF}{', '.join(column.values)}": lambda codes: codes.isin(column.values)}
    return {}


def _limits(column: Column) -> tuple[float, float]:
    return (
        -math.inf if column.min is None else column.min,
        math.inf if column.max is None else column.max,
    )


def _describe_limits(column: Column) -> str:
    low, high = _limits(column)
    if math.isinf(high):
        return f"is at least {low:g}"
    return f"is at most {high:g}" if math.isinf(low) else f"is between {low:g} and {high:g}"


def check_values(
    frame: pd.DataFrame, table: Table, schema: pa.DataFrameSchema
) -> tuple[pd.DataFrame, dict[tuple[str, str], int]]:
    """Check each value of a raw table, whose index counts its rows; `table` is the same, encoded.

    Each check of the schema is asked once about each different value.

    Returns:
        One line for each broken rule (`row`, `column`, `rule`, `value` as received),
        and the number of values that each rule (column, rule) was checked on: blanks
        break no rule but `is present`.
    """
    checked: dict[tuple[str, str], int] = {}
    parts = [list_failures(frame, [], frame.columns[0], "")]
    for name, column in schema.columns.items():
        values = table[name]
        is_present = values.cleaned.notna().to_numpy()
        if not column.nullable:
            checked[name, PRESENT] = len(frame)
            if not is_present.all():
                parts.append(list_failures(frame, values.find(~is_present), name, PRESENT))
        typed = values.typed[is_present]
        for check in column.checks:
            holds = check(typed).check_output.to_numpy(dtype=bool)
            checked[name, str(check.error)] = values.count(is_present)
            if not holds.all():
                is_broken = np.zeros(len(is_present), dtype=bool)
                is_broken[is_present] = ~holds
                parts.append(list_failures(frame, values.find(is_broken), name, check.error))
    return pd.concat(parts, ignore_index=True), checked


def tabulate_schemas(schemas: Mapping[str, pa.DataFrameSchema], facts: Facts) -> pd.DataFrame:
    """Return a line for each column: its type, whether it may be blank, and the rules
    of its values.
    """
    lines = [
        [
            table,
            name,
            facts[table][name].type,
            column.nullable,
            "; ".join(str(check.error) for check in column.checks),
        ]
        for table, schema in schemas.items()
        for name, column in schema.columns.items()
    ]
    return pd.DataFrame(lines, columns=["table", "column", "type", "may be blank", "rules"])


def tabulate_failures(failures: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return a line for each rule that values break (`check_values`): rows, and examples."""
    broken = pd.concat(failures, names=["table"]).reset_index("table")
    return broken.groupby(["table", "column", "rule"], as_index=False).agg(
        rows=("row", "size"),
        examples=("value", lambda values: ", ".join(map(repr, values.unique()[:EXAMPLES]))),
    )


def list_failures(frame: pd.DataFrame, rows: Any, column: Any, rule: Any) -> pd.DataFrame:
    """Return one line for each row of a raw table that breaks a rule: `row`, `column`,
    `rule`, `value` as received.
    """
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
    """Compare the failures of each rule (column, rule) that was checked with its
    threshold; name the values.
    """
    counts = failures.groupby(["column", "rule"]).size().to_dict()
    values = failures[failures["rule"] != PRESENT].groupby(["column", "rule"])["value"]
    hints = {place: name_examples(failing.value_counts()) for place, failing in values}
    rules = []
    for place, number in checked.items():
        failed, allowed, hint = int(counts.get(place, 0)), thresholds[place], hints.get(place, "")
        if place[1].startswith(ONE_OF) and failed > allowed * number:
            hint += (
                "; what is right belongs to its `values` in params.yaml, or to its `codes` as "
                "another spelling"
            )
        rules.append(Rule(table, *place, number, failed, allowed, hint=hint))
    return rules


def name_examples(failing: Any) -> str:
    """Name the most frequent of the values, with their numbers of rows; nothing where
    there is none.
    """
    if failing.empty:
        return ""
    most = failing.sort_index().sort_values(ascending=False, kind="stable").head(EXAMPLES)
    named = ", ".join(f"{_show(value)} ({rows:,})" for value, rows in most.items())
    more = len(failing) - len(most)
    return f": {named}{f' and {more:,} other values' if more else ''}"


def _show(value: Any) -> str:
    return repr(value[:LONGEST_EXAMPLE]) if isinstance(value, str) else f"{value:.12g}"


def split_quarantine(
    frame: pd.DataFrame, failures: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the rows of a raw table that break a rule from those that do not; the former
    get their `reason`.
    """
    told = (
        failures["column"] + " = '" + failures["value"] + "' breaks the rule: " + failures["rule"]
    )
    told.index = pd.Index(failures["row"])
    # Joining texts is slow, and most rows have one reason.
    is_repeated = told.index.duplicated(keep=False)
    joined = told[is_repeated].groupby(level=0).agg("; ".join)
    reasons = pd.concat([told[~is_repeated], joined]).astype("str")
    is_bad = frame.index.isin(reasons.index)
    return frame[~is_bad], frame[is_bad].assign(reason=reasons)
