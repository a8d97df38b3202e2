"""How a secret looks where it is written: in an address, HTML, JSON, Python's `repr`, base64, or as a number."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote, urlsplit

_SHORTEST_LINE = 8  # of a secret of several lines, such as a private key
_SHORTEST_INSIDE = 8  # characters of base64 by which a secret inside a longer text is told
_SHORTEST_NUMBER = 4
_GROUPED = 7  # digits of a number that is shown with commas; a shorter one, such as 1,234, is a number like others

_ESCAPED_BYTE = re.compile("%[0-9A-F]{2}")
# What the libraries that print addresses leave unquoted: nothing, urllib, SQLAlchemy, requests.
_LEFT_UNQUOTED = ("", "/", " +", "!#$%&'()*+,/:;=?@[]~")


def parts_of(value: str) -> set[str]:
    """Return what of a variable's value is a secret by itself: the whole, its lines, the password of an address."""
    lines = [line.strip() for line in value.splitlines()]
    parts = {value, value.strip()}
    if len(lines) > 1:
        parts |= {line for line in lines if len(line) >= _SHORTEST_LINE}
    try:
        password = urlsplit(value).password if "://" in value else None
    except ValueError:
        password = None
    return (parts | {password or "", unquote(password or "")}) - {""}


def spellings(text: str) -> set[str]:
    """Return a text as it is, and as it looks in each of the places where it may turn up."""
    escaped = {text, *_escape(text)}
    escaped |= {twice for once in escaped for twice in _escape(once)}  # JSON inside JSON, the repr of a message
    return escaped | set(_quote(text)) | set(_in_html(text)) | set(_in_base64(text)) | set(_as_number(text))


def credentials(user: str, password: str) -> set[str]:
    """Return how HTTP's basic authentication writes a user and a password."""
    together = f"{user}:{password}".encode(errors="surrogateescape")
    return {base64.b64encode(together).decode(), base64.urlsafe_b64encode(together).decode()}


def _escape(text: str) -> Iterator[str]:
    encoded = text.encode(errors="surrogateescape")
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    yield ascii(text)[1:-1]
    yield repr(encoded)[2:-1]
    yield encoded.decode("latin-1")  # as in the bytes of a file


def _quote(text: str) -> Iterator[str]:
    for unquoted in _LEFT_UNQUOTED:
        yield quote(text, safe=unquoted, errors="surrogateescape")
    yield quote_plus(text, errors="surrogateescape")
    for quoted in (quote(text, safe="", errors="surrogateescape"), quote_plus(text, errors="surrogateescape")):
        yield _ESCAPED_BYTE.sub(lambda match: match[0].lower(), quoted)


def _in_html(text: str) -> Iterator[str]:
    yield html.escape(text, quote=False)
    yield html.escape(text)
    yield html.escape(text, quote=False).replace('"', "&#34;").replace("'", "&#39;")  # Jinja's


def _in_base64(text: str) -> Iterator[str]:
    """Yield the base64 of the text, and the part of it that does not depend on what stands before and behind."""
    encoded = text.encode(errors="surrogateescape")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(encoded).decode()
        yield encode(encoded).decode().rstrip("=")
        for before in range(3):
            whole = encode(b"\0" * before + encoded).decode().rstrip("=")
            first, last = -(-before * 8 // 6), (before + len(encoded)) * 8 // 6
            if last - first >= _SHORTEST_INSIDE:
                yield whole[first:last]


def _as_number(text: str) -> Iterator[str]:
    if text.isdecimal() and text.isascii():
        if len(text.lstrip("0")) >= _SHORTEST_NUMBER:
            yield text.lstrip("0")
        if len(text) >= _GROUPED:
            yield f"{int(text[:4000]):,}"
