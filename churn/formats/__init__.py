"""Reads what is in files into tables of texts: CSV, workbooks, JSON and Parquet, packed or not."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator

from churn.facts import Facts

_TEXT_ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".psv", ".dat", ".data")
# The ending of a file's name -> its format; any other ending means CSV.
_ENDINGS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), "excel"),
}
DATA_ENDINGS = (*_TEXT_ENDINGS, *_ENDINGS, ".gz", ".zip")
_PARQUET = b"PAR1"  # its first bytes
OLD_EXCEL = b"\xd0\xcf\x11\xe0"  # likewise; also those of a workbook with a password


class FormatError(Exception):
    """What was received is not what it should be, and reading it again would not help."""


def format_by_name(name: str) -> str:
    """Return the format that the ending of a file's name stands for."""
    suffixes = reversed(PurePosixPath(name.split("?")[0].lower()).suffixes)
    return next((_ENDINGS[suffix] for suffix in suffixes if suffix in _ENDINGS), "csv")


class FileFormat(Facts):
    """How a file is written, as far as `params.yaml` says it; the rest is found in the file."""

    format: Literal["csv", "parquet", "jsonl", "excel"] | None = Field(
        None, description="absent: from the name"
    )
    delimiter: str | None = Field(
        None,
        description="absent: found from the first lines; `whitespace`: any number of spaces",
    )
    encoding: str | None = Field(None, description="absent: UTF-8, or what a byte order mark says")
    header: bool = Field(
        True,
        description="false: the first line is data; the columns are named column_1, column_2, …",
    )
    skip_rows: int = Field(
        0, ge=0, description="lines, or rows of a sheet, above the table: titles and the like"
    )
    sheet: str | int | None = Field(
        None, description="name, or number from 0; absent: the one that fits best"
    )

    def format_of(self, name: str, start: bytes = b"") -> str:
        """Return the format of a file: the one that is given, else what its first bytes tell,
        as far as they are known, or its name.
        """
        if self.format:
            return self.format
        if start.startswith((_PARQUET, OLD_EXCEL)):
            return "parquet" if start.startswith(_PARQUET) else "excel"
        return format_by_name(name)

    @field_validator("delimiter")
    @classmethod
    def _is_one_character(cls, value: str | None) -> str | None:
        delimiter = "\t" if value in ("\\t", "tab") else value
        if delimiter in (None, "whitespace"):
            return delimiter
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
            raise ValueError(
                f"{value!r} is no delimiter: expected one character, such as ';', or 'tab' or "
                "'whitespace'"
            )
        return delimiter
