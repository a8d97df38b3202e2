"""A source that is a file, or several that are parts of one table: what `params.yaml` says
of it, and which files it consists of.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from churn.facts import MAY_HOLD_CREDENTIALS, VARIABLE, ParameterError, expand
from churn.formats import FileFormat
from churn.sources.source import Source, mask

_OPEN_IN_EXCEL = "~$"  # begins the names of files that are there as long as a workbook is open
_LISTED = 5


class NoFileError(ParameterError):
    """No file matches a pattern."""


class FileSource(Source, FileFormat):
    """A file, or several that are parts of one table: CSV, Parquet, JSON lines or
    Excel, by path or fsspec address.
    """

    kind = "file"
    reader = "churn.sources.file_reader"

    file: str | list[str] = Field(
        description="a path or address, or a list; a local path with * ? [ stands for all "
        "that match"
    )
    part_column: str | None = Field(
        None,
        description="name of a column that says which file each row came from: the file's "
        "name without endings",
    )
    part_pattern: str | None = Field(
        None,
        description="regular expression: its first group in the file's name is what "
        "`part_column` holds",
    )
    storage_options: Annotated[dict[str, Any], MAY_HOLD_CREDENTIALS] = Field(
        {}, description="what fsspec is given beside the address"
    )

    @property
    def files(self) -> list[str]:
        """The paths, patterns and addresses as they are written."""
        return [self.file] if isinstance(self.file, str) else self.file

    @property
    def addresses(self) -> list[str]:
        """The addresses among the files."""
        return [file for file in self.files if not is_local(file)]

    @property
    def shown_address(self) -> str:
        """All files, without secrets; variables are expanded in local paths."""
        return ", ".join(expand(file) if is_local(file) else mask(file) for file in self.files)

    @property
    def is_partly_elsewhere(self) -> bool:
        """Whether some of its files are not of this machine."""
        return bool(self.addresses)

    def texts_with_variables(self) -> Iterator[tuple[str, bool]]:
        """Yield local paths too, in which variables are no secrets."""
        yield from super().texts_with_variables()
        yield from ((file, False) for file in self.files if is_local(file))

    def local_paths(self, root: Path) -> list[Path]:
        """Return its files that are of this machine, as far as its patterns match."""
        written = [file for file in self.find_files(root) if is_local(file)]
        return [Path(os.path.abspath(root / file)) for file in written]

    def patterns(self, root: Path) -> list[str]:
        """Return the patterns among its files."""
        return [_locate(file, root) for file in self.files if _is_expanded(file, root)]

    def expectation(self, path: str) -> str:
        """Name the format of a file and the columns that are described."""
        columns = f" with the columns {', '.join(self.columns)}" if self.columns else ""
        return f"a file of format {self.format_of(path)}{columns}"

    def find_files(self, root: Path) -> list[str]:
        """Return its files in order, each once: local paths, and addresses as they are written.

        Args:
            root: the folder that relative paths and patterns start from.

        Raises:
            NoFileError: a pattern has no match.
            ParameterError: an environment variable that a local path names is not set.
        """
        return list(dict.fromkeys(path for file in self.files for path in _find(file, root)))

    @field_validator("file", mode="before")
    @classmethod
    def _names_a_file(cls, value: Any) -> Any:
        paths = value if isinstance(value, list) else [value]
        if not paths or not all(isinstance(path, str) and path.strip() for path in paths):
            raise ValueError("expected a path or an address, or a list of them")
        return value

    @field_validator("part_pattern")
    @classmethod
    def _has_a_group(cls, value: str | None) -> str | None:
        try:
            groups = re.compile(value).groups if value is not None else 1
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from None
        if not groups:
            raise ValueError(
                f"{value!r} has no group: put what the column is to hold into parentheses"
            )
        return value

    @model_validator(mode="after")
    def _pattern_needs_a_column(self) -> FileSource:
        if self.part_pattern is not None and self.part_column is None:
            raise ValueError(
                "`part_pattern` needs `part_column`, the name of the column that holds what it "
                "finds"
            )
        return self


def is_local(address: str) -> bool:
    """Tell a local path from an fsspec address."""
    return "://" not in address and "::" not in address


def is_pattern(path: str) -> bool:
    """Say whether a local path stands for all files that match; what a variable holds
    is taken literally.
    """
    return is_local(path) and glob.has_magic(VARIABLE.sub("", path))


def _find(written: str, root: Path) -> Iterator[str]:
    if not _is_expanded(written, root):
        yield expand(written) if is_local(written) else written
        return
    found = sorted(
        glob.glob(_locate(written, root), recursive=True), key=lambda path: Path(path).as_posix()
    )
    files = [
        path
        for path in found
        if os.path.isfile(path) and not os.path.basename(path).startswith(_OPEN_IN_EXCEL)
    ]
    if not files:
        raise NoFileError(_describe_lack(written, root, found))
    yield from files


def _is_expanded(written: str, root: Path) -> bool:
    """A file whose very name has brackets in it is meant itself."""
    return is_pattern(written) and not os.path.isfile(root / expand(written))


def _locate(written: str, root: Path) -> str:
    pattern = VARIABLE.sub(lambda match: glob.escape(expand(match[0])), written)
    return os.path.abspath(os.path.join(glob.escape(str(root.resolve())), pattern))


def _describe_lack(written: str, root: Path, found: list[str]) -> str:
    pattern = Path(_locate(written, root))
    first = next(position for position, part in enumerate(pattern.parts) if glob.has_magic(part))
    folder = Path(*pattern.parts[:first])
    message = f"no file matches {expand(written)!r} in {folder}"
    if not folder.is_dir():
        return f"{message}: there is no such folder."
    if found:
        return (
            f"{message}: what matches are folders. Add /* behind it if all their files are meant."
        )
    names = sorted(entry.name for entry in folder.iterdir())
    if not names:
        return f"{message}: the folder is empty."
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{message}; it holds {', '.join(names[:_LISTED])}{more}."
