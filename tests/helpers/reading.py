"""Reading one source in a test, with short waits, and what it is refused with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from churn.params import ApiSource, FileSource
from churn.sources import SourceError, SourceRefused
from churn.sources.received import Received, read_source
from helpers.servers import Answer, Request, serving

PLAIN = b"id,plan\n007,basic\n008,plus\n"


def read_file(
    root: Path,
    file: str | list[str],
    data: bytes | None = None,
    malformed_allowed: int = 0,
    **facts: Any,
) -> Received:
    """Read a file source, after writing the file if its bytes are given."""
    if data is not None and isinstance(file, str):
        (root / file).write_bytes(data)
    source = FileSource(file=file, **facts)
    return read_source("crm", source, root, malformed_allowed=malformed_allowed, first_wait=0.01)


def refuse_file(root: Path, file: str | list[str], data: bytes | None = None, **facts: Any) -> str:
    """Return the message with which a file source is refused."""
    with pytest.raises(SourceRefused) as caught:
        read_file(root, file, data, **facts)
    return str(caught.value)


def columns(received: Received) -> dict[str, list[str | None]]:
    """Return the table's values, None where one is missing."""
    frame = received.table.astype(object)
    return {name: list(frame[name].where(frame[name].notna(), None)) for name in frame}


def read_api(address: str, first_wait: float = 0.01, **facts: Any) -> Received:
    """Read an API source with short waits."""
    source = ApiSource.model_validate({"api": address, "records": "items", **facts})
    return read_source("crm", source, Path(), first_wait=first_wait)


def refuse_api(answer: Callable[[Request], Answer], **facts: Any) -> tuple[str, int]:
    """Return the message with which the answers are refused, and how many requests were sent."""
    with serving(answer) as server, pytest.raises(SourceRefused) as caught:
        read_api(f"{server.address}/customers", **facts)
    return str(caught.value), len(server.requests)


def fail_api(answer: Callable[[Request], Answer], **facts: Any) -> tuple[str, int]:
    """Return the message of a failure that another run may survive, and how many
    requests were sent.
    """
    with serving(answer) as server, pytest.raises(SourceError) as caught:
        read_api(f"{server.address}/customers", **facts)
    assert not isinstance(caught.value, SourceRefused)
    return str(caught.value), len(server.requests)
