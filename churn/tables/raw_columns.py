"""The columns of a raw table, as its source in `params.yaml` names them: the customer id, and
dates that stand in two columns.
"""

from __future__ import annotations

import pandas as pd

from churn.params import ParameterError, Source, suggest
from churn.sources.source import MONTH_FORMAT

_MONTH_FORMATS = (MONTH_FORMAT, "%Y-%b", "%Y-%B")  # 3 and 03, Mar, March


def shape_table(
    frame: pd.DataFrame,
    source: Source,
    customer_id: str,
    table: str = "",
    first: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a raw table with the customer id under its name, and with its months as dates.

    `source.columns_by_name(customer_id)` are the facts that fit. `first` is the first table,
    from whose rows one with `same_order` has its customers.

    Raises:
        ParameterError: a column is not there or stands there twice, or the rows of two
            tables are not as many.
    """
    frame = rename_key(frame, source, customer_id, table)
    for name in source.months:
        frame = put_month_together(frame, source, name, table)
    if source.same_order and first is not None:
        frame = take_customers_of(frame, first, customer_id, table)
    return frame


def take_customers_of(
    frame: pd.DataFrame, first: pd.DataFrame, customer_id: str, table: str
) -> pd.DataFrame:
    """Return a table whose rows are those of the first, in the same order, with the customer
    ids of the first.

    Raises:
        ParameterError: one has more rows than the other.
    """
    if len(frame) != len(first):
        raise ParameterError(
            f"{table}.same_order: it has {len(frame):,} rows, the first table {len(first):,}, so "
            "nobody can say which belongs to which. Give it a column with the customer id."
        )
    others = frame.drop(columns=customer_id, errors="ignore")
    others.insert(0, customer_id, first[customer_id].to_numpy())
    return others


def put_month_together(frame: pd.DataFrame, source: Source, name: str, table: str) -> pd.DataFrame:
    """Return a table in which one column of months, such as 2024-03, stands for one of years
    and one of months: blank where one of them is, else as received where it is no month.

    Raises:
        ParameterError: one of them is not there, or the name is taken.
    """
    parts = [source.months[name].year, source.months[name].month]
    lacking = [part for part in parts if part not in frame]
    if lacking or name in frame:
        what = "there is a column of that name already"
        if lacking:
            what = f"no column {lacking[0]!r}{suggest(lacking[0], list(frame.columns))}"
        raise ParameterError(f"{table}.months.{name}: {what}")
    texts = [
        frame[part].fillna("").str.strip().str.replace(r"\.0+$", "", regex=True) for part in parts
    ]
    received = (texts[0] + "-" + texts[1]).mask(texts[0].eq("") | texts[1].eq(""), "")
    days = pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us]")
    for format_ in _MONTH_FORMATS:
        days = days.fillna(pd.to_datetime(received, format=format_, errors="coerce"))
    months = days.dt.strftime(MONTH_FORMAT).where(days.notna(), received).astype("str")
    return frame.drop(columns=parts).assign(**{name: months})


def rename_key(
    frame: pd.DataFrame, source: Source, customer_id: str, table: str = ""
) -> pd.DataFrame:
    """Give the column of a raw table that holds the customer id, `key` of its source,
    the name that it has elsewhere.

    Of a source without `key` the table stays as it is.

    Raises:
        ParameterError: there is no such column, or one with each of the two names.
    """
    if source.key is None or source.key == customer_id:
        return frame
    place = f"{table}.key" if table else "key"
    if source.key not in frame:
        raise ParameterError(
            f"{place}: no column {source.key!r}{suggest(source.key, list(frame.columns))}"
        )
    if customer_id in frame:
        raise ParameterError(
            f"{place}: the table has a column {source.key!r} and a column {customer_id!r}, the "
            "customer id. If the latter holds the id, leave `key` out; else rename it where the "
            "table is made."
        )
    return frame.rename(columns={source.key: customer_id})
