"""The facts of `params.yaml`: one pydantic model, read by the notebooks and checked before a run starts."""

from __future__ import annotations

import datetime
import difflib
import os
import re
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class ParameterError(ValueError):
    """A fact in `params.yaml`, or a stage parameter, is missing, unknown or of the wrong type."""


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Facts):
    """What is known of one column: its type, what counts as valid, and whether it may be a feature."""

    type: Literal["id", "category", "number", "date"] = "category"
    format: str = Field("%Y-%m-%d", description="strptime format of a date column")
    values: list[str] | None = Field(None, description="the valid codes of a category")
    codes: dict[str, str] = Field({}, description="other spellings: as received -> valid code")
    none: list[str] = Field([], description="texts that mean `there is none`, such as `No` for an end date")
    min: float | None = None
    max: float | None = None
    required: bool = Field(True, description="may a blank stand here? true: a blank breaks a rule")
    feature: bool = Field(True, description="false keeps the column out of the model: it is known too late, or an id")
    description: str = ""


class PageNumber(_Facts):
    """Pages are asked for by number, until an empty page or the total number of pages."""

    kind: Literal["page_number"]
    param: str = "page"
    first: int = 1
    size_param: str | None = None
    size: int = 500
    total_pages: str | None = Field(None, description="JSON path of the number of pages, such as `meta.pages`")


class Offset(_Facts):
    """Pages are asked for by the number of records to skip."""

    kind: Literal["offset"]
    param: str = "offset"
    size_param: str = "limit"
    size: int = 500
    total: str | None = Field(None, description="JSON path of the number of records, such as `meta.total`")


class Cursor(_Facts):
    """Each page names the cursor of the next."""

    kind: Literal["cursor"]
    param: str = "cursor"
    cursor: str = Field("next_cursor", description="JSON path of the next cursor")
    size_param: str | None = None
    size: int = 500


class NextLink(_Facts):
    """Each page links to the next, in its body or in the HTTP `Link` header."""

    kind: Literal["next_link"]
    link: str | None = Field(None, description="JSON path of the next address; absent: the `Link` header")


class BearerAuth(_Facts):
    """`Authorization: Bearer …`."""

    bearer: str


class BasicAuth(_Facts):
    """HTTP basic authentication."""

    user: str
    password: str


class _Source(_Facts):
    columns: dict[str, Column] = Field({}, description="what is known of the columns; one not named is inferred")
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


class FileSource(_Source):
    """A file: CSV, Parquet, JSON lines or Excel, on a local path or any fsspec address."""

    file: str
    format: Literal["csv", "parquet", "jsonl", "excel"] | None = Field(None, description="absent: from the name")
    delimiter: str | None = Field(None, description="absent: found from the first lines")
    encoding: str = "utf-8-sig"
    sheet: str | int = 0
    storage_options: dict[str, Any] = {}


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
    query: dict[str, str | int] = {}
    headers: dict[str, str] = {}
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


class ColumnLabel(_Facts):
    """The answer stands in a column."""

    column: str
    positive: str = Field(description="the value that means `has churned`")


class EndDateLabel(_Facts):
    """The answer is computed: the contract ends in `[as_of, as_of + horizon_days]`."""

    end_date: str
    begin_date: str
    horizon_days: int = Field(gt=0)


class Sample(_Facts):
    """The built-in synthetic company, made and served by the run itself."""

    customers: int = Field(7_000, ge=1_000, le=10_000_000)
    seed: int = 7


class Params(_Facts):
    """The whole of `params.yaml`."""

    name: str = Field(description="what the reports call this data set")
    customer_id: str
    as_of: datetime.date | None = Field(None, description="the day of the snapshot, taken at its start")
    label: ColumnLabel | EndDateLabel
    sample: Sample | None = Field(None, description="present: the synthetic company serves the sources")
    sources: dict[str, Source] = Field(min_length=1, description="raw tables; the first has a row for each customer")
    stages: dict[str, dict[str, Any]] = Field({}, description="overrides of stage parameters: stage -> name -> value")

    @model_validator(mode="after")
    def _end_date_label_needs_as_of(self) -> Params:
        if isinstance(self.label, EndDateLabel) and self.as_of is None:
            raise ValueError("a label from an end date needs `as_of`, the day of the snapshot")
        return self


def load_params(file: str | os.PathLike[str]) -> Params:
    """Read and check a params file.

    Raises:
        ParameterError: the file is missing, not YAML, or has unknown, missing or ill-typed keys; lists them all.
    """
    path = Path(file)
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParameterError(f"No params file at {path.resolve()}: expected the facts of a data set.") from None
    except YAMLError as error:
        raise ParameterError(f"{path} is not YAML: {error}") from None
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        problems = "\n".join(f"  {line}" for line in _describe(error))
        raise ParameterError(f"{path} has {error.error_count()} problem(s):\n{problems}") from None


def expand(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Replace each `${NAME}` by the environment variable's value.

    Raises:
        ParameterError: a named variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise ParameterError(f"The environment variable {match[1]} is not set; {text!r} needs it.")
        return environment[match[1]]

    return _VARIABLE.sub(value, text)


def variables(params: Params) -> dict[str, bool]:
    """Name the environment variables that the sources use -> whether the value is a secret.

    A variable in the local path of a file is shown; one anywhere else (an address, a token, an option) is a secret.
    """
    found: dict[str, bool] = {}
    for source in params.sources.values():
        for field, text in _texts(source.model_dump()):
            for name in _VARIABLE.findall(text):
                is_path = field == "file" and "://" not in text
                found[name] = found.get(name, False) or not is_path
    return found


def suggest(name: str, known: list[str]) -> str:
    """Return `; did you mean …?` with the nearest known name, or the list of what is known."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; known are: {', '.join(sorted(known))}"


_TAGS: dict[str, type[BaseModel]] = {
    "file": FileSource,
    "database": DatabaseSource,
    "api": ApiSource,
    "page_number": PageNumber,
    "offset": Offset,
    "cursor": Cursor,
    "next_link": NextLink,
}


def _texts(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, field or str(key))


def _describe(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        where = [str(part) for part in problem["loc"]]
        if problem["type"] == "extra_forbidden":
            yield f"{'.'.join(where)}: unknown key{suggest(where[-1], _keys_at(problem['loc'][:-1]))}"
        else:
            yield f"{'.'.join(where) or 'file'}: {problem['msg'].removeprefix('Value error, ')}"


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the model allows at an error's location."""
    candidates: list[type[BaseModel]] = [Params]
    for part in map(str, location):
        candidates = _step(candidates, part)
    return sorted({key for model in candidates for key in model.model_fields})


def _step(candidates: list[type[BaseModel]], part: str) -> list[type[BaseModel]]:
    """Follow one part of a location, which is a field, the tag of a union or the key of a dictionary."""
    if _TAGS.get(part) in candidates:
        return [_TAGS[part]]
    fields = [model.model_fields[part] for model in candidates if part in model.model_fields]
    return [model for field in fields for model in _models_in(field.annotation)] if fields else candidates


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, Annotated, dict, list):
        return [model for inner in typing.get_args(annotation) for model in _models_in(inner)]
    return []
