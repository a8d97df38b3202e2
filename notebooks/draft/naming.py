"""The name of a data set, under which what is normal for it is kept: no other data set in the project has it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from accepted import FOLDER, AcceptedError, read_schema, slug
from draft.inputs import Input
from draft.reading import Table

_SAME = 0.5  # share of the accepted columns that a data set has to have to be the same one


def choose_name(wanted: str, inputs: Sequence[Input], tables: Sequence[Table], root: Path) -> str:
    """Return the name, or one that no data set with other columns was accepted under: `churn` -> `bank churn`."""
    return next(name for name in _propose(wanted, inputs) if not _is_taken(name, tables, root))


def _propose(wanted: str, inputs: Sequence[Input]) -> Iterator[str]:
    yield wanted
    if inputs[0].kind == "file" and (folder := Path(inputs[0].address).parent.name):
        yield f"{folder.replace('_', ' ')} {wanted}"
    yield from (f"{wanted} {number}" for number in itertools.count(2))


def _is_taken(name: str, tables: Sequence[Table], root: Path) -> bool:
    try:
        accepted = read_schema(root / FOLDER / slug(name), name)
    except AcceptedError:  # of a name that only looks the same, or no longer readable
        return True
    if accepted is None:
        return False
    known = {column for table in accepted.tables.values() for column in table.columns}
    own = {column for table in tables for column in table.columns}
    return len(known & own) < _SAME * len(known)
