"""Which values a parameter may have: those of JSON, which reach the notebook and the record as they are."""

from __future__ import annotations

import datetime
import keyword
import math
import reprlib
from collections.abc import Iterator
from typing import Any

_LARGEST_BITS = 14_000  # Python writes whole numbers of up to 4,300 digits

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 80


def show(value: Any) -> str:
    """Return how a message shows a value: shortened, and with escapes for what no terminal can show."""
    return _repr.repr(value).encode("utf-8", "backslashreplace").decode()


def find_name_problem(name: str) -> str | None:
    """Say why a text cannot be the name of a parameter, if it cannot."""
    if not name.isidentifier():
        return "is not a name: expected letters, digits and underscores"
    if keyword.iskeyword(name):
        return "is a keyword of Python"
    if name.startswith("__") and name.endswith("__"):
        return "is a name that Python reserves"
    return None


def as_json(value: Any) -> Any:
    """Return a value with its dates as texts, as YAML has them written: `2025-10-01`. The others stay as they are."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value.isoformat()
    return value


def find_value_problems(value: Any, where: str, above: tuple[int, ...] = ()) -> Iterator[str]:
    """Yield what JSON, or a notebook's text, cannot hold; `where` names the value."""
    if id(value) in above:
        yield f"{where} contains itself"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _find_key_problems(key, where)
            yield from find_value_problems(item, f"{where}[{show(key)}]", (*above, id(value)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_value_problems(item, f"{where}[{index}]", (*above, id(value)))
    else:
        yield from _find_scalar_problems(value, where)


def _find_key_problems(key: Any, where: str) -> Iterator[str]:
    if not isinstance(key, str):
        yield f"{where} has the key {show(key)}, of type {type(key).__name__}: expected a text; quote it"
    elif not _is_encodable(key):
        yield f"{where} has the key {show(key)}, which holds half of a character (a lone surrogate)"


def _find_scalar_problems(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, str):
        if not _is_encodable(value):
            yield f"{where} is {show(value)}, which holds half of a character (a lone surrogate)"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{where} is {value}: expected a finite number; `null` stands for `none`"
    elif isinstance(value, datetime.datetime):
        yield f'{where} is a point in time, for which JSON has no type: quote it, as in "{value}"'
    elif isinstance(value, int):
        if value.bit_length() > _LARGEST_BITS:
            digits = round(value.bit_length() * math.log10(2))
            yield f"{where} is a number of about {digits:,} digits, which is too large"
    elif value is not None:
        expected = "null, true or false, a number, a text, a list or a mapping"
        yield f"{where} is {show(value)}, of type {type(value).__name__}: expected {expected}"


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
