"""A baseline learned from tables, and offered to be accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from IPython.display import display

from churn.baseline.schema import OFFER_TYPE, BaselineColumn, BaselineSchema, BaselineTable
from churn.tables.encoded import Table, Values
from churn.tables.relations import Relation, Relations

MOST_VALUES = 50  # of a category; a column with more is no list of codes
FEWEST_ROWS_A_VALUE = 10  # on average; else the values are names, or a part of them only
FEWEST_UNIQUE_ROWS = 100  # fewer may differ by chance
STRENGTH = 20  # expected repetitions by chance, for whole numbers without any to count as a key


def offer(schema: BaselineSchema, profile: Mapping[str, Any], unsettled: list[str]) -> None:
    """Show what the baseline would be if this data were accepted, in the form that
    `churn accept` takes.

    `unsettled` are the rules that fail whatever is accepted.
    """
    content = {
        "schema": schema.model_dump(exclude_defaults=True),
        "profile": profile,
        "unsettled": unsettled,
    }
    said = f"What `churn accept` would take as the baseline: {len(schema.tables)} tables."
    display({"text/plain": said, OFFER_TYPE: content}, raw=True)


def learn_schema(name: str, tables: Mapping[str, Table], relations: Relations) -> BaselineSchema:
    """Return the baseline of a data set, from the usable rows of its tables; the
    first has a row a customer.
    """
    first = next(iter(tables))
    learned = {
        source: _learn_table(table, relations[source], source == first)
        for source, table in tables.items()
    }
    return BaselineSchema(name=name, tables=learned)


def _learn_table(table: Table, relation: Relation, is_first: bool) -> BaselineTable:
    columns = {name: _learn_column(table[name], name in (relation.key or ())) for name in table}
    matches = {
        "known_customers": _share(relation.owned - relation.orphans, relation.owned),
        "customers_with_rows": _share(relation.customers - relation.lacking, relation.customers),
    }
    key = list(relation.key) if relation.key else None
    repeated = _share(relation.repeated, relation.rows)
    return BaselineTable(
        rows=len(table),
        key=key,
        repeated=repeated,
        columns=columns,
        **({} if is_first else matches),
    )


def _learn_column(values: Values, is_key: bool) -> BaselineColumn:
    kind = values.fact.type
    learned: dict[str, Any] = {"type": kind, "missing": _share(values.missing, values.rows)}
    if not is_key and _is_unique(values):
        return BaselineColumn(**learned, unique=True)
    if kind == "category" and _is_list_of_codes(values):
        learned["values"] = sorted(map(str, values.counts.index))
    elif kind == "number" and len(values.counts):
        learned |= {"min": float(values.counts.index[0]), "max": float(values.counts.index[-1])}
    return BaselineColumn(**learned)


def _is_list_of_codes(values: Values) -> bool:
    return values.distinct <= min(MOST_VALUES, (values.rows - values.missing) / FEWEST_ROWS_A_VALUE)


def _is_unique(values: Values) -> bool:
    """Whether a column names its rows: all there, all different, and neither measured
    nor different by chance.
    """
    rows = values.rows
    if (
        rows < FEWEST_UNIQUE_ROWS
        or values.missing
        or values.fact.type == "date"
        or len(values.received) < rows
    ):
        return False
    if values.distinct < rows:
        return False
    if values.fact.type != "number":
        return True
    if values.fact.min is not None or values.fact.max is not None:
        return False  # it measures something
    numbers = values.counts.index.to_numpy()
    is_whole = bool((numbers == np.floor(numbers)).all())
    return is_whole and rows**2 / 2 / (numbers[-1] - numbers[0] + 1) > STRENGTH


def _share(part: int, whole: int) -> float:
    return round(part / max(whole, 1), 6)
