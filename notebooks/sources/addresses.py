"""Keeps credentials out of addresses and messages."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from params import ApiSource, DatabaseSource, FileSource, expand, is_local

_VARIABLE = re.compile(r"\$\{\w+\}")
_PASSWORD = re.compile(r"(://[^/?#@:]*):.*@")  # to the last @: an unescaped one may stand in the password
_SECRET_OPTION = re.compile(r"(?i)([?&][^=&#]*(?:key|token|secret|passw|pwd|sig|credential|auth)[^=&#]*=)[^&#\s]*")
_SHORTEST = 3  # hiding shorter texts would garble every message and so give them away


def shown_address(source: FileSource | DatabaseSource | ApiSource) -> str:
    """Return where a source is, without secrets: variables stay unexpanded, except in the local path of a file."""
    if isinstance(source, FileSource):
        return ", ".join(expand(path) if is_local(path) else mask(path) for path in source.files)
    if isinstance(source, ApiSource):
        return mask(source.api)
    what = f"table {source.table}" if source.table else f"query {' '.join((source.query or '').split())}"
    return f"{mask(source.database)}, {what}"


def secret_values(source: FileSource | DatabaseSource | ApiSource) -> list[str]:
    """Return the texts that no message may show: expanded variables, passwords, tokens and options; longest first."""
    options = source.model_dump(include={"auth", "headers", "query", "storage_options"})
    found = {expand(text) for option in options.values() for text in _texts(option)}
    for address in filter(lambda address: not is_local(address), _addresses(source)):
        found |= {expand(variable) for variable in _VARIABLE.findall(address)} | _passwords(expand(address))
    return sorted((value for value in found if len(value) >= _SHORTEST), key=lambda value: (-len(value), value))


def hide(text: str, secrets: list[str]) -> str:
    """Replace secrets in a text by `***`."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def mask(address: str) -> str:
    """Replace what may be a credential in an address by `***`."""
    return _SECRET_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", address))


def _addresses(source: FileSource | DatabaseSource | ApiSource) -> list[str]:
    if isinstance(source, FileSource):
        return source.files
    return [source.database if isinstance(source, DatabaseSource) else source.api]


def _passwords(address: str) -> set[str]:
    try:
        password = urlsplit(address).password or ""
    except ValueError:
        return set()
    return {password, unquote(password)}


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    return [value] if isinstance(value, str) else []
