"""Reads the sources of `params.yaml` into tables of text: files, databases and paged REST APIs."""

from __future__ import annotations

from pathlib import Path

import stagekit  # noqa: F401 (sets pandas' semantics and turns telemetry off, before any reader is imported)
from params import ApiSource, DatabaseSource, FileSource, expand
from sources.addresses import hide, secret_values, shown_address
from sources.received import Content, Received, SourceError, SourceRefused
from sources.sample import serving_sample

__all__ = ["Received", "SourceError", "SourceRefused", "kind_of", "read_source", "serving_sample", "shown_address"]


def read_source(
    name: str,
    source: FileSource | DatabaseSource | ApiSource,
    root: Path,
    *,
    malformed_allowed: int = 0,
    first_wait: float = 1.0,
) -> Received:
    """Read one source whole, every value as text exactly as received; missing only where the protocol has a null.

    Args:
        name: what messages call the source.
        source: what `params.yaml` says of it.
        root: the folder that relative local paths start from.
        malformed_allowed: how many rows of a delimited file with too many or too few fields may be set aside.
        first_wait: seconds before the second try of a source that is down; doubles with each further try.

    Raises:
        SourceError: the source cannot be read now; another run may succeed.
        SourceRefused: it cannot be read, and trying again would not help.
        ParameterError: an environment variable that the source names is not set.
    """
    secrets = secret_values(source)
    address = hide(shown_address(source), secrets)
    try:
        content = _read(source, root, malformed_allowed, first_wait)
    except SourceError as error:
        # A new exception, without the old one behind it: a chained traceback could show an address with its password.
        raise type(error)(f"Source {name!r}, {address}: {hide(str(error), secrets)}") from None
    return Received.of(name, kind_of(source), address, content)


def kind_of(source: FileSource | DatabaseSource | ApiSource) -> str:
    """Return `file`, `database` or `api`."""
    return {FileSource: "file", DatabaseSource: "database", ApiSource: "api"}[type(source)]


def _read(
    source: FileSource | DatabaseSource | ApiSource, root: Path, malformed_allowed: int, first_wait: float
) -> Content:
    # Each reader's library takes up to two seconds to import, and few runs need them all.
    if isinstance(source, FileSource):
        from sources.files import read_file

        return read_file(source, root, malformed_allowed, first_wait)
    if isinstance(source, DatabaseSource):
        from sources.databases import read_database

        return read_database(source.model_copy(update={"database": expand(source.database)}), root, first_wait)
    from sources.apis import read_api

    return read_api(source, first_wait)
