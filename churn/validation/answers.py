"""Who churns, who stays and of whom it is not known, as the label of `params.yaml` defines it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import numpy as np
import pandas as pd

from churn.params import AsOfColumn, ColumnLabel, EndDateLabel, InactivityLabel, Label, Params
from churn.tables.activity import Activity
from churn.tables.encoded import Bools, Series, Values, take
from churn.tables.relations import Customers, Tables, find_table, look_up

ALL = "all rows"  # what stands for the day where there is none
KINDS = ["churned", "stayed", "unknown"]


def is_computed(label: Label) -> bool:
    """Whether the answer is computed from an end date, and does not stand in a column."""
    return isinstance(label, EndDateLabel)


def has_dates(tables: Tables, label: Label) -> bool:
    """Whether the columns of the label are there: of customers to be scored the end
    date may not be known.
    """
    return all(any(name in table for table in tables.values()) for name in label.columns)


def name_answer(params: Params) -> str:
    """Return the column of the answer, or the date that it is computed from."""
    label = params.label
    if isinstance(label, InactivityLabel):
        return str(params.sources[label.table].time)
    return label.end_date if isinstance(label, EndDateLabel) else label.column


def name_known(params: Params) -> str | None:
    """Return the column of the answer's that is known of customers to be scored, too: the
    begin of their contract, or the time of their rows.
    """
    if isinstance(params.label, InactivityLabel):
        return name_answer(params)
    return params.label.begin_date if isinstance(params.label, EndDateLabel) else None


def name_categories(label: Label) -> list[str]:
    """Return the columns whose values are texts, whatever they look like: the answer,
    which may be 0 and 1.
    """
    return [label.column] if isinstance(label, ColumnLabel) else []


def count_label(tables: Tables, customers: Customers, params: Params) -> pd.DataFrame:
    """Count the customers who churn, who stay, and whose answer is unknown, a line for
    each as-of date.

    With an end date, only the customers of the day count: begun before it, not ended
    before it; a customer without a row for the end has not ended. With inactivity, those
    with a row in the days before. With a column, all rows count, or those of each day where
    a column holds the day.
    """
    counts = dict(_count(tables, customers, params)) or {ALL: [0, 0, 0]}  # no row could be used
    return pd.DataFrame.from_dict(counts, orient="index", columns=KINDS, dtype="int64").rename_axis(
        "as of"
    )


def no_counts() -> pd.DataFrame:
    """Return what `count_label` does where nobody's answer is asked for."""
    return pd.DataFrame(columns=KINDS, dtype="int64").rename_axis("as of")


def describe_answers(tables: Tables, params: Params) -> str:
    """Name the column of the answer, with its most frequent values; or what it is made of."""
    if isinstance(params.label, InactivityLabel):
        return str(params.label)
    column = name_answer(params)
    values = tables[find_table(tables, column)][column]
    counts = values.counts.sort_values(ascending=False, kind="stable").head(5)
    told = [f"{_show(value)} {number:,}" for value, number in counts.items()]
    missing = [f"missing {values.missing:,}"] if values.missing else []
    return f"{column}: {', '.join([*told, *missing])}"


def mark_churned(tables: Tables, customers: Customers, params: Params) -> tuple[str, Series]:
    """Return the table with the answer of each of its rows: true, false, or missing
    where it is not known.

    With a computed answer, the first table's rows on the last as-of date.
    """
    if isinstance(params.label, ColumnLabel):
        table = find_table(tables, params.label.column)
        return table, _read_answers(tables[table][params.label.column], params.label)
    first = next(iter(tables))
    is_customer, churns, _ = _judge(tables, customers, params, params.as_of_dates[-1])
    answers = pd.Series(churns, dtype="boolean").mask(~is_customer)
    return first, take(answers, customers.of[first])


def _count(tables: Tables, customers: Customers, params: Params) -> Iterator[tuple[str, list[int]]]:
    label = params.label
    if isinstance(label, ColumnLabel):
        yield from _count_column(tables, customers, label, params.as_of)
        return
    for day in params.as_of_dates:
        is_customer, churns, is_unknown = _judge(tables, customers, params, day)
        yield (
            str(day),
            [int(churns.sum()), int((is_customer & ~churns).sum()), int(is_unknown.sum())],
        )


def _count_column(
    tables: Tables, customers: Customers, label: ColumnLabel, as_of: object
) -> Iterator[tuple[str, list[int]]]:
    name = find_table(tables, label.column)
    rows = pd.DataFrame(
        {"customer": customers.of[name], "answer": _read_answers(tables[name][label.column], label)}
    )
    if isinstance(as_of, AsOfColumn) and as_of.column in tables[name]:
        rows["day"] = tables[name][as_of.column].of_rows()
        rows = rows[rows["day"].notna()]
    else:
        rows["day"] = ALL
    last = rows[rows["customer"] >= 0].drop_duplicates(["customer", "day"], keep="last")
    for day, answers in last.groupby("day", sort=True)["answer"]:
        churned, known = int(answers.sum()), int(answers.notna().sum())
        yield _show(day), [churned, known - churned, len(answers) - known]


def _read_answers(values: Values, label: ColumnLabel) -> Series:
    """Return the answer of each row. `1` and `1.0` are the same: of a column without a
    description both are numbers.
    """
    texts = values.cleaned
    is_positive = _equals(texts, label.positive)
    known = (
        texts.notna() if label.negative is None else is_positive | _equals(texts, label.negative)
    )
    return is_positive.astype("boolean").mask(~known).take(values.codes).reset_index(drop=True)


def _equals(texts: Series, text: str) -> Series:
    number = pd.to_numeric(pd.Series([text]), errors="coerce").iloc[0]
    return texts.eq(text) | pd.to_numeric(texts, errors="coerce").eq(number)


def _judge(
    tables: Tables, customers: Customers, params: Params, as_of: datetime.date
) -> tuple[Bools, Bools, Bools]:
    """Say of each customer whether they are one on the day, whether they churn, and
    whether it cannot be known.
    """
    in_first, label = customers.have_rows(next(iter(tables))), params.label
    if isinstance(label, InactivityLabel):
        times = tables[label.table][name_answer(params)].of_rows().to_numpy()
        activity = Activity(pd.RangeIndex(customers.size), customers.of[label.table], times)
        is_customer = in_first & activity.before(as_of, label)
        churns = is_customer & ~activity.after(as_of, label)
        return is_customer, churns, np.zeros(customers.size, dtype=bool)
    assert isinstance(label, EndDateLabel)
    return _judge_ends(tables, customers, label, as_of, in_first)


def _judge_ends(
    tables: Tables,
    customers: Customers,
    label: EndDateLabel,
    as_of: datetime.date,
    in_first: Bools,
) -> tuple[Bools, Bools, Bools]:
    day = np.datetime64(as_of, "us")
    end = look_up(tables, customers, label.end_date).to_numpy()
    is_running, is_unknown = in_first & ~(end < day), np.zeros(customers.size, dtype=bool)
    if label.begin_date is not None:
        begin = look_up(tables, customers, label.begin_date).to_numpy()
        is_unknown = in_first & np.isnat(begin)
        is_running &= begin < day
    last_day = day + np.timedelta64(label.horizon_days, "D")
    return is_running, is_running & (end <= last_day), is_unknown


def _show(value: object) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, datetime.date) else str(value)
