"""What all facts of `params.yaml` share, and what may be known of one column."""

from __future__ import annotations

import datetime
import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class ParameterError(ValueError):
    """A fact in `params.yaml`, or a stage parameter, is missing, unknown or of the wrong type."""


class Facts(BaseModel):
    """A part of `params.yaml`: no other keys than its own, and never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Facts):
    """What is known of one column: its type, what counts as valid, and whether it may be a feature."""

    type: Literal["id", "category", "number", "date"] = Field(
        "category",
        description="absent, without `values` and `codes`: inferred from the data. Around a number, currency and "
        "percent signs are taken off: `$1,234.50`, `12 %`, `(3.20)`",
    )
    format: str = Field("%Y-%m-%d", description="format of a date column: of strptime, one for all, or ISO8601")
    decimal: Literal[".", ","] = Field(
        ".", description="decimal sign of a number column; the other one, spaces and apostrophes may group digits"
    )
    values: list[str] | None = Field(None, description="the valid codes of a category")
    codes: dict[str, str] = Field({}, description="other spellings: as received -> valid code")
    none: list[str] = Field([], description="texts that mean `there is none`, such as `No` for an end date")
    min: float | None = None
    max: float | None = None
    required: bool = Field(
        True,
        description="may a blank stand here? true: a blank breaks a rule; absent, where the type is inferred: it may",
    )
    feature: bool = Field(True, description="false keeps the column out of the model: it is known too late, or an id")
    description: str = ""

    @property
    def is_typed(self) -> bool:
        """Whether it says what the column holds; else that is inferred from the data."""
        return not self.model_fields_set.isdisjoint(("type", "values", "codes"))

    @field_validator("format")
    @classmethod
    def _is_a_format(cls, value: str) -> str:
        if value != "ISO8601" and "%" not in value:
            raise ValueError(f"{value!r} is no format of dates: expected one of strptime, such as %d/%m/%Y, or ISO8601")
        try:
            datetime.datetime.strptime("", value)
        except (ValueError, re.error) as error:
            if not str(error).startswith("time data"):  # which only says that an empty text is no date
                raise ValueError(f"{value!r} is no format of strptime: {error}") from None
        return value
