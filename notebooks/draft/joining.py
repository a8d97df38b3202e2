"""How the tables of a draft are put together: their order, their keys, and what a missing row means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from draft import words
from draft.drafted import Draft, Wishes
from draft.horizon import Ends
from draft.inputs import DraftError
from draft.keys import join_tables, why_unjoined
from draft.labels import Answer, find_column
from draft.reading import Table, rename_key

_NEARLY_ALL = 0.95  # share of the customers that need a row in a joined table, or its absence has to mean something


def join(tables: list[Table], answers: Sequence[Answer], ends: Ends | None, wishes: Wishes) -> Draft:
    """Put the tables into their order, the one with a row for each customer first; leave out what does not join."""
    answer_in = answers[0].table if answers else ends.table if ends else None
    keys = join_tables(tables, answer_in, wishes.id)
    if keys.first is None:
        kept = max(tables, key=lambda table: (table.name == answer_in, table.rows))
        keys.apart = {table.name: why_unjoined(table, kept) for table in tables if table is not kept}
    if wishes.id and len(tables) == 1 and (keys.first is None or keys.first.column.casefold() != wishes.id.casefold()):
        raise DraftError(_why_no_id(tables[0], wishes.id))
    by_name = {table.name: table for table in tables}
    order = [keys.first.table] if keys.first else [name for name in by_name if name not in keys.apart]
    order += [table.name for table in tables if any(key.table == table.name for key in keys.others)]
    draft = Draft("", [by_name[name] for name in order], keys)
    draft.left_out = [f"{by_name[name].shown}: {why}" for name, why in keys.apart.items()]
    return draft


def keep_names_apart(draft: Draft, root: Path) -> None:
    """Give the customer id's name to the key of each table that calls something else so; leave out a file that does."""
    first = draft.keys.first
    for key in list(draft.keys.others):
        table = next(table for table in draft.tables if table.name == key.table)
        if first is None or key.column == first.column or first.column not in table.columns:
            continue
        if "database" in table.facts:
            key.column = rename_key(table, key.column, first.column, root)
        else:
            draft.keys.others.remove(key)
            draft.tables.remove(table)
            draft.left_out.append(
                f"{table.shown}: {key.column} holds the customer id, which {first.table} calls {first.column}; but its "
                f"own column {first.column} is something else: give that another name in the file"
            )


def _why_no_id(table: Table, wish: str) -> str:
    _, seen = find_column([table], wish, "--id")
    return (
        f"--id {wish}: {seen.name} does not name a customer: {seen.distinct:,} different values in {seen.filled:,} "
        "rows, and no date column tells the rows of one customer apart"
    )


def describe_joins(draft: Draft) -> None:
    """Say of each table after the first how it is joined: its key, many rows, and what a missing row means."""
    first = draft.keys.first
    for key in draft.keys.others:
        assert first
        table = next(table for table in draft.tables if table.name == key.table)
        facts: dict[str, Any] = {} if key.column == first.column else {"key": key.column}
        told = [f"{table.count} rows"]
        if key.is_unique:
            told.append("one a customer")
            if 1 - key.lacking < _NEARLY_ALL:
                facts |= _absence(draft, table)
                told.append(f"{key.lacking:.0%} of the customers have none")
        else:
            facts["many"] = True
            time = _find_time(table)
            facts |= {"time": time} if time else {}
            told.append(f"{key.rows / max(key.distinct, 1):.1f} a customer")
        draft.joins[table.name], draft.told_of[table.name] = facts, [", ".join(told)]
    draft.told_of[draft.first.name] = [f"{draft.first.count} rows"]
    for table in draft.tables:
        table_notes = [f"{table.shown} {note}" for note in table.notes]
        draft.look_at += table_notes


def _absence(draft: Draft, table: Table) -> dict[str, Any]:
    taken = {name for one in draft.tables for name in one.columns}
    present = f"has_{table.name}"
    facts: dict[str, Any] = {"absent": {"*": f"No {table.name.replace('_', ' ')}"}}
    return facts | ({"present": present} if present not in taken else {})


def _find_time(table: Table) -> str | None:
    """Return the date column of a table with many rows a customer: named so, the one that tells rows apart best."""
    dated = [seen for seen in table.columns.values() if seen.type == "date" and seen.missing_share < 0.05]
    rated = [
        (bool(words.DAY.search(seen.words)) and not words.PLANNED.search(seen.words), seen.distinct, seen.name)
        for seen in dated
    ]
    return max(rated)[2] if rated else None
