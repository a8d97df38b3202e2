"""The names of a table's columns, and whether they are names at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sources.received import SourceRefused

LOOKED_AT = 1_000  # rows that tell what the values look like
_NO_NAMES = "The first line looks like data, not like names of columns ({}): if it is, set `header: false`."


def name_columns(header: Sequence[str], rows: Sequence[Sequence[str | None]]) -> tuple[list[str], list[str]]:
    """Return the names of the columns, blank ones replaced, and what an analyst should know of them.

    `rows` are the first ones below the header.

    Raises:
        SourceRefused: a name stands more than once, or there is none.
    """
    is_data = looks_like_data(header, rows)
    hint = f" {_NO_NAMES.format(_show(header))}" if is_data else ""
    refuse_repeated(header, hint)
    if not any(name.strip() for name in header):
        raise SourceRefused("the first line has no column names.")
    unnamed = [position for position, name in enumerate(header, 1) if not name]
    notes = [f"Column {position} has no name; it is called {_new_name(position, header)!r}." for position in unnamed]
    names = [name or _new_name(position, header) for position, name in enumerate(header, 1)]
    return names, notes + ([hint.strip()] if is_data else [])


def refuse_repeated(names: Sequence[str], hint: str = "") -> None:
    """Refuse names of columns that stand more than once.

    Raises:
        SourceRefused: names them, and ends with the hint.
    """
    repeated = sorted(name for name, count in Counter(names).items() if count > 1 and name)
    if repeated:
        raise SourceRefused(f"these column names stand more than once: {', '.join(map(repr, repeated))}.{hint}")


def _new_name(position: int, taken: Sequence[str]) -> str:
    name = f"unnamed_{position}"
    while name in taken:
        name += "_"
    return name


def number_columns(width: int) -> list[str]:
    """Return names for the columns of a table without a header."""
    return [f"column_{position}" for position in range(1, width + 1)]


def looks_like_data(header: Sequence[str], rows: Sequence[Sequence[str | None]]) -> bool:
    """Say whether all names of columns look like the values below them, and some have digits as most values have."""
    named = [place for place, name in enumerate(header) if name.strip()]
    below = {place: [row[place] or "" for row in rows[:LOOKED_AT] if place < len(row)] for place in named}
    has_digits = [place for place in named if re.search(r"\d", header[place])]
    return bool(has_digits) and all(_fits(header[place].strip(), below[place]) for place in named)


def _fits(name: str, values: Sequence[str]) -> bool:
    if not re.search(r"\d", name):
        return name in values
    filled = [value for value in values if value.strip()]
    return 2 * sum(_shape(value) == _shape(name) for value in filled) > len(filled)


def _shape(text: str) -> str:
    """Return what kinds of signs a text has: `7590-VHVEG` is `9-a`, and every number is `9`."""
    text = text.strip()
    if re.fullmatch(r"[-+]?\d+([.,]\d+)*([eE][-+]?\d+)?", text):
        return "9"
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text))


def _show(header: Sequence[str]) -> str:
    return ", ".join(map(repr, header[:3])) + (", …" if len(header) > 3 else "")


def note_repeated_headers(table: pa.Table, header: Sequence[str]) -> list[str]:
    """Note rows that repeat the header, as where files were put one behind the other."""
    if not len(table):  # pyarrow 25 crashes on a column without chunks
        return []
    rows = pc.indices_nonzero(pc.equal(table.column(0), header[0]))[:LOOKED_AT]
    count = sum(list(row.values()) == list(header) for row in table.take(rows).to_pylist())
    return [f"{count:,} row(s) repeat the header: were files put one behind the other?"] if count else []
