"""What differs between two baselines, in words."""

from __future__ import annotations

from collections.abc import Iterator

from churn.baseline.schema import BaselineColumn, BaselineSchema, BaselineTable

_LISTED = 10  # values


def describe_changes(before: BaselineSchema | None, now: BaselineSchema) -> Iterator[str]:
    """Yield a line for each table and column of which the baseline is another now: old -> new."""
    old = before.tables if before else {}
    yield from (f"{name} is gone" for name in old if name not in now.tables)
    for name, table in now.tables.items():
        if name not in old:
            yield f"{name} is new: {table.rows:,} rows, {len(table.columns)} columns"
        else:
            yield from _compare_tables(name, old[name], table)


def _compare_tables(name: str, old: BaselineTable, new: BaselineTable) -> Iterator[str]:
    parts = [f"rows {old.rows:,} -> {new.rows:,}"] if old.rows != new.rows else []
    if old.key != new.key:
        parts.append(f"key {_list(old.key)} -> {_list(new.key)}")
    for field in ("repeated", "known_customers", "customers_with_rows"):
        parts += _compare_shares(field, getattr(old, field), getattr(new, field))
    if parts:
        yield f"{name}: {'; '.join(parts)}"
    yield from (f"{name}.{column} is gone" for column in old.columns if column not in new.columns)
    for column, now in new.columns.items():
        if column not in old.columns:
            yield f"{name}.{column} is new: {_describe(now)}"
        elif parts := list(_compare_columns(old.columns[column], now)):
            yield f"{name}.{column}: {'; '.join(parts)}"


def _compare_columns(old: BaselineColumn, new: BaselineColumn) -> Iterator[str]:
    if old.type != new.type:
        yield f"type {old.type} -> {new.type}"
    yield from _compare_shares("missing", old.missing, new.missing)
    for field in ("min", "max"):
        before, now = getattr(old, field), getattr(new, field)
        if before != now:
            yield f"{field} {_number(before)} -> {_number(now)}"
    if old.unique != new.unique:
        yield "unique now" if new.unique else "no longer unique"
    if old.values is not None and new.values is not None:
        yield from _compare_values(old.values, new.values)
    elif (old.values is None) != (new.values is None):
        yield (
            "its values are listed now"
            if new.values is not None
            else "its values are no longer listed"
        )


def _compare_values(old: list[str], new: list[str]) -> Iterator[str]:
    for word, values in (("new", set(new) - set(old)), ("gone", set(old) - set(new))):
        if values:
            yield f"{word} values {_list(sorted(values))}"


def _compare_shares(field: str, old: float | None, new: float | None) -> list[str]:
    before, now = ("none" if share is None else f"{share:.2%}" for share in (old, new))
    return [f"{field.replace('_', ' ')} {before} -> {now}"] if before != now else []


def _describe(column: BaselineColumn) -> str:
    if column.values is not None:
        return f"{column.type}, one of {_list(column.values)}"
    is_bound = column.min is not None
    return (
        f"{column.type}, {_number(column.min)} to {_number(column.max)}"
        if is_bound
        else column.type
    )


def _list(values: list[str] | None) -> str:
    more = len(values or ()) - _LISTED
    return ", ".join((values or ["none"])[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.12g}"
