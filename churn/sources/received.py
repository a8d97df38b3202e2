"""Reads the sources of `params.yaml` whole: each gives a table of texts, and the facts of
where it came from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from churn import pandas_semantics  # noqa: F401  (before any table is made)

# isort: split
import numpy as np
import pandas as pd
import pyarrow as pa
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from churn.formats import FormatError
from churn.sources.source import Source, SourceError, SourceRefused, hide

_TEXT = pd.StringDtype("pyarrow", na_value=np.nan)
LONGEST_WAIT = 300.0  # seconds; a source that asks for more is left to the next run

T = TypeVar("T")


class Digest:
    """Counts and hashes bytes as they are received."""

    def __init__(self, data: bytes = b"") -> None:
        self.size = 0
        self._hash = hashlib.sha256()
        self.add(data)

    def add(self, data: bytes) -> None:
        """Take further bytes in."""
        self.size += len(data)
        self._hash.update(data)

    @property
    def sha256(self) -> str:
        """SHA-256 of all bytes so far, in hexadecimal."""
        return self._hash.hexdigest()


@dataclass(frozen=True)
class Reading:
    """How a source is read.

    Attributes:
        root: the folder that relative local paths start from.
        malformed_allowed: how many rows of a delimited file with too many or too few
            fields may be set aside.
        first_wait: seconds before the second try of a source that is down; doubles with
            each further try.
    """

    root: Path
    malformed_allowed: int = 0
    first_wait: float = 1.0


@dataclass(frozen=True)
class Content:
    """What a reader took in: an Arrow table of texts, the bytes it came from, and what
    an analyst should know of it.

    `parts` are the facts of each file, where several are parts of one table.
    """

    table: pa.Table
    digest: Digest
    notes: list[str] = field(default_factory=list)
    malformed: list[dict[str, Any]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Received:
    """One source, read whole.

    Attributes:
        name: what the source is called in `params.yaml`.
        kind: `file`, `database`, `api` or another kind of `churn.sources.KINDS`.
        address: where it is, without secrets.
        table: one text column a field, in the order received.
        bytes: size of what was received: of files their bytes as stored, one after the
            other, of an API the bodies of its pages, of a database its rows as CSV (every
            value quoted, nulls empty).
        sha256: SHA-256 of the same bytes, in hexadecimal.
        notes: what an analyst should know of it.
        malformed: rows that were set aside, with the columns `line`, `expected`, `fields`
            and `text`; of several files `file` in front.
        parts: of several files, the `file`, `rows`, `malformed_rows`, `bytes` and `sha256`
            of each.
    """

    name: str
    kind: str
    address: str
    table: pd.DataFrame
    bytes: int
    sha256: str
    notes: list[str]
    malformed: pd.DataFrame
    parts: list[dict[str, Any]]

    @classmethod
    def of(cls, name: str, kind: str, address: str, content: Content) -> Received:
        """Put what a reader took in together with where it came from, without secrets."""
        columns = [*(["file"] if content.parts else []), "line", "expected", "fields", "text"]
        malformed = pd.DataFrame(content.malformed, columns=columns)
        table, digest = _as_pandas(content.table), content.digest
        return cls(
            name=name,
            kind=kind,
            address=address,
            table=table,
            bytes=digest.size,
            sha256=digest.sha256,
            notes=content.notes,
            malformed=malformed,
            parts=content.parts,
        )

    @property
    def rows(self) -> int:
        """Number of rows in the table."""
        return len(self.table)

    def with_row_numbers(self, column: str) -> Received:
        """Add a column that numbers the rows in the order received, from 1; one of that
        name in the table is used.
        """
        if column in self.table:
            note = f"The table has a column {column!r} itself: it names the rows."
            return replace(self, notes=[*self.notes, note])
        numbers = pa.array(np.arange(1, self.rows + 1)).cast(pa.large_string())
        table = self.table.copy()
        table.insert(0, column, pd.array(numbers, dtype=_TEXT))
        note = f"No column names a customer: {column!r} numbers the rows in the order received."
        return replace(self, table=table, notes=[*self.notes, note])

    def provenance(self) -> dict[str, Any]:
        """Return the facts for `provenance.json`; none of when: equal content is an equal
        dataset.
        """
        facts = {
            "kind": self.kind,
            "address": self.address,
            "rows": self.rows,
            "malformed_rows": len(self.malformed),
            "columns": list(self.table.columns),
            "bytes": self.bytes,
            "sha256": self.sha256,
            "notes": self.notes,
        }
        return facts | ({"parts": self.parts} if self.parts else {})


def read_source(
    name: str,
    source: Source,
    root: Path,
    *,
    malformed_allowed: int = 0,
    first_wait: float = 1.0,
) -> Received:
    """Read one source whole, every value as text exactly as received; missing only
    where the protocol has a null.

    Args:
        name: what messages call the source.
        source: what `params.yaml` says of it.
        root: the folder that relative local paths start from.
        malformed_allowed: see `Reading`.
        first_wait: see `Reading`.

    Raises:
        SourceError: the source cannot be read now; another run may succeed.
        SourceRefused: it cannot be read, and trying again would not help.
        ParameterError: an environment variable that the source names is not set.
    """
    secrets = source.secret_values()
    address = hide(source.shown_address, secrets)
    reading = Reading(root, malformed_allowed, first_wait)
    try:
        content: Content = import_module(source.reader).read(source, reading)
    except (SourceError, FormatError) as error:
        refused = SourceRefused if isinstance(error, FormatError) else type(error)
        # A new exception, without the old one behind it: a chained traceback could show
        # an address with its password.
        raise refused(f"Source {name!r}, {address}: {hide(str(error), secrets)}") from None
    return Received.of(name, source.kind, address, content)


def _as_pandas(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.large_string(): _TEXT}.get)
    return frame


def patiently(action: Callable[[], T], tries: int, first_wait: float) -> T:
    """Do something that may fail for a while: at most `tries` times, with waits that
    double from `first_wait` seconds.

    A wait is longer when the source asks for it, and there is no further try when it
    asks for more than `LONGEST_WAIT`.

    Raises:
        SourceError: the last try failed.
        SourceRefused: at once, because trying again would not help.
    """
    retrying = Retrying(
        retry=retry_if_exception(_may_pass),
        stop=stop_after_attempt(tries),
        wait=lambda state: _seconds_to_wait(state, first_wait),
        before_sleep=lambda state: _announce(state, tries),
        reraise=True,
    )
    return retrying(action)


def _may_pass(error: BaseException) -> bool:
    asked_wait = getattr(error, "wait", None) or 0.0
    return (
        isinstance(error, SourceError)
        and not isinstance(error, SourceRefused)
        and asked_wait <= LONGEST_WAIT
    )


def _seconds_to_wait(state: RetryCallState, first_wait: float) -> float:
    error = state.outcome.exception() if state.outcome else None
    growing = min(first_wait * 2.0 ** (state.attempt_number - 1), LONGEST_WAIT)
    return max(growing, getattr(error, "wait", None) or 0.0)


def _announce(state: RetryCallState, tries: int) -> None:
    wait = state.next_action.sleep if state.next_action else 0.0
    tried = f"try {state.attempt_number} of {tries}"
    print(f"The source did not answer well ({tried}); trying again in {wait:.1f} s.")
