"""Where a web server may send a request on to: what was meant for one host goes to no other,
whether by a redirect or by a link to the next page.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from churn.sources.source import SourceRefused

_PORTS = {"http": 80, "https": 443}


def refuse_stranger(own: str, following: str) -> None:
    """Let an address follow another only on the same host and port, and never from https
    back to http.

    Raises:
        SourceRefused: it is on another server; the message names that.
    """
    begun, sent_on = _origin(own), _origin(following)
    if sent_on in (begun, (begun[0], "https", 443 if begun[2] == 80 else begun[2])):
        return
    host, scheme, port = sent_on
    shown = f"{scheme}://[{host}]" if ":" in host else f"{scheme}://{host}"
    shown += "" if port == _PORTS.get(scheme) else f":{port}"
    raise SourceRefused(
        f"its answer leads to another server, {shown}: it is not followed, because the "
        "credentials would go there. Where that server is the right one, name it in params.yaml."
    )


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    return parts.hostname or "", parts.scheme, parts.port or _PORTS.get(parts.scheme)


@contextlib.contextmanager
def staying_on_their_hosts() -> Iterator[None]:
    """Let fsspec, while the block runs, follow no redirect of an http(s) address to another
    server.

    fsspec's client drops the header `Authorization` there, but no other.
    """
    import fsspec

    before = fsspec.config.conf.get("http", {})
    fsspec.config.conf["http"] = {"get_client": _make_client, **before}
    try:
        yield
    finally:
        fsspec.config.conf["http"] = before


async def _make_client(**options: Any) -> Any:
    import aiohttp

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(**options | {"trace_configs": [trace]})


async def _refuse_redirect(session: Any, context: Any, redirect: Any) -> None:
    own = str(redirect.response.url)
    refuse_stranger(own, urljoin(own, redirect.response.headers.get("Location", "")))
