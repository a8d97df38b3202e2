"""Files that are parts of one table: train and test parts, or one for each month."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from draft.columns import look_at
from draft.labels import find_named_so, is_named_so
from draft.reading import Table, name_source
from draft.words import means_missing
from params import FileSource, find_files

_REPEATED = 0.9  # share of one part's rows that another has: it is a copy
# A day or a month in the name of a file, and the format of what the expression's group finds.
_PERIODS = (
    (r"(\d{4}-\d{2}-\d{2})", "%Y-%m-%d"),
    (r"(\d{4}_\d{2}_\d{2})", "%Y_%m_%d"),
    (r"(\d{8})", "%Y%m%d"),
    (r"(\d{4}-\d{2})", "%Y-%m"),
    (r"(\d{4}_\d{2})", "%Y_%m"),
    (r"(\d{6})", "%Y%m"),
    (r"(\d{2}-\d{4})", "%m-%Y"),
    (r"(\d{2}_\d{4})", "%m_%Y"),
    (r"([A-Za-z]{3}\d{4})", "%b%Y"),
    (r"([A-Za-z]{3}_\d{4})", "%b_%Y"),
    (r"([A-Za-z]{3}-\d{4})", "%b-%Y"),
    (r"(\d{4}_[A-Za-z]{3})", "%Y_%b"),
)
_FIRST_YEAR, _LAST_YEAR = 1980, 2100


@dataclass(frozen=True)
class Period:
    """The day that stands in the names of parts."""

    column: str
    pattern: str
    format: str


def join_parts(tables: list[Table], root: Path) -> tuple[list[Table], list[str], list[str]]:
    """Put files that have the same columns together into one table each.

    Returns:
        The tables; a line for each that was put together; a line for each part that is left out.
    """
    joined: list[Table] = []
    told: list[str] = []
    left_out: list[str] = []
    for group in _group(tables, left_out):
        period = find_period(group) if len(group) > 1 else None
        kept = _leave_out(group, left_out, may_repeat=period is not None)
        joined.append(kept[0] if len(kept) == 1 else _join(kept, period, root, told))
    return joined, told, left_out


def _group(tables: Sequence[Table], left_out: list[str]) -> list[list[Table]]:
    """Group the files whose columns are the same, but for the answer that a part may lack."""
    groups: list[list[Table]] = []
    for table in tables:
        alike = [group for group in groups if _is_part(table, group[0])]
        if alike and _reading(table) == _reading(alike[0][0]):
            alike[0].append(table)
        elif alike:
            first = alike[0][0].shown
            left_out.append(f"{table.shown}: has the columns of {first}, but another form: write both in the same way")
        else:
            groups.append([table])
    return groups


def _reading(table: Table) -> dict[str, Any]:
    return {name: value for name, value in table.facts.items() if name != "file"}


def _is_part(one: Table, other: Table) -> bool:
    if "file" not in one.facts or "file" not in other.facts or "sheet" in one.facts:
        return False
    mine, theirs = set(one.names), set(other.names)
    differing = mine ^ theirs
    if not differing:
        return True
    is_near = len(differing) <= 2 and len(mine & theirs) >= max(3, 0.7 * len(mine | theirs))
    return is_near and any(is_named_so(name) for name in differing)


def _leave_out(group: list[Table], left_out: list[str], *, may_repeat: bool) -> list[Table]:
    """Return the parts that are used: none without the answer, where others have it, and no copy of another."""
    names: list[str] = max((one.names for one in group), key=len)
    answers = find_named_so(names)
    kept: list[Table] = []
    for table in sorted(group, key=lambda one: -one.rows):
        if answers and len(group) > 1 and not any(_has_values(table, name) for name in answers):
            left_out.append(f"{table.shown}: its {table.count} rows lack the answer, {' and '.join(answers)}")
        elif not may_repeat and (copied := next((one for one in kept if _is_copy(table, one)), None)):
            left_out.append(f"{table.shown}: its {table.count} rows stand in {copied.shown} too")
        else:
            kept.append(table)
    return [table for table in group if table in kept] or group[:1]


def _has_values(table: Table, column: str) -> bool:
    if column not in table.frame:
        return False
    texts = table.frame[column].astype("str").fillna("").str.strip().unique()
    return any(text and not means_missing(text) for text in texts)


def _is_copy(table: Table, other: Table) -> bool:
    names = [name for name in table.names if name in other.names]
    mine, theirs = (pd.util.hash_pandas_object(one.frame[names].astype(object), index=False) for one in (table, other))
    return bool(mine.isin(theirs).mean() > _REPEATED)


def _join(parts: list[Table], period: Period | None, root: Path, told: list[str]) -> Table:
    """Make one table of parts; the day in their names becomes a column, where they have one."""
    frames = [part.frame for part in parts]
    facts = {"file": _address(parts, root if period else None), **_reading(parts[0])}
    if period:
        frames = [part.frame.assign(**{period.column: _day(part, period)}) for part in parts]
        facts |= {"part_column": period.column, "part_pattern": period.pattern}
    shown = ", ".join(part.shown for part in parts[:3]) + (f" and {len(parts) - 3} more" if len(parts) > 3 else "")
    table = Table(_common_name(parts), facts, pd.concat(frames, ignore_index=True), sum(p.rows for p in parts), shown)
    table.is_part, table.malformed = any(p.is_part for p in parts), sum(p.malformed for p in parts)
    table.notes = [f"{part.shown} {note}" for part in parts for note in part.notes]
    table.descriptions = parts[0].descriptions
    counts = ", ".join(f"{part.shown} {part.count}" for part in parts[:6]) + (", …" if len(parts) > 6 else "")
    named = f"; the day in their names becomes the column {period.column}" if period else ""
    told.append(f"{len(parts)} files are parts of one table, for they have the same columns (rows: {counts}){named}")
    return table


def _day(part: Table, period: Period) -> str:
    match = re.search(period.pattern, PurePosixPath(str(part.facts["file"])).name)
    return match[1] if match else ""


def _address(parts: Sequence[Table], root: Path | None) -> str | list[str]:
    """Return the names of the files; of drops that go on, the pattern that stands for these and later ones."""
    names = [str(part.facts["file"]) for part in parts]
    before, after = _common_start(names), _common_start([name[::-1] for name in names])[::-1]
    if root is None or "/" in after or "://" in before:
        return names
    pattern = f"{before.rstrip('0123456789-')}*{after.lstrip('0123456789-')}"
    matched = {os.path.abspath(name) for name in find_files(FileSource(file=pattern), root)}
    return pattern if matched == {os.path.abspath(root / name) for name in names} else names


def find_period(parts: Sequence[Table]) -> Period | None:
    """Return the day or month that stands in the name of each part, if it is another in each."""
    names = [PurePosixPath(str(part.facts["file"])).name for part in parts]
    for pattern, format_ in _PERIODS:
        found = [re.search(pattern, name) for name in names]
        days = [match[1] for match in found if match]
        if len(set(days)) < len(names):
            continue
        years = pd.to_datetime(pd.Series(days), format=format_, errors="coerce").dt.year
        if years.between(_FIRST_YEAR, _LAST_YEAR).all():
            taken = {name.casefold() for part in parts for name in part.names}
            likely = ("snapshot" if "%d" in format_ else "month", "snapshot_day", "day_of_part")
            column = next(name for name in likely if name not in taken)
            return Period(column, pattern, format_)
    return None


def _common_start(names: Sequence[str]) -> str:
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same)


def _common_name(parts: Sequence[Table]) -> str:
    """Return what the names of the files begin with, or end with, in common."""
    prefix = _common_start([part.name for part in parts])
    name = re.sub(r"(?:_?\d+|_(?:part|month|train|test))*_?$", "", prefix).strip("_")
    return name_source(name) if len(name) >= 3 else "customers"


def look_at_tables(tables: Sequence[Table]) -> None:
    """Describe the columns of all tables."""
    for table in tables:
        table.columns = look_at(table.frame, has_semicolons=table.facts.get("delimiter") == ";")
