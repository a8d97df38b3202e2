"""Two versions of one file of a dataset: what differs, for Parquet and JSON value by value."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOLERANCE = 1e-9  # relative: up to it two numbers count as equal


@dataclass(frozen=True)
class Difference:
    """One thing that differs; close when it is a number within the tolerance."""

    text: str
    is_close: bool


def compare_files(name: str, before: Path, after: Path) -> list[Difference]:
    """Return what differs between two files, nothing when their bytes are equal. Cached
    files have no endings.
    """
    old, new = before.read_bytes(), after.read_bytes()
    if old == new:
        return []
    found: list[Difference] = []
    if name.endswith(".parquet"):
        found = list(_compare_tables(before, after))
    elif name.endswith(".json"):
        found = list(_compare_trees(json.loads(old), json.loads(new), ""))
    if found:
        return [Difference(f"{name}: {one.text}", one.is_close) for one in found]
    return [Difference(f"{name}: other bytes ({len(old):,} -> {len(new):,})", False)]


def _compare_tables(before: Path, after: Path) -> Iterator[Difference]:
    """Yield the columns that differ, row by row in the order of the rows."""
    import pyarrow.parquet as pq

    old, new = (pq.ParquetFile(path).read() for path in (before, after))
    for name in sorted({*old.column_names} ^ {*new.column_names}):
        yield Difference(f"column {name} is {'gone' if name in old.column_names else 'new'}", False)
    if old.num_rows != new.num_rows:
        yield Difference(f"{old.num_rows:,} rows -> {new.num_rows:,} rows", False)
        return
    for name in old.column_names:
        if name in new.column_names:
            yield from _compare_columns(name, old[name], new[name])


def _compare_columns(name: str, old: Any, new: Any) -> Iterator[Difference]:
    import pyarrow as pa

    if old.type != new.type:
        yield Difference(f"column {name}: type {old.type} -> {new.type}", False)
    if old.type != new.type or old.equals(new):
        return
    pairs = list(zip(old.to_pylist(), new.to_pylist(), strict=True))
    differing = [(a, b) for a, b in pairs if a != b and not (_is_nan(a) and _is_nan(b))]
    if not differing:
        return
    of_rows = f"column {name}: {len(differing):,} of {len(pairs):,} rows"
    is_number = pa.types.is_integer(old.type) or pa.types.is_floating(old.type)
    if not is_number or any(_is_missing(value) for pair in differing for value in pair):
        a, b = differing[0]
        yield Difference(f"{of_rows}, the first {a!r} -> {b!r}", False)
        return
    largest = max(abs(a - b) for a, b in differing)
    is_close = all(math.isclose(a, b, rel_tol=TOLERANCE) for a, b in differing)
    yield Difference(f"{of_rows}, largest difference {largest:.3g}", is_close)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _is_missing(value: Any) -> bool:
    return value is None or _is_nan(value)


def _compare_trees(old: Any, new: Any, place: str) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            here = f"{place}.{key}".lstrip(".")
            if key in old and key in new:
                yield from _compare_trees(old[key], new[key], here)
            else:
                yield Difference(f"{here} is {'gone' if key in old else 'new'}", False)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _compare_trees(a, b, f"{place}[{index}]")
    elif old != new:
        numbers = [value for value in (old, new) if isinstance(value, (int, float))]
        is_close = len(numbers) == 2 and math.isclose(old, new, rel_tol=TOLERANCE)
        yield Difference(f"{place or 'the value'} {str(old)[:60]} -> {str(new)[:60]}", is_close)
