"""What the texts of a raw column stand for: blanks, codes, numbers and dates; each text on its own.

Of a number is taken off what stands around it: a currency sign or code (`$`, `R$`,
`EUR`, `kr`, …) before or behind it, a percent sign behind it (`12 %` is 12), and what
groups its digits: spaces and apostrophes, and of the signs `.` and `,` the one that is
not the decimal sign. Groups have three digits, or two as in India (`12,34,567`). A
minus may stand before or behind it; accounting's `(12.50)` is -12.5. `1,5` with the
decimal sign `.` is no number.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churn.params import Column

# What people, databases and spreadsheets write, in lower case, where a number or a date
# would stand if it were known.
MISSING_TEXTS = frozenset(
    (
        "?", "-", "--", "---", ".", "..", "na", "n/a", "#n/a", "n.a.", "nan", "null", "(null)",
        "none", "nil", "\\n", "missing", "unknown", "not available", "#null!", "#value!", "#ref!",
        "#div/0!", "k.a.", "k. a.", "unbekannt", "#nv", "inconnu", "nd", "n.d.", "n/d", "#n/d",
        "desconocido", "sconosciuto", "0000-00-00", "0000-00-00 00:00:00", "00/00/0000",
    )
)  # fmt: skip
_CODES = (
    "AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KRW|MXN|MYR|NOK|NZD|PHP|PLN|RON|RUB|SEK|SGD|THB|TRY|"
    "TWD|UAH|USD|ZAR"
)
_WORDS = "kr|zł|Kč|Ft|lei|Rs|TL|DM|руб\\.?|грн\\.?|円|元|원|Fr\\.?"  # noqa: RUF001 (Russian)
_UNIT = rf"[A-Z]{{0,2}}\p{{Sc}}|{_CODES}|{_WORDS}"
_SPACES = " \u00a0\u2007\u2009\u202f"
_APOSTROPHES = "'\u2019"
_MINUS = "[-\u2212]"
_EXPONENT = "(?:[eE][-+]?[0-9]+)?"
_BETWEEN = "\x1f"  # stands for the number between what is before and behind it
_THREE_PARTS = (  # quick, for each part ends where the next begins
    f"^(?P<before>[^0-9.,]*)(?P<number>[0-9.,][0-9.,{_SPACES}{_APOSTROPHES}]*{_EXPONENT})(?P<behind>[^0-9]*)$"
)
_DRESS = (
    rf"^(?P<open>\(?)(?P<first>{_MINUS}?)\+?[{_SPACES}]*(?P<unit>(?:{_UNIT})?)[{_SPACES}]*(?P<second>{_MINUS}?)"
    rf"[{_SPACES}]*{_BETWEEN}[{_SPACES}]*(?P<behind>(?:{_UNIT}|%)?)[{_SPACES}]*(?P<last>{_MINUS}?)(?P<close>\)?)$"
)


def clean_text(texts: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """Strip texts, replace other spellings by the valid code, and make blanks and
    `none` texts missing.
    """
    stripped = texts.astype("str").str.strip().replace(column.codes)
    return stripped.mask(stripped.isin(["", *column.none]))


def parse_column(texts: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """Give a column of texts its type: float64, datetime64 or text. What cannot be
    parsed becomes missing.
    """
    cleaned = clean_text(texts, column)
    if column.type == "number":
        numbers, _ = read_numbers(as_arrow(cleaned), column.decimal)
        return pd.Series(numbers, index=texts.index, name=texts.name)
    if column.type == "date":
        dates = read_dates(as_arrow(cleaned), column.format)
        return pd.Series(dates, index=texts.index, name=texts.name)
    return cleaned


def as_arrow(texts: pd.Series[Any]) -> pa.Array:
    """Return a column of texts as one Arrow array."""
    array = pa.array(texts.astype("str").array, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def read_numbers(texts: pa.Array, decimal: str) -> tuple[np.ndarray[Any, Any], pa.Array]:
    """Return the numbers that stripped texts are, NaN where there is none, and the unit
    that each has beside it.

    `decimal` is the decimal sign. Infinite numbers are none.
    """
    is_plain = pc.fill_null(pc.match_substring_regex(texts, _plain(decimal)), False)
    plain = pc.replace_substring(pc.if_else(is_plain, texts, None), ",", ".")
    numbers, units = (
        pc.cast(plain, pa.float64()),
        pc.if_else(is_plain, pa.scalar("", texts.type), None),
    )
    is_other = pc.and_(pc.invert(is_plain), pc.is_valid(texts))
    if pc.any(is_other).as_py():
        values, signs = _read_dressed(texts.filter(is_other), decimal)
        numbers, units = (
            pc.replace_with_mask(numbers, is_other, values),
            pc.replace_with_mask(units, is_other, signs),
        )
    found = numbers.to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(found), found, np.nan), units


def _read_dressed(texts: pa.Array, decimal: str) -> tuple[pa.Array, pa.Array]:
    """Read numbers that have a unit, a sign or groups of digits."""
    parts = pc.extract_regex(texts, _THREE_PARTS)
    before, number, behind = (
        pc.struct_field(parts, name) for name in ("before", "number", "behind")
    )
    dress = pc.binary_join_element_wise(
        before, behind, pa.scalar(_BETWEEN, texts.type)
    ).dictionary_encode()
    factors, units = _read_dress(dress.dictionary)
    is_number = pc.match_substring_regex(pc.utf8_trim_whitespace(number), _grouped(decimal))
    digits = pc.replace_substring_regex(
        pc.if_else(is_number, number, None), f"[{_SPACES}{_APOSTROPHES}]", ""
    )
    digits = pc.replace_substring(digits, "," if decimal == "." else ".", "")
    values = pc.multiply(
        pc.cast(pc.replace_substring(digits, ",", "."), pa.float64()), factors.take(dress.indices)
    )
    return values, pc.if_else(pc.is_valid(values), units.take(dress.indices), None)


def _read_dress(dress: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the factor, 1 or -1, and the unit that stand around a number; null where
    something else does.
    """
    parts = pc.extract_regex(dress, _DRESS)
    part = {field.name: pc.struct_field(parts, field.name) for field in parts.type}
    marks = [
        pc.cast(pc.not_equal(part[name], ""), pa.int8())
        for name in ("open", "first", "second", "last")
    ]
    minuses = functools.reduce(pc.add, marks)
    is_closed = pc.equal(pc.equal(part["open"], ""), pc.equal(part["close"], ""))
    has_one_unit = pc.or_(pc.equal(part["unit"], ""), pc.equal(part["behind"], ""))
    is_sound = pc.and_(pc.and_(pc.less_equal(minuses, 1), is_closed), has_one_unit)
    factors = pc.if_else(
        is_sound, pc.subtract(1.0, pc.multiply(2.0, pc.cast(minuses, pa.float64()))), None
    )
    return factors, pc.if_else(pc.equal(part["unit"], ""), part["behind"], part["unit"])


@functools.cache
def _plain(decimal: str) -> str:
    sign = re.escape(decimal)
    return f"^[-+]?(?:[0-9]+(?:{sign}[0-9]*)?|{sign}[0-9]+){_EXPONENT}$"


@functools.cache
def _grouped(decimal: str) -> str:
    sign, other = re.escape(decimal), re.escape("," if decimal == "." else ".")
    groups = [
        f"[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+" for group in (other, *_SPACES, *_APOSTROPHES)
    ]
    groups += [f"[1-9][0-9]?(?:{other}[0-9]{{2}})+{other}[0-9]{{3}}"]
    return f"^(?:(?:{'|'.join(groups)}|[0-9]+)(?:{sign}[0-9]*)?|{sign}[0-9]+){_EXPONENT}$"


def read_dates(texts: pa.Array, format: str) -> np.ndarray[Any, Any]:
    """Return the dates that stripped texts are in a format of strptime, or ISO8601; in
    UTC where they have a zone.

    Where there is none, NaT; as datetime64[us].
    """
    encoded = texts.dictionary_encode()  # days are few, rows are many
    distinct = pd.Series(encoded.dictionary.to_pandas(), dtype="str")
    # In UTC: a column may mix time zones.
    parsed = pd.to_datetime(distinct, format=format, errors="coerce", utc=True)
    known = parsed.dt.tz_localize(None).astype("datetime64[us]").to_numpy()
    places = pc.fill_null(encoded.indices, len(known)).to_numpy(zero_copy_only=False)
    dates: np.ndarray[Any, Any] = np.append(known, np.datetime64("NaT", "us"))[places]
    return dates
