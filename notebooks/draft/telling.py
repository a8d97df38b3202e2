"""What the terminal is told: each guess with its evidence and how sure it is, and what to look at."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator

from draft import labels
from draft.drafted import Draft
from draft.labels import SURE
from draft.marks import Mark
from draft.reading import Table
from draft.writing import describe_key

_WIDTH = 118
_MOST = 12  # lines of a kind


def tell(draft: Draft) -> Iterator[str]:
    """Yield the lines for the terminal."""
    for table in draft.tables:
        yield f"Looked at {table.shown}: {table.count} rows, {len(table.columns)} columns{_tell_sample(table)}."
    yield ""
    yield "Guessed"
    yield from _list([*draft.joined, *_tell_reading(draft), *_tell_id(draft), *_tell_label(draft), *_tell_day(draft)])
    yield from _list([*_tell_joins(draft), *_tell_types(draft)])
    yield from _section("Left out", draft.left_out)
    yield from _section("No features (`feature: false`, with the reason in the file)", _tell_marks(draft))
    yield from _section("Look at", [*_tell_doubts(draft), *draft.look_at])


def _tell_sample(table: Table) -> str:
    """Say which part of a large table was looked at."""
    drawn = max((seen.rows for seen in table.columns.values()), default=0)
    read = f"; {len(table.frame):,} rows from all over it were read" if table.is_part else ""
    return read + (f"; types and ranges are those of {drawn:,} rows" if drawn < len(table.frame) else "")


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from _list(lines)


def _list(lines: list[str]) -> Iterator[str]:
    shown = lines if len(lines) <= _MOST + 2 else [*lines[:_MOST], f"and {len(lines) - _MOST} more, see the file"]
    for line in shown:
        yield textwrap.fill(
            line,
            _WIDTH,
            initial_indent="  - ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _tell_reading(draft: Draft) -> Iterator[str]:
    names = {"delimiter": "delimiter", "encoding": "encoding", "sheet": "sheet", "format": "format"}
    for table in draft.tables:
        told = [f"{what} {table.facts[name]!r}" for name, what in names.items() if name in table.facts]
        told += ["decimal comma"] if any(seen.decimal == "," for seen in table.columns.values()) else []
        told += ["no header: the columns are numbered"] if table.facts.get("header") is False else []
        if told:
            yield f"{table.shown}: {', '.join(told)}"


def _tell_id(draft: Draft) -> Iterator[str]:
    key = draft.keys.first
    if key is None:
        yield "customer id: no column names a customer, so the rows are numbered"
    else:
        yield f"customer id: {key.column} ({describe_key(key, draft.first)})"


def _tell_label(draft: Draft) -> Iterator[str]:
    if draft.answer:
        answer = draft.answer
        seen = draft.seen(answer.table, answer.column)
        sure = "sure" if answer.strength >= SURE else "likely"
        same = f" (also {', '.join(answer.same)})" if answer.same else ""
        yield (
            f"label: {answer.column}, churned = {answer.positive}{same} ({labels.describe_values(seen)}); {sure}, "
            f"from {answer.why}"
        )
        if answer.rest:
            yield f"{' and '.join(answer.rest)} of {answer.column} are neither: those customers are not learned from"
    elif draft.ends and draft.horizon:
        horizon, begin = draft.horizon, f", begin {draft.ends.begin}" if draft.ends.begin else ""
        share = horizon.churned / max(horizon.customers, 1)
        yield (
            f"label: the end date {draft.ends.end} ({draft.ends.why}){begin}; churned = ends within {horizon.days} "
            f"days from {horizon.as_of}: {horizon.churned:,} of {horizon.customers:,} customers ({share:.1%})"
        )


def _tell_day(draft: Draft) -> Iterator[str]:
    if draft.as_of is None:
        yield "as-of day: none; the data has no date that would need one"
    else:
        day = f"the column {draft.as_of}" if isinstance(draft.as_of, str) else f"{draft.as_of}"
        yield f"as-of day: {day} ({draft.as_of_why})"


def _tell_joins(draft: Draft) -> Iterator[str]:
    if len(draft.tables) > 1:
        yield f"{draft.first.name} has a row for each customer; the others are joined to it:"
    for key in draft.keys.others:
        facts = draft.joins[key.table]
        how = f"by {key.column}, {draft.told_of[key.table][0]}"
        how += f", in the order of {facts['time']}" if "time" in facts else ""
        yield f"{key.table} {how}"


def _tell_types(draft: Draft) -> Iterator[str]:
    kinds = Counter(seen.type for table in draft.tables for seen in table.columns.values())
    none = sorted({text for table in draft.tables for seen in table.columns.values() for text in seen.none})
    yield f"types: {kinds['number']} numbers, {kinds['category']} categories, {kinds['date']} dates"
    if none:
        yield f"taken for missing where they stand: {', '.join(map(repr, none[:10]))}"


def _tell_marks(draft: Draft) -> list[str]:
    out = [mark for marks in draft.marks.values() for mark in marks if mark.is_out]
    leaks = [mark for mark in out if mark.is_leak]
    lines = [f"{_place(draft, mark)}: {mark.why}" for mark in leaks]
    reasons: dict[str, list[str]] = {}
    for mark in out:
        if not mark.is_leak:
            reasons.setdefault(mark.why, []).append(_place(draft, mark))
    return lines + [f"{', '.join(names[:8])}{' …' if len(names) > 8 else ''}: {why}" for why, names in reasons.items()]


def _tell_doubts(draft: Draft) -> Iterator[str]:
    for mark in (mark for marks in draft.marks.values() for mark in marks if not mark.is_out):
        yield f"{_place(draft, mark)}: {mark.why}"
    told = [mark.place[1] for marks in draft.marks.values() for mark in marks if mark.is_out and mark.is_told_by_score]
    if told:
        yield (
            f"{', '.join(told[:5])}: if known before the answer, delete `feature: false` and allow it by name, "
            f"`stages: {{transformation: {{allowed_columns: [{told[0]}]}}}}`"
        )
    for rival in draft.rivals:
        if not draft.marks.get((rival.table, rival.column)):
            yield f"{rival.column} may be the label too ({rival.why}): --label {rival.column}"
    for setting in draft.settings:
        if setting.to_look_at:
            yield f"{setting.stage}.{setting.name} is set to {setting.value}: {setting.why}"
    for table in draft.tables:
        for seen in table.columns.values():
            remarks = [one for one in seen.remarks if "may" in one or "cannot be read" in one]
            yield from (f"{seen.name}: {remark}" for remark in remarks)


def _place(draft: Draft, mark: Mark) -> str:
    return mark.place[1] if len(draft.tables) == 1 else ".".join(mark.place)
