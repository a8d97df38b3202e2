"""Reads `params.yaml`, lists all that is wrong with it, and fills in the environment's variables."""

from __future__ import annotations

import difflib
import os
import re
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from .facts import ParameterError
from .model import Params
from .sources import ApiSource, Cursor, DatabaseSource, FileSource, NextLink, Offset, PageNumber

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def load_params(file: str | os.PathLike[str]) -> Params:
    """Read and check a params file.

    Raises:
        ParameterError: the file is missing, not YAML, or has unknown, missing or ill-typed keys; lists them all.
    """
    path = Path(file)
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParameterError(f"No params file at {path.resolve()}: expected the facts of a data set.") from None
    except YAMLError as error:
        raise ParameterError(f"{path} is not YAML: {error}") from None
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        problems = "\n".join(f"  {line}" for line in _describe(error))
        raise ParameterError(f"{path} has {error.error_count()} problem(s):\n{problems}") from None


def expand(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Replace each `${NAME}` by the environment variable's value.

    Raises:
        ParameterError: a named variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise ParameterError(f"The environment variable {match[1]} is not set; {text!r} needs it.")
        return environment[match[1]]

    return _VARIABLE.sub(value, text)


def variables(params: Params) -> dict[str, bool]:
    """Name the environment variables that the sources use -> whether the value is a secret.

    A variable in the local path of a file is shown; one anywhere else (an address, a token, an option) is a secret, and
    so is one in the parameters of scoring, which may name a database to write to.
    """
    found: dict[str, bool] = {}
    for source in params.sources.values():
        for field, text in _texts(source.model_dump()):
            for name in _VARIABLE.findall(text):
                is_path = field == "file" and "://" not in text
                found[name] = found.get(name, False) or not is_path
    scoring = params.stages.get("scoring", {}).values()
    return found | {name: True for text in scoring for name in _VARIABLE.findall(str(text))}


def suggest(name: str, known: list[str]) -> str:
    """Return `; did you mean …?` with the nearest known name, or the list of what is known."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; known are: {', '.join(sorted(known))}"


_TAGS: dict[str, type[BaseModel]] = {
    "file": FileSource,
    "database": DatabaseSource,
    "api": ApiSource,
    "page_number": PageNumber,
    "offset": Offset,
    "cursor": Cursor,
    "next_link": NextLink,
}


def _texts(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, field or str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, field)


def _describe(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        where = [str(part) for part in problem["loc"]]
        if problem["type"] == "extra_forbidden":
            yield f"{'.'.join(where)}: unknown key{suggest(where[-1], _keys_at(problem['loc'][:-1]))}"
        else:
            yield f"{'.'.join(where) or 'file'}: {problem['msg'].removeprefix('Value error, ')}"


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the model allows at an error's location."""
    candidates: list[type[BaseModel]] = [Params]
    for part in map(str, location):
        candidates = _step(candidates, part)
    return sorted({key for model in candidates for key in model.model_fields})


def _step(candidates: list[type[BaseModel]], part: str) -> list[type[BaseModel]]:
    """Follow one part of a location, which is a field, the tag of a union or the key of a dictionary."""
    if _TAGS.get(part) in candidates:
        return [_TAGS[part]]
    fields = [model.model_fields[part] for model in candidates if part in model.model_fields]
    return [model for field in fields for model in _models_in(field.annotation)] if fields else candidates


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, Annotated, dict, list):
        return [model for inner in typing.get_args(annotation) for model in _models_in(inner)]
    return []
