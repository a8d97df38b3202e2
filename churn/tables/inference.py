"""What type the columns have that nobody described: from their texts, and only where
these leave no doubt.

A number or a date is what nearly all texts of a column are; what else stands there then
breaks a rule of validation, where it is counted; but a word that stands in many rows
means `there is none`. Codes stay categories: digits behind a leading zero, whole
numbers of 16 digits and more, dialled numbers; so do numbers with different units, and
dates whose day and month cannot be told apart.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churn.params import Column
from churn.tables.parsing import MISSING_TEXTS, as_arrow, read_dates, read_numbers

Decimal = Literal[".", ","]
Mask = np.ndarray[Any, Any]

_SIGNS: tuple[Decimal, ...] = (".", ",")
_FIRST = 1_000  # different texts that tell soon that a column is neither
_LEAST_OF_FIRST = 0.9  # share of them that have to be one
_FIRST_SHAPES = 20  # different texts that show which formats come into question
_MOST_STRANGERS = 0.01  # share of rows that may be something else...
_MANY = 50  # ...in a column of more different numbers or dates than this
# Different texts without digits that mean `there is none` in such a column, however many
# rows have them.
_MOST_WORDS = 3
_INFINITE = r"(?i)^[-+]?inf(inity)?$"
_AMBIGUOUS = (
    "looks like dates whose day and month cannot be told apart: if so, say `type: date` "
    "and the `format`"
)
_CODE = r"^[-+]?(0[0-9]+|[0-9]{16,})$|^\+[0-9]{7,}$"

_CLOCK = "[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
_ZONE = "Z|[-+][0-9]{2}(:?[0-9]{2})?"
_ISO = f"^[0-9]{{4}}-[0-9]{{1,2}}(-[0-9]{{1,2}}([T ]{_CLOCK}( ?({_ZONE}))?)?)?$"
_COMPACT = {  # only plausible years and months, since numbers look the same
    "%Y%m": "^(19|20)[0-9]{2}(0[1-9]|1[0-2])$",
    "%Y%m%d": "^(19|20)[0-9]{2}(0[1-9]|1[0-2])[0-3][0-9]$",
    "%Y%m%d%H%M%S": "^(19|20)[0-9]{2}(0[1-9]|1[0-2])[0-3][0-9][0-2][0-9][0-5][0-9][0-5][0-9]$",
}
_ORDERS = {
    f"{first}{sign}{second}{sign}{year}": first
    for sign in "/.-"
    for year in ("%Y", "%y")
    for first, second in (("%d", "%m"), ("%m", "%d"))
}
_DAYS = (
    *_ORDERS,
    *("%Y/%m/%d", "%Y.%m.%d", "%m/%Y", "%m-%Y"),
    *("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %Y", "%B %Y"),
)
_DIRECTIVE = re.compile("%[A-Za-z]")
_TIMES = (
    "",
    " %H:%M",
    " %H:%M:%S",
    " %H:%M:%S.%f",
    "T%H:%M",
    "T%H:%M:%S",
    " %I:%M %p",
    " %I:%M:%S %p",
)
_SHAPES = {
    **dict.fromkeys(("%d", "%m", "%H", "%I"), "[0-9]{1,2}"),
    **dict.fromkeys(("%y", "%M", "%S"), "[0-9]{2}"),
    **{
        "%Y": "[0-9]{4}",
        "%f": "[0-9]{1,9}",
        "%b": "[A-Za-z]{3}",
        "%B": "[A-Za-z]{3,9}",
        "%p": "[AaPp][Mm]",
    },
}


@dataclass(frozen=True)
class _Texts:
    """The different texts of a column, blanks and those that mean `missing` aside, and
    how many rows have each.
    """

    different: pa.Array
    rows: Mask
    missing: list[str]

    @classmethod
    def of(cls, column: pd.Series[Any]) -> _Texts:
        counted = pc.value_counts(pc.drop_null(pc.utf8_trim_whitespace(as_arrow(column))))
        texts, rows = counted.field("values"), _as_mask(counted.field("counts"))
        is_missing = _as_mask(
            pc.is_in(pc.utf8_lower(texts), pa.array(sorted(MISSING_TEXTS), texts.type))
        )
        stays = ~is_missing & _as_mask(pc.not_equal(texts, ""))
        return cls(texts.filter(stays), rows[stays], sorted(texts.filter(is_missing).to_pylist()))

    @property
    def first(self) -> pa.Array:
        """A few of them, that tell soon that a column is neither a number nor a date."""
        return self.different[:_FIRST]

    def suffice(self, passed: Mask) -> bool:
        """Say whether all pass a test, but for a few rows of a column with many
        different texts that do.
        """
        strangers = self.rows[~passed].sum() / self.rows.sum()
        return bool(passed.all() or (strangers <= _MOST_STRANGERS and passed.sum() > _MANY))

    def without_words(self) -> _Texts | None:
        """Return the texts without a few words among many that have digits: `No`, say,
        where a contract has no end.
        """
        is_word = ~_match(self.different, "[0-9]") & ~_match(self.different, _INFINITE)
        if not 0 < is_word.sum() <= _MOST_WORDS or (~is_word).sum() <= _MANY:
            return None
        missing = sorted([*self.missing, *self.different.filter(is_word).to_pylist()])
        return _Texts(self.different.filter(~is_word), self.rows[~is_word], missing)

    def every(self, shape: str) -> bool:
        """Say whether each text has a shape."""
        return len(self.different) > 0 and bool(_match(self.different, shape).all())


@dataclass(frozen=True)
class _Reading:
    """How a column can be read: with which decimal signs as numbers, in which formats as dates."""

    signs: Sequence[Decimal]
    formats: Sequence[str]
    missing: list[str]

    def __bool__(self) -> bool:
        """Whether it is more than a category."""
        return bool(self.signs or self.formats)


def complete_columns(
    frame: pd.DataFrame,
    known: Mapping[str, Column],
    customer_id: str,
    decimal: Decimal | None = None,
    categories: Collection[str] = (),
) -> dict[str, Column]:
    """Return what is known of each column of a raw table, inferring the type of the
    columns of which nobody said it.

    Args:
        frame: the raw table, all texts.
        known: what `params.yaml` says of its columns.
        customer_id: the column that holds the customer id.
        decimal: the decimal sign of the columns that nobody described; absent: the one
            that their texts show. A column that can be read with the other sign alone
            is read with that.
        categories: columns that are texts whatever they look like, such as an answer of 0 and 1.
    """
    known = {name: Column(required=False) for name in categories} | dict(known)
    typed = {name for name, column in known.items() if column.is_typed or name in categories} | {
        customer_id
    }
    others = [name for name in frame.columns if name not in typed]
    readings = {name: _read(_Texts.of(_without(frame[name], known.get(name)))) for name in others}
    sign = decimal or _vote(
        {reading.signs[0] for reading in readings.values() if len(reading.signs) == 1}, "."
    )
    single = [reading.formats[0] for reading in readings.values() if len(reading.formats) == 1]
    order = _vote({_order(format) for format in single} - {None}, None)
    inferred = {
        name: _add(known.get(name), _choose(reading, sign, order))
        for name, reading in readings.items()
    }
    return {
        name: inferred.get(name) or known.get(name) or Column(type="id") for name in frame.columns
    }


def list_inferred(
    facts: Mapping[str, Column], known: Mapping[str, Column], customer_id: str
) -> dict[str, str]:
    """Return the types that `complete_columns` inferred, by column: of those whose type
    nobody said. Formats of dates and decimal signs are no part of it.
    """
    return {
        name: fact.type
        for name, fact in facts.items()
        if name != customer_id and not (name in known and known[name].is_typed)
    }


def keep_types(
    facts: Mapping[str, Column], known: Mapping[str, Column], decided: Mapping[str, Any]
) -> dict[str, Column]:
    """Give the columns whose type nobody said the types that were decided
    (`list_inferred`), whatever they look like now.
    """
    kept = dict(facts)
    for name, fact in facts.items():
        is_said = name in known and known[name].is_typed
        if not is_said and decided.get(name, fact.type) != fact.type:
            kept[name] = fact.model_copy(update={"type": decided[name]})
    return kept


def _without(column: pd.Series[Any], known: Column | None) -> pd.Series[Any]:
    """Return a column without the texts that are said to mean `there is none`."""
    return column[~column.isin(known.none)] if known and known.none else column


def _add(known: Column | None, inferred: Column) -> Column:
    """Add what was inferred to what is said of a column."""
    if known is None:
        return inferred
    said = {name: getattr(known, name) for name in known.model_fields_set}
    return inferred.model_copy(
        update=said | {"none": [*dict.fromkeys([*known.none, *inferred.none])]}
    )


def _vote(found: set[Any], otherwise: Any) -> Any:
    return next(iter(found)) if len(found) == 1 else otherwise


def _choose(reading: _Reading, sign: Decimal, order: str | None) -> Column:
    if reading.signs:
        chosen = sign if sign in reading.signs else reading.signs[0]
        return Column(type="number", decimal=chosen, none=reading.missing, required=False)
    formats = [
        format for format in reading.formats if len(reading.formats) == 1 or _order(format) == order
    ]
    if formats:
        return Column(type="date", format=formats[0], none=reading.missing, required=False)
    return Column(
        type="category", required=False, description=_AMBIGUOUS if reading.formats else ""
    )


def _order(format: str) -> str | None:
    """Return what comes first in a date whose day and month can be mistaken, `%d` or `%m`."""
    return next((first for day, first in _ORDERS.items() if format.startswith(day)), None)


def _read(texts: _Texts) -> _Reading:
    others = texts.without_words()
    return _interpret(texts) or (_interpret(others) if others else None) or _Reading([], [], [])


def _interpret(texts: _Texts) -> _Reading:
    for format, shape in _COMPACT.items():
        if texts.every(shape) and _are_dates(texts.different, format).all():
            return _Reading([], [format], texts.missing)
    signs = [sign for sign in _SIGNS if _are_numbers(texts, sign)]
    return _Reading(signs, [] if signs else _find_formats(texts), texts.missing)


def _are_numbers(texts: _Texts, sign: Decimal) -> bool:
    """Say whether texts are numbers of one unit, and no codes."""
    if not len(texts.different) or _read_numbers(texts.first, sign)[0].mean() < _LEAST_OF_FIRST:
        return False
    passed, units = _read_numbers(texts.different, sign)
    is_code = pc.any(pc.match_substring_regex(texts.different, _CODE)).as_py()
    return texts.suffice(passed) and not is_code and len(pc.unique(pc.drop_null(units))) == 1


def _read_numbers(different: pa.Array, sign: Decimal) -> tuple[Mask, pa.Array]:
    """Say which texts are numbers, and which units they have; an infinite one is one,
    that validation finds.
    """
    numbers, units = read_numbers(different, sign)
    return ~np.isnan(numbers) | _match(different, _INFINITE), units


def _find_formats(texts: _Texts) -> list[str]:
    """Return the formats that texts are dates in; two where day and month cannot be told apart."""
    shown = texts.different[:_FIRST_SHAPES].to_pylist()
    likely = [
        format
        for format, shape in _shapes().items()
        if 2 * sum(map(bool, map(shape.match, shown))) > len(shown)
    ]
    fitting = [
        format for format in likely if _are_dates(texts.first, format).mean() >= _LEAST_OF_FIRST
    ]
    passed = {format: _are_dates(texts.different, format) for format in fitting}
    rows = {format: texts.rows[mask].sum() for format, mask in passed.items()}
    return [
        format
        for format in fitting
        if rows[format] == max(rows.values()) and texts.suffice(passed[format])
    ]


def _are_dates(texts: pa.Array, format: str) -> Mask:
    """Say which texts are dates; one of the year 9999 is one, that validation finds out of
    range.
    """
    are_dates: Mask = ~np.isnat(read_dates(pc.replace_substring(texts, "9999", "2000"), format))
    return are_dates & _match(texts, _ISO) if format == "ISO8601" else are_dates


@functools.cache
def _shapes() -> dict[str, re.Pattern[str]]:
    formats = [day + time for day in _DAYS for time in _TIMES]
    shapes = {
        format: _DIRECTIVE.sub(lambda found: _SHAPES[found[0]], re.escape(format))
        for format in formats
    }
    return {"ISO8601": re.compile(_ISO)} | {
        format: re.compile(f"^{shape}$") for format, shape in shapes.items()
    }


def _match(texts: pa.Array, shape: str) -> Mask:
    return _as_mask(pc.match_substring_regex(texts, shape))


def _as_mask(values: Any) -> Mask:
    return np.asarray(
        values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values
    )
