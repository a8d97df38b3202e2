"""Keeps the values of secret environment variables out of everything that a run writes.

A secret is the value of a variable that the `sources` of the params file name, other
than in the local path of a file. It is found as it is and however `orchestrator.spellings`
knows it to be written; colour codes within it do not hide it. Not found is what a plot
shows as pixels, and what a notebook itself encrypts, compresses or takes apart.

A secret of fewer than 4 characters is replaced only where it stands as a word of its
own: `a` replaced everywhere would destroy every report, and so give the secret away.
Other spellings of it are not looked for. A key of JSON stays unless it is a secret, or
holds one of 8 characters or more.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from churn.facts import VARIABLE
from churn.params import ParameterError, Params, expand
from orchestrator.spellings import SHORTEST, Finder, Found, credentials, parts_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

_COLOUR = re.compile(r"(\x1b\[[0-9;:]*m)")
_MEDIA_TYPE = re.compile(r"[a-z]+/[\w.+-]+")
_IN_BASE64 = re.compile(r"(?:image/(?!svg)|audio/|video/|application/pdf)")
# Names that make a notebook a notebook; a secret called `data` must not take them away.
_STRUCTURE = frozenset(
    (
        "output_type",
        "name",
        "text",
        "data",
        "metadata",
        "execution_count",
        "ename",
        "evalue",
        "traceback",
    )
)
_KEPT_METADATA = frozenset(("kernelspec", "language_info", "churn"))
# A shorter secret inside a longer key is a part of a name: the user `churn` in
# `churned`.
_SHORTEST_IN_KEY = 8


@dataclass(frozen=True)
class Redactor:
    """Replaces each secret by the name of its variable: `***CRM_PASSWORD***`.
    `secrets`: text to find -> name.
    """

    secrets: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def finder(self) -> Finder:
        """What finds them in a text."""
        return Finder(self.secrets)

    def clean(self, text: str) -> str:
        """Return the text without secrets."""
        if not self.secrets:
            return text
        return self._clean_coloured(text) if "\x1b" in text else self._replace(text, self._label)

    def clean_tree(self, value: Any) -> Any:
        """Return a JSON-like value with all its texts cleaned, keys too; a number that
        is a secret becomes a text.
        """
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, (list, tuple)):
            return [self.clean_tree(item) for item in value]
        if isinstance(value, dict):
            return {
                self._clean_key(key): self._clean_item(key, item) for key, item in value.items()
            }
        return self._clean_number(value) if type(value) in (int, float) else value

    def clean_outputs(self, notebook: NotebookNode) -> None:
        """Clean the outputs of all cells, in place."""
        for cell in notebook.cells:
            if self.secrets and cell.get("outputs"):
                cell.outputs = [self._clean_output(output) for output in cell.outputs]

    def clean_notebook(self, notebook: NotebookNode) -> NotebookNode:
        """Return a notebook that is clean throughout: sources, outputs, attachments and
        metadata.
        """
        if not self.secrets:
            return notebook
        cells = [self._clean_cell(cell) for cell in notebook.cells]
        kept = {key: value for key, value in notebook.metadata.items() if key in _KEPT_METADATA}
        others = {
            key: value for key, value in notebook.metadata.items() if key not in _KEPT_METADATA
        }
        metadata = kept | self.clean_tree(others)
        return _as_node({**notebook, "cells": cells, "metadata": metadata})

    def clean_error(self, error: BaseException) -> None:
        """Clean the message of an error, and of those that led to it, in place."""
        for one in _chain(error):
            one.args = tuple(self.clean_tree(argument) for argument in one.args)
            named = ("strerror", "filename", "filename2") if isinstance(one, OSError) else ()
            for name in [name for name in named if getattr(one, name) is not None]:
                setattr(one, name, self.clean_tree(getattr(one, name)))

    def find(self, value: Any) -> set[str]:
        """Name the variables whose values stand in a JSON-like value, so that it cannot
        be written down.
        """
        if isinstance(value, dict):
            return {name for item in (*value.keys(), *value.values()) for name in self.find(item)}
        if isinstance(value, (list, tuple)):
            return {name for item in value for name in self.find(item)}
        if isinstance(value, bool) or value is None:
            return set()
        return {
            self.secrets[found.secret]
            for found in self.finder.find(str(value))
            if len(found.secret) >= SHORTEST
        }

    def _label(self, found: Found) -> str:
        return f"***{self.secrets[found.secret]}***"

    def _replace(self, text: str, by: Callable[[Found], str]) -> str:
        pieces, position = list[str](), 0
        for found in self.finder.find(text):
            pieces += [text[position : found.start], by(found)]
            position = found.end
        return "".join([*pieces, text[position:]]) if pieces else text

    def _clean_number(self, value: float) -> Any:
        text = str(value).removesuffix(".0")
        found = next(self.finder.find(text), None)
        is_secret = found and found.end - found.start == len(text) >= SHORTEST
        return self.clean(text) if is_secret else value

    def _clean_key(self, key: Any) -> Any:
        if not isinstance(key, str) or key in _STRUCTURE or _MEDIA_TYPE.fullmatch(key):
            return key
        lengths = [found.end - found.start for found in self.finder.find(key)]
        is_told = any(length == len(key) or length >= _SHORTEST_IN_KEY for length in lengths)
        return self.clean(key) if is_told else key

    def _clean_item(self, key: Any, item: Any) -> Any:
        in_base64 = isinstance(item, str) and isinstance(key, str) and _IN_BASE64.match(key)
        return self._clean_media(item) if in_base64 else self.clean_tree(item)

    def _clean_cell(self, cell: NotebookNode) -> NotebookNode:
        cleaned = {
            key: self.clean_tree(cell[key])
            for key in ("source", "attachments", "metadata")
            if key in cell
        }
        if "outputs" in cell:
            cleaned["outputs"] = [self._clean_output(output) for output in cell.outputs]
        return _as_node({**cell, **cleaned})

    def _clean_output(self, output: NotebookNode) -> NotebookNode:
        kept = {
            key: output[key] for key in ("output_type", "name", "execution_count") if key in output
        }
        return _as_node(self.clean_tree(output) | kept)

    def _clean_media(self, content: str) -> str:
        """Clean what stands in an image in plain text, such as its title; its length
        stays, and so does the image.
        """
        try:
            text = base64.b64decode(content).decode("latin-1")
        except (binascii.Error, ValueError):
            return self.clean(content)
        cleaned = self._replace(text, lambda found: "*" * (found.end - found.start))
        return content if cleaned == text else base64.b64encode(cleaned.encode("latin-1")).decode()

    def _clean_coloured(self, text: str) -> str:
        """Clean a text with colour codes, which may stand within a secret; they are kept."""
        parts = _COLOUR.split(text)  # text, code, text, code, … text
        plain = "".join(parts[::2])
        edges = [
            edge
            for found in self.finder.find(plain)
            for edge in ((found.start, found), (found.end, None))
        ]
        cleaned: list[str] = []
        position, hidden, next_edge = 0, False, 0
        for part, code in zip(parts[::2], [*parts[1::2], ""], strict=True):
            end = position + len(part)
            while next_edge < len(edges) and edges[next_edge][0] < end + (
                edges[next_edge][1] is None
            ):
                edge, begun = edges[next_edge]
                cleaned.append("" if hidden else plain[position:edge])
                cleaned.append(self._label(begun) if begun else "")
                position, hidden, next_edge = edge, begun is not None, next_edge + 1
            cleaned += ["" if hidden else plain[position:end], code]
            position = end
        return "".join(cleaned)


class RedactingFilter(logging.Filter):
    """Cleans log records: the message, and the traceback, which goes on as text in
    place of the error itself.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self.redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean a record in place; it always passes."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # the arguments do not fit
            message = f"{record.msg} {record.args}"
        record.msg, record.args = self.redactor.clean(message), None
        error = record.exc_info[1] if record.exc_info else None
        if error and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(error)).rstrip("\n")
        record.exc_info = None
        record.exc_text = self.redactor.clean(record.exc_text) if record.exc_text else None
        record.stack_info = self.redactor.clean(record.stack_info) if record.stack_info else None
        return True


def redact_logs(redactor: Redactor) -> None:
    """Clean what every log handler of this process is given from now on; a later call
    takes the place of this one.
    """
    loggers = [
        logging.root,
        *(
            one
            for one in logging.root.manager.loggerDict.values()
            if isinstance(one, logging.Logger)
        ),
    ]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        handler.filters = [one for one in handler.filters if not isinstance(one, RedactingFilter)]
        handler.addFilter(RedactingFilter(redactor))


def secret_names(params: Params) -> frozenset[str]:
    """Name the environment variables that a params file uses as secrets."""
    return frozenset(name for name, is_secret in params.find_variables().items() if is_secret)


def redactor_for(params: Params, environment: Mapping[str, str] = os.environ) -> Redactor:
    """Return the redactor of the secrets that a params file names."""
    secrets: dict[str, str] = {}
    for name in sorted(secret_names(params)):
        secrets |= dict.fromkeys(parts_of(environment.get(name, "")), name)
    for name, user, password in _basic_credentials(params, environment):
        secrets |= dict.fromkeys(credentials(user, password), name)
    return Redactor({text: name for text, name in secrets.items() if text})


def _basic_credentials(
    params: Params, environment: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Yield the variables of passwords, each with the user and the password."""
    for source in params.sources.values():
        for login in source.logins():
            try:
                user, password = (expand(one, environment) for one in (login.user, login.password))
            except ParameterError:  # a variable that is not set
                continue
            names = sorted(set(VARIABLE.findall(login.password)))
            yield from ((name, user, password) for name in names)


def _as_node(tree: dict[str, Any]) -> NotebookNode:
    # The checks before a run need no notebooks, and its import takes time.
    from nbformat import from_dict

    return from_dict(tree)


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        one = queue.pop()
        if one is not None and all(one is not other for other in found):
            found.append(one)
            queue += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return found
