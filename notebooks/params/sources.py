"""Where raw data comes from, as `params.yaml` says it: files, databases and paged REST APIs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from .facts import Column, Facts


class PageNumber(Facts):
    """Pages are asked for by number, until an empty page or the total number of pages."""

    kind: Literal["page_number"]
    param: str = "page"
    first: int = 1
    size_param: str | None = None
    size: int = 500
    total_pages: str | None = Field(None, description="JSON path of the number of pages, such as `meta.pages`")


class Offset(Facts):
    """Pages are asked for by the number of records to skip."""

    kind: Literal["offset"]
    param: str = "offset"
    size_param: str = "limit"
    size: int = 500
    total: str | None = Field(None, description="JSON path of the number of records, such as `meta.total`")


class Cursor(Facts):
    """Each page names the cursor of the next."""

    kind: Literal["cursor"]
    param: str = "cursor"
    cursor: str = Field("next_cursor", description="JSON path of the next cursor")
    size_param: str | None = None
    size: int = 500


class NextLink(Facts):
    """Each page links to the next, in its body or in the HTTP `Link` header."""

    kind: Literal["next_link"]
    link: str | None = Field(None, description="JSON path of the next address; absent: the `Link` header")


class BearerAuth(Facts):
    """`Authorization: Bearer …`."""

    bearer: str


class BasicAuth(Facts):
    """HTTP basic authentication."""

    user: str
    password: str


class _Source(Facts):
    key: str | None = Field(None, description="the column that holds the customer id here, if it has another name")
    many: bool = Field(False, description="true: a customer may have several rows here; features count and sum them up")
    time: str | None = Field(None, description="of a table with `many` rows: the date column; later rows do not count")
    columns: dict[str, Column] = Field({}, description="what is known of the columns; one not named is inferred")
    decimal: Literal[".", ","] | None = Field(
        None, description="decimal sign of the columns that are not described; absent: the one that their texts show"
    )
    absent: dict[str, str] = Field(
        {},
        description="values for a customer without a row here: column -> text; `*` for every other column. "
        "Absent: such a customer has missing values.",
    )
    refresh: Literal["always", "never"] = Field(
        "always",
        description="is a database, an API or a file elsewhere read again on each run? never: only when forced",
    )
    present: str | None = Field(None, description="name of a Yes/No column that says whether a customer has a row here")

    def columns_by_name(self, customer_id: str) -> Mapping[str, Column]:
        """Return what is known of the columns, by the names that they have after `stagekit.rename_key`."""
        return {customer_id if name == self.key else name: column for name, column in self.columns.items()}


class FileSource(_Source):
    """A file, or several that are parts of one table: CSV, Parquet, JSON lines or Excel, by path or fsspec address."""

    file: str | list[str] = Field(
        description="a path or address, or a list; a local path with * ? [ stands for all that match"
    )
    part_column: str | None = Field(
        None, description="name of a column that says which file each row came from: the file's name without endings"
    )
    part_pattern: str | None = Field(
        None, description="regular expression: its first group in the file's name is what `part_column` holds"
    )
    format: Literal["csv", "parquet", "jsonl", "excel"] | None = Field(None, description="absent: from the name")
    delimiter: str | None = Field(None, description="absent: found from the first lines")
    encoding: str | None = Field(None, description="absent: UTF-8, or what a byte order mark says")
    header: bool = Field(True, description="false: the first line is data; the columns are named column_1, column_2, …")
    skip_rows: int = Field(0, ge=0, description="lines, or rows of a sheet, above the table: titles and the like")
    sheet: str | int | None = Field(None, description="name, or number from 0; absent: the one that fits best")
    storage_options: dict[str, Any] = Field({}, description="what fsspec is given beside the address")

    @property
    def files(self) -> list[str]:
        """The paths, patterns and addresses as they are written."""
        return [self.file] if isinstance(self.file, str) else self.file

    @field_validator("file", mode="before")
    @classmethod
    def _names_a_file(cls, value: Any) -> Any:
        paths = value if isinstance(value, list) else [value]
        if not paths or not all(isinstance(path, str) and path.strip() for path in paths):
            raise ValueError("expected a path or an address, or a list of them")
        return value

    @field_validator("delimiter")
    @classmethod
    def _is_one_character(cls, value: str | None) -> str | None:
        delimiter = "\t" if value in ("\\t", "tab") else value
        if delimiter is not None and (len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n'):
            raise ValueError(f"{value!r} is no delimiter: expected one character, such as ';' or 'tab'")
        return delimiter

    @field_validator("part_pattern")
    @classmethod
    def _has_a_group(cls, value: str | None) -> str | None:
        try:
            groups = re.compile(value).groups if value is not None else 1
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from None
        if not groups:
            raise ValueError(f"{value!r} has no group: put what the column is to hold into parentheses")
        return value

    @model_validator(mode="after")
    def _pattern_needs_a_column(self) -> FileSource:
        if self.part_pattern is not None and self.part_column is None:
            raise ValueError("`part_pattern` needs `part_column`, the name of the column that holds what it finds")
        return self


class DatabaseSource(_Source):
    """A database: a SQLAlchemy address and a table or a query."""

    database: str
    table: str | None = None
    query: str | None = None

    @model_validator(mode="after")
    def _has_one_of_table_and_query(self) -> DatabaseSource:
        if (self.table is None) == (self.query is None):
            raise ValueError("a database source needs either `table` or `query`")
        return self


class ApiSource(_Source):
    """A paged REST API that answers in JSON."""

    api: str
    records: str = Field("$", description="JSON path of the list of records, such as `data.items`; `$`: the whole body")
    paging: Annotated[PageNumber | Offset | Cursor | NextLink, Field(discriminator="kind")] | None = None
    auth: BearerAuth | BasicAuth | None = None
    query: dict[str, str | int] = Field({}, description="parameters of each request")
    headers: dict[str, str] = Field({}, description="headers of each request")
    retries: int = Field(4, ge=0, le=20, description="further tries after a failure that may pass")
    timeout_seconds: float = Field(30, gt=0)
    max_pages: int = Field(100_000, ge=1, description="more pages than this are taken for a loop")


def _kind_of_source(value: Any) -> str | None:
    keys = value if isinstance(value, dict) else vars(value)
    return next((kind for kind in ("file", "database", "api") if kind in keys), None)


Source = Annotated[
    Annotated[FileSource, Tag("file")] | Annotated[DatabaseSource, Tag("database")] | Annotated[ApiSource, Tag("api")],
    Discriminator(
        _kind_of_source,
        custom_error_type="source_kind",
        custom_error_message="a source needs one of `file`, `database` and `api`",
    ),
]
