"""Unpacks gzip and zip, told by their first bytes whatever the name says."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Sequence

from sources.received import SourceRefused

_LITTER = re.compile(r"(^|/)(__MACOSX/|\.|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE)
_DATA = re.compile(
    r"\.(csv|tsv|txt|tab|psv|dat|parquet|pq|jsonl|ndjson|json|xlsx|xlsm)(\.gz|\.zip)?$|\.(gz|zip)$", re.IGNORECASE
)
_PROSE = re.compile(r"(^|/)(read.?me|licen[cs]e|notes?|changelog|about)[^/]*$|\.(md|pdf|docx?|html?)$", re.IGNORECASE)
_DEEPEST = 3  # archives within archives


def unpack(data: bytes) -> tuple[bytes, list[str]]:
    """Unpack gzip and zip, one within the other too, and say so; anything else stays as it is.

    Raises:
        SourceRefused: the archive is cut, damaged or locked, or nobody can tell which of its files is meant.
    """
    notes = list[str]()
    for _ in range(_DEEPEST):
        if data.startswith(b"\x1f\x8b"):
            data, note = _unpack_gzip(data), "Unpacked with gzip."
        elif data.startswith(b"PK\x03\x04"):
            data, note = _unpack_zip(data)
        else:
            break
        if not note:
            break
        notes.append(note)
    return data, notes


def _unpack_gzip(data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except EOFError:
        message = f"the gzip file is cut: it ends within its data, after {len(data):,} bytes. Fetch it again."
        raise SourceRefused(message) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise SourceRefused(f"the gzip file is damaged: {error}. Fetch it again.") from None


def _unpack_zip(data: bytes) -> tuple[bytes, str]:
    """Unpack the one file of an archive that holds data; an Excel file, which is such an archive, stays as it is."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [item.filename for item in archive.infolist() if not item.is_dir()]
            if "[Content_Types].xml" in names:
                return data, ""
            name = _choose(names)
            others = [other for other in names if other != name and not _LITTER.search(other)]
            note = f" Not read: {', '.join(others)}." if others else ""
            return archive.read(name), f"Unpacked {name} from a zip archive.{note}"
    except SourceRefused:
        raise
    except Exception as error:  # of a damaged directory zipfile computes anything
        raise SourceRefused(f"the zip archive is damaged, cut or locked: {error}. Fetch it again.") from None


def _choose(names: Sequence[str]) -> str:
    """Return the one file that holds data, beside what file managers leave there, and files to be read by people."""
    own = [name for name in names if not _LITTER.search(name)]
    data = [name for name in own if _DATA.search(name) and not _PROSE.search(name)]
    if len(own) == 1 or len(data) == 1:
        return own[0] if len(own) == 1 else data[0]
    raise SourceRefused(
        f"the zip archive holds {len(own)} files, expected one with data: {', '.join(own[:10])}. Unpack the one that"
        " is meant, or name it: `file: zip://NAME::ARCHIVE`."
    )
