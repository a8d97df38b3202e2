"""Reads what was named into tables of texts, with the project's own readers, told what the bytes show."""

from __future__ import annotations

import dataclasses
import re
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from draft import encodings, samples
from draft.columns import Seen
from draft.inputs import DraftError, Input
from draft.layouts import find_layout
from draft.words import without_accents
from draft.workbooks import find_dictionary, read_sheets
from params import DatabaseSource, FileSource, ParameterError, expand
from sources import SourceError, read_source
from sources.addresses import hide
from sources.encodings import as_utf8
from sources.files import refuse_foreign

_MALFORMED = 100_000  # rows of another length that are passed over in looking
_MOST_TABLES = 60  # of a database
_ROWS_OF_A_TABLE = 200_000
_BEGINNING = re.compile(r"^Source '[^']*', .*?: ")
_FOREIGN_SUFFIX = re.compile(r"\.(?:parquet|pq|jsonl|ndjson|json|xlsx|xlsm)(?=\.|$)")


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
        except (DraftError, ParameterError) as error:
            left_out.append(f"{one.shown}: {error}")
        except (EOFError, OSError, zlib.error) as error:
            left_out.append(f"{one.shown}: cannot be read: {error}. Fetch it again.")
        except SourceError as error:  # it begins with the source's name and address
            left_out.append(f"{one.shown}: {_BEGINNING.sub('', str(error))}")
    if not tables:
        raise DraftError("There is no table to draft from:\n" + "\n".join(f"  - {line}" for line in left_out))
    _name_apart(tables)
    return tables, left_out


def _read(one: Input, root: Path, of: int, left_out: list[str]) -> Iterator[Table]:
    if one.kind == "database":
        yield from _read_database(one, root, left_out)
        return
    with tempfile.TemporaryDirectory(prefix="churn-init-") as folder:
        path = Path(one.address) if one.kind == "file" else _fetch(one, Path(folder))
        start = samples.read_start(path)
        if start.startswith(b"PK\x03\x04"):
            yield from _read_workbook(one, path, root, left_out)
        elif start.startswith(b"PAR1"):
            yield _read_parquet(one, path, Path(folder), root, of)
        else:
            yield _read_text(one, path, start, Path(folder), root, of)


def _fetch(one: Input, folder: Path) -> Path:
    """Fetch the file of an address, or the start of one that is too large."""
    import fsspec

    try:
        filesystem, address = fsspec.core.url_to_fs(one.address)
        with filesystem.open(address, "rb") as remote:
            data = remote.read(samples.MOST_BYTES)
    except FileNotFoundError:
        raise DraftError("there is no such file at this address") from None
    except Exception as error:  # each file system of fsspec brings its library's own exceptions
        status = getattr(error, "status", None)
        what = f"HTTP {status}" if status else hide(f"{type(error).__name__}: {error}", [one.address])
        raise DraftError(f"cannot be fetched: {what}. Check the address and the credentials.") from None
    path = folder / (Path(one.address.partition("::")[0].split("?")[0]).name or "fetched")
    path.write_bytes(data if len(data) < samples.MOST_BYTES else data[: data.rfind(b"\n") + 1])
    return path


def _read_text(one: Input, path: Path, start: bytes, folder: Path, root: Path, of: int) -> Table:
    refuse_foreign(start, "a table")
    encoding = encodings.find_encoding(start)
    is_wide = encoding.startswith(("utf-16", "utf-32"))
    line_break = "\n".encode(_unmarked(start, encoding)) if is_wide else b"\n"
    most = max(samples.MOST_BYTES // of, samples.MOST_BYTES // 16)
    sample = samples.draw_lines(path, most, line_break, spread=not is_wide)
    notes: list[str] = []
    if not is_wide:
        encoding, notes = _settle_encoding(path, sample)
    text = as_utf8(sample.data, None if encoding == encodings.READ else encoding)
    facts: dict[str, Any] = {} if encoding == encodings.READ else {"encoding": encoding}
    if text.decode(1000).lstrip()[:1] in ("{", "["):
        facts["format"] = "jsonl"
    else:
        facts |= find_layout(text)
        facts |= {"format": "csv"} if _FOREIGN_SUFFIX.search(one.written.split("?")[0].lower()) else {}
    if sample.share < 1:
        sampled = folder / "sample.csv"
        sampled.write_bytes(sample.data)
        if facts.get("format") != "jsonl" and sample.data.count(b'"') % 2:  # a block begins within a quoted text
            sampled.write_bytes(samples.draw_lines(path, samples.MOST_BYTES // of, spread=False).data)
        path = sampled
    return _read_file(one, path, facts, root, sample.share, notes)


def _unmarked(start: bytes, encoding: str) -> str:
    """Return the order of bytes that a byte order mark stands for."""
    if encoding in ("utf-16", "utf-32"):
        return f"{encoding}-be" if start.startswith((b"\xfe\xff", b"\0\0")) else f"{encoding}-le"
    return encoding


def _settle_encoding(path: Path, sample: samples.Sample) -> tuple[str, list[str]]:
    encoding = encodings.find_encoding(sample.data)
    if encoding == encodings.READ and sample.share < 1:
        for chunk in samples.chunks(path):
            if not chunk.isascii() and not encodings.is_utf8(chunk.lstrip(bytes(range(128, 192)))):
                encoding = encodings.find_code_page(chunk)
                break
    broken = encodings.find_broken_utf8(sample.data) if encoding != encodings.READ else None
    if broken is None:
        return encoding, []
    return encoding, [f"is UTF-8 but for byte {broken:,}; read as {encoding}, its accents are wrong: mend that byte"]


def _read_parquet(one: Input, path: Path, folder: Path, root: Path, of: int) -> Table:
    drawn, rows = samples.draw_row_groups(path, samples.MOST_CELLS // of)
    share = 1.0
    if drawn is not None:
        path, share = folder / "sample.parquet", drawn.num_rows / rows
        pq.write_table(drawn, path)
    facts = {} if re.search(r"\.(parquet|pq)$", one.written) else {"format": "parquet"}
    return _read_file(one, path, facts, root, share, [])


def _read_workbook(one: Input, path: Path, root: Path, left_out: list[str]) -> Iterator[Table]:
    sheets = read_sheets(path)
    tables = [sheet for sheet in sheets if sheet.is_table]
    names = {name for sheet in tables for name in sheet.header}
    tables = [sheet for sheet in tables if not find_dictionary([sheet], names - set(sheet.header))]
    if not tables:
        raise DraftError("no sheet has a table: names of columns, and more than 20 rows below")
    others = [sheet for sheet in sheets if sheet not in tables]
    for sheet in others:
        why = "it describes the columns" if find_dictionary([sheet], names) else "it is no table of customers"
        left_out.append(f"{one.shown}, sheet {sheet.name!r}: {why}")
    for sheet in tables:
        facts: dict[str, Any] = {"sheet": sheet.name} if len(sheets) > 1 else {}
        facts |= {"skip_rows": sheet.titles} if sheet.titles else {}
        facts |= {} if re.search(r"\.xls[xm]$", one.written.lower()) else {"format": "excel"}
        table = _read_file(one, path, facts, root, 1.0, [])
        table.descriptions = find_dictionary(others, set(sheet.header))
        table.name = name_source(sheet.name) if len(tables) > 1 else table.name
        yield table


def _read_file(one: Input, path: Path, facts: dict[str, Any], root: Path, share: float, notes: list[str]) -> Table:
    address = one.address if one.kind == "file" else one.address.partition("::")[0].split("?")[0]
    name = name_source(Path(address).name.split(".")[0])
    source = FileSource.model_validate({"file": str(path), **facts})
    received = read_source(name, source, root, malformed_allowed=_MALFORMED, first_wait=0.1)
    if not received.rows:
        raise DraftError("it has no rows")
    table = Table(name, {"file": one.written, **facts}, received.table, round(received.rows / share), one.shown)
    table.is_part, table.malformed, table.notes = share < 1, len(received.malformed), notes
    return table


def _read_database(one: Input, root: Path, left_out: list[str]) -> Iterator[Table]:
    from sources.databases import list_tables, write_query

    rows = list_tables(one.address, root)
    if not rows:
        raise DraftError("the database has no table")
    filled = {table: count for table, count in rows.items() if count}
    left_out += [f"table {table}: empty" for table in rows if table not in filled]
    left_out += [f"table {table}: not looked at, for there are so many" for table in list(filled)[_MOST_TABLES:]]
    for table, count in list(filled.items())[:_MOST_TABLES]:
        what = {"table": table}
        if count > _ROWS_OF_A_TABLE:
            what = {"query": write_query(one.address, root, table, _ROWS_OF_A_TABLE)}
        source = DatabaseSource.model_validate({"database": one.address, **what})
        received = read_source(table, source, root, first_wait=0.1)
        facts = {"database": one.written, "table": table}
        is_part = received.rows < count
        yield Table(name_source(table), facts, received.table, count, f"table {table}", is_part)


def rename_key(table: Table, key: str, customer_id: str, root: Path) -> str:
    """Let a query give the customer id's name to a key of a database table, and another one to what is called so."""
    from sources.databases import write_select

    other = f"{table.name}_{customer_id}"
    renamed = {key: customer_id, customer_id: other}
    names = {name: renamed.get(name, name) for name in table.frame.columns}
    written = str(table.facts["database"])
    table.facts = {
        "database": written,
        "query": write_select(expand(written), root, table.shown.removeprefix("table "), names),
    }
    table.frame = table.frame.rename(columns=renamed)
    table.columns = {
        renamed.get(name, name): dataclasses.replace(seen, name=renamed.get(name, name))
        for name, seen in table.columns.items()
    }
    return customer_id


def name_source(text: str) -> str:
    """Return a name as a source of `params.yaml` may have it: small letters, digits and underscores."""
    name = "_".join(re.findall(r"[a-z0-9]+", without_accents(text)))
    return name if name[:1].isalpha() else f"table_{name}".rstrip("_")


def _name_apart(tables: list[Table]) -> None:
    """Give tables of the same name numbers."""
    seen: dict[str, int] = {}
    for table in tables:
        seen[table.name] = seen.get(table.name, 0) + 1
        if seen[table.name] > 1:
            table.name = f"{table.name}_{seen[table.name]}"
