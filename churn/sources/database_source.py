"""A source that is a table or a query of a database: what `params.yaml` says of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import model_validator

from churn.facts import MAY_HOLD_CREDENTIALS, expand
from churn.sources.source import Host, Source, mask

EXPECTED = "an SQLite database"  # where one is a file

_PORTS = {
    "postgresql": 5432,
    "postgres": 5432,
    "mysql": 3306,
    "mariadb": 3306,
    "mssql": 1433,
    "oracle": 1521,
}
# As SQLAlchemy takes an address apart: a password may hold what would end it elsewhere.
_ADDRESS = re.compile(
    r"(?P<kind>[\w+]+)://(?:[^:/@]*(?::[^@]*)?@)?"
    r"(?:\[(?P<ipv6>[^/?\]]+)\]|(?P<host>[^/:?@]*))(?::(?P<port>\d+))?"
    r"(?:/(?P<database>[^?]*))?(?:\?.*)?"
)


class DatabaseSource(Source):
    """A database: a SQLAlchemy address and a table or a query."""

    kind = "database"
    reader = "churn.sources.database_reader"

    database: Annotated[str, MAY_HOLD_CREDENTIALS]
    table: str | None = None
    query: Annotated[str | None, MAY_HOLD_CREDENTIALS] = None

    @model_validator(mode="after")
    def _has_one_of_table_and_query(self) -> DatabaseSource:
        if (self.table is None) == (self.query is None):
            raise ValueError("a database source needs either `table` or `query`")
        return self

    @property
    def addresses(self) -> list[str]:
        """The address of the database."""
        return [self.database]

    @property
    def shown_address(self) -> str:
        """The address of the database without secrets, and what is read of it."""
        query = " ".join((self.query or "").split())
        what = f"table {self.table}" if self.table else f"query {query}"
        return f"{mask(self.database)}, {what}"

    def texts_with_variables(self) -> Iterator[tuple[str, bool]]:
        """Yield the address alone: a query goes to the database as it is written."""
        yield self.database, True

    def local_paths(self, root: Path) -> list[Path]:
        """Return the file of an SQLite database."""
        parts = _ADDRESS.fullmatch(expand(self.database))
        file = parts["database"] if parts and parts["kind"].startswith("sqlite") else None
        if not file or file == ":memory:" or file.startswith("file:"):
            return []
        return [Path(os.path.abspath(root / file))]

    def expectation(self, path: str) -> str:
        """Say that SQLite's databases are the ones that are files."""
        return EXPECTED

    def host(self) -> Host | None:
        """Return the host and port of the server; none where the kind of database is unknown."""
        parts = _ADDRESS.fullmatch(expand(self.database))
        if parts is None:
            return None
        host = parts["ipv6"] or parts["host"]
        port = int(parts["port"] or _PORTS.get(parts["kind"].partition("+")[0], 0))
        return (host, port) if host and port else None

    @property
    def shown_host(self) -> str:
        """The name of the server where it stands in params.yaml as it is, else empty."""
        parts = _ADDRESS.fullmatch(self.database)
        host = (parts["ipv6"] or parts["host"]) if parts else None
        return host if host and "$" not in host else ""
