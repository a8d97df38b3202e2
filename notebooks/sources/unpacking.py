"""Unpacks gzip and zip, told by their first bytes whatever the name says."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib

from sources.received import SourceRefused


def unpack(data: bytes) -> tuple[bytes, list[str]]:
    """Unpack gzip and zip, and say so; anything else stays as it is.

    Raises:
        SourceRefused: the archive is cut, damaged or locked, or nobody can tell which of its files is meant.
    """
    if data.startswith(b"\x1f\x8b"):
        try:
            return gzip.decompress(data), ["Unpacked with gzip."]
        except EOFError:
            message = f"the gzip file is cut: it ends within its data, after {len(data):,} bytes. Fetch it again."
            raise SourceRefused(message) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise SourceRefused(f"the gzip file is damaged: {error}. Fetch it again.") from None
    if data.startswith(b"PK\x03\x04"):
        return _unpack_zip(data)
    return data, []


def _unpack_zip(data: bytes) -> tuple[bytes, list[str]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [item.filename for item in archive.infolist() if not item.is_dir()]
            if "[Content_Types].xml" in names:  # Excel's files are zip archives too
                return data, []
            if len(names) != 1:
                raise SourceRefused(f"the zip archive holds {len(names)} files, expected one: {', '.join(names[:10])}.")
            return archive.read(names[0]), [f"Unpacked {names[0]} from a zip archive."]
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise SourceRefused(f"the zip archive is damaged, cut or locked: {error}. Fetch it again.") from None
