"""A part of a file that is too large to look at whole, evenly drawn, so that the memory stays bounded."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from draft.inputs import DraftError

MOST_BYTES = 128 << 20  # of text, of all files together
MOST_CELLS = 40_000_000  # of Parquet, likewise
_BLOCKS = 64
_CHUNK = 8 << 20


@dataclass(frozen=True)
class Sample:
    """The bytes of a text that are looked at, and the share of the whole that they are; 1: all of it."""

    data: bytes
    share: float = 1.0


def open_unpacked(path: Path) -> IO[bytes]:
    """Open a file, unpacked if it is gzip or zip; of Excel's files the archive itself.

    Raises:
        DraftError: a zip archive holds several files, or is damaged.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(path))
    if magic != b"PK\x03\x04":
        return path.open("rb")
    try:
        archive = zipfile.ZipFile(path)
        names = [item.filename for item in archive.infolist() if not item.is_dir()]
        if "[Content_Types].xml" in names:
            return path.open("rb")
        own = [name for name in names if not re.search(r"(^|/)(__MACOSX/|\.)|(?i:\.(md|pdf|html?|docx?)$)", name)]
        if len(own) != 1:
            raise DraftError(f"{path.name} holds {len(own)} files, expected one with data.")
        return archive.open(own[0])
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise DraftError(f"{path.name} is a damaged, cut or locked zip archive: {error}.") from None


def read_start(path: Path, size: int = 1 << 18) -> bytes:
    """Return the first bytes of a file, unpacked."""
    with open_unpacked(path) as file:
        return file.read(size)


def chunks(path: Path) -> Iterator[bytes]:
    """Yield the unpacked bytes of a file, part by part."""
    with open_unpacked(path) as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def draw_lines(path: Path, most: int, line_break: bytes = b"\n", *, spread: bool = True) -> Sample:
    """Return a text whole, or its first line and lines from parts all over it (of a packed file: from its start)."""
    with open_unpacked(path) as file:
        data = file.read(most + 1)
        if len(data) <= most:
            return Sample(data)
        if not spread or not isinstance(file, io.BufferedReader):
            return Sample(_whole_lines(data[:most], line_break), _share_of_packed(path, file, most))
        size = file.seek(0, io.SEEK_END)
        parts = [data[: data.find(line_break) + len(line_break)]]
        for block in range(_BLOCKS):
            file.seek(block * size // _BLOCKS)
            part = file.read(most // _BLOCKS)
            parts.append(_whole_lines(part[part.find(line_break) + len(line_break) :], line_break))
        drawn = b"".join(parts)
        return Sample(drawn, len(drawn) / size)


def _whole_lines(data: bytes, line_break: bytes) -> bytes:
    place = data.rfind(line_break)
    while place % len(line_break):  # within two letters of UTF-16
        place = data.rfind(line_break, 0, place)
    return data[: place + len(line_break)]


def _share_of_packed(path: Path, file: IO[bytes], read: int) -> float:
    """Return which share of a file was read, told from how far it was read before it was unpacked, if it is packed."""
    raw = getattr(file, "fileobj", None) or getattr(file, "_fileobj", None) or file
    try:
        return min(max(raw.tell() / path.stat().st_size, 1e-6), 1.0) if raw is not file else read / path.stat().st_size
    except (AttributeError, OSError, ValueError):
        return read / path.stat().st_size


def draw_row_groups(path: Path, most_cells: int) -> tuple[pa.Table | None, int]:
    """Return rows from all over a Parquet file that is too large, else None; and how many rows it has."""
    file = pq.ParquetFile(path)
    rows, width = file.metadata.num_rows, max(file.metadata.num_columns, 1)
    if rows * width <= most_cells:
        return None, rows
    wanted, groups = most_cells // width, file.num_row_groups
    taken = range(0, groups, max(1, groups // 16))
    drawn = [file.read_row_group(group).slice(0, max(wanted // len(taken), 1)) for group in taken]
    return pa.concat_tables(drawn), rows
