"""The schema of a baseline: what `schema.yaml` may hold."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FOLDER = "data/accepted"  # below it a folder for each data set
SCHEMA, PROFILE, IMPORTANCE = "schema.yaml", "profile.json", "importance.json"
# Of the output in validation's report that `churn accept` takes.
OFFER_TYPE = "application/vnd.churn.accepted+json"
_LONGEST_SLUG = 80

Share = float


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Tolerance(_Facts):
    """How far new data may be from the baseline, on top of what chance alone
    explains in so many rows.
    """

    fewer_rows: Share | None = Field(
        None, ge=0, le=1, description="by which share a table may shrink"
    )
    missing: Share | None = Field(
        None, ge=0, le=1, description="by how much a share of missing values may rise"
    )
    new_values: Share | None = Field(
        None, ge=0, le=1, description="share of rows with a value that is not listed"
    )
    out_of_range: Share | None = Field(
        None, ge=0, le=1, description="share of numbers that are not in [min, max]"
    )
    repeated: Share | None = Field(
        None, ge=0, le=1, description="by how much the share of repeated keys may rise"
    )
    unmatched: Share | None = Field(
        None, ge=0, le=1, description="by how much two tables may match less"
    )


DEFAULTS = Tolerance(
    fewer_rows=0.5, missing=0.05, new_values=0.01, out_of_range=0.01, repeated=0.01, unmatched=0.05
)  # fmt: skip


class BaselineColumn(_Facts):
    """The baseline of one column."""

    type: Literal["id", "category", "number", "date"]
    missing: Share = Field(0.0, ge=0, le=1)
    values: list[str] | None = None
    min: float | None = None
    max: float | None = None
    unique: bool = False
    tolerance: Tolerance = Tolerance()


class BaselineTable(_Facts):
    """The baseline of one table."""

    rows: int = Field(ge=0)
    key: list[str] | None = None
    repeated: Share = Field(0.0, ge=0, le=1)
    known_customers: Share | None = Field(None, ge=0, le=1)
    customers_with_rows: Share | None = Field(None, ge=0, le=1)
    tolerance: Tolerance = Tolerance()
    columns: dict[str, BaselineColumn]


class BaselineSchema(_Facts):
    """The baseline of a data set, without the profile."""

    name: str
    tolerance: Tolerance = Tolerance()
    tables: dict[str, BaselineTable]

    def tolerance_of(
        self, name: str, table: BaselineTable, column: BaselineColumn | None = None
    ) -> Share:
        """Return a tolerance: the column's own, else the table's, else that of the whole file."""
        owners = [
            *([column.tolerance] if column else []),
            table.tolerance,
            self.tolerance,
            DEFAULTS,
        ]
        return float(next(value for owner in owners if (value := getattr(owner, name)) is not None))


class BaselineError(ValueError):
    """The baseline of a data set cannot be read or written, or is another data set's."""


def slug(name: str) -> str:
    """Return the name of a data set as the name of its folder: `Our bank (2024)` is
    `our-bank-2024`.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST_SLUG].rstrip("-")
    return words or f"data-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
