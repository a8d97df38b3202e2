"""The whole of `params.yaml`: the facts of a data set."""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from churn.facts import VARIABLE, Facts, suggest
from churn.sources import AnyKind, Source

ROW_NUMBER = "row_number"
_MOST_OFFERED = 8  # candidates for the answer that a message lists
_MONTH = re.compile(r"(\d{4})-(\d{2})")


class ColumnLabel(Facts):
    """The answer stands in a column."""

    column: str
    positive: str = Field(description="the value that means `has churned`")
    negative: str | None = Field(
        None, description="the value that means `has stayed`; absent: any other value does"
    )

    @property
    def columns(self) -> list[str]:
        """The column that the answer stands in."""
        return [self.column]


class EndDateLabel(Facts):
    """The answer is computed: the contract ends in `[as_of, as_of + horizon_days]`."""

    end_date: str
    begin_date: str | None = Field(
        None, description="absent: every customer counts who has not ended before the day"
    )
    horizon_days: int = Field(gt=0, le=36_500)

    @property
    def columns(self) -> list[str]:
        """The columns that the answer is computed from."""
        return [self.begin_date, self.end_date] if self.begin_date else [self.end_date]

    def last_day(self, as_of: datetime.date) -> datetime.date:
        """Return the last day of the horizon of an as-of day."""
        return as_of + datetime.timedelta(days=self.horizon_days)


class InactivityLabel(Facts):
    """The answer is computed: a customer has no row of a table in the horizon after the
    as-of day, of those who had one in the days before.

    A time counts as before the day up to its midnight, and as within the horizon from then
    on: `[as_of - active_days, as_of)` and `[as_of, as_of + inactive_days)`.
    """

    table: str = Field(description="the table with `many` rows a customer, and a `time`")
    inactive_days: int = Field(
        gt=0, le=36_500, description="so many days without a row mean `has churned`"
    )
    active_days: int | None = Field(
        None,
        gt=0,
        le=36_500,
        description="customers are those with a row in so many days before; absent: as many as "
        "`inactive_days`",
    )

    @property
    def columns(self) -> list[str]:
        """None: no column of a customer holds the answer."""
        return []

    @property
    def horizon_days(self) -> int:
        """The days after the as-of day that the answer looks at."""
        return self.inactive_days

    def last_day(self, as_of: datetime.date) -> datetime.date:
        """Return the last day of the horizon of an as-of day."""
        return as_of + datetime.timedelta(days=self.inactive_days - 1)

    @property
    def days_before(self) -> int:
        """The days before the as-of day in which a customer has a row."""
        return self.active_days or self.inactive_days

    def __str__(self) -> str:
        """Say what the answer is made of."""
        return (
            f"no row in {self.table} in {self.inactive_days} days from the as-of day on, of those "
            f"who have one in the {self.days_before} days before"
        )


Label = ColumnLabel | EndDateLabel | InactivityLabel
_LABELS: dict[str, type[Facts]] = {
    "column": ColumnLabel,
    "end_date": EndDateLabel,
    "table": InactivityLabel,
}


def _kind_of_label(value: Any) -> str | None:
    """Return the kind of label that is meant: the one with most of the keys given."""
    if isinstance(value, Facts):
        return next(name for name, kind in _LABELS.items() if isinstance(value, kind))
    given = set(value) if isinstance(value, dict) else set()
    known = {name: len(given & set(kind.model_fields)) for name, kind in _LABELS.items()}
    best = max(known, key=lambda name: known[name])
    return best if known[best] else None


AnyLabel = Annotated[
    Annotated[ColumnLabel, Tag("column")]
    | Annotated[EndDateLabel, Tag("end_date")]
    | Annotated[InactivityLabel, Tag("table")],
    Discriminator(
        _kind_of_label,
        custom_error_type="label_kind",
        custom_error_message="a label needs `column`, `end_date` or `table`",
    ),
]


class AsOfColumn(Facts):
    """Each row of the first table is a customer on the day that stands in this column:
    monthly snapshots, say.
    """

    column: str


class Sample(Facts):
    """The built-in synthetic company, made and served by the run itself."""

    # Of the environment, while it is served: the address of its API, and the token.
    variables: ClassVar[tuple[str, str]] = ("SAMPLE_API", "SAMPLE_TOKEN")

    customers: int = Field(7_000, ge=1_000, le=10_000_000)
    seed: int = 7

    @staticmethod
    def folder(root: Path) -> Path:
        """Return where in a project its files are made."""
        return root / "data" / "sample" / "made"


class Expression(Facts):
    """A feature of one's own, computed from columns of the same customer."""

    expression: str
    description: str = ""


class Promotion(Facts):
    """When a challenger takes the champion's place: it is better beyond chance, and
    nowhere worse than allowed.
    """

    metric: Literal["log_loss", "brier", "roc_auc", "average_precision"] = Field(
        "log_loss", description="what the challenger has to be better at"
    )
    margin: float = Field(
        0.0,
        ge=0,
        description=(
            "0: it has to be better; more: it may be worse by so much at most (non-inferiority)"
        ),
    )
    confidence: float = Field(
        0.975, gt=0.5, lt=1, description="of the one-sided bound of the difference"
    )
    samples: int = Field(1_000, ge=100, le=100_000, description="bootstrap draws behind that bound")
    fewest_customers: int = Field(
        100, ge=1, description="untouched customers that it takes to compare at all"
    )
    fewest_churners: int = Field(
        20, ge=1, description="churners among them, and stayers, that it takes"
    )
    calibration: float = Field(
        0.02, ge=0, description="by how much the expected calibration error may rise"
    )
    segment: float = Field(
        0.05, ge=0, description="by how much the ROC AUC of a segment may fall, beyond chance"
    )
    profit: float = Field(
        0.02, ge=0, description="which share of the champion's profit may be lost"
    )
    latency_ms: float = Field(
        1_000.0, gt=0, description="longest time to score 1,000 customers, in milliseconds"
    )
    size_mb: float = Field(
        100.0, gt=0, description="largest size of the model's file, in megabytes"
    )


RetryPolicy = Literal["outside", "once", "never"]


class Params(Facts):
    """The whole of `params.yaml`."""

    name: str = Field(description="what the reports call this data set")
    customer_id: str = Field(
        ROW_NUMBER, description="the column that names a customer; absent: the rows are numbered"
    )
    group: str | None = Field(
        None,
        description="a column of the first table whose rows of one value stay together in every "
        "split, interval and count: a household, the owner of several contracts. The customer id "
        "itself: a customer has several rows, and no day tells them apart",
    )
    as_of: datetime.date | list[datetime.date] | AsOfColumn | None = Field(
        None,
        description="the day of the snapshot, taken at its start; several days, or the column "
        "that holds it. A month such as 2024-03 is its first day",
    )
    sample: Sample | None = Field(
        None, description="present: the synthetic company serves the sources"
    )
    sources: dict[str, AnyKind] = Field(
        min_length=1,
        description="raw tables; the first has a row for each customer (with a label from "
        "inactivity perhaps several)",
    )
    label: AnyLabel = Field(
        None,  # refused, with what the sources offer
        validate_default=True,
        description="the answer: who has churned",
    )
    features: dict[str, Expression] = Field(
        {}, description="features of one's own: name -> expression over columns"
    )
    promotion: Promotion = Field(
        Promotion(), description="when a new model takes the place of the one in use"
    )
    retry: RetryPolicy = Field(
        "outside",
        description="which failures of a stage are tried once more. outside: those of the machine, "
        "and any of a stage that reads or writes outside of the project; once: all but gates",
    )
    stages: dict[str, dict[str, Any]] = Field(
        {}, description="overrides of stage parameters: stage -> name -> value"
    )

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

    @property
    def repeats_customers(self) -> bool:
        """Whether a customer has several rows that no day tells apart."""
        return self.group == self.customer_id and self.as_of_column is None

    def keys_of(self, columns: Collection[str]) -> list[str]:
        """Return which of a table's columns name one of its rows: the customer, and the
        day where a column holds it.
        """
        day = self.as_of_column
        return [self.customer_id, day] if day is not None and day in columns else [self.customer_id]

    def find_variables(self) -> dict[str, bool]:
        """Name the environment variables that are used -> whether the value is a secret.

        A variable in a path of this machine is shown; any other of a source is a secret,
        and so is one in the parameters of scoring, which may name a database to write to.
        """
        found: dict[str, bool] = {}
        for source in self.sources.values():
            for text, is_secret in source.texts_with_variables():
                for name in VARIABLE.findall(text):
                    found[name] = found.get(name, False) or is_secret
        scoring = self.stages.get("scoring", {}).values()
        return found | {name: True for text in scoring for name in VARIABLE.findall(str(text))}

    @field_validator("as_of", mode="before")
    @classmethod
    def _read_days(cls, value: Any) -> Any:
        if isinstance(value, list):
            if not value:
                raise ValueError("no day is listed; leave `as_of` out where there is none")
            return [_read_day(day) for day in value]
        if isinstance(value, dict) and set(value) != {"column"}:
            raise ValueError(
                "expected a day, a list of days, or `column: NAME`, not the keys "
                f"{', '.join(value)}"
            )
        return value if isinstance(value, (dict, AsOfColumn)) or value is None else _read_day(value)

    @field_validator("label", mode="before")
    @classmethod
    def _names_the_answer(cls, value: Any, info: ValidationInfo) -> Any:
        if value:
            return value
        offered = list(_list_labels(info.data.get("sources", {})))
        candidates = f". Candidates: {'; '.join(offered[:_MOST_OFFERED])}" if offered else ""
        raise ValueError(
            "it is empty: name the answer, as `{column: NAME, positive: VALUE}`, `{end_date: "
            "NAME, horizon_days: 90}` or `{table: NAME, inactive_days: 90}`" + candidates
        )

    @field_validator("features", mode="before")
    @classmethod
    def _read_plain_expressions(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            name: {"expression": one} if isinstance(one, str) else one
            for name, one in value.items()
        }

    @model_validator(mode="after")
    def _computed_label_needs_as_of(self) -> Params:
        if not isinstance(self.label, ColumnLabel) and not self.as_of_dates:
            what = "an end date" if isinstance(self.label, EndDateLabel) else "inactivity"
            raise ValueError(f"a label from {what} needs `as_of`, the day of the snapshot")
        return self

    @model_validator(mode="after")
    def _inactivity_needs_times(self) -> Params:
        label = self.label
        if not isinstance(label, InactivityLabel):
            return self
        if self.numbers_rows:
            raise ValueError("a label from inactivity needs `customer_id`, whose rows are counted")
        if label.table not in self.sources:
            known = suggest(label.table, list(self.sources))
            raise ValueError(f"label.table: no source {label.table!r}{known}")
        if self.sources[label.table].time is None:
            raise ValueError(
                f"label.table: sources.{label.table} needs `many: true` and `time`, the column "
                "with the date of each row"
            )
        return self

    @model_validator(mode="after")
    def _group_is_no_answer(self) -> Params:
        if self.group is not None and self.group in {*self.label.columns, self.as_of_column}:
            raise ValueError(
                f"`group` names the column {self.group!r}, which is the label or the as-of day"
            )
        if self.repeats_customers and isinstance(self.label, InactivityLabel):
            raise ValueError(
                "`group` names the customer id, but with a label from inactivity a customer has "
                "one row for each as-of day: leave `group` out"
            )
        return self

    @model_validator(mode="after")
    def _label_column_answers_for_one_day(self) -> Params:
        if isinstance(self.label, ColumnLabel) and len(self.as_of_dates) > 1:
            raise ValueError(
                "several `as_of` days need a label from an end date or from inactivity, which "
                "gives the answer of each day; where each row has its own day, name the column "
                "that holds it: `as_of: {column: NAME}`"
            )
        if self.as_of_column is not None and self.as_of_column in (
            self.customer_id,
            *self.label.columns,
        ):
            raise ValueError(
                f"`as_of` names the column {self.as_of_column!r}, which is the customer id or the "
                "label"
            )
        return self

    @model_validator(mode="after")
    def _several_tables_need_an_id(self) -> Params:
        _, *others = self.sources.values()
        if self.numbers_rows and not all(source.same_order for source in others):
            raise ValueError(
                "several tables need `customer_id`, the column that joins them; or `same_order: "
                "true`, where the rows of a table are those of the first, in the same order"
            )
        return self

    @model_validator(mode="after")
    def _first_table_has_one_row_a_customer(self) -> Params:
        if problems := list(self._find_rows_problems()):
            raise ValueError("; ".join(problems))
        return self

    def _find_rows_problems(self) -> Iterator[str]:
        for position, (name, source) in enumerate(self.sources.items()):
            if source.many and position == 0 and not isinstance(self.label, InactivityLabel):
                yield (
                    f"sources.{name}: the first table has one row a customer, so it cannot be "
                    "`many`; move it down (only with a label from inactivity it may be: its "
                    "customers are those who have a row)"
                )
            if source.same_order and (position == 0 or source.many or source.key):
                yield (
                    f"sources.{name}.same_order: only of a later table with a row for each row of "
                    "the first, without `many` and `key`"
                )
            if source.time is not None and not source.many:
                yield f"sources.{name}.time: only a table with `many: true` needs it"


def _list_labels(sources: Mapping[str, Source]) -> Iterator[str]:
    """Yield labels that the sources could have, as far as the file describes them: columns
    of two values, dates that some lack, tables with many rows and a time.
    """
    for name, source in sources.items():
        for column, fact in source.columns.items():
            if fact.values is not None and len(fact.values) == 2:
                yield f"{{column: {column}, positive: {fact.values[1]}}}"
            elif fact.type == "date" and not source.many and (fact.none or not fact.required):
                yield f"{{end_date: {column}, horizon_days: 90}}"
        if source.time is not None:
            yield f"{{table: {name}, inactive_days: 90}}"


def _read_day(value: Any) -> Any:
    """Return the day that a value of `params.yaml` names: a date, a text such as
    2024-03-01, or a month.
    """
    if isinstance(value, datetime.date):
        return value
    text = value.strip() if isinstance(value, str) else ""
    month = _MONTH.fullmatch(text)
    try:
        return datetime.date.fromisoformat(f"{text}-01" if month else text)
    except ValueError:
        raise ValueError(
            f"{value!r} is no day; expected one such as 2024-03-01, or a month such as 2024-03"
        ) from None
