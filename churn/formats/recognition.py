"""Tells what a file is by its first bytes, whatever its name says, and unpacks it."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Sequence

from churn.formats import DATA_ENDINGS, OLD_EXCEL, FormatError

_LITTER = re.compile(r"(^|/)(__MACOSX/|\.|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE)
_PROSE = re.compile(
    r"(^|/)(read.?me|licen[cs]e|notes?|changelog|about)[^/]*$|\.(md|pdf|docx?|html?)$",
    re.IGNORECASE,
)
_FOREIGN = {
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
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
_DEEPEST = 3  # archives within archives
# Data of customers shrinks to a tenth or so, deflated zeros to a thousandth.
_MOST_TIMES, _ALWAYS = 250, 64 << 20


def unpack(data: bytes) -> tuple[bytes, list[str]]:
    """Unpack gzip and zip, one within the other too, and say so; anything else stays as it is.

    Raises:
        FormatError: the archive is cut, damaged or locked, made to fill the memory, or
            nobody can tell which of its files is meant.
    """
    notes = list[str]()
    most = max(_MOST_TIMES * len(data), _ALWAYS)
    for _ in range(_DEEPEST):
        if data.startswith(b"\x1f\x8b"):
            data, note = _unpack_gzip(data, most), "Unpacked with gzip."
        elif data.startswith(b"PK\x03\x04"):
            data, note = _unpack_zip(data, most)
        else:
            break
        if not note:
            break
        notes.append(note)
    return data, notes


def _refuse_bomb(size: int, most: int) -> None:
    if size > most:
        raise FormatError(
            f"it unpacks to more than {most / 1e6:,.0f} MB, over {_MOST_TIMES} times its size: no "
            "data does, but what is made to fill the memory. Unpack it yourself if it is meant."
        )


def _unpack_gzip(data: bytes, most: int) -> bytes:
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(data)).read(most + 1)
        _refuse_bomb(len(unpacked), most)
        return unpacked
    except EOFError:
        message = (
            f"the gzip file is cut: it ends within its data, after {len(data):,} bytes. Fetch it "
            "again."
        )
        raise FormatError(message) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(f"the gzip file is damaged: {error}. Fetch it again.") from None


def _unpack_zip(data: bytes, most: int) -> tuple[bytes, str]:
    """Unpack the one file of an archive that holds data; a workbook, which is such an
    archive, stays as it is.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _refuse_bomb(sum(item.file_size for item in archive.infolist()), most)
            if is_workbook(archive):
                return data, ""
            names = [item.filename for item in archive.infolist() if not item.is_dir()]
            name = _choose(names)
            others = [other for other in names if other != name and not _LITTER.search(other)]
            note = f" Not read: {', '.join(others)}." if others else ""
            return archive.read(name), f"Unpacked {name} from a zip archive.{note}"
    except FormatError:
        raise
    except Exception as error:  # of a damaged directory zipfile computes anything
        raise FormatError(
            f"the zip archive is damaged, cut or locked: {error}. Fetch it again."
        ) from None


def _choose(names: Sequence[str]) -> str:
    """Return the one file that holds data, beside what file managers leave there, and
    files to be read by people.
    """
    own = list_own(names)
    data = [name for name in own if is_data(name)]
    if len(own) == 1 or len(data) == 1:
        return own[0] if len(own) == 1 else data[0]
    raise FormatError(
        f"the zip archive holds {len(own)} files, expected one with data: {', '.join(own[:10])}. "
        "Unpack the one that is meant, or name it: `file: zip://NAME::ARCHIVE`."
    )


def list_own(names: Sequence[str]) -> list[str]:
    """Return the files of an archive, but for what file managers leave there."""
    return [name for name in names if not _LITTER.search(name)]


def is_data(name: str) -> bool:
    """Whether a file seems to hold data by its name, not words to be read by people."""
    return name.lower().endswith(DATA_ENDINGS) and not _PROSE.search(name)


def is_workbook(archive: zipfile.ZipFile) -> bool:
    """Whether a zip archive is a file of Excel or of OpenDocument."""
    return not {"[Content_Types].xml", "META-INF/manifest.xml"}.isdisjoint(archive.namelist())


def refuse_foreign(data: bytes, expected: str) -> None:
    """Refuse a file of a form that is not read, known by its first bytes.

    Raises:
        FormatError: names the form, and what to do.
    """
    for magic, what in _FOREIGN.items():
        if data.startswith(magic):
            raise FormatError(f"expected {expected}, but the file is {what}.")
    if _ARFF.match(data[: 1 << 16]):
        raise FormatError(
            f"expected {expected}, but the file is one of Weka (ARFF); save it as CSV or Parquet."
        )


def check_content(data: bytes, format_: str) -> None:
    """Refuse what the first bytes show to be something else, before a parser makes an
    odd table of it.
    """
    if not data.strip():
        raise FormatError(f"the file is empty: {len(data)} bytes. Fetch or export it again.")
    refuse_foreign(data, format_)
    start = data[:500].removeprefix(b"\xef\xbb\xbf").lstrip()
    if format_ in ("csv", "jsonl") and re.match(rb"<[!?/A-Za-z]", start):
        raise FormatError(
            f"expected {format_}, but it is a page of HTML or XML: "
            f"{start[:60].decode('utf-8', 'replace')!r}…."
            " Such a page comes in place of data where a log-in is needed or the address is wrong."
        )
    if format_ == "csv" and start.startswith((b"{", b"[{")):
        raise FormatError(
            f"expected csv, but it is JSON: {start[:60].decode('utf-8', 'replace')!r}…. Set "
            "`format: jsonl`."
        )
    is_packed, is_parquet = data.startswith((b"PK\x03\x04", OLD_EXCEL)), data.startswith(b"PAR1")
    if is_packed != (format_ == "excel") or is_parquet != (format_ == "parquet"):
        found = "Excel" if is_packed else "Parquet" if is_parquet else "something else"
        raise FormatError(
            f"expected {format_}, but the first bytes are those of {found}. Set `format`, or "
            "check the file."
        )
