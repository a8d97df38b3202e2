"""Reads what was named into tables of texts, with the project's own readers, and puts
files together that are parts of one table: train and test parts, or one for each month.
"""

from __future__ import annotations

import itertools
import os
import re
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from churn.draft.column_types import Seen
from churn.draft.file_dialect import find_dictionary, find_layout, look_into
from churn.draft.named_inputs import (
    MOST_BYTES,
    MOST_CELLS,
    DraftError,
    Input,
    Sample,
    draw_lines,
    draw_row_groups,
    fetch,
    read_chunks,
    read_start,
)
from churn.formats import OLD_EXCEL, FormatError, format_by_name
from churn.formats.encodings import Guess, find_broken_utf8, guess_encoding, is_utf8
from churn.formats.recognition import refuse_foreign
from churn.formats.text_files import as_utf8, describe_rival
from churn.params import DatabaseSource, FileSource, ParameterError, suggest
from churn.sources import SourceError
from churn.sources.received import read_source
from churn.vocabulary import find_named_so, is_named_so, means_missing, without_accents

_SHOWN = 60  # characters of a text that a note quotes
_MALFORMED = 100_000  # rows of another length that are passed over in looking
_MOST_TABLES = 60  # of a database
_ROWS_OF_A_TABLE = 200_000
_BEGINNING = re.compile(r"^Source '[^']*', .*?: ")
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


@dataclass
class Table:
    """One table: what `params.yaml` has to say of its source, and its texts, all or a part of them.

    `rows` is how many it has, or about so many where only a part was read.
    """

    name: str
    facts: dict[str, Any]
    frame: pd.DataFrame
    rows: int
    shown: str
    is_part: bool = False
    malformed: int = 0
    notes: list[str] = field(default_factory=list)
    columns: dict[str, Seen] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)

    @cached_property
    def is_copy(self) -> pd.Series[bool]:
        """Whether each row repeats an earlier one in every column."""
        return self.frame.duplicated()

    @property
    def names(self) -> list[str]:
        """The names of its columns."""
        return list(map(str, self.frame.columns))

    @property
    def count(self) -> str:
        """How many rows it has, in words."""
        return f"about {self.rows:,}" if self.is_part else f"{self.rows:,}"


def read_tables(inputs: list[Input], root: Path) -> tuple[list[Table], list[str]]:
    """Return the tables of all inputs, and a line for each input that has none.

    Raises:
        DraftError: there is none at all.
    """
    tables: list[Table] = []
    left_out: list[str] = []
    for one in inputs:
        try:
            tables += _read(one, root, len(inputs), left_out)
        except (DraftError, ParameterError, FormatError) as error:
            left_out.append(f"{one.shown}: {error}")
        except (EOFError, OSError, zlib.error) as error:
            left_out.append(f"{one.shown}: cannot be read: {error}. Fetch it again.")
        except SourceError as error:  # it begins with the source's name and address
            left_out.append(f"{one.shown}: {_BEGINNING.sub('', str(error))}")
    if not tables:
        raise DraftError(
            "There is no table to draft from:\n" + "\n".join(f"  - {line}" for line in left_out)
        )
    _name_apart(tables)
    return tables, left_out


def _read(one: Input, root: Path, of: int, left_out: list[str]) -> Iterator[Table]:
    if one.kind == "database":
        yield from _read_database(one, root, left_out)
        return
    with tempfile.TemporaryDirectory(prefix="churn-init-") as folder:
        path = Path(one.address) if one.kind == "file" else fetch(one, Path(folder))
        start = read_start(path)
        if start.startswith((b"PK\x03\x04", OLD_EXCEL)):
            yield from _read_workbook(one, path, root, left_out)
        elif start.startswith(b"PAR1"):
            yield _read_parquet(one, path, Path(folder), root, of)
        else:
            yield _read_text(one, path, start, Path(folder), root, of)


def _read_text(one: Input, path: Path, start: bytes, folder: Path, root: Path, of: int) -> Table:
    refuse_foreign(start, "a table")
    encoding = guess_encoding(start).encoding
    is_wide = encoding.startswith(("utf-16", "utf-32"))
    line_break = "\n".encode(_unmarked(start, encoding)) if is_wide else b"\n"
    most = max(MOST_BYTES // of, MOST_BYTES // 16)
    sample = draw_lines(path, most, line_break, spread=not is_wide)
    notes: list[str] = []
    if not is_wide:
        encoding, notes = _settle_encoding(path, sample)
    facts: dict[str, Any] = {} if encoding == "utf-8" else {"encoding": encoding}
    text = as_utf8(sample.data, facts.get("encoding"))
    if text.decode(1000).lstrip()[:1] in ("{", "["):
        facts["format"] = "jsonl"
    else:
        facts |= find_layout(text)
        facts |= {"format": "csv"} if format_by_name(one.written) != "csv" else {}
    if sample.share < 1:
        sampled = folder / "sample.csv"
        sampled.write_bytes(sample.data)
        # A block begins within a quoted text.
        if facts.get("format") != "jsonl" and sample.data.count(b'"') % 2:
            sampled.write_bytes(draw_lines(path, MOST_BYTES // of, spread=False).data)
        path = sampled
    return _read_file(one, path, facts, root, sample.share, notes)


def _unmarked(start: bytes, encoding: str) -> str:
    """Return the order of bytes that a byte order mark stands for."""
    if encoding in ("utf-16", "utf-32"):
        return f"{encoding}-be" if start.startswith((b"\xfe\xff", b"\0\0")) else f"{encoding}-le"
    return encoding


def _settle_encoding(path: Path, sample: Sample) -> tuple[str, list[str]]:
    data, guess = sample.data, guess_encoding(sample.data)
    if guess.encoding == "utf-8" and sample.share < 1:
        chunks = (chunk for chunk in read_chunks(path) if not chunk.isascii())
        others = (one for one in chunks if not is_utf8(one.lstrip(bytes(range(128, 192)))))
        data = next(others, b"")
        guess = guess_encoding(data) if data else guess
    broken = find_broken_utf8(sample.data) if guess.encoding != "utf-8" else None
    if broken is not None:
        return guess.encoding, [
            f"is UTF-8 but for byte {broken:,}; read as {guess.encoding}, its accents are wrong: "
            "mend that byte"
        ]
    return guess.encoding, _note_doubt(data, guess)


def _note_doubt(data: bytes, guess: Guess) -> list[str]:
    lines = (line for line in data.splitlines() if not line.isascii())
    shown = b" ".join(list(dict.fromkeys(itertools.islice(lines, 3))))
    doubt = describe_rival(guess, lambda encoding: shown.decode(encoding, "replace")[:_SHOWN])
    if not doubt:
        return []
    return [f"is read as {guess.encoding}: {shown.decode(guess.encoding)[:_SHOWN]!r}.{doubt}"]


def _read_parquet(one: Input, path: Path, folder: Path, root: Path, of: int) -> Table:
    drawn, rows = draw_row_groups(path, MOST_CELLS // of)
    share = 1.0
    if drawn is not None:
        path, share = folder / "sample.parquet", drawn.num_rows / rows
        pq.write_table(drawn, path)
    facts = {} if re.search(r"\.(parquet|pq)$", one.written) else {"format": "parquet"}
    return _read_file(one, path, facts, root, share, [])


def _read_workbook(one: Input, path: Path, root: Path, left_out: list[str]) -> Iterator[Table]:
    sheets = look_into(path)
    tables = [sheet for sheet in sheets if sheet.is_table]
    names = {name for sheet in tables for name in sheet.header}
    tables = [sheet for sheet in tables if not find_dictionary([sheet], names - set(sheet.header))]
    if not tables:
        raise DraftError("no sheet has a table: names of columns, and more than 20 rows below")
    others = [sheet for sheet in sheets if sheet not in tables]
    for sheet in others:
        why = (
            "it describes the columns"
            if find_dictionary([sheet], names)
            else "it is no table of customers"
        )
        left_out.append(f"{one.shown}, sheet {sheet.name!r}: {why}")
    for sheet in tables:
        facts: dict[str, Any] = {"sheet": sheet.name} if len(sheets) > 1 else {}
        facts |= {"skip_rows": sheet.titles} if sheet.titles else {}
        facts |= {} if format_by_name(one.written) == "excel" else {"format": "excel"}
        table = _read_file(one, path, facts, root, 1.0, [])
        table.descriptions = find_dictionary(others, set(sheet.header))
        table.name = name_source(sheet.name) if len(tables) > 1 else table.name
        yield table


def _read_file(
    one: Input, path: Path, facts: dict[str, Any], root: Path, share: float, notes: list[str]
) -> Table:
    address = one.address if one.kind == "file" else one.address.partition("::")[0].split("?")[0]
    name = name_source(Path(address).name.split(".")[0])
    source = FileSource.model_validate({"file": str(path), **facts})
    received = read_source(name, source, root, malformed_allowed=_MALFORMED, first_wait=0.1)
    if not received.rows:
        raise DraftError("it has no rows")
    table = Table(
        name,
        {"file": one.written, **facts},
        received.table,
        round(received.rows / share),
        one.shown,
    )
    table.is_part, table.malformed = share < 1, len(received.malformed)
    table.notes = [*notes, *(f"was read with a note: {note}" for note in received.notes)]
    return table


def _read_database(one: Input, root: Path, left_out: list[str]) -> Iterator[Table]:
    from churn.sources.database_reader import list_tables, write_query

    rows = list_tables(one.address, root)
    if not rows:
        raise DraftError("the database has no table")
    filled = {table: count for table, count in rows.items() if count}
    left_out += [f"table {table}: empty" for table in rows if table not in filled]
    left_out += [
        f"table {table}: not looked at, for there are so many"
        for table in list(filled)[_MOST_TABLES:]
    ]
    for table, count in list(filled.items())[:_MOST_TABLES]:
        what = {"table": table}
        if count > _ROWS_OF_A_TABLE:
            what = {"query": write_query(one.address, root, table, _ROWS_OF_A_TABLE)}
        source = DatabaseSource.model_validate({"database": one.address, **what})
        received = read_source(table, source, root, first_wait=0.1)
        facts = {"database": one.written, "table": table}
        is_part = received.rows < count
        yield Table(name_source(table), facts, received.table, count, f"table {table}", is_part)


def name_source(text: str) -> str:
    """Return a name as a source of `params.yaml` may have it: small letters, digits and
    underscores.
    """
    name = "_".join(re.findall(r"[a-z0-9]+", without_accents(text)))
    return name if name[:1].isalpha() else f"table_{name}".rstrip("_")


def _name_apart(tables: list[Table]) -> None:
    """Give tables of the same name numbers."""
    seen: dict[str, int] = {}
    for table in tables:
        seen[table.name] = seen.get(table.name, 0) + 1
        if seen[table.name] > 1:
            table.name = f"{table.name}_{seen[table.name]}"


def find_column(tables: Iterable[Table], name: str, option: str) -> tuple[Table, Seen]:
    """Find a column by its name, in whatever case.

    Raises:
        DraftError: there is none; the message suggests the nearest.
    """
    places = [(table, seen) for table in tables for seen in table.columns.values()]
    same = [place for place in places if place[1].name == name]
    same += [place for place in places if place[1].name.casefold() == name.casefold()]
    if same:
        return same[0]
    raise DraftError(
        f"{option}: no column {name!r}{suggest(name, [seen.name for _, seen in places])}"
    )


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
        joined.append(kept[0] if len(kept) == 1 else _put_together(kept, period, root, told))
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
            left_out.append(
                f"{table.shown}: has the columns of {first}, but another form: write both in the "
                "same way"
            )
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
    """Return the parts that are used: none without the answer, where others have it,
    and no copy of another.
    """
    names: list[str] = max((one.names for one in group), key=len)
    answers = find_named_so(names)
    kept: list[Table] = []
    for table in sorted(group, key=lambda one: -one.rows):
        if answers and len(group) > 1 and not any(_has_values(table, name) for name in answers):
            left_out.append(
                f"{table.shown}: its {table.count} rows lack the answer, {' and '.join(answers)}"
            )
        elif not may_repeat and (
            copied := next((one for one in kept if _is_copy(table, one)), None)
        ):
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
    mine, theirs = (
        pd.util.hash_pandas_object(one.frame[names].astype(object), index=False)
        for one in (table, other)
    )
    return bool(mine.isin(theirs).mean() > _REPEATED)


def _put_together(parts: list[Table], period: Period | None, root: Path, told: list[str]) -> Table:
    """Make one table of parts; the day in their names becomes a column, where they have one."""
    frames = [part.frame for part in parts]
    facts = {"file": _write_addresses(parts, root if period else None), **_reading(parts[0])}
    if period:
        frames = [part.frame.assign(**{period.column: _day(part, period)}) for part in parts]
        facts |= {"part_column": period.column, "part_pattern": period.pattern}
    shown = ", ".join(part.shown for part in parts[:3]) + (
        f" and {len(parts) - 3} more" if len(parts) > 3 else ""
    )
    table = Table(
        _common_name(parts),
        facts,
        pd.concat(frames, ignore_index=True),
        sum(p.rows for p in parts),
        shown,
    )
    table.is_part, table.malformed = any(p.is_part for p in parts), sum(p.malformed for p in parts)
    table.notes = [f"{part.shown} {note}" for part in parts for note in part.notes]
    table.descriptions = parts[0].descriptions
    counts = ", ".join(f"{part.shown} {part.count}" for part in parts[:6]) + (
        ", …" if len(parts) > 6 else ""
    )
    named = f"; the day in their names becomes the column {period.column}" if period else ""
    told.append(
        f"{len(parts)} files are parts of one table, for they have the same columns (rows: "
        f"{counts}){named}"
    )
    return table


def _day(part: Table, period: Period) -> str:
    match = re.search(period.pattern, PurePosixPath(str(part.facts["file"])).name)
    return match[1] if match else ""


def _write_addresses(parts: Sequence[Table], root: Path | None) -> str | list[str]:
    """Return the names of the files; of drops that go on, the pattern that stands for
    these and later ones.
    """
    names = [str(part.facts["file"]) for part in parts]
    before, after = _common_start(names), _common_start([name[::-1] for name in names])[::-1]
    if root is None or "/" in after or "://" in before:
        return names
    pattern = f"{before.rstrip('0123456789-')}*{after.lstrip('0123456789-')}"
    matched = {os.path.abspath(name) for name in FileSource(file=pattern).find_files(root)}
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
