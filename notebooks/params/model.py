"""The whole of `params.yaml`: the facts of a data set."""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from pydantic import Field, field_validator, model_validator

from .facts import Facts
from .promotion import Promotion
from .sources import Source

ROW_NUMBER = "row_number"
_MONTH = re.compile(r"(\d{4})-(\d{2})")


class ColumnLabel(Facts):
    """The answer stands in a column."""

    column: str
    positive: str = Field(description="the value that means `has churned`")
    negative: str | None = Field(None, description="the value that means `has stayed`; absent: any other value does")

    @property
    def columns(self) -> list[str]:
        """The column that the answer stands in."""
        return [self.column]


class EndDateLabel(Facts):
    """The answer is computed: the contract ends in `[as_of, as_of + horizon_days]`."""

    end_date: str
    begin_date: str | None = Field(None, description="absent: every customer counts who has not ended before the day")
    horizon_days: int = Field(gt=0)

    @property
    def columns(self) -> list[str]:
        """The columns that the answer is computed from."""
        return [self.begin_date, self.end_date] if self.begin_date else [self.end_date]


class AsOfColumn(Facts):
    """Each row of the first table is a customer on the day that stands in this column: monthly snapshots, say."""

    column: str


class Sample(Facts):
    """The built-in synthetic company, made and served by the run itself."""

    customers: int = Field(7_000, ge=1_000, le=10_000_000)
    seed: int = 7


class Expression(Facts):
    """A feature of one's own, computed from columns of the same customer."""

    expression: str
    description: str = ""


class Params(Facts):
    """The whole of `params.yaml`."""

    name: str = Field(description="what the reports call this data set")
    customer_id: str = Field(ROW_NUMBER, description="the column that names a customer; absent: the rows are numbered")
    as_of: datetime.date | list[datetime.date] | AsOfColumn | None = Field(
        None,
        description="the day of the snapshot, taken at its start; several days, or the column that holds it. "
        "A month such as 2024-03 is its first day",
    )
    label: ColumnLabel | EndDateLabel
    sample: Sample | None = Field(None, description="present: the synthetic company serves the sources")
    sources: dict[str, Source] = Field(min_length=1, description="raw tables; the first has a row for each customer")
    features: dict[str, Expression] = Field({}, description="features of one's own: name -> expression over columns")
    promotion: Promotion = Field(Promotion(), description="when a new model takes the place of the one in use")
    stages: dict[str, dict[str, Any]] = Field({}, description="overrides of stage parameters: stage -> name -> value")

    @property
    def as_of_dates(self) -> Sequence[datetime.date]:
        """The days of the snapshots, as far as `params.yaml` itself names them; in order."""
        if isinstance(self.as_of, datetime.date):
            return [self.as_of]
        return sorted(set(self.as_of)) if isinstance(self.as_of, list) else []

    @property
    def as_of_column(self) -> str | None:
        """The column of the first table that holds the day of each row's snapshot, if one does."""
        return self.as_of.column if isinstance(self.as_of, AsOfColumn) else None

    @property
    def numbers_rows(self) -> bool:
        """Whether no column names a customer, so that the number of a row does."""
        return self.customer_id == ROW_NUMBER

    def keys_of(self, columns: Collection[str]) -> list[str]:
        """Return which of a table's columns name one of its rows: the customer, and the day where a column holds it."""
        day = self.as_of_column
        return [self.customer_id, day] if day is not None and day in columns else [self.customer_id]

    @field_validator("as_of", mode="before")
    @classmethod
    def _read_days(cls, value: Any) -> Any:
        if isinstance(value, list):
            if not value:
                raise ValueError("no day is listed; leave `as_of` out where there is none")
            return [_read_day(day) for day in value]
        if isinstance(value, dict) and set(value) != {"column"}:
            raise ValueError(f"expected a day, a list of days, or `column: NAME`, not the keys {', '.join(value)}")
        return value if isinstance(value, (dict, AsOfColumn)) or value is None else _read_day(value)

    @field_validator("features", mode="before")
    @classmethod
    def _read_plain_expressions(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: {"expression": one} if isinstance(one, str) else one for name, one in value.items()}

    @model_validator(mode="after")
    def _end_date_label_needs_as_of(self) -> Params:
        if isinstance(self.label, EndDateLabel) and not self.as_of_dates:
            raise ValueError("a label from an end date needs `as_of`, the day of the snapshot")
        return self

    @model_validator(mode="after")
    def _label_column_answers_for_one_day(self) -> Params:
        if isinstance(self.label, ColumnLabel) and len(self.as_of_dates) > 1:
            raise ValueError(
                "several `as_of` days need a label from an end date, which gives the answer of each day; "
                "where each row has its own day, name the column that holds it: `as_of: {column: NAME}`"
            )
        if self.as_of_column is not None and self.as_of_column in (self.customer_id, *self.label.columns):
            raise ValueError(f"`as_of` names the column {self.as_of_column!r}, which is the customer id or the label")
        return self

    @model_validator(mode="after")
    def _several_tables_need_an_id(self) -> Params:
        if self.numbers_rows and len(self.sources) > 1:
            raise ValueError("several tables need `customer_id`, the column that joins them")
        return self

    @model_validator(mode="after")
    def _first_table_has_one_row_a_customer(self) -> Params:
        if problems := list(self._find_rows_problems()):
            raise ValueError("; ".join(problems))
        return self

    def _find_rows_problems(self) -> Iterator[str]:
        for position, (name, source) in enumerate(self.sources.items()):
            if source.many and position == 0:
                yield f"sources.{name}: the first table has one row a customer, so it cannot be `many`; move it down"
            if source.time is not None and not source.many:
                yield f"sources.{name}.time: only a table with `many: true` needs it"


def _read_day(value: Any) -> Any:
    """Return the day that a value of `params.yaml` names: a date, a text such as 2024-03-01, or a month."""
    if isinstance(value, datetime.date):
        return value
    text = value.strip() if isinstance(value, str) else ""
    month = _MONTH.fullmatch(text)
    try:
        return datetime.date.fromisoformat(f"{text}-01" if month else text)
    except ValueError:
        raise ValueError(f"{value!r} is no day; expected one such as 2024-03-01, or a month such as 2024-03") from None
