"""Files: CSV, Parquet, JSON lines and Excel, packed or not; several files that are parts of one table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from params import FileSource, NoFileError, expand, find_files, is_local
from sources.delimited import read_delimited
from sources.excel import read_excel
from sources.fetching import fetch
from sources.json_files import read_json
from sources.parquet import read_parquet
from sources.parts import Part, add_part_column, join_parts, name_parts
from sources.received import Content, Digest, SourceError, SourceRefused
from sources.unpacking import unpack

_FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
} | dict.fromkeys((".xlsx", ".xlsm"), "excel")
_FOREIGN = {
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls), or one with a password; save it as .xlsx without a password",
    b"%PDF": "a PDF",
    b"<stata_dta>": "one of Stata; save it as CSV or Parquet",
    b"$FL2": "one of SPSS; save it as CSV or Parquet",
    b"$FL3": "one of SPSS; save it as CSV or Parquet",
    b"\0" * 12 + b"\xc2\xea\x81\x60": "one of SAS; save it as CSV or Parquet",
    b"RDX": "one of R; save it as CSV or Parquet",
    b"ARROW1": "one of Arrow (Feather); save it as Parquet",
    b"Obj\x01": "one of Avro; save it as Parquet",
    b"\x89HDF": "one of HDF5; save it as CSV or Parquet",
    **{
        bytes([version, order, 1, 0]): "one of Stata; save it as CSV or Parquet"
        for version in (113, 114, 115)
        for order in (1, 2)
    },
}
_ARFF = re.compile(rb"(?:\s|%.*\n)*@relation\b", re.IGNORECASE)


def read_file(source: FileSource, root: Path, malformed_allowed: int, first_wait: float) -> Content:
    """Read a file, or several that are parts of one table; the bytes that are hashed are the very ones that are parsed.

    Raises:
        SourceError: the server of a remote file is down.
        SourceRefused: a file is missing, may not be read, is not what `params.yaml` says, or does not go with the rest.
    """
    try:
        paths = find_files(source, root)
    except NoFileError as error:
        raise SourceRefused(str(error)) from None
    read = _read_parts(paths, source, root, malformed_allowed, first_wait)
    is_single = isinstance(source.file, str) and paths in ([source.file], [expand(source.file)])
    return next(read).content if is_single else join_parts(read)


def _read_parts(
    paths: list[str], source: FileSource, root: Path, malformed_allowed: int, first_wait: float
) -> Iterator[Part]:
    names = name_parts(paths)
    for path, name in names.items():
        try:
            received = fetch(path, source, root, _expectation(source, path), first_wait)
            content = _parse(received, path, source, malformed_allowed)
            yield Part(name, received, add_part_column(content, name, path, source))
        except SourceError as error:
            where = f"{name}: " if len(names) > 1 and name not in str(error) else ""
            raise type(error)(f"{where}{error}", error.wait) from None


def _parse(received: bytes, path: str, source: FileSource, malformed_allowed: int) -> Content:
    digest = Digest(received)
    data, notes = unpack(received)
    format_ = source.format or _find_format(_expand(path), data)
    _check_content(data, format_)
    if format_ == "csv":
        read = read_delimited(data, source, malformed_allowed)
        return Content(read.table, digest, notes + read.notes, read.malformed)
    readers = {"parquet": read_parquet, "jsonl": read_json, "excel": read_excel}
    table, noted = readers[format_](data, source)
    return Content(table, digest, notes + noted)


def _expectation(source: FileSource, path: str) -> str:
    columns = f" with the columns {', '.join(source.columns)}" if source.columns else ""
    return f"a file of format {source.format or _find_format(_expand(path), b'')}{columns}"


def _expand(path: str) -> str:
    return path if is_local(path) else expand(path)


def _find_format(name: str, data: bytes) -> str:
    if data.startswith(b"PAR1"):
        return "parquet"
    suffixes = PurePosixPath(name.split("?")[0].lower()).suffixes
    return next((_FORMATS[suffix] for suffix in reversed(suffixes) if suffix in _FORMATS), "csv")


def refuse_foreign(data: bytes, expected: str) -> None:
    """Refuse a file of a form that is not read, known by its first bytes.

    Raises:
        SourceRefused: names the form, and what to do.
    """
    for magic, what in _FOREIGN.items():
        if data.startswith(magic):
            raise SourceRefused(f"expected {expected}, but the file is {what}.")
    if _ARFF.match(data[: 1 << 16]):
        raise SourceRefused(f"expected {expected}, but the file is one of Weka (ARFF); save it as CSV or Parquet.")


def _check_content(data: bytes, format_: str) -> None:
    """Refuse what the first bytes show to be something else, before a parser makes an odd table of it."""
    if not data.strip():
        raise SourceRefused(f"the file is empty: {len(data)} bytes. Fetch or export it again.")
    refuse_foreign(data, format_)
    start = data[:500].removeprefix(b"\xef\xbb\xbf").lstrip()
    if format_ in ("csv", "jsonl") and re.match(rb"<[!?/A-Za-z]", start):
        raise SourceRefused(
            f"expected {format_}, but it is a page of HTML or XML: {start[:60].decode('utf-8', 'replace')!r}…."
            " Such a page comes in place of data where a log-in is needed or the address is wrong."
        )
    if format_ == "csv" and start.startswith((b"{", b"[{")):
        raise SourceRefused(
            f"expected csv, but it is JSON: {start[:60].decode('utf-8', 'replace')!r}…. Set `format: jsonl`."
        )
    is_packed, is_parquet = data.startswith(b"PK\x03\x04"), data.startswith(b"PAR1")
    if is_packed != (format_ == "excel") or is_parquet != (format_ == "parquet"):
        found = "Excel" if is_packed else "Parquet" if is_parquet else "something else"
        raise SourceRefused(
            f"expected {format_}, but the first bytes are those of {found}. Set `format`, or check the file."
        )
