"""What `params.yaml` says of any source, and what every part of the project asks of one.

A kind of source is a class below `Source`, registered in `churn.sources.KINDS`. Whatever
field of it may hold a credential is marked with `MAY_HOLD_CREDENTIALS`: its value is hashed
in fingerprints, its environment variables are secrets, and messages and reports show none
of it.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field

from churn.facts import VARIABLE, Column, Facts, expand, fields_marked

Host = tuple[str, int]

MONTH_FORMAT = "%Y-%m"  # of dates that are put together from a year and a month

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PORTS = {"http": 80, "https": 443}
# To the last @: an unescaped one may stand in the password.
PASSWORD = re.compile(r"(://[^/?#@:]*):(.*)@")
SECRET_OPTION = re.compile(
    r"(?i)([?&])([^=&#]*(?:key|token|secret|passw|pwd|sig|credential|auth)[^=&#]*)=([^&#\s]*)"
)
_SHORTEST = 3  # hiding shorter texts would garble every message and so give them away


class SourceError(Exception):
    """A source cannot be read now: it is down, too busy, or broke off. Trying again may help.

    `wait` is the number of seconds that the source itself asked to wait for, if it did.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class SourceRefused(SourceError):
    """A source cannot be read, and trying again would not help: not found, not allowed,
    or malformed.
    """


class BearerAuth(Facts):
    """`Authorization: Bearer …`."""

    bearer: str


class BasicAuth(Facts):
    """HTTP basic authentication."""

    user: str
    password: str


class YearAndMonth(Facts):
    """The two columns that a month stands in."""

    year: str
    month: str = Field(description="as a number, or in English: 3, 03, Mar, March")


class Source(Facts):
    """Where raw data comes from; a kind of source adds its address, and how to read it."""

    # The key of `params.yaml` that only this kind has.
    kind: ClassVar[str]
    # The module whose `read(source, reading)` reads it, see `churn.sources.received`; it is
    # imported then: readers' libraries take up to two seconds.
    reader: ClassVar[str]

    key: str | None = Field(
        None, description="the column that holds the customer id here, if it has another name"
    )
    same_order: bool = Field(
        False,
        description="true: its rows are those of the first table, in the same order; so it needs "
        "no customer id",
    )
    months: dict[str, YearAndMonth] = Field(
        {},
        description="dates that stand in two columns, a year and a month: name -> both; such a "
        "date is the first of the month",
    )
    many: bool = Field(
        False,
        description="true: a customer may have several rows here; features count and sum them up",
    )
    time: str | None = Field(
        None, description="of a table with `many` rows: the date column; later rows do not count"
    )
    columns: dict[str, Column] = Field(
        {}, description="what is known of the columns; one not named is inferred"
    )
    decimal: Literal[".", ","] | None = Field(
        None,
        description="decimal sign of the columns that are not described; absent: the one that "
        "their texts show",
    )
    absent: dict[str, str] = Field(
        {},
        description="values for a customer without a row here: column -> text; `*` for every "
        "other column. Absent: such a customer has missing values.",
    )
    refresh: Literal["always", "never"] = Field(
        "always",
        description="is a database, an API or a file elsewhere read again on each run? never: "
        "only when forced",
    )
    suspect: str | None = Field(
        None,
        description="why the whole table may tell the outcome: no feature is made of it until its "
        "name stands in `allowed_columns` of transformation",
    )
    present: str | None = Field(
        None, description="name of a Yes/No column that says whether a customer has a row here"
    )

    def columns_by_name(self, customer_id: str) -> Mapping[str, Column]:
        """Return what is known of the columns, by the names that they have after
        `tables.raw_columns.shape_table`.
        """
        named = {
            customer_id if name == self.key else name: column
            for name, column in self.columns.items()
        }
        month = Column(type="date", format=MONTH_FORMAT, required=False)
        return {name: month for name in self.months if name not in named} | named

    def names_after(self, names: Iterable[str], customer_id: str) -> list[str]:
        """Return the names that columns have after `tables.raw_columns.shape_table`."""
        parts = {part for one in self.months.values() for part in (one.year, one.month)}
        kept = [customer_id if name == self.key else name for name in names if name not in parts]
        return [*kept, *self.months]

    @property
    def addresses(self) -> list[str]:
        """Where it is asked for, as it is written, variables and all."""
        raise NotImplementedError

    @property
    def shown_address(self) -> str:
        """Where it is, without secrets."""
        return ", ".join(map(mask, self.addresses))

    def texts_with_variables(self) -> Iterator[tuple[str, bool]]:
        """Yield the texts in which the environment's variables are expanded, and whether
        what they hold is a secret.
        """
        yield from ((text, True) for text in dict.fromkeys([*self.addresses, *self._marked()]))

    def secret_values(self) -> list[str]:
        """Return the texts that no message may show: expanded variables, passwords, tokens
        and options; longest first.

        Raises:
            ParameterError: an environment variable is not set.
        """
        expanded = {text for text, _ in self.texts_with_variables()}
        options = [text for text in self._marked() if text not in self.addresses]
        found = {expand(text) if text in expanded else text for text in options}
        for address in self.addresses:
            found |= {expand(variable[0]) for variable in VARIABLE.finditer(address)}
            found |= _passwords(expand(address))
        return sorted(
            (value for value in found if len(value) >= _SHORTEST),
            key=lambda value: (-len(value), value),
        )

    def logins(self) -> Iterator[BasicAuth]:
        """Yield users and passwords, which are sent in an encoding of their own."""
        for name in fields_marked(type(self)):
            if isinstance(value := getattr(self, name), BasicAuth):
                yield value

    def local_paths(self, root: Path) -> list[Path]:
        """Return the files of this machine that it is; none of what lies elsewhere.

        Raises:
            ParameterError: an environment variable is not set, or a pattern has no match.
        """
        return []

    @property
    def is_partly_elsewhere(self) -> bool:
        """Whether some of it lies elsewhere, beside what are files of this machine."""
        return False

    def patterns(self, root: Path) -> list[str]:
        """Return the patterns that its local files match, as absolute ones of `glob`.

        Raises:
            ParameterError: an environment variable is not set.
        """
        return []

    def expectation(self, path: str) -> str:
        """Say what should be at one of its local paths."""
        return "a file"

    def host(self) -> Host | None:
        """Return the host and port that are asked for it; nothing where nobody is asked.

        Raises:
            ParameterError: an environment variable is not set.
            ValueError: the address is none.
        """
        return find_web_host(expand(self.addresses[0])) if self.addresses else None

    @property
    def shown_host(self) -> str:
        """The name of the host where it stands in params.yaml as it is, else empty: what a
        variable holds is a secret.
        """
        address = self.addresses[0] if self.addresses else ""
        host = None if "@" in address else urlsplit(address).hostname
        return host if host and "$" not in host else ""

    def _marked(self) -> Iterator[str]:
        for name in fields_marked(type(self)):
            yield from _texts(getattr(self, name))


def mask(address: str) -> str:
    """Replace what may be a credential in an address by `***`."""
    return SECRET_OPTION.sub(r"\1\2=***", PASSWORD.sub(r"\1:***@", address))


def hide(text: str, secrets: Iterable[str]) -> str:
    """Replace secrets in a text by `***`."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def open_local(path: Path, root: Path, expect: Callable[[], str]) -> BinaryIO:
    """Open a file of this machine; `expect` says what should be there, where that is not it.

    Raises:
        SourceRefused: there is no such file, or it may not be read.
        SourceError: the disk does not give it out.
    """
    # The folder of the data may itself be a link, to another disk.
    homes = (root.resolve(), (root / "data").resolve())
    if path.is_relative_to(root) and not any(map(path.resolve().is_relative_to, homes)):
        raise SourceRefused(
            f"{path} is a link out of the project, to {path.resolve()}. Name that path in "
            "params.yaml if it is meant."
        )
    try:
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        lack = f"there is no file at {path}. Expected there: {expect()}.{_near(path)}"
        raise SourceRefused(lack) from None
    except IsADirectoryError:
        raise SourceRefused(
            f"{path} is a folder. Expected: {expect()}. All files in it: {path / '*'}"
        ) from None
    except PermissionError:
        raise SourceRefused(f"no permission to read {path}. Expected: {expect()}.") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from None


def find_web_host(address: str) -> Host | None:
    """Return the host that a request for an address goes to: its own, or that of the proxy."""
    import urllib.request  # takes a while, and few parts ask for hosts

    parts = urlsplit(address)
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    proxy = urllib.request.getproxies().get(parts.scheme)
    is_asked_itself = is_loopback(parts.hostname) or urllib.request.proxy_bypass(parts.hostname)
    if proxy and not is_asked_itself:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if not parts.hostname or parts.scheme not in _PORTS:
        return None
    return parts.hostname, parts.port or _PORTS[parts.scheme]


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine itself, which no proxy reaches."""
    return host in _LOOPBACK


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f" The folder {path.parent} does not exist either."
    near = difflib.get_close_matches(path.name, sorted(os.listdir(path.parent)), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _passwords(address: str) -> set[str]:
    try:
        password = urlsplit(address).password or ""
    except ValueError:
        return set()
    return {password, unquote(password)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Facts):
        for name in type(value).model_fields:
            yield from _texts(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
