"""Files: CSV, Parquet, JSON lines and Excel, on a local path or any fsspec address, packed or not."""

from __future__ import annotations

import difflib
import gzip
import io
import os
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from params import FileSource, expand
from sources.addresses import is_local
from sources.delimited import read_delimited
from sources.formats import read_excel, read_json_lines, read_parquet
from sources.received import Content, Digest, SourceError, SourceRefused, patiently

TRIES = 4
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
}


def read_file(source: FileSource, root: Path, malformed_allowed: int, first_wait: float) -> Content:
    """Read a file; the bytes that are hashed are the very ones that are parsed.

    Raises:
        SourceError: the server of a remote file is down.
        SourceRefused: the file is missing, may not be read, or is not what `params.yaml` says.
    """
    if is_local(source.file):
        received = _read_local(Path(expand(source.file)), root.resolve(), source)
    else:
        received = patiently(lambda: _read_remote(source), TRIES, first_wait)
    digest = Digest(received)
    data, notes = _unpack(received)
    format_ = source.format or _find_format(expand(source.file), data)
    _check_content(data, format_)
    if format_ == "csv":
        read = read_delimited(data, source, malformed_allowed)
        return Content(read.table, digest, notes + read.notes, read.malformed)
    readers = {"parquet": read_parquet, "jsonl": read_json_lines, "excel": read_excel}
    return Content(readers[format_](data, source), digest, notes)


def _read_local(written: Path, root: Path, source: FileSource) -> bytes:
    path = Path(os.path.abspath(root / written))
    if path.is_relative_to(root) and not path.resolve().is_relative_to(root):
        raise SourceRefused(
            f"{path} is a link out of the project, to {path.resolve()}. Name that path in params.yaml if it is meant."
        )
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise SourceRefused(
            f"there is no file at {path}. Expected there: {_expectation(source)}.{_near(path)}"
        ) from None
    except IsADirectoryError:
        raise SourceRefused(f"{path} is a folder. Expected: {_expectation(source)}.") from None
    except PermissionError:
        raise SourceRefused(f"no permission to read {path}. Expected: {_expectation(source)}.") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from None


def _expectation(source: FileSource) -> str:
    columns = f" with the columns {', '.join(source.columns)}" if source.columns else ""
    return f"a file of format {source.format or _find_format(expand(source.file), b'')}{columns}"


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f" The folder {path.parent} does not exist either."
    near = difflib.get_close_matches(path.name, sorted(os.listdir(path.parent)), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _read_remote(source: FileSource) -> bytes:
    import fsspec

    options = _expand_all(source.storage_options)
    try:
        filesystem, path = fsspec.core.url_to_fs(expand(source.file), **options)
        content: bytes = filesystem.cat_file(path)
    except FileNotFoundError:
        raise SourceRefused(f"there is no such file. Expected there: {_expectation(source)}.") from None
    except PermissionError as error:
        raise SourceRefused(f"access denied: check the credentials in `storage_options` ({error}).") from None
    except (ImportError, ValueError, TypeError) as error:
        raise SourceRefused(f"cannot be opened with fsspec: {error}") from None
    except Exception as error:  # each file system of fsspec brings its library's own exceptions
        raise _remote_error(error) from None
    return content


def _remote_error(error: Exception) -> SourceError:
    status = getattr(error, "status", None)  # aiohttp's name for it
    what = f"HTTP {status}" if status else f"{type(error).__name__}: {error}"
    if isinstance(status, int) and 400 <= status < 500 and status not in (408, 425, 429):
        return SourceRefused(f"the server refuses: {what}. Check the address and the credentials.")
    return SourceError(f"cannot be fetched: {what}.")


def _expand_all(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _expand_all(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand_all(item) for item in value]
    return expand(value) if isinstance(value, str) else value


def _unpack(data: bytes) -> tuple[bytes, list[str]]:
    """Unpack gzip and zip, told by their first bytes whatever the name."""
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


def _find_format(name: str, data: bytes) -> str:
    if data.startswith(b"PAR1"):
        return "parquet"
    suffixes = PurePosixPath(name.split("?")[0].lower()).suffixes
    return next((_FORMATS[suffix] for suffix in reversed(suffixes) if suffix in _FORMATS), "csv")


def _check_content(data: bytes, format_: str) -> None:
    """Refuse what the first bytes show to be something else, before a parser makes an odd table of it."""
    if not data.strip():
        raise SourceRefused(f"the file is empty: {len(data)} bytes. Fetch or export it again.")
    for magic, what in _FOREIGN.items():
        if data.startswith(magic):
            raise SourceRefused(f"expected {format_}, but the file is {what}.")
    start = data[:500].removeprefix(b"\xef\xbb\xbf").lstrip()
    if format_ in ("csv", "jsonl") and start.startswith(b"<"):
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
