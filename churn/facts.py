"""What all facts of `params.yaml` are made of: their base, which of them a notebook reads,
the environment's variables in them, and what is known of one column.

Which facts a notebook reads is observed while it runs: they decide its result, others do
not. A fact is named by its place in the params file, such as `sources.contract.columns` or
`label.horizon_days`. Of a part of the file that has parts of its own, the fact is what
kind it is, or which keys it has; what stands below are facts of their own. What is read
depends on nothing but facts that were read before: as long as all of them are what they
were, a notebook reads the same ones again.
"""

from __future__ import annotations

import datetime
import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")  # of the environment, in a text

# Marks a field of a part of the params file whose value is never written anywhere. It is
# hashed where facts are listed, and of a source its environment's variables are secrets.
MAY_HOLD_CREDENTIALS = "may hold credentials"

_GIVEN = " (keys given)"  # of a part of the file: which of its keys stand there
# What tells all that a part of the file holds.
_WHOLE = {"__dict__", "model_dump", "model_dump_json", "model_copy"}
_KEYS = {"model_fields_set", "__pydantic_fields_set__"}


class ParameterError(ValueError):
    """A fact in `params.yaml`, or a stage parameter, is missing, unknown or of the wrong type."""


class Facts(BaseModel):
    """A part of `params.yaml`: no other keys than its own, and never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __getattribute__(self, name: str) -> Any:
        """Return an attribute; that it was asked for is noted where facts are observed."""
        _note(self, name)
        return super().__getattribute__(name)


def fields_marked(kind: type[Facts]) -> list[str]:
    """Name the fields of a part of the params file that may hold credentials."""
    fields = kind.model_fields.items()
    return [name for name, field in fields if MAY_HOLD_CREDENTIALS in field.metadata]


class Column(Facts):
    """What is known of one column: its type, what counts as valid, and whether it may be a
    feature.
    """

    type: Literal["id", "category", "number", "date"] = Field(
        "category",
        description="absent, without `values` and `codes`: inferred from the data. Around a "
        "number, currency and percent signs are taken off: `$1,234.50`, `12 %`, `(3.20)`",
    )
    format: str = Field(
        "%Y-%m-%d", description="format of a date column: of strptime, one for all, or ISO8601"
    )
    decimal: Literal[".", ","] = Field(
        ".",
        description=(
            "decimal sign of a number column; the other one, spaces and apostrophes may group "
            "digits"
        ),
    )
    values: list[str] | None = Field(None, description="the valid codes of a category")
    codes: dict[str, str] = Field({}, description="other spellings: as received -> valid code")
    none: list[str] = Field(
        [], description="texts that mean `there is none`, such as `No` for an end date"
    )
    min: float | None = None
    max: float | None = None
    required: bool = Field(
        True,
        description=(
            "may a blank stand here? true: a blank breaks a rule; absent, where the type is "
            "inferred: it may"
        ),
    )
    feature: bool = Field(
        True, description="false keeps the column out of the model: it is known too late, or an id"
    )
    suspect: str | None = Field(
        None,
        description="why it may be the outcome itself: no feature until it stands in "
        "`allowed_columns` of transformation",
    )
    ask: str | None = Field(
        None, description="why it is asked whether it is known in time: a feature all the same"
    )
    description: str = ""

    @property
    def is_typed(self) -> bool:
        """Whether it says what the column holds; else that is inferred from the data."""
        return not self.model_fields_set.isdisjoint(("type", "values", "codes"))

    @field_validator("format")
    @classmethod
    def _is_a_format(cls, value: str) -> str:
        if value != "ISO8601" and "%" not in value:
            raise ValueError(
                f"{value!r} is no format of dates: expected one of strptime, such as %d/%m/%Y, or "
                "ISO8601"
            )
        try:
            datetime.datetime.strptime("", value)
        except (ValueError, re.error) as error:
            # Which only says that an empty text is no date.
            if not str(error).startswith("time data"):
                raise ValueError(f"{value!r} is no format of strptime: {error}") from None
        return value


def expand(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Replace each `${NAME}` by the environment variable's value.

    Raises:
        ParameterError: a named variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise ParameterError(
                f"The environment variable {match[1]} is not set; {text!r} needs it."
            )
        return environment[match[1]]

    return VARIABLE.sub(value, text)


def suggest(name: str, known: list[str]) -> str:
    """Return `; did you mean …?` with the nearest known name, or the list of what is known."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; known are: {', '.join(sorted(known))}"


# The observed parts, by identity, each with its place; they live as long as the process.
_observed: dict[int, tuple[Facts, str]] = {}
_read: dict[str, None] = {}


def observe(params: Facts) -> None:
    """Note from now on which facts of a params file, that was loaded and checked, are read."""
    _observed.update({id(part): (part, place) for place, part in _list_parts(params, "")})


def facts_read() -> list[str]:
    """Return the facts of all params files that this process has read so far, in order."""
    return list(_read)


def _note(part: Facts, name: str) -> None:
    """Note that an attribute of a part of the params file is asked for."""
    if id(part) not in _observed or _observed[id(part)][0] is not part:
        return
    place = _observed[id(part)][1]
    if name in type(part).model_fields:
        _read[_join(place, name)] = None
    elif name in _KEYS:
        _read[place + _GIVEN] = None
    elif name in _WHOLE:
        _read.update(dict.fromkeys(name for name, _ in list_facts(part, place)))


def list_facts(part: Facts, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield all facts of a params file, or of a part of it: place, and value as JSON; of
    a field that may hold a credential, the SHA-256 of its value.
    """
    given = object.__getattribute__(part, "__pydantic_fields_set__")
    yield place + _GIVEN, ", ".join(sorted(given))
    for name, value in _fields_of(part):
        below = _join(place, name)
        if _may_hold_credentials(part, name):
            yield below, f"sha256:{hashlib.sha256(repr(value).encode()).hexdigest()}"
        elif isinstance(value, BaseModel):
            yield below, type(value).__name__
            yield from list_facts(value, below)  # type: ignore[arg-type]
        elif _has_parts(value):
            yield below, ", ".join(value)  # their order too: the first source has all customers
            for key, item in value.items():
                yield from list_facts(item, _join(below, key))
        else:
            yield below, json.dumps(value, default=str, ensure_ascii=False)


def _list_parts(part: Facts, place: str) -> Iterator[tuple[str, Facts]]:
    yield place, part
    for name, value in _fields_of(part):
        below = _join(place, name)
        if _may_hold_credentials(part, name):
            continue
        if isinstance(value, BaseModel):
            yield from _list_parts(value, below)  # type: ignore[arg-type]
        elif _has_parts(value):
            for key, item in value.items():
                yield from _list_parts(item, _join(below, key))


def _fields_of(part: Facts) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a part of the file without that being taken for a reading."""
    values = object.__getattribute__(part, "__dict__")
    yield from ((name, values[name]) for name in type(part).model_fields)


def _may_hold_credentials(part: Facts, name: str) -> bool:
    return name in fields_marked(type(part))


def _has_parts(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(one, BaseModel) for one in value.values())


def _join(place: str, name: str) -> str:
    name = name.replace(".", "\\.")
    return f"{place}.{name}" if place else name
